/**
 * Rules of this node's provider addresses. The address itself is the resource's name.
 */

import { addressFamily, canonicalAddress, isForwardableUnicast } from '../address.ts';
import { overlapping } from '../address-ranges.ts';
import { forwardingOwner } from '../forwarding-index.ts';
import type { ProviderAddress } from '../resources.ts';
import type { DesiredState } from '../state.ts';
import { macField } from './field.ts';
import { ownerOfProviderVlan } from './forwarding-owners.ts';
import { checkRoutesOfProviderAddress } from './provider-route.ts';
import { conflict, invalid, invalidName, nameConflict } from './refusal.ts';

export function normalizeProviderAddress(value: ProviderAddress): ProviderAddress {
  if (value.macAddress === undefined) return value;
  return { ...value, macAddress: macField('/macAddress', value.macAddress) };
}

export function checkProviderAddress(state: DesiredState, address: string, value: ProviderAddress): void {
  const canonical = canonicalAddress(address);
  if (canonical !== address || !isForwardableUnicast(canonical)) {
    const form =
      'unicast address, IPv4 as four decimal numbers or IPv6 as RFC 5952 writes it, not unspecified, loopback, ' +
      'link-local, multicast, reserved or broadcast';
    throw invalidName('provider-address-unicast', 'provider address', address, form);
  }
  const family = addressFamily(address);
  const longest = family === 4 ? 32 : 128;
  if (value.prefixLength > longest) {
    const why = `is over ${longest}, the longest of IPv${family}`;
    throw invalid('prefix-length', '/prefixLength', value.prefixLength, why);
  }
  const owner = externalOwner(state, address);
  if (owner !== undefined) {
    const why =
      'is an external address of a routing domain, or in its external prefix, and cannot be a provider address too';
    const forOperators = `That is routing domain ${owner}.`;
    throw nameConflict('provider-address-external', 'Provider address', address, why, { forOperators });
  }
  const forwarding = forwardingOwner(state, undefined, address);
  if (forwarding !== undefined) {
    const why =
      'is an address, or in a prefix, that forwarding has on an untagged network, and cannot be a provider address too';
    throw nameConflict('provider-address-forwarding', 'Provider address', address, why, {
      forOperators: forwarding,
    });
  }
  const vlanOwner = ownerOfProviderVlan(state, value);
  if (vlanOwner !== undefined) {
    const why = 'is the VLAN of a forwarding on that interface, and cannot be of the provider network too';
    const forOperators = `That is of routing domain ${vlanOwner}.`;
    throw conflict('provider-vlan-forwarding', '/vlanId', value.vlanId, why, { forOperators });
  }
  if (state.ports.has(value.interface)) {
    const why = 'is the interface of a port, which cannot carry a provider address too';
    throw conflict('provider-interface-port', '/interface', value.interface, why);
  }
  checkRoutesOfProviderAddress(state, address, value);
}

function externalOwner({ externals }: DesiredState, address: string): string | undefined {
  const [share] = externals.addresses.get(address) ?? [];
  if (share !== undefined || !address.includes(':')) return share?.rdid;
  const [prefix = ''] = overlapping(externals.ranges, address);
  return externals.prefixes.get(prefix);
}
