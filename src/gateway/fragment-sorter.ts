/**
 * Puts fragments to shared external addresses in order (RFC 4787 REQ-14). Only the first fragment of a packet has the ports
 * that tell whose it is, and they come in any order. So all of them go through a namespace with one link: its kernel
 * reassembles them, forwards the packet and, because they came as fragments, makes fragments of it again, of the same
 * sizes, the first one first (encap/kernel/sorter.h takes them there). Nothing else passes, and nothing is said: no ICMP
 * error, no address. What waits for the rest of its packet is bounded by that namespace's `ipfrag_high_thresh` and
 * `nf_conntrack_frag6_high_thresh`, 4 MB each.
 *
 * The namespace is there while a routing domain has a block of a shared address.
 */
import type { EncapCore } from '../encap/core.ts';
import { encodeSorter } from '../encap/layout.generated.ts';
import { HnvError } from '../errors.ts';
import { ipBatch } from '../linux/iproute2.ts';
import { inNetns, netnsExists } from '../linux/netns.ts';
import { nftGeneration, nftScript } from '../linux/nftables.ts';
import { RouteNetlink } from '../linux/rtnetlink.ts';
import type { NetLink } from '../linux/rtnetlink-messages.ts';
import { readSysctl, writeSysctl } from '../linux/sysctl.ts';
import { externalLink } from '../nat/ruleset.ts';
import { routerMac } from '../policy/router.ts';
import { contextCommands, ruleCommands } from './context-commands.ts';
import { type ContextState, contextDifferences, readInside, readLinks, usualRules } from './context-state.ts';
import { sorterNames } from './names.ts';
import { removeNamespace } from './namespace-removal.ts';

/** The largest there is: a packet of 65,535 bytes passes whole. */
const MTU = 65_535;
/** Next hops that only name the permanent neighbour: a MAC that no interface has, as in a context. */
const HOPS = ['169.254.1.1', 'fe80::1'] as const;

const WANT: ContextState = {
  up: new Set(['lo', externalLink]),
  addresses: new Set(),
  routes: new Set([`0.0.0.0/0 ${externalLink} ${HOPS[0]} -`, `::/0 ${externalLink} ${HOPS[1]} -`]),
  looped: new Set(),
  rules: usualRules(),
  neighbours: new Set(HOPS.map((hop) => `${externalLink} ${hop} ${routerMac}`)),
  mtu: new Map([[externalLink, MTU]]),
  macs: new Map(),
};

/** It forwards from any source, by the link that a packet came from, and is silent. */
const SETTINGS: readonly (readonly [path: string, value: string])[] = [
  ['net/ipv4/ip_forward', '1'],
  ['net/ipv4/conf/all/rp_filter', '0'],
  [`net/ipv4/conf/${externalLink}/rp_filter`, '0'],
  ['net/ipv4/conf/all/send_redirects', '0'],
  [`net/ipv4/conf/${externalLink}/send_redirects`, '0'],
  [`net/ipv6/conf/${externalLink}/addr_gen_mode`, '1'], // before IPv6 may be on
  ['net/ipv6/conf/all/disable_ipv6', '0'],
  [`net/ipv6/conf/${externalLink}/disable_ipv6`, '0'],
  ['net/ipv6/conf/all/forwarding', '1'],
  [`net/ipv6/conf/${externalLink}/accept_ra`, '0'],
  [`net/ipv6/conf/${externalLink}/accept_dad`, '0'],
];

/** Conntrack's defragmentation works where a rule asks for conntrack; packets are taken out of it again behind that. */
const TABLE = 'inet hnvgw';
const RULES = `table ${TABLE}
delete table ${TABLE}
table ${TABLE} {
  chain reassembled { type filter hook prerouting priority raw; policy accept; notrack; }
  chain passing {
    type filter hook forward priority filter; policy drop;
    iifname ${externalLink} oifname ${externalLink} ct state untracked accept
  }
  chain arriving { type filter hook input priority filter; policy drop; }
  chain leaving { type filter hook output priority filter; policy drop; }
}
`;

type Core = Pick<EncapCore, 'attach' | 'isAttached' | 'map'>;

/** As it was made. */
interface Made {
  ifindex: number;
  /** Of the rules. */
  generation: number;
}

const FIRST = new Uint8Array(4);

export class FragmentSorter {
  readonly #core: Core;
  readonly #netns: string;
  readonly #port: string;
  readonly #sharing = new Set<string>();
  #made: Made | undefined;
  /** The newest change: one at a time, in order. */
  #turn: Promise<void> = Promise.resolve();

  constructor(instance: string, core: Core) {
    this.#core = core;
    ({ netns: this.#netns, port: this.#port } = sorterNames(instance));
  }

  /**
   * Says whether a domain has a part of a shared address; resolves when the sorter is there if one has, and gone if none
   * has any more. Throws HNV_NETNS, HNV_IPROUTE2, HNV_NFTABLES, HNV_BPF.
   */
  set(rdid: string, shares: boolean): Promise<void> {
    if (shares) {
      this.#sharing.add(rdid);
      return this.#next(() => this.#ensure());
    }
    if (!this.#sharing.delete(rdid) || this.#sharing.size > 0) return Promise.resolve();
    return this.#next(() => this.#remove());
  }

  /** Ends what an earlier process left when none of these domains, which are all that share, needs it. As set(). */
  keepOnly(sharing: ReadonlySet<string>): Promise<void> {
    for (const rdid of sharing) this.#sharing.add(rdid);
    return sharing.size > 0 ? Promise.resolve() : this.#next(() => this.#remove());
  }

  /** What is otherwise than set() made it, as sentences; nothing while that is not known. A fraction of a millisecond. */
  inspect(): string[] {
    if (this.#made === undefined) return this.#sharing.size > 0 ? [] : this.#entryFindings(0);
    const { ifindex, generation } = this.#made;
    const found = this.#entryFindings(ifindex);
    const port = this.#portIfJoined();
    if (port?.ifindex !== ifindex) return [...found, `the link or namespace ${this.#netns} was missing`];
    if (!isOpen(port)) found.push(`the link ${this.#port} was down, or had the MTU ${port.mtu}`);
    if (!this.#core.isAttached('sorter', ifindex)) found.push(`the program of ${this.#port} was missing`);
    const inside = inNetns(this.#netns, () => [
      ...contextDifferences(readState(), WANT),
      ...SETTINGS.filter(([path, value]) => readSysctl(path) !== value).map(
        ([path]) => `the setting ${path} was ${readSysctl(path)}`,
      ),
      ...(nftGeneration() === generation ? [] : ['the rules were changed']),
    ]);
    return [...found, ...inside.map((text) => `${this.#netns}: ${text}`)];
  }

  /** Makes it again as it should be, whatever there is. As set(). */
  restore(): Promise<void> {
    return this.#next(async () => {
      this.#made = undefined;
      await (this.#sharing.size > 0 ? this.#ensure() : this.#remove());
    });
  }

  #entryFindings(ifindex: number): string[] {
    const entry = this.#core.map('sorter').lookup(FIRST);
    const isRight = entry !== undefined && Buffer.from(entry).equals(encodeSorter({ ifindex }));
    return isRight ? [] : ['the map sorter had another entry'];
  }

  #next(work: () => Promise<void>): Promise<void> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async #ensure(): Promise<void> {
    if (this.#made !== undefined) return;
    if (this.#portIfJoined() === undefined) await this.#create();
    const port = this.#portIfJoined();
    if (port === undefined)
      throw new HnvError('HNV_NETNS', `The link of ${this.#netns} has gone while it was being set up.`);
    const { ifindex } = port;
    const { have, generation } = inNetns(this.#netns, () => {
      for (const [path, value] of SETTINGS) writeSysctl(path, value);
      nftScript(RULES);
      return { have: readState(), generation: nftGeneration() };
    });
    this.#core.attach('sorter', ifindex);
    const netns = this.#netns;
    await ipBatch(contextCommands(have, WANT), { netns });
    for (const family of [4, 6] as const) await ipBatch(ruleCommands(have, WANT, family), { netns, family });
    if (!isOpen(port)) await ipBatch([['link', 'set', this.#port, 'mtu', String(MTU), 'up']]);
    this.#core.map('sorter').update(FIRST, encodeSorter({ ifindex }));
    this.#made = { ifindex, generation };
  }

  async #create(): Promise<void> {
    await this.#remove();
    const mtu = ['mtu', String(MTU)];
    await ipBatch([
      ['netns', 'add', this.#netns],
      [
        ...['link', 'add', this.#port, ...mtu, 'up', 'type', 'veth'],
        ...['peer', 'name', externalLink, ...mtu, 'netns', this.#netns],
      ],
    ]);
  }

  async #remove(): Promise<void> {
    this.#made = undefined;
    this.#core.map('sorter').update(FIRST, encodeSorter({ ifindex: 0 }));
    await removeNamespace(this.#netns, [this.#port]);
  }

  /** The root side of the link; undefined unless its other side is in the namespace. */
  #portIfJoined(): NetLink | undefined {
    if (!netnsExists(this.#netns)) return undefined;
    const port = RouteNetlink.use((reading) => reading.link(this.#port));
    const inside = inNetns(this.#netns, () => RouteNetlink.use((reading) => reading.link(externalLink)));
    return port !== undefined && port.below === inside?.ifindex && inside?.below === port.ifindex
      ? port
      : undefined;
  }
}

function isOpen({ isUp, mtu }: NetLink): boolean {
  return isUp && mtu === MTU;
}

/** For who is in the namespace. */
function readState(): ContextState {
  return RouteNetlink.use((reading) => readInside(reading, readLinks(reading)));
}
