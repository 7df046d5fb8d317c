/** The OpenAPI document: valid, complete, and true about access and examples. Its truth about answers is in api-conformance. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { Validator } from '@seriousme/openapi-schema-validator';
import type { FastifyInstance, RouteOptions } from 'fastify';
import t, { type Test } from 'tap';
import type { Access } from '../../src/access/principal.ts';
import { exampleRdid } from '../../src/api/examples.ts';
import { Conformance, type Json, type OpenApi, operationsOf } from './api-conformance.ts';
import { runApi } from './api-server.ts';

interface Route {
  method: string;
  path: string;
  access: Access | undefined;
  hidden: boolean;
}

/** Runs the API and notes every route that is given to Fastify. */
async function runWithRoutes(t: Test) {
  const routes: Route[] = [];
  const note = ({ method, url, config, schema }: RouteOptions) => {
    for (const each of [method].flat()) {
      const path = url.replace(/:(\w+)/g, '{$1}');
      routes.push({ method: each, path, access: config?.access, hidden: schema?.hide === true });
    }
  };
  const initialized = (message: unknown) =>
    (message as { fastify: FastifyInstance }).fastify.addHook('onRoute', note);
  subscribe('fastify.initialization', initialized);
  try {
    return { api: await runApi(t), routes };
  } finally {
    unsubscribe('fastify.initialization', initialized);
  }
}

const schemaReference = /^#\/components\/schemas\/(\w+)$/;

t.test('an independent validator finds the document valid', async (t) => {
  const { document } = await runApi(t);
  t.match(document, { openapi: /^3\.1\.\d$/, info: { title: 'hnvgw', version: '0.1.0' } });
  const { valid, errors } = await new Validator().validate({ ...structuredClone(document) });
  t.ok(valid, JSON.stringify(errors)?.slice(0, 2000));
  const broken = { ...document, paths: { '/x': { get: { responses: { 200: {} } } } } };
  t.notOk((await new Validator().validate(broken)).valid, 'it would find a response without description');
});

t.test('the document has every route and no other', async (t) => {
  const { api, routes } = await runWithRoutes(t);
  const shown = routes.filter(({ method, hidden }) => method !== 'HEAD' && !hidden);
  t.strictSame(
    operationsOf(api.document)
      .map(({ method, path }) => `${method.toUpperCase()} ${path}`)
      .sort(),
    shown.map(({ method, path }) => `${method} ${path}`).sort(),
  );
  t.ok(shown.length > 40, `${shown.length} routes`);

  const hidden = routes.filter((route) => route.hidden && !route.path.startsWith('/docs'));
  for (const { method, path } of hidden) {
    const answer = await fetch(api.base + path.replace(/\{\w+\}/g, exampleRdid), { method });
    await answer.body?.cancel();
    t.equal(answer.status, 405, `${method} ${path} is left out because it is no method of that path`);
  }
});

t.test('every reference resolves, every parameter in a path is declared, names are unique', async (t) => {
  const { document } = await runApi(t);
  const references = JSON.stringify(document).match(/"\$ref":"[^"]*"/g) ?? [];
  t.ok(references.length > 0);
  for (const reference of new Set(references)) {
    const name = schemaReference.exec(reference.slice('"$ref":"'.length, -1))?.[1] ?? '';
    t.ok(document.components.schemas[name], reference);
  }
  const operations = operationsOf(document);
  for (const { path, method, operation } of operations) {
    const declared = (operation.parameters ?? []).filter((each) => each.in === 'path' && each.required);
    t.strictSame(
      declared.map(({ name }) => name),
      [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]),
      `${method} ${path}`,
    );
    t.ok(operation.summary && operation.tags.length === 1, operation.operationId);
    for (const [status, response] of Object.entries(operation.responses)) {
      t.match(status, /^[2345]\d\d$/);
      t.ok(response.description.length > 0 && response.description !== 'Default Response');
    }
  }
  const names = operations.map(({ operation }) => operation.operationId);
  t.ok(names.every((name) => /^[a-z][A-Za-z]+$/.test(name)));
  t.equal(new Set(names).size, names.length, 'names of operations are unique');
});

t.test('every operation says which roles may call it, and how it refuses the others', async (t) => {
  const { api, routes } = await runWithRoutes(t);
  t.match(api.document.components.securitySchemes, { bearer: { type: 'http', scheme: 'bearer' } });
  const expected: Record<Access, { roles: string[]; refusals: string[] }> = {
    anyone: { roles: [], refusals: ['429'] },
    scoped: { roles: ['admin', 'operator', 'tenant'], refusals: ['401', '429'] },
    domain: { roles: ['admin', 'operator', 'tenant'], refusals: ['401', '404', '429'] },
    operator: { roles: ['admin', 'operator'], refusals: ['401', '403', '429'] },
    admin: { roles: ['admin'], refusals: ['401', '403', '429'] },
  };
  for (const { method, path, operation } of operationsOf(api.document)) {
    const route = routes.find((each) => each.path === path && each.method === method.toUpperCase());
    const { roles, refusals } = expected[route?.access ?? 'anyone'];
    t.ok(route?.access, operation.operationId);
    t.strictSame(
      operation.security,
      roles.map((role) => ({ bearer: [role] })),
      operation.operationId,
    );
    const documented = Object.keys(operation.responses);
    t.ok(
      refusals.every((status) => documented.includes(status)),
      `${documented}`,
    );
    if (route?.access === 'anyone') t.notOk(documented.some((status) => ['401', '403'].includes(status)));
    t.match(operation.responses['429']?.headers ?? { 'retry-after': {} }, { 'retry-after': {} });
  }
});

t.test('every error is problem+json', async (t) => {
  const { document } = await runApi(t);
  for (const { operation } of operationsOf(document)) {
    for (const [status, { content }] of Object.entries(operation.responses)) {
      if (Number(status) < 400 || operation.operationId === 'getReadiness') continue;
      const problem = { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } };
      t.strictSame(content, problem, `${operation.operationId} ${status}`);
    }
  }
});

t.test('the examples of every body keep its schema, and those of resources all rules', async (t) => {
  const { document, request } = await runApi(t);
  const conformance = new Conformance(document);
  const bodies = new Set<string>();
  for (const { operation } of operationsOf(document)) {
    for (const { schema } of Object.values(operation.requestBody?.content ?? {})) {
      const name = schemaReference.exec(String(schema?.$ref))?.[1];
      if (name !== undefined) bodies.add(name);
    }
  }
  t.ok(bodies.size > 8, [...bodies].join(' '));
  for (const name of bodies) {
    const examples = (document.components.schemas[name]?.examples ?? []) as unknown[];
    t.ok(examples.length > 0, `${name} has an example`);
    const schema = { $ref: `#/components/schemas/${name}` };
    for (const example of examples) t.equal(conformance.violation(schema, example), undefined, name);
    t.ok(conformance.violation(schema, { ...(examples[0] as Json), nobody: 1 }), 'and nothing else');
  }

  // In an order in which the ones need only those before them.
  const order = [
    ['ProviderAddress', '/v1/provider-addresses/{address}'],
    ['ProviderRoute', '/v1/provider-routes/{id}'],
    ['ExternalAddressPool', '/v1/external-address-pools/{name}'],
    ['RoutingDomain', '/v1/routing-domains/{rdid}'],
    ['VirtualSubnet', '/v1/routing-domains/{rdid}/virtual-subnets/{vsid}'],
    ['LookupRecord', '/v1/routing-domains/{rdid}/lookup-records/{id}'],
    ['Gateway', '/v1/routing-domains/{rdid}/gateway'],
    ['CustomerRoute', '/v1/routing-domains/{rdid}/customer-routes/{id}'],
    ['Nat', '/v1/routing-domains/{rdid}/nat'],
    ['Port', '/v1/ports/{interface}'],
  ] as const;
  for (const [name, template] of order) {
    const inputs = document.components.schemas[name]?.examples as Json[];
    const outputs = document.components.schemas[`${name}Resource`]?.examples as Json[];
    t.equal(inputs.length, outputs.length);
    for (const [index, input] of inputs.entries()) {
      const output = outputs[index] ?? {};
      const path = template.replace(/\{(\w+)\}/g, (_, field) => String(output[field] ?? exampleRdid));
      const { status, body } = await request('PUT', path, input);
      t.equal(status, 201, `${path}: ${JSON.stringify(body)}`);
      t.same({ ...body, status: 0 }, { ...output, status: 0 }, 'it is answered as the example says');
    }
  }
});

t.test('an answer that is not in the document is told from one that is', async (t) => {
  const { document } = await runApi(t);
  const conformance = new Conformance(document);
  const json = { 'content-type': 'application/json; charset=utf-8' };
  const alive = { method: 'GET', path: '/healthz', status: 200, headers: new Headers(json) };
  t.equal(conformance.check({ ...alive, body: { alive: true } }), 'getHealth 200');
  t.equal(conformance.check({ ...alive, method: 'HEAD', body: undefined }), 'getHealth 200');
  const wrong: [what: string, change: object, message: RegExp][] = [
    ['a field more', { body: { alive: true, since: 1 } }, /not as documented/],
    ['a field less', { body: {} }, /not as documented/],
    ['another status', { status: 202, body: { alive: true } }, /status is not documented/],
    ['another type', { headers: new Headers({ 'content-type': 'text/html' }) }, /text\/html/],
    ['another header', { headers: new Headers({ ...json, etag: '"1"' }) }, /etag is not documented/],
    ['another path', { path: '/healthy' }, /no such operation/],
    ['another method', { method: 'PUT' }, /no such operation/],
    ['no ETag', { path: '/v1/ports/tap0', status: 304 }, /etag is missing/],
  ];
  for (const [what, change, message] of wrong)
    t.throws(() => conformance.check({ ...alive, body: { alive: true }, ...change }), message, what);
});

t.test('the document is served, and can be read as a page', async (t) => {
  const api = await runApi(t);
  const served = await fetch(`${api.base}/openapi.json`);
  t.strictSame((await served.json()) as OpenApi, api.document);
  t.match(await api.request('GET', '/docs'), { status: 200, type: 'text/html', body: /swagger-ui/ });
  t.match(await api.request('GET', '/docs/static/swagger-ui.css'), { status: 200, type: 'text/css' });
});
