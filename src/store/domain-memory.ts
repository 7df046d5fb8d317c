/** One routing domain in memory: what belongs to it, the indexes that the rules read, and the versions. */
import {
  type Bgp,
  type CustomerRoute,
  type Forwarding,
  type Gateway,
  type LookupRecord,
  type Nat,
  type RoutingDomain,
  type SingleKind,
  type SiteConnection,
  singleKinds,
  type VirtualSubnet,
} from '../policy/resources.ts';
import { destinationKey } from '../policy/rules/customer-route.ts';
import { hasCustomerAddress } from '../policy/rules/lookup-record.ts';
import type { DomainState } from '../policy/state.ts';
import { Ordered, type Version } from './ordered.ts';
import type { Pace } from './pace.ts';
import { deleteEntry, setEntry, type UndoLog } from './undo.ts';

export interface DomainMemory extends DomainState {
  /** Settled when the domain is created; of a domain in a staged document 0 until the document is taken. */
  handle: number;
  domain: RoutingDomain;
  readonly virtualSubnets: Map<number, VirtualSubnet>;
  readonly lookupRecords: Map<string, LookupRecord>;
  readonly recordByAddress: Map<string, string>;
  readonly providerAddressUse: Map<number, Map<string, number>>;
  readonly customerRoutes: Map<string, CustomerRoute>;
  readonly routeByDestination: Map<string, string>;
  gateway?: Gateway;
  nat?: Nat;
  forwarding?: Forwarding;
  bgp?: Bgp;
  readonly siteConnections: Map<string, SiteConnection>;
  readonly versions: {
    readonly virtualSubnet: Ordered<number>;
    readonly lookupRecord: Ordered<string>;
    readonly customerRoute: Ordered<string>;
    readonly siteConnection: Ordered<string>;
  } & { [K in SingleKind]: Version | undefined };
}

/** A domain without resources. */
export function newDomain(rdid: string, handle: number, domain: RoutingDomain): DomainMemory {
  return {
    rdid,
    handle,
    domain,
    virtualSubnets: new Map(),
    lookupRecords: new Map(),
    recordByAddress: new Map(),
    providerAddressUse: new Map(),
    customerRoutes: new Map(),
    routeByDestination: new Map(),
    siteConnections: new Map(),
    versions: {
      virtualSubnet: new Ordered(),
      lookupRecord: new Ordered(),
      customerRoute: new Ordered(),
      siteConnection: new Ordered(),
      gateway: undefined,
      nat: undefined,
      forwarding: undefined,
      bgp: undefined,
    },
  };
}

/** How many resources a domain is made of, itself included. */
export function resourcesOf(domain: DomainMemory): number {
  const { virtualSubnets, lookupRecords, customerRoutes, siteConnections } = domain;
  const singles = singleKinds.filter((kind) => domain[kind] !== undefined).length;
  return 1 + virtualSubnets.size + lookupRecords.size + customerRoutes.size + siteConnections.size + singles;
}

/** A copy that can be changed without the original; the resources are the same objects. */
export async function cloneDomain(domain: DomainMemory, pace: Pace): Promise<DomainMemory> {
  const { versions } = domain;
  const copy: DomainMemory = {
    ...domain,
    virtualSubnets: new Map(domain.virtualSubnets),
    lookupRecords: new Map(),
    recordByAddress: new Map(),
    providerAddressUse: new Map(),
    customerRoutes: new Map(),
    routeByDestination: new Map(),
    siteConnections: new Map(domain.siteConnections),
    versions: {
      ...versions,
      virtualSubnet: versions.virtualSubnet.clone(),
      lookupRecord: versions.lookupRecord.clone(),
      customerRoute: versions.customerRoute.clone(),
      siteConnection: versions.siteConnection.clone(),
    },
  };
  await copyEntries(domain.lookupRecords, copy.lookupRecords, pace);
  await copyEntries(domain.recordByAddress, copy.recordByAddress, pace);
  await copyEntries(domain.customerRoutes, copy.customerRoutes, pace);
  await copyEntries(domain.routeByDestination, copy.routeByDestination, pace);
  for (const [vsid, counts] of domain.providerAddressUse) copy.providerAddressUse.set(vsid, new Map(counts));
  return copy;
}

async function copyEntries<K, V>(from: ReadonlyMap<K, V>, to: Map<K, V>, pace: Pace): Promise<void> {
  for (const [key, value] of from) {
    to.set(key, value);
    if (pace.isOver) await pace.rest();
  }
}

export function setRecord(domain: DomainMemory, id: string, record: LookupRecord, undo: UndoLog): void {
  releaseRecord(domain, id, undo);
  setEntry(domain.lookupRecords, id, record, undo);
  countUse(domain, record, 1, undo);
  if (hasCustomerAddress(record.type)) setEntry(domain.recordByAddress, record.customerAddress, id, undo);
}

export function deleteRecord(domain: DomainMemory, id: string, undo: UndoLog): void {
  releaseRecord(domain, id, undo);
  deleteEntry(domain.lookupRecords, id, undo);
}

export function setRoute(domain: DomainMemory, id: string, route: CustomerRoute, undo: UndoLog): void {
  releaseDestination(domain, id, undo);
  setEntry(domain.customerRoutes, id, route, undo);
  setEntry(domain.routeByDestination, destinationKey(route), id, undo);
}

export function deleteRoute(domain: DomainMemory, id: string, undo: UndoLog): void {
  releaseDestination(domain, id, undo);
  deleteEntry(domain.customerRoutes, id, undo);
}

/** Sets a field of a domain; undefined removes it. */
export function setField<F extends 'domain' | SingleKind>(
  domain: DomainMemory,
  field: F,
  value: DomainMemory[F] | undefined,
  undo: UndoLog,
): void {
  const before = domain[field];
  assign(domain, field, value);
  undo.push(() => assign(domain, field, before));
}

function assign<F extends 'domain' | SingleKind>(
  domain: DomainMemory,
  field: F,
  value: DomainMemory[F] | undefined,
): void {
  if (value === undefined) delete (domain as Partial<DomainMemory>)[field];
  else domain[field] = value;
}

/** Takes the record out of the indexes. */
function releaseRecord(domain: DomainMemory, id: string, undo: UndoLog): void {
  const record = domain.lookupRecords.get(id);
  if (record === undefined) return;
  if (hasCustomerAddress(record.type)) deleteEntry(domain.recordByAddress, record.customerAddress, undo);
  countUse(domain, record, -1, undo);
}

function countUse(domain: DomainMemory, record: LookupRecord, by: 1 | -1, undo: UndoLog): void {
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

function releaseDestination(domain: DomainMemory, id: string, undo: UndoLog): void {
  const route = domain.customerRoutes.get(id);
  if (route !== undefined) deleteEntry(domain.routeByDestination, destinationKey(route), undo);
}
