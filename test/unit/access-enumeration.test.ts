/** Every route of the API, with every method, for everybody who might ask: by enumeration, so that a new route is in it. */
import type { FastifyInstance, RouteOptions } from 'fastify';
import t from 'tap';
import type { Access } from '../../src/access/principal.ts';
import { newSecret, writeToken } from '../../src/access/secret.ts';
import { type Asked, ask, type GuardedApi, runGuarded, type Test } from './guarded-api.ts';
import { contoso, fabrikam, putTwoTenants, signsOfFabrikam, unknownDomain } from './two-tenants.ts';

interface Route {
  method: string;
  url: string;
  access: Access;
}

/** A value for every path parameter but the RDID: names of resources that Contoso has, where there are such. */
const names: Record<string, string> = {
  vsid: '5001',
  id: 'web1',
  name: 'office',
  address: '192.0.2.1',
  interface: 'tap0.1',
};

/** The path of the route, about that routing domain. */
function pathOf({ url }: Route, rdid: string): string {
  return url.replace('*', 'x').replace(/:([a-z]+)/g, (_, name: string) => {
    const value = name === 'rdid' ? rdid : names[name];
    if (value === undefined) throw new Error(`this test has no value for the parameter ${name} of ${url}`);
    return value;
  });
}

const writes = ['PUT', 'PATCH', 'POST', 'DELETE'];

/** Asks what changes nothing whoever asks: a write is about a revision that there is not, and has a body of no resource. */
function question({ method, url }: Route, path: string, token: string | undefined) {
  const isWrite = writes.includes(method);
  return {
    method,
    path: url === '/v1/policy' && method === 'POST' ? `${path}?dryRun=true` : path,
    token,
    ...(isWrite ? { body: { nothing: 1 }, headers: { 'if-match': '"999999"' } } : {}),
  };
}

async function start(t: Test): Promise<{ api: GuardedApi; routes: Route[] }> {
  const routes: Route[] = [];
  const collect = ({ method, url, config }: RouteOptions): void => {
    for (const each of [method].flat()) {
      if (config === undefined) throw new Error(`${each} ${url} declares nothing`);
      routes.push({ method: each, url, access: config.access });
    }
  };
  const prepare = (app: FastifyInstance): void => {
    app.addHook('onRoute', collect);
  };
  const api = await runGuarded(t, { prepare });
  await putTwoTenants({ socketPath: api.socketPath });
  return { api, routes };
}

t.test('every route answers everybody as its access says', async (t) => {
  const { api, routes } = await start(t);
  const revision = api.store.revision;
  t.ok(routes.length > 100, `${routes.length} routes and methods`);
  await api.token('expired', 'admin', [], '2020-01-01T00:00:00.000Z');
  const revoked = await api.token('revoked', 'admin');
  await api.store.tokens.delete('revoked');
  const strangers = {
    'no token': undefined,
    'a wrong token': writeToken({ id: 'web1', secret: newSecret() }),
    'an expired token': await api.token('expired', 'admin', [], '2020-01-01T00:00:00.000Z'),
    'a revoked token': revoked,
  };
  const admin = await api.token('web1', 'admin');
  const operator = await api.token('operator', 'operator');
  const tenant = await api.token('contoso', 'tenant', [contoso]);

  const to = { host: '127.0.0.1', port: api.port };
  const wrong: string[] = [];
  const expect = (route: Route, who: string, right: boolean, answer: Asked): void => {
    if (!right)
      wrong.push(
        `${who}: ${route.method} ${route.url} (${route.access}): ${answer.status} ${answer.text.slice(0, 200)}`,
      );
  };
  for (const route of routes) {
    const path = pathOf(route, contoso);
    const isOpen = route.access === 'anyone';
    for (const [who, token] of Object.entries(strangers)) {
      const answer = await ask(to, question(route, path, token));
      const isRefused = answer.status === 401 && /^Bearer/.test(`${answer.headers['www-authenticate']}`);
      expect(route, who, isOpen ? answer.status !== 401 : isRefused, answer);
    }
    const isLetIn = ({ status, body }: Asked): boolean =>
      status !== 401 &&
      status !== 403 &&
      status < 500 &&
      !/^The routing domain \S+ does not exist/.test(body?.detail);
    const asAdmin = await ask(to, question(route, path, admin));
    expect(route, 'admin', isLetIn(asAdmin), asAdmin);
    const asOperator = await ask(to, question(route, path, operator));
    const operatorMay = route.access !== 'admin';
    expect(route, 'operator', operatorMay ? isLetIn(asOperator) : asOperator.status === 403, asOperator);
    const asTenant = await ask(to, question(route, path, tenant));
    const tenantMay = operatorMay && route.access !== 'operator';
    expect(route, 'tenant', tenantMay ? isLetIn(asTenant) : asTenant.status === 403, asTenant);
  }
  t.same(wrong, []);
  t.equal(api.store.revision, revision, 'nothing was changed');
});

t.test('a routing domain of another tenant answers like one that is not there, byte for byte', async (t) => {
  const { api, routes } = await start(t);
  const tenant = await api.token('contoso', 'tenant', [contoso]);
  const to = { host: '127.0.0.1', port: api.port };
  const shown = ({ status, headers, text }: Asked, rdid: string): string =>
    JSON.stringify({ status, headers: { ...headers, date: '' }, text }).replaceAll(rdid, 'RDID');
  const wrong: string[] = [];
  let compared = 0;
  for (const route of routes.filter(({ url }) => url.includes(':rdid'))) {
    const ask1 = (rdid: string) => ask(to, question(route, pathOf(route, rdid), tenant));
    const other = await ask1(fabrikam);
    const unknown = await ask1(unknownDomain);
    compared++;
    const isHidden = route.access === 'domain' ? other.status === 404 : other.status === 405;
    if (!isHidden || shown(other, fabrikam) !== shown(unknown, unknownDomain))
      wrong.push(`${route.method} ${route.url}: ${other.status} ${other.text} but ${unknown.text}`);
  }
  t.ok(compared > 40);
  t.same(wrong, []);
});

t.test(
  'a document with a routing domain of another tenant is refused like one with none that is there',
  async (t) => {
    const { api } = await start(t);
    const tenant = await api.token('contoso', 'tenant', [contoso]);
    const revision = api.store.revision;
    const apply = async (rdid: string) => {
      const body = {
        routingDomains: [
          { rdid: contoso, name: 'mine' },
          { rdid, name: 'theirs' },
        ],
      };
      const to = { host: '127.0.0.1', port: api.port };
      const { status, text } = await ask(to, { method: 'POST', path: '/v1/policy', body, token: tenant });
      return { status, text: text.replaceAll(rdid, 'RDID') };
    };
    const other = await apply(fabrikam);
    t.equal(other.status, 403);
    t.same(await apply(unknownDomain), other);
    t.equal(api.store.revision, revision);
  },
);

t.test('no answer to a tenant has a sign of another one', async (t) => {
  const { api, routes } = await start(t);
  const tenant = await api.token('contoso', 'tenant', [contoso]);
  const to = { host: '127.0.0.1', port: api.port };
  const signs: string[] = [];
  const look = (what: string, { text, headers }: Asked): void => {
    const all = text + JSON.stringify(headers);
    for (const sign of signsOfFabrikam)
      if (typeof sign === 'string' ? all.includes(sign) : sign.test(all))
        signs.push(`${what}: ${sign}: ${all}`);
  };
  for (const route of routes.filter(({ url, access }) => url.startsWith('/v1/') && access !== 'anyone'))
    look(`${route.method} ${route.url}`, await ask(to, question(route, pathOf(route, contoso), tenant)));

  const list = await ask(to, { path: '/v1/routing-domains?limit=1', token: tenant });
  t.same(
    list.body.items.map(({ rdid }: { rdid: string }) => rdid),
    [contoso],
  );
  t.notOk('next' in list.body, 'there is no second page');
  const cursor = Buffer.from(contoso).toString('base64url');
  const after = await ask(to, { path: `/v1/routing-domains?cursor=${cursor}`, token: tenant });
  t.same(after.body, { items: [] });

  const own = `/v1/routing-domains/${contoso}`;
  const operator = await api.token('operator', 'operator');
  const path = `${own}/virtual-subnets/6001`;
  const body = { addressPrefixes: ['10.9.0.0/24'] };
  const answer = await ask(to, { method: 'PUT', path, body, token: tenant });
  t.equal(answer.status, 409);
  look(path, { ...answer, text: answer.text.replaceAll('6001', '') });
  const told = await ask(to, { method: 'PUT', path, body, token: operator });
  t.match(told.body.detail, /routing domain 22222222-/);
  t.ok(told.body.detail.startsWith(answer.body.detail), 'an operator is told more');

  // Another tenant's, the node's, and nobody's.
  const refusals = ['203.0.113.77', '192.0.2.1', '203.0.113.200'].map(async (ipAddress) => {
    const body = { externalAddresses: [{ ipAddress }] };
    const { status, text } = await ask(to, { method: 'PUT', path: `${own}/nat`, body, token: tenant });
    t.equal(status, 400, ipAddress);
    return text.replaceAll(ipAddress, '');
  });
  t.equal(new Set(await Promise.all(refusals)).size, 1, 'one external address is refused like the other');
  t.same(signs, []);
});

t.test('a tenant may write what is its own, and only that', async (t) => {
  const { api } = await start(t);
  const to = { host: '127.0.0.1', port: api.port };
  const both = await api.token('both', 'tenant', [contoso, unknownDomain]);
  const created = await ask(to, {
    method: 'PUT',
    path: `/v1/routing-domains/${unknownDomain.toUpperCase()}`,
    body: { name: 'new' },
    token: both,
  });
  t.equal(created.status, 201);
  const list = await ask(to, { path: '/v1/routing-domains?limit=1', token: both });
  t.match(list.body, { items: [{ rdid: contoso }], next: /./ });
  const next = await ask(to, { path: `/v1/routing-domains?limit=1&cursor=${list.body.next}`, token: both });
  t.match(next.body, { items: [{ rdid: unknownDomain }] });
  t.notOk('next' in next.body);
  const gone = await ask(to, { method: 'DELETE', path: `/v1/routing-domains/${fabrikam}`, token: both });
  t.equal(gone.status, 404);
  t.ok(api.store.state.domains.has(fabrikam));
});

t.test('a route that does not say whom it is for is refused', async (t) => {
  const declare = (url: string, config?: RouteOptions['config']) => {
    const route = { method: 'GET', url, handler: () => '', ...(config === undefined ? {} : { config }) };
    return runGuarded(t, { prepare: (app) => void app.register(async (inner) => void inner.route(route)) });
  };
  await t.rejects(declare('/v1/open'), /GET \/v1\/open does not say whom it is for/);
  await t.rejects(declare('/v1/open', { access: 'domain' }), /but names none/);
});
