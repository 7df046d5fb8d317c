import t, { type Test } from 'tap';
import { HnvError } from '../../src/errors.ts';
import {
  type Answer,
  contosoPath,
  fabrikamPath,
  putTenant,
  type RunningApi,
  runApi,
  tenant,
} from './api-server.ts';

const bodyOf = (path: string) => Object.fromEntries(tenant)[path] ?? {};
const record = `${contosoPath}/lookup-records/web1`;
const newRecord = `${contosoPath}/lookup-records/web2`;
const route = `${contosoPath}/customer-routes/default`;
const newRoute = `${contosoPath}/customer-routes/other`;
const subnet = `${contosoPath}/virtual-subnets/5001`;
const newSubnet = `${contosoPath}/virtual-subnets/5003`;
const gatewaySubnet = `${contosoPath}/virtual-subnets/5002`;
const gateway = `${contosoPath}/gateway`;
const nat = `${contosoPath}/nat`;
const provider = '/v1/provider-addresses/192.0.2.1';
const fabric = '/v1/provider-routes/fabric';
const port = '/v1/ports/tap0.1';
const newPort = '/v1/ports/tap2';
const external = { ipAddress: '203.0.113.1' };
const mapping = (bodyOf(nat).staticMappings as object[])[0];

function checkProblem(t: Test, answer: Answer, status: number, code: string): void {
  t.equal(answer.status, status);
  t.equal(answer.type, 'application/problem+json');
  const { type, title, detail } = answer.body;
  t.equal(answer.body.status, status);
  t.equal(answer.body.code, code);
  t.equal(type, `/errors/${code}`);
  t.ok(title.length > 0);
  t.match(detail, /^\S.*\.$/s, 'the detail is a sentence');
}

type Case = [
  what: string,
  path: string,
  changes: object | unknown[],
  status: number,
  pointer: string,
  rule: string,
];

const fieldCases: Case[] = [
  // Schemas
  ['a missing field', contosoPath, { name: undefined }, 400, '/name', 'required'],
  ['an unknown field', contosoPath, { nmae: 'x' }, 400, '/nmae', 'unknown-field'],
  ['a field of the answer', contosoPath, { status: {} }, 400, '/status', 'unknown-field'],
  ['a field with a slash', contosoPath, { 'a/b~c': 1 }, 400, '/a~1b~0c', 'unknown-field'],
  ['a label with a space', contosoPath, { labels: { 'a b': 'x' } }, 400, '/labels/a b', 'unknown-field'],
  ['a number for a text', contosoPath, { name: 7 }, 400, '/name', 'type'],
  ['a text for a number', record, { virtualSubnetId: '5001' }, 400, '/virtualSubnetId', 'type'],
  ['null', contosoPath, { name: null }, 400, '/name', 'type'],
  ['an empty name', contosoPath, { name: '' }, 400, '/name', 'min-length'],
  ['too long a name', contosoPath, { name: 'x'.repeat(129) }, 400, '/name', 'max-length'],
  ['a list for an object', contosoPath, [], 400, '', 'type'],
  ['a reserved VSID', record, { virtualSubnetId: 4095 }, 400, '/virtualSubnetId', 'minimum'],
  ['the last VSID', record, { virtualSubnetId: 16_777_215 }, 400, '/virtualSubnetId', 'maximum'],
  ['an unknown type', record, { type: 'Static' }, 400, '/type', 'enum'],
  ['a bad MAC', record, { macAddress: '02:00:00:aa:bb' }, 400, '/macAddress', 'pattern'],
  ['no prefixes', subnet, { addressPrefixes: [] }, 400, '/addressPrefixes', 'min-items'],
  [
    'nine prefixes',
    subnet,
    { addressPrefixes: Array(9).fill('10.0.0.0/24') },
    400,
    '/addressPrefixes',
    'max-items',
  ],
  [
    'a bad port',
    nat,
    { externalAddresses: [{ ...external, portStart: 0 }] },
    400,
    '/externalAddresses/0/portStart',
    'minimum',
  ],
  // One resource by itself
  ['no address', record, { customerAddress: '10.1.1.256' }, 400, '/customerAddress', 'ip-address'],
  ['v4-mapped IPv6', record, { customerAddress: '::ffff:10.1.1.9' }, 400, '/customerAddress', 'ip-address'],
  [
    'a multicast group of a link',
    subnet,
    { providerMulticastAddress: '224.0.0.1' },
    400,
    '/providerMulticastAddress',
    'address-multicast',
  ],
  ['a port without MAC', port, { macAddress: undefined }, 400, '/macAddress', 'port-mac'],
  [
    'a port outside with addresses',
    port,
    { virtualSubnetId: undefined, macAddress: undefined, customerAddresses: ['10.1.1.9'] },
    400,
    '/customerAddresses',
    'port-outside',
  ],
  [
    'a route between families',
    newRoute,
    { ...bodyOf(route), nextHop: '::' },
    400,
    '/nextHop',
    'route-family',
  ],
  [
    'a mapping between families',
    nat,
    { staticMappings: [{ ...mapping, internalIpAddress: '2001:db8:1::9' }] },
    400,
    '/staticMappings/0/internalIpAddress',
    'mapping-family',
  ],
  ['a tag of nobody', provider, { vlanId: 4095 }, 400, '/vlanId', 'maximum'],
  ['no prefix', subnet, { addressPrefixes: ['10.1.1.0'] }, 400, '/addressPrefixes/0', 'ip-prefix'],
  ['host bits', subnet, { addressPrefixes: ['10.1.1.1/24'] }, 400, '/addressPrefixes/0', 'prefix-host-bits'],
  [
    'too short a prefix',
    subnet,
    { addressPrefixes: ['10.0.0.0/7'] },
    400,
    '/addressPrefixes/0',
    'prefix-length',
  ],
  [
    'a multicast prefix',
    subnet,
    { addressPrefixes: ['224.0.0.0/24'] },
    400,
    '/addressPrefixes/0',
    'prefix-unicast',
  ],
  [
    'prefixes that overlap each other',
    newSubnet,
    { addressPrefixes: ['10.2.0.0/16', '10.2.3.0/24'] },
    400,
    '/addressPrefixes/1',
    'prefix-overlap',
  ],
  ['a multicast MAC', record, { macAddress: '01:00:00:00:00:01' }, 400, '/macAddress', 'mac-unicast'],
  [
    'a loopback provider address',
    record,
    { providerAddress: '127.0.0.1' },
    400,
    '/providerAddress',
    'address-unicast',
  ],
  [
    'a wildcard with an address',
    record,
    { type: 'gatewayWildcard' },
    400,
    '/customerAddress',
    'address-unspecified',
  ],
  [
    'two gateway addresses',
    gateway,
    { customerAddresses: ['10.254.254.2', '10.254.254.3'] },
    400,
    '/customerAddresses/1',
    'one-address-per-family',
  ],
  [
    'an external address twice',
    nat,
    { externalAddresses: [external, external] },
    400,
    '/externalAddresses/1/ipAddress',
    'external-address-once',
  ],
  [
    'half a port range',
    nat,
    { externalAddresses: [{ ...external, portStart: 1024 }] },
    400,
    '/externalAddresses/0/portStart',
    'port-range-both',
  ],
  [
    'a port range backwards',
    nat,
    { externalAddresses: [{ ...external, portStart: 9, portEnd: 8 }] },
    400,
    '/externalAddresses/0/portEnd',
    'port-range-order',
  ],
  [
    'a mapping of another address',
    nat,
    { staticMappings: [{ ...mapping, externalIpAddress: '203.0.113.2' }] },
    400,
    '/staticMappings/0/externalIpAddress',
    'mapping-external-address',
  ],
  [
    'a mapping twice',
    nat,
    { staticMappings: [mapping, mapping] },
    400,
    '/staticMappings/1/externalPort',
    'mapping-unique',
  ],
  // Between resources
  [
    'a subnet that overlaps another',
    newSubnet,
    { addressPrefixes: ['10.1.1.128/25'] },
    409,
    '/addressPrefixes/0',
    'prefix-overlap',
  ],
  [
    'a second gateway subnet',
    newSubnet,
    { addressPrefixes: ['10.2.0.0/24'], isGatewaySubnet: true },
    409,
    '/isGatewaySubnet',
    'one-gateway-subnet',
  ],
  [
    'a subnet that leaves its records',
    subnet,
    { addressPrefixes: ['10.3.0.0/24'] },
    409,
    '/addressPrefixes',
    'virtual-subnet-in-use',
  ],
  [
    'a gateway subnet that stops being it',
    gatewaySubnet,
    { isGatewaySubnet: false },
    409,
    '/isGatewaySubnet',
    'gateway-subnet-in-use',
  ],
  ['the VSID of nobody', record, { virtualSubnetId: 7000 }, 400, '/virtualSubnetId', 'vsid-of-domain'],
  [
    'the VSID of another domain',
    record,
    { virtualSubnetId: 6001 },
    400,
    '/virtualSubnetId',
    'vsid-of-domain',
  ],
  [
    'an address outside its subnet',
    record,
    { customerAddress: '10.1.2.1' },
    400,
    '/customerAddress',
    'address-in-subnet',
  ],
  [
    'the broadcast address',
    record,
    { customerAddress: '10.1.1.255' },
    400,
    '/customerAddress',
    'address-of-host',
  ],
  ['the .1', record, { customerAddress: '10.1.1.1' }, 400, '/customerAddress', 'address-reserved'],
  ['an address that is taken', newRecord, bodyOf(record), 409, '/customerAddress', 'customer-address-unique'],
  ['a next hop out of reach', route, { nextHop: '10.1.1.11' }, 400, '/nextHop', 'address-in-subnet'],
  [
    'an on-link route elsewhere',
    route,
    { nextHop: '0.0.0.0' },
    400,
    '/destinationPrefix',
    'on-link-in-subnet',
  ],
  ['a route twice', newRoute, bodyOf(route), 409, '/destinationPrefix', 'route-unique'],
  [
    'a gateway in a common subnet',
    gateway,
    { virtualSubnetId: 5001, customerAddresses: ['10.1.1.2'] },
    400,
    '/virtualSubnetId',
    'gateway-subnet',
  ],
  [
    'another MAC for the gateway’s address',
    newRecord,
    { ...bodyOf(record), customerAddress: '10.254.254.2', virtualSubnetId: 5002 },
    409,
    '/macAddress',
    'gateway-mac',
  ],
  [
    'an external address of another domain',
    nat,
    { externalAddresses: [external, { ipAddress: '203.0.113.99' }] },
    409,
    '/externalAddresses/1/ipAddress',
    'external-address-available',
  ],
  [
    'an external address that is a provider address',
    nat,
    { externalAddresses: [external, { ipAddress: '192.0.2.1' }] },
    409,
    '/externalAddresses/1/ipAddress',
    'external-address-available',
  ],
  [
    'a mapping to nowhere',
    nat,
    { staticMappings: [{ ...mapping, internalIpAddress: '10.7.7.7' }] },
    400,
    '/staticMappings/0/internalIpAddress',
    'address-in-subnet',
  ],
  ['a port in no subnet', port, { virtualSubnetId: 7000 }, 400, '/virtualSubnetId', 'port-vsid'],
  ['the MAC of another port', newPort, bodyOf(port), 409, '/macAddress', 'port-mac-unique'],
  [
    'the address of another port',
    newPort,
    { ...bodyOf(port), macAddress: '02:00:00:aa:bb:02' },
    409,
    '/customerAddresses/0',
    'port-address-unique',
  ],
  [
    'a port that loses its subnet',
    subnet,
    { addressPrefixes: ['10.1.1.0/24'] },
    409,
    '/addressPrefixes',
    'virtual-subnet-in-use',
  ],
  ['a next hop on no link', fabric, { nextHop: '192.0.3.1' }, 400, '/nextHop', 'provider-route-neighbour'],
  [
    'a provider route twice',
    '/v1/provider-routes/other',
    bodyOf(fabric),
    409,
    '/destinationPrefix',
    'provider-route-unique',
  ],
  [
    'a provider prefix that a route needs',
    provider,
    { prefixLength: 32 },
    409,
    '/prefixLength',
    'provider-address-in-use',
  ],
  [
    'a provider address on a port',
    provider,
    { interface: 'tap0.1' },
    409,
    '/interface',
    'provider-interface-port',
  ],
  ['too long a provider prefix', provider, { prefixLength: 33 }, 400, '/prefixLength', 'prefix-length'],
];

async function putBothTenants(api: RunningApi): Promise<void> {
  await putTenant(api);
  const others: [string, object][] = [
    [fabrikamPath, { name: 'Fabrikam' }],
    [`${fabrikamPath}/virtual-subnets/6001`, { addressPrefixes: ['10.1.1.0/24'] }],
    [`${fabrikamPath}/nat`, { externalAddresses: [{ ipAddress: '203.0.113.99' }] }],
  ];
  for (const [path, body] of others) await api.request('PUT', path, body);
}

t.test('a field that breaks a rule is named with the rule, and nothing changes', async (t) => {
  const api = await runApi(t);
  await putBothTenants(api);
  const { revision } = api.store;
  for (const [what, path, changes, status, pointer, rule] of fieldCases) {
    await t.test(what, async (t) => {
      const body = Array.isArray(changes) ? changes : { ...bodyOf(path), ...changes };
      const answer = await api.request('PUT', path, body);
      checkProblem(t, answer, status, status === 400 ? 'HNV_INVALID_FIELD' : answer.body.code);
      t.match(answer.body, { pointer, rule });
      if (status === 409) t.match(answer.body.code, /^HNV_(CONFLICT|IN_USE)$/);
    });
  }
  t.equal(api.store.revision, revision);
});

const nameCases: [what: string, method: string, path: string, status: number, rule: string][] = [
  ['no GUID', 'PUT', '/v1/routing-domains/contoso', 400, 'pattern'],
  ['a GUID in braces', 'GET', `/v1/routing-domains/%7B${contosoPath.split('/').at(-1)}%7D`, 400, 'pattern'],
  ['a reserved VSID', 'PUT', `${contosoPath}/virtual-subnets/4095`, 400, 'minimum'],
  ['a VSID of all ones', 'PUT', `${contosoPath}/virtual-subnets/16777215`, 400, 'maximum'],
  ['a VSID with a leading zero', 'GET', `${contosoPath}/virtual-subnets/05001`, 400, 'type'],
  ['a VSID in hexadecimal', 'GET', `${contosoPath}/virtual-subnets/0x1389`, 400, 'type'],
  ['an id with a space', 'PUT', `${contosoPath}/lookup-records/a%20b`, 400, 'pattern'],
  ['an id with a slash', 'PUT', `${contosoPath}/lookup-records/a%2Fb`, 400, 'pattern'],
  ['an id of 65 characters', 'PUT', `${contosoPath}/lookup-records/${'a'.repeat(65)}`, 400, 'pattern'],
  ['no address', 'GET', '/v1/provider-addresses/eth0', 400, 'ip-address'],
  ['a link-local provider address', 'PUT', '/v1/provider-addresses/fe80::1', 400, 'provider-address-unicast'],
  ['an interface of 16 letters', 'PUT', '/v1/ports/sixteen-letters-', 400, 'pattern'],
  ['an interface with a slash', 'PUT', '/v1/ports/tap%2F0', 400, 'pattern'],
  ['an interface with a space', 'PUT', '/v1/ports/tap%200', 400, 'pattern'],
  ['a loopback provider address', 'PUT', '/v1/provider-addresses/127.0.0.1', 400, 'provider-address-unicast'],
  ['a limit of 0', 'GET', '/v1/routing-domains?limit=0', 400, 'minimum'],
  ['a limit of 1001', 'GET', '/v1/routing-domains?limit=1001', 400, 'maximum'],
  ['a limit that is no number', 'GET', '/v1/routing-domains?limit=ten', 400, 'type'],
  ['an unknown parameter', 'GET', '/v1/routing-domains?limt=10', 400, 'unknown-field'],
  ['a cursor that nobody gave', 'GET', '/v1/routing-domains?cursor=!!', 400, 'cursor'],
  ['a wait without unit', 'PUT', `${contosoPath}?wait=5`, 400, 'pattern'],
  ['a wait over a minute', 'PUT', `${contosoPath}?wait=61s`, 400, 'maximum'],
];

t.test('a wrong name or parameter is refused with the rule, and nothing changes', async (t) => {
  const api = await runApi(t);
  await putTenant(api);
  const { revision } = api.store;
  for (const [what, method, path, status, rule] of nameCases) {
    await t.test(what, async (t) => {
      const body = path.includes('provider-addresses') ? bodyOf(provider) : { name: 'x' };
      const answer = await api.request(method, path, method === 'PUT' ? body : undefined);
      checkProblem(t, answer, status, 'HNV_INVALID_FIELD');
      t.equal(answer.body.rule, rule);
      t.notOk('pointer' in answer.body, 'a pointer would point into the body');
    });
  }
  t.equal(api.store.revision, revision);
});

t.test('a VSID of another domain and a name in use are conflicts', async (t) => {
  const api = await runApi(t);
  await putBothTenants(api);
  const taken = await api.request('PUT', `${contosoPath}/virtual-subnets/6001`, {
    addressPrefixes: ['10.8.0.0/24'],
  });
  checkProblem(t, taken, 409, 'HNV_CONFLICT');
  t.equal(taken.body.rule, 'vsid-unique');
  t.match(taken.body.detail, /22222222-/, 'an administrator is told whose it is');
  const both = await api.request('PUT', '/v1/provider-addresses/203.0.113.1', bodyOf(provider));
  checkProblem(t, both, 409, 'HNV_CONFLICT');
  t.equal(both.body.rule, 'provider-address-external');
});

t.test('what others depend on is not removed', async (t) => {
  const api = await runApi(t);
  await putTenant(api);
  const answer = await api.request('DELETE', subnet);
  checkProblem(t, answer, 409, 'HNV_IN_USE');
  t.equal(answer.body.rule, 'virtual-subnet-in-use');
  const domain = await api.request('DELETE', contosoPath);
  checkProblem(t, domain, 409, 'HNV_IN_USE');
  t.equal(domain.body.rule, 'routing-domain-in-use');
  const address = await api.request('DELETE', provider);
  checkProblem(t, address, 409, 'HNV_IN_USE');
  t.equal(address.body.rule, 'provider-address-in-use');
});

t.test('what is not there is HNV_NOT_FOUND', async (t) => {
  const api = await runApi(t);
  const paths: [string, string][] = [
    ['GET', contosoPath],
    ['GET', `${contosoPath}/lookup-records`],
    ['GET', `${contosoPath}/gateway`],
    ['GET', `${contosoPath}/counters`],
    ['GET', provider],
    ['GET', port],
    ['DELETE', fabric],
    ['DELETE', provider],
    ['GET', '/'],
    ['GET', '/v1/nothing?x=1'],
    ['POST', '/nothing'],
    ['GET', `${contosoPath}/`],
    ['GET', '/docs/nothing'],
  ];
  for (const [method, path] of paths) {
    checkProblem(t, await api.request(method, path), 404, 'HNV_NOT_FOUND');
  }
  const orphan = await api.request('PUT', newSubnet, { addressPrefixes: ['10.8.0.0/24'] });
  checkProblem(t, orphan, 404, 'HNV_NOT_FOUND');
});

t.test('a method that a path does not have is 405 with those it has', async (t) => {
  const api = await runApi(t);
  const post = await api.request('POST', contosoPath, 'x', { 'content-type': 'text/plain' });
  checkProblem(t, post, 405, 'HNV_METHOD_NOT_ALLOWED');
  t.equal(post.headers.get('allow'), 'GET, HEAD, PUT, PATCH, DELETE');
  const put = await api.request('PUT', '/v1/status', {});
  checkProblem(t, put, 405, 'HNV_METHOD_NOT_ALLOWED');
  t.equal(put.headers.get('allow'), 'GET, HEAD');
});

t.test('bodies that cannot be read are refused', async (t) => {
  const api = await runApi(t);
  const put = (body: string | undefined, type?: string) =>
    api.request('PUT', contosoPath, body, type === undefined ? {} : { 'content-type': type });
  checkProblem(t, await put('{"name":'), 400, 'HNV_BAD_REQUEST');
  checkProblem(t, await put('{"name":"x","__proto__":{}}'), 400, 'HNV_BAD_REQUEST');
  checkProblem(t, await put('', 'application/json'), 400, 'HNV_BAD_REQUEST');
  checkProblem(t, await put(undefined), 400, 'HNV_INVALID_FIELD');
  checkProblem(t, await put('name: x', 'application/yaml'), 415, 'HNV_MEDIA_TYPE');
  checkProblem(t, await put('x', 'text/plain'), 415, 'HNV_MEDIA_TYPE');
  checkProblem(t, await put('{"name":"x"}', 'application/merge-patch+json'), 415, 'HNV_MEDIA_TYPE');
  checkProblem(t, await put(JSON.stringify({ name: 'x'.repeat(1024 * 1024) })), 413, 'HNV_TOO_LARGE');
  checkProblem(t, await api.request('GET', '/v1/%zz'), 400, 'HNV_BAD_REQUEST');
  const long = await api.request('GET', `${contosoPath}?limit=${'x'.repeat(20_000)}`);
  checkProblem(t, long, 431, 'HNV_BAD_REQUEST');
  t.equal(api.store.revision, 0);
});

t.test('a full node answers 507', async (t) => {
  const api = await runApi(t, {
    routingDomains: 1,
    lookupRecords: 1,
    customerRoutes: 1,
    siteConnections: 1,
    externalAddresses: 1,
    ports: 2,
  });
  await putTenant(api);
  const domain = await api.request('PUT', fabrikamPath, { name: 'x' });
  checkProblem(t, domain, 507, 'HNV_CAPACITY');
  t.equal(domain.body.rule, 'capacity-routing-domains');
  const second = await api.request('PUT', newRecord, { ...bodyOf(record), customerAddress: '10.1.1.12' });
  t.equal(second.body.rule, 'capacity-lookup-records');
});

t.test('a failure of the node tells what was raised on purpose and hides the rest', async (t) => {
  const api = await runApi(t);
  api.operations.failure = new HnvError('HNV_BPF', 'The map hg_records cannot be read: EPERM.');
  const known = await api.request('GET', '/v1/status');
  checkProblem(t, known, 500, 'HNV_BPF');
  t.match(known.body.detail, /hg_records/);
  api.operations.failure = new TypeError('secret of the implementation');
  const unknown = await api.request('GET', '/v1/status');
  checkProblem(t, unknown, 500, 'HNV_INTERNAL');
  t.notMatch(JSON.stringify(unknown.body), /secret/);
  await api.store.close();
  checkProblem(t, await api.request('PUT', contosoPath, { name: 'x' }), 500, 'HNV_STORE');
});
