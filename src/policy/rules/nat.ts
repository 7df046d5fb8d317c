/**
 * Rules of NAT. What a policy says by itself is checked when it is read; with "auto", what needs the address that it was given
 * when it is written.
 */
import { Value } from 'typebox/value';
import { externalAddressesOf } from '../external-addresses.ts';
import { Nat } from '../resources.ts';
import type { DesiredState, DomainState } from '../state.ts';
import {
  checkExternalAddresses,
  normalizeExternalAddress,
  normalizeExternalAddresses,
} from './nat-addresses.ts';
import { checkUseOfAddresses, normalizeMappings, normalizeOneToOne } from './nat-mappings.ts';
import { checkExternalPrefixes, normalizeExternalPrefixes } from './nat-prefixes.ts';
import { deleteInUse, invalid } from './refusal.ts';
import { requireRouting } from './routing-in-use.ts';
import { checkNatOfSites } from './site-peers.ts';
import { requireHostAddress } from './subnet-address.ts';
import { SubnetPrefixes } from './subnet-prefixes.ts';

export function normalizeNat(given: Nat): Nat {
  const value = Value.Default(Nat, { ...given }) as Nat;
  const isAuto = value.externalAddresses === 'auto';
  const nat: Nat = {
    ...value,
    externalAddresses:
      value.externalAddresses === 'auto' ? 'auto' : normalizeExternalAddresses(value.externalAddresses),
    externalPrefixes: normalizeExternalPrefixes(value.externalPrefixes),
    staticMappings: normalizeMappings(value.staticMappings),
    oneToOne: normalizeOneToOne(value.oneToOne),
    algs: [...new Set(value.algs)].sort(),
  };
  if (value.allocatedAddress !== undefined)
    nat.allocatedAddress = normalizeExternalAddress(value.allocatedAddress, '/allocatedAddress');
  if (isAuto) return nat;
  for (const field of ['pool', 'allocatedAddress'] as const) {
    if (nat[field] === undefined) continue;
    const why = 'is there without externalAddresses "auto", to which it belongs';
    throw invalid(
      'auto-only',
      `/${field}`,
      field === 'pool' ? nat.pool : nat.allocatedAddress?.ipAddress,
      why,
    );
  }
  const addresses = externalAddressesOf(nat);
  if (addresses.length + nat.externalPrefixes.length === 0) {
    const why = 'has nothing in it: a NAT policy has at least one of externalAddresses and externalPrefixes';
    throw invalid('external-required', '/externalAddresses', undefined, why);
  }
  checkUseOfAddresses(nat, addresses);
  return nat;
}

/** `value` has the address that "auto" has given it. */
export function checkNat(state: DesiredState, domain: DomainState, value: Nat): void {
  const addresses = externalAddressesOf(value);
  if (value.externalAddresses === 'auto') checkUseOfAddresses(value, addresses);
  checkExternalAddresses(state, domain.rdid, value);
  const subnets = new SubnetPrefixes(domain);
  checkExternalPrefixes(state, domain.rdid, value, addresses, subnets);
  for (const list of ['staticMappings', 'oneToOne'] as const) {
    for (const [index, { internalIpAddress }] of value[list].entries()) {
      const pointer = `/${list}/${index}/internalIpAddress`;
      const prefix = subnets.around(internalIpAddress);
      if (prefix === undefined) {
        const why = 'must be inside the prefixes of a virtual subnet of this routing domain';
        throw invalid('address-in-subnet', pointer, internalIpAddress, why);
      }
      requireHostAddress(pointer, [prefix], internalIpAddress);
    }
  }
  checkNatOfSites(state, domain, value);
  requireRouting({ ...domain, nat: value }, '/externalAddresses');
}

export function checkNatDelete({ siteConnections }: DomainState): void {
  const [name] = siteConnections.keys();
  if (name !== undefined) throw deleteInUse('nat-in-use', 'NAT', `site connection ${name}`);
}
