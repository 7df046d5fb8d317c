import t from 'tap';
import { newSecret, writeToken } from '../../src/access/secret.ts';
import { ask, type GuardedApi, runGuarded } from './guarded-api.ts';
import { contoso, fabrikam } from './two-tenants.ts';

const path = `/v1/routing-domains/${contoso}`;

/** The records, oldest first, without what differs each time. */
async function records(api: GuardedApi): Promise<object[]> {
  const list = await ask({ socketPath: api.socketPath }, { path: '/v1/audit' });
  return list.body.items.map(({ id, at, ...rest }: Record<string, unknown>) => rest).reverse();
}

t.test('each write is in the audit log, with who, what, from where, and what came of it', async (t) => {
  const api = await runGuarded(t);
  const unix = { socketPath: api.socketPath };
  const to = { host: '127.0.0.1', port: api.port };
  const token = await api.token('portal', 'tenant', [contoso]);
  await ask(unix, { method: 'PUT', path, body: { name: 'Contoso' } });
  await ask(to, { method: 'PATCH', path: `${path}?wait=1s`, body: { name: 'C' }, token });
  await ask(to, { path, token });
  await ask(to, { method: 'DELETE', path, token });
  await ask(unix, { method: 'PUT', path: '/v1/tokens/x', body: { role: 'admin' } });
  await ask(unix, { method: 'PUT', path: '/v1/tokens/x', body: { role: 'operator' } });
  await ask(unix, { method: 'DELETE', path: '/v1/tokens/x' });
  const local = { actor: 'local', from: 'unix' };
  const portal = { actor: 'portal', from: '127.0.0.1' };
  t.match(await records(api), [
    { ...local, method: 'PUT', path, status: 201, revision: 1 },
    { ...portal, method: 'PATCH', path, status: 200, revision: 2 },
    { ...portal, method: 'DELETE', path, status: 204, revision: 3 },
    { ...local, method: 'PUT', path: '/v1/tokens/x', status: 201 },
    { ...local, method: 'PUT', path: '/v1/tokens/x', status: 200 },
    { ...local, method: 'DELETE', path: '/v1/tokens/x', status: 204 },
  ]);
  t.equal((await records(api)).length, 6, 'and nothing of the reads');
});

t.test('who took a backup, which has everything, is in it, and who was refused one', async (t) => {
  const api = await runGuarded(t);
  const unix = { socketPath: api.socketPath };
  const to = { host: '127.0.0.1', port: api.port };
  const backup = '/v1/backup';
  await ask(unix, { path: backup });
  for (const role of ['admin', 'operator', 'tenant'] as const)
    await ask(to, { path: backup, token: await api.token(role, role, role === 'tenant' ? [contoso] : []) });
  const refused = { method: 'GET', path: backup, status: 403, code: 'HNV_FORBIDDEN' };
  t.match(await records(api), [
    { actor: 'local', from: 'unix', method: 'GET', path: backup, status: 200 },
    { actor: 'admin', from: '127.0.0.1', method: 'GET', path: backup, status: 200 },
    { actor: 'operator', ...refused },
    { actor: 'tenant', ...refused },
  ]);
});

t.test('each refused write is in it with code and rule', async (t) => {
  const api = await runGuarded(t);
  const to = { host: '127.0.0.1', port: api.port };
  const token = await api.token('portal', 'tenant', [contoso]);
  const put = (target: string, body: unknown, headers = {}) =>
    ask(to, { method: 'PUT', path: target, body, token, headers });
  await put(path, { nme: 'C' });
  await put(`/v1/routing-domains/${fabrikam}`, { name: 'F' });
  await put('/v1/ports/tap0', {});
  await put(path, { name: 'C' }, { 'if-match': '*' });
  await put(`${path}/virtual-subnets/77`, { addressPrefixes: [] });
  await put('/v1/nothing', {});
  await ask(to, { method: 'POST', path, token });
  const of = (status: number, code: string) => ({ actor: 'portal', from: '127.0.0.1', status, code });
  t.match(await records(api), [
    { ...of(400, 'HNV_INVALID_FIELD'), path, method: 'PUT', rule: 'unknown-field' },
    { ...of(404, 'HNV_NOT_FOUND'), path: `/v1/routing-domains/${fabrikam}` },
    { ...of(403, 'HNV_FORBIDDEN'), path: '/v1/ports/tap0' },
    of(412, 'HNV_PRECONDITION_FAILED'),
    { ...of(400, 'HNV_INVALID_FIELD'), rule: 'minimum' },
    { ...of(405, 'HNV_METHOD_NOT_ALLOWED'), method: 'POST' },
  ]);
  t.equal((await records(api)).length, 6);
});

t.test('failed authentications are in it with the reason, and a flood of them is not', async (t) => {
  const rates = { requestsPerSecond: 1000, failedLoginsPerMinute: 5 };
  const api = await runGuarded(t, { rates });
  const to = { host: '127.0.0.1', port: api.port };
  await api.token('portal', 'admin');
  const expired = await api.token('old', 'admin', [], '2020-01-01T00:00:00.000Z');
  const tries = [
    undefined,
    'x',
    writeToken({ id: 'nobody', secret: newSecret() }),
    writeToken({ id: 'portal', secret: newSecret() }),
    expired,
  ];
  for (const token of tries) await ask(to, { path: '/v1/status?x=1', token });
  for (let n = 0; n < 20; n++) await ask(to, { path: '/v1/status', token: 'x' });
  const of = (actor: string, rule: string) => ({
    ...{ actor, from: '127.0.0.1', method: 'GET', path: '/v1/status' },
    ...{ status: 401, code: 'HNV_UNAUTHENTICATED', rule },
  });
  const noted = await records(api);
  t.match(noted, [
    of('-', 'token-missing'),
    of('-', 'token-form'),
    of('-', 'token-unknown'),
    of('portal', 'token-secret'),
    of('old', 'token-expired'),
    { actor: '-', status: 429, code: 'HNV_TOO_MANY_REQUESTS' },
  ]);
  t.equal(noted.length, 6);
});

t.test('the log has pages, the newest first, and a wrong cursor is refused', async (t) => {
  const api = await runGuarded(t);
  const unix = { socketPath: api.socketPath };
  for (let n = 0; n < 5; n++) await ask(unix, { method: 'PUT', path, body: { name: `${n}` } });
  const revisions = [];
  let next: string | undefined = '';
  do {
    const cursor: string = next === '' ? '' : `&cursor=${next}`;
    const page = await ask(unix, { path: `/v1/audit?limit=2${cursor}` });
    revisions.push(...page.body.items.map(({ revision }: { revision: number }) => revision));
    next = page.body.next;
  } while (next !== undefined);
  t.same(revisions, [5, 4, 3, 2, 1]);
  for (const cursor of [
    'x',
    Buffer.from('abc').toString('base64url'),
    Buffer.from('-1').toString('base64url'),
  ])
    t.match(await ask(unix, { path: `/v1/audit?cursor=${cursor}` }), {
      status: 400,
      body: { rule: 'cursor' },
    });
});
