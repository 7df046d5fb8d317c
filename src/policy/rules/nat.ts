/**
 * Rules of NAT: whose an external address is, and which inside host a connection from outside reaches.
 */
import type { HnvError } from '../../errors.ts';
import {
  addressFamily,
  addressOrder,
  networkAddress,
  overlaps,
  parsePrefix,
  prefixAround,
} from '../address.ts';
import type { ExternalAddress, Nat, StaticMapping } from '../resources.ts';
import type { DesiredState, DomainState } from '../state.ts';
import { addressField, prefixField, unicastField } from './field.ts';
import { conflict, invalid } from './refusal.ts';
import { requireHostAddress } from './subnet-address.ts';

const EVERYBODY = { 4: '0.0.0.0/0', 6: '::/0' } as const;

/** Whether the prefix has all addresses of its family. */
export function isEverybody(prefix: string): boolean {
  return prefix === EVERYBODY[4] || prefix === EVERYBODY[6];
}

export function normalizeNat(value: Nat): Nat {
  const externalAddresses = value.externalAddresses.map(normalizeExternalAddress);
  const external = new Set<string>();
  for (const [index, { ipAddress }] of externalAddresses.entries()) {
    if (external.has(ipAddress)) {
      const why = 'is listed more than once: an external address is listed once';
      throw invalid('external-address-once', `/externalAddresses/${index}/ipAddress`, ipAddress, why);
    }
    external.add(ipAddress);
  }
  const staticMappings = (value.staticMappings ?? []).map((mapping, index) =>
    normalizeMapping(mapping, `/staticMappings/${index}`, external),
  );
  checkMappingsUnique(staticMappings);
  return { ...value, externalAddresses, staticMappings };
}

export function checkNat(state: DesiredState, domain: DomainState, value: Nat): void {
  for (const [index, { ipAddress }] of value.externalAddresses.entries()) {
    const pointer = `/externalAddresses/${index}/ipAddress`;
    const owner = state.externalAddressOwners.get(ipAddress);
    if (owner !== undefined && owner !== domain.rdid) {
      throw notAvailable(pointer, ipAddress, `It is an external address of routing domain ${owner}.`);
    }
    if (state.providerAddresses.has(ipAddress)) {
      throw notAvailable(pointer, ipAddress, 'It is a provider address of this node.');
    }
  }
  const subnets = new SubnetPrefixes(domain);
  for (const [index, { internalIpAddress }] of value.staticMappings.entries()) {
    const pointer = `/staticMappings/${index}/internalIpAddress`;
    const prefix = subnets.around(internalIpAddress);
    if (prefix === undefined) {
      const why = 'must be inside the prefixes of a virtual subnet of this routing domain';
      throw invalid('address-in-subnet', pointer, internalIpAddress, why);
    }
    requireHostAddress(pointer, [prefix], internalIpAddress);
  }
}

/** A tenant is told the same whoever has the address. */
function notAvailable(pointer: string, address: string, forOperators: string): HnvError {
  const why =
    'is not available to this routing domain: an external address belongs to one routing domain, and is no provider address';
  return conflict('external-address-available', pointer, address, why, { forOperators });
}

function normalizeExternalAddress(value: ExternalAddress, index: number): ExternalAddress {
  const pointer = `/externalAddresses/${index}`;
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

function normalizeMapping(
  value: StaticMapping,
  pointer: string,
  external: ReadonlySet<string>,
): StaticMapping {
  const externalIpAddress = addressField(`${pointer}/externalIpAddress`, value.externalIpAddress);
  if (!external.has(externalIpAddress)) {
    const why = 'must be one of the externalAddresses';
    throw invalid('mapping-external-address', `${pointer}/externalIpAddress`, externalIpAddress, why);
  }
  const family = addressFamily(externalIpAddress);
  const internalIpAddress = unicastField(`${pointer}/internalIpAddress`, value.internalIpAddress);
  const requireFamily = (field: string, text: string, address: string): void => {
    if (addressFamily(address) === family) return;
    const why = `must be IPv${family}, the family of externalIpAddress ${externalIpAddress}`;
    throw invalid('mapping-family', `${pointer}/${field}`, text, why);
  };
  requireFamily('internalIpAddress', internalIpAddress, internalIpAddress);
  const mapping = { ...value, externalIpAddress, internalIpAddress };
  const remote = value.remoteExternalIpAddressPrefix;
  if (remote === undefined) return mapping;
  const prefix = prefixField(`${pointer}/remoteExternalIpAddressPrefix`, remote);
  requireFamily('remoteExternalIpAddressPrefix', prefix, networkAddress(prefix));
  return { ...mapping, remoteExternalIpAddressPrefix: prefix };
}

/**
 * A connection from outside must match one mapping at most. Prefixes either nest or are disjoint, so that among those
 * of one port, in ascending order, any overlap shows between neighbours.
 */
function checkMappingsUnique(mappings: readonly StaticMapping[]): void {
  const ports = new Map<string, { index: number; remote: string; order: string }[]>();
  for (const [index, mapping] of mappings.entries()) {
    const remote =
      mapping.remoteExternalIpAddressPrefix ?? EVERYBODY[addressFamily(mapping.externalIpAddress)];
    const port = `${mapping.protocol} port ${mapping.externalPort} of ${mapping.externalIpAddress}`;
    const sameport = ports.get(port) ?? [];
    sameport.push({ index, remote, order: addressOrder(remote) });
    ports.set(port, sameport);
  }
  for (const [port, entries] of ports) {
    entries.sort((a, b) => (a.order < b.order ? -1 : a.order > b.order ? 1 : a.index - b.index));
    for (const [position, entry] of entries.entries()) {
      const before = entries[position - 1];
      if (before === undefined || !overlaps(before.remote, entry.remote)) continue;
      const index = Math.max(before.index, entry.index);
      const why = `is mapped already for the same remote addresses: ${port} from ${before.remote} and from ${entry.remote} overlap, and a connection from outside must match one mapping at most`;
      const field = `/staticMappings/${index}/externalPort`;
      throw invalid('mapping-unique', field, mappings[index]?.externalPort, why);
    }
  }
}

/** The domain's prefixes, so that finding the one around an address does not cost more with more subnets. */
class SubnetPrefixes {
  readonly #prefixes = new Set<string>();
  readonly #lengths = { 4: new Set<number>(), 6: new Set<number>() };

  constructor(domain: DomainState) {
    for (const subnet of domain.virtualSubnets.values()) {
      for (const prefix of subnet.addressPrefixes) {
        this.#prefixes.add(prefix);
        this.#lengths[addressFamily(networkAddress(prefix))].add(parsePrefix(prefix)?.length ?? 0);
      }
    }
  }

  around(address: string): string | undefined {
    for (const length of this.#lengths[addressFamily(address)]) {
      const prefix = prefixAround(address, length);
      if (this.#prefixes.has(prefix)) return prefix;
    }
    return undefined;
  }
}
