/** Site connections over REST: that secrets go in and never come out, what stays when they are left out, and what tunnels do. */
import t, { type Test } from 'tap';
import { type Answer, contosoPath, putTenant, type RunningApi, runApi } from './api-server.ts';
import { formsOf, liveConnection, preSharedKey, siteConnectionBody } from './site-connection.ts';

const collection = `${contosoPath}/site-connections`;
const path = `${collection}/office`;
const newSecret = 'ostrich-8Wy-feldspar-27182';
const { authentication } = siteConnectionBody;
const withSecret = (secret: unknown) => ({
  ...siteConnectionBody,
  authentication: { method: 'psk', preSharedKey: secret },
});
const withoutSecret = { ...siteConnectionBody, authentication: { method: 'psk' } };

/** An API with the tenant, which has the connection; and all that it has answered. */
async function start(t: Test): Promise<{ api: RunningApi; answers: string[] }> {
  const api = await runApi(t);
  await putTenant(api);
  const answers: string[] = [];
  const { request } = api;
  api.request = async (method, at, body, headers) => {
    const answer = await request(method, at, body, headers);
    answers.push(`${method} ${at}: ${JSON.stringify(answer.body)} ${JSON.stringify([...answer.headers])}`);
    return answer;
  };
  return { api, answers };
}

const authenticationOf = ({ body }: Answer) => (body as unknown as { authentication: object }).authentication;
const stored = ({ store }: RunningApi) =>
  store.get({ kind: 'siteConnection', rdid: contosoPath.slice(-36), id: 'office' });
const secretOf = (api: RunningApi) => stored(api)?.value.authentication.preSharedKey;

function leaks(answers: readonly string[]): string[] {
  const forms = [preSharedKey, newSecret].flatMap(formsOf);
  // Within JSON within JSON it is escaped once more.
  const all = forms.flatMap((form) => [form, JSON.stringify(form).slice(1, -1)]);
  return answers.filter((answer) => all.some((form) => answer.includes(form)));
}

t.test('no answer has a secret in it', async (t) => {
  const { api, answers } = await start(t);
  t.equal(secretOf(api), preSharedKey);
  const read = await api.request('GET', path);
  t.strictSame(authenticationOf(read), { method: 'psk' });
  for (const answer of [
    await api.request('PUT', path, withSecret(newSecret)),
    await api.request('PUT', `${collection}/depot`, {
      ...withSecret(newSecret),
      destination: '198.51.100.8',
    }),
    await api.request('PATCH', path, { mobike: true, authentication: { preSharedKey: newSecret } }),
  ]) {
    t.match(answer.status, /^20[01]$/);
    t.strictSame(authenticationOf(answer), { method: 'psk' });
  }
  t.equal(secretOf(api), newSecret);
  const list = await api.request('GET', collection);
  t.strictSame(
    list.body.items.map((item) => item.authentication),
    [{ method: 'psk' }, { method: 'psk' }],
  );
  api.operations.tunnels.set('office', liveConnection);
  for (const each of [
    `${path}/sas`,
    '/v1/policy',
    '/v1/audit',
    '/v1/status',
    '/metrics',
    '/v1/routing-domains',
  ])
    t.equal((await api.request('GET', each)).status, 200, each);
  const policy = await api.request('GET', '/v1/policy');
  for (const query of ['?dryRun=true', ''])
    for (const method of ['PUT', 'POST'])
      t.equal((await api.request(method, `/v1/policy${query}`, policy.body)).status, 200);
  for (const event of api.operations.events.since(undefined)) answers.push(JSON.stringify(event));
  t.ok(answers.length > 20);
  t.strictSame(leaks(answers), []);
});

t.test('no refusal quotes a secret, or what stands in its place', async (t) => {
  const { api, answers } = await start(t);
  const key = newSecret;
  const bodies: unknown[] = [
    withSecret(key.slice(0, 5)),
    withSecret(key.repeat(20)),
    withSecret([key]),
    withSecret({ key }),
    { ...siteConnectionBody, authentication: key },
    { ...siteConnectionBody, authentication: [key] },
    { ...siteConnectionBody, authentication: [{ preSharedKey: key }] },
    { ...siteConnectionBody, authentication: { ...authentication, method: 'certificate', privateKey: key } },
    { ...siteConnectionBody, authentication: { ...authentication, preSharedKey: key, privateKey: key } },
    {
      ...siteConnectionBody,
      authentication: { method: 'certificate', privateKey: `-----BEGIN PRIVATE KEY-----${key}` },
    },
    [withSecret(key)],
    { ...withSecret(key), subnets: [withSecret(key)] },
    { ...withSecret(key), destination: { authentication: { preSharedKey: key } } },
    { ...withSecret(key), destination: '999.1.1.1' },
    JSON.stringify(withSecret(key)).replace('"method"', 'method'),
    JSON.stringify(withSecret(key)).replace(`"${key}"`, key),
    JSON.stringify(withSecret(key)).slice(0, -3),
  ];
  const { revision } = api.store;
  const wrapped = (element: unknown) => ({
    routingDomains: [{ rdid: contosoPath.slice(-36), name: 'Contoso', siteConnections: element }],
  });
  for (const body of bodies) {
    const { status } = await api.request('PUT', path, body);
    t.equal(status, 400, JSON.stringify(body));
    if (typeof body === 'string') {
      t.equal((await api.request('POST', '/v1/policy', body)).status, 400);
      continue;
    }
    for (const element of [[{ name: 'office', ...(body as object) }], body]) {
      const answer = await api.request('POST', '/v1/policy', wrapped(element));
      t.equal(answer.status, 400, JSON.stringify(element));
    }
  }
  t.equal(api.store.revision, revision);
  const parts = [newSecret, newSecret.slice(0, 5), newSecret.slice(-5)];
  t.strictSame(
    answers.filter((answer) => parts.some((part) => answer.includes(part))),
    [],
  );
});

t.test('who leaves the secret out keeps it', async (t) => {
  const { api } = await start(t);
  const {
    status: _,
    name,
    ...body
  } = (await api.request('GET', path)).body as unknown as Record<string, unknown>;
  t.equal(name, 'office');
  t.equal((await api.request('PUT', path, body)).status, 200);
  t.equal(secretOf(api), preSharedKey);
  t.equal((await api.request('PATCH', path, { mobike: true })).status, 200);
  t.equal(secretOf(api), preSharedKey);
  t.equal((await api.request('PATCH', path, { authentication: { preSharedKey: null } })).status, 200);
  t.equal(secretOf(api), preSharedKey);
  t.equal((await api.request('PUT', path, withSecret(newSecret))).status, 200);
  t.equal(secretOf(api), newSecret);
  const first = await api.request('PUT', `${collection}/new`, withoutSecret);
  t.match(first, { status: 400, body: { pointer: '/authentication/preSharedKey' } });
});

t.test('what was read is no change; a new secret is one, which is told without it', async (t) => {
  const { api, answers } = await start(t);
  const { body: policy } = await api.request('GET', '/v1/policy');
  for (const method of ['PUT', 'POST']) {
    t.match(await api.request(method, '/v1/policy?dryRun=true', policy), {
      status: 200,
      body: { created: 0, changed: 0, deleted: 0 },
    });
  }
  const { revision } = api.store;
  const etag = (await api.request('GET', path)).headers.get('etag');
  t.match(await api.request('PUT', '/v1/policy', policy), { body: { changed: 0 } });
  t.equal(api.store.revision, revision);
  t.equal((await api.request('GET', path)).headers.get('etag'), etag);
  t.equal(secretOf(api), preSharedKey);

  const change = {
    routingDomains: [
      {
        ...{ rdid: contosoPath.slice(-36), name: 'Contoso', labels: { tier: 'gold' } },
        siteConnections: [{ name: 'office', ...withSecret(newSecret), mobike: true }],
      },
    ],
  };
  const changed = { created: 0, changed: 1, deleted: 0 };
  const dry = await api.request('POST', '/v1/policy?dryRun=true', change);
  t.match(dry.body, {
    ...changed,
    changes: [
      {
        ...{ change: 'changed', path },
        fields: [
          { pointer: '/authentication/preSharedKey' },
          { pointer: '/mobike', before: false, after: true },
        ],
      },
    ],
  });
  t.equal(secretOf(api), preSharedKey);
  t.match(await api.request('POST', '/v1/policy', change), { body: changed });
  t.equal(secretOf(api), newSecret);
  t.strictSame(leaks(answers), []);
});

t.test('a tunnel is told as it is just now', async (t) => {
  const { api } = await start(t);
  const begun = await api.request('GET', `${path}/sas`);
  t.strictSame(begun.body as unknown, {
    ...{
      state: 'connecting',
      since: liveConnection.since,
      carries: false,
      lastError: 'not programmed yet',
      ikeSas: [],
    },
  });
  api.operations.tunnels.set('office', liveConnection);
  t.strictSame((await api.request('GET', `${path}/sas`)).body as unknown, liveConnection);
  t.equal((await api.request('GET', `${path}/sas`)).headers.get('cache-control'), 'no-store');
  for (const nobody of [`${collection}/nobody/sas`, path.replace('11111111', '99999999').concat('/sas')])
    t.equal((await api.request('GET', nobody)).status, 404, nobody);

  const line = /^hnvgw_site_connection_up\{routing_domain="11111111-[^"]*",name="office"\} (\d)$/m;
  t.equal(line.exec(String((await api.request('GET', '/metrics')).body))?.[1], '1');
  api.operations.tunnels.set('office', { ...liveConnection, state: 'failed' });
  t.equal(line.exec(String((await api.request('GET', '/metrics')).body))?.[1], '0');
});

t.test('events of tunnels are told to whom they belong', async (t) => {
  const { api } = await start(t);
  const routingDomainId = contosoPath.slice(-36);
  api.operations.events.add({
    type: 'siteConnection',
    routingDomainId,
    path,
    what: 'up',
    reason: 'It is up.',
  });
  const [event] = api.operations.events.since(undefined).slice(-1);
  t.match(event, { type: 'siteConnection', path, what: 'up' });
  t.equal((await api.request('GET', '/v1/events?type=siteConnection')).status, 200);
});
