/** How a request that breaks a rule reads as a policy document, and what its refusal must name. */
import type { RuleBreaker } from './rule-breakers.ts';
import { TENANTS } from './topology.ts';

/** A document with one resource in it, and where that stands. */
export interface BreakingDocument {
  document: object;
  /** JSON pointer that the refusal must have. */
  pointer: string | undefined;
}

/** Lists of the document by the folder in the path, with the field that names an element. */
const lists: Readonly<Record<string, readonly [list: string, naming: string]>> = {
  'provider-addresses': ['providerAddresses', 'address'],
  'provider-routes': ['providerRoutes', 'id'],
  'external-address-pools': ['externalAddressPools', 'name'],
  ports: ['ports', 'interface'],
  'virtual-subnets': ['virtualSubnets', 'vsid'],
  'lookup-records': ['lookupRecords', 'id'],
  'customer-routes': ['customerRoutes', 'id'],
  'site-connections': ['siteConnections', 'name'],
};

/** Rules of schemas: in a document they point at the field that names the resource, too. */
const schemaRules = ['pattern', 'minimum', 'maximum'];

/** The same by `POST /v1/policy`; undefined for what a document cannot say: deletions, patches, a domain that is not there. */
export function asDocument({
  method = 'PUT',
  path,
  body,
  rule,
  ...rest
}: RuleBreaker): BreakingDocument | undefined {
  if (path === '/v1/policy') return { document: body as object, pointer: rest.pointer };
  if (method !== 'PUT' || rule === 'exists' || path.startsWith('/v1/tokens/')) return undefined;
  const { place, naming, element, wrap } = placed(path, body as object);
  const nameIsWrong = rest.pointer === undefined && schemaRules.includes(rule);
  const inside = nameIsWrong ? `/${naming}` : (rest.pointer ?? '');
  return { document: wrap(element), pointer: place + inside };
}

interface Placed {
  place: string;
  naming: string;
  element: object;
  wrap: (element: object) => object;
}

function placed(path: string, body: object): Placed {
  const [, , top = '', name = '', folder, id = ''] = path.split('/').map(decodeURIComponent);
  if (top !== 'routing-domains') {
    const [list, naming] = lists[top] ?? ['', ''];
    return {
      ...{ place: `/${list}/0`, naming, element: { [naming]: name, ...body } },
      wrap: (element) => ({ [list]: [element] }),
    };
  }
  const domain = { rdid: name, name: TENANTS.find(({ rdid }) => rdid === name)?.name ?? 'crowded' };
  const inDomain = (more: object) => ({ routingDomains: [{ ...domain, ...more }] });
  if (folder === undefined) {
    return {
      ...{ place: '/routingDomains/0', naming: 'rdid', element: { rdid: name, ...body } },
      wrap: (element) => ({ routingDomains: [element] }),
    };
  }
  const [list, naming] = lists[folder] ?? [folder, ''];
  if (naming === '') {
    return {
      ...{ place: `/routingDomains/0/${list}`, naming, element: body },
      wrap: (element) => inDomain({ [list]: element }),
    };
  }
  const own = naming === 'vsid' ? Number(id) : id;
  return {
    ...{ place: `/routingDomains/0/${list}/0`, naming, element: { [naming]: own, ...body } },
    wrap: (element) => inDomain({ [list]: [element] }),
  };
}

/** The value that is wrong, as the message must show it; undefined when there is none, because it is missing. */
export function namedValue({ path, body, pointer, names }: RuleBreaker): string | undefined {
  if (names !== undefined) return names;
  if (pointer === undefined) return decodeURIComponent(path.split('/').at(-1) ?? '');
  let value: unknown = body;
  for (const step of pointer.split('/').slice(1))
    value = (value as Record<string, unknown> | undefined)?.[step];
  if (Array.isArray(value)) return value.length === 0 ? '[]' : String(value[0]);
  if (value === undefined || value === null) return undefined;
  // The message may be cut.
  return String(value).slice(0, 40);
}
