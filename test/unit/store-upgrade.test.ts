import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import t from 'tap';
import type { Nat, ResourceKind } from '../../src/policy/resources.ts';
import { decodeKey } from '../../src/store/keys.ts';
import { newestSchema } from '../../src/store/schema-steps.ts';
import { openStore } from '../../src/store/sqlite.ts';
import { natPolicy } from '../lab/nat-policy.ts';
import { capacity, contoso, fabrikam, snapshot, storePath } from './store-folder.ts';

const schemaSteps = new URL('../../src/store/schema-steps.ts', import.meta.url).href;

/** A file as hnvgw left it when its schema was that one, and its rows. */
function buildOldFile(path: string, schema = 1) {
  using database = new DatabaseSync(path);
  database.exec(readFileSync(new URL(`./fixtures/store-schema-${schema}.sql`, import.meta.url), 'utf8'));
  return database.prepare('SELECT key, value, revision, modified FROM resources ORDER BY key').all();
}

/** The value that the upgrade makes of an old one. */
function withDefaults(kind: ResourceKind | undefined, value: unknown): unknown {
  return kind === 'nat' ? natPolicy(value as Partial<Nat>) : value;
}

function schemaOf(path: string): unknown {
  using database = new DatabaseSync(path);
  return database.prepare('SELECT schema FROM meta').get()?.schema;
}

t.test('a store of schema 1 is upgraded with all that it holds', async (t) => {
  const path = storePath(t);
  const rows = buildOldFile(path);
  const store = await openStore({ path, capacity });
  for (const { key, value, revision, modified } of rows) {
    const resource = store.get(decodeKey(String(key)));
    t.strictSame(
      { value: resource?.value, revision: resource?.revision, modified: resource?.modified },
      { value: withDefaults(resource?.key.kind, JSON.parse(String(value))), revision, modified },
      String(key),
    );
  }
  const handles = [...store.state.domains.values()].map(({ rdid, handle }) => [rdid, handle]);
  const fourth = '44444444-0000-0000-0000-00000000000d';
  t.strictSame(handles, [
    [contoso, 1],
    [fabrikam, 3],
    [fourth, 4],
  ]);
  t.equal(store.revision, 47);
  t.strictSame([store.tokens.all.size, await store.audit.list({ limit: 9 })], [0, []]);

  const { resource } = await store.put({ kind: 'routingDomain', rdid: contoso }, { name: 'goes on' });
  t.equal(resource.revision, 48);
  await store.put({ kind: 'routingDomain', rdid: '55555555-0000-0000-0000-00000000000e' }, { name: 'new' });
  t.equal(store.state.domains.get('55555555-0000-0000-0000-00000000000e')?.handle, 5);
  const before = snapshot(store.state);
  await store.close();
  t.equal(schemaOf(path), newestSchema);
  const again = await openStore({ path, capacity });
  t.teardown(() => again.close());
  t.strictSame(snapshot(again.state), before);
});

t.test('NAT policies of schema 2 get the defaults of what NAT has learned since', async (t) => {
  const path = storePath(t);
  const rows = buildOldFile(path, 2);
  const store = await openStore({ path, capacity });
  t.teardown(() => store.close());
  for (const { key, value, revision } of rows) {
    const resource = store.get(decodeKey(String(key)));
    const wanted = withDefaults(resource?.key.kind, JSON.parse(String(value)));
    t.strictSame([resource?.value, resource?.revision], [wanted, revision], String(key));
  }
  const rdid = '44444444-0000-0000-0000-00000000000d';
  t.strictSame(store.state.externals.addresses.get('203.0.113.8'), [
    { rdid, portStart: 1024, portEnd: 2047 },
  ]);
  t.equal(store.state.externals.count, 4);
});

t.test('an upgrade that is killed half way leaves the old file', async (t) => {
  const path = storePath(t);
  const rows = buildOldFile(path);
  // Every page goes to the disk at once, so that there is something to be taken back.
  const half = `
    import { DatabaseSync } from 'node:sqlite';
    import { upgradeSchema } from ${JSON.stringify(schemaSteps)};
    const database = new DatabaseSync(${JSON.stringify(path)});
    database.exec('PRAGMA cache_size = 1; PRAGMA cache_spill = 1; BEGIN IMMEDIATE');
    upgradeSchema(database, 1);
    database.exec('UPDATE resources SET revision = revision + 1');
    process.kill(process.pid, 'SIGKILL');`;
  const killed = spawnSync(process.execPath, ['--input-type=module', '--eval', half], { encoding: 'utf8' });
  t.equal(killed.signal, 'SIGKILL', killed.stderr);
  t.equal(schemaOf(path), 1);

  const store = await openStore({ path, capacity });
  t.teardown(() => store.close());
  t.equal(store.revision, 47);
  const revisions = rows.map(({ key }) => store.get(decodeKey(String(key)))?.revision);
  t.strictSame(
    revisions,
    rows.map(({ revision }) => revision),
  );
});

t.test('a damaged file is refused and says what to do', async (t) => {
  const path = storePath(t);
  buildOldFile(path);
  const bytes = readFileSync(path);
  // Pages behind the first are overwritten: the header still says that it is a store.
  const damage = (from: number) => {
    const damaged = Buffer.from(bytes);
    damaged.fill(0x5a, from, from + 600);
    writeFileSync(path, damaged);
  };
  for (const from of [4096, 3 * 4096, bytes.length - 4096]) {
    damage(from);
    const damaged = readFileSync(path);
    await t.rejects(openStore({ path, capacity }), {
      code: 'HNV_STORE',
      message: /cannot be opened: it is damaged \(.*\)\. Put back a backup with `hnvgw restore`/s,
    });
    t.ok(readFileSync(path).equals(damaged), 'it stays as it is');
  }
});
