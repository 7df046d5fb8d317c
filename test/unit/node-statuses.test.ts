/** What is told of the node's own resources, and what is listed of all that are not ready. */
import t from 'tap';
import type { ResourceStatus, SettledStatus } from '../../src/api/operations.ts';
import { NodeStatuses } from '../../src/node/node-statuses.ts';
import { findProblems } from '../../src/node/problems.ts';
import { openStore } from '../../src/store/sqlite.ts';
import type { ResourceKey } from '../../src/store/store.ts';
import { capacity, contoso, fabrikam, putDomain, storePath } from './store-folder.ts';

async function storeOf(t: { teardown(done: () => unknown): void }) {
  const store = await openStore({ path: storePath(t), capacity });
  t.teardown(() => store.close());
  await store.put({ kind: 'providerAddress', id: '192.0.2.1' }, { interface: 'eth0', prefixLength: 24 });
  const route = {
    interface: 'eth0',
    destinationPrefix: '198.51.100.0/24',
    nextHop: '192.0.2.254',
    metric: 0,
  };
  await store.put({ kind: 'providerRoute', id: 'fabric' }, route);
  return store;
}

t.test('a change of the node’s own resources is told once, in both directions', async (t) => {
  const store = await storeOf(t);
  let address: string | undefined;
  let isThere = false;
  let route: string | undefined = 'no way';
  const links = {
    providerFailure: () => address,
    hasProvider: () => isThere,
    routeFailure: () => route,
  };
  const told: string[] = [];
  const statuses = new NodeStatuses(store, links, ({ kind, id }, { state, reason }) =>
    told.push([kind, id, state, reason ?? ''].join(' ')),
  );
  const news = () => {
    statuses.look();
    return told.splice(0);
  };
  t.strictSame(news(), ['providerRoute fabric failed no way'], 'an address on its way is no news');
  t.strictSame(news(), []);
  isThere = true;
  route = 'no link';
  t.strictSame(news(), ['providerAddress 192.0.2.1 ready ', 'providerRoute fabric failed no link']);
  [isThere, address, route] = [false, 'a duplicate', undefined];
  t.strictSame(news(), ['providerAddress 192.0.2.1 failed a duplicate', 'providerRoute fabric ready ']);
  address = undefined;
  t.strictSame(news(), []);
  isThere = true;
  t.strictSame(news(), ['providerAddress 192.0.2.1 ready ']);
  await store.delete({ kind: 'providerRoute', id: 'fabric' });
  t.strictSame(news(), []);
});

t.test('problems are those of the node first, then of domains, and 100 at most', async (t) => {
  const store = await storeOf(t);
  await putDomain(store, contoso, 5001);
  await putDomain(store, fabrikam, 6001);
  const failed: ResourceStatus = { state: 'failed', reason: 'no memory', since: '2026-01-01T00:00:00.000Z' };
  const notReady = new Map<string, { key: ResourceKey; status: ResourceStatus }[]>();
  const statusOf = ({ key }: { key: ResourceKey }): SettledStatus => {
    const found = notReady.get(key.rdid ?? key.id ?? '') ?? [];
    return { state: found.length === 0 ? 'ready' : 'failed', notReady: found };
  };
  t.strictSame(findProblems(store.state, statusOf), []);
  const records = Array.from({ length: 150 }, (_, n) => ({
    key: { kind: 'lookupRecord', rdid: fabrikam, id: `r${n}` } as const,
    status: failed,
  }));
  notReady.set(fabrikam, records);
  notReady.set('fabric', [{ key: { kind: 'providerRoute', id: 'fabric' }, status: failed }]);
  const problems = findProblems(store.state, statusOf);
  t.equal(problems.length, 100);
  t.strictSame(problems.slice(0, 2), [
    { path: '/v1/provider-routes/fabric', ...failed },
    { path: `/v1/routing-domains/${fabrikam}/lookup-records/r0`, ...failed },
  ]);
});
