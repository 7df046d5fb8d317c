/** What the status of a site connection, and of the domain that has it, says of its tunnel. */
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import type { Operations, ResourceStatus, SiteConnectionState } from '../../src/api/operations.ts';
import { nodeOperations, type OperationsSources } from '../../src/node/operations.ts';
import { openStore } from '../../src/store/sqlite.ts';
import type { ResourceKey } from '../../src/store/store.ts';
import { natPolicy } from '../lab/nat-policy.ts';
import { siteConnection } from './site-connection.ts';
import { capacity, contoso, putDomain, storePath } from './store-folder.ts';

const since = '2026-01-01T00:00:00.000Z';
const later = '2026-01-02T00:00:00.000Z';
const key = { kind: 'siteConnection', rdid: contoso, id: 'office' } as const;
const gateway: ResourceKey = { kind: 'gateway', rdid: contoso };
const domain: ResourceKey = { kind: 'routingDomain', rdid: contoso };

/** A node with the connection, of which the test says what the sequencer and the tunnel do. */
interface Node {
  operations: Operations;
  sequencer: { status: ResourceStatus; pending: string[] };
  tunnels: Map<string, SiteConnectionState>;
}

async function start(t: Test): Promise<Node> {
  const store = await openStore({ path: storePath(t), capacity });
  t.teardown(() => store.close());
  await putDomain(store, contoso, 5001);
  await store.put(
    { kind: 'gateway', rdid: contoso },
    { virtualSubnetId: 5002, customerAddresses: ['192.168.254.2'], macAddress: '02:00:00:00:00:02' },
  );
  const nat = natPolicy({ externalAddresses: [{ ipAddress: '203.0.113.1' }] });
  await store.put({ kind: 'nat', rdid: contoso }, nat);
  await store.put(key, siteConnection());
  const sequencer: Node['sequencer'] = { status: { state: 'ready', since }, pending: [] };
  const tunnels: Node['tunnels'] = new Map();
  const sources = {
    store,
    started: new Date(since),
    drift: { status: () => undefined },
    role: { siteConnections: () => tunnels },
    sequencer: {
      status: () => sequencer.status,
      pendingReasons: () => sequencer.pending,
      failures: () => [],
      settled: async () => undefined,
      isBusy: () => false,
    },
  };
  return { operations: nodeOperations(sources as unknown as OperationsSources), sequencer, tunnels };
}

const tunnel = (state: SiteConnectionState['state'], lastError?: string): SiteConnectionState => ({
  ...{ state, since: later, carries: state === 'connected' },
  ...(lastError === undefined ? {} : { lastError, lastErrorAt: later }),
});

t.test('the tunnel decides when all else is ready', async (t) => {
  const { operations, sequencer, tunnels } = await start(t);
  const status = () => operations.resourceStatus(key, 1);
  t.strictSame(status(), { state: 'pending', since }, 'it has not been begun with');
  for (const [state, lastError, expected] of [
    ['connected', 'No answer.', { state: 'ready' }],
    ['listening', undefined, { state: 'ready' }],
    ['connecting', 'No answer.', { state: 'pending', reason: 'No answer.' }],
    ['connecting', undefined, { state: 'pending', reason: 'The tunnel is being set up.' }],
    ['failed', 'No proposal chosen.', { state: 'failed', reason: 'No proposal chosen.' }],
  ] as const) {
    tunnels.set('office', tunnel(state, lastError));
    t.strictSame(status(), { ...expected, since: later }, state);
  }
  sequencer.status = { state: 'failed', reason: 'HNV_SITE: no.', since };
  t.strictSame(status(), sequencer.status);
});

t.test('what one connection waits for is no other resource’s matter', async (t) => {
  const { operations, sequencer, tunnels } = await start(t);
  const reason =
    'Site connection office waits for its secret: this node’s key does not open it, write it again.';
  sequencer.pending = [reason];
  t.strictSame(operations.resourceStatus(key, 1), { state: 'pending', reason, since });
  t.strictSame(operations.resourceStatus(gateway, 1), { state: 'ready', since });
  t.match(operations.resourceStatus({ ...key, id: 'depot' }, 1), { state: 'pending', reason: undefined });
  sequencer.pending.push('NAT and site connections wait for the gateway of the routing domain.');
  t.match(operations.resourceStatus(gateway, 1), { state: 'pending', reason: sequencer.pending[1] });
  t.match(operations.resourceStatus(key, 1).reason, /^Site connection office waits .* NAT and site/);
  tunnels.set('office', tunnel('connected'));
  t.match(operations.resourceStatus(key, 1), { state: 'ready' });
});

t.test('what forwarding and BGP wait for is told of them', async (t) => {
  const { operations, sequencer } = await start(t);
  const reasons = {
    forwarding: 'Forwarding waits for the interface eth9.',
    bgp: 'BGP peer corporate waits for forwarding.',
  };
  sequencer.pending = Object.values(reasons);
  for (const kind of ['forwarding', 'bgp'] as const)
    t.strictSame(operations.resourceStatus({ kind, rdid: contoso }, 1), {
      ...{ state: 'pending', reason: reasons[kind], since },
    });
  t.strictSame(operations.resourceStatus(gateway, 1), { state: 'ready', since });
  sequencer.pending = ['Forwarding and BGP wait for the gateway of the routing domain.'];
  t.match(operations.resourceStatus({ kind: 'bgp', rdid: contoso }, 1), { state: 'pending' });
});

t.test('who waits is answered when the tunnel is up, or has failed', async (t) => {
  const { operations, tunnels } = await start(t);
  tunnels.set('office', tunnel('connecting'));
  t.match(await operations.settled(key, 1, 1), { state: 'pending' });
  t.match(await operations.allSettled([{ key: domain, revision: 1 }], 1, 1), [
    { state: 'pending', notReady: [{ key, status: { state: 'pending' } }] },
  ]);
  const waiting = operations.settled(key, 1, 60_000);
  const all = operations.allSettled([{ key: domain, revision: 1 }], 1, 60_000);
  await delay(0);
  tunnels.set('office', tunnel('failed', 'No proposal chosen.'));
  t.match(await waiting, { state: 'failed', reason: 'No proposal chosen.' });
  t.match(await all, [{ state: 'failed', notReady: [{ key, status: { state: 'failed' } }] }]);
  tunnels.set('office', tunnel('connected'));
  t.match(await operations.settled(key, 1, 60_000), { state: 'ready' });
  t.strictSame(await operations.allSettled([{ key: domain, revision: 1 }], 1, 60_000), [
    { state: 'ready', notReady: [] },
  ]);
});
