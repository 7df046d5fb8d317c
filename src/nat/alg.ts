/**
 * Application level gateways: the kernel's own helpers for FTP and SIP, which read what the endpoints tell each other,
 * translate it, and let in what was agreed upon.
 */
import { HnvError } from '../errors.ts';
import { runProgram } from '../linux/child-process.ts';
import { inNewNetns } from '../linux/netns.ts';
import { nftScript } from '../linux/nftables.ts';
import type { NatPlan } from '../policy/plan.ts';
import { forwardingLink } from './ruleset.ts';

type Alg = NatPlan['algs'][number];

/** Protocol and port (RFC 959, RFC 3261), and the module that translates, which the kernel does not ask for by itself. */
const ALGS = {
  ftp: { protocol: 'tcp', port: 21, module: 'nf_nat_ftp' },
  sip: { protocol: 'udp', port: 5060, module: 'nf_nat_sip' },
} as const;

/** Those that were seen to be there; one that is not may come. */
const present = new Set<Alg>();

const helper = (alg: Alg): string =>
  `  ct helper ${alg} {\n    type "${alg}" protocol ${ALGS[alg].protocol};\n  }`;

/**
 * Before any translation, or the kernel would have no place to note how it changes the length of what is said. What goes by `fwd`
 * is not translated, and so not for them.
 */
export function algTable({ algs }: NatPlan): string | undefined {
  if (algs.length === 0) return undefined;
  return `table inet hnvgw_alg {
${algs.map(helper).join('\n')}
  chain helpers {
    type nat hook prerouting priority dstnat - 10; policy accept;
${algs.map((alg) => `    ${ALGS[alg].protocol} dport ${ALGS[alg].port} iifname != "${forwardingLink}" fib daddr oifname != "${forwardingLink}" ct helper set "${alg}"`).join('\n')}
  }
}
`;
}

/** The plan without the ALGs that this kernel has not, and what is to be said of them. */
export async function withKernelAlgs(plan: NatPlan): Promise<{ plan: NatPlan; failure?: HnvError }> {
  const lacking: Alg[] = [];
  for (const alg of plan.algs) if (await isMissing(alg)) lacking.push(alg);
  if (lacking.length === 0) return { plan };
  const names = lacking.map((alg) => alg.toUpperCase()).join(' and ');
  const failure = new HnvError(
    'HNV_NFTABLES',
    `The kernel has no connection tracking helper for ${names} (nf_conntrack_${lacking.join(', nf_conntrack_')}): NAT works without the ALG.`,
  );
  return { plan: { ...plan, algs: plan.algs.filter((alg) => !lacking.includes(alg)) }, failure };
}

async function isMissing(alg: Alg): Promise<boolean> {
  if (present.has(alg)) return false;
  // A kernel that has it built in has no such module, which is as good.
  await runProgram('modprobe', ['-q', ALGS[alg].module], '').catch(() => undefined);
  if (!hasHelper(alg)) return true;
  present.add(alg);
  return false;
}

function hasHelper(alg: Alg): boolean {
  try {
    inNewNetns(() => nftScript(`table inet probe {\n${helper(alg)}\n}\n`));
    return true;
  } catch (error) {
    if (error instanceof HnvError && error.code === 'HNV_NFTABLES') return false;
    throw error;
  }
}
