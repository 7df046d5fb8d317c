/**
 * Every operation with bodies and parameters that its schemas exclude, from a fixed seed: whatever comes, the node does not fail,
 * and says in a documented answer what is wrong, and where.
 */
import fc from 'fast-check';
import t from 'tap';
import { exampleRdid } from '../../src/api/examples.ts';
import { segments } from '../../src/config/schema-violation.ts';
import { type DocumentedOperation, type Json, type OpenApi, operationsOf } from './api-conformance.ts';
import { type RunningApi, runApi } from './api-server.ts';

const seed = 20261121;
/** For each operation, of its parameters; of bodies some times as many. */
const runs = 8;
const bodyRuns = 40;

/** Becomes deep only as JSON, so that fast-check can print it. */
class Nested {
  readonly depth: number;

  constructor(depth: number) {
    this.depth = depth;
  }

  toJSON(): unknown {
    let value: unknown = 1;
    for (let level = 0; level < this.depth; level++) value = level % 2 === 0 ? [value] : { value };
    return value;
  }
}

/** Names that objects have by themselves, and names that no field has. */
const strangeName = fc.constantFrom(
  ...[
    '__proto__',
    'constructor',
    'prototype',
    'toString',
    'hasOwnProperty',
    '',
    '~1',
    'a/b',
    '\u0000',
    'ﬀ',
    '💥',
  ],
);
const strangeText = fc.oneof(
  strangeName,
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constantFrom(
    'x'.repeat(20_000),
    '10.1.1.0/99',
    '::ffff:1.2.3.4',
    '1e3',
    '-0',
    'null',
    '../../etc',
    '%00',
  ),
);
const strangeValue: fc.Arbitrary<unknown> = fc.oneof(
  strangeText,
  fc.constantFrom(null, true, 0, -1, 0.5, 1e308, -1e308, 2 ** 53, 4096.5, [], {}, [[]], [null], {
    length: -1,
  }),
  fc.array(strangeText, { maxLength: 3 }),
  fc.dictionary(strangeName, strangeText, { maxKeys: 3 }),
  fc.integer({ min: 10, max: 3000 }).map((depth) => new Nested(depth)),
);

/** Where a value can be changed: itself and everything in it. */
function places(value: unknown, path: readonly string[] = []): (readonly string[])[] {
  if (typeof value !== 'object' || value === null) return [path];
  return [path, ...Object.entries(value).flatMap(([name, inner]) => places(inner, [...path, name]))];
}

type Change = { kind: 'replace' | 'remove' | 'add'; name: string; value: unknown };
const change: fc.Arbitrary<Change> = fc.record({
  kind: fc.constantFrom('replace', 'remove', 'add'),
  name: strangeName,
  value: strangeValue,
});

/** A copy with one place changed. */
function changed(value: unknown, path: readonly string[], { kind, name, value: strange }: Change): unknown {
  const [step, ...rest] = path;
  if (step === undefined) {
    if (kind !== 'add' || typeof value !== 'object' || value === null) return strange;
    if (Array.isArray(value)) return [...value, strange];
    // Not by assignment, which `__proto__` would escape.
    return Object.fromEntries([...Object.entries(value), [name, strange]]);
  }
  if (rest.length === 0 && kind === 'remove') {
    if (Array.isArray(value)) return value.filter((_, index) => String(index) !== step);
    return Object.fromEntries(Object.entries(value as Json).filter(([each]) => each !== step));
  }
  const entries = Object.entries(value as Json).map(([each, inner]): [string, unknown] => [
    each,
    each === step ? changed(inner, rest, { kind, name, value: strange }) : inner,
  ]);
  return Array.isArray(value) ? entries.map(([, inner]) => inner) : Object.fromEntries(entries);
}

function examplesOf(document: OpenApi, { method, path, operation }: DocumentedOperation): unknown[] {
  const body = method === 'patch' ? document.paths[path]?.put?.requestBody : operation.requestBody;
  const reference = String(body?.content['application/json']?.schema?.$ref);
  return (
    (document.components.schemas[reference.split('/').at(-1) ?? '']?.examples as Json[] | undefined) ?? []
  );
}

const named: Record<string, string> = {
  ...{ rdid: exampleRdid, vsid: '5001', id: 'web1', address: '192.0.2.1', interface: 'tap0' },
};
const pathOf = (template: string, name = '', value = ''): string =>
  template.replace(/\{(\w+)\}/g, (_, each) =>
    each === name ? encodeURIComponent(value) : (named[each] ?? 'x'),
  );

/** Whether the pointer leads to a field of the body, or to one that is missing in an object of it. */
function leadsInto(body: unknown, pointer: string): boolean {
  const steps = segments(pointer);
  let value = body;
  for (const [index, step] of steps.entries()) {
    if (typeof value !== 'object' || value === null) return false;
    if (!Object.hasOwn(value, step)) return index === steps.length - 1 && !Array.isArray(value);
    value = (value as Json)[step];
  }
  return true;
}

async function survives(api: RunningApi, request: Parameters<RunningApi['request']>): Promise<void> {
  const [method, path, body] = request;
  // `request` has held the answer against the document already: problem+json with a code, or what else is documented.
  const answer = await api.request(...request);
  const told = JSON.stringify(answer.body)?.slice(0, 300);
  if (answer.status >= 500) throw new Error(`${method} ${path} ${answer.status}: ${told}`);
  const { pointer } = (answer.body ?? {}) as { pointer?: string };
  if (answer.status < 400 || pointer === undefined || method === 'PATCH') return;
  const sent = typeof body === 'string' ? JSON.parse(body) : body;
  if (!leadsInto(sent, pointer)) throw new Error(`${method} ${path}: ${pointer} is not in the body: ${told}`);
}

t.test('no parameter makes an operation fail', async (t) => {
  const api = await runApi(t);
  for (const { method, path, operation } of operationsOf(api.document)) {
    const parameters = operation.parameters ?? [];
    const strange = fc.record({ parameter: fc.constantFrom(...parameters, undefined), text: strangeText });
    const property = fc.asyncProperty(strange, async ({ parameter, text }) => {
      const { name = 'nobody', in: place = 'query' } = parameter ?? {};
      const value = text.toWellFormed();
      // Those are steps in a path, and a client resolves them.
      if (place === 'path' && ['', '.', '..'].includes(value)) return;
      const isHeader = place === 'header';
      if (isHeader && !/^[!-~]*$/.test(value)) return;
      const query = place === 'query' ? `?${new URLSearchParams({ [name]: value })}` : '';
      const own = pathOf(path, place === 'path' ? name : '', value) + query;
      const body = operation.requestBody === undefined ? undefined : {};
      await survives(api, [method.toUpperCase(), own, body, isHeader ? { [name]: value } : {}]);
    });
    await fc.assert(property, { seed, numRuns: runs * (parameters.length + 1) });
    t.pass(operation.operationId);
  }
});

t.test('no body makes an operation fail', async (t) => {
  const api = await runApi(t);
  let refused = 0;
  for (const documented of operationsOf(api.document)) {
    const examples = examplesOf(api.document, documented);
    if (examples.length === 0) continue;
    const body = fc.constantFrom(...examples).chain((example) =>
      fc
        .array(fc.record({ path: fc.constantFrom(...places(example)), change }), {
          minLength: 1,
          maxLength: 2,
        })
        .map((changes) =>
          changes.reduce((value, { path, change }) => changedIfThere(value, path, change), example),
        ),
    );
    const { method, path, operation } = documented;
    const property = fc.asyncProperty(body, async (value) => {
      const before = api.store.revision;
      await survives(api, [method.toUpperCase(), pathOf(path), JSON.stringify(value) ?? 'null']);
      if (api.store.revision === before) refused++;
    });
    await fc.assert(property, { seed, numRuns: bodyRuns });
    t.pass(operation.operationId);
  }
  t.ok(refused > 500, `${refused} were refused`);
  t.notOk('polluted' in {} || Object.keys(Object.prototype).length > 0, 'no prototype has changed');
});

/** An earlier change may have taken the place away. */
function changedIfThere(value: unknown, path: readonly string[], change: Change): unknown {
  return places(value).some((place) => place.join('\n') === path.join('\n'))
    ? changed(value, path, change)
    : value;
}

t.test('no text makes an operation fail', async (t) => {
  const api = await runApi(t);
  const writes = operationsOf(api.document).filter(({ operation }) => operation.requestBody !== undefined);
  const text = fc.oneof(
    strangeText,
    fc.constantFrom(
      '{',
      '[[[[',
      '{"a":1,"a":2}',
      '{"__proto__":{"polluted":1}}',
      '\ufeff{}',
      '"\\ud800"',
      '{} {}',
    ),
    fc.constantFrom(
      '['.repeat(100_000),
      '{"a":'.repeat(20_000),
      '1'.repeat(50_000),
      `{"name":"${'\\u0000'.repeat(99)}"}`,
    ),
  );
  const request = fc.record({ operation: fc.constantFrom(...writes), text });
  const property = fc.asyncProperty(request, async ({ operation: { method, path }, text }) => {
    const { status, body } = await api.request(method.toUpperCase(), pathOf(path), text.toWellFormed());
    if (status >= 500) throw new Error(`${status}: ${JSON.stringify(body)}`);
  });
  await fc.assert(property, { seed, numRuns: 300 });
  t.pass(`${writes.length} operations`);
});
