/** Rules of external addresses: an address is one routing domain's, whole, or in port blocks that do not overlap. */
import type { HnvError } from '../../errors.ts';
import { overlapping } from '../address-ranges.ts';
import { externalAddressesOf } from '../external-addresses.ts';
import { isWhole, shareOf, shareOfOthers } from '../external-shares.ts';
import { forwardingOwner } from '../forwarding-index.ts';
import type { ExternalAddress, Nat } from '../resources.ts';
import type { DesiredState } from '../state.ts';
import { unicastField } from './field.ts';
import { conflict, invalid } from './refusal.ts';

export function normalizeExternalAddresses(given: readonly ExternalAddress[]): ExternalAddress[] {
  const external = new Set<string>();
  return given.map((value, index) => {
    const pointer = `/externalAddresses/${index}`;
    const address = normalizeExternalAddress(value, pointer);
    if (external.has(address.ipAddress)) {
      const why = 'is listed more than once: an external address is listed once';
      throw invalid('external-address-once', `${pointer}/ipAddress`, address.ipAddress, why);
    }
    external.add(address.ipAddress);
    return address;
  });
}

export function normalizeExternalAddress(value: ExternalAddress, pointer: string): ExternalAddress {
  const { portStart, portEnd } = value;
  const ipAddress = unicastField(`${pointer}/ipAddress`, value.ipAddress);
  if (portStart === undefined && portEnd === undefined) return { ...value, ipAddress };
  if (portStart === undefined || portEnd === undefined) {
    const [field, port] = portStart === undefined ? ['portEnd', portEnd] : ['portStart', portStart];
    const why = 'is alone: a port range has both portStart and portEnd, or neither';
    throw invalid('port-range-both', `${pointer}/${field}`, port, why);
  }
  if (portStart > portEnd) {
    const why = `is before portStart ${portStart}: a port range ends where it begins or after`;
    throw invalid('port-range-order', `${pointer}/portEnd`, portEnd, why);
  }
  return { ...value, ipAddress };
}

/** What the domain `rdid` asks for must be free. */
export function checkExternalAddresses(state: DesiredState, rdid: string, nat: Nat): void {
  for (const [index, address] of externalAddressesOf(nat).entries()) {
    const owner = ownerOf(state, rdid, address);
    if (owner === undefined) continue;
    const pointer =
      nat.externalAddresses === 'auto'
        ? '/allocatedAddress/ipAddress'
        : `/externalAddresses/${index}/ipAddress`;
    throw notAvailable(pointer, address.ipAddress, owner);
  }
}

/** Who has the address, or ports of it, so that the domain `rdid` cannot, as a sentence; undefined when it can. */
export function ownerOf(state: DesiredState, rdid: string, address: ExternalAddress): string | undefined {
  const { ipAddress } = address;
  if (state.providerAddresses.has(ipAddress)) return 'It is a provider address of this node.';
  const shares = state.externals.addresses.get(ipAddress);
  const other = shareOfOthers(shares, shareOf(rdid, address));
  if (other !== undefined) {
    const owner = `external address of routing domain ${other.rdid}`;
    return isWhole(other)
      ? `It is an ${owner}.`
      : `With ports ${other.portStart} to ${other.portEnd} it is an ${owner}.`;
  }
  if (ipAddress.includes(':')) {
    for (const text of overlapping(state.externals.ranges, ipAddress)) {
      const owner = state.externals.prefixes.get(text);
      if (owner !== undefined && owner !== rdid)
        return `It is in external prefix ${text} of routing domain ${owner}.`;
    }
  }
  return forwardingOwner(state, rdid, ipAddress);
}

/** A tenant is told the same whoever has the address. */
function notAvailable(pointer: string, address: string, forOperators: string): HnvError {
  const why =
    'is not available to this routing domain: an external address belongs to one routing domain, or its ports do in blocks, and it is no provider address';
  return conflict('external-address-available', pointer, address, why, { forOperators });
}
