import t from 'tap';
import type { ExternalAddressPool, Nat } from '../../src/policy/resources.ts';
import { openStore } from '../../src/store/sqlite.ts';
import type { DocumentEntry, Entry, Store } from '../../src/store/store.ts';
import { natPolicy } from '../lab/nat-policy.ts';
import { capacity, contoso, fabrikam, snapshot, storePath } from './store-folder.ts';

const auto = (more: Partial<Nat> = {}): Nat => natPolicy({ externalAddresses: 'auto', ...more });
const rdidOf = (n: number) => `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`;
const addressOf = (store: Store, rdid: string) =>
  store.get({ kind: 'nat', rdid })?.value.allocatedAddress?.ipAddress;

const poolEntry = (value: ExternalAddressPool, id = 'p'): Entry => ({
  ...{ kind: 'externalAddressPool', rdid: '', id, value },
});
const domainEntries = (rdid: string, nat: Nat): Entry[] => [
  { kind: 'routingDomain', rdid, id: '', value: { name: rdid } },
  { kind: 'nat', rdid, id: '', value: nat },
];
const documentOf = (...entries: Entry[]): DocumentEntry[] =>
  entries.map((entry, index) => ({ entry, pointer: `/items/${index}` }));

/** A store with the pool, and so many domains. */
async function storeWith(t: Parameters<typeof storePath>[0], prefixes: string[], domains: readonly string[]) {
  const path = storePath(t);
  const store = await openStore({ path, capacity });
  let isOpen = true;
  const close = async () => {
    if (isOpen) await store.close();
    isOpen = false;
  };
  t.teardown(close);
  await store.put({ kind: 'externalAddressPool', id: 'p' }, { prefixes });
  for (const rdid of domains) await store.put({ kind: 'routingDomain', rdid }, { name: rdid });
  return { path, store, close };
}

t.test(
  'writers at the same time get addresses of their own, which they have after a restart too',
  async (t) => {
    const rdids = Array.from({ length: 16 }, (_, n) => rdidOf(n));
    const { path, store, close } = await storeWith(t, ['203.0.113.0/28'], [...rdids, contoso]);
    const puts = await Promise.allSettled(
      [...rdids, contoso].map((rdid) => store.put({ kind: 'nat', rdid }, auto())),
    );
    const refused = puts.flatMap((put) => (put.status === 'rejected' ? [put.reason] : []));
    t.match(refused, [{ code: 'HNV_CONFLICT', rule: 'pool-room' }]);
    t.equal(refused.length, 1);
    const written = puts.flatMap((put) => (put.status === 'fulfilled' ? [put.value.resource.value] : []));
    t.equal(new Set(written.map(({ allocatedAddress }) => allocatedAddress?.ipAddress)).size, 16);
    t.strictSame(
      store.get({ kind: 'nat', rdid: rdids[3] ?? '' })?.value,
      written[3],
      'what is answered is what is stored',
    );
    const before = snapshot(store.state);
    await close();
    const again = await openStore({ path, capacity });
    t.teardown(() => again.close());
    t.strictSame(snapshot(again.state), before);
    t.equal(again.state.externals.poolUsers.get('p')?.size, 16);
  },
);

t.test('a domain keeps its address when it is written again, by itself or in a document', async (t) => {
  const { store } = await storeWith(t, ['203.0.113.0/24'], [contoso, fabrikam]);
  await store.put({ kind: 'nat', rdid: contoso }, auto());
  const first = addressOf(store, contoso);
  const { resource } = await store.put({ kind: 'nat', rdid: contoso }, auto({ maxSessions: 100 }));
  t.equal(addressOf(store, contoso), first);

  const entries = documentOf(
    poolEntry({ prefixes: ['203.0.113.0/24'] }),
    ...domainEntries(contoso, auto({ maxSessions: 100 })),
    { kind: 'routingDomain', rdid: fabrikam, id: '', value: { name: fabrikam } },
  );
  for (const write of [store.putAll(entries, { dryRun: true }), store.putAll(entries.slice(2, 3))]) {
    t.match(await write, { changed: 0, created: 0, deleted: 0 });
  }
  t.match(await store.replace(entries, { dryRun: true }), { deleted: 0, created: 0 });
  await store.replace(entries);
  t.equal(addressOf(store, contoso), first);
  t.equal(store.get({ kind: 'nat', rdid: contoso })?.revision, resource.revision, 'its entity tag stays');
});

t.test('a whole policy on a fresh node gives the addresses that it names', async (t) => {
  const { store } = await storeWith(t, ['203.0.113.0/24'], []);
  const wish = { ipAddress: '203.0.113.77' };
  const entries = documentOf(
    poolEntry({ prefixes: ['203.0.113.0/24'] }),
    ...domainEntries(contoso, auto({ allocatedAddress: wish })),
    ...domainEntries(fabrikam, auto()),
  );
  t.match(await store.replace(entries, { dryRun: true }), { created: 4 });
  t.equal(store.state.externals.count, 0, 'a dry run gives nothing away');
  await store.replace(entries);
  t.equal(addressOf(store, contoso), wish.ipAddress);
  t.not(addressOf(store, fabrikam), wish.ipAddress);
});

t.test(
  'in a document nobody is given what somebody else in it has or names, whatever the order',
  async (t) => {
    const { store } = await storeWith(t, ['203.0.113.4/30'], [contoso]);
    await store.put({ kind: 'nat', rdid: contoso }, auto());
    const held = addressOf(store, contoso) ?? '';
    const named =
      ['203.0.113.4', '203.0.113.5', '203.0.113.6', '203.0.113.7'].find((each) => each !== held) ?? '';
    const newcomers = [rdidOf(1), rdidOf(2)].flatMap((rdid) => domainEntries(rdid, auto()));
    const explicit = domainEntries(fabrikam, natPolicy({ externalAddresses: [{ ipAddress: named }] }));
    const old = domainEntries(contoso, auto());
    const pool = poolEntry({ prefixes: ['203.0.113.4/30'] });
    for (const order of [
      [...newcomers, ...explicit, ...old],
      [...old, ...explicit, ...newcomers],
    ]) {
      await store.replace(documentOf(pool, ...order));
      t.equal(addressOf(store, contoso), held);
      t.equal(store.state.externals.addresses.get(named)?.[0]?.rdid, fabrikam);
      t.equal(store.state.externals.addresses.size, 4);
      await store.replace(documentOf(pool, ...old));
      await store.putAll(documentOf(...order));
      t.equal(addressOf(store, contoso), held);
      t.equal(store.state.externals.addresses.size, 4);
      await store.replace(documentOf(pool, ...old));
    }
  },
);

t.test(
  'who names the address that another was given by a pool gets it, and the other a new one',
  async (t) => {
    const { store } = await storeWith(t, ['203.0.113.4/31'], [contoso]);
    await store.put({ kind: 'nat', rdid: contoso }, auto());
    const held = addressOf(store, contoso) ?? '';
    const explicit = domainEntries(fabrikam, natPolicy({ externalAddresses: [{ ipAddress: held }] }));
    const entries = [
      poolEntry({ prefixes: ['203.0.113.4/31'] }),
      ...domainEntries(contoso, auto()),
      ...explicit,
    ];
    await store.replace(documentOf(...entries));
    t.equal(store.state.externals.addresses.get(held)?.[0]?.rdid, fabrikam);
    t.not(addressOf(store, contoso), held);
    const third = documentOf(...entries, ...domainEntries(rdidOf(1), auto()));
    await t.rejects(store.replace(third), {
      code: 'HNV_CONFLICT',
      rule: 'pool-room',
      pointer: '/items/6/externalAddresses',
    });
  },
);

t.test('a tenant is told nothing of pools', async (t) => {
  const { store } = await storeWith(t, ['203.0.113.4/32'], [contoso, fabrikam]);
  await store.put({ kind: 'nat', rdid: fabrikam }, auto());
  for (const pool of ['p', 'nobody']) {
    const value = auto({ pool });
    const refusal = { code: 'HNV_INVALID_FIELD', rule: 'external-address-given' };
    await t.rejects(store.put({ kind: 'nat', rdid: contoso }, value, { byTenant: true }), refusal);
    const entry: Entry = { kind: 'nat', rdid: contoso, id: '', value };
    await t.rejects(store.putAll(documentOf(entry), { byTenant: true }), refusal);
  }
  const own: Entry = { kind: 'nat', rdid: fabrikam, id: '', value: auto() };
  t.match(await store.putAll(documentOf(own), { byTenant: true }), { changed: 0, unchanged: 1 });
});

t.test('a pool moves with a whole policy, and its domains with it', async (t) => {
  const { store } = await storeWith(t, ['203.0.113.4/31'], [contoso]);
  await store.put({ kind: 'nat', rdid: contoso }, auto());
  const put = store.put({ kind: 'externalAddressPool', id: 'p' }, { prefixes: ['198.51.100.0/24'] });
  await t.rejects(put, { code: 'HNV_IN_USE', rule: 'pool-in-use' });
  await store.replace(
    documentOf(poolEntry({ prefixes: ['198.51.100.0/24'] }), ...domainEntries(contoso, auto())),
  );
  t.match(addressOf(store, contoso), /^198\.51\.100\./);
  await store.delete({ kind: 'nat', rdid: contoso });
  await store.delete({ kind: 'externalAddressPool', id: 'p' });
  t.strictSame([store.state.externals.count, store.state.externals.poolUsers.size], [0, 0]);
});

t.test(
  'blocks on one address are all taken back with their domains, and with a write that fails',
  async (t) => {
    const { store } = await storeWith(t, ['203.0.113.4/32'], [contoso, fabrikam]);
    const block = (portStart: number, portEnd: number) =>
      natPolicy({
        externalAddresses: [{ ipAddress: '198.51.100.1', portStart, portEnd }, { ipAddress: '2001:db8::1' }],
      });
    await store.put({ kind: 'nat', rdid: contoso }, block(1024, 2047));
    const before = snapshot(store.state);
    const refusals = await Promise.allSettled([
      store.put({ kind: 'nat', rdid: fabrikam }, block(2047, 3000)),
      store.put(
        { kind: 'nat', rdid: fabrikam },
        natPolicy({ externalAddresses: [{ ipAddress: '198.51.100.1' }] }),
      ),
      store.put(
        { kind: 'nat', rdid: fabrikam },
        natPolicy({ externalAddresses: [{ ipAddress: '2001:db8::1' }] }),
      ),
    ]);
    for (const refusal of refusals) t.match(refusal, { reason: { rule: 'external-address-available' } });
    t.strictSame(snapshot(store.state), before);
    await store.put(
      { kind: 'nat', rdid: fabrikam },
      natPolicy({ externalAddresses: [{ ipAddress: '198.51.100.1', portStart: 2048, portEnd: 65535 }] }),
    );
    t.strictSame(
      store.state.externals.addresses.get('198.51.100.1')?.map(({ rdid }) => rdid),
      [contoso, fabrikam],
    );
    await store.delete({ kind: 'routingDomain', rdid: contoso });
    t.strictSame([...store.state.externals.addresses.keys()], ['198.51.100.1']);
    await store.delete({ kind: 'nat', rdid: fabrikam });
    t.equal(store.state.externals.addresses.size, 0);
  },
);
