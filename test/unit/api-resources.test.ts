import { rmSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { dirname, join } from 'node:path';
import t from 'tap';
import { buildApp } from '../../src/api/app.ts';
import { openStore } from '../../src/store/sqlite.ts';
import { contosoPath, fabrikamPath, putTenant, runApi, StandInOperations, tenant } from './api-server.ts';
import { capacity, storePath } from './store-folder.ts';

const pending = { state: 'pending', reason: 'not programmed yet', since: '2026-01-01T00:00:00.000Z' };
const ready = { state: 'ready', since: '2026-01-01T00:00:00.000Z' };

t.test('every resource is created, read as it was written, replaced and removed', async (t) => {
  const api = await runApi(t);
  const identities: Record<string, object> = {
    '/v1/provider-addresses/192.0.2.1': { address: '192.0.2.1' },
    '/v1/provider-addresses/2001:db8::1': { address: '2001:db8::1' },
    '/v1/provider-routes/fabric': { id: 'fabric' },
    '/v1/ports/tap0.1': { interface: 'tap0.1' },
    '/v1/ports/uplink-of-vm7': { interface: 'uplink-of-vm7' },
    [contosoPath]: { rdid: '11111111-0000-0000-0000-00000000000a' },
    [`${contosoPath}/virtual-subnets/5001`]: { vsid: 5001 },
    [`${contosoPath}/virtual-subnets/5002`]: { vsid: 5002 },
    [`${contosoPath}/lookup-records/web1`]: { id: 'web1' },
    [`${contosoPath}/customer-routes/default`]: { id: 'default' },
    [`${contosoPath}/gateway`]: { rdid: '11111111-0000-0000-0000-00000000000a' },
    [`${contosoPath}/nat`]: { rdid: '11111111-0000-0000-0000-00000000000a' },
  };
  const normalized: Record<string, object> = {
    [`${contosoPath}/virtual-subnets/5001`]: { isGatewaySubnet: false },
    [`${contosoPath}/lookup-records/web1`]: { macAddress: '02:00:00:aa:bb:cc', type: 'static' },
    [`${contosoPath}/customer-routes/default`]: { metric: 0 },
    '/v1/provider-routes/fabric': { metric: 0 },
    '/v1/ports/tap0.1': { macAddress: '02:00:00:aa:bb:01' },
    '/v1/ports/uplink-of-vm7': { customerAddresses: [], learn: false },
  };
  for (const [index, [path, body]] of tenant.entries()) {
    const expected = { ...identities[path], ...body, ...normalized[path], status: pending };
    const created = await api.request('PUT', path, body);
    t.equal(created.status, 201, path);
    t.equal(created.headers.get('etag'), `"${index + 1}"`);
    t.same(created.body, expected);
    const read = await api.request('GET', path);
    t.equal(read.status, 200);
    t.equal(read.type, 'application/json');
    t.equal(read.headers.get('etag'), `"${index + 1}"`);
    t.same(read.body, expected);
  }
  for (const [path, body] of tenant) {
    const replaced = await api.request('PUT', path, body);
    t.equal(replaced.status, 200, path);
    t.equal(replaced.headers.get('etag'), `"${api.store.revision}"`);
  }
  for (const [path] of tenant.toReversed()) {
    const removed = await api.request('DELETE', path);
    t.strictSame([removed.status, removed.body], [204, undefined], path);
    t.equal((await api.request('GET', path)).status, 404);
    t.match(await api.request('DELETE', path), { status: 404, body: { code: 'HNV_NOT_FOUND' } });
  }
});

t.test('a routing domain is removed with all it has', async (t) => {
  const api = await runApi(t);
  await putTenant(api);
  t.equal((await api.request('DELETE', contosoPath)).status, 409, 'ports of VMs are not its own');
  t.equal((await api.request('DELETE', '/v1/ports/tap0.1')).status, 204);
  t.equal((await api.request('DELETE', contosoPath)).status, 204);
  t.equal((await api.request('GET', `${contosoPath}/nat`)).status, 404);
  t.equal((await api.request('GET', `${contosoPath}/lookup-records`)).status, 404);
  t.strictSame((await api.request('GET', '/v1/routing-domains')).body, { items: [] });
});

t.test('an RDID is taken in any case and answered in lower case', async (t) => {
  const api = await runApi(t);
  const upper = contosoPath.toUpperCase().replace('/V1/ROUTING-DOMAINS', '/v1/routing-domains');
  t.not(upper, contosoPath);
  const created = await api.request('PUT', upper, { name: 'x' });
  t.equal(created.status, 201);
  t.equal(created.body.rdid, contosoPath.split('/').at(-1));
  t.equal((await api.request('GET', contosoPath)).status, 200);
});

t.test('?wait answers with the status when the kernel is done', async (t) => {
  const api = await runApi(t);
  const key = { kind: 'routingDomain', rdid: contosoPath.split('/').at(-1) };
  const put = await api.request('PUT', `${contosoPath}?wait=5s`, { name: 'x' });
  t.strictSame([put.status, put.body.status], [201, ready]);
  const patch = await api.request('PATCH', `${contosoPath}?wait=250ms`, { name: 'y' });
  t.strictSame([patch.status, patch.body.status], [200, ready]);
  t.equal((await api.request('DELETE', `${contosoPath}?wait=60s`)).status, 204);
  t.strictSame(api.operations.waits, [
    { key, revision: 1, timeoutMs: 5000 },
    { key, revision: 2, timeoutMs: 250 },
    { key, revision: 3, timeoutMs: 60_000 },
  ]);
});

t.test('a list of 250 records is read in pages, complete and in order', async (t) => {
  const api = await runApi(t);
  await putTenant(api);
  await api.request('DELETE', `${contosoPath}/lookup-records/web1`);
  const ids = Array.from({ length: 240 }, (_, index) => `vm${String(index + 1).padStart(3, '0')}`);
  await Promise.all(
    ids.map((id, index) =>
      api.request('PUT', `${contosoPath}/lookup-records/${id}`, {
        customerAddress: `10.1.1.${index + 12}`,
        virtualSubnetId: 5001,
        macAddress: '02:00:00:00:00:01',
        providerAddress: '192.0.2.11',
      }),
    ),
  );
  for (let mac = 0; mac < 10; mac++) {
    const id = `wild${mac}`;
    ids.push(id);
    await api.request('PUT', `${contosoPath}/lookup-records/${id}`, {
      customerAddress: '0.0.0.0',
      virtualSubnetId: 5001,
      macAddress: `02:00:00:00:01:0${mac}`,
      providerAddress: '192.0.2.11',
      type: 'gatewayWildcard',
    });
  }
  const readAll = async (query: string) => {
    const pages: string[][] = [];
    let cursor: string | undefined;
    do {
      const more = cursor === undefined ? '' : `&cursor=${encodeURIComponent(cursor)}`;
      const { status, body } = await api.request('GET', `${contosoPath}/lookup-records?${query}${more}`);
      t.equal(status, 200);
      pages.push(body.items.map((item: { id: string }) => item.id));
      cursor = body.next;
    } while (cursor !== undefined);
    return pages;
  };
  const byDefault = await readAll('');
  t.strictSame(
    byDefault.map((page) => page.length),
    [100, 100, 50],
  );
  t.strictSame(byDefault.flat(), ids);
  const exact = await readAll('limit=125');
  t.strictSame(
    exact.map((page) => page.length),
    [125, 125],
    'no empty page at the end',
  );
  t.strictSame((await readAll('limit=1000')).flat(), ids);

  const first = await api.request('GET', `${contosoPath}/lookup-records?limit=2`);
  await api.request('DELETE', `${contosoPath}/lookup-records/vm002`);
  const second = await api.request('GET', `${contosoPath}/lookup-records?limit=1&cursor=${first.body.next}`);
  t.equal(second.body.items[0]?.id, 'vm003', 'a cursor outlives the item it was made of');
});

t.test('lists of every collection carry names and status', async (t) => {
  const api = await runApi(t);
  await putTenant(api);
  const names = async (path: string, name: string) => {
    const { body } = await api.request('GET', path);
    t.ok(body.items.every((item: { status: object }) => item.status !== undefined));
    return body.items.map((item: Record<string, unknown>) => item[name]);
  };
  t.strictSame(await names('/v1/routing-domains', 'rdid'), [contosoPath.split('/').at(-1)]);
  t.strictSame(await names('/v1/provider-addresses', 'address'), ['192.0.2.1', '2001:db8::1']);
  t.strictSame(await names('/v1/provider-routes', 'id'), ['fabric']);
  t.strictSame(await names('/v1/ports', 'interface'), ['tap0.1', 'uplink-of-vm7']);
  t.strictSame(await names(`${contosoPath}/virtual-subnets`, 'vsid'), [5001, 5002]);
  t.strictSame(await names(`${contosoPath}/customer-routes`, 'id'), ['default']);
});

t.test('a merge patch changes what it names and nothing else (RFC 7396)', async (t) => {
  const api = await runApi(t);
  await putTenant(api);
  await api.request('PUT', contosoPath, { name: 'a', description: 'b', labels: { x: '1', y: '2' } });
  const merge = { 'content-type': 'application/merge-patch+json' };
  const patched = await api.request(
    'PATCH',
    contosoPath,
    { description: null, labels: { x: null, z: '3' } },
    merge,
  );
  t.equal(patched.status, 200);
  t.equal(patched.headers.get('etag'), `"${api.store.revision}"`);
  t.match(patched.body, { name: 'a', labels: { y: '2', z: '3' } });
  t.strictSame(Object.keys(patched.body.labels), ['y', 'z']);
  t.notOk('description' in patched.body);

  const record = `${contosoPath}/lookup-records/web1`;
  t.match(await api.request('PATCH', record, { type: 'dynamic' }), {
    status: 200,
    body: { type: 'dynamic' },
  });
  t.match(await api.request('PATCH', record, { type: null }), { status: 200, body: { type: 'static' } });
  const arrays = await api.request('PATCH', `${contosoPath}/nat`, { staticMappings: [] });
  t.strictSame([arrays.status, arrays.body.staticMappings], [200, []]);

  t.match(await api.request('PATCH', contosoPath, { name: null }), {
    status: 400,
    body: { pointer: '/name', rule: 'required' },
  });
  t.match(await api.request('PATCH', contosoPath, [1]), { status: 400, body: { pointer: '', rule: 'type' } });
  t.match(await api.request('PATCH', fabrikamPath, { name: 'x' }), { status: 404 });
  t.match(await api.request('PATCH', record, { customerAddress: '10.9.9.9' }), {
    status: 400,
    body: { pointer: '/customerAddress', rule: 'address-in-subnet' },
  });
});

t.test('patches at the same time are all kept', async (t) => {
  const api = await runApi(t);
  await api.request('PUT', contosoPath, { name: 'a' });
  const names = Array.from({ length: 20 }, (_, index) => `label${index}`);
  const answers = await Promise.all(
    names.map((name) => api.request('PATCH', contosoPath, { labels: { [name]: 'x' } })),
  );
  t.ok(answers.every(({ status }) => status === 200));
  const { body } = await api.request('GET', contosoPath);
  t.strictSame(Object.keys(body.labels).sort(), [...names].sort());
});

t.test('conditions on the ETag decide about reads and writes', async (t) => {
  const api = await runApi(t);
  const put = (name: string, headers: Record<string, string>) =>
    api.request('PUT', contosoPath, { name }, headers);
  t.equal((await put('a', { 'if-match': '*' })).status, 412, 'If-Match: * needs a resource');
  t.equal((await put('a', { 'if-match': '"1"' })).status, 412);
  const created = await put('a', { 'if-none-match': '*' });
  t.equal(created.status, 201);
  const etag = created.headers.get('etag') ?? '';
  const refused = await put('b', { 'if-none-match': '*' });
  t.match(refused, {
    status: 412,
    type: 'application/problem+json',
    body: { code: 'HNV_PRECONDITION_FAILED' },
  });

  t.equal((await api.request('GET', contosoPath, undefined, { 'if-none-match': '"99"' })).status, 200);
  for (const header of [etag, `W/${etag}`, `"99", ${etag}`, '*']) {
    const fresh = await api.request('GET', contosoPath, undefined, { 'if-none-match': header });
    t.strictSame([fresh.status, fresh.body, fresh.headers.get('etag')], [304, undefined, etag], header);
  }

  t.equal((await put('b', { 'if-match': '"99"' })).status, 412);
  t.equal((await put('b', { 'if-match': `W/${etag}` })).status, 412, 'a weak tag never matches for a write');
  const replaced = await put('b', { 'if-match': `"99", ${etag}` });
  t.equal(replaced.status, 200);
  const second = replaced.headers.get('etag') ?? '';
  t.not(second, etag);
  t.equal((await put('c', { 'if-match': etag })).status, 412);
  t.equal((await put('c', { 'if-match': '*' })).status, 200);
  t.equal((await api.request('GET', contosoPath, undefined, { 'if-none-match': second })).status, 200);

  const patch = (headers: Record<string, string>) =>
    api.request('PATCH', contosoPath, { name: 'd' }, headers);
  t.equal((await patch({ 'if-match': second })).status, 412);
  t.equal((await patch({ 'if-match': `"${api.store.revision}"` })).status, 200);
  const remove = (headers: Record<string, string>) => api.request('DELETE', contosoPath, undefined, headers);
  t.equal((await remove({ 'if-match': second })).status, 412);
  t.equal((await api.request('GET', contosoPath)).body.name, 'd');
  t.equal((await remove({ 'if-match': `"${api.store.revision}"` })).status, 204);
});

t.test('of two writes with the same If-Match, one wins', async (t) => {
  const api = await runApi(t);
  await api.request('PUT', contosoPath, { name: 'a' });
  const answers = await Promise.all(
    ['b', 'c'].map((name) => api.request('PUT', contosoPath, { name }, { 'if-match': '"1"' })),
  );
  t.strictSame(answers.map(({ status }) => status).sort(), [200, 412]);
});

t.test('status, counters and probes answer what the privileged side says', async (t) => {
  const api = await runApi(t);
  await putTenant(api);
  t.strictSame((await api.request('GET', '/v1/status')).body, api.operations.nodeStatus());
  t.strictSame((await api.request('GET', `${contosoPath}/counters`)).body, api.operations.domainCounters());
  t.match(await api.request('GET', `${fabrikamPath}/counters`), {
    status: 404,
    body: { code: 'HNV_NOT_FOUND' },
  });
  t.match(await api.request('GET', '/healthz'), { status: 200, body: { alive: true } });
  api.operations.ready = false;
  t.match(await api.request('GET', '/readyz'), { status: 503, body: { ready: false } });
  t.match(await api.request('GET', '/healthz'), { status: 200 });
  api.operations.ready = true;
  t.match(await api.request('GET', '/readyz'), { status: 200, body: { ready: true } });
});

t.test('the API answers on a unix socket too', async (t) => {
  const path = storePath(t);
  const store = openStore({ path, capacity });
  const app = buildApp({ store, operations: new StandInOperations(), version: '0.1.0' });
  const socketPath = join(dirname(path), 'api.sock');
  t.teardown(async () => {
    await app.close();
    store.close();
    rmSync(socketPath, { force: true });
  });
  await app.listen({ path: socketPath });
  const status = await new Promise<number | undefined>((resolve, reject) => {
    httpRequest({ socketPath, path: '/healthz' }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode));
    })
      .on('error', reject)
      .end();
  });
  t.equal(status, 200);
});
