import t from 'tap';
import { newSecret, writeToken } from '../../src/access/secret.ts';
import { ask, runGuarded } from './guarded-api.ts';
import { domainDocument } from './store-folder.ts';
import { contoso, fabrikam } from './two-tenants.ts';

const future = '2099-01-01T00:00:00.000Z';

t.test('the first token is made over the unix socket, is shown once, and opens the port', async (t) => {
  const api = await runGuarded(t);
  const unix = { socketPath: api.socketPath };
  const port = { host: '127.0.0.1', port: api.port };
  const made = await ask(unix, { method: 'PUT', path: '/v1/tokens/root', body: { role: 'admin' } });
  t.match(made, { status: 201, headers: { etag: '"1"', 'cache-control': 'no-store' } });
  t.match(made.body, { id: 'root', role: 'admin', routingDomains: [], token: /^hnvgw_root_.{43}$/ });
  const { token, ...shown } = made.body;
  t.same((await ask(port, { path: '/v1/tokens/root', token })).body, shown, 'neither token nor hash');
  t.same((await ask(port, { path: '/v1/tokens', token })).body, { items: [shown] });
  const stored = JSON.stringify(api.store.tokens.all.get('root'));
  t.notOk(stored.includes(token.slice(-43)), 'the store has a hash only');
  t.match(JSON.parse(stored).hash, /^scrypt\$16384\$/);
});

t.test('a change keeps the secret and holds at once, and so does a removal', async (t) => {
  const api = await runGuarded(t);
  const unix = { socketPath: api.socketPath };
  const to = { host: '127.0.0.1', port: api.port };
  const path = '/v1/tokens/portal';
  const body = {
    role: 'tenant',
    routingDomains: [fabrikam, contoso, contoso],
    expires: '2099-01-01T01:00:00+01:00',
  };
  const made = await ask(unix, { method: 'PUT', path, body });
  t.match(made.body, { routingDomains: [contoso, fabrikam], expires: future });
  const { token } = made.body;
  const status = async () => (await ask(to, { path: '/v1/status', token })).status;
  t.equal(await status(), 403);
  const changed = await ask(unix, { method: 'PUT', path, body: { role: 'operator' } });
  t.match(changed, { status: 200, body: { role: 'operator', routingDomains: [] } });
  t.notOk('token' in changed.body || 'expires' in changed.body);
  t.equal(changed.body.created, made.body.created);
  t.equal(await status(), 200);
  t.equal((await ask(unix, { method: 'DELETE', path })).status, 204);
  t.equal(await status(), 401);
  t.equal((await ask(unix, { method: 'DELETE', path })).status, 404);
  t.equal((await ask(unix, { path })).status, 404);
});

t.test('a removal holds while a whole policy is written, and other tokens wait for that', async (t) => {
  const api = await runGuarded(t);
  const unix = { socketPath: api.socketPath };
  const to = { host: '127.0.0.1', port: api.port };
  const token = await api.token('portal', 'operator');
  const status = async () => (await ask(to, { path: '/v1/status', token })).status;
  t.equal(await status(), 200);
  let isWritten = false;
  const whole = api.store.replace(domainDocument(contoso, 5001, 30_000)).then(() => {
    isWritten = true;
  });
  const other = ask(unix, { method: 'PUT', path: '/v1/tokens/other', body: { role: 'admin' } });
  const removal = ask(unix, { method: 'DELETE', path: '/v1/tokens/portal' });
  while ((await status()) !== 401) if (isWritten) break;
  t.notOk(isWritten, 'it did not wait for the policy');
  t.equal((await removal).status, 204);
  t.equal((await other).status, 201);
  await whole;
});

t.test('conditions on the ETag hold for tokens, also between writes that come together', async (t) => {
  const api = await runGuarded(t);
  const unix = { socketPath: api.socketPath };
  const path = '/v1/tokens/portal';
  const put = (headers: Record<string, string>) =>
    ask(unix, { method: 'PUT', path, body: { role: 'admin' }, headers });
  t.equal((await put({ 'if-match': '*' })).status, 412);
  const made = await Promise.all([put({ 'if-none-match': '*' }), put({ 'if-none-match': '*' })]);
  t.same(made.map(({ status }) => status).sort(), [201, 412]);
  const { etag } = (await ask(unix, { path })).headers;
  t.equal((await ask(unix, { path, headers: { 'if-none-match': etag ?? '' } })).status, 304);
  const both = await Promise.all([put({ 'if-match': etag ?? '' }), put({ 'if-match': etag ?? '' })]);
  t.same(both.map(({ status }) => status).sort(), [200, 412]);
  const gone = await ask(unix, { method: 'DELETE', path, headers: { 'if-match': etag ?? '' } });
  t.match(gone, { status: 412, body: { detail: /^The token portal is at "\d+"/ } });
});

t.test('lists of tokens have pages', async (t) => {
  const api = await runGuarded(t);
  for (const id of ['b', 'c', 'a']) await api.token(id, 'admin');
  const unix = { socketPath: api.socketPath };
  const first = await ask(unix, { path: '/v1/tokens?limit=2' });
  t.match(first.body, { items: [{ id: 'a' }, { id: 'b' }], next: /./ });
  const second = await ask(unix, { path: `/v1/tokens?limit=2&cursor=${first.body.next}` });
  t.match(second.body, { items: [{ id: 'c' }] });
  t.notOk('next' in second.body);
});

const wrong: [what: string, id: string, body: unknown, rule: string, pointer: string | undefined][] = [
  ['a tenant of nothing', 'x', { role: 'tenant' }, 'token-domains-tenant', '/routingDomains'],
  [
    'an operator of a domain',
    'x',
    { role: 'operator', routingDomains: [contoso] },
    'token-domains-role',
    '/routingDomains',
  ],
  ['no RDID', 'x', { role: 'tenant', routingDomains: ['contoso'] }, 'pattern', '/routingDomains/0'],
  ['the past', 'x', { role: 'admin', expires: '2020-01-01T00:00:00Z' }, 'token-expires-future', '/expires'],
  ['no time', 'x', { role: 'admin', expires: 'tomorrow' }, 'format', '/expires'],
  ['a day that there is not', 'x', { role: 'admin', expires: '2099-02-31T00:00:00Z' }, 'format', '/expires'],
  ['no role', 'x', {}, 'required', '/role'],
  ['another role', 'x', { role: 'root' }, 'enum', '/role'],
  ['an unknown field', 'x', { role: 'admin', secret: 'mine' }, 'unknown-field', '/secret'],
  ['no body', 'x', undefined, 'type', ''],
  ['the name of the socket', 'local', { role: 'admin' }, 'token-id-reserved', undefined],
  ['a name with a colon', 'a:b', { role: 'admin' }, 'pattern', undefined],
  ['too long a name', 'x'.repeat(65), { role: 'admin' }, 'pattern', undefined],
];
for (const [what, id, body, rule, pointer] of wrong) {
  t.test(`a token is refused that has ${what}`, async (t) => {
    const api = await runGuarded(t);
    const answer = await ask(
      { socketPath: api.socketPath },
      { method: 'PUT', path: `/v1/tokens/${id}`, body },
    );
    t.match(answer, { status: 400, body: { rule } });
    t.equal(answer.body.pointer, pointer);
    t.equal(api.store.tokens.all.size, 0);
  });
}

t.test('the header is read as RFC 6750 says, and only when there is one', async (t) => {
  const api = await runGuarded(t);
  const token = await api.token('portal', 'operator');
  const to = { host: '127.0.0.1', port: api.port };
  const status = async (authorization: string | string[]) =>
    (await ask(to, { path: '/v1/status', headers: { authorization } })).status;
  for (const right of [`Bearer ${token}`, `bearer ${token}`, `BEARER   ${token}`])
    t.equal(await status(right), 200, right);
  const basic = Buffer.from(`portal:${token}`).toString('base64');
  for (const refused of [
    token,
    `Bearer${token}`,
    `Bearer ${token} x`,
    `Basic ${basic}`,
    'Bearer',
    `Token ${token}`,
    '',
  ])
    t.equal(await status(refused), 401, refused);
  t.equal(await status([`Bearer ${token}`, `Bearer ${token}`]), 401, 'twice');
  t.equal((await ask(to, { path: `/v1/status?access_token=${token}` })).status, 401, 'in the URL');
});

t.test('a token is judged on the unix socket too', async (t) => {
  const api = await runGuarded(t);
  const unix = { socketPath: api.socketPath };
  const tenant = await api.token('contoso', 'tenant', [contoso]);
  t.equal((await ask(unix, { path: '/v1/status' })).status, 200);
  t.equal((await ask(unix, { path: '/v1/status', token: tenant })).status, 403);
  const wrong = writeToken({ id: 'contoso', secret: newSecret() });
  t.equal((await ask(unix, { path: '/v1/status', token: wrong })).status, 401);
});

t.test('a refused token is told nothing but that; a valid one that has ended is told that', async (t) => {
  const api = await runGuarded(t);
  await api.token('portal', 'admin');
  const expired = await api.token('old', 'admin', [], '2020-01-01T00:00:00.000Z');
  const to = { host: '127.0.0.1', port: api.port };
  const answers = [];
  for (const id of ['portal', 'old', 'nobody']) {
    const token = writeToken({ id, secret: newSecret() });
    answers.push((await ask(to, { path: '/v1/status', token })).text);
  }
  answers.push((await ask(to, { path: '/v1/status', token: 'hnvgw_x' })).text);
  t.equal(new Set(answers).size, 1);
  t.match(answers[0], /The bearer token is not valid\./);
  t.match((await ask(to, { path: '/v1/status', token: expired })).body.detail, /has expired/);
  const without = await ask(to, { path: '/v1/status' });
  t.equal(without.headers['www-authenticate'], 'Bearer realm="hnvgw"');
  t.equal(without.body.code, 'HNV_UNAUTHENTICATED');
});

t.test('no token is in the log, in an answer or in the audit log', async (t) => {
  const api = await runGuarded(t);
  const to = { host: '127.0.0.1', port: api.port };
  const token = await api.token('portal', 'operator');
  const wrong = writeToken({ id: 'portal', secret: newSecret() });
  let said = '';
  for (const each of [token, wrong]) {
    for (const path of ['/v1/status', '/v1/none', '/v1/provider-addresses/x', '/%zz']) {
      said += (await ask(to, { path, token: each })).text;
      said += (await ask(to, { method: 'PUT', path, token: each, body: [] })).text;
    }
  }
  said += api.log() + JSON.stringify(await api.store.audit.list({ limit: 1000 }));
  for (const each of [token, wrong]) t.notOk(said.includes(each.slice(-43)));
});

t.test('an address without valid tokens is not listened to for a while; who is known, is', async (t) => {
  const rates = { requestsPerSecond: 1000, failedLoginsPerMinute: 3 };
  const api = await runGuarded(t, { rates });
  const to = { host: '127.0.0.1', port: api.port };
  const known = await api.token('known', 'operator');
  const late = await api.token('late', 'operator');
  t.equal((await ask(to, { path: '/v1/status', token: known })).status, 200);
  const tries = [];
  for (let n = 0; n < 5; n++)
    tries.push(
      await ask(to, { path: '/v1/status', token: writeToken({ id: 'known', secret: newSecret() }) }),
    );
  t.same(
    tries.map(({ status }) => status),
    [401, 401, 401, 429, 429],
  );
  t.match(tries[4], {
    headers: { 'retry-after': /^(1?[0-9]|20)$/ },
    body: { code: 'HNV_TOO_MANY_REQUESTS' },
  });
  t.equal((await ask(to, { path: '/v1/status' })).status, 429, 'without token too');
  t.equal(
    (await ask(to, { path: '/v1/status', token: late })).status,
    429,
    'a token that was not seen before',
  );
  t.equal((await ask(to, { path: '/v1/status', token: known })).status, 200);
  t.equal((await ask(to, { path: '/healthz' })).status, 200);
  t.equal((await ask({ socketPath: api.socketPath }, { path: '/v1/status', token: late })).status, 200);
});

t.test('many requests that a client begins with are let in by one check of its token', async (t) => {
  const rates = { requestsPerSecond: 1000, failedLoginsPerMinute: 1 };
  const api = await runGuarded(t, { rates });
  const unix = { socketPath: api.socketPath };
  const to = { host: '127.0.0.1', port: api.port };
  // One whose check takes as long as in use.
  const made = await ask(unix, { method: 'PUT', path: '/v1/tokens/portal', body: { role: 'operator' } });
  const many = (token: string) =>
    Promise.all(Array.from({ length: 20 }, () => ask(to, { path: '/v1/status', token })));
  const statuses = (answers: { status: number }[]) =>
    [...new Set(answers.map(({ status }) => status))].sort();
  t.same(statuses(await many(made.body.token)), [200]);
  const before = (await api.store.audit.list({ limit: 100 })).length;
  await many(writeToken({ id: 'portal', secret: newSecret() }));
  const noted = await api.store.audit.list({ limit: 100 });
  t.ok(noted.length - before <= 2, 'and of wrong ones one is noted, and that more are refused');
});

t.test('a principal that asks too fast is told when to come again, and others are not', async (t) => {
  const rates = { requestsPerSecond: 2, failedLoginsPerMinute: 30 };
  const api = await runGuarded(t, { rates });
  const to = { host: '127.0.0.1', port: api.port };
  const fast = await api.token('fast', 'operator');
  const slow = await api.token('slow', 'operator');
  const all = await Promise.all(
    Array.from({ length: 20 }, () => ask(to, { path: '/v1/status', token: fast })),
  );
  const refused = all.filter(({ status }) => status === 429);
  t.ok(refused.length > 0);
  t.match(refused[0], { headers: { 'retry-after': '1' }, body: { code: 'HNV_TOO_MANY_REQUESTS' } });
  t.equal((await ask(to, { path: '/v1/status', token: slow })).status, 200);
  const anyone = await Promise.all(Array.from({ length: 20 }, () => ask(to, { path: '/healthz' })));
  t.ok(
    anyone.some(({ status }) => status === 429),
    'of routes for anyone, an address',
  );
});
