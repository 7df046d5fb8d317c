/** What VMs show, over a real store: what is written, what is not, and what is forgotten. */
import { pino } from 'pino';
import t, { type Test } from 'tap';
import type { LearnedAddress } from '../../src/encap/learned-addresses.ts';
import { type LearnedRecord, Learning } from '../../src/host/learning.ts';
import { probeFrame } from '../../src/host/neighbour-frames.ts';
import type { JoinedPort } from '../../src/host/ports.ts';
import { compileDomain } from '../../src/policy/compile.ts';
import type { LookupRecord } from '../../src/policy/resources.ts';
import { openStore } from '../../src/store/sqlite.ts';
import { until } from '../lab/until.ts';
import { capacity, contoso, putDomain, record, storePath } from './store-folder.ts';

const OWN = '192.0.2.1';
const FOREIGN = '192.0.2.2';
const mac = (number: number): string => `02:00:00:00:01:${number.toString(16).padStart(2, '0')}`;

interface Options {
  addressesPerPort?: number;
  ageSeconds?: number;
}

/** A host with provider address 192.0.2.1 and the learning ports tap0 and tap1, ifindex 10 and 11, in VSID 5001. */
async function setUp(t: Test, { addressesPerPort = 16, ageSeconds = 300 }: Options = {}) {
  const store = await openStore({ path: storePath(t), capacity });
  await store.put({ kind: 'providerAddress', id: OWN }, { interface: 'pa0', prefixLength: 24 });
  await putDomain(store, contoso, 5001);
  await store.put(
    { kind: 'virtualSubnet', rdid: contoso, id: '5001' },
    { addressPrefixes: ['10.0.0.0/8', 'fd00:1::/64'] },
  );
  const putPort = (index: number, learn: boolean) =>
    store.put(
      { kind: 'port', id: `tap${index}` },
      { virtualSubnetId: 5001, macAddress: mac(index), customerAddresses: [`10.0.0.${10 + index}`], learn },
    );
  await putPort(0, true);
  await putPort(1, true);
  const seen = new Map<string, bigint>();
  const told: LearnedRecord[] = [];
  const handle = store.state.domains.get(contoso)?.handle ?? 0;
  const sent: { interfaceName: string; frame: string }[] = [];
  const portOf = ({ ifindex }: LearnedAddress): JoinedPort | undefined => {
    const domain = store.state.domains.get(contoso);
    const plan = domain && compileDomain(domain, store.state).ports[ifindex - 10];
    return plan && { rdid: contoso, handle, ifindex, plan };
  };
  const learning = new Learning({
    ...{ store, portOf, addressesPerPort, ageSeconds },
    log: pino({ level: 'silent' }),
    send: (interfaceName, frame) => sent.push({ interfaceName, frame: Buffer.from(frame).toString('hex') }),
    lastSeen: (_domain, address) => seen.get(address),
    onChange: (change) => told.push(change),
  });
  t.teardown(async () => {
    learning.close();
    await store.close();
  });
  const event = (address: string, more: Partial<LearnedAddress> = {}): LearnedAddress => ({
    ...{ domain: handle, vsid: 5001, ifindex: 10, evidence: 'arp', address, mac: mac(0) },
    ...more,
  });
  const records = (): ReadonlyMap<string, LookupRecord> =>
    store.state.domains.get(contoso)?.lookupRecords ?? new Map();
  /** Writes that were asked for before have been answered when this one has. */
  const written = () => store.put({ kind: 'routingDomain', rdid: contoso }, { name: 'Contoso' });
  const learn = async (...events: LearnedAddress[]) => {
    learning.take(events);
    await written();
  };
  return { store, learning, seen, sent, told, event, records, written, learn, putPort };
}

const learned = (customerAddress: string, of: Partial<LookupRecord> = {}): LookupRecord => ({
  ...{ customerAddress, virtualSubnetId: 5001, macAddress: mac(0), providerAddress: OWN, type: 'dynamic' },
  context: 'port tap0',
  ...of,
});

t.test('an address that a VM shows becomes a dynamic record of its port, in both families', async (t) => {
  const { learn, event, records, told, learning } = await setUp(t);
  await learn(event('10.0.0.99'), event('fd00:1::99', { evidence: 'nd', mac: mac(7) }));
  t.same(Object.fromEntries(records()), {
    'dynamic-10.0.0.99': learned('10.0.0.99'),
    'dynamic-fd00-1--99': learned('fd00:1::99', { macAddress: mac(7) }),
  });
  t.same(told, [
    { rdid: contoso, id: 'dynamic-10.0.0.99', providerAddress: OWN },
    { rdid: contoso, id: 'dynamic-fd00-1--99', providerAddress: OWN },
  ]);
  t.match(learning.counts, { learned: 2, refused: 0 });
});

t.test('what is known already is not written again', async (t) => {
  const { learn, event, store, told } = await setUp(t);
  await learn(event('10.0.0.99'), event('10.0.0.99'));
  const { revision } = store;
  await learn(event('10.0.0.99'));
  t.equal(store.revision, revision + 1, 'the test’s own write only');
  t.equal(told.length, 1);
});

t.test('an address that another node had, or another port, has moved', async (t) => {
  const { learn, event, store, records } = await setUp(t);
  await store.put(
    { kind: 'lookupRecord', rdid: contoso, id: 'from-elsewhere' },
    learned('10.0.0.99', { macAddress: mac(9), providerAddress: FOREIGN }),
  );
  await learn(event('10.0.0.99'));
  t.same(Object.fromEntries(records()), { 'from-elsewhere': learned('10.0.0.99') });
  await learn(event('10.0.0.99', { ifindex: 11, mac: mac(9) }));
  t.match(records().get('from-elsewhere'), { context: 'port tap1', macAddress: mac(9) });
});

t.test('a virtual MAC address goes from one port to another with its address', async (t) => {
  const { learn, event, records } = await setUp(t);
  const virtual = { mac: '00:00:5e:00:01:01' };
  await learn(event('10.0.0.99', virtual));
  t.match(records().get('dynamic-10.0.0.99'), { context: 'port tap0', macAddress: virtual.mac });
  await learn(event('10.0.0.99', { ...virtual, ifindex: 11 }));
  t.match(records().get('dynamic-10.0.0.99'), { context: 'port tap1', macAddress: virtual.mac });
});

const refusals: [what: string, address: string, more: Partial<LearnedAddress>][] = [
  ['outside of the virtual subnet', '192.168.7.7', {}],
  ['link-local', 'fe80::1', { evidence: 'nd' }],
  ['of the distributed router', '10.0.0.1', {}],
  ['broadcast', '10.255.255.255', {}],
  ['of a record that was not learned', '10.0.0.50', {}],
  ['of another port', '10.0.0.11', {}],
  ['with the MAC address of another port', '10.0.0.99', { mac: mac(1) }],
  ['with the MAC address of the distributed router', '10.0.0.99', { mac: '02:48:4e:56:00:01' }],
  ['with a group’s MAC address', '10.0.0.99', { mac: '03:00:00:00:00:01' }],
];
for (const [what, address, more] of refusals) {
  t.test(`an address ${what} is not learned`, async (t) => {
    const { learn, event, store, records, learning } = await setUp(t);
    await store.put({ kind: 'lookupRecord', rdid: contoso, id: 'web' }, record('10.0.0.50'));
    await learn(event(address, more));
    t.same([...records().keys()], ['web']);
    t.match(learning.counts, { learned: 0, refused: 1 });
  });
}

t.test(
  'events of a port that does not learn, of another VSID or domain, or of no port are ignored',
  async (t) => {
    const { learn, event, records, putPort, learning } = await setUp(t);
    await putPort(1, false);
    await learn(event('10.0.0.90', { ifindex: 11 }), event('10.0.0.93', { ifindex: 99 }));
    t.equal(records().size, 0);
    t.same(learning.counts, { learned: 0, refused: 0, overLimit: 0, overRate: 0, aged: 0 });
  },
);

t.test('a port with an L2Only record for its MAC learns without being told to', async (t) => {
  const { learn, event, store, records, putPort, learning } = await setUp(t);
  await putPort(0, false);
  const l2only = { ...record('0.0.0.0'), macAddress: mac(0), type: 'l2only', providerAddress: OWN } as const;
  await store.put({ kind: 'lookupRecord', rdid: contoso, id: 'any' }, l2only);
  await learn(event('10.0.0.99'));
  t.same(records().get('dynamic-10.0.0.99'), learned('10.0.0.99'));
  learning.forgetPortless(contoso);
  await store.delete({ kind: 'lookupRecord', rdid: contoso, id: 'any' });
  t.ok(records().has('dynamic-10.0.0.99'));
  learning.forgetPortless(contoso);
  await until('it is forgotten with the record', 1_000, () => records().size === 0);
});

t.test('a port has at most so many learned addresses, and a known one may still change', async (t) => {
  const { learn, event, records, learning } = await setUp(t, { addressesPerPort: 3 });
  await learn(...[1, 2, 3, 4, 5].map((n) => event(`10.0.0.10${n}`)));
  t.same([...records().keys()].length, 3);
  t.equal(learning.counts.overLimit, 2);
  await learn(event('10.0.0.101', { mac: mac(8) }));
  t.match(records().get('dynamic-10.0.0.101'), { macAddress: mac(8) });
  await learn(event('10.0.0.105', { ifindex: 11, mac: mac(1) }));
  t.ok(records().has('dynamic-10.0.0.105'), 'another port has a limit of its own');
});

t.test('a port that changes more than twenty times a second is not followed', async (t) => {
  const { learn, event, learning } = await setUp(t, { addressesPerPort: 1000 });
  await learn(...Array.from({ length: 100 }, (_, n) => event('10.0.0.99', { mac: mac(100 + n) })));
  t.match(learning.counts.learned, 20);
  t.equal(learning.counts.overRate, 80);
  await learn(event('10.0.0.98', { ifindex: 11, mac: mac(1) }));
  t.equal(learning.counts.learned, 21, 'another port is not held up');
});

t.test('an address that nothing was heard of is forgotten, others stay', async (t) => {
  const { learn, event, store, records, seen, told, learning } = await setUp(t, { ageSeconds: 1 });
  const foreign = learned('10.0.0.97', { providerAddress: FOREIGN });
  await store.put({ kind: 'lookupRecord', rdid: contoso, id: 'foreign' }, foreign);
  await store.put({ kind: 'lookupRecord', rdid: contoso, id: 'static' }, record('10.0.0.96'));
  await learn(event('10.0.0.99'), event('10.0.0.98'));
  t.equal(records().size, 4, 'a process that has just begun forgets nothing');
  await until('the silent one is forgotten', 5_000, () => {
    seen.set('10.0.0.98', process.hrtime.bigint());
    return !records().has('dynamic-10.0.0.99');
  });
  t.same([...records().keys()].sort(), ['dynamic-10.0.0.98', 'foreign', 'static']);
  t.same(told.at(-1), { rdid: contoso, id: 'dynamic-10.0.0.99', providerAddress: OWN });
  t.equal(learning.counts.aged, 1);
});

t.test(
  'a VM that is silent for half of the time is asked by the distributed router, and stays when it answers',
  async (t) => {
    const { learn, event, sent, seen, records } = await setUp(t, { ageSeconds: 2 });
    await learn(event('10.0.0.99'), event('fd00:1::99'));
    const router = { mac: '02:48:4e:56:00:01' };
    const frames = [
      probeFrame({ ...router, address: '10.0.0.1' }, { address: '10.0.0.99', mac: mac(0) }),
      probeFrame({ ...router, address: 'fd00:1::1' }, { address: 'fd00:1::99', mac: mac(0) }),
    ].map((frame) => Buffer.from(frame).toString('hex'));
    await until('the IPv4 address is asked for', 3_000, () => sent.some(({ frame }) => frame === frames[0]));
    t.ok(
      sent.some(({ frame }) => frame === frames[1]),
      'the IPv6 address is asked for too',
    );
    t.ok(sent.every(({ interfaceName }) => interfaceName === 'tap0'));
    await until('the one that does not answer is forgotten', 5_000, () => {
      seen.set('10.0.0.99', process.hrtime.bigint());
      return !records().has('dynamic-fd00-1--99');
    });
    t.ok(records().has('dynamic-10.0.0.99'));
  },
);

t.test('what was learned at a port goes with the port, or when it stops learning', async (t) => {
  const { learn, event, store, records, putPort, learning } = await setUp(t);
  await learn(event('10.0.0.99'), event('10.0.0.98', { ifindex: 11, mac: mac(1) }));
  learning.forgetPortless(contoso);
  t.equal(records().size, 2);
  await store.delete({ kind: 'port', id: 'tap0' });
  learning.forgetPortless(contoso);
  await until('the first is forgotten', 1_000, () => records().size === 1);
  await putPort(1, false);
  learning.forgetPortless(contoso);
  await until('the second is forgotten', 1_000, () => records().size === 0);
});

t.test('what this node has learned before is known after a restart', async (t) => {
  const { store, learning } = await setUp(t);
  const foreign = learned('10.0.0.97', { providerAddress: FOREIGN });
  await store.put({ kind: 'lookupRecord', rdid: contoso, id: 'foreign' }, foreign);
  await store.put({ kind: 'lookupRecord', rdid: contoso, id: 'mine' }, learned('10.0.0.98'));
  t.same([...learning.own()], [{ rdid: contoso, id: 'mine', providerAddress: OWN }]);
});
