import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { restoreStore } from '../../src/store/restore.ts';
import { openStore } from '../../src/store/sqlite.ts';
import { policyOfRound } from './store-crash-policy.ts';
import { capacity, contoso, fabrikam, putDomain, record, snapshot, storePath } from './store-folder.ts';

const key = { kind: 'lookupRecord', rdid: contoso, id: 'vm1' } as const;
const token = {
  id: 'boss',
  role: 'admin',
  routingDomains: [],
  created: '2026-01-01T00:00:00.000Z',
  hash: 'x',
} as const;
const audit = { actor: 'local', from: 'unix', method: 'PUT', path: '/x' };

/** What the state says, without the versions. */
function content(state: Parameters<typeof snapshot>[0]): unknown {
  const values = snapshot(state) as { domains: Map<string, { versions?: unknown }> };
  for (const domain of values.domains.values()) delete domain.versions;
  return values;
}

/** A store with a domain, a record, a token and audit records; a backup of it; and what was written afterwards. */
async function storeWithBackup(t: Test) {
  const path = storePath(t);
  const backup = `${storePath(t)}.backup`;
  const store = await openStore({ path, capacity });
  await putDomain(store, contoso, 5001);
  await store.put(key, record('10.0.0.4'), { audit });
  await store.tokens.put(token);
  await store.backup(backup);
  const then = content(store.state);
  await store.put(key, record('10.0.0.5'), { audit });
  await putDomain(store, fabrikam, 6001);
  await store.tokens.put({ ...token, id: 'second' });
  const now = content(store.state);
  const { revision } = store;
  await store.close();
  return { path, backup, then, now, revision };
}

t.test('a backup is a store file with the state of one moment, made while writes go on', async (t) => {
  const path = storePath(t);
  const store = await openStore({ path, capacity });
  t.teardown(() => store.close());
  await putDomain(store, contoso, 5001);
  const writes: Promise<unknown>[] = [];
  const put = (number: number) =>
    store.put({ ...key, id: `r${number}` }, record(`10.1.${(number >> 8) + 1}.${number & 255 || 1}`));
  for (let number = 1; number <= 2000; number++) {
    if ((number & 255) !== 0 && (number & 255) !== 1) writes.push(put(number));
  }
  const copy = `${path}.backup`;
  await Promise.all([store.backup(copy), ...writes]);
  t.equal(statSync(copy).mode & 0o777, 0o600);

  const restored = await openStore({ path: copy, capacity });
  t.teardown(() => restored.close());
  const count = restored.state.domains.get(contoso)?.lookupRecords.size ?? 0;
  t.equal(restored.revision, count + 3, 'all writes up to one, none after it');
  await t.rejects(store.backup(copy), { code: 'HNV_STORE', message: /could not be written: .*exists/ });
  await t.rejects(store.backup('/nowhere/at/all.db'), { code: 'HNV_STORE' });
});

t.test('a backup waits for a policy that is being written, and a policy for a backup', async (t) => {
  const path = storePath(t);
  const store = await openStore({ path, capacity });
  t.teardown(() => store.close());
  let writing = true;
  const written = Promise.all([1, 2, 3, 4, 5, 6].map((round) => store.replace(policyOfRound(round)))).then(
    () => {
      writing = false;
    },
  );
  const copies: string[] = [];
  while (writing) {
    const copy = `${path}.${copies.length}`;
    await store.backup(copy);
    copies.push(copy);
  }
  await written;
  for (const copy of copies) {
    const copied = await openStore({ path: copy, capacity });
    const domains = [...copied.state.domains.values()];
    const round = domains[0]?.domain.name;
    const records = domains.flatMap(({ lookupRecords }) => [...lookupRecords.values()]);
    t.ok(
      records.every(({ vmName }) => vmName === `of round ${round}`),
      `${copy} has all of round ${round}`,
    );
    await copied.close();
  }
});

t.test('a restore brings back the state of the backup and keeps the file that was there', async (t) => {
  const { path, backup, then, now, revision } = await storeWithBackup(t);
  const bytes = readFileSync(backup);
  const restored = restoreStore(backup, path);
  t.match(restored, { revision: revision + 1, routingDomains: 1, resources: 4 });
  t.ok(readFileSync(backup).equals(bytes), 'the backup is not touched');
  t.strictSame(
    readdirSync(dirname(path)).sort(),
    [basename(path), `${basename(path)}.key`, basename(restored.kept ?? '')].sort(),
    'nothing else is left over',
  );
  t.match(restored.kept, /\/store\.db\.before-restore-\d{4}-\d\d-\d\dT/);

  const store = await openStore({ path, capacity });
  t.teardown(() => store.close());
  t.strictSame(content(store.state), then);
  t.equal(store.revision, revision + 1);
  t.equal(store.get(key)?.revision, revision + 1, 'no entity tag of before fits');
  t.strictSame([...store.tokens.all.values()], [{ ...token, revision: 3 }]);
  await putDomain(store, fabrikam, 6001);
  t.equal(store.state.domains.get(fabrikam)?.handle, 3, 'handles go on where the old store was');
  await store.put(key, record('10.0.0.6'), { audit });
  t.match(await store.audit.list({ limit: 9 }), [{ id: 3 }, { id: 1 }]);

  const kept = await openStore({ path: restored.kept ?? '', capacity });
  t.teardown(() => kept.close());
  t.strictSame(content(kept.state), now);
});

t.test('a restore to where no store is goes on from a revision that nothing had', async (t) => {
  const { backup, then } = await storeWithBackup(t);
  const path = storePath(t);
  const before = Date.now();
  const restored = restoreStore(backup, path);
  t.notOk('kept' in restored);
  t.ok(restored.revision >= before);
  const store = await openStore({ path, capacity });
  t.teardown(() => store.close());
  t.strictSame(content(store.state), then);
  t.equal(store.revision, restored.revision);
});

t.test('a backup of an older schema is upgraded', async (t) => {
  const { path } = await storeWithBackup(t);
  const old = storePath(t);
  {
    using database = new DatabaseSync(old);
    database.exec(readFileSync(new URL('./fixtures/store-schema-1.sql', import.meta.url), 'utf8'));
  }
  t.equal(restoreStore(old, path).routingDomains, 3);
  const store = await openStore({ path, capacity });
  t.teardown(() => store.close());
  t.strictSame(
    [...store.state.domains.values()].map(({ handle }) => handle),
    [1, 3, 4],
  );
  t.equal(store.get({ kind: 'lookupRecord', rdid: contoso, id: 'vm0' })?.value.customerAddress, '10.1.1.11');
});

t.test('a damaged store is replaced, and kept as it is with its log', async (t) => {
  const { path, backup, then } = await storeWithBackup(t);
  const bytes = readFileSync(path);
  bytes.fill(0x5a, 4096, 8192);
  bytes.fill(0x5a, 120, 4000);
  writeFileSync(path, bytes);
  writeFileSync(`${path}-wal`, 'what was left of it');
  await t.rejects(openStore({ path, capacity }), { code: 'HNV_STORE', message: /it is damaged/ });
  const { kept = '' } = restoreStore(backup, path);
  t.ok(readFileSync(kept).equals(bytes));
  t.ok(existsSync(`${kept}-wal`));
  t.notOk(existsSync(`${path}-wal`));
  const store = await openStore({ path, capacity });
  t.teardown(() => store.close());
  t.strictSame(content(store.state), then);
});

t.test('the file of a killed node can be restored too, with its write-ahead log', async (t) => {
  const path = storePath(t);
  const writer = fileURLToPath(new URL('./store-killed.ts', import.meta.url));
  const { signal, stderr } = spawnSync(process.execPath, [writer, path], { encoding: 'utf8' });
  t.equal(signal, 'SIGKILL', stderr);
  t.ok(existsSync(`${path}-wal`));
  const other = storePath(t);
  t.equal(restoreStore(path, other).routingDomains, 1);
  const store = await openStore({ path: other, capacity });
  t.teardown(() => store.close());
  t.strictSame([...store.state.domains.keys()], [contoso]);
});

t.test('a store that is open is not replaced', async (t) => {
  const { path, backup } = await storeWithBackup(t);
  const store = await openStore({ path, capacity });
  t.teardown(() => store.close());
  t.throws(() => restoreStore(backup, path), {
    code: 'HNV_STORE',
    message: /is open in another process: stop the node/,
  });
  t.strictSame(
    readdirSync(dirname(path)).sort(),
    ['', '-wal', '.key'].map((end) => basename(path) + end),
  );
  await store.put(key, record('10.0.0.9'));
});

t.test('what is no whole backup of this or an older version is refused, and the store stays', async (t) => {
  const { path, backup } = await storeWithBackup(t);
  const before = readFileSync(path);
  const good = readFileSync(backup);
  const refused = (message: RegExp, file = backup) => {
    t.throws(() => restoreStore(file, path), { code: 'HNV_STORE', message });
    t.ok(readFileSync(path).equals(before));
    t.strictSame(readdirSync(dirname(path)).sort(), [basename(path), `${basename(path)}.key`]);
  };
  const damaged = Buffer.from(good);
  damaged.fill(0x5a, 2 * 4096, 3 * 4096);
  writeFileSync(backup, damaged);
  refused(/cannot be restored: it is damaged \(.*name another backup\.$/s);
  writeFileSync(backup, good.subarray(0, good.length / 2));
  refused(/cannot be restored: it is damaged \(.*name another backup\.$/s);
  writeFileSync(backup, 'This is a text, and a long one.\n'.repeat(200));
  refused(/it is not a backup of an hnvgw store/);
  writeFileSync(backup, '');
  refused(/it is not a backup of an hnvgw store/);
  writeFileSync(backup, good);
  {
    using database = new DatabaseSync(backup);
    database.exec('UPDATE meta SET schema = 99');
  }
  refused(/a newer hnvgw has written it \(schema 99; .*restore it with that version/);
  refused(/There is no backup/, `${backup}.none`);
  refused(/is the store itself/, path);
});

t.test('a file that is no store is not replaced', async (t) => {
  const { backup } = await storeWithBackup(t);
  const path = storePath(t);
  writeFileSync(path, 'This is a text, and a long one.\n'.repeat(200));
  t.throws(() => restoreStore(backup, path), { code: 'HNV_STORE', message: /is not an hnvgw store/ });
});
