/**
 * The BGP of a routing context with independent speakers, BIRD and FRR, on its link: what is learned and told under which policies,
 * what is said of sessions that are not there, what FRR refuses, and what happens when processes are killed.
 */
import { readFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import type { BgpPeerState, BgpRoute } from '../../src/api/operations.ts';
import { BgpSessions } from '../../src/forwarding/bgp-sessions.ts';
import type { BgpPolicy } from '../../src/policy/bgp-resources.ts';
import type { BgpPeerPlan, BgpPlan } from '../../src/policy/plan.ts';
import { BirdSpeaker, FrrSpeaker } from '../lab/bgp-speaker.ts';
import { Lab } from '../lab/lab.ts';
import { Pinger } from '../lab/pinger.ts';
import { until } from '../lab/until.ts';

const OWN_ASN = 4_200_000_001;
const [OWN, BIRD, FRR] = ['192.0.2.1', '192.0.2.2', '192.0.2.3'];
const [OWN6, BIRD6] = ['2001:db8::1', '2001:db8::2'];
const PASSWORD = 'both?know|it!';
const OTHER_AS = 'The peer is of another AS than the policy has for it.';
const RDID = 'domain';
/** Behind the context, and behind both speakers. */
const [TENANT, TENANT6, BEHIND, BEHIND6] = ['10.1.0.0/24', 'fd00:1::/64', '10.2.0.0/24', 'fd00:2::/64'];

const peer = (name: string, address: string, asn: number, more: Partial<BgpPeerPlan> = {}): BgpPeerPlan => ({
  ...{ name, address, asn, localAddress: address.includes(':') ? OWN6 : OWN, password: PASSWORD },
  ...{
    holdTimeSeconds: 9,
    maximumPrefixes: 20_000,
    ingressPolicies: [],
    egressPolicies: [],
    by: 'forwarding',
  },
  ...more,
});
const bfd = { intervalMilliseconds: 50, multiplier: 3 };
const PEERS = [peer('bird', BIRD, 65_010, { bfd }), peer('bird6', BIRD6, 65_010), peer('frr', FRR, 65_020)];
const PLAN: BgpPlan = {
  ...{ asn: OWN_ASN, routerId: OWN, peers: PEERS, networks: [TENANT, TENANT6], policies: [] },
  ...{
    maximumPaths: 8,
    gracefulRestartSeconds: 30,
    own: [TENANT, TENANT6, '192.0.2.0/24'],
    taken: ['0.0.0.0/0'],
  },
};

const commandOf = (pid: number): string => readFileSync(`/proc/${pid}/comm`, 'utf8').trim();

t.test('BGP of a context', { timeout: 150_000 }, async (t) => {
  const lab = await Lab.create(`fbgp${process.pid}`);
  t.teardown(() => lab.close());
  const [context, net, at2, at3] = [
    ...[await lab.namespace('ctx'), await lab.namespace('net')],
    ...[await lab.namespace('bird'), await lab.namespace('frr')],
  ] as const;
  await lab.veth(context, 'fwd', net, 'p1');
  await lab.veth(at2, 'eth0', net, 'p2');
  await lab.veth(at3, 'eth0', net, 'p3');
  await lab.bridge(net, 'br0', ['p1', 'p2', 'p3']);
  await context.ipBatch([
    ...[`addr add ${OWN}/24 dev fwd`, `addr add ${OWN6}/64 dev fwd nodad`],
    ...['addr add 10.1.0.1/32 dev lo', 'addr add fd00:1::1/128 dev lo'],
  ]);
  for (const [namespace, n] of [
    [at2, 2],
    [at3, 3],
  ] as const)
    await namespace.ipBatch([
      ...[`addr add 192.0.2.${n}/24 dev eth0`, `addr add 2001:db8::${n}/64 dev eth0 nodad`],
      ...['addr add 10.2.0.1/32 dev lo', 'addr add fd00:2::1/128 dev lo'],
    ]);

  const told: string[] = [];
  /** How often routes were said to have changed. */
  let changes = 0;
  const listen = () =>
    new BgpSessions(
      lab.name,
      (rdid, name, what, reason) => told.push(`${rdid} ${name} ${what}: ${reason}`),
      (rdid) => {
        t.equal(rdid, RDID);
        changes++;
      },
    );
  let sessions = listen();
  t.teardown(async () => {
    sessions.close();
    await listen().keepOnly(new Set());
  });
  const request = (plan: BgpPlan | undefined) => ({ netns: context.name, plan });
  const apply = async (t: Test, plan: BgpPlan | undefined) =>
    t.strictSame(await sessions.apply(RDID, request(plan)), []);
  const withPeer = (name: string, changes: Partial<BgpPeerPlan>, more: Partial<BgpPlan> = {}): BgpPlan => ({
    ...PLAN,
    ...more,
    peers: PEERS.map((one) => (one.name === name ? { ...one, ...changes } : one)),
  });
  const state = (name: string): BgpPeerState => {
    const found = sessions.state(RDID)?.peers.find((one) => one.name === name);
    if (found === undefined) throw new Error(`there is no peer ${name}`);
    return found;
  };
  /** Waits until the peer is so. */
  const becomes = async (
    name: string,
    what: string,
    isSo: (state: BgpPeerState) => boolean,
    timeoutMs = 15_000,
  ) => {
    let last: BgpPeerState | undefined;
    await until(what, timeoutMs, () => {
      last = state(name);
      return isSo(last);
    }).catch((error: unknown) => {
      throw new Error(`${name}: ${what}: no, ${JSON.stringify(last)} ${told.slice(-5).join('; ')}`, {
        cause: error,
      });
    });
  };
  const established = async (...names: string[]) => {
    for (const name of names) await becomes(name, 'established', (one) => one.state === 'Established');
  };
  const routes = async (): Promise<BgpRoute[]> => {
    const all: BgpRoute[] = [];
    for await (const some of sessions.routes(RDID) ?? []) all.push(...some);
    return all;
  };
  const routesTo = async (prefix: string): Promise<BgpRoute[]> =>
    (await routes()).filter((route) => route.prefix === prefix);
  const kernel = async (...args: string[]) => (await context.ip(...args)).replace(/ nhid \d+/g, '');

  const session = { asn: OWN_ASN, localAddress: BIRD, password: PASSWORD };
  const bird = await BirdSpeaker.start(at2, {
    ...{ asn: 65_010, routerId: BIRD },
    neighbors: [
      { ...session, address: OWN, bfd: true },
      { ...session, address: OWN6, localAddress: BIRD6 },
    ],
    networks: [BEHIND, BEHIND6],
  });
  const frr = await FrrSpeaker.start(at3, {
    ...{ asn: 65_020, routerId: FRR },
    neighbors: [{ ...session, address: OWN, localAddress: FRR }],
    networks: [BEHIND],
  });

  await t.test('is there with peers', async (t) => {
    await apply(t, { ...PLAN, peers: [] });
    t.equal(sessions.state(RDID), undefined);
    t.equal(sessions.routes(RDID), undefined);
    const begin = performance.now();
    await apply(t, PLAN);
    t.comment(`${Math.round(performance.now() - begin)} ms to start and configure FRR`);
    for (const name of ['bird6', 'frr', 'bird']) {
      await established(name);
      t.comment(`${Math.round(performance.now() - begin)} ms until ${name} is established`);
    }
    t.comment(`${Math.round(performance.now() - begin)} ms until three sessions are established`);
    t.comment(`${Math.round((sessions.state(RDID)?.memoryBytes ?? 0) / 1e6)} MB`);
    t.match(state('bird'), { address: BIRD, asn: 65_010, since: /^\d{4}-\d\d-\d\dT/ });
    t.ok(told.includes(`${RDID} bird up: The BGP session with ${BIRD} is established.`), told.join('\n'));
    await becomes('bird', 'has BFD', ({ bfd }) => bfd === 'up');
    t.equal(state('frr').bfd, undefined);
  });

  await t.test('shares traffic between peers, in both families', async (t) => {
    await until('both routes', 10_000, async () =>
      /nexthop via .*nexthop via /s.test(await kernel('route', 'show', BEHIND)),
    );
    t.match(await kernel('route', 'show', BEHIND), /via 192\.0\.2\.2 .*via 192\.0\.2\.3 /s);
    const byPeer = (a: BgpRoute, b: BgpRoute) => (a.peer ?? '').localeCompare(b.peer ?? '');
    t.match(await kernel('-6', 'route', 'show', BEHIND6), /proto bgp/);
    t.match((await routesTo(BEHIND)).sort(byPeer), [
      ...[
        { peer: 'bird', nextHops: [BIRD], asPath: [65_010], best: true, installed: true },
        { peer: 'frr', nextHops: [FRR], asPath: [65_020], best: true, installed: true },
      ],
    ]);
    t.match(await routesTo(BEHIND6), [
      { peer: 'bird6', nextHops: [BIRD6], installed: true, communities: [] },
    ]);
    t.match(await routesTo(TENANT), [
      { nextHops: [], asPath: [], origin: 'IGP', best: true, installed: false },
    ]);
    t.notOk('peer' in ((await routesTo(TENANT))[0] ?? {}));
  });

  await t.test('tells own networks, and nothing of what it has learned', async () => {
    const before = changes;
    await bird.setNetworks([BEHIND, BEHIND6, '10.3.0.0/24']);
    await until('it says that routes have changed', 10_000, () => changes > before);
    await until('learned', 10_000, async () => (await routesTo('10.3.0.0/24')).length === 1);
    await frr.learned([TENANT]);
    await bird.learned([TENANT, TENANT6]);
  });

  await t.test('takes nothing that is its own, or no network', async (t) => {
    const none = [
      '10.1.0.0/25',
      '192.0.2.128/25',
      '0.0.0.0/0',
      '224.1.0.0/16',
      '127.1.0.0/16',
      'fd00:1::/80',
    ];
    const some = ['0.0.0.0/1', '10.0.0.0/8', 'fd00::/32'];
    await bird.setNetworks([...none, ...some]);
    await until('learned', 10_000, async () => (await routesTo('fd00::/32')).length === 1);
    await until('learned', 10_000, async () => (await routesTo('10.0.0.0/8')).length === 1);
    await until('others gone', 10_000, async () => (await routesTo('10.3.0.0/24')).length === 0);
    const found = (await routes()).filter(({ peer }) => peer?.startsWith('bird')).map(({ prefix }) => prefix);
    t.strictSame(found, some);
  });

  await t.test('has policies of each kind, and changes them without ending sessions', async (t) => {
    await bird.setNetworks([
      ...['10.20.0.0/16', '10.20.1.0/24', '10.21.0.0/16', BEHIND6],
      { prefix: '10.22.0.0/16', originAsn: 70_000, communities: ['65010:1'] },
      { prefix: '10.23.0.0/16', originAsn: 700_000 },
      { prefix: '10.24.0.0/16', communities: ['65010:2', '65010:9'], med: 5 },
    ]);
    const found = async () =>
      (await routes()).filter((route) => route.peer === 'bird').map(({ prefix }) => prefix.slice(3, 5));
    const before = await bird.connection(OWN);
    const policies: BgpPolicy[] = [
      { name: 'not20', type: 'Deny', matchPrefixes: ['10.20.0.0/16', 'fd00:9::/48'] },
      {
        name: 'notAs',
        type: 'Deny',
        matchAsnRanges: [
          { from: 65_536, to: 70_000 },
          { from: 7, to: 7 },
        ],
      },
      {
        ...{ name: 'change', type: 'ModifyAttribute', matchCommunities: ['65010:7', '65010:2'] },
        ...{ newLocalPreference: 300, newMed: 44, addCommunities: ['65001:3', 'no-export'], prependAsn: 2 },
      },
      { name: 'not24', type: 'Deny', matchPrefixes: ['10.24.0.0/16'] },
      { name: 'only24', type: 'Allow', matchPrefixes: ['10.24.0.0/16'] },
      {
        name: 'only23',
        type: 'Allow',
        matchAsnRanges: [{ from: 699_999, to: 4_294_967_294 }],
        matchPrefixes: ['10.16.0.0/12'],
      },
      { name: 'nothing', type: 'Deny' },
      { name: 'bare', type: 'ModifyAttribute', removeAllCommunities: true },
    ];
    const ingress = async (names: string[], wanted: string[]) => {
      await apply(t, withPeer('bird', { ingressPolicies: names }, { policies }));
      let last: string[] = [];
      await until(names.join(), 10_000, async () => {
        last = await found();
        return last.join() === wanted.join();
      }).catch((error: unknown) => {
        throw new Error(`${names}: wanted ${wanted}, has ${last}`, { cause: error });
      });
    };
    await ingress([], ['20', '20', '21', '22', '23', '24']);
    await ingress(['not20'], ['21', '22', '23', '24']);
    await ingress(['notAs'], ['20', '20', '21', '23', '24']);
    await ingress(['only24', 'only23', 'nothing'], ['23', '24']);
    // What changes attributes has decided as well.
    await ingress(['not20', 'notAs', 'change', 'not24'], ['21', '23', '24']);
    t.match(await routesTo('10.24.0.0/16'), [
      {
        ...{ localPreference: 300, med: 44, communities: ['65001:3', '65010:2', '65010:9', 'no-export'] },
        asPath: [OWN_ASN, OWN_ASN, 65_010],
      },
    ]);
    await ingress(['bare'], ['20', '20', '21', '22', '23', '24']);
    t.strictSame((await routesTo('10.24.0.0/16'))[0]?.communities, []);

    const egress: BgpPolicy[] = [
      {
        name: 'tag',
        type: 'ModifyAttribute',
        matchAsnRanges: [{ from: OWN_ASN, to: OWN_ASN }],
        newMed: 9,
        addCommunities: ['65001:8'],
      },
      { name: 'nothing', type: 'Deny' },
    ];
    const tells = (names: string[]) =>
      apply(t, withPeer('frr', { egressPolicies: names }, { policies: egress }));
    await tells(['tag', 'nothing']);
    await until('with the community', 10_000, async () => {
      const route = (await frr.routes()).get(TENANT);
      return route?.med === 9 && route.communities.includes('65001:8');
    });
    await tells(['nothing']);
    await frr.learned([]);
    await tells([]);
    await frr.learned([TENANT]);
    t.equal(await bird.connection(OWN), before, 'the session has gone on');
  });

  await t.test('tells other networks without ending sessions', async (t) => {
    const before = await frr.connection(OWN);
    await apply(t, { ...PLAN, networks: [TENANT, '10.1.0.1/32', TENANT6], maximumPaths: 1 });
    await frr.learned([TENANT, '10.1.0.1/32']);
    await apply(t, PLAN);
    await frr.learned([TENANT]);
    t.equal(await frr.connection(OWN), before);
  });

  await t.test('goes on with what it had when FRR refuses something', async (t) => {
    const [before, other] = [await bird.connection(OWN), await frr.connection(OWN)];
    const wrong = withPeer('frr', { maximumPrefixes: 7 }, { networks: [TENANT6] });
    // One of its own addresses.
    const plan = {
      ...wrong,
      peers: [...wrong.peers, peer('self', OWN, 65_030, { password: 'secret-word' })],
    };
    const [trouble, ...more] = await sessions.apply(RDID, request(plan));
    const reason =
      "FRR refuses 'neighbor 192.0.2.1 remote-as 65030': Can not configure the local system as neighbor";
    t.match(trouble, { kind: 'bgp', error: { code: 'HNV_BGP', message: reason } });
    t.strictSame(more, []);
    t.equal(sessions.state(RDID)?.refused, reason);
    t.match(await sessions.apply(RDID, request(plan)), [{ error: { message: reason } }]);
    t.equal(await bird.connection(OWN), before);
    t.equal(await frr.connection(OWN), other);
    await frr.learned([TENANT]);
    await apply(t, PLAN);
    t.equal(sessions.state(RDID)?.refused, undefined);
    t.equal(await frr.connection(OWN), other);
  });

  await t.test('says why a session is not there', async (t) => {
    const reason = async (name: string, changes: Partial<BgpPeerPlan>, lastError: string) => {
      await apply(t, withPeer(name, changes));
      await becomes(
        name,
        lastError,
        (one) => one.state !== 'Established' && one.lastError === lastError,
        30_000,
      );
      await apply(t, PLAN);
    };
    await reason('frr', { asn: 65_021 }, OTHER_AS);
    await established('frr');
    await reason(
      'frr',
      { password: 'another' },
      'The peer does not answer; segments without the TCP-MD5 key of the password have come.',
    );
    await established('frr');
    await reason('frr', { address: '192.0.2.99' }, 'The peer does not answer.');
    await apply(t, { ...PLAN, asn: 64_999 });
    await becomes(
      'frr',
      'other AS',
      (one) => one.lastError === 'The peer expects another AS than 64999.',
      20_000,
    );
    await apply(t, PLAN);
    await established('bird', 'bird6', 'frr');
    t.ok(told.includes(`${RDID} frr down: ${OTHER_AS}`), told.join('\n'));
    t.notOk(told.join('\n').includes('another\n'), 'no password is told');

    await becomes('bird', 'BFD is back', (one) => one.bfd === 'up');
    const [pid] = bird.pids;
    if (pid === undefined) throw new Error('BIRD does not run');
    process.kill(pid, 'SIGSTOP');
    await becomes('bird', 'BFD', (one) => one.lastError === 'BFD has found the peer gone.');
    process.kill(pid, 'SIGCONT');
    await established('bird');
    await bird.birdc('disable n1');
    await becomes('bird6', 'ended', (one) =>
      /^The peer has ended the session: Cease.Administrative Shutdown/.test(one.lastError ?? ''),
    );
    await bird.birdc('enable n1');
    await established('bird6');
  });

  await t.test('ends a session with too many prefixes, and takes 10,000', async (t) => {
    const many = Array.from({ length: 10_000 }, (_, i) => `100.${64 + (i >> 8)}.${i & 255}.0/24`);
    await bird.setNetworks([...many, BEHIND]);
    await becomes('bird', 'prefixes', (one) => one.prefixesAccepted === many.length + 1, 30_000);
    await until('installed', 20_000, async () => (await kernel('route', 'show', many.at(-1) ?? '')) !== '');
    const begin = performance.now();
    let longest = 0;
    let last = performance.now();
    const beat = setInterval(() => {
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
    }, 1);
    const all = await routes();
    clearInterval(beat);
    t.comment(
      `${Math.round(performance.now() - begin)} ms to list them; longest turn ${Math.round(longest)} ms`,
    );
    t.strictSame(
      all
        .filter(({ prefix, installed }) => prefix.startsWith('100.') && installed)
        .map(({ prefix }) => prefix),
      many,
      'ascending, all of them in the kernel',
    );
    t.comment(`${Math.round((sessions.state(RDID)?.memoryBytes ?? 0) / 1e6)} MB`);

    await apply(t, withPeer('bird', { maximumPrefixes: 100 }));
    await becomes('bird', 'limit', ({ lastError }) =>
      /^The peer has told more prefixes than it may/.test(lastError ?? ''),
    );
    await becomes('bird', 'none of it', (one) => one.state === 'Idle' && one.prefixesAccepted === 0);
    await until(
      'none in the kernel',
      10_000,
      async () => (await kernel('route', 'show', many[0] ?? '')) === '',
    );
    // Another limit counts at once, and not after a minute.
    await bird.setNetworks([BEHIND, BEHIND6]);
    await apply(t, PLAN);
    await established('bird');
  });

  await t.test('goes on without this process, and is found again by the next', async (t) => {
    const before = await Promise.all([bird.connection(OWN), frr.connection(OWN)]);
    sessions.close();
    told.length = 0;
    sessions = listen();
    await apply(t, PLAN);
    await established('bird', 'bird6', 'frr');
    t.strictSame(told, [], 'nothing new');
    t.strictSame(await Promise.all([bird.connection(OWN), frr.connection(OWN)]), before);
  });

  await t.test('loses no packet when a process is killed, here or there', async (t) => {
    const pids = async (name: string) =>
      (await lab.run('ip', ['netns', 'pids', context.name])).stdout
        .split('\n')
        .filter((pid) => pid !== '')
        .map(Number)
        .filter((pid) => commandOf(pid) === name);
    await bird.learned([TENANT, TENANT6]);
    const both = [await Pinger.answered(context, '10.2.0.1'), await Pinger.answered(at2, '10.1.0.1')];
    for (const name of ['bgpd', 'zebra', 'bfdd']) {
      const [pid] = await pids(name);
      if (pid === undefined) throw new Error(`${name} does not run`);
      const begin = performance.now();
      process.kill(pid, 'SIGKILL');
      await until(`another ${name}`, 5_000, async () => (await pids(name)).some((one) => one !== pid));
      await until('established', 5_000, () =>
        sessions.state(RDID)?.peers.every((one) => one.state === 'Established'),
      );
      t.comment(`${name}: back after ${Math.round(performance.now() - begin)} ms`);
      await until('in the kernel', 5_000, async () =>
        /proto bgp/.test(await kernel('route', 'show', BEHIND)),
      );
    }
    await frr.kill();
    await frr.start();
    await frr.established(OWN);
    await established('frr');
    for (const pinger of both) {
      const { lost, sent } = await pinger.stop();
      t.strictSame(lost, [], `of ${sent} to ${pinger.address}`);
    }
  });

  await t.test('ends with its peers, and takes its routes along', async (t) => {
    await apply(t, { ...PLAN, peers: [] });
    t.equal((await lab.run('ip', ['netns', 'pids', context.name])).stdout, '');
    t.notMatch(await kernel('route', 'show'), /proto bgp/);
  });
});
