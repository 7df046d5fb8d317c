import { rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { buildApp } from '../../src/api/app.ts';
import { openStore } from '../../src/store/sqlite.ts';
import { ApiClient } from '../lab/api-client.ts';
import { expectStatus, type TypedApi } from '../lab/typed-api.ts';
import { putTenant, runApi, StandInOperations } from './api-server.ts';
import { siteConnectionBody } from './site-connection.ts';
import { capacity, contoso, fabrikam, storePath } from './store-folder.ts';

const rdid = contoso;
const pending = { state: 'pending', reason: 'not programmed yet', since: '2026-01-01T00:00:00.000Z' };
const ready = { state: 'ready', since: '2026-01-01T00:00:00.000Z' };

type Answer = Promise<{ status: number; headers: Headers; data?: unknown }>;

/** A resource with its operations, and what is answered instead of, or beside, what was written. */
interface Case {
  what: string;
  body: object;
  answered: object;
  put(): Answer;
  get(): Answer;
  remove(): Answer;
}

/** One resource of every kind or form, in an order in which they can be written. */
function resources(api: TypedApi): Case[] {
  const cases: Case[] = [];
  const add = <Name extends object, Body extends object>(
    what: string,
    name: Name,
    body: Body,
    answered: object,
    operations: {
      put(name: Name, body: Body): Answer;
      get(name: Name): Answer;
      remove(name: Name): Answer;
    },
  ) =>
    cases.push({
      ...{ what, body, answered },
      put: () => operations.put(name, body),
      get: () => operations.get(name),
      remove: () => operations.remove(name),
    });

  const providerAddress = {
    put: (
      name: { address: string },
      providerAddress: Parameters<TypedApi['putProviderAddress']>[0]['providerAddress'],
    ) => api.putProviderAddress({ ...name, providerAddress }),
    get: api.getProviderAddress,
    remove: api.deleteProviderAddress,
  };
  const first = { address: '192.0.2.1' };
  add('an IPv4 provider address', first, { interface: 'eth0', prefixLength: 24 }, first, providerAddress);
  const second = { address: '2001:db8::1' };
  add('an IPv6 one', second, { interface: 'eth0', prefixLength: 64, vlanId: 7 }, second, providerAddress);
  add(
    'a provider route',
    { id: 'fabric' },
    { interface: 'eth0', destinationPrefix: '198.51.100.0/24', nextHop: '192.0.2.254' },
    { id: 'fabric', metric: 0 },
    {
      put: (name, providerRoute) => api.putProviderRoute({ ...name, providerRoute }),
      get: api.getProviderRoute,
      remove: api.deleteProviderRoute,
    },
  );
  add(
    'an external address pool',
    { name: 'shared' },
    { prefixes: ['203.0.113.128/31'], portBlockSize: 64 },
    { name: 'shared' },
    {
      put: (name, externalAddressPool) => api.putExternalAddressPool({ ...name, externalAddressPool }),
      get: api.getExternalAddressPool,
      remove: api.deleteExternalAddressPool,
    },
  );
  add(
    'a routing domain',
    { rdid },
    { name: 'Contoso', labels: { tier: 'gold' } },
    { rdid },
    {
      put: (name, routingDomain) => api.putRoutingDomain({ ...name, routingDomain }),
      get: api.getRoutingDomain,
      remove: api.deleteRoutingDomain,
    },
  );
  const subnet = {
    put: (
      name: { rdid: string; vsid: number },
      virtualSubnet: Parameters<TypedApi['putVirtualSubnet']>[0]['virtualSubnet'],
    ) => api.putVirtualSubnet({ ...name, virtualSubnet }),
    get: api.getVirtualSubnet,
    remove: api.deleteVirtualSubnet,
  };
  add(
    'a virtual subnet',
    { rdid, vsid: 5001 },
    { addressPrefixes: ['10.1.1.0/24', '2001:db8:1::/64'], providerMulticastAddress: '239.1.0.1' },
    { vsid: 5001, isGatewaySubnet: false },
    subnet,
  );
  add(
    'a gateway subnet',
    { rdid, vsid: 5002 },
    { addressPrefixes: ['10.254.254.0/29'], isGatewaySubnet: true },
    { vsid: 5002 },
    subnet,
  );
  add(
    'a lookup record',
    { rdid, id: 'web1' },
    {
      ...{ customerAddress: '10.1.1.11', virtualSubnetId: 5001 },
      ...{ macAddress: '02-00-00-AA-BB-CC', providerAddress: '192.0.2.11' },
    },
    { id: 'web1', macAddress: '02:00:00:aa:bb:cc', type: 'static' },
    {
      put: (name, lookupRecord) => api.putLookupRecord({ ...name, lookupRecord }),
      get: api.getLookupRecord,
      remove: api.deleteLookupRecord,
    },
  );
  add(
    'a customer route',
    { rdid, id: 'default' },
    { virtualSubnetId: 5002, destinationPrefix: '0.0.0.0/0', nextHop: '10.254.254.2' },
    { id: 'default', metric: 0 },
    {
      put: (name, customerRoute) => api.putCustomerRoute({ ...name, customerRoute }),
      get: api.getCustomerRoute,
      remove: api.deleteCustomerRoute,
    },
  );
  add(
    'a gateway',
    { rdid },
    { virtualSubnetId: 5002, customerAddresses: ['10.254.254.2'] },
    { rdid },
    {
      put: (name, gateway) => api.putGateway({ ...name, gateway }),
      get: api.getGateway,
      remove: api.deleteGateway,
    },
  );
  const mapping = { protocol: 'tcp' as const, externalIpAddress: '203.0.113.1', externalPort: 8080 };
  add(
    'a NAT policy',
    { rdid },
    {
      externalAddresses: [{ ipAddress: '203.0.113.1' }],
      staticMappings: [{ ...mapping, internalIpAddress: '10.1.1.11', internalPort: 80 }],
    },
    {
      ...{ rdid, externalPrefixes: [], oneToOne: [], hairpinning: 'local', algs: [] },
      timeouts: { icmp: 60, tcpEstablished: 7440, tcpTransient: 240, udp: 300 },
      filtering: { tcp: 'addressAndPortDependent', udp: 'addressAndPortDependent' },
    },
    {
      put: (name, nat) => api.putNat({ ...name, nat }),
      get: api.getNat,
      remove: api.deleteNat,
    },
  );
  add(
    'a site connection',
    { rdid, name: 'office' },
    siteConnectionBody,
    {
      ...{ name: 'office', authentication: { method: 'psk' }, initiate: 'start', mobike: false },
      subnets: [{ prefix: '192.168.50.0/24', metric: 0 }],
      mainMode: {
        encryptionAlgorithms: ['GCMAES256', 'GCMAES128', 'AES256', 'AES128'],
        integrityAlgorithms: ['SHA384', 'SHA256'],
        diffieHellmanGroups: ['Curve25519', 'ECP384', 'ECP256', 'Group14'],
        saLifeTimeSeconds: 28_800,
      },
      quickMode: {
        encryptionAlgorithms: ['GCMAES256', 'GCMAES128', 'AES256', 'AES128'],
        integrityAlgorithms: ['SHA384', 'SHA256'],
        perfectForwardSecrecy: ['Curve25519', 'ECP384', 'ECP256', 'Group14', 'None'],
        saLifeTimeSeconds: 3600,
      },
    },
    {
      put: (name, siteConnection) => api.putSiteConnection({ ...name, siteConnection }),
      get: api.getSiteConnection,
      remove: api.deleteSiteConnection,
    },
  );
  const port = {
    put: (name: { $interface: string }, port: Parameters<TypedApi['putPort']>[0]['port']) =>
      api.putPort({ ...name, port }),
    get: api.getPort,
    remove: api.deletePort,
  };
  add(
    'a port',
    { $interface: 'tap0.1' },
    {
      ...{ virtualSubnetId: 5001, macAddress: '02-00-00-AA-BB-01', learn: true },
      customerAddresses: ['10.1.1.21', '2001:db8:1::21'],
    },
    { interface: 'tap0.1', macAddress: '02:00:00:aa:bb:01' },
    port,
  );
  add(
    'a port outside HNV',
    { $interface: 'uplink-of-vm7' },
    {},
    { interface: 'uplink-of-vm7', customerAddresses: [], learn: false },
    port,
  );
  return cases;
}

t.test('every resource is created, read as it was written, replaced and removed', async (t) => {
  const api = await runApi(t);
  const cases = resources(api.typed);
  for (const [index, { what, body, answered, put, get }] of cases.entries()) {
    const expected = { ...body, ...answered, status: pending };
    const created = await put();
    t.equal(created.status, 201, what);
    t.equal(created.headers.get('etag'), `"${index + 1}"`);
    t.same(created.data, expected);
    const read = await get();
    t.equal(read.status, 200);
    t.match(read.headers.get('content-type'), /^application\/json/);
    t.equal(read.headers.get('etag'), `"${index + 1}"`);
    t.same(read.data, expected);
  }
  for (const { what, put } of cases) {
    const replaced = await put();
    t.equal(replaced.status, 200, what);
    t.equal(replaced.headers.get('etag'), `"${api.store.revision}"`);
  }
  for (const { what, get, remove } of cases.toReversed()) {
    t.match(await remove(), { status: 204, data: '' }, what);
    t.equal((await get()).status, 404);
    t.match(await remove(), { status: 404, data: { code: 'HNV_NOT_FOUND' } });
  }
});

t.test('a routing domain is removed with all it has', async (t) => {
  const api = await runApi(t);
  await putTenant(api);
  const { typed } = api;
  await expectStatus(409, typed.deleteRoutingDomain({ rdid }));
  t.match(await typed.deletePort({ $interface: 'tap0.1' }), { status: 204 }, 'ports of VMs are not its own');
  await expectStatus(204, typed.deleteRoutingDomain({ rdid }));
  await expectStatus(404, typed.getNat({ rdid }));
  await expectStatus(404, typed.listLookupRecord({ rdid }));
  t.strictSame((await expectStatus(200, typed.listRoutingDomain())).data, { items: [] });
});

t.test('an RDID is taken in any case and answered in lower case', async (t) => {
  const { typed } = await runApi(t);
  const upper = rdid.toUpperCase();
  t.not(upper, rdid);
  const created = await expectStatus(
    201,
    typed.putRoutingDomain({ rdid: upper, routingDomain: { name: 'x' } }),
  );
  t.equal(created.data.rdid, rdid);
  await expectStatus(200, typed.getRoutingDomain({ rdid }));
});

t.test('?wait answers with the status when the kernel is done', async (t) => {
  const { typed, operations } = await runApi(t);
  const key = { kind: 'routingDomain', rdid };
  const put = typed.putRoutingDomain({ rdid, wait: '5s', routingDomain: { name: 'x' } });
  t.strictSame((await expectStatus(201, put)).data.status, ready);
  const patch = typed.patchRoutingDomain({ rdid, wait: '250ms', body: { name: 'y' } });
  t.strictSame((await expectStatus(200, patch)).data.status, ready);
  await expectStatus(204, typed.deleteRoutingDomain({ rdid, wait: '60s' }));
  t.strictSame(operations.waits, [
    { key, revision: 1, timeoutMs: 5000 },
    { key, revision: 2, timeoutMs: 250 },
    { key, revision: 3, timeoutMs: 60_000 },
  ]);
});

t.test('a list of 250 records is read in pages, complete and in order', async (t) => {
  const api = await runApi(t);
  await putTenant(api);
  const { typed } = api;
  await expectStatus(204, typed.deleteLookupRecord({ rdid, id: 'web1' }));
  const ids = Array.from({ length: 240 }, (_, index) => `vm${String(index + 1).padStart(3, '0')}`);
  const place = { virtualSubnetId: 5001, providerAddress: '192.0.2.11' };
  await Promise.all(
    ids.map((id, index) => {
      const customerAddress = `10.1.1.${index + 12}`;
      const lookupRecord = { ...place, customerAddress, macAddress: '02:00:00:00:00:01' };
      return expectStatus(201, typed.putLookupRecord({ rdid, id, lookupRecord }));
    }),
  );
  for (let mac = 0; mac < 10; mac++) {
    const id = `wild${mac}`;
    ids.push(id);
    const lookupRecord = {
      ...{ ...place, customerAddress: '0.0.0.0', macAddress: `02:00:00:00:01:0${mac}` },
      type: 'gatewayWildcard' as const,
    };
    await expectStatus(201, typed.putLookupRecord({ rdid, id, lookupRecord }));
  }
  const readAll = async (limit?: number) => {
    const pages: string[][] = [];
    let cursor: string | undefined;
    do {
      const page = {
        ...(limit === undefined ? {} : { limit }),
        ...(cursor === undefined ? {} : { cursor }),
      };
      const { data } = await expectStatus(200, typed.listLookupRecord({ rdid, ...page }));
      pages.push(data.items.map(({ id }) => id));
      cursor = data.next;
    } while (cursor !== undefined);
    return pages;
  };
  const byDefault = await readAll();
  t.strictSame(
    byDefault.map((page) => page.length),
    [100, 100, 50],
  );
  t.strictSame(byDefault.flat(), ids);
  const exact = await readAll(125);
  t.strictSame(
    exact.map((page) => page.length),
    [125, 125],
    'no empty page at the end',
  );
  t.strictSame((await readAll(1000)).flat(), ids);

  const first = await expectStatus(200, typed.listLookupRecord({ rdid, limit: 2 }));
  await expectStatus(204, typed.deleteLookupRecord({ rdid, id: 'vm002' }));
  const cursor = first.data.next ?? '';
  const second = await expectStatus(200, typed.listLookupRecord({ rdid, limit: 1, cursor }));
  t.equal(second.data.items[0]?.id, 'vm003', 'a cursor outlives the item it was made of');
});

t.test('lists of every collection carry names and status', async (t) => {
  const api = await runApi(t);
  await putTenant(api);
  const { typed } = api;
  const items = async <Item extends { status: object }>(
    list: Promise<{ status: 200; data: { items: Item[] } } | { status: 400 | 401 | 403 | 404 | 429 | 500 }>,
  ) => {
    const { data } = await expectStatus(200, list);
    t.ok(data.items.every(({ status }) => status !== undefined));
    return data.items;
  };
  const domains = await items(typed.listRoutingDomain());
  t.strictSame(
    domains.map((item) => item.rdid),
    [rdid],
  );
  const addresses = await items(typed.listProviderAddress());
  t.strictSame(
    addresses.map(({ address }) => address),
    ['192.0.2.1', '2001:db8::1'],
  );
  const providerRoutes = await items(typed.listProviderRoute());
  t.strictSame(
    providerRoutes.map(({ id }) => id),
    ['fabric'],
  );
  await expectStatus(
    201,
    typed.putExternalAddressPool({ name: 'shared', externalAddressPool: { prefixes: ['203.0.113.128/31'] } }),
  );
  const pools = await items(typed.listExternalAddressPool());
  t.strictSame(
    pools.map(({ name }) => name),
    ['shared'],
  );
  const ports = await items(typed.listPort());
  t.strictSame(
    ports.map((port) => port.interface),
    ['tap0.1', 'uplink-of-vm7'],
  );
  const subnets = await items(typed.listVirtualSubnet({ rdid }));
  t.strictSame(
    subnets.map(({ vsid }) => vsid),
    [5001, 5002],
  );
  const routes = await items(typed.listCustomerRoute({ rdid }));
  t.strictSame(
    routes.map(({ id }) => id),
    ['default'],
  );
});

t.test('a merge patch changes what it names and nothing else (RFC 7396)', async (t) => {
  const api = await runApi(t);
  await putTenant(api);
  const { typed } = api;
  const routingDomain = { name: 'a', description: 'b', labels: { x: '1', y: '2' } };
  await expectStatus(200, typed.putRoutingDomain({ rdid, routingDomain }));
  const patch = (body: object) =>
    typed.patchRoutingDomain({ rdid, body }, { 'content-type': 'application/merge-patch+json' });
  const patched = await expectStatus(200, patch({ description: null, labels: { x: null, z: '3' } }));
  t.equal(patched.headers.get('etag'), `"${api.store.revision}"`);
  t.strictSame(patched.data.labels, { y: '2', z: '3' });
  t.equal(patched.data.name, 'a');
  t.notOk('description' in patched.data);

  const patchRecord = (body: object) => typed.patchLookupRecord({ rdid, id: 'web1', body });
  const dynamic = await expectStatus(200, patchRecord({ type: 'dynamic' }));
  t.equal(dynamic.data.type, 'dynamic');
  const byDefault = await expectStatus(200, patchRecord({ type: null }));
  t.equal(byDefault.data.type, 'static');
  const arrays = await expectStatus(200, typed.patchNat({ rdid, body: { staticMappings: [] } }));
  t.strictSame(arrays.data.staticMappings, []);

  const noName = await expectStatus(400, patch({ name: null }));
  t.match(noName.data, { pointer: '/name', rule: 'required' });
  const list = await expectStatus(400, patch([1]));
  t.match(list.data, { pointer: '', rule: 'type' });
  await expectStatus(404, typed.patchRoutingDomain({ rdid: fabrikam, body: { name: 'x' } }));
  const outside = await expectStatus(400, patchRecord({ customerAddress: '10.9.9.9' }));
  t.match(outside.data, { pointer: '/customerAddress', rule: 'address-in-subnet' });
});

t.test('patches at the same time are all kept', async (t) => {
  const { typed } = await runApi(t);
  await expectStatus(201, typed.putRoutingDomain({ rdid, routingDomain: { name: 'a' } }));
  const names = Array.from({ length: 20 }, (_, index) => `label${index}`);
  await Promise.all(
    names.map((name) =>
      expectStatus(200, typed.patchRoutingDomain({ rdid, body: { labels: { [name]: 'x' } } })),
    ),
  );
  const { data } = await expectStatus(200, typed.getRoutingDomain({ rdid }));
  t.strictSame(Object.keys(data.labels ?? {}).sort(), [...names].sort());
});

t.test('conditions on the ETag decide about reads and writes', async (t) => {
  const { typed, store } = await runApi(t);
  const put = (name: string, conditions: { ifMatch?: string; ifNoneMatch?: string }) =>
    typed.putRoutingDomain({ rdid, routingDomain: { name }, ...conditions });
  t.equal((await put('a', { ifMatch: '*' })).status, 412, 'If-Match: * needs a resource');
  t.equal((await put('a', { ifMatch: '"1"' })).status, 412);
  const created = await put('a', { ifNoneMatch: '*' });
  t.equal(created.status, 201);
  const etag = created.headers.get('etag') ?? '';
  const refused = await expectStatus(412, put('b', { ifNoneMatch: '*' }));
  t.equal(refused.data.code, 'HNV_PRECONDITION_FAILED');

  const get = (ifNoneMatch: string) => typed.getRoutingDomain({ rdid, ifNoneMatch });
  t.equal((await get('"99"')).status, 200);
  for (const header of [etag, `W/${etag}`, `"99", ${etag}`, '*']) {
    const fresh = await get(header);
    t.strictSame([fresh.status, fresh.headers.get('etag')], [304, etag], header);
  }

  t.equal((await put('b', { ifMatch: '"99"' })).status, 412);
  t.equal((await put('b', { ifMatch: `W/${etag}` })).status, 412, 'a weak tag never matches for a write');
  const replaced = await put('b', { ifMatch: `"99", ${etag}` });
  t.equal(replaced.status, 200);
  const second = replaced.headers.get('etag') ?? '';
  t.not(second, etag);
  t.equal((await put('c', { ifMatch: etag })).status, 412);
  t.equal((await put('c', { ifMatch: '*' })).status, 200);
  t.equal((await get(second)).status, 200);

  const patch = (ifMatch: string) => typed.patchRoutingDomain({ rdid, ifMatch, body: { name: 'd' } });
  t.equal((await patch(second)).status, 412);
  t.equal((await patch(`"${store.revision}"`)).status, 200);
  const remove = (ifMatch: string) => typed.deleteRoutingDomain({ rdid, ifMatch });
  t.equal((await remove(second)).status, 412);
  t.equal((await expectStatus(200, typed.getRoutingDomain({ rdid }))).data.name, 'd');
  t.equal((await remove(`"${store.revision}"`)).status, 204);
});

t.test('of two writes with the same If-Match, one wins', async (t) => {
  const { typed } = await runApi(t);
  await expectStatus(201, typed.putRoutingDomain({ rdid, routingDomain: { name: 'a' } }));
  const answers = await Promise.all(
    ['b', 'c'].map((name) => typed.putRoutingDomain({ rdid, routingDomain: { name }, ifMatch: '"1"' })),
  );
  t.strictSame(answers.map(({ status }) => status).sort(), [200, 412]);
});

t.test('status, counters and probes answer what the privileged side says', async (t) => {
  const api = await runApi(t);
  await putTenant(api);
  const { typed, operations } = api;
  t.strictSame((await expectStatus(200, typed.getStatus())).data, operations.nodeStatus());
  const counters = await expectStatus(200, typed.getDomainCounters({ rdid }));
  t.strictSame(counters.data, { ...operations.domainCounters(), nat: operations.natUse() });
  const unknown = await expectStatus(404, typed.getDomainCounters({ rdid: fabrikam }));
  t.equal(unknown.data.code, 'HNV_NOT_FOUND');
  t.strictSame((await expectStatus(200, typed.getHealth())).data, { alive: true });
  operations.ready = false;
  t.strictSame((await expectStatus(503, typed.getReadiness())).data, { ready: false });
  await expectStatus(200, typed.getHealth());
  operations.ready = true;
  t.strictSame((await expectStatus(200, typed.getReadiness())).data, { ready: true });
});

t.test('the API answers on a unix socket too', async (t) => {
  const path = storePath(t);
  const store = await openStore({ path, capacity });
  const operations = new StandInOperations(store);
  const app = buildApp({ store, operations, version: '0.1.0' });
  const socketPath = join(dirname(path), 'api.sock');
  t.teardown(async () => {
    await app.close();
    await store.close();
    rmSync(socketPath, { force: true });
  });
  await app.listen({ path: socketPath });
  const { data } = await expectStatus(200, new ApiClient(socketPath).typed.getHealth());
  t.strictSame(data, { alive: true });
});
