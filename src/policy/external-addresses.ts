/** Which external addresses and ports a NAT policy has, whoever chose them. */
import type { ExternalAddress, Nat } from './resources.ts';

/** Those that it names, or the one that it was given from a pool. */
export function externalAddressesOf({
  externalAddresses,
  allocatedAddress,
}: Pick<Nat, 'externalAddresses' | 'allocatedAddress'>): readonly ExternalAddress[] {
  if (externalAddresses !== 'auto') return externalAddresses;
  return allocatedAddress === undefined ? [] : [allocatedAddress];
}
