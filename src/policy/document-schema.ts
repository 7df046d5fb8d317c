/**
 * The policy document: the whole desired state as one JSON value. Built from the schemas of the resources, each with the
 * field that names it, so that a resource reads here as it does by itself.
 */
import { type TSchema, Type } from 'typebox';
import {
  Guid,
  InterfaceName,
  inputProperties,
  ResourceId,
  type ResourceKind,
  type SingleKind,
  VirtualSubnetId,
} from './resources.ts';

const closed = { additionalProperties: false } as const;

/** Kinds that lists of the document hold. */
export type ListedKind = Exclude<ResourceKind, 'routingDomain' | SingleKind>;

/** A list of the document: its name, what is in it, and the field that names an element. */
export interface DocumentList<K extends ListedKind = ListedKind> {
  readonly list: string;
  readonly kind: K;
  readonly naming: string;
  readonly name: TSchema;
}

const address = Type.String({ maxLength: 45, description: 'IP address' });

/** Lists of the document itself: those that come before the routing domains in the order of writing, and after. */
export const nodeLists: Record<'before' | 'after', readonly DocumentList[]> = {
  before: [
    { list: 'providerAddresses', kind: 'providerAddress', naming: 'address', name: address },
    { list: 'providerRoutes', kind: 'providerRoute', naming: 'id', name: ResourceId },
    { list: 'externalAddressPools', kind: 'externalAddressPool', naming: 'name', name: ResourceId },
  ],
  after: [{ list: 'ports', kind: 'port', naming: 'interface', name: InterfaceName }],
};

/** What a routing domain is made of, in the order of writing: each may depend on what is before it. */
export const domainParts: readonly (DocumentList | SingleKind)[] = [
  { list: 'virtualSubnets', kind: 'virtualSubnet', naming: 'vsid', name: VirtualSubnetId },
  { list: 'lookupRecords', kind: 'lookupRecord', naming: 'id', name: ResourceId },
  'gateway',
  { list: 'customerRoutes', kind: 'customerRoute', naming: 'id', name: ResourceId },
  'nat',
  'forwarding',
  { list: 'siteConnections', kind: 'siteConnection', naming: 'name', name: ResourceId },
  'bgp',
];

/** All of them. */
export const documentLists: readonly DocumentList[] = [
  ...Object.values(nodeLists).flat(),
  ...domainParts.filter((part) => typeof part !== 'string'),
];

/** What stands for the parts of a document in the schema of the whole. */
export interface PartSchemas {
  element(list: DocumentList): TSchema;
  single(kind: SingleKind): TSchema;
  domain: TSchema;
}

/** The outline of a document, which leaves its parts open: they are checked one by one. */
export const openParts: PartSchemas = {
  element: () => Type.Unknown(),
  single: () => Type.Unknown(),
  domain: Type.Unknown(),
};

/** The document with the parts given. */
export function documentSchema(parts: PartSchemas): TSchema {
  return Type.Object(
    {
      ...lists(nodeLists.before, parts),
      routingDomains: Type.Optional(Type.Array(parts.domain)),
      ...lists(nodeLists.after, parts),
    },
    closed,
  );
}

/** A routing domain of the document, with the parts given. */
export function domainSchema(parts: PartSchemas): TSchema {
  return Type.Object(
    {
      rdid: Guid,
      ...inputProperties('routingDomain'),
      ...Object.fromEntries(domainParts.map((part) => partProperty(part, parts))),
    },
    closed,
  );
}

/** An element of a list. */
export function elementSchema({ kind, naming, name }: DocumentList): TSchema {
  return Type.Object({ [naming]: name, ...inputProperties(kind) }, closed);
}

/** A resource of which a routing domain has one. */
export function singleSchema(kind: SingleKind): TSchema {
  return Type.Object(inputProperties(kind), closed);
}

function lists(all: readonly DocumentList[], parts: PartSchemas): Record<string, TSchema> {
  return Object.fromEntries(all.map((each) => partProperty(each, parts)));
}

function partProperty(part: DocumentList | SingleKind, parts: PartSchemas): [name: string, schema: TSchema] {
  if (typeof part === 'string') return [part, Type.Optional(parts.single(part))];
  return [part.list, Type.Optional(Type.Array(parts.element(part)))];
}
