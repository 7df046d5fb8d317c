/**
 * What of a routing domain is its hoster's to give, and its tenant's only to keep or to drop: external addresses, which
 * are the machine's own, its router's and everybody's on the uplink as long as nobody says whose they are.
 */
import type { ExternalAddress, Nat } from '../resources.ts';
import type { DomainState } from '../state.ts';
import { invalid } from './refusal.ts';

/** Throws HNV_INVALID_FIELD when a tenant's NAT has an external address, or ports of one, that its domain has not. */
export function checkTenantNat(domain: DomainState, { externalAddresses }: Nat): void {
  const held = domain.nat?.externalAddresses ?? [];
  for (const [index, wanted] of externalAddresses.entries()) {
    if (held.some((one) => isSame(one, wanted))) continue;
    const why =
      'must be one that this routing domain has already, with the same ports: an operator gives them';
    throw invalid('external-address-given', `/externalAddresses/${index}/ipAddress`, wanted.ipAddress, why);
  }
}

function isSame(one: ExternalAddress, other: ExternalAddress): boolean {
  return (
    one.ipAddress === other.ipAddress && one.portStart === other.portStart && one.portEnd === other.portEnd
  );
}
