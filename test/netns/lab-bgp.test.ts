/** The lab's BGP speakers with each other: sessions of both families, networks, password, BFD, restarts without a lost packet. */
import t from 'tap';
import { BirdSpeaker, FrrSpeaker } from '../lab/bgp-speaker.ts';
import { Lab } from '../lab/lab.ts';
import { Pinger } from '../lab/pinger.ts';
import { until } from '../lab/until.ts';

const [A, B, A6, B6] = ['192.0.2.1', '192.0.2.2', '2001:db8::1', '2001:db8::2'];
const PASSWORD = 'both-know-it';
/** Behind each of them. */
const [BEHIND_A, BEHIND_B] = ['10.1.0.0/24', '10.2.0.0/24'];

t.test('BIRD and FRR', { timeout: 60_000 }, async (t) => {
  const lab = await Lab.create(`bgps${process.pid}`);
  t.teardown(() => lab.close());
  const [a, b] = [await lab.namespace('a'), await lab.namespace('b')];
  for (const namespace of [a, b])
    await namespace.runChecked(['sysctl', '-qw', 'net.ipv6.conf.default.accept_dad=0']);
  await lab.veth(a, 'eth0', b, 'eth0');
  await a.ipBatch([`addr add ${A}/24 dev eth0`, `addr add ${A6}/64 dev eth0`, 'addr add 10.1.0.1/32 dev lo']);
  await b.ipBatch([`addr add ${B}/24 dev eth0`, `addr add ${B6}/64 dev eth0`, 'addr add 10.2.0.1/32 dev lo']);
  const session = { password: PASSWORD, bfd: true };
  const bird = await BirdSpeaker.start(a, {
    ...{ asn: 4_200_000_001, routerId: A },
    neighbors: [
      { address: B, asn: 65_002, localAddress: A, ...session },
      { address: B6, asn: 65_002, localAddress: A6 },
    ],
    networks: [{ prefix: BEHIND_A, communities: ['65001:7'], originAsn: 64_999, med: 30 }, 'fd00:a::/64'],
  });
  const frr = await FrrSpeaker.start(b, {
    ...{ asn: 65_002, routerId: B },
    neighbors: [
      { address: A, asn: 4_200_000_001, localAddress: B, ...session },
      { address: A6, asn: 4_200_000_001, localAddress: B6 },
    ],
    networks: [{ prefix: BEHIND_B, communities: ['65002:8'], originAsn: 64_998, med: 40 }, 'fd00:b::/64'],
  });
  await Promise.all([bird.established(), frr.established()]);

  await t.test('tell each other their networks, with attributes, and have BFD', async (t) => {
    t.same((await bird.learned([BEHIND_B, 'fd00:b::/64'])).get(BEHIND_B), {
      ...{ nextHops: [B], asPath: [65_002, 64_998], communities: ['65002:8'], med: 40 },
    });
    t.same((await frr.learned([BEHIND_A, 'fd00:a::/64'])).get(BEHIND_A), {
      ...{ nextHops: [A], asPath: [4_200_000_001, 64_999], communities: ['65001:7'], med: 30 },
    });
    await until('BIRD has BFD', 5_000, async () => (await bird.bfd(B)) === 'up');
    await until('FRR has BFD', 5_000, async () => (await frr.bfd(A)) === 'up');
  });

  await t.test('are killed and start again without a lost packet', async (t) => {
    const pinger = await Pinger.answered(a, '10.2.0.1');
    for (const [speaker, other, neighbor] of [
      [bird, frr, A],
      [frr, bird, B],
    ] as const) {
      const before = await other.connection(neighbor);
      await speaker.kill();
      await speaker.start();
      await other.established(neighbor);
      t.not(await other.connection(neighbor), before);
    }
    const { lost, sent } = await pinger.stop();
    t.same(lost, [], `of ${sent}`);
  });

  await t.test('tell other networks from now on', async () => {
    await bird.setNetworks(['10.3.0.0/24']);
    await frr.learned(['10.3.0.0/24']);
    await frr.setNetworks(['10.4.0.0/24']);
    await bird.learned(['10.4.0.0/24']);
  });
});
