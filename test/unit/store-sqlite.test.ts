import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t from 'tap';
import { openStore } from '../../src/store/sqlite.ts';
import type { DocumentEntry, StoreChange } from '../../src/store/store.ts';
import { natPolicy } from '../lab/nat-policy.ts';
import { capacity, contoso, fabrikam, port, putDomain, record, snapshot, storePath } from './store-folder.ts';

const writer = fileURLToPath(new URL('./store-writer.ts', import.meta.url));
const rdidOf = (number: number) => `00000000-0000-0000-0000-${String(number).padStart(12, '0')}`;

t.test('a reopened store has the same state, handles and revisions', async (t) => {
  const path = storePath(t);
  const first = await openStore({ path, capacity });
  await putDomain(first, contoso, 5001);
  await putDomain(first, fabrikam, 6001);
  const inContoso = { rdid: contoso };
  await first.put({ kind: 'lookupRecord', ...inContoso, id: 'vm1' }, record('10.0.0.4'));
  await first.put(
    { kind: 'customerRoute', ...inContoso, id: 'default' },
    { virtualSubnetId: 5002, destinationPrefix: '0.0.0.0/0', nextHop: '192.168.254.2', metric: 0 },
  );
  await first.put(
    { kind: 'gateway', ...inContoso },
    { virtualSubnetId: 5002, customerAddresses: ['192.168.254.2'] },
  );
  await first.put(
    { kind: 'nat', ...inContoso },
    natPolicy({ externalAddresses: [{ ipAddress: '203.0.113.1' }], staticMappings: [] }),
  );
  await first.put({ kind: 'providerAddress', id: '192.0.2.9' }, { interface: 'eth0', prefixLength: 24 });
  await first.put(
    { kind: 'providerAddress', id: '2001:db8::9' },
    { interface: 'eth0', prefixLength: 64, vlanId: 7, macAddress: '02:00:00:00:00:09' },
  );
  await first.put(
    { kind: 'providerRoute', id: 'fabric' },
    { interface: 'eth0', destinationPrefix: '2001:db8:1::/48', nextHop: '2001:db8::1', metric: 5 },
  );
  await first.put({ kind: 'port', id: 'tap0' }, port(5001, '10.0.0.4'));
  await first.put({ kind: 'port', id: 'tap-_.@1' }, port(5001, '10.0.0.5'));
  await first.put({ kind: 'port', id: 'tap2' }, { customerAddresses: [], learn: false });
  const before = snapshot(first.state);
  const resource = first.get({ kind: 'lookupRecord', ...inContoso, id: 'vm1' });
  const { revision } = first;
  await first.close();

  const second = await openStore({ path, capacity });
  t.teardown(() => second.close());
  t.strictSame(snapshot(second.state), before);
  t.equal(second.revision, revision);
  t.strictSame(second.get({ kind: 'lookupRecord', ...inContoso, id: 'vm1' }), resource);
  t.equal(second.state.domains.get(contoso)?.recordByAddress.get('10.0.0.4'), 'vm1');
  t.equal(second.state.vsidOwners.get(6001), fabrikam);
  t.strictSame(second.state.portsByVsid, new Map([[5001, new Set(['tap-_.@1', 'tap0'])]]));
  t.equal(second.state.domains.get(contoso)?.providerAddressUse.get(5001)?.get('192.0.2.1'), 1);
  t.equal(second.state.domains.get(contoso)?.routeByDestination.get('0.0.0.0/0 0'), 'default');
  t.equal(second.state.externals.addresses.get('203.0.113.1')?.[0]?.rdid, contoso);
});

t.test('a commit that fails rejects its whole batch and leaves no trace in memory', async (t) => {
  const path = storePath(t);
  const { stdout } = await promisify(execFile)(process.execPath, [writer, 'full', path]);
  t.strictSame(JSON.parse(stdout), {
    refusals: ['HNV_STORE'],
    unchanged: true,
    changesOfFailure: 0,
    createdAfter: true,
  });
  const store = await openStore({ path, capacity });
  t.teardown(() => store.close());
  t.strictSame([...(store.state.domains.get(contoso)?.lookupRecords.keys() ?? [])], ['r2', 'r3']);
  t.strictSame([...store.state.domains.keys()], [contoso]);
});

t.test('writes of one tick share commits, in order, and each sees those before it', async (t) => {
  const store = await openStore({ path: storePath(t), capacity });
  t.teardown(() => store.close());
  const changes: StoreChange[] = [];
  store.subscribe((change) => changes.push(change));
  const writes = [
    store.put({ kind: 'routingDomain', rdid: contoso }, { name: 'Contoso' }),
    store.put({ kind: 'virtualSubnet', rdid: contoso, id: '5001' }, { addressPrefixes: ['10.0.0.0/8'] }),
    store.put({ kind: 'lookupRecord', rdid: contoso, id: 'vm1' }, record('10.0.0.4')),
    store.put({ kind: 'providerAddress', id: '192.0.2.9' }, { interface: 'eth0', prefixLength: 24 }),
  ];
  t.equal(store.state.domains.size, 0, 'nothing shows before it is on disk');
  const results = await Promise.all(writes);
  t.strictSame(
    results.map(({ resource, created }) => [resource.revision, created]),
    [1, 2, 3, 4].map((revision) => [revision, true]),
  );
  const keys = [
    { kind: 'routingDomain', rdid: contoso },
    { kind: 'virtualSubnet', rdid: contoso, id: '5001' },
    { kind: 'lookupRecord', rdid: contoso, id: 'vm1' },
    { kind: 'providerAddress', id: '192.0.2.9' },
  ];
  const resources = keys.map((key, index) => ({ key, change: 'created', revision: index + 1 }));
  t.strictSame(
    changes.flatMap((change) => change.resources),
    resources,
  );
  t.strictSame(changes[0]?.domains, new Set([contoso]));
  t.match(changes.at(-1), { revision: 4, node: true });

  changes.length = 0;
  const key = { kind: 'routingDomain', rdid: contoso } as const;
  await Promise.all(Array.from({ length: 400 }, (_, index) => store.put(key, { name: `${index}` })));
  t.equal(changes.at(-1)?.revision, 404);
  // A busy machine may cut a batch short.
  t.ok(changes.length < 200, `${changes.length} commits`);
});

t.test('a write that breaks a rule harms no other of its batch', async (t) => {
  const store = await openStore({ path: storePath(t), capacity });
  t.teardown(() => store.close());
  await putDomain(store, contoso, 5001);
  const key = { kind: 'lookupRecord', rdid: contoso } as const;
  const [first, outside, unknown, second] = await Promise.allSettled([
    store.put({ ...key, id: 'vm1' }, record('10.0.0.4')),
    store.put({ ...key, id: 'vm2' }, record('172.16.0.4')),
    store.delete({ ...key, id: 'nobody' }),
    store.put({ ...key, id: 'vm3' }, record('10.0.0.5')),
  ]);
  t.match([first.status, second.status], ['fulfilled', 'fulfilled']);
  t.match(outside, { reason: { code: 'HNV_INVALID_FIELD', rule: 'address-in-subnet' } });
  t.match(unknown, { reason: { code: 'HNV_NOT_FOUND' } });
  t.strictSame([...(store.state.domains.get(contoso)?.lookupRecords.keys() ?? [])], ['vm1', 'vm3']);
});

t.test('a batch of refusals only is no commit', async (t) => {
  const store = await openStore({ path: storePath(t), capacity });
  t.teardown(() => store.close());
  store.subscribe(() => t.fail('there was no change'));
  await t.rejects(store.delete({ kind: 'routingDomain', rdid: contoso }), { code: 'HNV_NOT_FOUND' });
  t.equal(store.revision, 0);
});

t.test('a routing domain goes with all that belongs to it', async (t) => {
  const path = storePath(t);
  const store = await openStore({ path, capacity });
  await putDomain(store, contoso, 5001);
  await putDomain(store, fabrikam, 6001);
  await store.put({ kind: 'lookupRecord', rdid: contoso, id: 'vm1' }, record('10.0.0.4'));
  await store.put(
    { kind: 'nat', rdid: contoso },
    natPolicy({ externalAddresses: [{ ipAddress: '203.0.113.1' }], staticMappings: [] }),
  );
  const { revision } = await store.delete({ kind: 'routingDomain', rdid: contoso });
  t.equal(revision, store.revision);
  t.strictSame([...store.state.domains.keys()], [fabrikam]);
  t.strictSame([...store.state.vsidOwners.keys()], [6001, 6002]);
  t.equal(store.state.externals.addresses.size, 0);
  t.equal(store.get({ kind: 'lookupRecord', rdid: contoso, id: 'vm1' }), undefined);

  await store.put({ kind: 'routingDomain', rdid: contoso }, { name: 'again' });
  const again = store.state.domains.get(contoso);
  t.strictSame([again?.virtualSubnets.size, again?.lookupRecords.size, again?.nat], [0, 0, undefined]);
  const after = snapshot(store.state);
  await store.close();
  const reopened = await openStore({ path, capacity });
  t.teardown(() => reopened.close());
  t.strictSame(snapshot(reopened.state), after);
});

t.test('removing and replacing single resources keeps the indexes', async (t) => {
  const path = storePath(t);
  const store = await openStore({ path, capacity });
  await putDomain(store, contoso, 5001);
  const key = { kind: 'lookupRecord', rdid: contoso, id: 'vm1' } as const;
  const addresses = () => [...(store.state.domains.get(contoso)?.recordByAddress ?? [])];
  await store.put(key, record('10.0.0.4'));
  await store.put(key, record('10.0.0.5'));
  t.strictSame(addresses(), [['10.0.0.5', 'vm1']]);
  await store.put(key, { ...record('0.0.0.0'), type: 'gatewayWildcard' });
  t.strictSame(addresses(), []);
  await store.put(key, record('10.0.0.6'));
  await store.delete(key);
  t.strictSame(addresses(), []);

  const nat = (...ipAddresses: string[]) =>
    natPolicy({
      externalAddresses: ipAddresses.map((ipAddress) => ({ ipAddress })),
      staticMappings: [],
    });
  await store.put({ kind: 'nat', rdid: contoso }, nat('203.0.113.1', '203.0.113.2'));
  await store.put({ kind: 'nat', rdid: contoso }, nat('203.0.113.2', '203.0.113.3'));
  t.strictSame([...store.state.externals.addresses.keys()].sort(), ['203.0.113.2', '203.0.113.3']);
  await store.delete({ kind: 'nat', rdid: contoso });
  t.equal(store.state.externals.addresses.size, 0);
  await store.put(
    { kind: 'gateway', rdid: contoso },
    { virtualSubnetId: 5002, customerAddresses: ['192.168.254.2'] },
  );
  await store.delete({ kind: 'gateway', rdid: contoso });
  await store.delete({ kind: 'virtualSubnet', rdid: contoso, id: '5002' });
  const left = store.state.domains.get(contoso);
  t.notOk(left && ('gateway' in left || 'nat' in left));
  t.strictSame([...store.state.vsidOwners.keys()], [5001]);
  const after = snapshot(store.state);
  await store.close();
  const reopened = await openStore({ path, capacity });
  t.teardown(() => reopened.close());
  t.strictSame(snapshot(reopened.state), after);
});

t.test('a change of a port concerns the domains of its old and its new VSID, or the node', async (t) => {
  const path = storePath(t);
  const store = await openStore({ path, capacity });
  await putDomain(store, contoso, 5001);
  await putDomain(store, fabrikam, 6001);
  const changes: StoreChange[] = [];
  store.subscribe((change) => changes.push(change));
  const key = { kind: 'port', id: 'tap0' } as const;
  const outside = { customerAddresses: [], learn: false };
  const changed = async (write: Promise<unknown>) => {
    await write;
    const change = changes.pop();
    return [[...(change?.domains ?? [])].sort(), change?.node];
  };
  t.strictSame(await changed(store.put(key, port(5001, '10.0.0.4'))), [[contoso], false]);
  t.strictSame(await changed(store.put(key, port(6001, '10.0.0.4'))), [[contoso, fabrikam], false]);
  t.strictSame([...store.state.portsByVsid.keys()], [6001]);
  t.strictSame(await changed(store.put(key, outside)), [[fabrikam], true]);
  t.strictSame([...store.state.portsByVsid.keys()], []);
  t.strictSame(await changed(store.put(key, port(5001, '10.0.0.4'))), [[contoso], true]);
  t.strictSame(await changed(store.delete(key)), [[contoso], false]);
  t.strictSame(await changed(store.put(key, outside)), [[], true]);
  t.strictSame(await changed(store.delete(key)), [[], true]);
  const provider = { interface: 'eth0', prefixLength: 24 };
  t.strictSame(await changed(store.put({ kind: 'providerAddress', id: '192.0.2.9' }, provider)), [[], true]);
  const route = { interface: 'eth0', destinationPrefix: '198.51.100.0/24', nextHop: '192.0.2.1', metric: 0 };
  t.strictSame(await changed(store.put({ kind: 'providerRoute', id: 'r' }, route)), [[], true]);
  t.strictSame(await changed(store.delete({ kind: 'providerRoute', id: 'r' })), [[], true]);
  await store.close();
});

t.test('indexes of provider addresses and destinations follow every change', async (t) => {
  const path = storePath(t);
  const store = await openStore({ path, capacity });
  await putDomain(store, contoso, 5001);
  const at = (id: string) => ({ kind: 'lookupRecord', rdid: contoso, id }) as const;
  const from = (address: string, providerAddress: string) => ({ ...record(address), providerAddress });
  const use = () => store.state.domains.get(contoso)?.providerAddressUse;
  await store.put(at('a'), from('10.0.0.4', '192.0.2.1'));
  await store.put(at('b'), from('10.0.0.5', '192.0.2.1'));
  await store.put(at('c'), { ...from('0.0.0.0', '2001:db8::2'), type: 'l2only' });
  t.strictSame(
    [...(use()?.get(5001) ?? [])],
    [
      ['192.0.2.1', 2],
      ['2001:db8::2', 1],
    ],
  );
  await store.put(at('a'), from('10.0.0.4', '2001:db8::2'));
  await store.put(at('b'), { ...from('192.168.254.3', '192.0.2.1'), virtualSubnetId: 5002 });
  t.strictSame([...(use()?.get(5001) ?? [])], [['2001:db8::2', 2]]);
  t.strictSame([...(use()?.get(5002) ?? [])], [['192.0.2.1', 1]]);
  await store.delete(at('b'));
  t.equal(use()?.has(5002), false);

  const routes = { kind: 'customerRoute', rdid: contoso, id: 'r' } as const;
  const route = (metric: number) => ({
    ...{ virtualSubnetId: 5001, destinationPrefix: '0.0.0.0/0', nextHop: '10.0.0.9', metric },
  });
  const destinations = () => [...(store.state.domains.get(contoso)?.routeByDestination ?? [])];
  await store.put(routes, route(1));
  await store.put(routes, route(2));
  t.strictSame(destinations(), [['0.0.0.0/0 2', 'r']]);
  await store.delete(routes);
  t.strictSame(destinations(), []);
  const after = snapshot(store.state);
  await store.close();
  const reopened = await openStore({ path, capacity });
  t.teardown(() => reopened.close());
  t.strictSame(snapshot(reopened.state), after);
});

t.test('a revision that is not the resource’s refuses the write', async (t) => {
  const store = await openStore({ path: storePath(t), capacity });
  t.teardown(() => store.close());
  const key = { kind: 'routingDomain', rdid: contoso } as const;
  const changed = { code: 'HNV_PRECONDITION_FAILED' } as const;
  await t.rejects(store.put(key, { name: 'a' }, { ifRevision: 7 }), changed);
  const { resource } = await store.put(key, { name: 'a' }, { ifRevision: 0 });
  await t.rejects(store.put(key, { name: 'b' }, { ifRevision: 0 }), changed);
  await t.rejects(store.delete(key, { ifRevision: resource.revision + 1 }), changed);
  const [first, second] = await Promise.allSettled([
    store.put(key, { name: 'c' }, { ifRevision: resource.revision }),
    store.put(key, { name: 'd' }, { ifRevision: resource.revision }),
  ]);
  t.equal(first.status, 'fulfilled');
  t.match(second, { reason: changed });
  t.equal(store.get(key)?.value.name, 'c');
  await store.delete(key, { ifRevision: store.revision });
  t.equal(store.get(key), undefined);
});

t.test('lists are in key order and go on after an id', async (t) => {
  const store = await openStore({ path: storePath(t), capacity });
  t.teardown(() => store.close());
  await store.put({ kind: 'routingDomain', rdid: contoso }, { name: 'a' });
  await store.put({ kind: 'routingDomain', rdid: fabrikam }, { name: 'b' });
  for (const [index, vsid] of [10_000, 5001, 1_000_000].entries()) {
    const key = { kind: 'virtualSubnet', rdid: contoso, id: `${vsid}` } as const;
    await store.put(key, { addressPrefixes: [`10.${index}.0.0/16`] });
  }
  const ids = (options: { after?: string; limit: number }) =>
    store.list('virtualSubnet', { rdid: contoso, ...options }).map(({ key }) => key.id);
  t.strictSame(ids({ limit: 10 }), ['5001', '10000', '1000000']);
  t.strictSame(ids({ limit: 1, after: '5001' }), ['10000']);
  t.strictSame(store.list('virtualSubnet', { rdid: fabrikam, limit: 10 }), []);
  t.strictSame(
    store.list('routingDomain', { limit: 10 }).map(({ key }) => key),
    [contoso, fabrikam].map((rdid) => ({ kind: 'routingDomain', rdid })),
  );
});

t.test('handles stay, and a freed one comes again only after all others', async (t) => {
  const path = storePath(t);
  const small = { ...capacity, routingDomains: 4 };
  let store = await openStore({ path, capacity: small });
  const create = async (number: number) => {
    await store.put({ kind: 'routingDomain', rdid: rdidOf(number) }, { name: `${number}` });
    return store.state.domains.get(rdidOf(number))?.handle;
  };
  t.strictSame([await create(1), await create(2)], [1, 2]);
  await store.put({ kind: 'routingDomain', rdid: rdidOf(1) }, { name: 'renamed' });
  t.equal(store.state.domains.get(rdidOf(1))?.handle, 1);
  await store.delete({ kind: 'routingDomain', rdid: rdidOf(2) });
  t.equal(await create(3), 3);
  await store.delete({ kind: 'routingDomain', rdid: rdidOf(3) });
  await store.close();

  store = await openStore({ path, capacity: small });
  t.teardown(() => store.close());
  t.equal(await create(4), 4, 'where it stood is kept over a restart');
  t.equal(await create(5), 2, 'round, past the one in use');
  t.equal(await create(6), 3);
  await t.rejects(create(7), { code: 'HNV_CAPACITY', rule: 'capacity-routing-domains' });
  t.equal(store.state.domains.get(rdidOf(1))?.handle, 1);
});

t.test('a capacity below a handle in use refuses to open', async (t) => {
  const path = storePath(t);
  const store = await openStore({ path, capacity });
  for (const number of [1, 2, 3]) {
    await store.put({ kind: 'routingDomain', rdid: rdidOf(number) }, { name: 'x' });
  }
  await store.close();
  await t.rejects(openStore({ path, capacity: { ...capacity, routingDomains: 2 } }), {
    code: 'HNV_CONFIG',
    message: /capacity\.routingDomains is 2, .* handle 3\. Set it to 3 or more/,
  });
  await (await openStore({ path, capacity: { ...capacity, routingDomains: 3 } })).close();
});

t.test('records, routes, external addresses and ports beyond the capacity are refused', async (t) => {
  const store = await openStore({
    path: storePath(t),
    capacity: {
      routingDomains: 2,
      lookupRecords: 2,
      customerRoutes: 1,
      externalAddresses: 2,
      siteConnections: 1,
      ports: 1,
    },
  });
  t.teardown(() => store.close());
  await putDomain(store, contoso, 5001);
  await putDomain(store, fabrikam, 6001);
  const putRecord = (rdid: string, id: string, address: string, vsid: number) =>
    store.put({ kind: 'lookupRecord', rdid, id }, record(address, vsid));
  await putRecord(contoso, 'a', '10.0.0.4', 5001);
  await putRecord(fabrikam, 'a', '10.0.0.4', 6001);
  await t.rejects(putRecord(contoso, 'b', '10.0.0.5', 5001), {
    code: 'HNV_CAPACITY',
    rule: 'capacity-lookup-records',
    message: 'This node has no room for so many lookup records.',
    forOperators: 'It would have 3; capacity.lookupRecords allows 2.',
  });
  await putRecord(contoso, 'a', '10.0.0.5', 5001);
  await store.delete({ kind: 'lookupRecord', rdid: fabrikam, id: 'a' });
  await putRecord(contoso, 'b', '10.0.0.6', 5001);

  const putRoute = (rdid: string, vsid: number) =>
    store.put(
      { kind: 'customerRoute', rdid, id: 'r' },
      { virtualSubnetId: vsid, destinationPrefix: '10.0.0.0/8', nextHop: '0.0.0.0', metric: 0 },
    );
  await putRoute(contoso, 5001);
  await t.rejects(putRoute(fabrikam, 6001), { code: 'HNV_CAPACITY', rule: 'capacity-customer-routes' });
  await store.delete({ kind: 'routingDomain', rdid: contoso });
  await putRoute(fabrikam, 6001);

  const putNat = (...ipAddresses: string[]) =>
    store.put(
      { kind: 'nat', rdid: fabrikam },
      natPolicy({ externalAddresses: ipAddresses.map((ipAddress) => ({ ipAddress })), staticMappings: [] }),
    );
  await putNat('203.0.113.1', '203.0.113.2');
  await putNat('203.0.113.3', '203.0.113.4');
  await t.rejects(putNat('203.0.113.3', '203.0.113.4', '203.0.113.5'), {
    code: 'HNV_CAPACITY',
    rule: 'capacity-external-addresses',
  });

  const putPort = (id: string) => store.put({ kind: 'port', id }, { customerAddresses: [], learn: false });
  await putPort('tap0');
  await putPort('tap0');
  await t.rejects(putPort('tap1'), { code: 'HNV_CAPACITY', rule: 'capacity-ports' });
  await store.delete({ kind: 'port', id: 'tap0' });
  await putPort('tap1');
});

t.test('files that are no store of this version are refused and left as they are', async (t) => {
  const newer = storePath(t);
  await (await openStore({ path: newer, capacity })).close();
  const database = new DatabaseSync(newer);
  database.exec('UPDATE meta SET schema = 99');
  database.close();
  await t.rejects(openStore({ path: newer, capacity }), {
    code: 'HNV_STORE',
    message: /written by a newer hnvgw \(schema 99; .* Start that version/,
  });

  const text = storePath(t);
  writeFileSync(
    text,
    'This is not a database, but a text that is long enough to be taken for one.\n'.repeat(20),
  );
  const foreign = storePath(t);
  const other = new DatabaseSync(foreign);
  other.exec('CREATE TABLE other (x)');
  other.close();
  for (const path of [text, foreign]) {
    const before = readFileSync(path);
    await t.rejects(openStore({ path, capacity }), {
      code: 'HNV_STORE',
      message: /is not an hnvgw store\. Set store\.path/,
    });
    t.ok(readFileSync(path).equals(before));
  }
});

t.test('a second user of the file is refused, and the first goes on', async (t) => {
  const path = storePath(t);
  const store = await openStore({ path, capacity });
  t.teardown(() => store.close());
  const run = promisify(execFile)(process.execPath, [writer, 'full', path]);
  await t.rejects(run, { message: /another process has it open/ });
  await store.put({ kind: 'routingDomain', rdid: contoso }, { name: 'x' });
});

t.test('closing commits what is queued; a closed store refuses', async (t) => {
  const path = storePath(t);
  const store = await openStore({ path, capacity });
  const queued = store.put({ kind: 'routingDomain', rdid: contoso }, { name: 'x' });
  await store.close();
  t.ok((await queued).created);
  await t.rejects(store.put({ kind: 'routingDomain', rdid: fabrikam }, { name: 'x' }), { code: 'HNV_STORE' });
  await t.rejects(store.audit.list({ limit: 1 }), { code: 'HNV_STORE', message: /is closed/ });
  await store.close();
  const reopened = await openStore({ path, capacity });
  t.teardown(() => reopened.close());
  t.strictSame([...reopened.state.domains.keys()], [contoso]);
});

t.test('an ended subscription is not called', async (t) => {
  const store = await openStore({ path: storePath(t), capacity });
  t.teardown(() => store.close());
  const revisions: number[] = [];
  const end = store.subscribe(({ revision }) => revisions.push(revision));
  await store.put({ kind: 'routingDomain', rdid: contoso }, { name: 'x' });
  end();
  await store.delete({ kind: 'routingDomain', rdid: contoso });
  t.strictSame(revisions, [1]);
});

t.test('100,000 records are there again after a restart', async (t) => {
  const path = storePath(t);
  const store = await openStore({ path, capacity });
  await putDomain(store, contoso, 5001);
  const entries = Array.from({ length: 100_000 }, (_, index): DocumentEntry => {
    const value = record(`10.${(index >> 14) + 1}.${(index >> 7) & 127}.${(index & 127) + 1}`);
    return { entry: { kind: 'lookupRecord', rdid: contoso, id: `r${index}`, value }, pointer: `/${index}` };
  });
  await store.putAll(entries);
  await store.close();
  const start = performance.now();
  const reopened = await openStore({ path, capacity });
  t.comment(`${((performance.now() - start) / 1000).toFixed(2)} s`);
  t.teardown(() => reopened.close());
  t.equal(reopened.state.domains.get(contoso)?.lookupRecords.size, 100_000);
});
