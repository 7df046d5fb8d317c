/** What a forwarding policy routes, with its defaults: prefixes of the tenant that pass, and destinations behind its next hops. */
import { addressFamily, addressOrder, networkAddress, parsePrefix } from './address.ts';
import { externalAddressesOf } from './external-addresses.ts';
import { sorted } from './order.ts';
import type { ForwardingPlan } from './plan.ts';
import { outermost } from './prefix-set.ts';
import type { Forwarding, Nat } from './resources.ts';
import type { DomainState } from './state.ts';

const everything = { 4: '0.0.0.0/0', 6: '::/0' } as const;

/** The subnet that an `address/length` is in. */
export function subnetOf(interfaceAddress: string): string {
  return parsePrefix(interfaceAddress)?.text ?? interfaceAddress;
}

export function prefixFamily(prefix: string): 4 | 6 {
  return addressFamily(networkAddress(prefix));
}

/** Ascending by prefix. By default all of each family that has a next hop and nothing outside of NAT's. */
export function forwardingRoutes(
  { nextHops, destinationPrefixes }: Forwarding,
  nat: Nat | undefined,
): ForwardingPlan['routes'] {
  const translated = familiesOfNat(nat);
  const families = ([4, 6] as const).filter((family) => !translated.has(family));
  const prefixes = destinationPrefixes ?? families.map((family) => everything[family]);
  return sorted(prefixes, addressOrder).flatMap((prefix) => {
    const hops = nextHops.filter((hop) => addressFamily(hop) === prefixFamily(prefix));
    return hops.length === 0 ? [] : { prefix, nextHops: sorted(hops, addressOrder) };
  });
}

/** Those of which NAT has the way to everywhere. */
export function familiesOfNat(nat: Nat | undefined): Set<4 | 6> {
  if (nat === undefined) return new Set();
  const families = externalAddressesOf(nat).map(({ ipAddress }) => addressFamily(ipAddress));
  return new Set(nat.externalPrefixes.length > 0 ? [...families, 6] : families);
}

/** Ascending, none within another. */
export function advertisedPrefixes(
  { virtualSubnets }: Pick<DomainState, 'virtualSubnets'>,
  { advertise }: Pick<Forwarding, 'advertise'>,
): string[] {
  return sorted(outermost(advertise ?? ownPrefixes({ virtualSubnets })), addressOrder);
}

/** Those of its virtual subnets but gateway subnets. */
export function ownPrefixes({ virtualSubnets }: Pick<DomainState, 'virtualSubnets'>): string[] {
  return [...virtualSubnets.values()].flatMap(({ isGatewaySubnet, addressPrefixes }) =>
    isGatewaySubnet ? [] : addressPrefixes,
  );
}
