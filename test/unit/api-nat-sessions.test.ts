/** The list of NAT sessions: filters, both forms, limits, and that a list ends with its reader. */
import { request } from 'node:http';
import t from 'tap';
import { until } from '../lab/until.ts';
import { contosoPath, natSession, putTenant, type RunningApi, runApi } from './api-server.ts';

const path = `${contosoPath}/nat/sessions`;

async function runWithTenant(test: Parameters<typeof runApi>[0]): Promise<RunningApi> {
  const api = await runApi(test);
  await putTenant(api);
  return api;
}

/** So many that no socket's buffer takes them. */
const many = Array.from({ length: 100_000 }, (_, n) => ({ ...natSession, internalPort: n % 65536 }));

/** A reader that takes nothing of the answer. */
function stalled(api: RunningApi): Promise<{ destroy: () => void }> {
  return new Promise((resolve, reject) => {
    const asking = request(api.base + path, (answer) => {
      answer.pause();
      resolve({ destroy: () => answer.destroy() });
    });
    asking.on('error', reject);
    asking.end();
  });
}

t.test('sessions are listed as one document, or one a line', async (t) => {
  const api = await runWithTenant(t);
  const listed = await api.request('GET', path);
  t.strictSame([listed.status, listed.type, listed.body], [200, 'application/json', { items: [natSession] }]);
  const accept = { accept: 'application/x-ndjson' };
  const lines = await api.request('GET', path, undefined, accept);
  t.strictSame([lines.status, lines.type], [200, 'application/x-ndjson']);
  t.equal(lines.body as unknown, `${JSON.stringify(natSession)}\n`);

  api.operations.nat = { use: { sessions: 0, refused: { limit: 0, ports: 0, bindings: 0 } }, sessions: [] };
  t.strictSame((await api.request('GET', path)).body, { items: [] });
  t.equal((await api.request('GET', path, undefined, accept)).body, undefined);
});

t.test('a list of many parts is whole, and ends at its limit', async (t) => {
  const api = await runWithTenant(t);
  const sessions = many.slice(0, 1234);
  api.operations.nat = { use: { sessions: 1234, refused: { limit: 0, ports: 0, bindings: 0 } }, sessions };
  t.strictSame((await api.request('GET', path)).body, { items: sessions });
  for (const limit of [1, 100, 101]) {
    t.strictSame((await api.request('GET', `${path}?limit=${limit}`)).body, {
      items: sessions.slice(0, limit),
    });
    t.ok(api.operations.lists.at(-1)?.isOver, 'what is not listed is not read');
  }
  const lines = await api.request('GET', path, undefined, { accept: 'application/x-ndjson' });
  const read = String(lines.body).trimEnd().split('\n');
  t.strictSame(
    read.map((line) => JSON.parse(line)),
    sessions,
  );
});

t.test('filters are asked for as they are meant, and wrong ones are refused with their rule', async (t) => {
  const api = await runWithTenant(t);
  const all =
    'protocol=tcp&direction=outbound&internalAddress=10.1.1.11&internalPort=1&externalAddress=2001:DB8::0:1' +
    '&externalPort=2&remoteAddress=198.51.100.9&remotePort=0&state=timeWait&limit=5';
  t.equal((await api.request('GET', `${path}?${all}`)).status, 200);
  t.strictSame(api.operations.lists.at(-1)?.filter, {
    ...{ protocol: 'tcp', direction: 'outbound', internalAddress: '10.1.1.11', internalPort: 1 },
    ...{ externalAddress: '2001:db8::1', externalPort: 2, remoteAddress: '198.51.100.9', remotePort: 0 },
    state: 'timeWait',
  });
  const refused: [query: string, rule: string, told: RegExp][] = [
    [
      'internalAddress=10.1.1.256',
      'ip-address',
      /internalAddress is "10.1.1.256", but must be an IPv4 or IPv6 address/,
    ],
    ['externalAddress=fe80::1%25eth0', 'ip-address', /externalAddress/],
    ['remoteAddress=x', 'min-length', /remoteAddress/],
    ['internalPort=65536', 'maximum', /internalPort is 65536, but must be at most 65535/],
    ['remotePort=http', 'type', /remotePort/],
    ['protocol=tpc', 'pattern', /protocol is "tpc".*tcp, udp, icmp/],
    ['direction=out', 'enum', /direction is "out", but must be one of outbound, inbound, hairpin/],
    ['state=open', 'enum', /state is "open".*established/],
    ['limit=0', 'minimum', /limit is 0, but must be at least 1/],
    ['port=80', 'unknown-field', /port is no known field; known are protocol, direction, internalAddress/],
  ];
  for (const [query, rule, told] of refused) {
    const { status, body } = await api.request('GET', `${path}?${query}`);
    t.strictSame([status, body.rule], [400, rule], query);
    t.match(body.detail, told);
  }
});

t.test('there are no sessions of a domain that has no gateway here, or is not there', async (t) => {
  const api = await runWithTenant(t);
  api.operations.nat = undefined;
  const { status, body } = await api.request('GET', path);
  t.equal(status, 404);
  t.match(body.detail, /no routing context of routing domain 11111111/);
  const nobody = '/v1/routing-domains/99999999-9999-9999-9999-999999999999/nat/sessions';
  t.equal((await api.request('GET', nobody)).status, 404);
  const { body: counters } = await api.request('GET', `${contosoPath}/counters`);
  t.notOk('nat' in counters);
});

t.test('a list is read as fast as its client reads, and ends with it', async (t) => {
  const api = await runWithTenant(t);
  api.operations.nat = { use: { sessions: 1, refused: { limit: 0, ports: 0, bindings: 0 } }, sessions: many };
  const { lists } = api.operations;
  const readers = [await stalled(api), await stalled(api), await stalled(api), await stalled(api)];
  t.strictSame(
    lists.map(({ isOver }) => isOver),
    [false, false, false, false],
  );
  const fifth = await api.request('GET', path);
  t.equal(fifth.status, 429);
  t.match(fifth.headers.get('retry-after'), /^\d+$/);
  for (const reader of readers) reader.destroy();
  await until('the lists have ended', 5000, () => lists.every(({ isOver }) => isOver));
  t.equal((await api.request('GET', `${path}?limit=1`)).status, 200);
});

t.test('what NAT is used for is among the counters', async (t) => {
  const api = await runWithTenant(t);
  const { body } = await api.request('GET', `${contosoPath}/counters`);
  t.strictSame((body as unknown as { nat: object }).nat, api.operations.nat?.use);
});
