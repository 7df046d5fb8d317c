import t from 'tap';
import { openStore } from '../../src/store/sqlite.ts';
import type { StoredToken } from '../../src/store/tokens.ts';
import { capacity, contoso, domainDocument, storePath } from './store-folder.ts';

const created = '2026-01-01T00:00:00.000Z';
const admin = { id: 'boss', role: 'admin', routingDomains: [], created, hash: 'scrypt$1' } as const;
const tenant: Omit<StoredToken, 'revision'> = {
  ...{ id: 'shop', role: 'tenant', routingDomains: [contoso], created, hash: 'scrypt$2' },
  expires: '2027-01-01T00:00:00.000Z',
};

t.test('tokens are there after a restart, with revisions that never come again', async (t) => {
  const path = storePath(t);
  const store = await openStore({ path, capacity });
  t.strictSame(await store.tokens.put(admin), { ...admin, revision: 1 });
  const second = await store.tokens.put(tenant);
  t.equal(second.revision, 2);
  t.equal((await store.tokens.put({ ...admin, role: 'operator' })).revision, 3);
  await store.tokens.delete('boss');
  t.strictSame([...store.tokens.all.values()], [second]);
  t.equal(store.revision, 0, 'the policy has not changed');
  await store.close();

  const reopened = await openStore({ path, capacity });
  t.teardown(() => reopened.close());
  t.strictSame([...reopened.tokens.all], [['shop', second]]);
  t.equal((await reopened.tokens.put(admin)).revision, 5);
});

t.test('a change of a token is told when readers see it, and not before it is on disk', async (t) => {
  const store = await openStore({ path: storePath(t), capacity });
  t.teardown(() => store.close());
  const told: [string, boolean][] = [];
  const end = store.tokens.subscribe((id) => told.push([id, store.tokens.all.has(id)]));
  store.subscribe(() => t.fail('the policy has not changed'));
  const writing = store.tokens.put(admin);
  t.equal(store.tokens.all.size, 0);
  await writing;
  t.ok(store.tokens.all.has('boss'));
  await store.tokens.delete('boss');
  t.notOk(store.tokens.all.has('boss'));
  t.strictSame(told, [
    ['boss', true],
    ['boss', false],
  ]);
  end();
  await store.tokens.put(tenant);
  t.equal(told.length, 2);
});

t.test('a removal holds at once, though a whole policy is written before it', async (t) => {
  const path = storePath(t);
  const store = await openStore({ path, capacity });
  await store.tokens.put(admin);
  const told: string[] = [];
  store.tokens.subscribe((id) => told.push(id));
  const order: string[] = [];
  const note = (what: string) => () => void order.push(what);
  const changed = store.tokens.put({ ...admin, role: 'operator' }).then(note('change'));
  const whole = store
    .replace(domainDocument(contoso, 5001, 2000))
    .then(() => t.notOk(store.tokens.all.has('boss'), 'nor does the change bring it back'))
    .then(note('policy'));
  const gone = store.tokens.delete('boss').then(note('removal'));
  t.notOk(store.tokens.all.has('boss'));
  t.strictSame(told, ['boss']);
  await Promise.all([changed, whole, gone]);
  t.strictSame(order, ['change', 'policy', 'removal']);
  await store.tokens.put({ ...admin, hash: 'scrypt$3' });
  t.equal(store.tokens.all.get('boss')?.hash, 'scrypt$3', 'there may be another of that name');
  await store.close();
  const reopened = await openStore({ path, capacity });
  t.equal(reopened.tokens.all.get('boss')?.hash, 'scrypt$3');
  await reopened.close();

  await t.rejects(reopened.tokens.delete('boss'), { code: 'HNV_STORE' });
  t.ok(reopened.tokens.all.has('boss'), 'what could not be removed is valid as before');
});

t.test('a token that is not there cannot be deleted', async (t) => {
  const store = await openStore({ path: storePath(t), capacity });
  t.teardown(() => store.close());
  const [none, put, deleted, gone] = await Promise.allSettled([
    store.tokens.delete('boss'),
    store.tokens.put(admin),
    store.tokens.delete('boss'),
    store.tokens.delete('boss'),
  ]);
  t.match(none, { reason: { code: 'HNV_NOT_FOUND' } });
  t.strictSame([put.status, deleted.status], ['fulfilled', 'fulfilled']);
  t.match(gone, { reason: { code: 'HNV_NOT_FOUND' } }, 'writes of one tick see those before them, in order');
});

t.test('writes of tokens are in the audit log, without their hashes', async (t) => {
  const store = await openStore({ path: storePath(t), capacity });
  t.teardown(() => store.close());
  const audit = { actor: 'local', from: 'unix', method: 'PUT', path: '/v1/tokens/boss' };
  await store.tokens.put(admin, audit);
  await store.tokens.put(admin, audit);
  await store.tokens.delete('boss', { ...audit, method: 'DELETE' });
  const records = await store.audit.list({ limit: 9 });
  t.strictSame(
    records.map(({ method, status }) => [method, status]),
    [
      ['DELETE', 204],
      ['PUT', 200],
      ['PUT', 201],
    ],
  );
  t.notMatch(JSON.stringify(records), /scrypt/);
});
