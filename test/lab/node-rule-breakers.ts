/** Requests that break the rules of what is not a resource of the policy: tokens, whole documents, pages, a full node. */
import type { ApiClient } from './api-client.ts';
import type { RuleBreaker } from './rule-breakers.ts';
import { CONTOSO, FABRIKAM, HOST_ADDRESSES } from './topology.ts';

const token = '/v1/tokens/portal';
const create = ['token', 'create'];

/** Of tokens. */
export const tokenBreakers: readonly RuleBreaker[] = [
  {
    what: 'a tenant without routing domains',
    path: token,
    body: { role: 'tenant' },
    rule: 'token-domains-tenant',
    pointer: '/routingDomains',
    words: [...create, 'portal', '--role', 'tenant'],
  },
  {
    what: 'an operator of one routing domain',
    path: token,
    body: { role: 'operator', routingDomains: [CONTOSO.rdid] },
    rule: 'token-domains-role',
    pointer: '/routingDomains',
    names: 'operator',
    words: [...create, 'portal', '--role', 'operator', '--domain', CONTOSO.rdid],
  },
  {
    what: 'a word for a time',
    path: token,
    body: { role: 'admin', expires: 'tomorrow' },
    rule: 'format',
    pointer: '/expires',
  },
  {
    what: 'a leap second, which this program has none of',
    path: token,
    body: { role: 'admin', expires: '2030-12-31T23:59:60Z' },
    rule: 'date-time',
    pointer: '/expires',
  },
  {
    what: 'a time that has passed',
    path: token,
    body: { role: 'admin', expires: '2020-01-01T00:00:00Z' },
    rule: 'token-expires-future',
    pointer: '/expires',
    names: '2020-01-01T00:00:00',
    words: [...create, 'portal', '--role', 'admin', '--expires', '2020-01-01T00:00:00Z'],
  },
  {
    what: 'the name of root in the audit log',
    path: '/v1/tokens/local',
    body: { role: 'admin' },
    rule: 'token-id-reserved',
    words: [...create, 'local', '--role', 'admin'],
  },
];

/** Of lists. */
export const listBreakers: readonly RuleBreaker[] = [
  {
    what: 'a cursor that nobody gave',
    method: 'GET',
    path: '/v1/routing-domains?cursor=!!',
    rule: 'cursor',
    names: '!!',
  },
];

const { rdid, name, vsid } = CONTOSO;
const place = {
  ...{ virtualSubnetId: vsid, macAddress: '02:00:00:00:00:77', providerAddress: HOST_ADDRESSES[0] },
};
const record = { id: 'new', customerAddress: '10.1.1.77', ...place };

/** Of policy documents. */
export const documentBreakers: readonly RuleBreaker[] = [
  {
    what: 'a record that nodes learn',
    method: 'POST',
    path: '/v1/policy',
    body: { routingDomains: [{ rdid, name, lookupRecords: [{ ...record, type: 'dynamic' }] }] },
    rule: 'dynamic-learned',
    pointer: '/routingDomains/0/lookupRecords/0/type',
  },
  {
    what: 'a record twice',
    method: 'POST',
    path: '/v1/policy',
    body: { routingDomains: [{ rdid, name, lookupRecords: [record, record] }] },
    rule: 'named-once',
    pointer: '/routingDomains/0/lookupRecords/1/id',
  },
  {
    what: 'the routing domain of another tenant',
    method: 'POST',
    path: '/v1/policy',
    body: { routingDomains: [{ rdid, name }] },
    tenant: FABRIKAM.rdid,
    status: 403,
    rule: 'token-routing-domains',
    pointer: '/routingDomains/0/rdid',
  },
  {
    what: 'more values than a document has',
    method: 'POST',
    path: '/v1/policy',
    get body() {
      return { ports: new Array(4_000_001).fill(0) };
    },
    status: 413,
    rule: 'document-values',
    names: '4000000',
  },
];

/** What `capacityBreakers` find: a node that has one of each and room for no more. */
export const fullCapacity = {
  ...{
    routingDomains: 1,
    lookupRecords: 1,
    customerRoutes: 1,
    externalAddresses: 1,
    siteConnections: 1,
    ports: 1,
  },
};
const full = `/v1/routing-domains/${rdid}`;
const firstRecord = { customerAddress: '10.1.1.11', ...place };
const firstRoute = { virtualSubnetId: vsid, destinationPrefix: '172.16.0.0/16', nextHop: '10.1.1.9' };
const firstSite = {
  ...{ destination: '203.0.113.7', initiate: 'never', subnets: [{ prefix: '192.168.50.0/24' }] },
  authentication: { method: 'psk', preSharedKey: 'correct horse battery' },
};
const firstPort = { virtualSubnetId: vsid, macAddress: '02:00:00:50:01:50' };

/** Writes one of each. */
export async function fillNode(api: Pick<ApiClient, 'put'>): Promise<void> {
  await api.put(full, { name });
  await api.put(`${full}/virtual-subnets/${vsid}`, { addressPrefixes: ['10.1.1.0/24'] });
  await api.put(`${full}/lookup-records/first`, firstRecord);
  await api.put(`${full}/customer-routes/first`, firstRoute);
  await api.put(`${full}/nat`, { externalAddresses: [{ ipAddress: '198.51.100.101' }] });
  await api.put(`${full}/site-connections/first`, firstSite);
  await api.put('/v1/ports/tap1', firstPort);
}

/** Of a full node. */
export const capacityBreakers: readonly RuleBreaker[] = [
  {
    what: 'a routing domain too many',
    path: '/v1/routing-domains/33333333-3333-3333-3333-333333333333',
    body: { name: 'second' },
    status: 507,
    rule: 'capacity-routing-domains',
    names: 'routingDomains',
  },
  {
    what: 'a lookup record too many',
    path: `${full}/lookup-records/second`,
    body: { ...firstRecord, customerAddress: '10.1.1.12' },
    status: 507,
    rule: 'capacity-lookup-records',
    names: 'lookupRecords',
  },
  {
    what: 'a customer route too many',
    path: `${full}/customer-routes/second`,
    body: { ...firstRoute, destinationPrefix: '172.17.0.0/16' },
    status: 507,
    rule: 'capacity-customer-routes',
    names: 'customerRoutes',
  },
  {
    what: 'an external address too many',
    path: `${full}/nat`,
    body: { externalAddresses: [{ ipAddress: '198.51.100.101' }, { ipAddress: '198.51.100.102' }] },
    status: 507,
    rule: 'capacity-external-addresses',
    names: 'externalAddresses',
  },
  {
    what: 'a site connection too many',
    path: `${full}/site-connections/second`,
    body: { ...firstSite, destination: '203.0.113.8' },
    status: 507,
    rule: 'capacity-site-connections',
    names: 'siteConnections',
  },
  {
    what: 'a port too many',
    path: '/v1/ports/tap2',
    body: { ...firstPort, macAddress: '02:00:00:50:01:51' },
    status: 507,
    rule: 'capacity-ports',
    names: 'ports',
  },
];
