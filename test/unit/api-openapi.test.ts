import t, { type Test } from 'tap';
import { Compile } from 'typebox/compile';
import { contosoPath, putTenant, runApi, tenant } from './api-server.ts';

type Json = Record<string, unknown>;
interface Operation {
  operationId?: string;
  tags?: string[];
  parameters?: { name: string; in: string; required: boolean; schema: Json }[];
  requestBody?: { content: Record<string, { schema: Json }> };
  responses: Record<string, { description: string; content?: Record<string, { schema: Json }> }>;
}
interface Document {
  openapi: string;
  info: { title: string; version: string };
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Json> };
}

async function readDocument(t: Test) {
  const api = await runApi(t);
  const response = await fetch(`${api.base}/openapi.json`);
  return { api, document: (await response.json()) as Document };
}

const operations = (document: Document) =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );

t.test('the document has every route and no other', async (t) => {
  const { document } = await readDocument(t);
  t.match(document, { openapi: /^3\.1\.\d$/, info: { title: 'hnvgw', version: '0.1.0' } });
  const rd = '/v1/routing-domains';
  const one = ['delete', 'get', 'patch', 'put'];
  const expected: Record<string, string[]> = {
    [rd]: ['get'],
    [`${rd}/{rdid}`]: one,
    [`${rd}/{rdid}/virtual-subnets`]: ['get'],
    [`${rd}/{rdid}/virtual-subnets/{vsid}`]: one,
    [`${rd}/{rdid}/lookup-records`]: ['get'],
    [`${rd}/{rdid}/lookup-records/{id}`]: one,
    [`${rd}/{rdid}/customer-routes`]: ['get'],
    [`${rd}/{rdid}/customer-routes/{id}`]: one,
    [`${rd}/{rdid}/gateway`]: one,
    [`${rd}/{rdid}/nat`]: one,
    [`${rd}/{rdid}/counters`]: ['get'],
    '/v1/provider-addresses': ['get'],
    '/v1/provider-addresses/{address}': one,
    '/v1/provider-routes': ['get'],
    '/v1/provider-routes/{id}': one,
    '/v1/ports': ['get'],
    '/v1/ports/{interface}': one,
    '/v1/status': ['get'],
    '/healthz': ['get'],
    '/readyz': ['get'],
    '/openapi.json': ['get'],
  };
  const found = Object.fromEntries(
    Object.entries(document.paths).map(([path, methods]) => [path, Object.keys(methods).sort()]),
  );
  t.same(found, expected);
});

t.test(
  'every reference resolves, every path parameter is declared, every operation has a name',
  async (t) => {
    const { document } = await readDocument(t);
    const references = JSON.stringify(document).match(/"\$ref":"[^"]*"/g) ?? [];
    t.ok(references.length > 0);
    for (const reference of new Set(references)) {
      const name = /^"\$ref":"#\/components\/schemas\/(\w+)"$/.exec(reference)?.[1] ?? '';
      t.ok(document.components.schemas[name], reference);
    }
    const names = new Set<string>();
    for (const { path, method, operation } of operations(document)) {
      const declared = (operation.parameters ?? []).filter((each) => each.in === 'path' && each.required);
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
      t.strictSame(
        declared.map(({ name }) => name),
        inPath,
        `${method} ${path}`,
      );
      t.ok(operation.operationId && operation.tags?.length === 1);
      names.add(operation.operationId ?? '');
      for (const [status, response] of Object.entries(operation.responses)) {
        t.match(status, /^[2345]\d\d$/);
        t.ok(response.description.length > 0);
      }
    }
    t.equal(names.size, operations(document).length, 'names of operations are unique');
  },
);

t.test('every operation lists its errors as problem+json', async (t) => {
  const { document } = await readDocument(t);
  const expected: Record<string, string[]> = {
    get: ['400', '404', '500'],
    put: ['400', '404', '409', '412', '413', '415', '500', '507'],
    patch: ['400', '404', '409', '412', '413', '415', '500', '507'],
    delete: ['400', '404', '409', '412', '500'],
  };
  for (const { path, method, operation } of operations(document)) {
    const errors = Object.entries(operation.responses).filter(([status]) => Number(status) >= 400);
    if (path.startsWith('/v1/') && path !== '/v1/status') {
      const wanted = path.includes('{') ? expected[method] : ['400', '500'];
      t.strictSame(
        errors.map(([status]) => status),
        wanted,
        `${method} ${path}`,
      );
    }
    for (const [status, { content }] of errors) {
      if (path === '/readyz' && status === '503') continue;
      t.same(content, {
        'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } },
      });
    }
  }
});

t.test('the answers are what the document says', async (t) => {
  const { api, document } = await readDocument(t);
  await putTenant(api);
  const matches = (reference: string, value: unknown) => {
    const root = { $defs: document.components.schemas, $ref: reference };
    const text = JSON.stringify(root).replaceAll('#/components/schemas/', '#/$defs/');
    return Compile(JSON.parse(text)).Check(value);
  };
  const answered = async (template: string, path: string) => {
    const { status, type, body } = await api.request('GET', path);
    const content = document.paths[template]?.get?.responses[status]?.content ?? {};
    const schema = content[type ?? '']?.schema;
    t.ok(schema, `${path} ${status} ${type} is documented`);
    t.ok(matches(String(schema?.$ref), body), path);
    return body;
  };
  const template = (path: string) =>
    path
      .replace(contosoPath, '/v1/routing-domains/{rdid}')
      .replace(/(virtual-subnets)\/\d+/, '$1/{vsid}')
      .replace(/(lookup-records|customer-routes|provider-routes)\/\w+/, '$1/{id}')
      .replace(/(provider-addresses)\/[\da-f.:]+/, '$1/{address}')
      .replace(/(ports)\/.+/, '$1/{interface}');
  for (const [path, body] of tenant) {
    const answer = await answered(template(path), path);
    const input = document.paths[template(path)]?.put?.requestBody?.content['application/json']?.schema;
    t.ok(matches(String(input?.$ref), body), `the body of ${path} is as documented`);
    t.notOk(matches(String(input?.$ref), answer), 'and an answer is no body');
  }
  await answered('/v1/routing-domains', '/v1/routing-domains');
  await answered('/v1/routing-domains/{rdid}/lookup-records', `${contosoPath}/lookup-records`);
  await answered('/v1/routing-domains/{rdid}/lookup-records', `${contosoPath}/lookup-records?limit=0`);
  await answered('/v1/routing-domains/{rdid}/counters', `${contosoPath}/counters`);
  for (const path of ['/v1/status', '/healthz', '/readyz']) await answered(path, path);
});

t.test('the document can be read as a page', async (t) => {
  const { api } = await readDocument(t);
  t.match(await api.request('GET', '/docs'), { status: 200, type: 'text/html', body: /swagger-ui/ });
  t.match(await api.request('GET', '/docs/static/swagger-ui.css'), { status: 200, type: 'text/css' });
});
