/** Secrets of site connections and BGP peers: sealed wherever they are on disk, kept by who leaves them out, gone without the key. */
import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import t, { type Test } from 'tap';
import { normalize } from '../../src/policy/normalize.ts';
import type { Bgp, BgpPeer } from '../../src/policy/resources.ts';
import { encodeKey } from '../../src/store/keys.ts';
import { restoreStore } from '../../src/store/restore.ts';
import { openStore } from '../../src/store/sqlite.ts';
import type { DocumentEntry, Entry, Store } from '../../src/store/store.ts';
import { natPolicy } from '../lab/nat-policy.ts';
import { password } from './routed-domain.ts';
import { formsOf, preSharedKey, siteConnection } from './site-connection.ts';
import { capacity, contoso, fabrikam, putDomain, snapshot, storePath } from './store-folder.ts';

const key = { kind: 'siteConnection', rdid: contoso, id: 'office' } as const;
const other = { kind: 'siteConnection', rdid: contoso, id: 'depot' } as const;
const otherSecret = 'ostrich-8Wy-feldspar-27182';
const bgpKey = { kind: 'bgp', rdid: contoso } as const;
const bgp = (...peers: Partial<BgpPeer>[]): Bgp =>
  normalize('bgp', {
    ...{ asn: 65001, policies: [], hostRoutes: false, maximumPaths: 8, gracefulRestartSeconds: 120 },
    peers: peers.map((peer, index) => ({
      ...{ name: `p${index}`, address: `100.64.40.${index + 3}`, asn: 65002, holdTimeSeconds: 90 },
      ...{ maximumPrefixes: 1000, ingressPolicies: [], egressPolicies: [], ...peer },
    })),
  });
const withPasswords = bgp({}, { password }, { password: otherSecret });
const passwordsOf = (store: Store) => store.get(bgpKey)?.value.peers.map((peer) => peer.password);

const secretOf = (store: Store, of: typeof key | typeof other = key): string | undefined =>
  store.get(of)?.value.authentication.preSharedKey;

/** Without secrets, as it comes from whoever has read it. */
const asRead = (): ReturnType<typeof siteConnection> => {
  const { preSharedKey: _, ...authentication } = siteConnection().authentication;
  return { ...siteConnection(), authentication };
};

async function putConnections(store: Store): Promise<void> {
  await putDomain(store, contoso, 5001);
  const nat = natPolicy({ externalAddresses: [{ ipAddress: '203.0.113.1' }] });
  await store.put({ kind: 'nat', rdid: contoso }, nat);
  await store.put(key, siteConnection());
  await store.put(other, { ...siteConnection({ preSharedKey: otherSecret }), destination: '198.51.100.8' });
}

async function putBgp(store: Store): Promise<void> {
  const forwarding = { addresses: ['100.64.40.2/24'], nextHops: ['100.64.40.1'], vlanId: 7 };
  await store.put(
    { kind: 'forwarding', rdid: contoso },
    normalize('forwarding', { ...forwarding, destinationPrefixes: ['172.16.0.0/12'] }),
  );
  await store.put(bgpKey, withPasswords);
}

/** A store with two connections; `open` opens it again when it is closed. */
async function start(t: Test) {
  const path = storePath(t);
  const opened: Store[] = [];
  const open = async (): Promise<Store> => {
    const store = await openStore({ path, capacity });
    opened.push(store);
    return store;
  };
  t.teardown(() => Promise.all(opened.map((each) => each.close())));
  const store = await open();
  await putConnections(store);
  return { path, store, open };
}

/** Which files of the folder have a secret in them, and how. */
function leaks(folder: string): string[] {
  return readdirSync(folder).flatMap((file) => {
    const bytes = readFileSync(join(folder, file));
    return [preSharedKey, otherSecret, password]
      .flatMap(formsOf)
      .filter((form) => bytes.includes(form))
      .map((form) => `${file}: ${form}`);
  });
}

t.test('no file beside the store has a secret in it, while it is open or afterwards', async (t) => {
  const { path, store } = await start(t);
  const folder = dirname(path);
  await putBgp(store);
  await store.backup(join(folder, 'copy'));
  const entries: DocumentEntry[] = [
    { entry: { ...key, value: { ...siteConnection(), mobike: true } } satisfies Entry, pointer: '/items/0' },
  ];
  t.match(await store.putAll(entries), { changed: 1 });
  t.ok(existsSync(`${path}-wal`));
  t.strictSame(leaks(folder), []);
  await store.delete(other);
  await store.close();
  t.strictSame(leaks(folder), []);
  for (const value of [siteConnection(), bgp({ password })]) {
    writeFileSync(join(folder, 'clear'), JSON.stringify(value));
    t.strictSame(leaks(folder).length > 0, true, 'it would be found');
  }
});

t.test('passwords of peers are there again, and without the key known to be missing', async (t) => {
  const { path, store, open } = await start(t);
  await putBgp(store);
  await store.close();
  const again = await open();
  t.strictSame(passwordsOf(again), [undefined, password, otherSecret]);
  await again.close();
  rmSync(`${path}.key`);
  const strange = await open();
  t.strictSame(passwordsOf(strange), [undefined, null, null], 'no session is to begin without');
  await strange.put(bgpKey, bgp({}, {}, { password: otherSecret }));
  await strange.close();
  const third = await open();
  t.strictSame(passwordsOf(third), [undefined, null, otherSecret]);
  await third.put(bgpKey, bgp({}, { password: null }, {}));
  t.strictSame(passwordsOf(third), [undefined, undefined, otherSecret]);
});

t.test('a sealed password opens for no other peer', async (t) => {
  const { path, store, open } = await start(t);
  await putBgp(store);
  await store.close();
  const database = new DatabaseSync(path);
  const row = database.prepare('SELECT value FROM resources WHERE key = ?').get(encodeKey(bgpKey));
  const value = JSON.parse(String(row?.value)) as { peers: { password: unknown }[] };
  const [, one, two] = value.peers as [object, { password: unknown }, { password: unknown }];
  [one.password, two.password] = [two.password, one.password];
  database
    .prepare('UPDATE resources SET value = ? WHERE key = ?')
    .run(JSON.stringify(value), encodeKey(bgpKey));
  database.close();
  t.strictSame(passwordsOf(await open()), [undefined, null, null]);
});

t.test('who leaves passwords out keeps them, in documents too', async (t) => {
  const { store } = await start(t);
  await putBgp(store);
  const { revision } = store;
  const document = (value: Bgp): DocumentEntry[] => [
    { entry: { ...bgpKey, id: '', value } satisfies Entry, pointer: '/x' },
  ];
  t.match(await store.putAll(document(bgp({}, {}, {}))), { changed: 0, unchanged: 1 });
  t.equal(store.revision, revision);
  t.match(await store.putAll(document(bgp({}, {}, {}, {}))), { changed: 1 });
  t.strictSame(passwordsOf(store), [undefined, password, otherSecret, undefined]);
});

t.test('a store that is opened again has its secrets, and its key', async (t) => {
  const { path, store, open } = await start(t);
  const before = snapshot(store.state);
  await store.close();
  const bytes = readFileSync(`${path}.key`);
  t.strictSame([bytes.length, statSync(`${path}.key`).mode & 0o777], [32, 0o600]);
  const again = await open();
  t.strictSame(snapshot(again.state), before);
  t.ok(readFileSync(`${path}.key`).equals(bytes));
  t.strictSame(
    readdirSync(dirname(path)).filter((name) => name.includes('.new')),
    [],
  );
});

t.test(
  'without the key a connection is there, and lacks its secret until that is written again',
  async (t) => {
    const { path, store, open } = await start(t);
    await store.close();
    rmSync(`${path}.key`);
    const again = await open();
    t.strictSame([secretOf(again), secretOf(again, other)], [undefined, undefined]);
    t.equal(again.get(key)?.value.destination, '198.51.100.7');
    const missing = { code: 'HNV_INVALID_FIELD', pointer: '/authentication/preSharedKey' };
    await t.rejects(again.put(key, asRead()), missing);
    await again.put(key, siteConnection());
    await again.close();
    const third = await open();
    t.strictSame([secretOf(third), secretOf(third, other)], [preSharedKey, undefined]);
  },
);

t.test('a backup is whole with the key, on another machine too', async (t) => {
  const { path, store } = await start(t);
  const elsewhere = storePath(t);
  await store.backup(`${path}.backup`);
  restoreStore(`${path}.backup`, elsewhere);
  copyFileSync(`${path}.key`, `${elsewhere}.key`);
  const restored = await openStore({ path: elsewhere, capacity });
  t.teardown(() => restored.close());
  t.strictSame([secretOf(restored), secretOf(restored, other)], [preSharedKey, otherSecret]);
});

t.test('a seal that was changed, or moved to another connection, does not open', async (t) => {
  const { path, store, open } = await start(t);
  await store.close();
  const database = new DatabaseSync(path);
  const row = (of: typeof key | typeof other) =>
    String(database.prepare('SELECT value FROM resources WHERE key = ?').get(encodeKey(of))?.value);
  const seal = (JSON.parse(row(key)) as { authentication: { preSharedKey: { sealed: string } } })
    .authentication.preSharedKey.sealed;
  const write = database.prepare('UPDATE resources SET value = ? WHERE key = ?');
  write.run(row(key), encodeKey(other));
  const bytes = Buffer.from(seal, 'base64');
  bytes.writeUInt8(bytes.readUInt8(20) ^ 1, 20);
  write.run(row(key).replace(seal, bytes.toString('base64')), encodeKey(key));
  const written = row(key);
  database.close();
  const again = await open();
  t.strictSame([secretOf(again), secretOf(again, other)], [undefined, undefined]);
  await again.close();
  for (const wrong of ['"clear"', 'null', '{"sealed":""}', '{"sealed":7}']) {
    const changed = new DatabaseSync(path);
    const value = written.replace(/"preSharedKey":\{[^}]*\}/, `"preSharedKey":${wrong}`);
    changed.prepare('UPDATE resources SET value = ? WHERE key = ?').run(value, encodeKey(key));
    changed.close();
    const opened = await open();
    t.equal(secretOf(opened), undefined, wrong);
    await opened.close();
  }
});

t.test('a key that is none is refused with what to do, and stays as it is', async (t) => {
  const { path, store, open } = await start(t);
  await store.close();
  writeFileSync(`${path}.key`, 'short');
  await t.rejects(open(), { code: 'HNV_STORE', message: /store\.db\.key.*it has 5 bytes.*move it away/s });
  t.equal(readFileSync(`${path}.key`, 'utf8'), 'short');
});

t.test('who leaves a secret out keeps it', async (t) => {
  const { store } = await start(t);
  await store.put(key, { ...asRead(), mobike: true });
  t.strictSame([secretOf(store), store.get(key)?.value.mobike], [preSharedKey, true]);
  const { revision } = store;
  const entry: Entry = { ...key, value: { ...asRead(), mobike: true } };
  t.match(await store.putAll([{ entry, pointer: '/x' }]), { changed: 0, unchanged: 1 });
  t.equal(store.revision, revision);
  const changed: Entry = { ...key, value: asRead() };
  t.match(await store.putAll([{ entry: changed, pointer: '/x' }]), { changed: 1 });
  t.equal(secretOf(store), preSharedKey);
  const fresh: Entry = { ...key, id: 'third', value: asRead() };
  await t.rejects(store.putAll([{ entry: fresh, pointer: '/x' }]), {
    code: 'HNV_INVALID_FIELD',
    pointer: '/x/authentication/preSharedKey',
  });
  await t.rejects(store.put({ ...key, rdid: fabrikam }, asRead()), { code: 'HNV_NOT_FOUND', rule: 'exists' });
});

t.test('a whole policy without secrets is the same policy', async (t) => {
  const { store, open } = await start(t);
  const before = snapshot(store.state);
  const { revision } = store;
  const entries: Entry[] = [
    { kind: 'routingDomain', rdid: contoso, id: '', value: { name: 'domain of 5001' } },
  ];
  for (const [vsid, value] of store.state.domains.get(contoso)?.virtualSubnets ?? [])
    entries.push({ kind: 'virtualSubnet', rdid: contoso, id: String(vsid), value });
  const nat = store.get({ kind: 'nat', rdid: contoso })?.value ?? natPolicy({ externalAddresses: [] });
  entries.push({ kind: 'nat', rdid: contoso, id: '', value: nat });
  entries.push({ ...key, value: asRead() });
  entries.push({ ...other, value: { ...asRead(), destination: '198.51.100.8' } });
  const document = entries.map((entry, index) => ({ entry, pointer: `/items/${index}` }));
  t.match(await store.replace(document), { created: 0, changed: 0, deleted: 0, unchanged: 6 });
  t.equal(store.revision, revision);
  t.strictSame(snapshot(store.state), before);

  const less = document.slice(0, -1);
  t.match(await store.replace(less), { created: 0, changed: 0, deleted: 1 });
  t.strictSame([secretOf(store), secretOf(store, other)], [preSharedKey, undefined]);
  await store.close();
  t.equal(secretOf(await open()), preSharedKey);
});

t.test('connections count for the capacity of the node', async (t) => {
  const path = storePath(t);
  const store = await openStore({ path, capacity: { ...capacity, siteConnections: 2 } });
  t.teardown(() => store.close());
  await putConnections(store);
  const third = { ...siteConnection(), destination: '198.51.100.9' };
  const full = { code: 'HNV_CAPACITY', rule: 'capacity-site-connections' };
  await t.rejects(store.put({ ...key, id: 'third' }, third), full);
  await store.put(key, { ...siteConnection(), mobike: true });
  await store.delete(other);
  await store.put({ ...key, id: 'third' }, third);
  await t.rejects(store.put(other, { ...third, destination: '198.51.100.10' }), full);
  await store.delete({ kind: 'routingDomain', rdid: contoso });
  await putConnections(store);
});
