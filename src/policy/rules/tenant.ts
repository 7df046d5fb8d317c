/**
 * What of a routing domain is its hoster's to give, and its tenant's only to keep or to drop: external addresses and prefixes,
 * which are the machine's own, its router's and everybody's on the uplink as long as nobody says whose they are; and how many
 * sessions it may have. All else of its NAT is the tenant's. Forwarding leads into a network of the hoster's, and is the hoster's to
 * give as a whole.
 */
import { isDeepStrictEqual } from 'node:util';
import { externalAddressesOf } from '../external-addresses.ts';
import type { ExternalAddress, Forwarding, Nat } from '../resources.ts';
import type { DomainState } from '../state.ts';
import { invalid } from './refusal.ts';

/** Throws HNV_INVALID_FIELD when a tenant's NAT has what its domain was not given. */
export function checkTenantNat(domain: DomainState, wanted: Nat): void {
  const held = domain.nat;
  checkAddresses(held, wanted);
  const prefixes = new Set(held?.externalPrefixes.map(({ prefix }) => prefix));
  for (const [index, { prefix }] of wanted.externalPrefixes.entries()) {
    if (prefixes.has(prefix)) continue;
    const why = 'must be one that this routing domain has already: an operator gives them';
    throw invalid('external-prefix-given', `/externalPrefixes/${index}/prefix`, prefix, why);
  }
  if (wanted.maxSessions !== held?.maxSessions) {
    const limit = held?.maxSessions === undefined ? 'absent' : held.maxSessions;
    const why = `must stay as it is, ${limit}: an operator sets the limit`;
    throw invalid('max-sessions-given', '/maxSessions', wanted.maxSessions, why);
  }
}

/** Throws HNV_INVALID_FIELD when a tenant's forwarding is not the one that its domain was given. */
export function checkTenantForwarding({ forwarding: held }: DomainState, wanted: Forwarding): void {
  const given = { ...held, ...wanted };
  for (const field of Object.keys(given) as (keyof Forwarding)[]) {
    if (isDeepStrictEqual(wanted[field], held?.[field])) continue;
    const why = 'is not what this routing domain has: an operator gives forwarding';
    throw invalid('forwarding-given', `/${field}`, wanted[field], why);
  }
}

/** "auto" stays with the pool and the address that it has. Of explicit ones, some may stay. */
function checkAddresses(held: Nat | undefined, wanted: Nat): void {
  const rule = 'external-address-given';
  if (wanted.externalAddresses === 'auto') {
    if (held?.externalAddresses !== 'auto') {
      const why = 'is not what this routing domain has: an operator gives external addresses';
      throw invalid(rule, '/externalAddresses', 'auto', why);
    }
    if (wanted.pool !== held.pool) {
      const why = `must stay as it is, ${held.pool ?? 'absent'}: an operator gives external addresses`;
      throw invalid(rule, '/pool', wanted.pool, why);
    }
  }
  const own = held === undefined ? [] : externalAddressesOf(held);
  for (const [index, address] of externalAddressesOf(wanted).entries()) {
    if (own.some((one) => isSame(one, address))) continue;
    const pointer =
      wanted.externalAddresses === 'auto'
        ? '/allocatedAddress/ipAddress'
        : `/externalAddresses/${index}/ipAddress`;
    const why =
      'must be one that this routing domain has already, with the same ports: an operator gives them';
    throw invalid(rule, pointer, address.ipAddress, why);
  }
}

function isSame(one: ExternalAddress, other: ExternalAddress): boolean {
  return (
    one.ipAddress === other.ipAddress && one.portStart === other.portStart && one.portEnd === other.portEnd
  );
}
