/**
 * NAT policy of one routing domain as an nftables ruleset. Pure: what comes out depends only on the plan.
 *
 * The ruleset fails closed. The chain `leaving`, behind source NAT, has policy drop: to the uplink it lets what was
 * translated and what the context says under an external address of its own; to the tenant, what answers a tenant and
 * what came by a port mapping. One chain there instead of one in the forward hook and another one behind NAT: each
 * costs every packet a traversal.
 *
 * It is written in nft's own language, which an operator reads as `nft list ruleset` shows it; libnftables' JSON has no
 * way to say a map to address and port (nft 1.0.6, Debian 12). All that is put into it was made canonical by `policy/`.
 */
import { createHash } from 'node:crypto';
import { addressBytes } from '../policy/address.ts';
import type { ExternalAddressPlan, NatPlan } from '../policy/plan.ts';

export const natTable = { family: 'ip', table: 'hnvgw' } as const;

/** Interface names inside every routing context: towards the tenant, towards the uplink. */
export const tenantLink = 'hnv';
export const externalLink = 'ext';

const TABLE = `${natTable.family} ${natTable.table}`;

/** What of the ruleset depends on the policy; all the rest is the same in every context. */
export interface NatState {
  /** Members of the set `external`. */
  externals: Set<string>;
  /** Elements of the map `mappings`, key to value, in nft's words. */
  mappings: Map<string, string>;
  /** Rules of the chain `source`, in their order. */
  sources: string[];
}

/** The connection mark of what was given the external address: the address as a number. */
export function conversationMark(address: string): number {
  return Buffer.from(addressBytes(address)).readUInt32BE(12);
}

/**
 * Source NAT for one of `count` external addresses. A tenant's address always gets the same one (RFC 4787 REQ-2,
 * "paired"): chosen by a hash of the inner source.
 */
function sourceRules(address: ExternalAddressPlan, index: number, count: number, seed: number): string[] {
  const pick = count === 1 ? '' : `jhash ip saddr mod ${count} seed ${seed} == ${index} `;
  const match = `oifname "${externalLink}" ${pick}`;
  const snat = `ct mark set ${conversationMark(address.address)} snat to ${address.address}`;
  const whole = `${match}${snat}`;
  if (address.portStart === undefined || address.portEnd === undefined) return [whole];
  const range = `${address.portStart}-${address.portEnd}`;
  return [`${match}meta l4proto { tcp, udp } ${snat}:${range}`, whole];
}

/**
 * What the ruleset of a domain should hold. `rdid` seeds the choice among several external addresses, so that a restart
 * or another node chooses the same. Without a plan nothing is translated, and so nothing passes.
 */
export function natState(rdid: string, plan: NatPlan | undefined): NatState {
  const seed = createHash('sha256').update(rdid).digest().readUInt32LE(0);
  const addresses = plan?.externalAddresses ?? [];
  return {
    externals: new Set(addresses.map(({ address }) => address)),
    mappings: new Map(
      (plan?.portMappings ?? []).map((m) => [
        `${m.externalAddress} . ${m.protocol} . ${m.externalPort} . ${m.remotePrefix ?? '0.0.0.0/0'}`,
        `${m.internalAddress} . ${m.internalPort}`,
      ]),
    ),
    sources: addresses.flatMap((address, i) => sourceRules(address, i, addresses.length, seed)),
  };
}

const SKELETON = `
  set external {
    type ipv4_addr
  }
  map mappings {
    type ipv4_addr . inet_proto . inet_service . ipv4_addr : ipv4_addr . inet_service
    flags interval
  }
  chain destination {
    type nat hook prerouting priority dstnat; policy accept;
    iifname "${externalLink}" dnat ip to ip daddr . ip protocol . th dport . ip saddr map @mappings
  }
  chain source {
    type nat hook postrouting priority srcnat; policy accept;
  }
  chain input {
    type filter hook input priority filter; policy drop;
    ct state established,related accept
    icmp type echo-request accept
  }
  chain leaving {
    type filter hook postrouting priority 300; policy drop;
    oifname "${externalLink}" ct status snat,dnat accept
    oifname "${externalLink}" ip saddr @external accept
    oifname "${tenantLink}" ct state established,related accept
    oifname "${tenantLink}" ct status dnat accept
    oifname "lo" accept
`;

const digest = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 32);

/** Comment of the last rule of `leaving`: by it the skeleton is known again after a restart, or known to be another. */
export const skeletonMark = `hnvgw ${digest(SKELETON)}`;

/** Comment of a rule of `source`. */
export const sourceMark = (rule: string): string => `hnvgw ${digest(rule)}`;

/** The empty ruleset. `replace` also ends one that is there; without it nothing may be there. */
export function skeletonScript(replace: boolean): string {
  const table = `table ${TABLE} {${SKELETON}    counter drop comment "${skeletonMark}"\n  }\n}\n`;
  return replace ? `delete table ${TABLE}\n${table}` : table;
}

/** What `have` the kernel reports of its present content: the marks of the source rules stand for their text. */
export interface PresentNat {
  externals: ReadonlySet<string>;
  mappings: ReadonlyMap<string, string>;
  sourceMarks: readonly string[];
}

export const emptyNat: PresentNat = { externals: new Set(), mappings: new Map(), sourceMarks: [] };

/**
 * The commands from `have` to `want`, for one transaction; empty when they are alike. External addresses that are not
 * wanted any more are left for withoutExternals(). What only grows makes no command that takes something away, for these
 * cost an RCU grace period each time.
 */
export function natChanges(have: PresentNat, want: NatState): string {
  const lines: string[] = [];
  const elements = (verb: 'add' | 'delete', set: string, list: string[]): void => {
    if (list.length > 0) lines.push(`${verb} element ${TABLE} ${set} { ${list.join(', ')} }`);
  };
  const stale = [...have.mappings].filter(([key, value]) => want.mappings.get(key) !== value);
  const fresh = [...want.mappings].filter(([key, value]) => have.mappings.get(key) !== value);
  elements(
    'delete',
    'mappings',
    stale.map(([key]) => key),
  );
  elements(
    'add',
    'external',
    [...want.externals].filter((address) => !have.externals.has(address)),
  );
  elements(
    'add',
    'mappings',
    fresh.map(([key, value]) => `${key} : ${value}`),
  );
  const marks = want.sources.map(sourceMark);
  if (marks.join() !== have.sourceMarks.join()) {
    if (have.sourceMarks.length > 0) lines.push(`flush chain ${TABLE} source`);
    for (const rule of want.sources)
      lines.push(`add rule ${TABLE} source ${rule} comment "${sourceMark(rule)}"`);
  }
  return lines.join('\n');
}

/** The commands that take addresses out of the set `external`. */
export function withoutExternals(addresses: readonly string[]): string {
  return `delete element ${TABLE} external { ${addresses.join(', ')} }`;
}
