/**
 * The text form of resource keys: what orders the store's key space. A domain sorts before everything that belongs to
 * it, and the resources of one kind and domain are one contiguous range.
 */
import { isSingleKind, type ResourceKind } from '../policy/resources.ts';
import type { ResourceKey } from './store.ts';

/** What a kind is called in keys, and in the paths of the API. */
export const folderOfKind = {
  routingDomain: 'routing-domains',
  virtualSubnet: 'virtual-subnets',
  lookupRecord: 'lookup-records',
  customerRoute: 'customer-routes',
  gateway: 'gateway',
  nat: 'nat',
  forwarding: 'forwarding',
  bgp: 'bgp',
  siteConnection: 'site-connections',
  providerAddress: 'provider-addresses',
  providerRoute: 'provider-routes',
  externalAddressPool: 'external-address-pools',
  port: 'ports',
} as const satisfies Record<ResourceKind, string>;

const kindOfFolder = new Map(
  Object.entries(folderOfKind).map(([kind, folder]) => [folder as string, kind as ResourceKind]),
);

/** Kinds whose resources belong to the node and not to a domain. */
export const nodeKinds = ['providerAddress', 'providerRoute', 'externalAddressPool', 'port'] as const;
export type NodeKind = (typeof nodeKinds)[number];

const nodeKindOfFolder = new Map(nodeKinds.map((kind) => [folderOfKind[kind] as string, kind]));

export function isNodeKind(kind: ResourceKind): kind is NodeKind {
  return nodeKinds.some((each) => each === kind);
}

/** Padded, so that the order of the text is the order of the numbers. */
const vsidDigits = 8;

/** `/domains/<rdid>`, `/<node-wide kind>/<id>`, `/resources/<rdid>/<kind>[/<id>]`. */
export function encodeKey(key: ResourceKey): string {
  const { kind, rdid, id } = key;
  if (isSingleKind(kind)) return `/resources/${rdid}/${folderOfKind[kind]}`;
  return keyRange(kind, rdid).prefix + encodeId(kind, (kind === 'routingDomain' ? rdid : id) ?? '');
}

/** The reverse of `encodeKey`. */
export function decodeKey(text: string): ResourceKey {
  const [, top, first = '', folder = '', id] = text.split('/');
  if (top === 'domains') return { kind: 'routingDomain', rdid: first };
  const nodeKind = nodeKindOfFolder.get(top ?? '');
  if (nodeKind !== undefined) return { kind: nodeKind, id: first };
  const kind = kindOfFolder.get(folder);
  if (kind === undefined) throw new Error(`the key ${text} is of no known kind`);
  if (id === undefined) return { kind, rdid: first };
  return { kind, rdid: first, id: kind === 'virtualSubnet' ? String(Number(id)) : id };
}

/** All keys of a kind (of one domain) begin with `prefix` and sort below `end`. */
export function keyRange(kind: ResourceKind, rdid?: string): { prefix: string; end: string } {
  if (kind === 'routingDomain') return rangeOf('/domains/');
  if (isNodeKind(kind)) return rangeOf(`/${folderOfKind[kind]}/`);
  return rangeOf(`/resources/${rdid}/${folderOfKind[kind]}/`);
}

/** All keys of what belongs to a domain; not the domain itself. */
export function domainRange(rdid: string): { prefix: string; end: string } {
  return rangeOf(`/resources/${rdid}/`);
}

/** An id as it stands at the end of a key. */
export function encodeId(kind: ResourceKind, id: string): string {
  return kind === 'virtualSubnet' ? id.padStart(vsidDigits, '0') : id;
}

function rangeOf(prefix: string): { prefix: string; end: string } {
  // '0' is the character after '/'.
  return { prefix, end: `${prefix.slice(0, -1)}0` };
}

/** How two keys of the same kind (and domain) are ordered: negative when the first comes first, 0 when they are equal. */
export function keyOrder(a: ResourceKey, b: ResourceKey): number {
  if (a.kind === 'virtualSubnet') return Number(a.id) - Number(b.id);
  const [first = '', second = ''] = [a.id ?? a.rdid, b.id ?? b.rdid];
  return first < second ? -1 : first > second ? 1 : 0;
}
