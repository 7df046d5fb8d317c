/**
 * The real data plane with two routing domains, filled as the gateway fills it, for packets to be put through it with
 * BPF_PROG_TEST_RUN. It stands on links of its own in a private namespace; nothing is pinned or attached. Every run is
 * held to the accounts: a drop counts under exactly one reason of one domain, anything else under none.
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Place } from '../../src/encap/core.ts';
import { type Attachment, domainEntries } from '../../src/encap/entries.ts';
import {
  encodeInterfaceKey,
  encodeProvider,
  encodeProviderKey,
  encodeUplink,
} from '../../src/encap/layout.generated.ts';
import { type DomainStats, readStats } from '../../src/encap/stats.ts';
import { DomainTables } from '../../src/encap/tables.ts';
import type { BpfMap } from '../../src/linux/bpf-map.ts';
import { BpfObject, type BpfProgram } from '../../src/linux/bpf-object.ts';
import { ifindexOf } from '../../src/linux/links.ts';
import { inNetns } from '../../src/linux/netns.ts';
import { testRun } from '../../src/linux/test-run.ts';
import { addressBytes, macBytes } from '../../src/policy/address.ts';
import type { DomainPlan } from '../../src/policy/plan.ts';
import { contoso, fabrikam, GATEWAY_PA, plans } from './two-domains.ts';

const OBJECT = fileURLToPath(new URL('../../dist/bpf/hnvgw.bpf.o', import.meta.url));

/** MTU of the contexts' ports: what 1500 in the provider network leave. */
export const INNER_MTU = 1458;

/** The links by what they are for, with their MACs. `spare` is in no map. */
export const LINK_MACS = {
  provider: '02:aa:00:00:00:01',
  uplink: '02:aa:00:00:00:02',
  contosoPort: '02:aa:00:00:00:03',
  fabrikamPort: '02:aa:00:00:00:04',
  contosoOut: '02:aa:00:00:00:05',
  fabrikamOut: '02:aa:00:00:00:06',
  spare: '02:aa:00:00:00:07',
} as const;
export type Link = keyof typeof LINK_MACS;
const links = Object.keys(LINK_MACS) as Link[];

/** MACs of the contexts' own sides of their external links. */
export const CONTEXT_MACS = { contoso: '02:cc:00:00:00:01', fabrikam: '02:cc:00:00:00:02' } as const;

/** struct __sk_buff (linux/bpf.h): its size and where the fields are that a test run takes. */
const SKB = {
  size: 192,
  mark: 8,
  ingressIfindex: 36,
  ifindex: 40,
  control: 48,
  gsoSegments: 164,
  gsoSize: 176,
} as const;

const VERDICTS: Record<number, Outcome['verdict']> = { 0: 'pass', 2: 'drop', 7: 'redirect' };

export interface RunOptions {
  /** The link that the packet arrives on; by the program when undefined. */
  on?: Link;
  mark?: number;
  /** Words of skb->cb, at most 5. */
  control?: readonly number[];
  gsoSize?: number;
  gsoSegments?: number;
  /** A program to run in place of the place's own. */
  program?: BpfProgram;
}

export interface Outcome {
  verdict: 'pass' | 'drop' | 'redirect';
  /** The frame as the program left it. */
  frame: Buffer;
  mark: number;
  /** When dropped: the reason's name and the handle of the domain that it was charged to. */
  drop?: { reason: string; domain: number };
  /** What the counters of the domains grew by; only of those that did. */
  counted: { domain: number; encapsulated?: Counted; decapsulated?: Counted }[];
}
type Counted = { packets: number; bytes: number };

const DEFAULT_LINKS: Record<Place, Link> = {
  provider: 'provider',
  port: 'contosoPort',
  context: 'contosoOut',
  uplink: 'uplink',
};

interface Test {
  teardown(fn: () => void): unknown;
}

let opened = 0;

export class DataPlane {
  readonly object: BpfObject;
  readonly tables: DomainTables;
  readonly plans: readonly DomainPlan[] = plans();
  readonly #namespace: string;
  readonly #ifindexes: ReadonlyMap<Link, number>;

  private constructor(namespace: string, object: BpfObject) {
    this.#namespace = namespace;
    this.object = object;
    this.#ifindexes = inNetns(namespace, () => new Map(links.map((link) => [link, ifindexOf(link) ?? 0])));
    this.tables = new DomainTables((name) => object.map(name));
  }

  /** Loads and fills; all is gone again when the test ends. */
  static open(t: Test): DataPlane {
    const namespace = `hnvdp${process.pid}x${opened++}`;
    t.teardown(() => execFileSync('ip', ['netns', 'delete', namespace]));
    execFileSync('ip', ['netns', 'add', namespace]);
    const commands = Object.entries(LINK_MACS).map(
      ([name, mac], index) => `link add ${name} address ${mac} type veth peer name peer${index}\n`,
    );
    execFileSync('ip', ['-n', namespace, '-batch', '-'], { input: commands.join('') });
    const object = BpfObject.open(OBJECT);
    t.teardown(() => object.close());
    object.load();
    const dataPlane = new DataPlane(namespace, object);
    dataPlane.#fill();
    return dataPlane;
  }

  map(name: string): BpfMap {
    return this.object.map(name);
  }

  ifindex(link: Link): number {
    return this.#ifindexes.get(link) ?? 0;
  }

  /** Where a domain's context is joined to this node. */
  attachment(handle: number): Attachment {
    const name = handle === contoso.handle ? 'contoso' : 'fabrikam';
    return {
      tenantIfindex: this.ifindex(`${name}Port`),
      externalIfindex: this.ifindex(`${name}Out`),
      externalMac: CONTEXT_MACS[name],
      providerIfindex: this.ifindex('provider'),
      uplinkIfindex: this.ifindex('uplink'),
      mtu: INNER_MTU,
    };
  }

  stats(domain: number): DomainStats {
    return readStats(this.map('stats'), domain);
  }

  /** Puts a frame through the program of the place. Throws when the accounts do not fit the verdict. */
  run(place: Place, frame: Uint8Array, options: RunOptions = {}): Outcome {
    const program = options.program ?? this.object.program(`hnv_${place}`);
    const context = contextOf(this.ifindex(options.on ?? DEFAULT_LINKS[place]), options);
    const before = this.#allStats();
    const result = inNetns(this.#namespace, () => testRun(program, { data: frame, context }));
    const verdict = VERDICTS[result.retval];
    if (verdict === undefined) throw new Error(`hnv_${place} returned ${result.retval}`);
    return {
      verdict,
      frame: Buffer.from(result.data),
      mark: Buffer.from(result.context ?? []).readUInt32LE(SKB.mark),
      ...this.#accounts(verdict, before),
    };
  }

  /** What a program returns that is none of the data plane's. */
  returnOf(program: BpfProgram, frame: Uint8Array, control: readonly number[]): number {
    const context = contextOf(this.ifindex('spare'), { control });
    return inNetns(this.#namespace, () => testRun(program, { data: frame, context })).retval;
  }

  #fill(): void {
    this.map('providers').update(
      encodeProviderKey({ address: addressBytes(GATEWAY_PA) }),
      encodeProvider({ ifindex: this.ifindex('provider') }),
    );
    this.map('uplinks').update(
      encodeInterfaceKey({ ifindex: this.ifindex('uplink') }),
      encodeUplink({ mac: macBytes(LINK_MACS.uplink), pad: new Uint8Array(2) }),
    );
    for (const plan of this.plans)
      this.tables.apply(plan.handle, domainEntries(plan, this.attachment(plan.handle)));
  }

  #allStats(): Map<number, DomainStats> {
    return new Map([0, contoso.handle, fabrikam.handle].map((domain) => [domain, this.stats(domain)]));
  }

  #accounts(
    verdict: Outcome['verdict'],
    before: ReadonlyMap<number, DomainStats>,
  ): Pick<Outcome, 'drop' | 'counted'> {
    const drops: { reason: string; domain: number }[] = [];
    const counted: Outcome['counted'] = [];
    for (const [domain, then] of before) {
      const now = this.stats(domain);
      for (const [reason, count] of Object.entries(now.drops)) {
        const times = count - (then.drops[reason] ?? 0);
        for (let time = 0; time < times; time++) drops.push({ reason, domain });
      }
      const grown = {
        ...growth('encapsulated', then, now),
        ...growth('decapsulated', then, now),
      };
      if (Object.keys(grown).length > 0) counted.push({ domain, ...grown });
    }
    const [drop] = drops;
    if (drops.length !== (verdict === 'drop' ? 1 : 0))
      throw new Error(`verdict ${verdict}, but counted as dropped: ${JSON.stringify(drops)}`);
    if (drop !== undefined && counted.length > 0)
      throw new Error(
        `dropped under ${drop.reason}, but counted as forwarded too: ${JSON.stringify(counted)}`,
      );
    return { ...(drop && { drop }), counted };
  }
}

/** struct __sk_buff of a packet that arrives on the link of that index. */
function contextOf(ifindex: number, { mark, control, gsoSize, gsoSegments }: RunOptions): Buffer {
  const context = Buffer.alloc(SKB.size);
  context.writeUInt32LE(ifindex, SKB.ifindex);
  context.writeUInt32LE(ifindex, SKB.ingressIfindex);
  context.writeUInt32LE(mark ?? 0, SKB.mark);
  for (const [index, word] of (control ?? []).entries()) context.writeUInt32LE(word, SKB.control + 4 * index);
  context.writeUInt32LE(gsoSize ?? 0, SKB.gsoSize);
  context.writeUInt32LE(gsoSegments ?? 0, SKB.gsoSegments);
  return context;
}

function growth(
  direction: 'encapsulated' | 'decapsulated',
  then: DomainStats,
  now: DomainStats,
): { [K in typeof direction]?: Counted } {
  const packets = now[direction].packets - then[direction].packets;
  const bytes = now[direction].bytes - then[direction].bytes;
  return packets === 0 && bytes === 0 ? {} : { [direction]: { packets, bytes } };
}
