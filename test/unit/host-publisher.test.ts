/** What is learned here reaches the APIs of other nodes: real HTTP, real stores. */
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { dirname, join } from 'node:path';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import { buildApp } from '../../src/api/app.ts';
import { Certificate } from '../../src/api/certificate.ts';
import { openListeners } from '../../src/api/listeners.ts';
import type { PeerAddress } from '../../src/config/peer-address.ts';
import type { PeerFiles } from '../../src/host/api-peer.ts';
import type { LearnedRecord } from '../../src/host/learning.ts';
import { Publisher } from '../../src/host/publisher.ts';
import type { LookupRecord } from '../../src/policy/resources.ts';
import { openStore } from '../../src/store/sqlite.ts';
import type { Store } from '../../src/store/store.ts';
import { makePair } from '../lab/certificates.ts';
import { until } from '../lab/until.ts';
import { StandInOperations } from './api-server.ts';
import { folder, runGuarded } from './guarded-api.ts';
import { capacity, contoso, putDomain, storePath } from './store-folder.ts';

const OWN = '192.0.2.1';
const OTHER = '192.0.2.2';
const PEER = '192.0.2.9';
const NOW_MS = 1_000;
/** With the pauses after failures. */
const SOON_MS = 10_000;

const mine = (number: number): LearnedRecord => ({
  ...{ rdid: contoso, id: `dynamic-10.0.0.${number}`, providerAddress: OWN },
});
const value = (number: number, providerAddress = OWN, macAddress = '02:00:00:00:00:01'): LookupRecord => ({
  ...{ customerAddress: `10.0.0.${number}`, virtualSubnetId: 5001, macAddress, providerAddress },
  ...{ type: 'dynamic', context: 'port tap0' },
});
const keyOf = ({ rdid, id }: LearnedRecord) => ({ kind: 'lookupRecord', rdid, id }) as const;

async function storeWithDomain(t: Test): Promise<Store> {
  const store = await openStore({ path: storePath(t), capacity });
  t.teardown(() => store.close());
  await putDomain(store, contoso, 5001);
  return store;
}

interface Peer {
  store: Store;
  address: { path: string };
  get: (id: string) => LookupRecord | undefined;
  up: () => Promise<void>;
  down: () => Promise<void>;
}

/** Another node's API on a unix socket, which can go down and come up again. */
async function peer(t: Test): Promise<Peer> {
  const store = await storeWithDomain(t);
  const path = join(dirname(storePath(t)), 'api.sock');
  const make = () => buildApp({ store, operations: new StandInOperations(store), version: '0.1.0' });
  let app: ReturnType<typeof make> | undefined;
  const down = async () => {
    await app?.close();
    app = undefined;
  };
  const up = async () => {
    app = make();
    await openListeners(app, [{ path }]);
  };
  await up();
  t.teardown(down);
  const get = (id: string) => store.state.domains.get(contoso)?.lookupRecords.get(id);
  return { store, address: { path }, get, up, down };
}

interface LogLine {
  level: number;
  err?: { message: string };
  msg: string;
  peer: string;
}

function publisherOf(
  t: Test,
  store: Store,
  peers: PeerAddress[],
  files: PeerFiles = {},
): { publisher: Publisher; log: LogLine[] } {
  const log: LogLine[] = [];
  const logger = pino({ level: 'info' }, { write: (line) => log.push(JSON.parse(line)) });
  const publisher = new Publisher(store, logger, { publish: peers, ...files });
  t.teardown(() => publisher.close());
  return { publisher, log };
}

t.test('a learned record is at every peer at once, and so are its change and its end', async (t) => {
  const store = await storeWithDomain(t);
  const peers = [await peer(t), await peer(t)];
  const { publisher } = publisherOf(
    t,
    store,
    peers.map(({ address }) => address),
  );
  const record = mine(9);
  await store.put(keyOf(record), value(9));
  publisher.publish(record);
  for (const { get } of peers) t.same(await until('it is there', NOW_MS, () => get(record.id)), value(9));
  const changed = value(9, OWN, '02:00:00:00:00:77');
  await store.put(keyOf(record), changed);
  publisher.publish(record);
  for (const { get } of peers)
    await until('it has changed', NOW_MS, () => get(record.id)?.macAddress === changed.macAddress);
  await store.delete(keyOf(record));
  publisher.publish(record);
  for (const { get } of peers) await until('it is gone', NOW_MS, () => get(record.id) === undefined);
});

t.test('changes of one record that follow each other fast end with the newest', async (t) => {
  const store = await storeWithDomain(t);
  const { get, address } = await peer(t);
  const { publisher } = publisherOf(t, store, [address]);
  for (let n = 0; n < 100; n++) {
    await store.put(keyOf(mine(9)), value(9, OWN, `02:00:00:00:00:${(n + 10).toString(16)}`));
    publisher.publish(mine(9));
  }
  await until('the newest is there', NOW_MS, () => get(mine(9).id)?.macAddress === '02:00:00:00:00:6d');
});

t.test('a peer that is down gets the newest when it is back, and holds up nobody', async (t) => {
  const store = await storeWithDomain(t);
  const [up, down] = [await peer(t), await peer(t)];
  const { publisher, log } = publisherOf(t, store, [down.address, up.address]);
  await down.down();
  for (const number of [7, 8, 9]) {
    await store.put(keyOf(mine(number)), value(number));
    publisher.publish(mine(number));
  }
  await until('the other has all', NOW_MS, () => [7, 8, 9].every((n) => up.get(mine(n).id)));
  await until('the peer is known to be down', NOW_MS, () => publisher.unreachable.length === 1);
  t.same(publisher.unreachable, [`unix:${down.address.path}`]);
  await store.put(keyOf(mine(8)), value(8, OWN, '02:00:00:00:00:88'));
  publisher.publish(mine(8));
  await store.delete(keyOf(mine(9)));
  publisher.publish(mine(9));
  await down.up();
  await until('it has the newest', 5_000, () => down.get(mine(8).id)?.macAddress === '02:00:00:00:00:88');
  await until('it has the others', NOW_MS, () => down.get(mine(7).id));
  await until('it answers again', NOW_MS, () => publisher.unreachable.length === 0);
  t.equal(down.get(mine(9).id), undefined);
  const told = log.filter(({ peer }) => peer === `unix:${down.address.path}`).map(({ msg }) => msg);
  t.same(told, ['a peer does not answer', 'a peer answers again']);
});

t.test('a record that has become another node’s meanwhile is not told any more', async (t) => {
  const store = await storeWithDomain(t);
  const far = await peer(t);
  await far.down();
  const { publisher } = publisherOf(t, store, [far.address]);
  await store.put(keyOf(mine(9)), value(9));
  publisher.publish(mine(9));
  await until('it was tried', NOW_MS, () => publisher.unreachable.length === 1);
  await store.put(keyOf(mine(9)), value(9, OTHER));
  await store.put(keyOf(mine(8)), value(8));
  publisher.publish(mine(8));
  await far.up();
  await until('the other is there', 5_000, () => far.get(mine(8).id));
  t.equal(far.get(mine(9).id), undefined);
});

t.test('what is forgotten here stays where it was learned elsewhere since', async (t) => {
  const store = await storeWithDomain(t);
  const far = await peer(t);
  await far.store.put(keyOf(mine(9)), value(9, OTHER));
  await far.store.put(keyOf(mine(8)), value(8));
  const { publisher } = publisherOf(t, store, [far.address]);
  publisher.publish(mine(9));
  publisher.publish(mine(8));
  await until('this node’s own is gone', NOW_MS, () => far.get(mine(8).id) === undefined);
  t.same(far.get(mine(9).id), value(9, OTHER));
});

t.test('what was here when the process began yields to what a peer has from elsewhere', async (t) => {
  const store = await storeWithDomain(t);
  const far = await peer(t);
  await far.store.put(keyOf(mine(9)), value(9, PEER));
  for (const number of [8, 9]) await store.put(keyOf(mine(number)), value(number));
  const { publisher } = publisherOf(t, store, [far.address]);
  for (const number of [9, 8]) publisher.remind(mine(number));
  await until('the one that nobody has is there', NOW_MS, () => far.get(mine(8).id));
  t.same(far.get(mine(9).id), value(9, PEER));
});

t.test('a refused record is told once in the log and tried again only so often; others pass', async (t) => {
  const store = await storeWithDomain(t);
  const path = join(dirname(storePath(t)), 'refuses.sock');
  const seen: string[] = [];
  const server = createServer((request, response) => {
    seen.push(`${request.method} ${request.url?.split('/').at(-1)}`);
    const status = request.url?.endsWith('.9') ? 404 : 200;
    request.resume().on('end', () => response.writeHead(status).end('{"code":"HNV_NOT_FOUND"}'));
  });
  await new Promise<void>((resolve) => server.listen({ path }, resolve));
  t.teardown(() => server.close());
  const { publisher, log } = publisherOf(t, store, [{ path }]);
  for (const number of [8, 9]) {
    await store.put(keyOf(mine(number)), value(number));
    publisher.publish(mine(number));
  }
  await until('it was tried again', 5_000, () => seen.filter((line) => line.endsWith('.9')).length >= 3);
  t.equal(seen.filter((line) => line === 'PUT dynamic-10.0.0.8').length, 1);
  t.same(
    log.map(({ msg }) => msg),
    ['a peer does not take what was learned'],
  );
  t.same(publisher.unreachable, []);
});

t.test(
  'over TCP a peer is told with a token, over TLS only when its certificate is the right one',
  async (t) => {
    const store = await storeWithDomain(t);
    const dir = folder(t);
    const right = makePair(dir, 'right');
    const wrong = makePair(dir, 'wrong');
    const files = { certificateFile: join(dir, 'right.crt'), keyFile: join(dir, 'right.key') };
    const certificate = new Certificate(files, pino({ level: 'silent' }));
    t.teardown(() => certificate.close());
    const far = await runGuarded(t, { certificate });
    await putDomain(far.store, contoso, 5001);
    const address = { host: '127.0.0.1', port: far.port, tls: true };
    const tokenFile = join(dir, 'token');
    const caFile = join(dir, 'ca.pem');
    writeFileSync(caFile, wrong.cert);
    const { publisher, log } = publisherOf(t, store, [address], { tokenFile, caFile });
    await store.put(keyOf(mine(8)), value(8));
    publisher.publish(mine(8));
    const has = () => far.store.state.domains.get(contoso)?.lookupRecords.get(mine(8).id);
    const reason = () => log.at(-1)?.err?.message ?? '';
    await until('there is no token file', SOON_MS, () => /ENOENT/.test(reason()));
    t.same(publisher.unreachable, [`https://127.0.0.1:${far.port}`]);

    // The log tells once that a peer is down: how often it was asked shows on its side.
    const secret = await far.token('node', 'operator');
    writeFileSync(
      tokenFile,
      `https://192.0.2.9:443 ${'x'.repeat(50)}\nhttps://127.0.0.1:${far.port} ${secret}\n`,
    );
    let connections = 0;
    far.servers.at(-1)?.on('connection', () => connections++);
    await until('the certificate was not believed', SOON_MS, () => connections > 1);
    t.equal(has(), undefined);
    writeFileSync(caFile, right.cert);
    await until('it is there', SOON_MS, has);
    t.same(has(), value(8));
    await until('all is well', SOON_MS, () => publisher.unreachable.length === 0);

    await far.store.tokens.delete('node');
    await store.put(keyOf(mine(9)), value(9));
    publisher.publish(mine(9));
    await until('the token is refused', SOON_MS, () => /status 401/.test(reason()));
    writeFileSync(tokenFile, `${await far.token('node', 'operator')}\n`);
    const nine = () => far.store.state.domains.get(contoso)?.lookupRecords.get(mine(9).id);
    await until('the other token is taken', SOON_MS, nine);
    t.notOk(JSON.stringify(log).includes(secret.slice(-43)));
  },
);

t.test('many records go to a peer side by side', async (t) => {
  const store = await storeWithDomain(t);
  const far = await peer(t);
  const { publisher } = publisherOf(t, store, [far.address]);
  const numbers = Array.from({ length: 200 }, (_, n) => n + 2);
  await Promise.all(numbers.map((n) => store.put(keyOf(mine(n)), value(n))));
  for (const n of numbers) publisher.publish(mine(n));
  await until('all are there', 5_000, () => numbers.every((n) => far.get(mine(n).id) !== undefined));
  t.pass();
});
