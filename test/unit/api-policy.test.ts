import { monitorEventLoopDelay } from 'node:perf_hooks';
import t from 'tap';
import { contosoPath, fabrikamPath, putTenant, type RunningApi, runApi } from './api-server.ts';
import { siteConnectionBody } from './site-connection.ts';
import { contoso, fabrikam, snapshot } from './store-folder.ts';

const record = (customerAddress: string, more: object = {}) => ({
  customerAddress,
  virtualSubnetId: 5001,
  macAddress: '02:00:00:aa:bb:cc',
  providerAddress: '192.0.2.11',
  ...more,
});

/** A tenant with a subnet, records, a gateway and NAT. */
const tenant = (rdid: string, vsid: number, externalAddress: string, more: object = {}) => ({
  rdid,
  name: `tenant of ${vsid}`,
  virtualSubnets: [
    { vsid, addressPrefixes: ['10.1.0.0/16'] },
    { vsid: vsid + 1, addressPrefixes: ['10.254.254.0/29'], isGatewaySubnet: true },
  ],
  lookupRecords: [
    { id: 'web1', ...record('10.1.0.11', { virtualSubnetId: vsid }) },
    { id: 'web2', ...record('10.1.0.12', { virtualSubnetId: vsid }) },
  ],
  gateway: { virtualSubnetId: vsid + 1, customerAddresses: ['10.254.254.2'] },
  nat: { externalAddresses: [{ ipAddress: externalAddress }] },
  ...more,
});

const twoTenants = {
  providerAddresses: [{ address: '192.0.2.1', interface: 'eth0', prefixLength: 24 }],
  routingDomains: [tenant(contoso, 5001, '203.0.113.1'), tenant(fabrikam, 6001, '203.0.113.2')],
};

/** What the tests look at in answers of `/v1/policy`: outcomes, documents and problems. */
interface PolicyAnswer {
  status: number;
  headers: Headers;
  body: {
    revision: number;
    changes: { change: string; path: string; fields?: object[] }[];
    [field: string]: unknown;
  };
}

async function send(
  api: RunningApi,
  method: string,
  body?: unknown,
  { query = '', headers = {} }: { query?: string; headers?: Record<string, string> } = {},
): Promise<PolicyAnswer> {
  const answer = await api.request(method, `/v1/policy${query}`, body, headers);
  return answer as unknown as PolicyAnswer;
}

/** Headers that carry a new token of a tenant. */
async function tenantToken(api: RunningApi, ...routingDomains: string[]): Promise<Record<string, string>> {
  const { body } = await api.request('PUT', '/v1/tokens/portal', { role: 'tenant', routingDomains });
  return { authorization: `Bearer ${(body as unknown as { token: string }).token}` };
}

t.test('what GET answers can be put again, and changes nothing', async (t) => {
  const api = await runApi(t);
  await putTenant(api);
  const got = await send(api, 'GET');
  t.equal(got.status, 200);
  const before = snapshot(api.store.state);
  const again = await send(api, 'PUT', got.body);
  t.match(again, { status: 200, body: { created: 0, changed: 0, deleted: 0, unchanged: 15, changes: [] } });
  t.equal(again.headers.get('etag'), got.headers.get('etag'), 'the store is at the same revision');
  t.strictSame(snapshot(api.store.state), before);

  const other = await runApi(t);
  const missing = '/routingDomains/0/siteConnections/0/authentication/preSharedKey';
  t.match(await send(other, 'PUT', got.body), { status: 400, body: { pointer: missing } });
  const whole = structuredClone(got.body) as unknown as { routingDomains: [{ siteConnections: object[] }] };
  whole.routingDomains[0].siteConnections = [{ name: 'office', ...siteConnectionBody }];
  t.match((await send(other, 'PUT', whole)).body, { created: 15, revision: 1 });
  t.strictSame(
    (await send(other, 'GET')).body,
    got.body,
    'an empty node that it is put to, with the secret, has the same policy',
  );
});

t.test('GET has the ETag of the store, and answers 304 to it', async (t) => {
  const api = await runApi(t);
  const empty = await send(api, 'GET');
  t.strictSame(empty.body, {
    ...{ providerAddresses: [], providerRoutes: [], externalAddressPools: [] },
    ...{ routingDomains: [], ports: [] },
  });
  await putTenant(api);
  const tag = (await send(api, 'GET')).headers.get('etag') ?? '';
  t.equal(tag, `"${api.store.revision}"`);
  t.equal((await send(api, 'GET', undefined, { headers: { 'if-none-match': tag } })).status, 304);
  await api.request('DELETE', `${contosoPath}/site-connections/office`);
  t.equal((await send(api, 'GET', undefined, { headers: { 'if-none-match': tag } })).status, 200);
});

t.test('every kind of change is told, with the fields before and after', async (t) => {
  const api = await runApi(t);
  await putTenant(api);
  const { body } = await send(api, 'GET');
  const document = structuredClone(body) as unknown as {
    providerRoutes: object[];
    routingDomains: [Record<string, unknown> & { nat: { staticMappings: object[] }; labels?: object }];
    ports: object[];
  };
  document.providerRoutes = [];
  const [domain] = document.routingDomains;
  domain.labels = { 'a/b': 'x' };
  domain.description = 'new';
  domain.lookupRecords = [{ id: 'web2', ...record('10.1.1.12') }];
  domain.nat.staticMappings[0] = { ...domain.nat.staticMappings[0], externalPort: 8443 };
  document.ports[0] = { ...document.ports[0], customerAddresses: ['10.1.1.21'] };
  const put = await send(api, 'PUT', document);
  t.match(put, {
    status: 200,
    body: { dryRun: false, created: 1, changed: 3, deleted: 2, unchanged: 10 },
  });
  const changes = new Map(put.body.changes.map((change) => [change.path, change]));
  t.equal(changes.size, 6);
  t.strictSame(changes.get(contosoPath)?.fields, [
    { pointer: '/labels/tier', before: 'gold' },
    { pointer: '/labels/a~1b', after: 'x' },
    { pointer: '/description', after: 'new' },
  ]);
  t.strictSame(changes.get(`${contosoPath}/nat`)?.fields, [
    { pointer: '/staticMappings/0/externalPort', before: 8080, after: 8443 },
  ]);
  t.strictSame(changes.get('/v1/ports/tap0.1')?.fields, [
    { pointer: '/customerAddresses', before: ['10.1.1.21', '2001:db8:1::21'], after: ['10.1.1.21'] },
  ]);
  t.strictSame(changes.get(`${contosoPath}/lookup-records/web2`), {
    change: 'created',
    path: `${contosoPath}/lookup-records/web2`,
  });
  t.equal(changes.get(`${contosoPath}/lookup-records/web1`)?.change, 'deleted');
  t.equal(changes.get('/v1/provider-routes/fabric')?.change, 'deleted');
  for (const path of [contosoPath, `${contosoPath}/nat`, `${contosoPath}/lookup-records/web2`])
    t.equal((await api.request('GET', path)).status, 200, path);
});

t.test('POST leaves what the document does not name', async (t) => {
  const api = await runApi(t);
  await putTenant(api);
  const document = {
    routingDomains: [
      { rdid: contoso, name: 'Contoso', lookupRecords: [{ id: 'b', ...record('10.1.1.13') }] },
    ],
  };
  const answer = await send(api, 'POST', document);
  t.match(answer, { status: 200, body: { created: 1, changed: 1, deleted: 0, unchanged: 0 } });
  t.equal((await api.request('GET', `${contosoPath}/lookup-records/web1`)).status, 200);
});

t.test('a refusal in the middle changes nothing, and says where it is', async (t) => {
  const api = await runApi(t);
  await send(api, 'PUT', { routingDomains: [tenant(contoso, 5001, '203.0.113.1')] });
  const before = snapshot(api.store.state);
  const { revision } = api.store;
  const outside = tenant(fabrikam, 6001, '203.0.113.2', {
    lookupRecords: [
      { id: 'a', ...record('10.1.0.11', { virtualSubnetId: 6001 }) },
      { id: 'b', ...record('172.16.0.1', { virtualSubnetId: 6001 }) },
    ],
  });
  const document = { ...twoTenants, routingDomains: [tenant(contoso, 5001, '203.0.113.1'), outside] };
  for (const method of ['PUT', 'POST']) {
    const answer = await send(api, method, document);
    t.match(answer, {
      status: 400,
      body: {
        code: 'HNV_INVALID_FIELD',
        rule: 'address-in-subnet',
        pointer: '/routingDomains/1/lookupRecords/1/customerAddress',
        detail: /lookup record b .*172\.16\.0\.1/,
      },
    });
  }
  t.strictSame(snapshot(api.store.state), before);
  t.equal(api.store.revision, revision);
});

t.test('a dry run tells what would change, and changes nothing', async (t) => {
  const api = await runApi(t);
  await putTenant(api);
  const before = snapshot(api.store.state);
  const { revision } = api.store;
  const dry = await send(api, 'PUT', twoTenants, { query: '?dryRun=true&wait=1s' });
  t.match(dry, { status: 200, body: { dryRun: true, revision } });
  t.notOk(dry.body.status, 'there is nothing to wait for');
  t.strictSame(snapshot(api.store.state), before);
  const real = await send(api, 'PUT', twoTenants, { query: '?dryRun=false' });
  t.strictSame(real.body, { ...dry.body, dryRun: false, revision: real.body.revision });
});

t.test('a VSID and an external address move from one domain to another in one PUT', async (t) => {
  const api = await runApi(t);
  t.equal((await send(api, 'PUT', twoTenants)).status, 200);
  const swapped = {
    ...twoTenants,
    routingDomains: [tenant(contoso, 6001, '203.0.113.2'), tenant(fabrikam, 5001, '203.0.113.1')],
  };
  t.match(await send(api, 'PUT', swapped), { status: 200 });
  t.equal(api.store.state.vsidOwners.get(5001), fabrikam);
  t.equal(api.store.state.externals.addresses.get('203.0.113.2')?.[0]?.rdid, contoso);
  t.match(await send(api, 'POST', twoTenants), { status: 409 }, 'POST takes nothing away');
});

t.test('If-Match holds a document against the revision of the store', async (t) => {
  const api = await runApi(t);
  t.match(await send(api, 'PUT', twoTenants, { headers: { 'if-match': '"7"' } }), {
    status: 412,
    body: { code: 'HNV_PRECONDITION_FAILED', detail: /The policy is at "0"/ },
  });
  const tag = (await send(api, 'GET')).headers.get('etag') ?? '';
  t.equal((await send(api, 'PUT', twoTenants, { headers: { 'if-match': tag } })).status, 200);
  const [first, second] = await Promise.all(
    ['a', 'b'].map((name) => {
      const document = { routingDomains: [{ rdid: contoso, name }] };
      return send(api, 'POST', document, { headers: { 'if-match': `"${api.store.revision}"` } });
    }),
  );
  t.strictSame([first?.status, second?.status].sort(), [200, 412], 'one of two at the same time is refused');
});

t.test('records that nodes have learned are not in the document, and a PUT leaves them', async (t) => {
  const api = await runApi(t);
  await send(api, 'PUT', twoTenants);
  const learned = record('10.1.0.77', { type: 'dynamic' });
  t.equal((await api.request('PUT', `${contosoPath}/lookup-records/seen`, learned)).status, 201);
  const { body } = await send(api, 'GET');
  t.notMatch(JSON.stringify(body), /dynamic/);
  t.match((await send(api, 'PUT', body)).body, { created: 0, changed: 0, deleted: 0 });
  t.equal((await api.request('GET', `${contosoPath}/lookup-records/seen`)).status, 200);
  const lookupRecords = [{ id: 'seen', ...learned }];
  t.match(await send(api, 'POST', { routingDomains: [{ rdid: contoso, name: 'x', lookupRecords }] }), {
    status: 400,
    body: { rule: 'dynamic-learned', pointer: '/routingDomains/0/lookupRecords/0/type' },
  });
});

t.test('wait answers what the kernel has made of all that is named or touched', async (t) => {
  const api = await runApi(t);
  await send(api, 'PUT', twoTenants);
  const reason = 'The namespace cannot be made.';
  api.operations.notReady.set(fabrikamPath, { state: 'failed', reason, since: '2026-01-01T00:00:00.000Z' });
  api.operations.waits.length = 0;
  const document = { routingDomains: [tenant(fabrikam, 6001, '203.0.113.9')] };
  const answer = await send(api, 'PUT', document, { query: '?wait=2s' });
  t.strictSame(answer.body.status, {
    ready: 1,
    pending: 0,
    failed: 1,
    notReady: [{ path: fabrikamPath, state: 'failed', reason }],
  });
  t.strictSame(
    new Set(api.operations.waits.map(({ key, timeoutMs }) => `${key.rdid} ${timeoutMs}`)),
    new Set([`${contoso} 2000`, `${fabrikam} 2000`]),
    'the domain that goes is waited for too',
  );
  t.match(await send(api, 'PUT', document, { query: '?wait=61s' }), {
    status: 400,
    body: { rule: 'maximum' },
  });
});

t.test('a body that is no JSON document in UTF-8 is refused', async (t) => {
  const api = await runApi(t);
  for (const [body, type, status, detail] of [
    ['{"ports":', 'application/json', 400, /not valid JSON/],
    ['', 'application/json', 400, /not valid JSON|no body|empty/],
    [Uint8Array.of(0x7b, 0xff, 0x7d), 'application/json', 400, /UTF-8/],
    ['{}', 'application/json; charset=latin1', 400, /charset latin1/],
    ['{}', 'application/json; charset="UTF-8"', 200, undefined],
    ['{}', 'text/yaml', 415, /./],
    ['['.repeat(200_000), 'application/json', 400, /not valid JSON/],
    [' '.repeat(64 * 1024 * 1024 + 1), 'application/json', 413, /./],
  ] as const) {
    const response = await fetch(`${api.base}/v1/policy`, {
      method: 'PUT',
      body,
      headers: { 'content-type': type },
    });
    const answer = (await response.json()) as { detail?: string };
    t.equal(response.status, status, `${String(body).slice(0, 20)} as ${type}`);
    if (detail !== undefined) t.match(answer.detail, detail);
  }
  t.match(await api.request('PUT', '/v1/policy', '{"__proto__":{}}'), {
    status: 400,
    body: { code: 'HNV_BAD_REQUEST' },
  });
});

t.test('a tenant reads and applies its own routing domains, and nothing else', async (t) => {
  const api = await runApi(t);
  await putTenant(api);
  await send(api, 'POST', { routingDomains: [tenant(fabrikam, 6001, '203.0.113.2')] });
  const headers = await tenantToken(api, fabrikam);
  const { body } = await send(api, 'GET', undefined, { headers });
  t.match(body, { routingDomains: [{ rdid: fabrikam }] });
  t.strictSame(Object.keys(body), ['routingDomains']);
  t.notMatch(JSON.stringify(body), contoso);

  t.match(await send(api, 'POST', body, { headers }), { status: 200, body: { unchanged: 7, changes: [] } });
  const renamed = { routingDomains: [{ rdid: fabrikam, name: 'new' }] };
  t.match(await send(api, 'POST', renamed, { headers, query: '?wait=1s' }), {
    status: 200,
    body: { status: { ready: 1 } },
  });

  const before = snapshot(api.store.state);
  const strange = '33333333-0000-0000-0000-00000000000c';
  for (const [document, pointer] of [
    [{ routingDomains: [renamed.routingDomains[0], { rdid: contoso, name: 'x' }] }, '/routingDomains/1/rdid'],
    [{ routingDomains: [{ rdid: strange, name: 'x' }] }, '/routingDomains/0/rdid'],
    [{ ports: [{ interface: 'tap9' }] }, '/ports/0'],
    [{ ...twoTenants, routingDomains: [] }, '/providerAddresses/0'],
  ] as const) {
    const answer = await send(api, 'POST', document, { headers });
    t.match(answer, { status: 403, body: { code: 'HNV_FORBIDDEN', pointer } });
  }
  t.equal((await send(api, 'PUT', body, { headers })).status, 403);
  t.strictSame(snapshot(api.store.state), before);
});

t.test('a document of 20 MB comes and goes, beside other requests and other documents', async (t) => {
  const api = await runApi(t);
  const lookupRecords = (vsid: number, count: number) =>
    Array.from({ length: count }, (_, n) => ({
      id: `vm-${n}`,
      ...record(`10.1.${n >> 8}.${n & 255 || 256 - 2}`.replace(/^10\.1\.0\.(1|254)$/, '10.1.200.$1'), {
        virtualSubnetId: vsid,
      }),
      context: 'x'.repeat(420),
    })).filter(({ customerAddress }, n, all) => n === 0 || all[n - 1]?.customerAddress !== customerAddress);
  const rdid = (n: number) => `44444444-0000-0000-0000-${String(n).padStart(12, '0')}`;
  const routingDomains = Array.from({ length: 50 }, (_, n) => ({
    ...tenant(rdid(n), 10_000 + 2 * n, `203.0.113.${n + 1}`),
    lookupRecords: lookupRecords(10_000 + 2 * n, 700).filter(
      ({ customerAddress }) => !/\.(0|255|254)$/.test(customerAddress),
    ),
  }));
  const text = JSON.stringify({ routingDomains });
  t.comment(`${(text.length / 1e6).toFixed(1)} MB`);
  t.ok(text.length > 18e6);
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const small = { routingDomains: [tenant(contoso, 5001, '203.0.113.201')] };
  const [big, again, , reads] = await Promise.all([
    send(api, 'PUT', text),
    send(api, 'PUT', text),
    send(api, 'POST', small),
    Promise.all(Array.from({ length: 20 }, () => api.request('GET', '/v1/routing-domains'))),
  ]);
  delay.disable();
  t.comment(
    `event loop: p99 ${(delay.percentile(99) / 1e6).toFixed(1)} ms, at most ${(delay.max / 1e6).toFixed(1)} ms`,
  );
  t.strictSame([big.status, again.status], [200, 200]);
  t.ok(reads.every(({ status }) => status === 200));
  const resources = routingDomains.reduce((sum, domain) => sum + 5 + domain.lookupRecords.length, 0);
  const counts = [big, again].map(({ body }) => `${body.created} created, ${body.unchanged} unchanged`);
  t.ok(counts.includes(`${resources} created, 0 unchanged`), counts.join('; '));
  const created = [big, again].find(({ body }) => body.created === resources);
  // What was posted meanwhile is not in the document, and goes.
  const { deleted = 0 } = (created?.body ?? {}) as { deleted?: number };
  t.match(created?.body, { moreChanges: resources + deleted - 1000 });
  t.equal(created?.body.changes.length, 1000);
  const got = await send(api, 'GET');
  const found = got.body.routingDomains as { rdid: string; lookupRecords: object[] }[];
  t.equal(
    found.find(({ rdid: found }) => found === rdid(49))?.lookupRecords.length,
    routingDomains[49]?.lookupRecords.length,
  );
  t.match((await send(api, 'PUT', got.body)).body, { created: 0, changed: 0, deleted: 0 });
});
