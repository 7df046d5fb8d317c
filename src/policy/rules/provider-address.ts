/**
 * Rules of this node's provider addresses. The address itself is the resource's name.
 */
import { addressFamily, canonicalAddress, isForwardableUnicast } from '../address.ts';
import type { ProviderAddress } from '../resources.ts';
import type { DesiredState } from '../state.ts';
import { invalid, invalidName, nameConflict } from './refusal.ts';

export function checkProviderAddress(state: DesiredState, address: string, value: ProviderAddress): void {
  const canonical = canonicalAddress(address);
  if (canonical !== undefined && addressFamily(canonical) === 6) {
    const form = 'unicast IPv4 address; IPv6 comes in a later version';
    throw invalidName('ipv6-not-supported', 'provider address', address, form);
  }
  if (canonical !== address || !isForwardableUnicast(canonical)) {
    const form =
      'unicast IPv4 address of four decimal numbers, not unspecified, loopback, link-local, multicast, reserved or broadcast';
    throw invalidName('provider-address-unicast', 'provider address', address, form);
  }
  if (value.prefixLength > 32) {
    throw invalid('prefix-length', '/prefixLength', value.prefixLength, 'is over 32, the longest of IPv4');
  }
  if (state.externalAddressOwners.has(address)) {
    const why = 'is an external address of a routing domain, which cannot be a provider address too';
    throw nameConflict('provider-address-external', 'Provider address', address, why);
  }
}
