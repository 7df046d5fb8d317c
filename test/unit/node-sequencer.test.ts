/** The sequencer over a real store: what is worked on when, what collapses, what is tried again, and who waits for what. */
import { setTimeout as delay } from 'node:timers/promises';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import { HnvError } from '../../src/errors.ts';
import type { Reconciled, Trouble } from '../../src/node/reconciler.ts';
import { Sequencer, type Work } from '../../src/node/sequencer.ts';
import type { ResourceKind } from '../../src/policy/resources.ts';
import { openStore } from '../../src/store/sqlite.ts';
import type { Store } from '../../src/store/store.ts';
import { until } from '../lab/until.ts';
import { capacity, contoso, fabrikam, putDomain, record, storePath } from './store-folder.ts';

const done: Reconciled = { pending: [], troubles: [] };

/** Work that notes what it was asked for and does what the test says. */
class TestWork implements Work {
  /** RDIDs in the order in which work began; '' is the node. */
  readonly begun: string[] = [];
  readonly underWay = new Set<string>();
  most = 0;
  node: () => Promise<void> = async () => undefined;
  domain: (rdid: string) => Promise<Reconciled> = async () => done;

  async applyNode(): Promise<void> {
    await this.#work('', this.node);
  }

  applyDomain(rdid: string): Promise<Reconciled> {
    return this.#work(rdid, () => this.domain(rdid));
  }

  count(rdid: string): number {
    return this.begun.filter((each) => each === rdid).length;
  }

  async #work<R>(name: string, work: () => Promise<R>): Promise<R> {
    if (this.underWay.has(name)) throw new Error(`${name} is worked on twice at once`);
    if (this.underWay.size > 0 && (name === '' || this.underWay.has('')))
      throw new Error('the node’s links and a domain are worked on at once');
    this.begun.push(name);
    this.underWay.add(name);
    this.most = Math.max(this.most, this.underWay.size);
    try {
      return await work();
    } finally {
      this.underWay.delete(name);
    }
  }
}

/** A gate that work waits at until it is opened. */
function gate(): { passed: Promise<void>; open: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { passed: promise, open: resolve };
}

interface Setting {
  store: Store;
  work: TestWork;
  sequencer: Sequencer;
  /** `kind id state`, in the order in which changes of status were told. */
  told: string[];
}

async function setUp(t: Test): Promise<Setting> {
  const store = await openStore({ path: storePath(t), capacity });
  const work = new TestWork();
  const told: string[] = [];
  const sequencer = new Sequencer(store, work, pino({ level: 'silent' }), ({ kind, id }, { state }) => {
    told.push(`${kind} ${id ?? '-'} ${state}`);
  });
  t.teardown(async () => {
    await sequencer.stop();
    await store.close();
  });
  return { store, work, sequencer, told };
}

const putRecord = (store: Store, rdid: string, number: number) =>
  store.put({ kind: 'lookupRecord', rdid, id: `r${number}` }, record(`10.9.0.${number}`, 5001));
const putProvider = (store: Store, address: string) =>
  store.put({ kind: 'providerAddress', id: address }, { interface: 'pa0', prefixLength: 24 });
const failure = new HnvError('HNV_NFTABLES', 'The nftables transaction was refused: out of luck');

t.test('start() takes up the node’s links first and then every domain of the store, once', async (t) => {
  const { store, work, sequencer } = await setUp(t);
  await putDomain(store, contoso, 5001);
  await putDomain(store, fabrikam, 6001);
  t.same(sequencer.counts(), { ready: 0, pending: 2, failed: 0 });
  await sequencer.start();
  t.equal(work.begun[0], '');
  t.same(work.begun.slice(1).sort(), [contoso, fabrikam]);
  t.same(sequencer.counts(), { ready: 2, pending: 0, failed: 0 });
  t.equal(sequencer.appliedRevision, store.revision);
});

t.test(
  'changes during the work on a domain collapse into one more turn, which sees the newest',
  async (t) => {
    const { store, work, sequencer } = await setUp(t);
    await putDomain(store, contoso, 5001);
    await sequencer.start();
    const { passed, open } = gate();
    let records = 0;
    work.domain = async () => {
      await passed;
      records = store.state.domains.get(contoso)?.lookupRecords.size ?? 0;
      return done;
    };
    await putRecord(store, contoso, 2);
    await until('the work has begun', 1_000, () => work.underWay.has(contoso));
    const before = work.count(contoso);
    for (let number = 3; number < 30; number++) await putRecord(store, contoso, number);
    t.equal(work.count(contoso), before, 'no second turn beside the first');
    open();
    await sequencer.settled(contoso, store.revision, 5_000);
    t.equal(work.count(contoso), before + 1, 'one turn for all that came in between');
    t.equal(records, 28);
  },
);

t.test('at most six domains are worked on at once', async (t) => {
  const { store, work, sequencer } = await setUp(t);
  const rdids = Array.from({ length: 12 }, (_, i) => `33333333-0000-0000-0000-0000000000${10 + i}`);
  for (const [i, rdid] of rdids.entries()) await putDomain(store, rdid, 5001 + 2 * i);
  const { passed, open } = gate();
  work.domain = () => passed.then(() => done);
  const started = sequencer.start();
  await until('six are under way', 1_000, () => work.underWay.size === 6);
  await delay(20);
  t.equal(work.underWay.size, 6);
  open();
  await started;
  t.equal(work.most, 6);
  t.equal(new Set(work.begun).size, 13, 'and each has had its turn');
});

t.test('a failure is shown, tried again at growing intervals, and forgotten when it is over', async (t) => {
  const { store, work, sequencer } = await setUp(t);
  await putDomain(store, contoso, 5001);
  const times: number[] = [];
  work.domain = async () => {
    times.push(performance.now());
    if (times.length <= 3) throw failure;
    return done;
  };
  await sequencer.start();
  const status = sequencer.status(contoso, store.revision);
  t.match(status, {
    state: 'failed',
    reason: 'HNV_NFTABLES: The nftables transaction was refused: out of luck',
  });
  t.same(sequencer.counts(), { ready: 0, pending: 0, failed: 1 });
  await until('the second failure', 5_000, () => times.length === 2);
  t.same(sequencer.status(contoso, store.revision), status, 'the same failure goes on since the same time');
  await until('success', 5_000, () => sequencer.status(contoso, store.revision).state === 'ready');
  t.equal(sequencer.status(contoso, store.revision).reason, undefined);
  const waits = times.slice(1).map((time, i) => time - (times[i] ?? 0));
  for (const [i, least] of [100, 200, 400].entries())
    t.ok((waits[i] ?? 0) > least - 5 && (waits[i] ?? 0) < least + 300, `wait ${i}: ${waits[i]} ms`);
  await delay(150);
  t.equal(times.length, 4, 'nothing more after the success');
});

t.test('a change does not wait for the retry', async (t) => {
  const { store, work, sequencer } = await setUp(t);
  await putDomain(store, contoso, 5001);
  let isBroken = true;
  work.domain = async () => {
    if (isBroken) throw failure;
    return done;
  };
  await sequencer.start();
  await until('some failures', 5_000, () => work.count(contoso) === 4);
  isBroken = false;
  const { resource } = await putRecord(store, contoso, 2);
  const began = performance.now();
  await sequencer.settled(contoso, resource.revision, 5_000);
  t.ok(performance.now() - began < 100);
  t.equal(sequencer.status(contoso, resource.revision).state, 'ready');
});

t.test('a domain that fails, or takes its time, holds up no other', async (t) => {
  const { store, work, sequencer } = await setUp(t);
  await putDomain(store, contoso, 5001);
  await putDomain(store, fabrikam, 6001);
  await sequencer.start();
  const { passed, open } = gate();
  work.domain = (rdid) =>
    rdid === contoso ? passed.then(() => Promise.reject(failure)) : Promise.resolve(done);
  await putRecord(store, contoso, 2);
  for (let number = 1; number < 5; number++) {
    const key = { kind: 'lookupRecord', rdid: fabrikam, id: `r${number}` } as const;
    const { resource } = await store.put(key, record(`10.9.0.${number}`, 6001));
    await sequencer.settled(fabrikam, resource.revision, 1_000);
    t.equal(sequencer.status(fabrikam, resource.revision).state, 'ready');
  }
  t.equal(sequencer.status(contoso, store.revision).state, 'pending');
  open();
  await until('the failure', 1_000, () => sequencer.status(contoso, 0).state === 'failed');
  t.same(sequencer.counts(), { ready: 1, pending: 0, failed: 1 });
});

t.test(
  'appliedRevision is that before the oldest change that is under way, and never goes back',
  async (t) => {
    const { store, work, sequencer } = await setUp(t);
    await putDomain(store, contoso, 5001);
    await putDomain(store, fabrikam, 6001);
    await sequencer.start();
    const { passed, open } = gate();
    work.domain = (rdid) =>
      rdid === contoso ? passed.then(() => Promise.reject(failure)) : Promise.resolve(done);
    const before = store.revision;
    const seen = [sequencer.appliedRevision];
    await putRecord(store, contoso, 2);
    const { resource } = await store.put({ kind: 'routingDomain', rdid: fabrikam }, { name: 'another' });
    await sequencer.settled(fabrikam, resource.revision, 1_000);
    t.equal(sequencer.appliedRevision, before, 'contoso has not caught up');
    open();
    await until('the failure', 1_000, () => sequencer.status(contoso, 0).state === 'failed');
    t.equal(sequencer.appliedRevision, store.revision, 'tried and failed is not waited for');
    const failures = work.count(contoso);
    work.domain = async () => {
      seen.push(sequencer.appliedRevision);
      throw failure;
    };
    await until('two retries', 5_000, () => work.count(contoso) === failures + 2);
    t.same(seen, [before, store.revision, store.revision], 'not while it is tried again either');
  },
);

t.test('settled() resolves when the change was tried, whether it succeeded or not', async (t) => {
  const { store, work, sequencer } = await setUp(t);
  await putDomain(store, contoso, 5001);
  await sequencer.start();
  for (const outcome of ['ready', 'failed'] as const) {
    const { passed, open } = gate();
    work.domain = () => passed.then(() => (outcome === 'ready' ? done : Promise.reject(failure)));
    const { resource } = await putRecord(store, contoso, 2);
    let isSettled = false;
    const settled = sequencer.settled(contoso, resource.revision, 5_000).then(() => {
      isSettled = true;
    });
    await delay(10);
    t.equal(isSettled, false);
    t.equal(sequencer.status(contoso, resource.revision).state, 'pending');
    open();
    await settled;
    t.equal(sequencer.status(contoso, resource.revision).state, outcome);
  }
});

t.test('settled() waits for the turn that sees its revision, not for the one before', async (t) => {
  const { store, work, sequencer } = await setUp(t);
  await putDomain(store, contoso, 5001);
  await sequencer.start();
  const gates = [gate(), gate()];
  let turn = 0;
  work.domain = () => (gates[turn++]?.passed ?? Promise.resolve()).then(() => done);
  const first = await putRecord(store, contoso, 2);
  const second = await putRecord(store, contoso, 3);
  const order: string[] = [];
  const waits = [
    sequencer.settled(contoso, first.resource.revision, 5_000).then(() => order.push('first')),
    sequencer.settled(contoso, second.resource.revision, 5_000).then(() => order.push('second')),
  ];
  gates[0]?.open();
  await waits[0];
  await delay(10);
  t.same(order, ['first']);
  gates[1]?.open();
  await Promise.all(waits);
  t.same(order, ['first', 'second']);
});

t.test('settled() waits also for a write that shares its commit with later ones', async (t) => {
  const { store, work, sequencer } = await setUp(t);
  await putDomain(store, contoso, 5001);
  await sequencer.start();
  const before = store.revision;
  const { passed, open } = gate();
  work.domain = () => passed.then(() => done);
  const [first] = await Promise.all([2, 3, 4].map((number) => putRecord(store, contoso, number)));
  t.equal(first?.resource.revision, before + 1);
  t.equal(sequencer.appliedRevision, before);
  let isSettled = false;
  const settled = sequencer.settled(contoso, before + 1, 5_000).then(() => {
    isSettled = true;
  });
  await putRecord(store, contoso, 5);
  await delay(10);
  t.equal(isSettled, false);
  open();
  await settled;
  t.equal(sequencer.status(contoso, before + 3).state, 'ready');
});

t.test('settled() gives up after its time, and at once when there is nothing to wait for', async (t) => {
  const { store, work, sequencer } = await setUp(t);
  await putDomain(store, contoso, 5001);
  await sequencer.start();
  const began = performance.now();
  await sequencer.settled(contoso, store.revision, 5_000);
  t.ok(performance.now() - began < 50);
  const { passed, open } = gate();
  work.domain = () => passed.then(() => done);
  const { resource } = await putRecord(store, contoso, 2);
  await sequencer.settled(contoso, resource.revision, 60);
  t.ok(performance.now() - began >= 60);
  t.equal(sequencer.status(contoso, resource.revision).state, 'pending');
  open();
});

t.test('the removal of a domain is a change like others, and leaves nothing behind', async (t) => {
  const { store, work, sequencer } = await setUp(t);
  await putDomain(store, contoso, 5001);
  await sequencer.start();
  const before = work.count(contoso);
  const { revision } = await store.delete({ kind: 'routingDomain', rdid: contoso });
  await sequencer.settled(contoso, revision, 1_000);
  t.equal(work.count(contoso), before + 1);
  t.same(sequencer.counts(), { ready: 0, pending: 0, failed: 0 });
  t.same(sequencer.pendingReasons(contoso), []);
  t.equal(sequencer.status(contoso, 0).state, 'pending', 'nobody is known by that name');
});

t.test('what a domain waits for is told, and that it is ready nevertheless', async (t) => {
  const { store, work, sequencer } = await setUp(t);
  await putDomain(store, contoso, 5001);
  work.domain = async () => ({ pending: ['NAT waits for a gateway.'], troubles: [] });
  await sequencer.start();
  t.same(sequencer.pendingReasons(contoso), ['NAT waits for a gateway.']);
  t.equal(sequencer.status(contoso, store.revision).state, 'ready');
});

t.test('a domain that another one stands in the way of comes again when that has gone', async (t) => {
  const { store, work, sequencer } = await setUp(t);
  await putDomain(store, contoso, 5001);
  await sequencer.start();
  const { passed, open } = gate();
  work.domain = async () => ({ pending: ['NAT waits.'], troubles: [], blockedUntil: passed });
  await putRecord(store, contoso, 2);
  const { revision } = store;
  await sequencer.settled(contoso, revision, 200);
  t.equal(work.count(contoso), 2);
  t.same(sequencer.pendingReasons(contoso), ['NAT waits.']);
  t.ok(sequencer.appliedRevision < revision, 'it has not caught up');
  work.domain = async () => done;
  open();
  await sequencer.settled(contoso, revision, 1_000);
  t.equal(work.count(contoso), 3);
  t.same(sequencer.pendingReasons(contoso), []);
  t.equal(sequencer.appliedRevision, store.revision);
});

t.test('a change of provider addresses is applied alone, and then to every domain', async (t) => {
  const { store, work, sequencer } = await setUp(t);
  await putDomain(store, contoso, 5001);
  await putDomain(store, fabrikam, 6001);
  await sequencer.start();
  work.begun.length = 0;
  // TestWork throws when the node's links and a domain are worked on at once.
  work.domain = () => delay(5, done);
  work.node = () => delay(5);
  await Promise.all([
    putRecord(store, contoso, 2),
    putProvider(store, '192.0.2.1'),
    putRecord(store, contoso, 3),
  ]);
  await sequencer.settled('', store.revision, 1_000);
  await Promise.all([contoso, fabrikam].map((rdid) => sequencer.settled(rdid, store.revision, 1_000)));
  t.same(sequencer.counts(), { ready: 2, pending: 0, failed: 0 });
  const node = work.begun.indexOf('');
  for (const rdid of [contoso, fabrikam]) t.ok(work.begun.lastIndexOf(rdid) > node, 'after the node’s links');
  t.equal(sequencer.appliedRevision, store.revision);
});

t.test(
  'the node’s links are tried again when they failed, domains wait neither before nor after',
  async (t) => {
    const { store, work, sequencer } = await setUp(t);
    await putDomain(store, contoso, 5001);
    let failures = 0;
    const applied: number[] = [];
    work.node = async () => {
      applied.push(sequencer.appliedRevision);
      if (failures++ < 2) throw failure;
    };
    await sequencer.start();
    t.equal(sequencer.status(contoso, store.revision).state, 'ready');
    await until('the third try', 2_000, () => work.count('') === 3);
    t.same(
      applied,
      [store.revision - 1, store.revision, store.revision],
      'a retry does not take appliedRevision back',
    );
    await delay(450);
    t.same(
      work.begun,
      ['', contoso, '', '', contoso],
      'every domain once more when they are there, and then quiet',
    );
  },
);

t.test('stop() finishes what is under way and begins nothing more', async (t) => {
  const { store, work, sequencer } = await setUp(t);
  await putDomain(store, contoso, 5001);
  await putDomain(store, fabrikam, 6001);
  work.domain = (rdid) => (rdid === fabrikam ? Promise.reject(failure) : Promise.resolve(done));
  await sequencer.start();
  const { passed, open } = gate();
  let isFinished = false;
  work.domain = () =>
    passed.then(() => {
      isFinished = true;
      return done;
    });
  await putRecord(store, contoso, 2);
  await putRecord(store, contoso, 3);
  const begun = work.begun.length;
  const stopped = sequencer.stop();
  setTimeout(open, 20);
  await stopped;
  t.ok(isFinished);
  await store.put({ kind: 'routingDomain', rdid: contoso }, { name: 'too late' });
  await delay(150);
  t.equal(
    work.begun.length,
    begun,
    'neither the change that was queued, nor the retry, nor the change after it',
  );
});

t.test('a domain that changes while the node’s links do waits for them', async (t) => {
  const { store, work, sequencer } = await setUp(t);
  await putDomain(store, contoso, 5001);
  await sequencer.start();
  const links = gate();
  work.node = () => links.passed;
  await putProvider(store, '192.168.1.20');
  await until('the node’s links are under way', 5_000, () => work.underWay.has(''));
  await putRecord(store, contoso, 10);
  await delay(50); // long enough for a domain to be taken up, were it not held back
  t.equal(work.count(contoso), 1);
  links.open();
  await sequencer.settled(contoso, store.revision, 5_000);
  t.equal(work.count(contoso), 2);
  t.equal(sequencer.status(contoso, store.revision).state, 'ready');
});

t.test('stop() does not wait for a change of the node’s links that has not begun', async (t) => {
  const { store, work, sequencer } = await setUp(t);
  await putDomain(store, contoso, 5001);
  await sequencer.start();
  const domain = gate();
  work.domain = () => domain.passed.then(() => done);
  await putRecord(store, contoso, 10);
  await until('the domain is under way', 5_000, () => work.underWay.has(contoso));
  await putProvider(store, '192.168.1.20');
  const stopped = sequencer.stop();
  domain.open();
  await stopped;
  t.equal(work.count(''), 1, 'only the one of the start');
});

t.test(
  'a domain is taken up again when what it stands on has changed, and one that has gone is not',
  async (t) => {
    const { store, work, sequencer } = await setUp(t);
    await putDomain(store, contoso, 5001);
    await putDomain(store, fabrikam, 6001);
    await sequencer.start();
    const { revision } = store;
    sequencer.again(contoso);
    sequencer.again('33333333-0000-0000-0000-00000000000c');
    await until('it was taken up', 1_000, () => work.count(contoso) === 2);
    t.equal(work.count(fabrikam), 1);
    t.equal(work.begun.length, 4, 'the node’s links, two domains, one of them again');
    t.equal(sequencer.appliedRevision, revision, 'no revision is held back by it');
  },
);

t.test('when the node’s own links have changed, every domain follows them', async (t) => {
  const { store, work, sequencer } = await setUp(t);
  await putDomain(store, contoso, 5001);
  await putDomain(store, fabrikam, 6001);
  await sequencer.start();
  const begun = work.begun.length;
  sequencer.nodeAgain();
  await until('all were taken up', 1_000, () => work.begun.length === begun + 3);
  t.equal(work.begun[begun], '');
  t.same(work.begun.slice(begun + 1).sort(), [contoso, fabrikam]);
});

t.test('after stop() nothing is taken up again', async (t) => {
  const { store, work, sequencer } = await setUp(t);
  await putDomain(store, contoso, 5001);
  await sequencer.start();
  await sequencer.stop();
  const begun = work.begun.length;
  sequencer.again(contoso);
  sequencer.nodeAgain();
  await delay(20);
  t.equal(work.begun.length, begun);
});

t.test('a failure is that of the object whose it is, and told once, as is its end', async (t) => {
  const { store, work, sequencer, told } = await setUp(t);
  await putDomain(store, contoso, 5001);
  const troubles: Trouble[] = [
    { kind: 'nat', error: failure },
    { kind: 'lookupRecord', id: 'r7', error: new HnvError('HNV_CAPACITY', 'Map records is full.') },
  ];
  work.domain = async () => ({ pending: [], troubles });
  await sequencer.start();
  const state = (kind: ResourceKind, id?: string): string =>
    sequencer.status(contoso, store.revision, kind, id).state;
  t.equal(state('nat'), 'failed');
  t.equal(state('lookupRecord', 'r7'), 'failed');
  for (const kind of ['routingDomain', 'gateway', 'virtualSubnet'] as const)
    t.equal(state(kind), 'ready', kind);
  t.equal(state('lookupRecord', 'r8'), 'ready', 'another record');
  t.match(sequencer.status(contoso, 0, 'lookupRecord', 'r7').reason, /Map records is full/);
  t.same(sequencer.counts(), { ready: 0, pending: 0, failed: 1 }, 'the domain as a whole has failed');
  const { since } = sequencer.status(contoso, 0, 'nat');
  await until('a retry', 2_000, () => work.count(contoso) === 3);
  t.equal(sequencer.status(contoso, 0, 'nat').since, since, 'the same failure goes on since the same time');
  troubles.shift();
  await until('the NAT is mended', 2_000, () => state('nat') === 'ready');
  t.equal(state('lookupRecord', 'r7'), 'failed');
  t.ok(sequencer.status(contoso, 0, 'nat').since > since, 'ready since then');
  t.ok(sequencer.status(contoso, 0, 'gateway').since <= since, 'and what was ready always, since always');
  troubles.shift();
  await until('all is ready', 5_000, () => sequencer.counts().ready === 1);
  t.same(told, [
    ...['nat - failed', 'lookupRecord r7 failed', 'routingDomain - ready'],
    ...['nat - ready', 'lookupRecord r7 ready'],
  ]);
});

t.test('a new failure is tried again soon, however long another one has lasted', async (t) => {
  const { store, work, sequencer } = await setUp(t);
  await putDomain(store, contoso, 5001);
  const troubles: Trouble[] = [{ kind: 'nat', error: failure }];
  work.domain = async () => ({ pending: [], troubles });
  await sequencer.start();
  await until('the fourth try', 5_000, () => work.count(contoso) === 4); // the next would be in 0.8 s
  troubles.push({ kind: 'port', id: 'tap1', error: failure });
  const { resource } = await putRecord(store, contoso, 2);
  await sequencer.settled(contoso, resource.revision, 5_000);
  const began = performance.now();
  troubles.length = 0;
  await until('all is ready', 5_000, () => sequencer.counts().ready === 1);
  t.ok(performance.now() - began < 600, 'not after 0.8 s');
});

t.test('many changes of a domain that fails make one retry, not one each', async (t) => {
  const { store, work, sequencer } = await setUp(t);
  await putDomain(store, contoso, 5001);
  work.domain = () => Promise.reject(failure);
  await sequencer.start();
  for (let number = 2; number < 12; number++) {
    const { resource } = await putRecord(store, contoso, number);
    await sequencer.settled(contoso, resource.revision, 5_000);
  }
  const tried = work.count(contoso);
  await delay(300); // the back-off is beyond that by now
  t.equal(work.count(contoso), tried);
});

t.test('a single change does not wait behind domains that a whole policy has changed', async (t) => {
  const { store, work, sequencer } = await setUp(t);
  const rdids = Array.from({ length: 50 }, (_, i) => `33333333-0000-0000-0000-0000000000${10 + i}`);
  for (const [i, rdid] of rdids.entries()) await putDomain(store, rdid, 5001 + 2 * i);
  await putDomain(store, contoso, 7001);
  await sequencer.start();
  work.begun.length = 0;
  const { passed, open } = gate();
  work.domain = () => passed.then(() => done);
  sequencer.nodeAgain();
  await until('the queue is full', 1_000, () => work.underWay.size === 6);
  const { resource } = await store.put(
    { kind: 'routingDomain', rdid: rdids[49] ?? '' },
    { name: 'waited for' },
  );
  open();
  await sequencer.settled(rdids[49] ?? '', resource.revision, 5_000);
  t.ok(work.begun.indexOf(rdids[49] ?? '') <= 8, 'the node’s links, six that were under way, and then it');
  await until('all had their turn', 5_000, () => sequencer.appliedRevision === store.revision);
  t.equal(new Set(work.begun).size, 52);
});

t.test('between two domains the event loop is given away', async (t) => {
  const { store, work, sequencer } = await setUp(t);
  for (let i = 0; i < 20; i++)
    await putDomain(store, `33333333-0000-0000-0000-0000000000${10 + i}`, 5001 + 2 * i);
  let sinceTurn = 0;
  let most = 0;
  let isOver = false;
  const turn = (): void => {
    sinceTurn = 0;
    if (!isOver) setImmediate(turn);
  };
  setImmediate(turn);
  work.domain = async () => {
    most = Math.max(most, ++sinceTurn);
    return done;
  };
  await sequencer.start();
  isOver = true;
  t.equal(work.begun.length, 21);
  t.equal(most, 1, 'one domain in a turn');
});

t.test(
  'a domain is busy from its change until that was tried, and all are while the node’s links change',
  async (t) => {
    const { store, work, sequencer } = await setUp(t);
    await putDomain(store, contoso, 5001);
    await putDomain(store, fabrikam, 6001);
    await sequencer.start();
    const busy = (): string[] => ['', contoso, fabrikam].filter((rdid) => sequencer.isBusy(rdid));
    t.same(busy(), []);
    const domain = gate();
    work.domain = () => domain.passed.then(() => done);
    await putRecord(store, contoso, 2);
    t.same(busy(), [contoso], 'that waits for its turn');
    await until('its turn', 1_000, () => work.underWay.has(contoso));
    t.same(busy(), [contoso], 'that has its turn');
    sequencer.nodeAgain();
    t.same(busy(), ['', contoso, fabrikam], 'with the links that all stand on');
    domain.open();
    await until('all is quiet', 1_000, () => busy().length === 0);
  },
);

t.test('what fails while it is stopped is not tried again', async (t) => {
  const { store, work, sequencer } = await setUp(t);
  await putDomain(store, contoso, 5001);
  await sequencer.start();
  const { passed, open } = gate();
  work.domain = () => passed.then(() => Promise.reject(failure));
  await putRecord(store, contoso, 2);
  await until('it is under way', 1_000, () => work.underWay.has(contoso));
  const stopped = sequencer.stop();
  open();
  await stopped;
  await delay(150);
  t.equal(work.count(contoso), 2);
  t.equal(sequencer.retries, 0);
});
