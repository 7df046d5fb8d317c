/**
 * The real data plane with two routing domains, filled as the node fills it, for packets to be put through it with
 * BPF_PROG_TEST_RUN. It stands on veth links of its own in a private namespace, whose far ends are in another one; nothing
 * is pinned, and attached only what a test attaches. Every run is held to the accounts: what is dropped counts under
 * exactly one reason of one domain, unless it went on as copies; what is sent back as an ICMP error counts as dropped
 * under the error's reason; anything else counts under none.
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Place } from '../../src/encap/core.ts';
import {
  type ContextAttachment,
  type DomainAttachments,
  domainEntries,
  type PortAttachment,
} from '../../src/encap/entries.ts';
import {
  encodeInterfaceKey,
  encodeProvider,
  encodeProviderKey,
  encodeSorter,
  encodeUplink,
  encodeVlan,
  encodeVlanKey,
} from '../../src/encap/layout.generated.ts';
import { clearStats, type DomainStats, readStats } from '../../src/encap/stats.ts';
import { DomainTables } from '../../src/encap/tables.ts';
import type { BpfMap } from '../../src/linux/bpf-map.ts';
import { BpfObject, type BpfProgram } from '../../src/linux/bpf-object.ts';
import { ifindexOf } from '../../src/linux/links.ts';
import { inNetns } from '../../src/linux/netns.ts';
import { testRun } from '../../src/linux/test-run.ts';
import { addressBytes, macBytes } from '../../src/policy/address.ts';
import type { DomainPlan } from '../../src/policy/plan.ts';
import {
  contoso,
  type DomainName,
  domains,
  fabrikam,
  GATEWAY_PA,
  GATEWAY_PA6,
  plans,
  VLAN_PA,
  type VmPortName,
  vmPortNames,
} from './two-domains.ts';

const OBJECT = fileURLToPath(new URL('../../dist/bpf/hnvgw.bpf.o', import.meta.url));

/** MTU of the provider network, of the VMs' ports, and of the one port that has another. */
export const PROVIDER_MTU = 1500;
export const VM_MTU = 1500;
export const SMALL_MTU = 1400;
/** MTU of the contexts' ports: what 1500 in the provider network leave. */
export const INNER_MTU = 1458;
/** The same for tunnels over IPv6. */
export const INNER_MTU6 = 1438;

/** VLAN that the link `tagged` stands for on the link `nic`. */
export const VLAN = 7;

const vmLinkMacs = Object.fromEntries(
  (Object.keys(domains) as DomainName[]).flatMap((domain, index) =>
    vmPortNames.map((port, number) => [`${domain}${port}`, `02:ab:00:00:0${index}:0${number}`]),
  ),
) as Record<VmLink, string>;

/** A VM's port; the name is its interface's too. */
export type VmLink = `${DomainName}${VmPortName}`;

/** The links by what they are for, with their MACs. `spare` is in no map. */
export const LINK_MACS = {
  provider: '02:aa:00:00:00:01',
  uplink: '02:aa:00:00:00:02',
  contosoPort: '02:aa:00:00:00:03',
  fabrikamPort: '02:aa:00:00:00:04',
  contosoOut: '02:aa:00:00:00:05',
  fabrikamOut: '02:aa:00:00:00:06',
  spare: '02:aa:00:00:00:07',
  nic: '02:aa:00:00:00:08',
  tagged: '02:aa:00:00:00:09',
  sorter: '02:aa:00:00:00:0a',
  contosoFwd: '02:aa:00:00:00:0b',
  fabrikamFwd: '02:aa:00:00:00:0c',
  ...vmLinkMacs,
} as const;
export type Link = keyof typeof LINK_MACS;
export const links = Object.keys(LINK_MACS) as Link[];
/** Those of VMs, and of contexts towards tenants. */
export const portLinks = links.filter((link) => /^(contoso|fabrikam)(?!Out|Fwd)/.test(link));

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

export const VERDICTS: Record<number, Outcome['verdict']> = { 0: 'pass', 2: 'drop', 7: 'redirect' };

/** What the distributed router tells the sender of by an ICMP error. */
const ERROR_REASONS: ReadonlySet<string> = new Set([
  'ttl-exceeded',
  'no-route',
  'no-record',
  'router-destination',
  'too-big',
  'inner-too-big',
]);

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
  /** When dropped or answered by an ICMP error: the reason's name and the handle of the domain that it was charged to. */
  drop?: { reason: string; domain: number };
  /** What the counters of the domains grew by; only of those that did. */
  counted: Growth[];
}
type Counted = { packets: number; bytes: number };
interface Growth {
  domain: number;
  encapsulated?: Counted;
  decapsulated?: Counted;
  local?: Counted;
  /** Copies that went out, or came back to be sent. */
  replicated?: number;
}

export const DEFAULT_LINKS: Record<Place, Link> = {
  provider: 'provider',
  vlan: 'tagged',
  tag: 'tagged',
  port: 'contosoPort',
  context: 'contosoOut',
  uplink: 'uplink',
  sorter: 'sorter',
  segment: 'contosoFwd',
};

interface Test {
  teardown(fn: () => void): unknown;
}

let opened = 0;

export class DataPlane {
  readonly object: BpfObject;
  readonly tables: DomainTables;
  readonly plans: readonly DomainPlan[];
  /** Name of the namespace that the links are in, and of the one that their far ends are in. */
  readonly namespace: string;
  readonly farNamespace: string;
  readonly #ifindexes: ReadonlyMap<Link, number>;

  private constructor(namespace: string, object: BpfObject, inVlans: boolean) {
    this.plans = plans(inVlans);
    this.namespace = namespace;
    this.farNamespace = `${namespace}far`;
    this.object = object;
    this.#ifindexes = inNetns(namespace, () => new Map(links.map((link) => [link, ifindexOf(link) ?? 0])));
    this.tables = new DomainTables((name) => object.map(name));
  }

  /** Loads and fills; all is gone again when the test ends. `inVlans`: as plans(). */
  static open(t: Test, inVlans = false): DataPlane {
    const namespace = `hnvdp${process.pid}x${opened++}`;
    createLinks(t, namespace);
    const object = BpfObject.open(OBJECT);
    t.teardown(() => object.close());
    object.load();
    const dataPlane = new DataPlane(namespace, object, inVlans);
    dataPlane.#fill();
    return dataPlane;
  }

  map(name: string): BpfMap {
    return this.object.map(name);
  }

  ifindex(link: Link): number {
    return this.#ifindexes.get(link) ?? 0;
  }

  /** Index of the far end of the link, in `farNamespace`. */
  farIfindex(link: Link): number {
    return inNetns(this.farNamespace, () => ifindexOf(link) ?? 0);
  }

  /** Where a domain is joined to this node. */
  attachments(handle: number): DomainAttachments {
    const name = nameOf(handle);
    const tunnel = { ifindex: this.ifindex('provider'), mtu: PROVIDER_MTU, mac: LINK_MACS.provider };
    const context: ContextAttachment = {
      tenantIfindex: this.ifindex(`${name}Port`),
      externalIfindex: this.ifindex(`${name}Out`),
      externalMac: CONTEXT_MACS[name],
      tunnel,
      uplinkIfindex: this.ifindex('uplink'),
      mtu: INNER_MTU,
      segment: { ifindex: this.ifindex(`${name}Fwd`), uplinkIfindex: this.ifindex('uplink') },
    };
    const ports = new Map(
      vmPortNames.map((port): [string, PortAttachment] => [
        `${name}${port}`,
        {
          ifindex: this.ifindex(`${name}${port}`),
          isPeer: port !== 'Db',
          tunnel,
          mtu: port === 'App' ? SMALL_MTU : VM_MTU,
        },
      ]),
    );
    return { context, ports };
  }

  stats(domain: number): DomainStats {
    return readStats((name) => this.map(name), domain);
  }

  /** Puts a frame through the program of the place. Throws when the accounts do not fit the verdict. */
  run(place: Place, frame: Uint8Array, options: RunOptions = {}): Outcome {
    const program = options.program ?? this.object.program(`hnv_${place}`);
    const context = skbOf(this.ifindex(options.on ?? DEFAULT_LINKS[place]), options);
    const before = this.#allStats();
    const result = inNetns(this.namespace, () => testRun(program, { data: frame, context }));
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
    const context = skbOf(this.ifindex('spare'), { control });
    return inNetns(this.namespace, () => testRun(program, { data: frame, context })).retval;
  }

  /** Zeroes the counters, and with them when the last ICMP error was sent: the next one is not held back. */
  forgetErrors(): void {
    for (const { handle } of Object.values(domains)) clearStats((name) => this.map(name), handle);
  }

  #fill(): void {
    const groups = Object.values(domains).map(({ group }) => group);
    const places: [string, Link][] = [
      ...[GATEWAY_PA, GATEWAY_PA6, ...groups].map((address): [string, Link] => [address, 'provider']),
      [VLAN_PA, 'tagged'],
    ];
    for (const [address, link] of places)
      this.map('providers').update(
        encodeProviderKey({ address: addressBytes(address) }),
        encodeProvider({ ifindex: this.ifindex(link) }),
      );
    const [nic, tagged] = [this.ifindex('nic'), this.ifindex('tagged')];
    this.map('vlans').update(encodeVlanKey({ ifindex: nic, vlan: VLAN }), encodeVlan({ vlan: VLAN }));
    this.map('vlans').update(encodeVlanKey({ ifindex: tagged, vlan: 0 }), encodeVlan({ vlan: VLAN }));
    this.map('uplinks').update(
      encodeInterfaceKey({ ifindex: this.ifindex('uplink') }),
      encodeUplink({ mac: macBytes(LINK_MACS.uplink), pad: new Uint8Array(2) }),
    );
    this.map('sorter').update(Buffer.alloc(4), encodeSorter({ ifindex: this.ifindex('sorter') }));
    for (const plan of this.plans)
      this.tables.apply(plan.handle, domainEntries(plan, this.attachments(plan.handle)));
  }

  #allStats(): Map<number, DomainStats> {
    return new Map([0, contoso.handle, fabrikam.handle].map((domain) => [domain, this.stats(domain)]));
  }

  #accounts(
    verdict: Outcome['verdict'],
    before: ReadonlyMap<number, DomainStats>,
  ): Pick<Outcome, 'drop' | 'counted'> {
    const drops: { reason: string; domain: number }[] = [];
    const counted: Growth[] = [];
    for (const [domain, then] of before) {
      const now = this.stats(domain);
      for (const [reason, count] of Object.entries(now.drops)) {
        const times = count - (then.drops[reason] ?? 0);
        for (let time = 0; time < times; time++) drops.push({ reason, domain });
      }
      const grown = growth(then, now);
      if (Object.keys(grown).length > 0) counted.push({ domain, ...grown });
    }
    // Among copies some may fail, each under its own count.
    const whole = drops.filter(({ reason }) => reason !== 'replication-failed');
    const [drop] = whole;
    const copied = counted.some(({ replicated }) => replicated !== undefined);
    const isError = verdict === 'redirect' && ERROR_REASONS.has(drop?.reason ?? '');
    const expected = isError || (verdict === 'drop' && !copied) ? 1 : 0;
    if (whole.length !== expected)
      throw new Error(`verdict ${verdict}, but counted as dropped: ${JSON.stringify({ drops, counted })}`);
    const forwarded = counted.some(({ encapsulated, local }) => encapsulated ?? local);
    if (verdict === 'drop' && forwarded)
      throw new Error(`verdict drop, but counted as forwarded: ${JSON.stringify({ drops, counted })}`);
    return { ...(drop && { drop }), counted };
  }
}

function nameOf(handle: number): DomainName {
  return handle === contoso.handle ? 'contoso' : 'fabrikam';
}

/** Two namespaces, and veths between them whose ends have the same name in both. All links are up. */
function createLinks(t: Test, namespace: string): void {
  const far = `${namespace}far`;
  for (const each of [namespace, far]) {
    t.teardown(() => execFileSync('ip', ['netns', 'delete', each]));
    execFileSync('ip', ['netns', 'add', each]);
    // Links must not speak of their own accord.
    execFileSync('nsenter', [
      `--net=/run/netns/${each}`,
      'sysctl',
      '-qw',
      'net.ipv6.conf.default.disable_ipv6=1',
    ]);
  }
  const commands = Object.entries(LINK_MACS).map(
    ([name, mac]) =>
      `link add ${name} mtu 9000 address ${mac} type veth peer name ${name} mtu 9000 netns ${far}\nlink set ${name} up\n`,
  );
  execFileSync('ip', ['-n', namespace, '-batch', '-'], { input: commands.join('') });
  const ups = links.map((name) => `link set ${name} up\n`);
  execFileSync('ip', ['-n', far, '-batch', '-'], { input: ups.join('') });
}

/** struct __sk_buff of a packet that arrives on the link of that index. */
export function skbOf(ifindex: number, { mark, control, gsoSize, gsoSegments }: RunOptions): Buffer {
  const context = Buffer.alloc(SKB.size);
  context.writeUInt32LE(ifindex, SKB.ifindex);
  context.writeUInt32LE(ifindex, SKB.ingressIfindex);
  context.writeUInt32LE(mark ?? 0, SKB.mark);
  for (const [index, word] of (control ?? []).entries()) context.writeUInt32LE(word, SKB.control + 4 * index);
  context.writeUInt32LE(gsoSize ?? 0, SKB.gsoSize);
  context.writeUInt32LE(gsoSegments ?? 0, SKB.gsoSegments);
  return context;
}

function growth(then: DomainStats, now: DomainStats): Omit<Growth, 'domain'> {
  const grown: Omit<Growth, 'domain'> = {};
  for (const direction of ['encapsulated', 'decapsulated', 'local'] as const) {
    const packets = now[direction].packets - then[direction].packets;
    const bytes = now[direction].bytes - then[direction].bytes;
    if (packets !== 0 || bytes !== 0) grown[direction] = { packets, bytes };
  }
  if (now.replicated !== then.replicated) grown.replicated = now.replicated - then.replicated;
  return grown;
}
