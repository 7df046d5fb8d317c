import { statSync } from 'node:fs';
import t, { type Test } from 'tap';
import type { AuditRequest, AuditRetention } from '../../src/store/audit.ts';
import { openStore } from '../../src/store/sqlite.ts';
import { until } from '../lab/until.ts';
import { capacity, contoso, putDomain, record, storePath } from './store-folder.ts';

const request = (path: string, method = 'PUT'): AuditRequest => ({
  actor: 'ops',
  from: '192.0.2.77',
  method,
  path,
});
const refusal = (path: string, at = new Date().toISOString()) => ({
  ...request(path),
  ...{ at, status: 409, code: 'HNV_CONFLICT', rule: 'vsid-unique' },
});

async function open(t: Test, path = storePath(t), audit?: AuditRetention) {
  const store = await openStore({ path, capacity, ...(audit === undefined ? {} : { audit }) });
  t.teardown(() => store.close());
  return store;
}

t.test('every accepted write has its record, in the same transaction, the newest first', async (t) => {
  const path = storePath(t);
  const store = await open(t, path);
  const key = { kind: 'routingDomain', rdid: contoso } as const;
  await store.put(key, { name: 'a' }, { audit: request('/domain') });
  await store.put(key, { name: 'b' }, { audit: request('/domain', 'PATCH') });
  await store.put(key, { name: 'c' });
  await store.delete(key, { audit: request('/domain', 'DELETE') });
  const entries = [{ entry: { ...key, id: '', value: { name: 'd' } }, pointer: '' }];
  await store.putAll(entries, { audit: request('/policy', 'POST') });
  await store.replace(entries, { audit: request('/policy') });
  await store.close();

  const reopened = await open(t, path);
  const records = await reopened.audit.list({ limit: 9 });
  t.strictSame(
    records.map(({ id, method, status, revision }) => [id, method, status, revision]),
    [
      [5, 'PUT', 200, 5],
      [4, 'POST', 200, 5],
      [3, 'DELETE', 204, 4],
      [2, 'PATCH', 200, 2],
      [1, 'PUT', 201, 1],
    ],
    'a replacement that changes nothing is one as well',
  );
  const { at, ...first } = records.at(-1) ?? { at: '' };
  t.strictSame(first, { id: 1, ...request('/domain'), status: 201, revision: 1 });
  t.equal(new Date(at).toISOString(), at);
  t.strictSame(
    (await reopened.audit.list({ before: 4, limit: 2 })).map(({ id }) => id),
    [3, 2],
  );
});

t.test('a write that is refused leaves no record by itself', async (t) => {
  const store = await open(t);
  await putDomain(store, contoso, 5001);
  const outside = { kind: 'lookupRecord', rdid: contoso, id: 'x' } as const;
  await t.rejects(store.put(outside, record('172.16.0.1'), { audit: request('/x') }), {
    code: 'HNV_INVALID_FIELD',
    rule: 'address-in-subnet',
  });
  t.strictSame(await store.audit.list({ limit: 9 }), []);
});

t.test('noted refusals are on disk within a second, or with the next write', async (t) => {
  const path = storePath(t);
  const store = await open(t, path);
  store.subscribe(({ revision }) => t.equal(revision, 1, 'notes are no change of the state'));
  store.audit.note(refusal('/first'));
  store.audit.note(refusal('/second'));
  t.match(await store.audit.list({ limit: 9 }), [
    { path: '/second' },
    { ...refusal('/first', ''), at: String },
  ]);
  store.audit.note(refusal('/third'));
  await store.put({ kind: 'routingDomain', rdid: contoso }, { name: 'x' }, { audit: request('/domain') });
  store.audit.note(refusal('/last'));
  await store.close();
  const reopened = await open(t, path);
  const paths = (await reopened.audit.list({ limit: 9 })).map(({ path }) => path);
  t.strictSame(paths, ['/last', '/domain', '/third', '/second', '/first']);
});

t.test('a note is written without anybody asking for it', async (t) => {
  const path = storePath(t);
  const store = await open(t, path);
  await store.put({ kind: 'routingDomain', rdid: contoso }, { name: 'x' });
  const written = () => statSync(`${path}-wal`).size;
  const before = written();
  store.audit.note(refusal('/alone'));
  await until('the file has grown', 5000, () => written() > before);
  t.match(await store.audit.list({ limit: 9 }), [{ path: '/alone' }]);
});

t.test('no more records stay than the retention allows, the newest ones', async (t) => {
  const store = await open(t, storePath(t), { days: 90, records: 5 });
  for (let number = 1; number <= 12; number++) {
    await store.put(
      { kind: 'routingDomain', rdid: contoso },
      { name: `${number}` },
      { audit: request(`/${number}`) },
    );
  }
  const ids = (await store.audit.list({ limit: 100 })).map(({ id }) => id);
  t.strictSame(ids, [12, 11, 10, 9, 8]);
});

t.test('a lower retention takes effect on opening, and no id comes again', async (t) => {
  const path = storePath(t);
  const first = await open(t, path);
  for (let number = 1; number <= 1200; number++) first.audit.note(refusal(`/${number}`));
  await first.close();
  const second = await open(t, path, { days: 90, records: 0 });
  await until('all are gone', 5000, async () => (await second.audit.list({ limit: 1 })).length === 0);
  await second.close();
  const third = await open(t, path);
  third.audit.note(refusal('/again'));
  t.match(await third.audit.list({ limit: 9 }), [{ id: 1201, path: '/again' }]);
});

t.test('records go when their days are over', async (t) => {
  const store = await open(t, storePath(t), { days: 30, records: 100 });
  const daysAgo = (days: number) => new Date(Date.now() - days * 86_400_000).toISOString();
  for (const days of [31, 30.5, 29, 1]) store.audit.note(refusal(`/${days}`, daysAgo(days)));
  const paths = (await store.audit.list({ limit: 9 })).map(({ path }) => path);
  t.strictSame(paths, ['/1', '/29']);
});
