/** The page that `hnvgw help policy` prints: every field of a policy document, from the schemas that it is checked with. */
import type { TSchema } from 'typebox';
import {
  type DocumentList,
  domainParts,
  elementSchema,
  nodeLists,
  singleSchema,
} from '../policy/document-schema.ts';
import { RoutingDomain, type SingleKind } from '../policy/resources.ts';
import { page, rows, wrapped } from './help.ts';

/** What each part is for; the fields say the rest. */
const meanings: Record<string, string> = {
  providerAddresses: 'addresses of this node on the provider network, which tunnels end at',
  providerRoutes: 'ways to other provider networks',
  externalAddressPools:
    'public addresses, whole or in blocks of ports, that NAT with externalAddresses "auto" is given one of',
  ports: 'network interfaces of virtual machines on this node; for a host',
  virtualSubnets: 'the first address of each prefix is the distributed router',
  lookupRecords:
    'which address and MAC address a virtual machine has, and the provider address of the host that it runs on; nodes write ' +
    'dynamic ones by themselves',
  gateway:
    'makes this node the gateway of the VM network, with an address in a subnet of its own (isGatewaySubnet); the hosts ' +
    'have a lookup record of that address with its macAddress, and this node as provider address',
  customerRoutes:
    'ways to what is behind a virtual machine; hosts need one to the gateway, the gateway none to the internet',
  nat: 'the public addresses of the tenant, and what is reachable from outside; for a gateway',
  forwarding:
    'puts the routing domain on a network of its own, a VLAN of the uplink, or on the one that is shared, as a router without NAT; ' +
    'with nat too, what is in destinationPrefixes is routed and the rest is translated',
  bgp: 'the BGP router of the routing domain: whom it speaks with, and what is told and believed; passwords go in and are never shown',
  siteConnections:
    'IPsec tunnels (IKEv2) to networks of the tenant elsewhere, which end at an address of its NAT; secrets go in and are never shown',
};

/** As JSON Schema has them. */
interface Schema {
  readonly type?: string;
  readonly description?: string;
  readonly properties?: Record<string, Schema>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly const?: unknown;
  readonly default?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
}

/** The whole page. */
export function policyHelp(): string {
  return page([
    'hnvgw help policy: what a policy document has',
    '',
    ...wrapped(
      'hnvgw apply and hnvgw diff read it, YAML or JSON; hnvgw get policy prints it. Each part may be absent.',
    ),
    '',
    ...nodeLists.before.flatMap(listLines),
    'routingDomains: the VM networks of tenants, each with addresses of its own choice',
    ...fieldRows({
      properties: { rdid: { description: 'GUID of the routing domain' }, ...RoutingDomain.properties },
      required: ['rdid', ...RoutingDomain.required],
    }),
    '',
    ...domainParts
      .flatMap((each) => (typeof each === 'string' ? singleLines(each) : listLines(each)))
      .map(indented),
    ...nodeLists.after.flatMap(listLines),
    'See also: hnvgw help apply, which has a whole tenant as an example',
  ]);
}

function listLines(list: DocumentList): string[] {
  return part(list.list, elementSchema(list));
}

function singleLines(kind: SingleKind): string[] {
  return part(kind, singleSchema(kind));
}

function part(name: string, schema: TSchema): string[] {
  return [...wrapped(`${name}: ${meanings[name]}`), ...fieldRows(schema as Schema), ''];
}

function indented(line: string): string {
  return line === '' ? '' : `  ${line}`;
}

function fieldRows(schema: Schema): string[] {
  return rows(fields(schema, ''));
}

/** Name and meaning of each field, and below a list or an object those of what is in it. */
function fields({ properties = {}, required = [] }: Schema, prefix: string): [string, string][] {
  return Object.entries(properties).flatMap(([name, field]): [string, string][] => {
    const standard = Array.isArray(field.default) ? field.default.join(', ') : field.default;
    const isEmpty = standard === undefined || standard === '' || typeof standard === 'object';
    const may = required.includes(name) ? '' : isEmpty ? 'optional; ' : `${standard} by default; `;
    const row: [string, string] = [prefix + name, may + meaning(field)];
    const inside = elements(field);
    return inside === undefined ? [row] : [row, ...fields(inside, `${prefix}  `)];
  });
}

/** What has the fields that stand in it: an object itself, and the elements of a list. */
function elements({ properties, items, anyOf = [], ...rest }: Schema): Schema | undefined {
  if (properties !== undefined) return { properties, ...rest };
  if (items !== undefined) return elements(items);
  return anyOf.map(elements).find((member) => member !== undefined);
}

function meaning({ type, description, items, anyOf, const: constant, minimum, maximum }: Schema): string {
  if (constant !== undefined) return String(constant);
  if (anyOf !== undefined) {
    const all = anyOf.map(meaning).join(' or ');
    return description === undefined ? all : `${all}: ${description}`;
  }
  if (type === 'array') {
    if (items?.properties) return description ?? 'list, of';
    const each = meaning(items ?? {});
    return description === undefined
      ? `list, each: ${each}`
      : items?.anyOf
        ? `${description}: ${each}`
        : description;
  }
  if (description !== undefined) return description;
  if (type === 'boolean') return 'true or false';
  if (type === 'integer') return `${minimum} to ${maximum}`;
  return type === 'object' ? 'names and values' : 'text';
}
