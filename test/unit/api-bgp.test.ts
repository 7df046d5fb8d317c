/** Forwarding and BGP over REST: passwords go in and never come out, what sessions do, and the routes page by page. */
import t, { type Test } from 'tap';
import type { BgpState } from '../../src/api/operations.ts';
import { contosoPath, putTenant, type RunningApi, runApi } from './api-server.ts';
import { bgpBody, forwardingBody, knownRoutes, password, speaker } from './routed-domain.ts';
import { formsOf } from './site-connection.ts';

const path = `${contosoPath}/bgp`;
const rdid = contosoPath.slice(-36);
const newPassword = 'ostrich-8Wy-feldspar-27182';
const [first, second] = bgpBody.peers;
const { password: _, ...withoutPassword } = first as { password: string } & typeof first;
const withPeers = (...peers: unknown[]) => ({ ...bgpBody, peers });

/** An API with the tenant, and all that it has answered. */
async function start(t: Test): Promise<{ api: RunningApi; answers: string[] }> {
  const api = await runApi(t);
  await putTenant(api);
  const answers: string[] = [];
  const { request } = api;
  api.request = async (method, at, body, headers) => {
    const answer = await request(method, at, body, headers);
    answers.push(`${method} ${at}: ${JSON.stringify(answer.body)} ${JSON.stringify([...answer.headers])}`);
    return answer;
  };
  return { api, answers };
}

const passwords = ({ store }: RunningApi) =>
  store.get({ kind: 'bgp', rdid })?.value.peers.map((peer) => peer.password);

function leaks(answers: readonly string[]): string[] {
  const forms = [password, newPassword].flatMap(formsOf);
  const all = forms.flatMap((form) => [form, JSON.stringify(form).slice(1, -1)]);
  return answers.filter((answer) => all.some((form) => answer.includes(form)));
}

t.test('forwarding is written, read, patched and removed', async (t) => {
  const { api } = await start(t);
  const at = `${contosoPath}/forwarding`;
  const read = await api.request('GET', at);
  t.match(read.body, { rdid, ...forwardingBody, status: { state: 'pending' } });
  const patched = await api.request('PATCH', at, { destinationPrefixes: null });
  t.equal(patched.status, 200);
  t.notOk('destinationPrefixes' in patched.body);
  t.equal((await api.request('DELETE', at)).status, 409, 'BGP has peers on it');
  t.equal((await api.request('DELETE', path)).status, 204);
  t.equal((await api.request('DELETE', at)).status, 204);
  t.equal((await api.request('GET', at)).status, 404);
});

t.test('no answer has a password in it', async (t) => {
  const { api, answers } = await start(t);
  t.strictSame(passwords(api), [password, undefined]);
  for (const answer of [
    await api.request('GET', path),
    await api.request('PUT', path, withPeers({ ...first, password: newPassword }, second)),
    await api.request('PATCH', path, { hostRoutes: true }),
    await api.request('PATCH', path, {
      peers: [
        { ...first, password },
        { ...second, password: newPassword },
      ],
    }),
  ]) {
    t.equal(answer.status, 200);
    t.match(answer.body, { asn: bgpBody.asn, peers: [withoutPassword, second] });
  }
  t.strictSame(passwords(api), [password, newPassword]);
  api.operations.speaker = { state: speaker, routes: knownRoutes };
  for (const each of ['peers', 'routes']) t.equal((await api.request('GET', `${path}/${each}`)).status, 200);
  for (const each of ['/v1/policy', '/v1/audit', '/v1/status', '/metrics'])
    t.equal((await api.request('GET', each)).status, 200, each);
  for (const event of api.operations.events.since(undefined)) answers.push(JSON.stringify(event));
  t.strictSame(leaks(answers), []);
});

t.test('no refusal quotes a password, or what stands in its place', async (t) => {
  const { api, answers } = await start(t);
  const { revision } = api.store;
  const wrong: unknown[] = [
    withPeers({ ...first, password: `${newPassword} ` }),
    withPeers({ ...first, password: newPassword.repeat(9) }),
    withPeers({ ...first, password: [newPassword] }),
    withPeers({ ...first, password: { newPassword } }),
    withPeers({ ...first, password: newPassword, asn: newPassword.length * 1e9 }),
    withPeers([{ ...first, password: newPassword }]),
    withPeers({ ...first, password: newPassword, address: '192.0.2.1' }),
    { ...bgpBody, peers: { ...first, password: newPassword } },
    [withPeers({ ...first, password: newPassword })],
  ];
  for (const body of wrong) {
    t.equal((await api.request('PUT', path, body)).status, 400, JSON.stringify(body));
    const document = { routingDomains: [{ rdid, name: 'Contoso', bgp: body }] };
    t.equal((await api.request('POST', '/v1/policy', document)).status, 400, JSON.stringify(body));
  }
  t.equal(api.store.revision, revision);
  const parts = [newPassword, newPassword.slice(0, 5), newPassword.slice(-5)];
  t.strictSame(
    answers.filter((answer) => parts.some((part) => answer.includes(part))),
    [],
  );
});

t.test('who leaves a password out keeps it, by the name of the peer; null takes it away', async (t) => {
  const { api } = await start(t);
  t.equal((await api.request('PUT', path, withPeers(second, withoutPassword))).status, 200);
  t.strictSame(passwords(api), [undefined, password], 'wherever in the list the peer is');
  const { body: policy } = await api.request('GET', '/v1/policy');
  const { revision } = api.store;
  for (const method of ['PUT', 'POST'])
    t.match(await api.request(method, '/v1/policy', policy), { status: 200, body: { changed: 0 } });
  t.equal(api.store.revision, revision);
  t.equal((await api.request('PUT', path, withPeers({ ...withoutPassword, name: 'other' }))).status, 200);
  t.strictSame(passwords(api), [undefined], 'another peer has none');
  t.equal((await api.request('PUT', path, withPeers(first))).status, 200);
  t.equal((await api.request('PATCH', path, { peers: [{ ...first, password: null }] })).status, 200);
  t.strictSame(passwords(api), [undefined]);
});

t.test('a change of passwords and peers is told without passwords', async (t) => {
  const { api, answers } = await start(t);
  const change = async (...peers: unknown[]) => {
    const document = {
      routingDomains: [{ rdid, name: 'Contoso', labels: { tier: 'gold' }, bgp: withPeers(...peers) }],
    };
    const { body } = await api.request('POST', '/v1/policy', document);
    return (body as unknown as { changes: { path: string; fields: object[] }[] }).changes;
  };
  t.strictSame(await change({ ...first, password: newPassword }, second), [
    { change: 'changed', path, fields: [{ pointer: '/peers/0/password' }] },
  ]);
  const third = { name: 'third', address: '10.40.0.4', asn: 65010, password: newPassword };
  const [added] = await change(first, second, third);
  t.match(added?.fields, [
    { pointer: '/peers/0/password' },
    { pointer: '/peers/2', after: { name: 'third', holdTimeSeconds: 90 } },
  ]);
  const [removed] = await change(first);
  t.match(removed?.fields, [{ pointer: '/peers/1' }, { pointer: '/peers/2', before: { name: 'third' } }]);
  t.strictSame(leaks(answers), []);
});

t.test('sessions are told as they are just now, and how they stand where nothing runs', async (t) => {
  const { api } = await start(t);
  const stopped = await api.request('GET', `${path}/peers`);
  t.match(stopped.body as unknown, {
    peers: [
      { name: 'corporate', asn: 65010, state: 'Stopped', lastError: 'not programmed yet' },
      { name: 'second', address: '10.40.0.3', state: 'Stopped' },
    ],
    memoryBytes: 0,
  } satisfies { peers: Partial<BgpState['peers'][number]>[]; memoryBytes: number });
  t.strictSame((await api.request('GET', `${path}/routes`)).body as unknown, { items: [] });
  api.operations.speaker = { state: { ...speaker, refused: 'No.' }, routes: [] };
  const live = await api.request('GET', `${path}/peers`);
  t.strictSame(live.body as unknown, { ...speaker, refused: 'No.' });
  t.equal(live.headers.get('cache-control'), 'no-store');

  t.match(await api.request('GET', '/v1/uplink-bgp'), { status: 404, body: { code: 'HNV_NOT_FOUND' } });
  api.operations.uplinkSpeaker = speaker;
  t.strictSame((await api.request('GET', '/v1/uplink-bgp')).body as unknown, speaker);

  await api.request('DELETE', path);
  for (const nothing of [`${path}/peers`, `${path}/routes`, `${path.replace('1111', '9999')}/routes`])
    t.equal((await api.request('GET', nothing)).status, 404, nothing);
});

t.test('metrics have the sessions', async (t) => {
  const { api } = await start(t);
  const values = async () =>
    [...String((await api.request('GET', '/metrics')).body).matchAll(/^hnvgw_(?:uplink_)?bgp_.*$/gm)].map(
      ([line]) => line.replace(/routing_domain="[^"]*",?/, ''),
    );
  t.strictSame(await values(), []);
  api.operations.speaker = { state: speaker, routes: [] };
  api.operations.uplinkSpeaker = { ...speaker, peers: speaker.peers.slice(0, 1) };
  t.strictSame(await values(), [
    'hnvgw_uplink_bgp_session_up{peer="corporate"} 1',
    'hnvgw_uplink_bgp_prefixes{peer="corporate"} 3',
    'hnvgw_bgp_session_up{peer="corporate"} 1',
    'hnvgw_bgp_session_up{peer="second"} 0',
    ...['received', 'accepted', 'sent'].map(
      (which, at) => `hnvgw_bgp_prefixes{peer="corporate",prefixes="${which}"} ${[12, 10, 3][at]}`,
    ),
    ...['received', 'accepted', 'sent'].map(
      (which) => `hnvgw_bgp_prefixes{peer="second",prefixes="${which}"} 0`,
    ),
    'hnvgw_bgp_memory_bytes{} 12582912',
  ]);
});

t.test('routes come page by page, in order, and only those that were asked for', async (t) => {
  const { api } = await start(t);
  const many = Array.from({ length: 400 }, (_, at) => ({
    ...(knownRoutes[1] as (typeof knownRoutes)[number]),
    prefix: `172.20.${at >> 8}.${at & 255}/32`,
  }));
  const routes = [...knownRoutes.slice(0, 5), ...many, ...knownRoutes.slice(5)];
  api.operations.speaker = { state: speaker, routes };
  const read = async (query: string) => {
    const { status, body } = await api.request('GET', `${path}/routes${query}`);
    t.equal(status, 200, query);
    return body as unknown as { items: typeof knownRoutes; next?: string };
  };
  for (const limit of [1, 2, 3, 150, 1000]) {
    const all: typeof knownRoutes = [];
    for (let cursor: string | undefined = ''; cursor !== undefined; ) {
      const page = await read(`?limit=${limit}${cursor === '' ? '' : `&cursor=${cursor}`}&prefix=0.0.0.0/0`);
      t.ok(page.items.length <= limit);
      all.push(...page.items);
      cursor = limit < 150 && all.length > 12 ? undefined : page.next;
    }
    const [own, wide, bySecond, byFirst, ...rest] = routes.slice(0, -1);
    t.strictSame(all, [own, wide, byFirst, bySecond, ...rest].slice(0, all.length), `limit ${limit}`);
    if (limit >= 150) t.equal(all.length, 406);
  }
  const prefixes = async (query: string) => (await read(query)).items.map(({ prefix }) => prefix);
  t.strictSame(await prefixes('?prefix=172.16.0.0/15'), ['172.16.9.0/24', '172.16.9.0/24', '172.17.0.0/16']);
  t.strictSame(await prefixes('?peer=second'), ['172.16.9.0/24', '192.0.2.0/24']);
  t.strictSame(await prefixes('?prefix=2001:DB8::/32&peer=corporate'), ['2001:db8:7::/48']);
  t.strictSame(await prefixes('?peer=nobody'), []);
  const cursorOf = (text: string) => Buffer.from(text).toString('base64url');
  t.strictSame(await prefixes(`?cursor=${cursorOf('172.255.0.0/16 gone')}`), [
    '192.0.2.0/24',
    '2001:db8:7::/48',
  ]);
  for (const [query, rule] of [
    ['prefix=172.16.0.0', 'ip-prefix'],
    ['prefix=999.0.0.0/8', 'ip-prefix'],
    ['peer=%20', 'pattern'],
    ['limit=0', 'minimum'],
    [`cursor=${cursorOf('999.0.0.0/8 x')}`, 'cursor'],
    ['cursor=x', 'cursor'],
  ] as const)
    t.match(await api.request('GET', `${path}/routes?${query}`), { status: 400, body: { rule } }, query);
});

t.test('events of sessions are told', async (t) => {
  const { api } = await start(t);
  api.operations.events.add({
    type: 'bgpPeer',
    routingDomainId: rdid,
    path,
    what: 'down',
    reason: 'It is gone.',
  });
  t.match(api.operations.events.since(undefined).at(-1), { type: 'bgpPeer', what: 'down' });
  t.equal((await api.request('GET', '/v1/events?type=bgpPeer')).status, 200);
});
