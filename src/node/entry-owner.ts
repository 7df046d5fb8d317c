/** Which resource an entry of the data plane's maps comes from: of that, a status or an event speaks. */
import { bytesOf, type DomainMap } from '../encap/entries.ts';
import {
  decodeInterfaceKey,
  decodeMembersKey,
  decodePortAddressKey,
  decodeRecordKey,
  decodeRouteKey,
  decodeRouter,
  decodeSubnetKey,
} from '../encap/layout.generated.ts';
import { linkName } from '../linux/links.ts';
import { addressFromBytes } from '../policy/address.ts';
import type { ResourceKind } from '../policy/resources.ts';
import type { DomainState } from '../policy/state.ts';

export interface EntryOwner {
  kind: ResourceKind;
  /** Absent when it may be any, or several, of the kind. */
  id?: string;
}

/** Of a context's port, which belongs to the gateway, or of a VM's. */
function portOf(ifindex: number, { gateway }: DomainState): EntryOwner {
  if (gateway !== undefined) return { kind: 'gateway' };
  const name = linkName(ifindex);
  return name === undefined ? { kind: 'port' } : { kind: 'port', id: name };
}

function routeOf(prefix: string, domain: DomainState): EntryOwner {
  for (const [id, route] of domain.customerRoutes)
    if (route.destinationPrefix === prefix) return { kind: 'customerRoute', id };
  for (const [vsid, { addressPrefixes }] of domain.virtualSubnets)
    if (addressPrefixes.includes(prefix)) return { kind: 'virtualSubnet', id: String(vsid) };
  return { kind: 'customerRoute' };
}

/** IPv4 takes the last 32 of 128 bits, and all have 32 for the domain in front. */
function prefixText(address: string, length: number): string {
  return `${address}/${length - 32 - (address.includes(':') ? 0 : 96)}`;
}

/** `key` and `value` as DomainEntries has them. */
export function entryOwner(domain: DomainState, map: DomainMap, key: string, value: string): EntryOwner {
  const bytes = bytesOf(key);
  switch (map) {
    case 'records': {
      const id = domain.recordByAddress.get(addressFromBytes(decodeRecordKey(bytes).address));
      return id === undefined ? { kind: 'lookupRecord' } : { kind: 'lookupRecord', id };
    }
    case 'stations':
    case 'wildcards':
    case 'sources':
      return { kind: 'lookupRecord' };
    case 'routes': {
      const { address, prefixLength } = decodeRouteKey(bytes);
      return routeOf(prefixText(addressFromBytes(address), prefixLength), domain);
    }
    case 'routers':
      return { kind: 'virtualSubnet', id: String(decodeRouter(bytesOf(value)).vsid) };
    case 'subnets':
      return { kind: 'virtualSubnet', id: String(decodeSubnetKey(bytes).vsid) };
    case 'members':
      return { kind: 'virtualSubnet', id: String(decodeMembersKey(bytes).vsid) };
    case 'external_ports':
      return { kind: 'gateway' };
    case 'externals':
    case 'external_ranges':
    case 'translations':
      return { kind: 'nat' };
    case 'forwarded':
    case 'segment_ports':
    case 'segment_addresses':
    case 'segments':
      return { kind: 'forwarding' };
    case 'peers':
      return { kind: 'siteConnection' };
    case 'port_addresses':
      return portOf(decodePortAddressKey(bytes).ifindex, domain);
    case 'ports_by_link':
      return portOf(decodeInterfaceKey(bytes).ifindex, domain);
    case 'ports_by_mac':
      return domain.gateway === undefined ? { kind: 'port' } : { kind: 'gateway' };
  }
}
