import t, { type Test } from 'tap';
import type { AuditRequest } from '../../src/store/audit.ts';
import { openStore } from '../../src/store/sqlite.ts';
import {
  type DocumentEntry,
  type Entry,
  listedChanges,
  type Store,
  type StoreChange,
} from '../../src/store/store.ts';
import { natPolicy } from '../lab/nat-policy.ts';
import { capacity, contoso, fabrikam, port, putDomain, record, snapshot, storePath } from './store-folder.ts';

const audit: AuditRequest = { actor: 'local', from: 'unix', method: 'PUT', path: '/v1/policy' };

async function openNew(t: Test, limits = capacity): Promise<Store> {
  const store = await openStore({ path: storePath(t), capacity: limits });
  t.teardown(() => store.close());
  return store;
}

/** As a document would have them: pointers into an array. */
const document = (...entries: Entry[]): DocumentEntry[] =>
  entries.map((entry, index) => ({ entry, pointer: `/items/${index}` }));

/** A domain with a subnet and records of the last bytes of their addresses. */
function domain(rdid: string, vsid: number, records: number[] = []): Entry[] {
  return [
    { kind: 'routingDomain', rdid, id: '', value: { name: `domain of ${vsid}` } },
    { kind: 'virtualSubnet', rdid, id: `${vsid}`, value: { addressPrefixes: ['10.0.0.0/8'] } },
    ...records.map((number) => recordEntry(rdid, vsid, number)),
  ];
}

function recordEntry(rdid: string, vsid: number, number: number): Entry {
  return { kind: 'lookupRecord', rdid, id: `vm${number}`, value: record(`10.0.0.${number}`, vsid) };
}

const provider: Entry = {
  ...{ kind: 'providerAddress', rdid: '', id: '192.0.2.9' },
  value: { interface: 'eth0', prefixLength: 24 },
};

t.test('a part is written as a whole, with one revision, and leaves the rest', async (t) => {
  const store = await openNew(t);
  await putDomain(store, fabrikam, 6001);
  const changes: StoreChange[] = [];
  store.subscribe((change) => changes.push(change));
  const before = store.state.domains.get(fabrikam);
  const outcome = await store.putAll(document(provider, ...domain(contoso, 5001, [4, 5])), { ifRevision: 3 });
  const keys = [
    { kind: 'routingDomain', rdid: contoso },
    { kind: 'providerAddress', id: '192.0.2.9' },
    { kind: 'lookupRecord', rdid: contoso, id: 'vm4' },
    { kind: 'lookupRecord', rdid: contoso, id: 'vm5' },
    { kind: 'virtualSubnet', rdid: contoso, id: '5001' },
  ];
  t.match(outcome, { revision: 4, created: 5, changed: 0, deleted: 0, unchanged: 0, node: true });
  t.strictSame(
    outcome.changes.map(({ key, change, revision }) => ({ key, change, revision })),
    keys.map((key) => ({ key, change: 'created', revision: 4 })),
    'in the order of their keys',
  );
  t.strictSame(outcome.changes.at(2)?.after, record('10.0.0.4'));
  t.notOk('before' in (outcome.changes[0] ?? {}));
  t.strictSame(changes, [
    {
      ...{ revision: 4, domains: new Set([contoso]), node: true },
      resources: keys.map((key) => ({ key, change: 'created', revision: 4 })),
    },
  ]);
  t.equal(store.revision, 4);
  t.equal(store.state.domains.get(fabrikam), before);
  t.strictSame(store.get({ kind: 'lookupRecord', rdid: contoso, id: 'vm4' })?.revision, 4);
  t.equal(store.state.domains.get(contoso)?.handle, 2);
});

t.test('of a part with one refusal nothing is written, and the refusal says where it is', async (t) => {
  const store = await openNew(t);
  await putDomain(store, fabrikam, 6001);
  const end = store.subscribe(() => t.fail('nothing was written'));
  const before = snapshot(store.state);
  const wrong = recordEntry(contoso, 5001, 4);
  const entries = domain(contoso, 5001, [4]);
  await t.rejects(store.putAll(document(...entries, { ...wrong, id: 'twin' })), {
    ...{ code: 'HNV_CONFLICT', rule: 'customer-address-unique', pointer: '/items/3/customerAddress' },
  });
  await t.rejects(store.putAll(document(...entries, recordEntry(fabrikam, 6001, 0))), {
    ...{ code: 'HNV_INVALID_FIELD', pointer: '/items/3/customerAddress' },
  });
  await t.rejects(
    store.putAll(
      document(...entries, recordEntry(contoso, 5001, 5), wrong, provider, { ...provider, id: 'x' }),
    ),
    {
      ...{ code: 'HNV_INVALID_FIELD', rule: 'provider-address-unicast', pointer: '/items/6' },
    },
  );
  t.strictSame(snapshot(store.state), before);
  t.equal(store.revision, 3);
  end();
  t.ok((await store.putAll(document(...entries))).created, 'its handle was not given');
  t.equal(store.state.domains.get(contoso)?.handle, 2);
});

t.test('what is equal keeps object, revision and time; its domain is the same object too', async (t) => {
  const store = await openNew(t);
  const entries = () =>
    structuredClone([provider, ...domain(contoso, 5001, [4, 5]), ...domain(fabrikam, 6001, [4])]);
  await store.replace(document(...entries()));
  const objects = () => ({
    contoso: store.state.domains.get(contoso),
    fabrikam: store.state.domains.get(fabrikam),
    vm4: store.get({ kind: 'lookupRecord', rdid: contoso, id: 'vm4' }),
    provider: store.get({ kind: 'providerAddress', id: '192.0.2.9' }),
  });
  const before = objects();
  store.subscribe((change) => changes.push(change));
  const changes: StoreChange[] = [];
  for (const write of ['replace', 'putAll'] as const) {
    const outcome = await store[write](document(...entries()));
    t.match(outcome, { revision: 1, created: 0, changed: 0, deleted: 0, unchanged: 8, changes: [] });
  }
  t.strictSame(changes, []);
  const after = objects();
  t.equal(after.contoso, before.contoso);
  t.equal(after.vm4?.value, before.vm4?.value);

  const changed = entries().map((entry) =>
    entry.kind === 'lookupRecord' && entry.rdid === contoso && entry.id === 'vm5'
      ? { ...entry, value: { ...entry.value, vmName: 'renamed' } }
      : entry,
  );
  const outcome = await store.replace(document(...changed));
  t.match(outcome, { revision: 2, created: 0, changed: 1, deleted: 0, unchanged: 7 });
  t.match(outcome.changes, [
    { key: { id: 'vm5' }, change: 'changed', before: record('10.0.0.5'), after: { vmName: 'renamed' } },
  ]);
  t.equal(store.state.domains.get(fabrikam), before.fabrikam);
  t.not(store.state.domains.get(contoso), before.contoso);
  t.strictSame(store.get({ kind: 'lookupRecord', rdid: contoso, id: 'vm4' }), before.vm4);
  t.equal(store.get({ kind: 'lookupRecord', rdid: contoso, id: 'vm4' })?.value, before.vm4?.value);
  t.strictSame(objects().provider, before.provider);
  t.equal(
    before.contoso?.lookupRecords.get('vm5')?.vmName,
    undefined,
    'who still reads the old one is not disturbed',
  );
  const replaced = new Map([[contoso, { created: 0, changed: 1, deleted: 0 }]]);
  t.strictSame(changes, [{ revision: 2, domains: new Set([contoso]), node: false, resources: [], replaced }]);
});

t.test(
  'a whole policy takes away what it does not name, and domains that stay keep their handles',
  async (t) => {
    const path = storePath(t);
    const store = await openStore({ path, capacity });
    await putDomain(store, contoso, 5001);
    await putDomain(store, fabrikam, 6001);
    await store.put({ kind: 'port', id: 'tap0' }, port(5001, '10.0.0.9'));
    await store.put(
      { kind: 'nat', rdid: contoso },
      natPolicy({ externalAddresses: [{ ipAddress: '203.0.113.1' }], staticMappings: [] }),
    );
    const third = '33333333-0000-0000-0000-00000000000c';
    let change: StoreChange | undefined;
    store.subscribe((next) => {
      change = next;
    });
    const outcome = await store.replace(document(...domain(third, 5001, [4]), ...domain(fabrikam, 6001)));
    t.match(outcome, { revision: 9, created: 3, changed: 0, deleted: 6, unchanged: 2, node: false });
    t.strictSame(outcome.domains, new Set([contoso, fabrikam, third]));
    t.strictSame([...(change?.replaced ?? [])].sort(), [
      ['', { created: 0, changed: 0, deleted: 1 }],
      [contoso, { created: 0, changed: 0, deleted: 4 }],
      [fabrikam, { created: 0, changed: 0, deleted: 1 }],
      [third, { created: 3, changed: 0, deleted: 0 }],
    ]);
    t.strictSame([...store.state.vsidOwners].sort(), [
      [5001, third],
      [6001, fabrikam],
    ]);
    t.strictSame(
      [store.state.ports.size, store.state.portsByVsid.size, store.state.externals.addresses.size],
      [0, 0, 0],
    );
    t.equal(store.state.domains.get(fabrikam)?.handle, 2);
    t.equal(store.state.domains.get(third)?.handle, 3, 'not the one that was just freed');
    t.equal(store.get({ kind: 'nat', rdid: contoso }), undefined);
    t.strictSame(
      store.list('routingDomain', { limit: 9 }).map(({ key }) => key.rdid),
      [fabrikam, third],
    );
    const after = snapshot(store.state);
    await store.close();

    const reopened = await openStore({ path, capacity });
    t.teardown(() => reopened.close());
    t.strictSame(snapshot(reopened.state), after);
    t.equal(reopened.revision, 9);
  },
);

t.test('the rules hold against domains that stay as they are', async (t) => {
  const store = await openNew(t, { ...capacity, lookupRecords: 5 });
  const nat = (ipAddress: string): Entry => {
    const value = natPolicy({ externalAddresses: [{ ipAddress }], staticMappings: [] });
    return { kind: 'nat', rdid: contoso, id: '', value };
  };
  const same = [...domain(contoso, 5001, [4, 5]), nat('203.0.113.1')];
  await store.replace(document(...same));
  const kept = store.state.domains.get(contoso);
  const refused = (entries: Entry[], rule: string, pointer: string) =>
    t.rejects(store.replace(document(...entries)), {
      rule,
      pointer: new RegExp(`^${pointer}(/|$)`),
    } as never);

  await refused([...domain(fabrikam, 5001), ...same], 'vsid-unique', '/items/3');
  await refused([...same, ...domain(fabrikam, 5001)], 'vsid-unique', '/items/6');
  const address: Entry = { ...provider, id: '203.0.113.1' };
  await refused([address, ...same], 'external-address-available', '/items/5');
  await refused([...domain(fabrikam, 6001, [4, 5, 6, 7]), ...same], 'capacity-lookup-records', '/items/9');
  await refused([...same, ...domain(fabrikam, 6001, [4, 5, 6, 7])], 'capacity-lookup-records', '/items/10');

  const apart = [...same, ...domain(fabrikam, 6001), recordEntry(contoso, 5001, 6)];
  t.match(await store.replace(document(...apart)), { created: 3, deleted: 0, unchanged: 5 });
  t.equal(kept?.lookupRecords.size, 2, 'what was read before has not changed');
  t.equal(store.state.domains.get(contoso)?.lookupRecords.size, 3);
  const twice = [...same.slice(0, 3), ...same.slice(2)];
  t.match(await store.replace(document(...twice, ...domain(fabrikam, 6001))), { deleted: 1 });
});

t.test('learned records stay under a new policy where they keep its rules', async (t) => {
  const store = await openNew(t, { ...capacity, lookupRecords: 4 });
  await store.replace(document(...domain(contoso, 5001, [4]), ...domain(fabrikam, 6001)));
  const learn = (rdid: string, vsid: number, number: number) =>
    store.put(
      { kind: 'lookupRecord', rdid, id: `dynamic-${number}` },
      { ...record(`10.0.0.${number}`, vsid), type: 'dynamic' },
    );
  await learn(contoso, 5001, 7);
  await learn(contoso, 5001, 8);
  await learn(fabrikam, 6001, 7);
  const kept = store.get({ kind: 'lookupRecord', rdid: contoso, id: 'dynamic-7' });
  const ids = () => [...(store.state.domains.get(contoso)?.lookupRecords.keys() ?? [])].sort();

  const outcome = await store.replace(document(...domain(contoso, 5001, [4, 8])));
  t.strictSame(ids(), ['dynamic-7', 'vm4', 'vm8'], 'vm8 has taken the address of a learned one');
  t.strictSame(store.get({ kind: 'lookupRecord', rdid: contoso, id: 'dynamic-7' }), kept);
  t.match(outcome, { created: 1, changed: 0, deleted: 4, unchanged: 3 });
  const same = await store.replace(document(...domain(contoso, 5001, [4, 8])));
  t.match(same, { created: 0, changed: 0, deleted: 0, unchanged: 4 }, 'of what it names');
  await store.replace(document(...domain(contoso, 5001, [4, 8, 9, 10])));
  t.strictSame(ids(), ['vm10', 'vm4', 'vm8', 'vm9'], 'the policy fills the capacity');
});

t.test('a dry run answers the same difference and writes nothing', async (t) => {
  const store = await openNew(t);
  await store.replace(document(...domain(contoso, 5001, [4, 5]), ...domain(fabrikam, 6001)));
  store.subscribe(() => t.fail('nothing was written'));
  const before = snapshot(store.state);
  const next = document(provider, ...domain(contoso, 5001, [5, 6]));
  const dry = await store.replace(next, { dryRun: true, audit });
  t.match(dry, { revision: 1, created: 2, changed: 0, deleted: 3, unchanged: 3 });
  t.ok(dry.changes.every(({ revision }) => revision === 1));
  t.strictSame(snapshot(store.state), before);
  t.strictSame(await store.audit.list({ limit: 9 }), []);
  await t.rejects(store.replace(document(recordEntry(contoso, 5001, 4)), { dryRun: true }), {
    code: 'HNV_NOT_FOUND',
  });
});

t.test('the outcome of a dry run is that of the write', async (t) => {
  const store = await openNew(t);
  await store.replace(document(...domain(contoso, 5001, [4, 5]), ...domain(fabrikam, 6001)));
  for (const write of ['putAll', 'replace'] as const) {
    const next = document(provider, ...domain(contoso, 5001, write === 'putAll' ? [5, 6] : [7]));
    const dry = await store[write](next, { dryRun: true });
    const wet = await store[write](next);
    const withoutRevisions = ({ changes, ...outcome }: typeof dry) => ({
      ...outcome,
      revision: 0,
      changes: changes.map((change) => ({ ...change, revision: 0 })),
    });
    t.strictSame(withoutRevisions(wet), withoutRevisions(dry));
    t.equal(wet.revision, dry.revision + 1);
  }
});

t.test('a policy for another revision of the store is refused', async (t) => {
  const store = await openNew(t);
  await putDomain(store, contoso, 5001);
  const entries = document(...domain(contoso, 5001));
  for (const write of ['putAll', 'replace'] as const) {
    await t.rejects(store[write](entries, { ifRevision: 2 }), {
      code: 'HNV_PRECONDITION_FAILED',
      message: 'The policy is at revision 3; the request requires revision 2.',
    });
  }
  const [first, second] = await Promise.allSettled([
    store.replace(entries, { ifRevision: 3 }),
    store.replace(document(), { ifRevision: 3 }),
  ]);
  t.equal(first.status, 'fulfilled');
  t.match(second, { reason: { code: 'HNV_PRECONDITION_FAILED' } });
});

t.test('capacity is counted for the document as a whole', async (t) => {
  const small = { ...capacity, routingDomains: 2, lookupRecords: 3 };
  const store = await openNew(t, small);
  const third = '33333333-0000-0000-0000-00000000000c';
  await store.replace(document(...domain(contoso, 5001, [4, 5]), ...domain(fabrikam, 6001, [4])));
  await t.rejects(store.replace(document(...domain(contoso, 5001, [4, 5, 6, 7]))), {
    ...{ code: 'HNV_CAPACITY', rule: 'capacity-lookup-records', pointer: '/items/5' },
  });
  const three = [...domain(contoso, 5001), ...domain(fabrikam, 6001), ...domain(third, 7001)];
  await t.rejects(store.replace(document(...three)), {
    code: 'HNV_CAPACITY',
    rule: 'capacity-routing-domains',
    pointer: '/items/4',
  });
  await t.rejects(store.putAll(document(...domain(third, 7001))), {
    code: 'HNV_CAPACITY',
    rule: 'capacity-routing-domains',
  });
  const full = await store.replace(document(...domain(third, 7001, [4, 5, 6]), ...domain(fabrikam, 6001)));
  t.match(full, { created: 5, deleted: 5 });
  t.equal(store.state.domains.get(third)?.handle, 1, 'there is no other');
});

t.test('more changes than are listed are counted', async (t) => {
  const store = await openNew(t);
  const numbers = Array.from({ length: listedChanges + 10 }, (_, index) => index + 2);
  const records = numbers.map((number): Entry => {
    const value = record(`10.1.${number >> 8}.${number & 255}`);
    return { kind: 'lookupRecord', rdid: contoso, id: `r${number}`, value };
  });
  const outcome = await store.replace(document(...domain(contoso, 5001), ...records));
  t.equal(outcome.created, listedChanges + 12);
  t.equal(outcome.changes.length, listedChanges);
});

t.test(
  'readers have their turn, and the old state, until a large policy is on disk; writes come after it',
  async (t) => {
    const store = await openNew(t);
    await store.replace(document(...domain(contoso, 5001, [4])));
    const records = Array.from({ length: 20_000 }, (_, index): Entry => {
      const value = record(`10.1.${(index >> 8) + 1}.${index & 255}`);
      return { kind: 'lookupRecord', rdid: contoso, id: `r${index}`, value };
    }).filter(({ value }) => !('customerAddress' in value && value.customerAddress.endsWith('.0')));
    let turns = 0;
    let ended = false;
    const before = store.state.domains.get(contoso);
    const replaced = store.replace(document(...domain(contoso, 5001), ...records)).then(() => {
      ended = true;
    });
    const later = store.put({ kind: 'lookupRecord', rdid: contoso, id: 'later' }, record('10.200.0.1'));
    const seen = new Set<string>();
    const turn = () => {
      if (ended) return;
      turns += 1;
      if (store.revision === 1) {
        seen.add(
          store
            .list('lookupRecord', { rdid: contoso, limit: 9 })
            .map(({ key }) => key.id)
            .join(),
        );
      }
      setImmediate(turn);
    };
    turn();
    await replaced;
    const { resource } = await later;
    t.strictSame([...seen], ['vm4']);
    t.ok(turns > 20, `${turns} turns of the event loop`);
    t.equal(resource.revision, 3);
    t.equal(store.state.domains.get(contoso)?.lookupRecords.size, records.length + 1);
    t.equal(before?.lookupRecords.size, 1);
  },
);

t.test('documents and single writes keep their order', async (t) => {
  const store = await openNew(t);
  const key = { kind: 'lookupRecord', rdid: contoso, id: 'vm4' } as const;
  const results = await Promise.all([
    store.replace(document(...domain(contoso, 5001, [4]))),
    store.delete(key),
    store.putAll(document(recordEntry(contoso, 5001, 4))),
    store.put(key, record('10.0.0.5')).then(({ resource }) => resource),
    store.replace(document()),
    store.put({ kind: 'routingDomain', rdid: contoso }, { name: 'x' }).then(({ resource }) => resource),
  ]);
  t.strictSame(
    results.map(({ revision }) => revision),
    [1, 2, 3, 4, 5, 6],
  );
  t.strictSame([store.state.domains.size, store.state.domains.get(contoso)?.lookupRecords.size], [1, 0]);
});
