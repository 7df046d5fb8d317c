/** Rules of static mappings and of one-to-one NAT: which inside host a connection from outside reaches. */
import { addressFamily, addressOrder, networkAddress, overlaps } from '../address.ts';
import { isWhole } from '../external-shares.ts';
import type { ExternalAddress, Nat, OneToOne, StaticMapping } from '../resources.ts';
import { addressField, prefixField, unicastField } from './field.ts';
import { invalid } from './refusal.ts';

const EVERYBODY = { 4: '0.0.0.0/0', 6: '::/0' } as const;

/** Whether the prefix has all addresses of its family. */
export function isEverybody(prefix: string): boolean {
  return prefix === EVERYBODY[4] || prefix === EVERYBODY[6];
}

export function normalizeMappings(given: readonly StaticMapping[]): StaticMapping[] {
  const mappings = given.map((mapping, index) => normalizeMapping(mapping, `/staticMappings/${index}`));
  checkMappingsUnique(mappings);
  return mappings;
}

function normalizeMapping(value: StaticMapping, pointer: string): StaticMapping {
  const externalIpAddress = addressField(`${pointer}/externalIpAddress`, value.externalIpAddress);
  const internalIpAddress = unicastField(`${pointer}/internalIpAddress`, value.internalIpAddress);
  const requireFamily = (field: string, text: string, address: string): void => {
    const family = addressFamily(externalIpAddress);
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

export function normalizeOneToOne(given: readonly OneToOne[]): OneToOne[] {
  const known = { externalIpAddress: new Set<string>(), internalIpAddress: new Set<string>() };
  return given.map((value, index) => {
    const pointer = `/oneToOne/${index}`;
    const pair = {
      externalIpAddress: addressField(`${pointer}/externalIpAddress`, value.externalIpAddress),
      internalIpAddress: unicastField(`${pointer}/internalIpAddress`, value.internalIpAddress),
    };
    const family = addressFamily(pair.externalIpAddress);
    if (addressFamily(pair.internalIpAddress) !== family) {
      const why = `must be IPv${family}, the family of externalIpAddress ${pair.externalIpAddress}`;
      throw invalid('one-to-one-family', `${pointer}/internalIpAddress`, pair.internalIpAddress, why);
    }
    for (const field of ['externalIpAddress', 'internalIpAddress'] as const) {
      if (known[field].has(pair[field])) {
        const why = 'is in oneToOne more than once: an address has one other side at most';
        throw invalid('one-to-one-once', `${pointer}/${field}`, pair[field], why);
      }
      known[field].add(pair[field]);
    }
    return pair;
  });
}

/** That mappings, one-to-one and ALGs have the external addresses that they need. */
export function checkUseOfAddresses(nat: Nat, addresses: readonly ExternalAddress[]): void {
  const external = new Map(addresses.map((address) => [address.ipAddress, address]));
  for (const [index, mapping] of nat.staticMappings.entries()) {
    const pointer = `/staticMappings/${index}`;
    const { externalIpAddress, externalPort } = mapping;
    const address = external.get(externalIpAddress);
    if (address === undefined) {
      const why = 'must be one of the externalAddresses';
      throw invalid('mapping-external-address', `${pointer}/externalIpAddress`, externalIpAddress, why);
    }
    const { portStart = 1, portEnd = 65535 } = address;
    if (externalPort < portStart || externalPort > portEnd) {
      const why = `must be of the block that this routing domain has of ${externalIpAddress}: ${portStart} to ${portEnd}`;
      throw invalid('mapping-port-block', `${pointer}/externalPort`, externalPort, why);
    }
  }
  checkOneToOne(nat, external);
  const block = addresses.find((address) => !isWhole(address));
  if (nat.algs.length > 0 && block !== undefined) {
    const why = `must be empty: with a block of the ports of ${block.ipAddress} only, the connections that the protocols open beside could get ports outside of it; ALGs are there with whole external addresses`;
    throw invalid('alg-whole-address', '/algs', nat.algs.join(', '), why);
  }
  checkFiltering(nat, addresses);
}

/** libnftables 1.0.6 (Debian 12) has no room for the bindings of IPv6 endpoints. */
function checkFiltering({ filtering, oneToOne }: Nat, addresses: readonly ExternalAddress[]): void {
  const address = addresses.find(
    ({ ipAddress }) =>
      addressFamily(ipAddress) === 6 && !oneToOne.some((pair) => pair.externalIpAddress === ipAddress),
  );
  if (address === undefined) return;
  for (const protocol of ['tcp', 'udp'] as const) {
    if (filtering[protocol] === 'addressAndPortDependent') continue;
    const why = `must be addressAndPortDependent with the external address ${address.ipAddress}: other filtering is there for IPv4 only, and IPv6 needs no NAT (externalPrefixes)`;
    throw invalid('filtering-ipv4', `/filtering/${protocol}`, filtering[protocol], why);
  }
}

function checkOneToOne(nat: Nat, external: ReadonlyMap<string, ExternalAddress>): void {
  const mapped = new Set(nat.staticMappings.map(({ externalIpAddress }) => externalIpAddress));
  for (const [index, { externalIpAddress }] of nat.oneToOne.entries()) {
    const pointer = `/oneToOne/${index}/externalIpAddress`;
    const address = external.get(externalIpAddress);
    if (address === undefined || !isWhole(address)) {
      const why = 'must be one of the externalAddresses, without portStart and portEnd';
      throw invalid('one-to-one-external', pointer, externalIpAddress, why);
    }
    if (mapped.has(externalIpAddress)) {
      const why = 'has static mappings: all ports of an address in oneToOne lead to its inside address';
      throw invalid('one-to-one-mapping', pointer, externalIpAddress, why);
    }
  }
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
