import t, { type Test } from 'tap';
import { Journal, keptEvents } from '../../src/node/journal.ts';
import { openStore } from '../../src/store/sqlite.ts';
import type { DocumentEntry } from '../../src/store/store.ts';
import { capacity, contoso, fabrikam, port, putDomain, record, storePath } from './store-folder.ts';

async function journalOf(t: Test) {
  const store = await openStore({ path: storePath(t), capacity });
  t.teardown(() => store.close());
  const journal = new Journal(store);
  return { store, journal };
}

const numbers = (ids: readonly { id: string }[]): number[] => ids.map(({ id }) => Number(id.split('-')[1]));

t.test('every write is an event with the path of its resource and the revision', async (t) => {
  const { store, journal } = await journalOf(t);
  const heard: unknown[] = [];
  journal.subscribe((event) => heard.push(event));
  await putDomain(store, contoso, 5001);
  await store.put({ kind: 'lookupRecord', rdid: contoso, id: 'web1' }, record('10.0.0.11'));
  await store.put({ kind: 'lookupRecord', rdid: contoso, id: 'web1' }, record('10.0.0.12'));
  await store.put({ kind: 'providerAddress', id: '2001:db8::1' }, { interface: 'eth0', prefixLength: 64 });
  await store.put({ kind: 'port', id: 'tap#1' }, port(5001, '10.0.0.3'));
  await store.delete({ kind: 'lookupRecord', rdid: contoso, id: 'web1' });
  const domain = `/v1/routing-domains/${contoso}`;
  const events = journal.since(undefined);
  t.strictSame(
    events.map(({ type, path, what, routingDomainId }) => [type, path, what, routingDomainId]),
    [
      ['resource', domain, 'created', contoso],
      ['resource', `${domain}/virtual-subnets/5001`, 'created', contoso],
      ['resource', `${domain}/virtual-subnets/5002`, 'created', contoso],
      ['resource', `${domain}/lookup-records/web1`, 'created', contoso],
      ['resource', `${domain}/lookup-records/web1`, 'changed', contoso],
      ['resource', '/v1/provider-addresses/2001:db8::1', 'created', undefined],
      ['resource', '/v1/ports/tap%231', 'created', undefined],
      ['resource', `${domain}/lookup-records/web1`, 'deleted', contoso],
    ],
  );
  t.strictSame(
    events.map(({ revision }) => revision),
    [1, 2, 3, 4, 5, 6, 7, 8],
  );
  t.strictSame(heard, events);
  journal.close();
  await store.delete({ kind: 'port', id: 'tap#1' });
  t.equal(journal.since(undefined).length, 8, 'nothing comes after close()');
});

t.test('a whole policy is one event for each routing domain, with counts', async (t) => {
  const { store, journal } = await journalOf(t);
  await putDomain(store, fabrikam, 6001);
  const [last] = journal.since(undefined).slice(-1);
  const { revision } = await store.replace([
    {
      pointer: '/providerAddresses/0',
      entry: {
        kind: 'providerAddress',
        rdid: '',
        id: '192.0.2.1',
        value: { interface: 'eth0', prefixLength: 24 },
      },
    },
    {
      pointer: '/routingDomains/0',
      entry: { kind: 'routingDomain', rdid: contoso, id: '', value: { name: 'Contoso' } },
    },
    {
      pointer: '/routingDomains/0/virtualSubnets/0',
      entry: {
        kind: 'virtualSubnet',
        rdid: contoso,
        id: '5001',
        value: { addressPrefixes: ['10.0.0.0/8'] },
      },
    },
  ]);
  const events = journal.since(last?.id).map(({ id: _id, at: _at, ...rest }) => rest);
  const byPath = Object.fromEntries(events.map((event) => [event.path, event]));
  t.match(byPath, {
    '/v1/policy': { type: 'policy', created: 1, changed: 0, deleted: 0, revision },
    [`/v1/routing-domains/${contoso}`]: { type: 'policy', routingDomainId: contoso, created: 2, revision },
    [`/v1/routing-domains/${fabrikam}`]: { type: 'policy', routingDomainId: fabrikam, deleted: 3, revision },
  });
  t.equal(events.length, 3);
  t.notOk(byPath['/v1/policy']?.routingDomainId);
});

t.test('so is a part of it with more changes than anybody reads one by one', async (t) => {
  const { store, journal } = await journalOf(t);
  await putDomain(store, contoso, 5001);
  const [last] = journal.since(undefined).slice(-1);
  const records = (count: number, from = 0): DocumentEntry[] =>
    Array.from({ length: count }, (_, index) => ({
      pointer: '',
      entry: {
        ...{ kind: 'lookupRecord', rdid: contoso, id: `vm${from + index}` },
        value: record(`10.0.${Math.floor((from + index) / 200)}.${10 + ((from + index) % 200)}`),
      },
    }));
  await store.putAll(records(1000));
  t.equal(journal.since(last?.id).filter(({ type }) => type === 'resource').length, 1000);
  const [newest] = journal.since(undefined).slice(-1);
  await store.putAll(records(1001, 1000));
  t.match(journal.since(newest?.id), [
    { type: 'policy', path: `/v1/routing-domains/${contoso}`, routingDomainId: contoso, created: 1001 },
  ]);
});

t.test('ids ascend and resume; a journal of another process begins anew', async (t) => {
  const { store, journal } = await journalOf(t);
  for (const reason of ['one', 'two', 'three']) journal.add({ type: 'drift', what: 'found', reason });
  const all = journal.since(undefined);
  t.strictSame(numbers(all), [1, 2, 3]);
  t.match(
    journal.since(all[0]?.id).map(({ reason }) => reason),
    ['two', 'three'],
  );
  t.strictSame(journal.since(all[2]?.id), []);
  const boot = all[0]?.id.split('-')[0];
  for (const unknown of ['0123456789ab-2', `${boot}-4`, `${boot}-`, `${boot}-x`, `${boot}`, '']) {
    const [first, ...rest] = journal.since(unknown);
    t.match(first, { type: 'reset', id: `${boot}-0` }, `"${unknown}" is no id of this process`);
    t.strictSame(rest, all);
    t.strictSame(journal.since(first?.id), all, 'the id of the reset resumes');
  }
  t.not(new Journal(store).since('')[0]?.id.split('-')[0], boot);
});

t.test('what was pushed out is a reset for whoever asks for it, and only for those', async (t) => {
  const { journal } = await journalOf(t);
  const ids: string[] = [];
  journal.subscribe(({ id }) => ids.push(id));
  for (let n = 0; n < keptEvents + 10; n++) journal.add({ type: 'drift', what: 'found', reason: `${n}` });
  const [first, second] = journal.since(ids[8]);
  t.match(first, { type: 'reset', id: ids[9] });
  t.equal(second?.id, ids[10]);
  t.equal(journal.since(ids[8]).length, keptEvents + 1);
  t.equal(journal.since(ids[9])[0]?.id, ids[10], 'all that came after the tenth is still there');
  t.equal(journal.since(undefined)[0]?.id, ids[10]);
});

t.test('drift is counted', async (t) => {
  const { journal } = await journalOf(t);
  journal.add({ type: 'drift', what: 'found', path: '/v1/ports/tap0' });
  journal.add({ type: 'drift', what: 'found', path: '/v1/ports/tap1' });
  journal.add({ type: 'drift', what: 'mended', path: '/v1/ports/tap0' });
  t.strictSame(journal.drift, { found: 2, mended: 1 });
});

t.test('a start tells what fails and what is mended, and not what is ready as before', async (t) => {
  const { journal } = await journalOf(t);
  const since = new Date().toISOString();
  const domain = { kind: 'routingDomain', rdid: contoso } as const;
  const nat = { kind: 'nat', rdid: contoso } as const;
  const reason = 'HNV_NFTABLES: no memory';
  journal.noteStatus(domain, { state: 'ready', since }, true);
  journal.noteStatus(nat, { state: 'failed', since, reason }, true);
  journal.noteStatus(nat, { state: 'ready', since }, true);
  journal.noteStatus(nat, { state: 'ready', since }, true);
  journal.noteStatus(domain, { state: 'ready', since }, false);
  const path = `/v1/routing-domains/${contoso}`;
  t.match(journal.since(undefined), [
    { type: 'status', routingDomainId: contoso, path: `${path}/nat`, what: 'failed', reason },
    { type: 'status', path: `${path}/nat`, what: 'ready' },
    { type: 'status', path, what: 'ready' },
  ]);
  t.equal(journal.since(undefined).length, 3);
});
