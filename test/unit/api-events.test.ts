import { connect } from 'node:net';
import t from 'tap';
import { hashSecret, newSecret, writeToken } from '../../src/access/secret.ts';
import { buildApp } from '../../src/api/app.ts';
import type { NodeEvent } from '../../src/api/operations.ts';
import { trustSocket } from '../../src/api/origin.ts';
import { keptEvents } from '../../src/node/journal.ts';
import { openStore } from '../../src/store/sqlite.ts';
import type { StoredToken } from '../../src/store/tokens.ts';
import { type RunningApi, runApi, StandInOperations } from './api-server.ts';
import { follow } from './event-follower.ts';
import { capacity, contoso, fabrikam, record, storePath } from './store-folder.ts';

/** A token that is stored, as its holder has it. */
async function tokenFor(
  api: RunningApi,
  token: Pick<StoredToken, 'id' | 'role'> & Partial<StoredToken>,
): Promise<string> {
  const secret = newSecret();
  const hash = await hashSecret(secret);
  const created = new Date().toISOString();
  await api.store.tokens.put({ routingDomains: [], created, ...token, hash });
  return writeToken({ id: token.id, secret });
}

const putDomain = (api: RunningApi, rdid: string, name: string) =>
  api.store.put({ kind: 'routingDomain', rdid }, { name });

/** Ends the events that a test looks at. */
const end = { type: 'drift', what: 'mended', path: '/end' } as const;
const isEnd = (event: NodeEvent): boolean => event.path === end.path;

t.test('a follower that is cut off again and again misses nothing and sees nothing twice', async (t) => {
  const api = await runApi(t);
  await putDomain(api, contoso, 'Contoso');
  await api.store.put(
    { kind: 'virtualSubnet', rdid: contoso, id: '5001' },
    { addressPrefixes: ['10.0.0.0/8'] },
  );
  const writer = (async () => {
    for (let n = 0; n < 200; n++) {
      // Some alone, some of one commit.
      const writes = Array.from({ length: 1 + (n % 3) }, (_, i) =>
        api.store.put({ kind: 'lookupRecord', rdid: contoso, id: `r${i}` }, record(`10.0.${n}.${i + 10}`)),
      );
      await Promise.all(writes);
    }
    api.operations.events.add(end);
  })();
  const seen: NodeEvent[] = [];
  let lastId: string | undefined;
  for (let round = 0; !seen.some(isEnd); round++) {
    // Both ways to say where one was.
    const options = round % 2 === 0 ? { lastId } : { query: `?since=${lastId}` };
    const follower = await follow(t, api.base, options);
    for (let n = 0; n < 1 + ((round * 7) % 23); n++) {
      const event = await follower.next();
      if (event === undefined) break;
      seen.push(event);
      if (isEnd(event)) break;
    }
    lastId = follower.lastId;
    follower.close();
  }
  await writer;
  t.strictSame(seen, api.operations.events.since(undefined));
  t.strictSame(
    seen.filter(({ type }) => type === 'resource').map(({ revision }) => revision),
    Array.from({ length: api.store.revision }, (_, i) => i + 1),
  );
});

t.test(
  'an id of an earlier process, or of an event that is gone, is answered by a reset first',
  async (t) => {
    const api = await runApi(t);
    await putDomain(api, contoso, 'Contoso');
    const strange = await follow(t, api.base, { lastId: 'feedfeedfeed-3' });
    const reset = await strange.next();
    t.match(reset, { type: 'reset' });
    t.match(await strange.next(), { type: 'resource', revision: 1 });

    const resumed = await follow(t, api.base, { lastId: reset?.id });
    const first = await resumed.next();
    t.match(first, { type: 'resource', revision: 1 }, 'the id of the reset resumes after it');

    for (let n = 0; n < keptEvents + 5; n++) api.operations.events.add({ type: 'drift', what: 'found' });
    api.operations.events.add(end);
    const late = await follow(t, api.base, { query: `?since=${first?.id}` });
    const events = await late.until(isEnd);
    t.equal(events[0]?.type, 'reset');
    t.equal(events.length, keptEvents + 1);
    const filtered = await follow(t, api.base, { query: `?since=${first?.id}&type=status` });
    t.match(await filtered.next(), { type: 'reset' }, 'no filter holds a reset back');
  },
);

t.test('a tenant follows its own routing domains and nothing else', async (t) => {
  const api = await runApi(t);
  const token = await tokenFor(api, { id: 'contoso', role: 'tenant', routingDomains: [contoso] });
  const { events } = api.operations;
  await putDomain(api, contoso, 'Contoso');
  await putDomain(api, fabrikam, 'Fabrikam');
  await api.store.put({ kind: 'providerAddress', id: '192.0.2.1' }, { interface: 'eth0', prefixLength: 24 });
  const own = await follow(t, api.base, { token });
  const foreign = await follow(t, api.base, { token, query: `?routingDomainId=${fabrikam}` });
  const unknown = await follow(t, api.base, { lastId: 'feedfeedfeed-3', token });
  for (const routingDomainId of [fabrikam, undefined, contoso])
    events.add({ ...end, ...(routingDomainId === undefined ? {} : { routingDomainId }) });
  events.add({ type: 'reset' });
  t.match(await own.until(isEnd), [
    { type: 'resource', routingDomainId: contoso, revision: 1 },
    { type: 'drift', routingDomainId: contoso },
  ]);
  t.match(await foreign.next(), { type: 'reset' }, 'nothing of another tenant came before');
  t.match(await unknown.until(isEnd), [
    { type: 'reset' },
    { routingDomainId: contoso },
    { routingDomainId: contoso },
  ]);
});

t.test('an operator chooses a routing domain and a type', async (t) => {
  const api = await runApi(t);
  await putDomain(api, contoso, 'Contoso');
  await putDomain(api, fabrikam, 'Fabrikam');
  const { events } = api.operations;
  const status = { type: 'status', what: 'failed', reason: 'no link' } as const;
  events.add({ ...status, routingDomainId: contoso });
  events.add({ ...status, routingDomainId: fabrikam });
  events.add({ type: 'reset' });
  const of = async (query: string) => {
    const follower = await follow(t, api.base, { query });
    const seen = await follower.until(({ type }) => type === 'reset');
    return seen.map(({ type, routingDomainId }) => [type, routingDomainId]);
  };
  t.strictSame(await of(`?routingDomainId=${fabrikam.toUpperCase()}`), [
    ['resource', fabrikam],
    ['status', fabrikam],
    ['reset', undefined],
  ]);
  t.strictSame(await of('?type=status'), [
    ['status', contoso],
    ['status', fabrikam],
    ['reset', undefined],
  ]);
  t.strictSame(await of(`?type=status&routingDomainId=${contoso}`), [
    ['status', contoso],
    ['reset', undefined],
  ]);
  t.match(await api.request('GET', '/v1/events?type=weather'), {
    status: 400,
    body: { code: 'HNV_INVALID_FIELD', detail: /type/ },
  });
  const head = await fetch(`${api.base}/v1/events`, { method: 'HEAD' });
  t.equal(head.status, 405, 'a HEAD would never be answered');
});

t.test('the answer is an event stream that nobody keeps back', async (t) => {
  const api = await runApi(t);
  const { answer } = await follow(t, api.base);
  t.match(answer, {
    statusCode: 200,
    headers: {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'x-accel-buffering': 'no',
    },
  });
});

t.test('a stream ends when its token is removed, changed or expires', async (t) => {
  const api = await runApi(t);
  const expires = new Date(Date.now() + 1000).toISOString();
  const tokens = {
    removed: await tokenFor(api, { id: 'removed', role: 'tenant', routingDomains: [contoso] }),
    changed: await tokenFor(api, { id: 'changed', role: 'operator' }),
    expired: await tokenFor(api, { id: 'expired', role: 'operator', expires }),
    kept: await tokenFor(api, { id: 'kept', role: 'operator' }),
  };
  const streams = Object.fromEntries(
    await Promise.all(
      Object.entries(tokens).map(async ([id, token]) => [id, await follow(t, api.base, { token })]),
    ),
  );
  await api.store.tokens.delete('removed');
  t.equal(await streams.removed.next(), undefined);
  await tokenFor(api, { id: 'changed', role: 'tenant', routingDomains: [contoso] });
  t.equal(await streams.changed.next(), undefined);
  t.equal(await streams.expired.next(), undefined);
  api.operations.events.add(end);
  t.match(await streams.kept.next(), end);
  const again = await follow(t, api.base, { token: tokens.removed });
  t.equal(again.answer.statusCode, 401);
});

t.test('one token has 16 streams at a time', async (t) => {
  const api = await runApi(t);
  const token = await tokenFor(api, { id: 'eager', role: 'operator' });
  const streams = await Promise.all(Array.from({ length: 16 }, () => follow(t, api.base, { token })));
  const headers = { authorization: `Bearer ${token}` };
  const refused = await api.request('GET', '/v1/events', undefined, headers);
  t.match(refused, { status: 429, body: { code: 'HNV_TOO_MANY_REQUESTS', detail: /16 event streams/ } });
  t.equal(refused.headers.get('retry-after'), '10');
  t.match((await follow(t, api.base)).answer, { statusCode: 200 }, 'others are not concerned');
  streams[0]?.close();
  let status = 429;
  while (status === 429) {
    const follower = await follow(t, api.base, { token });
    status = follower.answer.statusCode ?? 0;
  }
  t.equal(status, 200, 'a stream that has ended makes room');
});

t.test('a client that does not read is cut off; one that reads is not', async (t) => {
  const api = await runApi(t);
  const { events } = api.operations;
  const { hostname, port } = new URL(api.base);
  const deaf = connect({ host: hostname, port: Number(port) });
  const isCut = new Promise<void>((resolve) => deaf.once('close', () => resolve()));
  deaf.on('error', () => {});
  t.teardown(() => deaf.destroy());
  deaf.write('GET /v1/events HTTP/1.1\r\nHost: node\r\n\r\n');
  await new Promise((resolve) => deaf.once('readable', resolve)); // and reads nothing of it
  const reader = await follow(t, api.base);
  // More than sockets hold, and then more than the journal does.
  const reason = 'x'.repeat(2000);
  let written = 0;
  const write = async (count: number) => {
    for (let n = 0; n < count; n += 500, written += 500) {
      for (let i = 0; i < 500; i++) events.add({ type: 'drift', what: 'found', reason });
      events.add({ ...end, path: `/end/${written}` });
      await reader.until(({ path }) => path === `/end/${written}`);
    }
  };
  await write(8_000);
  await write(keptEvents + 1_000);
  deaf.resume();
  await isCut;
  events.add(end);
  t.match((await reader.until(isEnd)).at(-1), end);
});

t.test('closing the API ends its streams, those that nobody reads too', async (t) => {
  const store = await openStore({ path: storePath(t), capacity });
  t.teardown(() => store.close());
  const operations = new StandInOperations(store);
  const app = buildApp({ store, operations, version: '0.1.0' });
  app.server.on('connection', trustSocket);
  const base = await app.listen({ host: '127.0.0.1', port: 0 });
  const reader = await follow(t, base);
  const deaf = await follow(t, base);
  const reason = 'x'.repeat(2000);
  for (let n = 0; n < 8_000; n++) operations.events.add({ type: 'drift', what: 'found', reason });
  operations.events.add(end);
  await reader.until(isEnd);
  await app.close();
  t.equal(await reader.next(), undefined);
  deaf.close();
});
