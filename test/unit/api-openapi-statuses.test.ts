/**
 * Every status that the document names is answered: all operations are walked, and each is made to answer in each of its ways.
 * What is answered besides is caught by `runApi`, here as in every other test.
 */
import t, { type Test } from 'tap';
import { newSecret, writeToken } from '../../src/access/secret.ts';
import { exampleRdid } from '../../src/api/examples.ts';
import { capacityBreakers, documentBreakers } from '../lab/node-rule-breakers.ts';
import { ruleBreakers } from '../lab/rule-breakers.ts';
import { asDocument } from '../lab/rule-document.ts';
import { type DocumentedOperation, type Json, type OpenApi, operationsOf } from './api-conformance.ts';
import { type RunningApi, runApi } from './api-server.ts';
import { cheapHash } from './guarded-api.ts';
import { knownRoutes, speaker } from './routed-domain.ts';
import { runFull, runTenants } from './rules-node.ts';
import { siteConnectionBody } from './site-connection.ts';

/** Failures of the node itself, which nobody can ask for; api-problems has some. */
const nodeFailure = '500';

const nobody = '99999999-9999-9999-9999-999999999999';
const names = (rdid: string, more: Record<string, string> = {}) => ({
  ...{ rdid, vsid: '5001', id: 'web1', name: 'shared', address: '192.0.2.1', interface: 'tap0', ...more },
});
const absent = names(nobody, {
  vsid: '4999',
  id: 'absent',
  name: 'absent',
  address: '192.0.2.99',
  interface: 'absent',
});
const wrong = names('%20', { vsid: '%20', id: '%20', name: '%20', address: '%20', interface: '%20' });

/** Ids and names of the examples, by the collection. */
const exampleIds: Record<string, string> = {
  ...{ 'customer-routes': 'default', 'provider-routes': 'fabric', 'site-connections': 'office' },
};

function pathOf(template: string, values: Record<string, string>): string {
  const [, collection = '', parameter] = /([a-z-]+)\/\{(id|name)\}/.exec(template) ?? [];
  const own = values.id === 'web1' ? exampleIds[collection] : undefined;
  return template.replace(
    /\{(\w+)\}/g,
    (_, name) => (name === parameter ? own : undefined) ?? values[name] ?? '',
  );
}

const example = (document: OpenApi, { requestBody }: DocumentedOperation['operation']): unknown => {
  const reference = String(requestBody?.content['application/json']?.schema?.$ref);
  return examplesOf(document, reference.split('/').at(-1) ?? '')[0] ?? {};
};

function examplesOf(document: OpenApi, component: string): Json[] {
  return (document.components.schemas[component]?.examples as Json[] | undefined) ?? [];
}

/** A token past the API, whose hash is cheap to make and to check. */
async function makeToken(
  { store }: RunningApi,
  id: string,
  rdids: string[],
): Promise<Record<string, string>> {
  const secret = newSecret();
  const created = new Date().toISOString();
  const role = rdids.length === 0 ? 'operator' : 'tenant';
  await store.tokens.put({ id, role, routingDomains: rdids, created, hash: cheapHash(secret) });
  return { authorization: `Bearer ${writeToken({ id, secret })}` };
}

const ask = async (api: RunningApi, request: Parameters<RunningApi['request']>): Promise<number> =>
  (await api.request(...request)).status;

const all = (api: RunningApi) =>
  operationsOf(api.document).map((each) => ({
    ...each,
    method: each.method.toUpperCase(),
    takesBody: each.method === 'patch' || each.operation.requestBody !== undefined,
  }));

/** Domains first when they are made, and last when they go; what others need before those. */
const writingOrder = [
  ...[
    'putProviderAddress',
    'putProviderRoute',
    'putExternalAddressPool',
    'putRoutingDomain',
    'putVirtualSubnet',
    'putGatewaySubnet',
  ],
  ...[
    'putLookupRecord',
    'putGateway',
    'putCustomerRoute',
    'putNat',
    'putForwarding',
    'putSiteConnection',
    'putBgp',
    'putPort',
    'putToken',
  ],
];

async function succeed(api: RunningApi): Promise<void> {
  const operations = all(api);
  const puts = writingOrder.flatMap((name) =>
    operations.filter(({ operation }) => operation.operationId === name),
  );
  const write = async () => {
    for (const { path, operation } of puts) {
      await ask(api, ['PUT', pathOf(path, names(exampleRdid)), example(api.document, operation)]);
      if (operation.operationId !== 'putVirtualSubnet') continue;
      const [, second] = examplesOf(api.document, 'VirtualSubnet');
      await ask(api, ['PUT', pathOf(path, names(exampleRdid, { vsid: '5002' })), second]);
    }
  };
  await write();
  await write();
  api.operations.speaker = { state: speaker, routes: knownRoutes };
  api.operations.uplinkSpeaker = speaker;
  const inDomains = operations.filter(({ method }) => ['GET', 'PATCH', 'POST'].includes(method));
  for (const { method, path, takesBody, operation } of inDomains) {
    const own = pathOf(path, names(exampleRdid));
    const body = method === 'POST' ? example(api.document, operation) : {};
    await ask(api, [method, own, takesBody ? body : undefined]);
    await ask(api, [method, own, takesBody ? body : undefined, { 'if-none-match': '*' }]);
  }
  const policy = await api.request('GET', '/v1/policy');
  if (policy.status === 200) await ask(api, ['PUT', '/v1/policy', policy.body]);
  api.operations.ready = false;
  await ask(api, ['GET', '/readyz']);
  api.operations.ready = true;
  api.operations.uplinkSpeaker = undefined;
}

async function refuse(api: RunningApi): Promise<void> {
  const tenant = await makeToken(api, 'tenant', [nobody]);
  const operator = await makeToken(api, 'operator', []);
  for (const { method, path, takesBody, operation } of all(api)) {
    const own = pathOf(path, names(exampleRdid));
    const body = takesBody ? example(api.document, operation) : undefined;
    const text = 'x'.repeat(1024 * 1024 + 1);
    const requests: Parameters<RunningApi['request']>[] = [
      [method, own, body, { 'if-match': '"999999"' }],
      [method, `${own}?nobody=1`, takesBody ? { nobody: 1 } : undefined],
      [method, pathOf(path, wrong), takesBody ? { nobody: 1 } : undefined],
      [method, own, body, { authorization: 'Bearer hnvgw_x' }],
      [method, own, body, tenant],
      [method, own, body, operator],
      [method, pathOf(path, absent), body],
    ];
    if (method !== 'GET')
      requests.push(
        [method, own, text, { 'content-type': 'text/plain' }],
        [method, own, JSON.stringify(text)],
      );
    for (const request of requests) await ask(api, request);
  }
}

async function remove(api: RunningApi): Promise<void> {
  const operations = all(api);
  for (const name of writingOrder.toReversed()) {
    const path = operations.find(({ operation }) => operation.operationId === name)?.path ?? '';
    await ask(api, ['DELETE', pathOf(path, names(exampleRdid))]);
  }
}

/** What BGP stands on by itself: its gateway, a customer route to what it tells, a tunnel to its peer. */
async function standUnderBgp(api: RunningApi): Promise<void> {
  const rdid = 'abababab-0000-0000-0000-000000000000';
  const own = `/v1/routing-domains/${rdid}`;
  const office = 'site-connections/office';
  const prefixes = (...addressPrefixes: string[]) => ({ addressPrefixes });
  for (const [path, body] of [
    ['', { name: 'underBgp' }],
    ['/virtual-subnets/9001', prefixes('10.91.1.0/24')],
    ['/virtual-subnets/9002', { ...prefixes('10.91.254.0/29'), isGatewaySubnet: true }],
    ['/gateway', { virtualSubnetId: 9002, customerAddresses: ['10.91.254.2'] }],
    [
      '/customer-routes/behind',
      { virtualSubnetId: 9001, destinationPrefix: '10.92.0.0/16', nextHop: '10.91.1.9' },
    ],
    ['/nat', { externalAddresses: [{ ipAddress: '203.0.113.91' }] }],
    [`/${office}`, { ...siteConnectionBody, subnets: [{ prefix: '192.168.91.0/24' }] }],
    [
      '/bgp',
      {
        ...{ asn: 65001, networks: ['10.92.0.0/16'] },
        peers: [{ name: 'site', address: '192.168.91.1', asn: 65002, localAddress: '10.91.254.2' }],
      },
    ],
  ] as const)
    await ask(api, ['PUT', own + path, body]);
  for (const path of ['gateway', 'customer-routes/behind', office])
    await ask(api, ['DELETE', `${own}/${path}`]);
}

/** Conflicts of what is there already: two of a kind, and the one becomes as the other is. */
const patchConflicts: [path: string, valid: object, conflicting: object][] = [
  [
    '/v1/routing-domains/11111111-1111-1111-1111-111111111111/customer-routes/second',
    { virtualSubnetId: 5002, destinationPrefix: '0.0.0.0/0', nextHop: '10.254.254.2', metric: 7 },
    { metric: 0 },
  ],
  [
    '/v1/provider-routes/second',
    { interface: 'pa0', destinationPrefix: '192.168.77.0/24', nextHop: '192.168.1.1', metric: 7 },
    { metric: 5 },
  ],
  [
    '/v1/ports/tap9',
    { virtualSubnetId: 5001, macAddress: '02:00:00:50:01:59' },
    { macAddress: '02:00:00:50:01:50' },
  ],
  [
    '/v1/routing-domains/77777777-7777-7777-7777-777777777777/site-connections/second',
    { ...siteConnectionBody, destination: '203.0.113.10' },
    { subnets: [{ prefix: '10.21.3.0/24' }] },
  ],
];

/** A domain of a policy document that has an external address which another one has, too. */
const sharer = (rdid: string) => ({
  rdid,
  name: rdid,
  nat: { externalAddresses: [{ ipAddress: '203.0.113.1' }] },
});

async function conflict(t: Test): Promise<Set<string>> {
  const api = await runTenants(t);
  for (const breaker of Object.values(ruleBreakers).flat()) {
    const { method = 'PUT', path, body, status } = breaker;
    if (status !== 409) continue;
    await ask(api, [method, path, body]);
    if (method === 'PUT') await ask(api, ['PATCH', path, body]);
    const document = asDocument(breaker)?.document;
    if (document !== undefined) await ask(api, ['POST', '/v1/policy', document]);
  }
  await ask(api, ['PUT', '/v1/policy', { routingDomains: [sharer(exampleRdid), sharer(nobody)] }]);
  for (const method of ['POST', 'PUT'])
    for (const { status, body } of documentBreakers)
      if (status === 413) await ask(api, [method, '/v1/policy', body]);
  await standUnderBgp(api);
  for (const [path, valid, conflicting] of patchConflicts) {
    await ask(api, ['PUT', path, valid]);
    await ask(api, ['PATCH', path, conflicting]);
  }
  return api.answered;
}

async function overfill(t: Test): Promise<Set<string>> {
  const api = await runFull(t);
  for (const breaker of capacityBreakers) {
    await ask(api, ['PUT', breaker.path, breaker.body]);
    if (breaker.path.endsWith('/nat')) await ask(api, ['PATCH', breaker.path, breaker.body]);
    const document = asDocument(breaker)?.document;
    for (const method of ['POST', 'PUT']) await ask(api, [method, '/v1/policy?dryRun=true', document]);
  }
  return api.answered;
}

/** More than one request a second. */
async function hurry(t: Test): Promise<Set<string>> {
  const api = await runApi(t, undefined, { requestsPerSecond: 1, failedLoginsPerMinute: 1 });
  for (const { method, path, takesBody } of all(api)) {
    const own = pathOf(path, names(exampleRdid));
    const body = takesBody ? {} : undefined;
    for (let status = 0; status !== 429; ) status = await ask(api, [method, own, body]);
  }
  return api.answered;
}

t.test('every documented status of every operation is answered', async (t) => {
  const api = await runApi(t, undefined, { requestsPerSecond: 100_000, failedLoginsPerMinute: 100_000 });
  await succeed(api);
  await refuse(api);
  await remove(api);
  await remove(api);
  const answered = new Set([
    ...api.answered,
    ...(await conflict(t)),
    ...(await overfill(t)),
    ...(await hurry(t)),
  ]);
  const documented = operationsOf(api.document).flatMap(({ operation }) =>
    Object.keys(operation.responses).map((status) => `${operation.operationId} ${status}`),
  );
  t.ok(documented.length > 300, `${documented.length} ways to answer`);
  t.strictSame(
    documented.filter((each) => !answered.has(each) && !each.endsWith(` ${nodeFailure}`)),
    [],
  );
});
