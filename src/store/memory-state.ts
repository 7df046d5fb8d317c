/**
 * The desired state in memory: values, versions and order of all resources, and the indexes that the rules read. Every
 * change can note how to take it back. A fork is a second state that shares what neither changes.
 */
import {
  type ExternalAddressPool,
  isSingleKind,
  type ProviderAddress,
  type ProviderRoute,
  type ResourceKind,
  type ResourceTypes,
  type SingleKind,
  type VmPort,
} from '../policy/resources.ts';
import type { DesiredState } from '../policy/state.ts';
import {
  cloneDomain,
  type DomainMemory,
  deleteRecord,
  deleteRoute,
  newDomain,
  setField,
  setRecord,
  setRoute,
} from './domain-memory.ts';
import { ExternalOwners } from './external-owners.ts';
import { ForwardingOwners } from './forwarding-owners.ts';
import { isNodeKind, type NodeKind } from './keys.ts';
import { Ordered, type Version } from './ordered.ts';
import type { Pace } from './pace.ts';
import type { Entry, ResourceKey } from './store.ts';
import { addMember, deleteEntry, forGood, removeMember, setEntry, type UndoLog } from './undo.ts';

/** Pairs a key with its value. */
export function entryOf<K extends ResourceKind>(key: ResourceKey<K>, value: ResourceTypes[K]): Entry {
  // The compiler cannot see that kind and value belong together once K is a type parameter.
  return { kind: key.kind, rdid: key.rdid ?? '', id: key.id ?? '', value } as Entry;
}

/** The key of an entry, as the store answers it. */
export function keyOf({ kind, rdid, id }: Entry): ResourceKey {
  if (isNodeKind(kind)) return { kind, id };
  if (kind === 'routingDomain' || isSingleKind(kind)) return { kind, rdid };
  return { kind, rdid, id };
}

function isNodeEntry(entry: Entry): entry is Entry & { kind: NodeKind } {
  return isNodeKind(entry.kind);
}

/** What the rules ask of the node's configuration. */
export type NodeSettings = Pick<DesiredState, 'uplinks' | 'allowsWeakAlgorithms'>;

export class MemoryState implements DesiredState {
  domains = new Map<string, DomainMemory>();
  providerAddresses = new Map<string, ProviderAddress>();
  providerRoutes = new Map<string, ProviderRoute>();
  ports = new Map<string, VmPort>();
  portsByVsid = new Map<number, Set<string>>();
  vsidOwners = new Map<number, string>();
  externalAddressPools = new Map<string, ExternalAddressPool>();
  externals = new ExternalOwners();
  forwardings: ForwardingOwners;
  /** Lookup records of all domains. */
  lookupRecordCount = 0;
  /** Customer routes of all domains. */
  customerRouteCount = 0;
  /** Site connections of all domains. */
  siteConnectionCount = 0;
  /** Of everything that is in no domain, and of the domains themselves. */
  versions = {
    routingDomain: new Ordered<string>(),
    providerAddress: new Ordered<string>(),
    providerRoute: new Ordered<string>(),
    externalAddressPool: new Ordered<string>(),
    port: new Ordered<string>(),
  };
  /** Domains that are another state's too: `own` comes before their changes. */
  #shared: Set<DomainMemory> | undefined;
  readonly uplinks: readonly string[];
  readonly allowsWeakAlgorithms: boolean;

  constructor(settings: NodeSettings) {
    this.uplinks = settings.uplinks;
    this.allowsWeakAlgorithms = settings.allowsWeakAlgorithms;
    this.forwardings = new ForwardingOwners(settings.uplinks);
  }

  /** Creates or replaces a resource. What belongs to a domain finds it there. */
  put(entry: Entry, version: Version, undo: UndoLog): void {
    if (isNodeEntry(entry)) {
      setVersion(this.versions[entry.kind], entry.id, version, undo);
      this.#putOfNode(entry, undo);
      return;
    }
    const { kind, id } = entry;
    const domain = this.#domain(entry.rdid);
    const { versions } = domain;
    switch (kind) {
      case 'routingDomain':
        setVersion(this.versions.routingDomain, entry.rdid, version, undo);
        setField(domain, 'domain', entry.value, undo);
        break;
      case 'virtualSubnet':
        setVersion(versions.virtualSubnet, Number(id), version, undo);
        setEntry(domain.virtualSubnets, Number(id), entry.value, undo);
        setEntry(this.vsidOwners, Number(id), entry.rdid, undo);
        break;
      case 'lookupRecord':
        if (!domain.lookupRecords.has(id)) this.#count('lookupRecordCount', 1, undo);
        setVersion(versions.lookupRecord, id, version, undo);
        setRecord(domain, id, entry.value, undo);
        break;
      case 'customerRoute':
        if (!domain.customerRoutes.has(id)) this.#count('customerRouteCount', 1, undo);
        setVersion(versions.customerRoute, id, version, undo);
        setRoute(domain, id, entry.value, undo);
        break;
      case 'gateway':
        setOnly(versions, 'gateway', version, undo);
        setField(domain, 'gateway', entry.value, undo);
        break;
      case 'nat':
        setOnly(versions, 'nat', version, undo);
        this.#releaseExternals(domain, undo);
        this.externals.take(entry.rdid, entry.value, this.externalAddressPools, undo);
        setField(domain, 'nat', entry.value, undo);
        break;
      case 'forwarding':
        setOnly(versions, 'forwarding', version, undo);
        this.forwardings.release(entry.rdid, domain.forwarding, undo);
        this.forwardings.take(entry.rdid, entry.value, undo);
        setField(domain, 'forwarding', entry.value, undo);
        break;
      case 'bgp':
        setOnly(versions, 'bgp', version, undo);
        setField(domain, 'bgp', entry.value, undo);
        break;
      case 'siteConnection':
        if (!domain.siteConnections.has(id)) this.#count('siteConnectionCount', 1, undo);
        setVersion(versions.siteConnection, id, version, undo);
        setEntry(domain.siteConnections, id, entry.value, undo);
        break;
    }
  }

  /** Adds a domain without resources. */
  addDomain(entry: Entry & { kind: 'routingDomain' }, handle: number, version: Version, undo: UndoLog): void {
    setEntry(this.domains, entry.rdid, newDomain(entry.rdid, handle, entry.value), undo);
    setVersion(this.versions.routingDomain, entry.rdid, version, undo);
  }

  /** Removes a resource that is there; a domain with all that it has. */
  delete(key: ResourceKey, undo: UndoLog): void {
    const id = key.id ?? '';
    if (isNodeKind(key.kind)) {
      setVersion(this.versions[key.kind], id, undefined, undo);
      this.#deleteOfNode(key.kind, id, undo);
      return;
    }
    const domain = this.#domain(key.rdid ?? '');
    const { versions } = domain;
    switch (key.kind) {
      case 'routingDomain':
        for (const vsid of domain.virtualSubnets.keys()) deleteEntry(this.vsidOwners, vsid, undo);
        this.#releaseExternals(domain, undo);
        this.forwardings.release(domain.rdid, domain.forwarding, undo);
        this.#count('lookupRecordCount', -domain.lookupRecords.size, undo);
        this.#count('customerRouteCount', -domain.customerRoutes.size, undo);
        this.#count('siteConnectionCount', -domain.siteConnections.size, undo);
        deleteEntry(this.domains, domain.rdid, undo);
        setVersion(this.versions.routingDomain, domain.rdid, undefined, undo);
        break;
      case 'virtualSubnet':
        setVersion(versions.virtualSubnet, Number(id), undefined, undo);
        deleteEntry(domain.virtualSubnets, Number(id), undo);
        deleteEntry(this.vsidOwners, Number(id), undo);
        break;
      case 'lookupRecord':
        this.#count('lookupRecordCount', -1, undo);
        setVersion(versions.lookupRecord, id, undefined, undo);
        deleteRecord(domain, id, undo);
        break;
      case 'customerRoute':
        this.#count('customerRouteCount', -1, undo);
        setVersion(versions.customerRoute, id, undefined, undo);
        deleteRoute(domain, id, undo);
        break;
      case 'gateway':
      case 'nat':
      case 'forwarding':
      case 'bgp':
        setOnly(versions, key.kind, undefined, undo);
        if (key.kind === 'nat') this.#releaseExternals(domain, undo);
        if (key.kind === 'forwarding') this.forwardings.release(domain.rdid, domain.forwarding, undo);
        setField(domain, key.kind, undefined, undo);
        break;
      case 'siteConnection':
        this.#count('siteConnectionCount', -1, undo);
        setVersion(versions.siteConnection, id, undefined, undo);
        deleteEntry(domain.siteConnections, id, undo);
        break;
    }
  }

  /** A state of its own that is equal. What it does not change it shares with this one, which must not change meanwhile. */
  fork(): MemoryState {
    const fork = new MemoryState(this);
    fork.domains = new Map(this.domains);
    fork.providerAddresses = new Map(this.providerAddresses);
    fork.providerRoutes = new Map(this.providerRoutes);
    fork.ports = new Map(this.ports);
    fork.portsByVsid = new Map([...this.portsByVsid].map(([vsid, names]) => [vsid, new Set(names)]));
    fork.vsidOwners = new Map(this.vsidOwners);
    fork.externalAddressPools = new Map(this.externalAddressPools);
    fork.externals = this.externals.clone();
    fork.forwardings = this.forwardings.clone();
    fork.lookupRecordCount = this.lookupRecordCount;
    fork.customerRouteCount = this.customerRouteCount;
    fork.siteConnectionCount = this.siteConnectionCount;
    fork.versions = {
      routingDomain: this.versions.routingDomain.clone(),
      providerAddress: this.versions.providerAddress.clone(),
      providerRoute: this.versions.providerRoute.clone(),
      externalAddressPool: this.versions.externalAddressPool.clone(),
      port: this.versions.port.clone(),
    };
    fork.#shared = new Set(this.domains.values());
    return fork;
  }

  /** Takes in a domain of another state as it is, which must clash with nothing here; it is shared from then on. */
  adopt(domain: DomainMemory, version: Version): void {
    const { rdid } = domain;
    this.domains.set(rdid, domain);
    this.versions.routingDomain.set(rdid, version);
    for (const vsid of domain.virtualSubnets.keys()) this.vsidOwners.set(vsid, rdid);
    if (domain.nat !== undefined) this.externals.take(rdid, domain.nat, this.externalAddressPools, forGood);
    if (domain.forwarding !== undefined) this.forwardings.take(rdid, domain.forwarding, forGood);
    this.lookupRecordCount += domain.lookupRecords.size;
    this.customerRouteCount += domain.customerRoutes.size;
    this.siteConnectionCount += domain.siteConnections.size;
    this.#shared ??= new Set();
    this.#shared.add(domain);
  }

  /** Makes a domain that is shared this state's own, to be changed. */
  async own(rdid: string, pace: Pace): Promise<void> {
    const domain = this.domains.get(rdid);
    if (domain === undefined || !this.#shared?.has(domain)) return;
    this.domains.set(rdid, await cloneDomain(domain, pace));
  }

  /** Becomes the other state, which is not to be used any more. Takes the same time whatever there is. */
  become(other: MemoryState): void {
    this.domains = other.domains;
    this.providerAddresses = other.providerAddresses;
    this.providerRoutes = other.providerRoutes;
    this.ports = other.ports;
    this.portsByVsid = other.portsByVsid;
    this.vsidOwners = other.vsidOwners;
    this.externalAddressPools = other.externalAddressPools;
    this.externals = other.externals;
    this.forwardings = other.forwardings;
    this.lookupRecordCount = other.lookupRecordCount;
    this.customerRouteCount = other.customerRouteCount;
    this.siteConnectionCount = other.siteConnectionCount;
    this.versions = other.versions;
  }

  #putOfNode(entry: Entry & { kind: NodeKind }, undo: UndoLog): void {
    switch (entry.kind) {
      case 'providerAddress':
        setEntry(this.providerAddresses, entry.id, entry.value, undo);
        return;
      case 'providerRoute':
        setEntry(this.providerRoutes, entry.id, entry.value, undo);
        return;
      case 'externalAddressPool':
        setEntry(this.externalAddressPools, entry.id, entry.value, undo);
        return;
      case 'port':
        this.#releasePort(entry.id, undo);
        setEntry(this.ports, entry.id, entry.value, undo);
        if (entry.value.virtualSubnetId !== undefined)
          addMember(this.portsByVsid, entry.value.virtualSubnetId, entry.id, undo);
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
      case 'externalAddressPool':
        deleteEntry(this.externalAddressPools, id, undo);
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

  #domain(rdid: string): DomainMemory {
    const domain = this.domains.get(rdid);
    if (domain === undefined) throw new Error(`the state has no routing domain ${rdid}`);
    if (this.#shared?.has(domain)) throw new Error(`routing domain ${rdid} is another state's too`);
    return domain;
  }

  #releaseExternals({ rdid, nat }: DomainMemory, undo: UndoLog): void {
    this.externals.release(rdid, nat, this.externalAddressPools, undo);
  }

  #count(
    counter: 'lookupRecordCount' | 'customerRouteCount' | 'siteConnectionCount',
    by: number,
    undo: UndoLog,
  ): void {
    this[counter] += by;
    undo.push(() => {
      this[counter] -= by;
    });
  }
}

/** Undefined removes the id. */
function setVersion<K extends string | number>(
  ordered: Ordered<K>,
  id: K,
  version: Version | undefined,
  undo: UndoLog,
): void {
  const before = ordered.get(id);
  if (version === undefined) ordered.delete(id);
  else ordered.set(id, version);
  undo.push(before === undefined ? () => ordered.delete(id) : () => ordered.set(id, before));
}

function setOnly(
  versions: DomainMemory['versions'],
  kind: SingleKind,
  version: Version | undefined,
  undo: UndoLog,
): void {
  const before = versions[kind];
  versions[kind] = version;
  undo.push(() => {
    versions[kind] = before;
  });
}
