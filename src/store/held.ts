/** Reads resources out of the memory: value and version, one by one or in the order of their keys. */
import { isSingleKind, type ResourceKind, type ResourceTypes, type SingleKind } from '../policy/resources.ts';
import { isNodeKind } from './keys.ts';
import type { MemoryState } from './memory-state.ts';
import type { Version } from './ordered.ts';
import type { ResourceKey } from './store.ts';

/** What the state has under a key. */
export interface Held {
  readonly value: ResourceTypes[ResourceKind];
  readonly version: Version;
}

/** Kinds that there may be many of, in the node or in a domain. */
export type ListedKind = Exclude<ResourceKind, SingleKind>;

export function getHeld(state: MemoryState, key: ResourceKey): Held | undefined {
  const version = versionOf(state, key);
  return version && { version, value: readValue(state, key) as Held['value'] };
}

/** The first `limit` of a kind (of one domain) after `after`, in key order. */
export function listHeld(
  state: MemoryState,
  kind: ListedKind,
  options: { rdid?: string | undefined; after?: string | undefined; limit: number },
): [ResourceKey, Held][] {
  return idsOf(state, kind, options).map(([id, version]) => {
    const key = keyOfId(kind, options.rdid, String(id));
    return [key, { version, value: readValue(state, key) as Held['value'] }];
  });
}

function keyOfId(kind: ListedKind, rdid: string | undefined, id: string): ResourceKey {
  if (kind === 'routingDomain') return { kind, rdid: id };
  return rdid === undefined ? { kind, id } : { kind, rdid, id };
}

function idsOf(
  state: MemoryState,
  kind: ListedKind,
  { rdid, after, limit }: { rdid?: string | undefined; after?: string | undefined; limit: number },
): [id: string | number, version: Version][] {
  if (isNodeKind(kind) || kind === 'routingDomain') return state.versions[kind].page(after, limit);
  const versions = state.domains.get(rdid ?? '')?.versions;
  if (versions === undefined) return [];
  if (kind !== 'virtualSubnet') return versions[kind].page(after, limit);
  return versions.virtualSubnet.page(after === undefined ? undefined : Number(after), limit);
}

function versionOf(state: MemoryState, { kind, rdid = '', id = '' }: ResourceKey): Version | undefined {
  if (isNodeKind(kind)) return state.versions[kind].get(id);
  if (kind === 'routingDomain') return state.versions.routingDomain.get(rdid);
  const versions = state.domains.get(rdid)?.versions;
  if (isSingleKind(kind)) return versions?.[kind];
  if (kind !== 'virtualSubnet') return versions?.[kind].get(id);
  // One name for each: 5001 is not 05001.
  return String(Number(id)) === id ? versions?.virtualSubnet.get(Number(id)) : undefined;
}

function readValue(state: MemoryState, { kind, rdid = '', id = '' }: ResourceKey): Held['value'] | undefined {
  switch (kind) {
    case 'providerAddress':
      return state.providerAddresses.get(id);
    case 'providerRoute':
      return state.providerRoutes.get(id);
    case 'externalAddressPool':
      return state.externalAddressPools.get(id);
    case 'port':
      return state.ports.get(id);
  }
  const domain = state.domains.get(rdid);
  switch (kind) {
    case 'routingDomain':
      return domain?.domain;
    case 'virtualSubnet':
      return domain?.virtualSubnets.get(Number(id));
    case 'lookupRecord':
      return domain?.lookupRecords.get(id);
    case 'customerRoute':
      return domain?.customerRoutes.get(id);
    case 'siteConnection':
      return domain?.siteConnections.get(id);
    default:
      return domain?.[kind];
  }
}
