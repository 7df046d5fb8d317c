/**
 * NAT policy of one routing domain as an nftables ruleset. Pure: what comes out depends only on the plan.
 *
 * The ruleset fails closed. Forwarding has policy drop; what may go out is accepted there, and the last chain behind
 * source NAT lets nothing out whose source is not one of the domain's own external addresses. Without a NAT policy
 * that set is empty, and nothing leaves.
 *
 * It is written in nft's own language, which an operator reads as `nft list ruleset` shows it; libnftables' JSON has no
 * way to say a map to address and port (nft 1.0.6, Debian 12). All that is put into it was made canonical by `policy/`.
 */
import { createHash } from 'node:crypto';
import type { ExternalAddressPlan, NatPlan, PortMappingPlan } from '../policy/plan.ts';

export const natTable = { family: 'ip', table: 'hnvgw' } as const;

/** Interface names inside every routing context: towards the tenant, towards the uplink. */
export const tenantLink = 'hnv';
export const externalLink = 'ext';

/** A ruleset as one transaction, and the mark by which it is known again after a restart. */
export interface Ruleset {
  /** Replaces the table as a whole: packets meet the old rules or the new ones, never none. */
  script: string;
  /** Comment of the `forward` chain's last rule: digest of the whole ruleset. */
  mark: string;
}

const elements = (list: readonly string[]): string =>
  list.length === 0 ? '' : `elements = { ${list.join(', ')} }`;

/**
 * Source NAT for one of `count` external addresses. A tenant's address always gets the same one (RFC 4787 REQ-2,
 * "paired"): chosen by a hash of the inner source.
 */
function sourceRules(address: ExternalAddressPlan, index: number, count: number, seed: number): string[] {
  const pick = count === 1 ? '' : `jhash ip saddr mod ${count} seed ${seed} == ${index} `;
  const match = `oifname "${externalLink}" ${pick}`;
  const whole = `${match}snat to ${address.address}`;
  if (address.portStart === undefined || address.portEnd === undefined) return [whole];
  const range = `${address.portStart}-${address.portEnd}`;
  return [`${match}meta l4proto { tcp, udp } snat to ${address.address}:${range}`, whole];
}

function mappingElement(mapping: PortMappingPlan): string {
  const outside = [mapping.externalAddress, mapping.protocol, mapping.externalPort, mapping.remotePrefix ?? '0.0.0.0/0'];
  return `${outside.join(' . ')} : ${mapping.internalAddress} . ${mapping.internalPort}`;
}

function body(nat: NatPlan, seed: number): string {
  const { externalAddresses, portMappings } = nat;
  const sources = externalAddresses.flatMap((a, i) => sourceRules(a, i, externalAddresses.length, seed));
  return `
  set external {
    type ipv4_addr
    ${elements(externalAddresses.map((a) => a.address))}
  }
  map mappings {
    type ipv4_addr . inet_proto . inet_service . ipv4_addr : ipv4_addr . inet_service
    flags interval
    ${elements(portMappings.map(mappingElement))}
  }
  chain destination {
    type nat hook prerouting priority dstnat; policy accept;
    iifname "${externalLink}" dnat ip to ip daddr . ip protocol . th dport . ip saddr map @mappings
  }
  chain source {
    type nat hook postrouting priority srcnat; policy accept;
    ${sources.join('\n    ')}
  }
  chain translated {
    type filter hook postrouting priority 300; policy accept;
    oifname "${externalLink}" ip saddr != @external counter drop
  }
  chain input {
    type filter hook input priority filter; policy drop;
    ct state established,related accept
    icmp type echo-request accept
  }
  chain forward {
    type filter hook forward priority filter; policy drop;
    iifname "${tenantLink}" oifname "${externalLink}" accept
    iifname "${externalLink}" oifname "${tenantLink}" ct state established,related accept
    iifname "${externalLink}" oifname "${tenantLink}" ct status dnat accept
`;
}

/**
 * The ruleset of a domain's context. `rdid` seeds the choice among several external addresses, so that a restart or
 * another node chooses the same.
 */
export function natRuleset(rdid: string, nat: NatPlan | undefined): Ruleset {
  const seed = createHash('sha256').update(rdid).digest().readUInt32LE(0);
  const rules = body(nat ?? { externalAddresses: [], portMappings: [] }, seed);
  const mark = `hnvgw ${createHash('sha256').update(rules).digest('hex').slice(0, 32)}`;
  const table = `table ${natTable.family} ${natTable.table}`;
  const script = `${table}\ndelete ${table}\n${table} {${rules}    counter drop comment "${mark}"\n  }\n}\n`;
  return { script, mark };
}
