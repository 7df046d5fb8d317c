/**
 * What a routing context lets pass and translates, as an nftables ruleset: the table `hnvgw`. Pure: what comes out depends only on
 * the plan and the MTUs. What few domains ask for has tables of its own beside it (tables.ts), so that it costs nobody else.
 *
 * The ruleset fails closed. The chain `leaving`, behind source NAT, has policy drop: to the uplink it lets what was
 * translated, what the context says under an external address of its own, and prefixes that are routed; to the tenant, what
 * answers a tenant, what came by destination NAT or out of a tunnel, and what is for a routed prefix; into tunnels, all but
 * what comes from the uplink and answers nobody there. What is for a site goes nowhere else than into its tunnel, whatever the
 * routes say. What comes or leaves by `fwd` has chains of its own and passes none of NAT's rules: it goes between there and the
 * tenant, as it is, for the prefixes of forwarding alone. One chain there instead of one in the
 * forward hook and another one behind NAT: each costs every packet a traversal. One table of family `inet` holds both
 * families, with a set and a map for each, because a set has one type of address.
 *
 * It is written in nft's own language, which an operator reads as `nft list ruleset` shows it; libnftables' JSON has no
 * way to say a map to address and port (nft 1.0.6, Debian 12). All that is put into it was made canonical by `policy/`.
 */
import { addressFamily } from '../policy/address.ts';
import type { BgpPlan, ForwardingPlan, NatPlan } from '../policy/plan.ts';
import { outermost } from '../policy/prefix-set.ts';
import { familiesOf, NFT } from './families.ts';
import { isLooped } from './looped.ts';
import { shareRules } from './sharing.ts';

export const natTable = { family: 'inet', table: 'hnvgw' } as const;

/** Interface names inside every routing context: towards the tenant, towards the uplink, and where tunnels begin and end. */
export const tenantLink = 'hnv';
export const externalLink = 'ext';
export const tunnelLink = 'ipsec0';
/** Towards the network that the context is on without NAT; there when the domain has forwarding. */
export const forwardingLink = 'fwd';

/** Where what is the tenant's comes from: its hosts, and those of its sites. All else is the context's own. */
export const INSIDE = `{ "${tenantLink}", "${tunnelLink}" }`;

const TABLE = `${natTable.family} ${natTable.table}`;

/** IP and TCP headers without options: what a segment's packet has beside its data. */
export const TCP_HEADERS = { 4: 40, 6: 60 } as const;

/** MTUs of the context's links, bytes. */
export interface ContextMtu {
  /** Of `hnv`. */
  tenant: number;
  /** Of `ext`. */
  external: number;
  /** Of `fwd`. */
  forwarding?: number;
}

/** What of a domain's plan the rules are made of. */
export interface RulesetPlan {
  nat: NatPlan | undefined;
  forwarding?: ForwardingPlan | undefined;
  bgp?: BgpPlan | undefined;
}

/** Sets and maps with what the policy says: names in nft's words to values, which are empty in sets. */
const ELEMENTS = [
  ...['external', 'external6', 'mappings', 'mappings6', 'inside', 'inside6', 'outside', 'outside6', 'routed'],
  ...['peers', 'peers6', 'sites', 'sites6', 'forwarded', 'forwarded6', 'bgp_peers', 'bgp_peers6'],
] as const;
export type ElementSet = (typeof ELEMENTS)[number];
export const elementSets: readonly ElementSet[] = ELEMENTS;

/** Chains whose rules are the policy's. */
const CHAINS = [...['reverse_path', 'hairpin', 'shared', 'segments', 'network_segments', 'outward']] as const;
export type PolicyChain = (typeof CHAINS)[number];
export const policyChains: readonly PolicyChain[] = CHAINS;

/** What of the table depends on the policy; all the rest is the same in every context. */
export interface NatState {
  elements: ReadonlyMap<ElementSet, ReadonlyMap<string, string>>;
  chains: ReadonlyMap<PolicyChain, readonly string[]>;
}

/**
 * What the table of a domain should hold. `rdid` seeds the choice among several external addresses, so that a restart
 * or another node chooses the same. Without NAT nothing is translated, and without forwarding too, nothing passes.
 */
export function natState(
  rdid: string,
  { nat: plan, forwarding, bgp }: RulesetPlan,
  mtu: ContextMtu,
): NatState {
  const elements = new Map<ElementSet, Map<string, string>>(ELEMENTS.map((name) => [name, new Map()]));
  type Set = 'external' | 'mappings' | 'inside' | 'outside' | 'peers' | 'sites' | 'forwarded' | 'bgp_peers';
  const put = (set: Set, of: string, key: string, value = '') =>
    elements.get(addressFamily(of) === 4 ? set : `${set}6`)?.set(key, value);
  for (const { address } of plan?.externalAddresses ?? []) put('external', address, address);
  for (const { external, internal } of plan?.oneToOne ?? []) {
    put('inside', external, external, internal);
    put('outside', external, internal, external);
  }
  for (const m of plan?.portMappings ?? []) {
    const remote = m.remotePrefix ?? NFT[addressFamily(m.externalAddress)].everybody;
    const key = `${m.externalAddress} . ${m.protocol} . ${m.externalPort} . ${remote}`;
    put('mappings', m.externalAddress, key, `${m.internalAddress} . ${m.internalPort}`);
  }
  for (const { internal } of plan?.prefixes ?? []) elements.get('routed')?.set(internal, '');
  for (const [address, remotes] of peersOf(plan))
    for (const remote of remotes) put('peers', address, `${address} . ${remote}`);
  // The kernel's set takes none within another.
  const sites = outermost(plan?.sitePrefixes ?? []);
  for (const prefix of sites) put('sites', prefix, prefix);
  for (const prefix of forwarding?.advertise ?? []) put('forwarded', prefix, prefix);
  for (const { address } of bgp?.peers ?? []) put('bgp_peers', address, address);
  return {
    elements,
    chains: new Map([
      ['reverse_path', [reversePathRule(plan)]],
      ['hairpin', plan?.hairpinning === 'local' ? HAIRPIN_RULES : []],
      ['shared', familiesOf(plan).flatMap((family) => shareRules(rdid, plan, family))],
      ['segments', [...(forwarding === undefined ? [] : NETWORK_FIRST), ...segmentRules(mtu, mtu.external)]],
      ['network_segments', forwarding === undefined ? [] : segmentRules(mtu, mtu.forwarding)],
      ['outward', outwardRules(sites)],
    ]),
  };
}

/** Prefixes of peers by local address. The kernel's set takes none within another (nft_set_pipapo.c). */
function peersOf(plan: NatPlan | undefined): Map<string, string[]> {
  const byLocal = Map.groupBy(plan?.peers ?? [], ({ localAddress }) => localAddress);
  return new Map(
    [...byLocal].map(([local, peers]) => {
      const { everybody, length } = NFT[addressFamily(local)];
      const remotes = peers.map(({ remoteAddress }) => remoteAddress);
      const isOpen = remotes.includes(undefined);
      return [local, isOpen ? [everybody] : remotes.map((remote) => `${remote}/${length}`)];
    }),
  );
}

/** What leaves by the uplink, or by `fwd`: all but what is for a site. */
function outwardRules(sites: readonly string[]): string[] {
  const families = ([4, 6] as const).filter((family) => sites.some((site) => addressFamily(site) === family));
  return [
    ...families.map((family) => `${NFT[family].ip} daddr @sites${NFT[family].suffix} goto own`),
    'accept',
  ];
}

/**
 * IPv6 has no rp_filter, and a source that the tenant has must not come from the uplink. What comes back from there under
 * an external address of the domain's own is let in where it is sent there (looped.ts).
 */
function reversePathRule(plan: NatPlan | undefined): string {
  const own = plan !== undefined && isLooped(plan, 6) ? 'ip6 saddr != @external6 ' : '';
  return `meta nfproto ipv6 ${own}fib saddr . iif oif missing drop`;
}

/**
 * `segments` lowers the largest segment that a TCP side offers, in each direction, to what both links take: neither side
 * then depends on ICMP to find the tunnel's MTU. The sizes are constants because nft's `rt mtu` finds the tenant's link by
 * the packet's source, which behind source NAT is an address of the context itself. A smaller size stays as it is.
 */
function segmentRules({ tenant }: ContextMtu, other = tenant): string[] {
  return ([4, 6] as const).map((family) => {
    const size = Math.min(tenant, other) - TCP_HEADERS[family];
    return `meta nfproto ${NFT[family].nfproto} tcp option maxseg size set ${size}`;
  });
}

/** What goes by `fwd` does not have to fit into `ext`. */
const NETWORK_FIRST = ['iifname', 'oifname'].map(
  (side) => `${side} "${forwardingLink}" goto network_segments`,
);

/**
 * A tenant's host that asks for an external address of its own domain. Who will be seen to ask is another one of these
 * addresses, so that the prefix of remotes that may use a mapping is held against the address that is asked for.
 */
const HAIRPIN_RULES = [
  'dnat ip to ip daddr map @inside',
  'dnat ip6 to ip6 daddr map @inside6',
  'meta l4proto { tcp, udp } dnat ip to ip daddr . meta l4proto . th dport . ip daddr map @mappings',
  'meta l4proto { tcp, udp } dnat ip6 to ip6 daddr . meta l4proto . th dport . ip6 daddr map @mappings6',
];

/*
 * Only a connection's first packet passes chains of type nat, so that what is checked there costs the others nothing.
 *
 * `own` accepts what IKE and ESP of the context itself send to their peers, which keep address and port, and are not for a
 * site although they may be for an address of one. What comes for them is translated to what it has already, so that no later
 * chain (bindings.ts) does otherwise. A kernel that encrypts has the packet pass `leaving` twice, the second time as one that
 * will be encrypted on its way to the uplink.
 *
 * ICMP errors of the context itself are `related`, even those about the first packet of a conversation (traceroute): the
 * kernel gives them the conversation of the packet that they are about.
 *
 * The chains `from_network` and `to_network` hold every packet of `fwd` against the prefixes, of sessions that stand too. A session
 * that is translated is NAT's, and has no way there: should routes lead it there, it must end and begin again (covered.ts). Whether a
 * source may come by `fwd` is decided before (reverse-path.ts). External addresses are none of the context's there.
 *
 * Neighbours of the other links are permanent, so that only `fwd` has neighbour discovery, what the kernel says of that
 * itself bears the link as the one that it came by, too. Multicast listener reports, which the
 * kernel makes on every link with IPv6, end in `leaving`, and are not counted: nothing else goes to a group of the link,
 * for the kernel forwards none of that.
 */
const SKELETON = `
  set external {
    type ipv4_addr
  }
  set external6 {
    type ipv6_addr
  }
  map mappings {
    type ipv4_addr . inet_proto . inet_service . ipv4_addr : ipv4_addr . inet_service
    flags interval
  }
  map mappings6 {
    type ipv6_addr . inet_proto . inet_service . ipv6_addr : ipv6_addr . inet_service
    flags interval
  }
  map inside {
    type ipv4_addr : ipv4_addr
  }
  map inside6 {
    type ipv6_addr : ipv6_addr
  }
  map outside {
    type ipv4_addr : ipv4_addr
  }
  map outside6 {
    type ipv6_addr : ipv6_addr
  }
  set routed {
    type ipv6_addr
    flags interval
  }
  set peers {
    type ipv4_addr . ipv4_addr
    flags interval
  }
  set peers6 {
    type ipv6_addr . ipv6_addr
    flags interval
  }
  set sites {
    type ipv4_addr
    flags interval
  }
  set sites6 {
    type ipv6_addr
    flags interval
  }
  set forwarded {
    type ipv4_addr
    flags interval
  }
  set forwarded6 {
    type ipv6_addr
    flags interval
  }
  set bgp_peers {
    type ipv4_addr
  }
  set bgp_peers6 {
    type ipv6_addr
  }
  chain reverse_path {
  }
  chain hairpin {
  }
  chain shared {
  }
  chain network_segments {
  }
  chain segments {
  }
  chain outward {
  }
  chain refused {
    counter drop
  }
  chain ipsec_received {
    udp dport { 500, 4500 } accept
    meta l4proto esp accept
  }
  chain ipsec_sent {
    udp sport { 500, 4500 } accept
    meta l4proto esp accept
  }
  chain own {
    iifname ${INSIDE} return
    ip saddr . ip daddr @peers goto ipsec_sent
    ip6 saddr . ip6 daddr @peers6 goto ipsec_sent
  }
  chain arriving {
    jump reverse_path
    udp dport { 500, 4500 } ip daddr . ip saddr @peers dnat ip to ip daddr
    udp dport { 500, 4500 } ip6 daddr . ip6 saddr @peers6 dnat ip6 to ip6 daddr
    meta l4proto esp ip daddr . ip saddr @peers accept
    meta l4proto esp ip6 daddr . ip6 saddr @peers6 accept
    ip saddr @sites drop
    ip6 saddr @sites6 drop
    dnat ip to ip daddr map @inside
    dnat ip6 to ip6 daddr map @inside6
    meta l4proto { tcp, udp } dnat ip to ip daddr . meta l4proto . th dport . ip saddr map @mappings
    meta l4proto { tcp, udp } dnat ip6 to ip6 daddr . meta l4proto . th dport . ip6 saddr map @mappings6
  }
  chain destination {
    type nat hook prerouting priority dstnat; policy accept;
    iifname "${externalLink}" goto arriving
    iifname "${forwardingLink}" accept
    ip6 saddr @external6 drop
    ip daddr @external goto hairpin
    ip6 daddr @external6 goto hairpin
  }
  chain translation {
    jump own
    snat ip to ip saddr map @outside
    snat ip6 to ip6 saddr map @outside6
    ip6 saddr @routed accept
    goto shared
  }
  chain source {
    type nat hook postrouting priority srcnat; policy accept;
    iifname "${forwardingLink}" accept
    oifname "${externalLink}" goto translation
    iifname "${tenantLink}" oifname != "${forwardingLink}" ct status dnat goto translation
  }
  chain bgp_received {
    tcp dport 179 accept
    udp dport { 3784, 4784 } accept
  }
  chain network_received {
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
    ip6 daddr ff00::/8 drop
    fib daddr . iif type != local goto refused
    ct state established,related accept
    icmp type echo-request accept
    icmpv6 type echo-request accept
    ip saddr @bgp_peers jump bgp_received
    ip6 saddr @bgp_peers6 jump bgp_received
    goto refused
  }
  chain input {
    type filter hook input priority filter; policy drop;
    iifname "${forwardingLink}" goto network_received
    ct state established,related accept
    icmp type echo-request accept
    icmpv6 type echo-request accept
    iifname "${externalLink}" ip daddr . ip saddr @peers goto ipsec_received
    iifname "${externalLink}" ip6 daddr . ip6 saddr @peers6 goto ipsec_received
    iifname "${tunnelLink}" ip saddr @bgp_peers goto bgp_received
    iifname "${tunnelLink}" ip6 saddr @bgp_peers6 goto bgp_received
  }
  chain from_network {
    ct status snat,dnat goto refused
    oifname "${tenantLink}" ip daddr @forwarded accept
    oifname "${tenantLink}" ip6 daddr @forwarded6 accept
    goto refused
  }
  chain to_network {
    ct status snat,dnat goto refused
    iifname "${tenantLink}" ip saddr @forwarded jump outward
    iifname "${tenantLink}" ip6 saddr @forwarded6 jump outward
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } fib saddr . oif type local accept
    ip6 daddr ff02::/16 drop
    iifname { "${tenantLink}", "${tunnelLink}", "${externalLink}", "${forwardingLink}" } goto refused
    udp sport { 500, 4500 } goto refused
    fib saddr . oif type local jump outward
    goto refused
  }
  chain leaving {
    type filter hook postrouting priority 300; policy drop;
    tcp flags syn / syn,rst jump segments
    oifname "${externalLink}" iifname != "${forwardingLink}" ct status snat,dnat jump outward
    oifname "${tenantLink}" iifname != "${forwardingLink}" ct state established,related accept
    oifname "${forwardingLink}" goto to_network
    iifname "${forwardingLink}" goto from_network
    oifname "${externalLink}" iifname != ${INSIDE} ip saddr @external jump outward
    oifname "${externalLink}" iifname != ${INSIDE} ip6 saddr @external6 jump outward
    oifname "${externalLink}" ip6 saddr @routed jump outward
    oifname "${tenantLink}" ct status dnat accept
    oifname "${tenantLink}" ip6 daddr @routed accept
    oifname "lo" accept
    ip6 daddr ff02::/16 drop
    oifname "${tunnelLink}" ct state established,related accept
    oifname "${tunnelLink}" iifname != "${externalLink}" accept
    oifname "${tenantLink}" iifname "${tunnelLink}" accept
    oifname "${externalLink}" rt ipsec exists accept
    goto refused
  }
`;

/** The table without policy. `replace` also ends one that is there; without it nothing may be there. */
export function skeletonScript(replace: boolean): string {
  const table = `table ${TABLE} {${SKELETON}}\n`;
  return replace ? `delete table ${TABLE}\n${table}` : table;
}

export const emptyNat: NatState = {
  elements: new Map(ELEMENTS.map((name) => [name, new Map()])),
  chains: new Map(CHAINS.map((name) => [name, []])),
};

/**
 * The commands from `have` to `want`, for one transaction; empty when they are alike. What only grows makes no command
 * that takes something away, for these cost an RCU grace period each time.
 */
export function natChanges(have: NatState, want: NatState): string {
  return [
    ...ELEMENTS.flatMap((name) => elementChanges(name, have.elements.get(name), want.elements.get(name))),
    ...CHAINS.flatMap((name) => chainChanges(name, have.chains.get(name), want.chains.get(name))),
  ].join('\n');
}

type Elements = ReadonlyMap<string, string>;

function elementChanges(
  name: string,
  have: Elements = new Map<string, string>(),
  want: Elements = new Map<string, string>(),
): string[] {
  const stale = [...have].flatMap(([key, value]) => (want.get(key) === value ? [] : key));
  const fresh = [...want].flatMap(([key, value]) => {
    if (have.get(key) === value) return [];
    return value === '' ? key : `${key} : ${value}`;
  });
  const command = (verb: string, elements: string[]): string[] =>
    elements.length === 0 ? [] : [`${verb} element ${TABLE} ${name} { ${elements.join(', ')} }`];
  return [...command('delete', stale), ...command('add', fresh)];
}

function chainChanges(chain: string, have: readonly string[] = [], want: readonly string[] = []): string[] {
  if (want.join('\n') === have.join('\n')) return [];
  return [
    ...(have.length > 0 ? [`flush chain ${TABLE} ${chain}`] : []),
    ...want.map((rule) => `add rule ${TABLE} ${chain} ${rule}`),
  ];
}
