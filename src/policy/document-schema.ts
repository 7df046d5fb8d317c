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
  VirtualSubnetId,
} from './resources.ts';

const closed = { additionalProperties: false } as const;

/** Kinds that lists of the document hold. */
export type ListedKind = Exclude<ResourceKind, 'routingDomain' | 'gateway' | 'nat'>;

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

/** Lists of a routing domain, by where they come in the order of writing: the gateway is before NAT. */
export const domainLists: Record<'beforeGateway' | 'beforeNat' | 'afterNat', readonly DocumentList[]> = {
  beforeGateway: [
    { list: 'virtualSubnets', kind: 'virtualSubnet', naming: 'vsid', name: VirtualSubnetId },
    { list: 'lookupRecords', kind: 'lookupRecord', naming: 'id', name: ResourceId },
  ],
  beforeNat: [{ list: 'customerRoutes', kind: 'customerRoute', naming: 'id', name: ResourceId }],
  afterNat: [{ list: 'siteConnections', kind: 'siteConnection', naming: 'name', name: ResourceId }],
};

/** All of them. */
export const documentLists: readonly DocumentList[] = [nodeLists, domainLists].flatMap((places) =>
  Object.values(places).flat(),
);

/** What stands for the parts of a document in the schema of the whole. */
export interface PartSchemas {
  element(list: DocumentList): TSchema;
  single(kind: 'gateway' | 'nat'): TSchema;
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
      ...lists(domainLists.beforeGateway, parts),
      gateway: Type.Optional(parts.single('gateway')),
      ...lists(domainLists.beforeNat, parts),
      nat: Type.Optional(parts.single('nat')),
      ...lists(domainLists.afterNat, parts),
    },
    closed,
  );
}

/** An element of a list. */
export function elementSchema({ kind, naming, name }: DocumentList): TSchema {
  return Type.Object({ [naming]: name, ...inputProperties(kind) }, closed);
}

/** A resource of which a routing domain has one. */
export function singleSchema(kind: 'gateway' | 'nat'): TSchema {
  return Type.Object(inputProperties(kind), closed);
}

function lists(all: readonly DocumentList[], parts: PartSchemas): Record<string, TSchema> {
  return Object.fromEntries(all.map((each) => [each.list, Type.Optional(Type.Array(parts.element(each)))]));
}
