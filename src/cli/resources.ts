/** The resources that `get` and `delete` know: their names, their paths, and what a table shows of them. */
import { UsageError } from './failures.ts';
import { didYouMean } from './suggest.ts';
import type { Column, Style } from './table.ts';

/** A resource as the API answers it. */
export type Item = Readonly<Record<string, unknown>>;

export interface Resource {
  /** As in the path of the API. */
  readonly name: string;
  readonly singular: string;
  readonly short: readonly string[];
  /** Whose it is: the node's, or a routing domain's. */
  readonly of: 'node' | 'domain';
  /** The field with its id; absent when there is just one. */
  readonly id?: string;
  readonly columns: readonly Column<Item>[];
}

export function text(value: unknown): string {
  if (value === undefined || value === null) return '';
  if (Array.isArray(value)) return value.map(text).join(', ');
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

const stateStyles: Record<string, Style> = { ready: 'green', pending: 'yellow', failed: 'red' };

/** The colour of a state; none for one that this program does not know. */
export function stateStyle(state: string): Style | undefined {
  return stateStyles[state];
}

const statusOf = (item: Item): Item => (item.status ?? {}) as Item;
const status: readonly Column<Item>[] = [
  {
    title: 'STATE',
    cell: (item) => text(statusOf(item).state),
    style: (item) => stateStyle(text(statusOf(item).state)),
  },
  { title: 'REASON', cell: (item) => text(statusOf(item).reason) },
];

const column = (title: string, field: string): Column<Item> => ({ title, cell: (item) => text(item[field]) });
const yes = (title: string, field: string): Column<Item> => ({
  title,
  cell: (item) => (item[field] === true ? 'yes' : ''),
});
const count = (title: string, field: string): Column<Item> => ({ ...column(title, field), align: 'right' });

export const resources: readonly Resource[] = [
  {
    name: 'routing-domains',
    singular: 'routing-domain',
    short: ['rd', 'domain', 'domains'],
    of: 'node',
    id: 'rdid',
    columns: [
      column('RDID', 'rdid'),
      column('NAME', 'name'),
      ...status,
      column('DESCRIPTION', 'description'),
    ],
  },
  {
    name: 'virtual-subnets',
    singular: 'virtual-subnet',
    short: ['subnet', 'subnets', 'vs'],
    of: 'domain',
    id: 'vsid',
    columns: [
      count('VSID', 'vsid'),
      column('PREFIXES', 'addressPrefixes'),
      yes('GATEWAY', 'isGatewaySubnet'),
      column('GROUP', 'providerMulticastAddress'),
      ...status,
    ],
  },
  {
    name: 'lookup-records',
    singular: 'lookup-record',
    short: ['record', 'records', 'lr'],
    of: 'domain',
    id: 'id',
    columns: [
      column('ID', 'id'),
      column('CUSTOMER ADDRESS', 'customerAddress'),
      count('VSID', 'virtualSubnetId'),
      column('MAC', 'macAddress'),
      column('PROVIDER ADDRESS', 'providerAddress'),
      column('TYPE', 'type'),
      column('VM', 'vmName'),
      ...status,
    ],
  },
  {
    name: 'customer-routes',
    singular: 'customer-route',
    short: ['route', 'routes', 'cr'],
    of: 'domain',
    id: 'id',
    columns: [
      column('ID', 'id'),
      count('VSID', 'virtualSubnetId'),
      column('DESTINATION', 'destinationPrefix'),
      column('NEXT HOP', 'nextHop'),
      count('METRIC', 'metric'),
      ...status,
    ],
  },
  { name: 'gateway', singular: 'gateway', short: ['gw'], of: 'domain', columns: [] },
  { name: 'nat', singular: 'nat', short: [], of: 'domain', columns: [] },
  { name: 'forwarding', singular: 'forwarding', short: ['fwd'], of: 'domain', columns: [] },
  { name: 'bgp', singular: 'bgp', short: [], of: 'domain', columns: [] },
  {
    name: 'site-connections',
    singular: 'site-connection',
    short: ['site', 'sites', 'sc'],
    of: 'domain',
    id: 'name',
    columns: [
      column('NAME', 'name'),
      column('DESTINATION', 'destination'),
      column('LOCAL ADDRESS', 'localAddress'),
      { title: 'SUBNETS', cell: ({ subnets }) => text((subnets as Item[]).map(({ prefix }) => prefix)) },
      column('BEGINS', 'initiate'),
      ...status,
    ],
  },
  {
    name: 'provider-addresses',
    singular: 'provider-address',
    short: ['pa'],
    of: 'node',
    id: 'address',
    columns: [
      column('ADDRESS', 'address'),
      column('INTERFACE', 'interface'),
      count('LENGTH', 'prefixLength'),
      count('VLAN', 'vlanId'),
      column('MAC', 'macAddress'),
      ...status,
    ],
  },
  {
    name: 'provider-routes',
    singular: 'provider-route',
    short: ['pr'],
    of: 'node',
    id: 'id',
    columns: [
      column('ID', 'id'),
      column('INTERFACE', 'interface'),
      column('DESTINATION', 'destinationPrefix'),
      column('NEXT HOP', 'nextHop'),
      count('METRIC', 'metric'),
      ...status,
    ],
  },
  {
    name: 'external-address-pools',
    singular: 'external-address-pool',
    short: ['pool', 'pools', 'eap'],
    of: 'node',
    id: 'name',
    columns: [
      column('NAME', 'name'),
      column('PREFIXES', 'prefixes'),
      count('PORTS IN BLOCK', 'portBlockSize'),
      ...status,
    ],
  },
  {
    name: 'ports',
    singular: 'port',
    short: [],
    of: 'node',
    id: 'interface',
    columns: [
      column('INTERFACE', 'interface'),
      count('VSID', 'virtualSubnetId'),
      column('MAC', 'macAddress'),
      column('ADDRESSES', 'customerAddresses'),
      yes('LEARNS', 'learn'),
      ...status,
    ],
  },
  { name: 'policy', singular: 'policy', short: [], of: 'node', columns: [] },
  {
    name: 'tokens',
    singular: 'token',
    short: [],
    of: 'node',
    id: 'id',
    columns: [
      column('ID', 'id'),
      column('ROLE', 'role'),
      column('ROUTING DOMAINS', 'routingDomains'),
      column('EXPIRES', 'expires'),
      column('CREATED', 'created'),
    ],
  },
];

/** Throws UsageError, with what may have been meant. */
export function findResource(word: string, command: string): Resource {
  const found = resources.find(
    ({ name, singular, short }) => name === word || singular === word || short.includes(word),
  );
  if (found !== undefined) return found;
  const known = resources.flatMap(({ name, singular, short }) => [name, singular, ...short]);
  const names = resources.map(({ name }) => name).join(', ');
  throw new UsageError(
    `there is no resource ${word}${didYouMean(word, known)}\nResources: ${names}`,
    command,
  );
}

/** Path of the collection, or of the one resource; `rdid` for those of a domain. */
export function pathOf(resource: Resource, rdid: string | undefined, id?: string): string {
  const domain = resource.of === 'domain' ? `/routing-domains/${encodeURIComponent(rdid ?? '')}` : '';
  const own = id === undefined ? '' : `/${encodeURIComponent(id)}`;
  return `/v1${domain}/${resource.name}${own}`;
}
