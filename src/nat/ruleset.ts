/**
 * NAT policy of one routing domain as an nftables ruleset. Pure: what comes out depends only on the plan and the MTUs.
 *
 * The ruleset fails closed. The chain `leaving`, behind source NAT, has policy drop: to the uplink it lets what was
 * translated and what the context says under an external address of its own; to the tenant, what answers a tenant and
 * what came by a port mapping. One chain there instead of one in the forward hook and another one behind NAT: each costs
 * every packet a traversal. One table of family `inet` holds both families, with a set and a map for each, because a set
 * has one type of address.
 *
 * It is written in nft's own language, which an operator reads as `nft list ruleset` shows it; libnftables' JSON has no
 * way to say a map to address and port (nft 1.0.6, Debian 12). All that is put into it was made canonical by `policy/`.
 */
import { createHash } from 'node:crypto';
import { addressBytes, addressFamily } from '../policy/address.ts';
import type { ExternalAddressPlan, NatPlan } from '../policy/plan.ts';

export const natTable = { family: 'inet', table: 'hnvgw' } as const;

/** Interface names inside every routing context: towards the tenant, towards the uplink. */
export const tenantLink = 'hnv';
export const externalLink = 'ext';

const TABLE = `${natTable.family} ${natTable.table}`;

type Family = 4 | 6;
const FAMILIES: readonly Family[] = [4, 6];

/** What rules and elements of each family are named by. */
const WORDS = {
  4: { ip: 'ip', nfproto: 'ipv4', external: 'external', mappings: 'mappings', everybody: '0.0.0.0/0' },
  6: { ip: 'ip6', nfproto: 'ipv6', external: 'external6', mappings: 'mappings6', everybody: '::/0' },
} as const;

/** Names of the sets of external addresses, and of the maps of port mappings. */
export const externalSets: readonly string[] = FAMILIES.map((family) => WORDS[family].external);
export const mappingMaps: readonly string[] = FAMILIES.map((family) => WORDS[family].mappings);

/** IP and TCP headers without options: what a segment's packet has beside its data. */
const TCP_HEADERS = { 4: 40, 6: 60 } as const;

/** MTUs of the context's links, bytes. */
export interface ContextMtu {
  /** Of `hnv`. */
  tenant: number;
  /** Of `ext`. */
  external: number;
}

/** What of the ruleset depends on the policy; all the rest is the same in every context. */
export interface NatState {
  /** Members of the sets of external addresses. */
  externals: Set<string>;
  /** Elements of the maps of mappings, key to value, in nft's words. */
  mappings: Map<string, string>;
  /** Rules of the chain `source`, in their order. */
  sources: string[];
  /** Rules of the chain `segments`, in their order. */
  segments: string[];
}

/**
 * The connection mark of what was given the external address: an IPv4 address as a number, 32 bits of an IPv6 address's
 * SHA-256. Should two addresses ever share one, conversations of the other end too when one is taken away, and go on
 * again.
 */
export function conversationMark(address: string): number {
  const bytes = Buffer.from(addressBytes(address));
  if (addressFamily(address) === 4) return bytes.readUInt32BE(12);
  return createHash('sha256').update(bytes).digest().readUInt32BE(0);
}

/**
 * Source NAT for one of `count` external addresses of a family. A tenant's address always gets the same one (RFC 4787
 * REQ-2, "paired"): chosen by a hash of the inner source.
 */
function sourceRules(address: ExternalAddressPlan, index: number, count: number, seed: number): string[] {
  const family = addressFamily(address.address);
  const { ip, nfproto } = WORDS[family];
  const pick =
    count === 1 ? `meta nfproto ${nfproto}` : `jhash ${ip} saddr mod ${count} seed ${seed} == ${index}`;
  const match = `oifname "${externalLink}" ${pick}`;
  const mark = `ct mark set ${conversationMark(address.address)} snat ${ip} to`;
  const whole = `${match} ${mark} ${address.address}`;
  if (address.portStart === undefined || address.portEnd === undefined) return [whole];
  const host = family === 4 ? address.address : `[${address.address}]`;
  const range = `${address.portStart}-${address.portEnd}`;
  return [`${match} meta l4proto { tcp, udp } ${mark} ${host}:${range}`, whole];
}

/**
 * What the ruleset of a domain should hold. `rdid` seeds the choice among several external addresses, so that a restart
 * or another node chooses the same. Without a plan nothing is translated, and so nothing passes.
 */
export function natState(rdid: string, plan: NatPlan | undefined, mtu: ContextMtu): NatState {
  const seed = createHash('sha256').update(rdid).digest().readUInt32LE(0);
  const addresses = plan?.externalAddresses ?? [];
  return {
    externals: new Set(addresses.map(({ address }) => address)),
    mappings: new Map(
      (plan?.portMappings ?? []).map((m) => {
        const remote = m.remotePrefix ?? WORDS[addressFamily(m.externalAddress)].everybody;
        return [
          `${m.externalAddress} . ${m.protocol} . ${m.externalPort} . ${remote}`,
          `${m.internalAddress} . ${m.internalPort}`,
        ];
      }),
    ),
    sources: FAMILIES.flatMap((family) => {
      const ofFamily = addresses.filter(({ address }) => addressFamily(address) === family);
      return ofFamily.flatMap((address, i) => sourceRules(address, i, ofFamily.length, seed));
    }),
    segments: FAMILIES.map((family) => {
      const size = Math.min(mtu.tenant, mtu.external) - TCP_HEADERS[family];
      return `meta nfproto ${WORDS[family].nfproto} tcp option maxseg size set ${size}`;
    }),
  };
}

/*
 * Only a connection's first packet passes chains of type nat, so that what is checked there costs the others nothing:
 * IPv6 has no rp_filter, and a source that the tenant has must not come from the uplink.
 *
 * `segments` lowers the largest segment that a TCP side offers, in each direction, to what both links take: neither side
 * then depends on ICMP to find the tunnel's MTU. The sizes are constants because nft's `rt mtu` finds the tenant's link by
 * the packet's source, which behind source NAT is an address of the context itself. A smaller size stays as it is.
 *
 * ICMP errors of the context itself are `related`, even those about the first packet of a conversation (traceroute): the
 * kernel gives them the conversation of the packet that they are about.
 *
 * Neighbours are permanent, so that no neighbour discovery comes in or goes out. Multicast listener reports, which the
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
  chain destination {
    type nat hook prerouting priority dstnat; policy accept;
    iifname "${externalLink}" meta nfproto ipv6 fib saddr . iif oif missing drop
    iifname "${externalLink}" meta l4proto { tcp, udp } dnat ip to ip daddr . meta l4proto . th dport . ip saddr map @mappings
    iifname "${externalLink}" meta l4proto { tcp, udp } dnat ip6 to ip6 daddr . meta l4proto . th dport . ip6 saddr map @mappings6
  }
  chain source {
    type nat hook postrouting priority srcnat; policy accept;
  }
  chain segments {
  }
  chain input {
    type filter hook input priority filter; policy drop;
    ct state established,related accept
    icmp type echo-request accept
    icmpv6 type echo-request accept
  }
  chain leaving {
    type filter hook postrouting priority 300; policy drop;
    tcp flags syn / syn,rst jump segments
    oifname "${externalLink}" ct status snat,dnat accept
    oifname "${externalLink}" ip saddr @external accept
    oifname "${externalLink}" ip6 saddr @external6 accept
    oifname "${tenantLink}" ct state established,related accept
    oifname "${tenantLink}" ct status dnat accept
    oifname "lo" accept
    ip6 daddr ff02::/16 drop
`;

const digest = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 32);

/** Comment of the last rule of `leaving`: by it the skeleton is known again after a restart, or known to be another. */
export const skeletonMark = `hnvgw ${digest(SKELETON)}`;

/** Comment of a rule of `source` or `segments`. */
export const ruleMark = (rule: string): string => `hnvgw ${digest(rule)}`;

/** The empty ruleset. `replace` also ends one that is there; without it nothing may be there. */
export function skeletonScript(replace: boolean): string {
  const table = `table ${TABLE} {${SKELETON}    counter drop comment "${skeletonMark}"\n  }\n}\n`;
  return replace ? `delete table ${TABLE}\n${table}` : table;
}

/** What the kernel reports of its present content: the marks of rules stand for their text. */
export interface PresentNat {
  externals: ReadonlySet<string>;
  mappings: ReadonlyMap<string, string>;
  sourceMarks: readonly string[];
  segmentMarks: readonly string[];
}

export const emptyNat: PresentNat = {
  externals: new Set(),
  mappings: new Map(),
  sourceMarks: [],
  segmentMarks: [],
};

/** The commands `verb` of elements, which begin with an address, in the set or map of its family. */
function elementCommands(
  verb: 'add' | 'delete',
  kind: 'external' | 'mappings',
  elements: readonly string[],
): string[] {
  return FAMILIES.flatMap((family) => {
    const ofFamily = elements.filter((element) => addressFamily(element.split(' ', 1)[0] ?? '') === family);
    if (ofFamily.length === 0) return [];
    return `${verb} element ${TABLE} ${WORDS[family][kind]} { ${ofFamily.join(', ')} }`;
  });
}

function chainCommands(chain: string, have: readonly string[], want: readonly string[]): string[] {
  if (want.map(ruleMark).join() === have.join()) return [];
  return [
    ...(have.length > 0 ? [`flush chain ${TABLE} ${chain}`] : []),
    ...want.map((rule) => `add rule ${TABLE} ${chain} ${rule} comment "${ruleMark(rule)}"`),
  ];
}

/**
 * The commands from `have` to `want`, for one transaction; empty when they are alike. External addresses that are not
 * wanted any more are left for withoutExternals(). What only grows makes no command that takes something away, for these
 * cost an RCU grace period each time.
 */
export function natChanges(have: PresentNat, want: NatState): string {
  const stale = [...have.mappings].filter(([key, value]) => want.mappings.get(key) !== value);
  const fresh = [...want.mappings].filter(([key, value]) => have.mappings.get(key) !== value);
  const added = [...want.externals].filter((address) => !have.externals.has(address));
  return [
    ...elementCommands(
      'delete',
      'mappings',
      stale.map(([key]) => key),
    ),
    ...elementCommands('add', 'external', added),
    ...elementCommands(
      'add',
      'mappings',
      fresh.map(([key, value]) => `${key} : ${value}`),
    ),
    ...chainCommands('source', have.sourceMarks, want.sources),
    ...chainCommands('segments', have.segmentMarks, want.segments),
  ].join('\n');
}

/** The commands that take addresses out of the sets of external addresses. */
export function withoutExternals(addresses: readonly string[]): string {
  return elementCommands('delete', 'external', addresses).join('\n');
}
