/**
 * What of a routing domain the routers of the uplink are told: its external addresses and prefixes, and what it forwards on the
 * untagged network. The node itself is the way to the former; to the latter the domain's routing context is, a router of its own.
 */
import { addressFamily, contains, hostPrefix, networkAddress } from '../policy/address.ts';
import type { ForwardingPlan, NatPlan } from '../policy/plan.ts';

export interface Announcement {
  prefix: string;
  /** Address of the routing context, `address/length`, that packets are to go to instead of the node's. */
  via?: string;
}

/** What is in effect of a plan. */
export interface InEffect {
  nat?: NatPlan | undefined;
  forwarding?: ForwardingPlan | undefined;
}

const familyOf = (prefix: string): 4 | 6 => addressFamily(networkAddress(prefix));

/** `uplink`: name of the interface; on others, and on VLANs, the routers are others. */
export function announcementsOf({ nat, forwarding }: InEffect, uplink: string): Announcement[] {
  return [
    ...(nat?.externalAddresses ?? []).map(({ address }) => ({ prefix: hostPrefix(address) })),
    ...(nat?.prefixes ?? []).map(({ external }) => ({ prefix: external })),
    ...(forwarding?.uplink === uplink && forwarding.vlanId === undefined ? forwarded(forwarding) : []),
  ];
}

function forwarded({ advertise, addresses }: ForwardingPlan): Announcement[] {
  return advertise.flatMap((prefix) => {
    const via = addresses.find((address) => familyOf(address) === familyOf(prefix));
    return via === undefined ? [] : [{ prefix, via }];
  });
}

/** Of all domains, each prefix once: an address may be several domains', by ports. */
export function allOf(domains: Iterable<readonly Announcement[]>): Announcement[] {
  const found = new Map<string, Announcement>();
  for (const announcements of domains) for (const one of announcements) found.set(one.prefix, one);
  return [...found.values()];
}

/**
 * Whether a router can use it: another next hop than the sender must be on a network that it is on, too, unless it looks next hops
 * up, as it does when the session is of one AS or over several hops (RFC 4271 section 5.1.3).
 */
export function isUsable(
  { via }: Announcement,
  peer: { address: string; asn: number; multihop?: number },
  ownAsn: number,
): boolean {
  return (
    via === undefined || peer.multihop !== undefined || peer.asn === ownAsn || contains(via, peer.address)
  );
}
