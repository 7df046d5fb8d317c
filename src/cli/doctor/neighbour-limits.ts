/**
 * Whether the kernel's neighbour tables have room for what the routing domains reach by forwarding. The limits are of the whole
 * machine: what all domains ask for on their external networks, and the node on its own, is counted together.
 */
import { readFileSync } from 'node:fs';
import { type Finding, note, ok } from './finding.ts';

const SYSCTLS = ['net.ipv4.neigh.default.gc_thresh3', 'net.ipv6.neigh.default.gc_thresh3'];

/** Of a gateway whose domains have next hops of their own, with room for so many domains. */
export function checkNeighbourLimits(
  routingDomains: number,
  limitOf: (sysctl: string) => number | undefined = readSysctl,
): Finding[] {
  const limits = SYSCTLS.map((sysctl) => ({ sysctl, limit: limitOf(sysctl) }));
  const small = limits.filter(({ limit }) => limit !== undefined && limit <= routingDomains);
  const [first] = small;
  if (first === undefined)
    return limits.some(({ limit }) => limit === undefined)
      ? []
      : [ok('The neighbour tables have room for a next hop of each routing domain.')];
  const enough = small.map(({ sysctl }) => `${sysctl}=${2 * routingDomains}`);
  return [
    note(
      `The neighbour tables of the whole machine end at ${first.limit} entries, but capacity.routingDomains is ` +
        `${routingDomains}, and each domain with forwarding needs one for each next hop.`,
      `sysctl -w ${enough.join(' ')}, and the same in /etc/sysctl.d for the next start.`,
    ),
  ];
}

function readSysctl(name: string): number | undefined {
  try {
    return Number(readFileSync(`/proc/sys/${name.replaceAll('.', '/')}`, 'utf8'));
  } catch {
    return undefined; // a container may not see it
  }
}
