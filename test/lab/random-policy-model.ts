/**
 * What a node's policy must be after each request: a plain map of resources, changed by the pure rules of `policy/` and by
 * nothing of store or API.
 */
import { isDeepStrictEqual } from 'node:util';
import { Check } from 'typebox/value';
import { mergePatch } from '../../src/api/merge-patch.ts';
import { compileSchema } from '../../src/config/schema-violation.ts';
import { HnvError } from '../../src/errors.ts';
import { canonicalAddress } from '../../src/policy/address.ts';
import { Reserved, withAllocation } from '../../src/policy/allocate.ts';
import { externalAddressesOf } from '../../src/policy/external-addresses.ts';
import { normalize } from '../../src/policy/normalize.ts';
import { sorted } from '../../src/policy/order.ts';
import {
  Guid,
  type Nat,
  type ResourceKind,
  type ResourceTypes,
  resourceSchemas,
  type SingleKind,
  singleKinds,
} from '../../src/policy/resources.ts';
import { checkDelete, checkPut } from '../../src/policy/rules.ts';
import type { DesiredState } from '../../src/policy/state.ts';
import type { ResourceKey } from '../../src/store/store.ts';
import { stateOf } from '../unit/policy-state.ts';
import type { Condition, Document, Request, Write } from './random-policy-operations.ts';

/** A resource as REST names it. */
export interface Resource {
  readonly path: string;
  readonly key: ResourceKey;
  readonly value: Record<string, unknown>;
}

export type Resources = ReadonlyMap<string, Resource>;

/** What a request must come to: the policy afterwards, or the code of the refusal. */
export type Outcome = { readonly resources: Resources } | { readonly refused: string };

const FOLDERS: readonly (readonly [folder: string, list: string, kind: ResourceKind, name: string])[] = [
  ['virtual-subnets', 'virtualSubnets', 'virtualSubnet', 'vsid'],
  ['lookup-records', 'lookupRecords', 'lookupRecord', 'id'],
  ['customer-routes', 'customerRoutes', 'customerRoute', 'id'],
  ['site-connections', 'siteConnections', 'siteConnection', 'name'],
];
const NODE_FOLDERS: typeof FOLDERS = [
  ['provider-addresses', 'providerAddresses', 'providerAddress', 'address'],
  ['provider-routes', 'providerRoutes', 'providerRoute', 'id'],
  ['external-address-pools', 'externalAddressPools', 'externalAddressPool', 'name'],
  ['ports', 'ports', 'port', 'interface'],
];
const DOMAINS = '/v1/routing-domains';

const checkers = Object.fromEntries(
  Object.entries(resourceSchemas).map(([kind, schema]) => [kind, compileSchema(schema)]),
) as Record<ResourceKind, ReturnType<typeof compileSchema>>;

/** Every collection of a node with these domains: its path, what it lists, and by what field items are named. */
export function collections(rdids: readonly string[]): { path: string; kind: ResourceKind; name: string }[] {
  return [
    { path: DOMAINS, kind: 'routingDomain', name: 'rdid' },
    ...NODE_FOLDERS.map(([folder, , kind, name]) => ({ path: `/v1/${folder}`, kind, name })),
    ...rdids.flatMap((rdid) =>
      FOLDERS.map(([folder, , kind, name]) => ({ path: `${DOMAINS}/${rdid}/${folder}`, kind, name })),
    ),
  ];
}

/** Single resources of a domain. */
export const SINGLES = singleKinds;

/** The key of a resource's path, which is one of random-policy.ts. */
export function keyOfPath(path: string): ResourceKey {
  const [, , folder = '', first = '', inner, id] = path.split('/');
  const ofNode = NODE_FOLDERS.find(([name]) => name === folder);
  if (ofNode !== undefined) return { kind: ofNode[2], id: canonicalAddress(first) ?? first };
  if (inner === undefined) return { kind: 'routingDomain', rdid: first };
  if (id === undefined) return { kind: inner as SingleKind, rdid: first };
  const kind = FOLDERS.find(([name]) => name === inner)?.[2];
  if (kind === undefined) throw new Error(`${path} is the path of no resource`);
  return { kind, rdid: first, id };
}

/** As the rules and the compiler see it; handles are for the caller to give. */
export function desiredState(
  resources: Resources,
  handles: ReadonlyMap<string, number> = new Map(),
): DesiredState {
  const order = [...resources.values()].sort((a, b) => rank(a.key.kind) - rank(b.key.kind));
  const state = stateOf(order.map(({ key, value }) => ({ key, value: value as never })));
  for (const domain of state.domains.values())
    (domain as { handle: number }).handle = handles.get(domain.rdid) ?? 0;
  return state;
}

const rank = (kind: ResourceKind): number =>
  kind === 'routingDomain' || kind === 'externalAddressPool' ? 0 : 1;

/** The value of a body, or the refusal of it. */
function readBody<K extends ResourceKind>(kind: K, body: unknown): ResourceTypes[K] {
  const checked = checkers[kind](body);
  if ('violation' in checked) throw new HnvError('HNV_INVALID_FIELD', checked.violation.reason);
  return normalize(kind, checked.value as ResourceTypes[K]);
}

function requireName(key: ResourceKey): void {
  const isGuid = key.rdid === undefined || Check(Guid, key.rdid);
  if (!isGuid || (key.kind === 'virtualSubnet' && Number(key.id) < 4096))
    throw new HnvError('HNV_INVALID_FIELD', 'The name is none.');
}

/** What the condition demands of a resource that is there or not. */
function requireCondition(condition: Condition, exists: boolean): void {
  const holds = { none: true, right: exists, wrong: false, absent: !exists }[condition];
  if (!holds) throw new HnvError('HNV_PRECONDITION_FAILED', 'The condition does not hold.');
}

function written(resources: Resources, path: string, key: ResourceKey, value: object): Resources {
  return new Map(resources).set(path, { path, key, value: value as Record<string, unknown> });
}

/** What "auto" looks at beside the policy as it is at that moment. */
interface Allocation {
  readonly held: Resources;
  readonly reserved?: Reserved;
}

function applyWrite(
  resources: Resources,
  { method, path, body, condition }: Write,
  allocation: Allocation = { held: resources },
): Resources {
  const key = keyOfPath(path);
  requireName(key);
  const before = resources.get(path);
  const state = desiredState(resources);
  if (method !== 'PUT' && before === undefined) throw new HnvError('HNV_NOT_FOUND', 'There is nothing.');
  if (method === 'DELETE') {
    requireCondition(condition, true);
    checkDelete(state, key);
    return new Map([...resources].filter(([each]) => each !== path && !each.startsWith(`${path}/`)));
  }
  if (method === 'PATCH') requireCondition(condition, true);
  const given = readBody(key.kind, method === 'PATCH' ? mergePatch(before?.value, body) : body);
  if (method === 'PUT') requireCondition(condition, before !== undefined);
  const value = key.kind === 'nat' ? allocate(state, key, given as Nat, path, allocation) : given;
  checkPut(state, key, value as never);
  return written(resources, path, key, value);
}

function allocate(
  state: DesiredState,
  { rdid = '' }: ResourceKey,
  nat: Nat,
  path: string,
  { held, reserved }: Allocation,
): Nat {
  if (!state.domains.has(rdid)) return nat;
  return withAllocation(state, rdid, nat, held.get(path)?.value as Nat | undefined, reserved);
}

/** Single requests only: what a document comes to, the node alone says (see documentOf). */
export function outcomeOf(resources: Resources, request: Write): Outcome {
  try {
    return { resources: applyWrite(resources, request) };
  } catch (error) {
    if (error instanceof HnvError) return { refused: error.code };
    throw error;
  }
}

/** The resources that a document is to name, each with the body that it is sent with. */
function documentResources(resources: Resources, { method, edits, without }: Document): Map<string, unknown> {
  const named = new Map<string, unknown>();
  if (method === 'PUT')
    for (const { path, key, value } of resources.values()) if (!isLearned(key, value)) named.set(path, value);
  const paths = [...named.keys()];
  for (const number of without) {
    const path = paths[number % Math.max(paths.length, 1)] ?? '';
    for (const each of paths) if (each === path || each.startsWith(`${path}/`)) named.delete(each);
  }
  for (const { path, body } of edits) {
    // An element for a domain says all of the domain itself.
    const domain = path.split('/').slice(0, 4).join('/');
    const value = path.startsWith(DOMAINS) ? resources.get(domain)?.value : undefined;
    if (method === 'POST' && value !== undefined && !named.has(domain)) named.set(domain, value);
    named.set(path, body);
  }
  return named;
}

/** Learned records are the nodes' own and in no document. */
export function isLearned(key: ResourceKey, value: unknown): boolean {
  return key.kind === 'lookupRecord' && (value as { type?: string }).type === 'dynamic';
}

type Named = Record<string, unknown>;

/** The document itself, as `/v1/policy` takes it. */
export function documentOf(resources: Resources, request: Document): Named {
  const domains = new Map<string, Named>();
  const document: Named = {};
  const push = (to: Named, list: string, item: Named): void => {
    to[list] = [...((to[list] as Named[] | undefined) ?? []), item];
  };
  for (const [path, body] of documentResources(resources, request)) {
    const [, , folder = '', first = '', inner, id] = path.split('/');
    const value = body as Named;
    const ofNode = NODE_FOLDERS.find(([name]) => name === folder);
    if (ofNode !== undefined) {
      push(document, ofNode[1], { [ofNode[3]]: first, ...value });
      continue;
    }
    const domain = domains.get(first) ?? { rdid: first };
    domains.set(first, domain);
    const ofDomain = FOLDERS.find(([name]) => name === inner);
    if (inner === undefined) Object.assign(domain, value);
    else if (ofDomain === undefined) domain[inner] = value;
    else push(domain, ofDomain[1], { [ofDomain[3]]: ofDomain[3] === 'vsid' ? Number(id) : id, ...value });
  }
  if (domains.size > 0) document.routingDomains = [...domains.values()];
  return document;
}

const nodeOrder = [
  ...['provider-addresses', 'provider-routes', 'external-address-pools', 'routing-domains', 'ports'],
];

const domainOrder = [
  ...['', 'virtual-subnets', 'lookup-records', 'gateway', 'customer-routes', 'nat', 'forwarding'],
  ...['site-connections', 'bgp'],
];

/** In what order a document's resources are put; `rdids` are in the document's. */
function documentOrder(path: string, rdids: readonly string[]): string {
  const [, , folder = '', rdid = '', inner = ''] = path.split('/');
  const ofNode = nodeOrder.indexOf(folder);
  const ofDomain = domainOrder.indexOf(inner);
  const domain = folder === 'routing-domains' ? String(rdids.indexOf(rdid)).padStart(3, '0') : '';
  return `${ofNode} ${domain} ${ofDomain}`;
}

/** Addresses that the document's NAT policies name, and then those that the ones with "auto" have. */
function reservedBy(named: readonly (readonly [path: string, body: unknown])[], held: Resources): Reserved {
  const reserved = new Reserved();
  const nats = named.flatMap(([path, body]) => {
    const { kind, rdid = '' } = keyOfPath(path);
    return kind === 'nat' ? [{ path, rdid, nat: readBody('nat', body) }] : [];
  });
  for (const { rdid, nat } of nats) reserved.add(rdid, externalAddressesOf(nat));
  for (const { path, rdid, nat } of nats) {
    const before = held.get(path)?.value as Nat | undefined;
    if (nat.externalAddresses === 'auto' && before !== undefined)
      reserved.add(rdid, externalAddressesOf(before));
  }
  return reserved;
}

/** What a document comes to. A refusal is sure, and its code is not: everything in it is read before anything is put. */
export function documentOutcome(resources: Resources, request: Document): Outcome {
  let after: Resources = request.method === 'PUT' ? new Map() : resources;
  const learned = [...resources.values()].filter(({ key, value }) => isLearned(key, value));
  try {
    const unsorted = [...documentResources(resources, request)];
    const rdids = [...new Set(unsorted.map(([path]) => keyOfPath(path).rdid ?? ''))];
    const named = sorted(unsorted, ([path]) => documentOrder(path, rdids));
    const allocation = { held: resources, reserved: reservedBy(named, resources) };
    for (const [path, body] of named) {
      const key = keyOfPath(path);
      const value = readBody(key.kind, body);
      if (isLearned(key, value))
        throw new HnvError('HNV_INVALID_FIELD', 'Learned records are in no document.');
      after = applyWrite(after, { method: 'PUT', path, body, condition: 'none' }, allocation);
    }
  } catch (error) {
    if (error instanceof HnvError) return { refused: error.code };
    throw error;
  }
  if (request.method === 'POST') return { resources: after };
  for (const { path, value } of learned) {
    const kept = after.has(path)
      ? { refused: '' }
      : outcomeOf(after, { method: 'PUT', path, body: value, condition: 'none' });
    if ('resources' in kept) after = kept.resources;
  }
  return { resources: after };
}

/** Where two policies differ, as lines. */
export function policyDifferences(have: Resources, want: Resources): string[] {
  const differences: string[] = [];
  for (const path of new Set([...have.keys(), ...want.keys()])) {
    const [is, must] = [have.get(path)?.value, want.get(path)?.value];
    if (isDeepStrictEqual(is, must)) continue;
    differences.push(`${path} is ${JSON.stringify(is)} and must be ${JSON.stringify(must)}`);
  }
  return differences;
}

export function isDocument(request: Request): request is Document {
  return request.path === '/v1/policy';
}
