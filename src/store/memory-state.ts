/**
 * The desired state in memory, with the indexes that the rules read. Every change can note how to take it back, so
 * that a failed commit leaves no trace.
 */
import type {
  CustomerRoute,
  Gateway,
  LookupRecord,
  Nat,
  ProviderAddress,
  ProviderRoute,
  ResourceKind,
  ResourceTypes,
  RoutingDomain,
  VirtualSubnet,
  VmPort,
} from '../policy/resources.ts';
import { destinationKey } from '../policy/rules/customer-route.ts';
import { hasCustomerAddress } from '../policy/rules/lookup-record.ts';
import type { DesiredState } from '../policy/state.ts';
import { isNodeKind, type NodeKind } from './keys.ts';
import type { ResourceKey } from './store.ts';

/** How to take changes back: to be called from the last to the first. */
export type UndoLog = (() => void)[];

/** A resource to write. One member for each kind, so that a switch on `kind` knows the type of the value. */
export type Entry = {
  [K in ResourceKind]: { kind: K; rdid: string; id: string; value: ResourceTypes[K] };
}[ResourceKind];

/** Pairs a key with its value. */
export function entryOf<K extends ResourceKind>(key: ResourceKey<K>, value: ResourceTypes[K]): Entry {
  // The compiler cannot see that kind and value belong together once K is a type parameter.
  return { kind: key.kind, rdid: key.rdid ?? '', id: key.id ?? '', value } as Entry;
}

interface MutableDomain {
  rdid: string;
  handle: number;
  domain: RoutingDomain;
  virtualSubnets: Map<number, VirtualSubnet>;
  lookupRecords: Map<string, LookupRecord>;
  recordByAddress: Map<string, string>;
  providerAddressUse: Map<number, Map<string, number>>;
  customerRoutes: Map<string, CustomerRoute>;
  routeByDestination: Map<string, string>;
  gateway?: Gateway;
  nat?: Nat;
}

export class MemoryState implements DesiredState {
  readonly domains = new Map<string, MutableDomain>();
  readonly providerAddresses = new Map<string, ProviderAddress>();
  readonly providerRoutes = new Map<string, ProviderRoute>();
  readonly ports = new Map<string, VmPort>();
  readonly portsByVsid = new Map<number, Set<string>>();
  readonly vsidOwners = new Map<number, string>();
  readonly externalAddressOwners = new Map<string, string>();
  /** Lookup records of all domains. */
  lookupRecordCount = 0;
  /** Customer routes of all domains. */
  customerRouteCount = 0;

  /** Adds a domain without resources. */
  addDomain(rdid: string, handle: number, value: RoutingDomain, undo: UndoLog): void {
    const domain: MutableDomain = {
      rdid,
      handle,
      domain: value,
      virtualSubnets: new Map(),
      lookupRecords: new Map(),
      recordByAddress: new Map(),
      providerAddressUse: new Map(),
      customerRoutes: new Map(),
      routeByDestination: new Map(),
    };
    setEntry(this.domains, rdid, domain, undo);
  }

  /** Creates or replaces a resource; a routing domain must be there already. */
  put(entry: Entry, undo: UndoLog): void {
    switch (entry.kind) {
      case 'providerAddress':
        setEntry(this.providerAddresses, entry.id, entry.value, undo);
        return;
      case 'providerRoute':
        setEntry(this.providerRoutes, entry.id, entry.value, undo);
        return;
      case 'port':
        this.#releasePort(entry.id, undo);
        setEntry(this.ports, entry.id, entry.value, undo);
        if (entry.value.virtualSubnetId !== undefined)
          addMember(this.portsByVsid, entry.value.virtualSubnetId, entry.id, undo);
        return;
    }
    const domain = this.#domain(entry.rdid);
    switch (entry.kind) {
      case 'routingDomain':
        setField(domain, 'domain', entry.value, undo);
        break;
      case 'virtualSubnet':
        setEntry(domain.virtualSubnets, Number(entry.id), entry.value, undo);
        setEntry(this.vsidOwners, Number(entry.id), entry.rdid, undo);
        break;
      case 'lookupRecord':
        if (!domain.lookupRecords.has(entry.id)) this.#count('lookupRecordCount', 1, undo);
        releaseRecord(domain, entry.id, undo);
        setEntry(domain.lookupRecords, entry.id, entry.value, undo);
        countUse(domain, entry.value, 1, undo);
        if (hasCustomerAddress(entry.value.type)) {
          setEntry(domain.recordByAddress, entry.value.customerAddress, entry.id, undo);
        }
        break;
      case 'customerRoute':
        if (!domain.customerRoutes.has(entry.id)) this.#count('customerRouteCount', 1, undo);
        releaseDestination(domain, entry.id, undo);
        setEntry(domain.customerRoutes, entry.id, entry.value, undo);
        setEntry(domain.routeByDestination, destinationKey(entry.value), entry.id, undo);
        break;
      case 'gateway':
        setField(domain, 'gateway', entry.value, undo);
        break;
      case 'nat':
        this.#releaseAddresses(domain, undo);
        for (const { ipAddress } of entry.value.externalAddresses) {
          setEntry(this.externalAddressOwners, ipAddress, entry.rdid, undo);
        }
        setField(domain, 'nat', entry.value, undo);
        break;
    }
  }

  /** Removes a resource that is there; a domain with all that it has. */
  delete(key: ResourceKey, undo: UndoLog): void {
    const id = key.id ?? '';
    if (isNodeKind(key.kind)) {
      this.#deleteOfNode(key.kind, id, undo);
      return;
    }
    const domain = this.#domain(key.rdid ?? '');
    switch (key.kind) {
      case 'routingDomain':
        for (const vsid of domain.virtualSubnets.keys()) deleteEntry(this.vsidOwners, vsid, undo);
        this.#releaseAddresses(domain, undo);
        this.#count('lookupRecordCount', -domain.lookupRecords.size, undo);
        this.#count('customerRouteCount', -domain.customerRoutes.size, undo);
        deleteEntry(this.domains, domain.rdid, undo);
        break;
      case 'virtualSubnet':
        deleteEntry(domain.virtualSubnets, Number(id), undo);
        deleteEntry(this.vsidOwners, Number(id), undo);
        break;
      case 'lookupRecord':
        this.#count('lookupRecordCount', -1, undo);
        releaseRecord(domain, id, undo);
        deleteEntry(domain.lookupRecords, id, undo);
        break;
      case 'customerRoute':
        this.#count('customerRouteCount', -1, undo);
        releaseDestination(domain, id, undo);
        deleteEntry(domain.customerRoutes, id, undo);
        break;
      case 'gateway':
        setField(domain, 'gateway', undefined, undo);
        break;
      case 'nat':
        this.#releaseAddresses(domain, undo);
        setField(domain, 'nat', undefined, undo);
        break;
    }
  }

  #deleteOfNode(kind: NodeKind, id: string, undo: UndoLog): void {
    switch (kind) {
      case 'providerAddress':
        deleteEntry(this.providerAddresses, id, undo);
        break;
      case 'providerRoute':
        deleteEntry(this.providerRoutes, id, undo);
        break;
      case 'port':
        this.#releasePort(id, undo);
        deleteEntry(this.ports, id, undo);
        break;
    }
  }

  #releasePort(id: string, undo: UndoLog): void {
    const vsid = this.ports.get(id)?.virtualSubnetId;
    if (vsid !== undefined) removeMember(this.portsByVsid, vsid, id, undo);
  }

  #domain(rdid: string): MutableDomain {
    const domain = this.domains.get(rdid);
    if (domain === undefined) throw new Error(`the state has no routing domain ${rdid}`);
    return domain;
  }

  #releaseAddresses(domain: MutableDomain, undo: UndoLog): void {
    for (const { ipAddress } of domain.nat?.externalAddresses ?? []) {
      deleteEntry(this.externalAddressOwners, ipAddress, undo);
    }
  }

  #count(counter: 'lookupRecordCount' | 'customerRouteCount', by: number, undo: UndoLog): void {
    this[counter] += by;
    undo.push(() => {
      this[counter] -= by;
    });
  }
}

/** Takes the record out of the indexes. */
function releaseRecord(domain: MutableDomain, id: string, undo: UndoLog): void {
  const record = domain.lookupRecords.get(id);
  if (record === undefined) return;
  if (hasCustomerAddress(record.type)) deleteEntry(domain.recordByAddress, record.customerAddress, undo);
  countUse(domain, record, -1, undo);
}

function countUse(domain: MutableDomain, record: LookupRecord, by: 1 | -1, undo: UndoLog): void {
  const { virtualSubnetId: vsid, providerAddress } = record;
  let counts = domain.providerAddressUse.get(vsid);
  if (counts === undefined) {
    counts = new Map();
    setEntry(domain.providerAddressUse, vsid, counts, undo);
  }
  const count = (counts.get(providerAddress) ?? 0) + by;
  if (count > 0) setEntry(counts, providerAddress, count, undo);
  else deleteEntry(counts, providerAddress, undo);
  if (counts.size === 0) deleteEntry(domain.providerAddressUse, vsid, undo);
}

function releaseDestination(domain: MutableDomain, id: string, undo: UndoLog): void {
  const route = domain.customerRoutes.get(id);
  if (route !== undefined) deleteEntry(domain.routeByDestination, destinationKey(route), undo);
}

function addMember<K, V>(map: Map<K, Set<V>>, key: K, member: V, undo: UndoLog): void {
  let members = map.get(key);
  if (members === undefined) {
    members = new Set();
    setEntry(map, key, members, undo);
  }
  const into = members.add(member);
  undo.push(() => into.delete(member));
}

/** A set that becomes empty goes. */
function removeMember<K, V>(map: Map<K, Set<V>>, key: K, member: V, undo: UndoLog): void {
  const members = map.get(key);
  if (members === undefined) return;
  members.delete(member);
  undo.push(() => members.add(member));
  if (members.size === 0) deleteEntry(map, key, undo);
}

function setEntry<K, V>(map: Map<K, V>, key: K, value: V, undo: UndoLog): void {
  const before = map.get(key);
  map.set(key, value);
  undo.push(before === undefined ? () => map.delete(key) : () => map.set(key, before));
}

function deleteEntry<K, V>(map: Map<K, V>, key: K, undo: UndoLog): void {
  const before = map.get(key);
  if (before === undefined) return;
  map.delete(key);
  undo.push(() => map.set(key, before));
}

/** Sets a field of a domain; undefined removes it. */
function setField<F extends 'domain' | 'gateway' | 'nat'>(
  domain: MutableDomain,
  field: F,
  value: MutableDomain[F] | undefined,
  undo: UndoLog,
): void {
  const before = domain[field];
  assign(domain, field, value);
  undo.push(() => assign(domain, field, before));
}

function assign<F extends 'domain' | 'gateway' | 'nat'>(
  domain: MutableDomain,
  field: F,
  value: MutableDomain[F] | undefined,
): void {
  if (value === undefined) delete (domain as Partial<MutableDomain>)[field];
  else domain[field] = value;
}
