/**
 * The gateway's own BGP with routers of the uplink, BIRD and FRR: packets come by routes that nobody else has told; what does not work
 * is withdrawn; neither the gateway's end nor bgpd's is noticed outside.
 */
import { readFileSync } from 'node:fs';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import type { BgpPeerState, BgpState } from '../../src/api/operations.ts';
import { BirdSpeaker, FrrSpeaker } from '../lab/bgp-speaker.ts';
import { CORPORATE_NIC } from '../lab/corporate-network.ts';
import { PROVIDER_NIC, UPLINK_NIC } from '../lab/gateway-node.ts';
import { runDirectory } from '../lab/gateway-remains.ts';
import { FAR_ADDRESS, INTERNET_ADDRESS, UPLINK_ADDRESS } from '../lab/internet.ts';
import { Lab } from '../lab/lab.ts';
import { Pinger } from '../lab/pinger.ts';
import { buildRoutedDomains } from '../lab/routed-domains.ts';
import { VM_SUBNET } from '../lab/site-domains.ts';
import { until } from '../lab/until.ts';
import { ping } from '../lab/vm.ts';

const OWN_ASN = 65_000;
const [BIRD_ASN, FRR_ASN] = [65_001, 4_200_000_001];
const PASSWORD = 'both-know-it';
/** Nobody has a route to these but by BGP. */
const [EXTERNAL, SHARED, FIXED] = ['203.0.113.150', '203.0.113.151', '198.18.7.7'];
const BLOCKS = [
  { portStart: 20_000, portEnd: 29_999 },
  { portStart: 30_000, portEnd: 39_999 },
] as const;
const ON_UPLINK = '198.51.100.50';
const SECOND_ROUTER = '198.51.100.3';
const host = (address: string): string => `${address}/32`;

t.test('BGP with the uplink', { timeout: 150_000 }, async (t) => {
  const lab = await Lab.create(`ubgp${process.pid}`);
  t.teardown(() => lab.close());
  const built = await buildRoutedDomains(lab, 3);
  const { gateway, corporate, internet } = built;
  const [natted, forwarded, third] = built.domains;
  if (!natted || !forwarded || !third) throw new Error('there are no three tenants');

  const other = await lab.namespace('up2');
  await corporate.join(other, CORPORATE_NIC, 'up2');
  await other.ip('addr', 'add', `${SECOND_ROUTER}/24`, 'dev', CORPORATE_NIC);
  const neighbor = { address: UPLINK_ADDRESS, asn: OWN_ASN };
  const [bird, frr] = await Promise.all([
    BirdSpeaker.start(internet.namespace, {
      ...{ asn: BIRD_ASN, routerId: INTERNET_ADDRESS, networks: ['172.16.0.0/24'] },
      neighbors: [{ ...neighbor, localAddress: INTERNET_ADDRESS, password: PASSWORD, holdTimeSeconds: 30 }],
    }),
    FrrSpeaker.start(other, {
      ...{ asn: FRR_ASN, routerId: SECOND_ROUTER, networks: ['172.17.0.0/24'] },
      neighbors: [{ ...neighbor, localAddress: SECOND_ROUTER, holdTimeSeconds: 30 }],
    }),
  ]);
  const speakers = [bird, frr];
  const passwordFile = join(lab.dir, 'uplink-password');
  await writeFile(passwordFile, `${PASSWORD}\n`, { mode: 0o600 });
  const bgp = {
    ...{ asn: OWN_ASN, routerId: UPLINK_ADDRESS },
    peers: [
      { address: INTERNET_ADDRESS, asn: BIRD_ASN, passwordFile, holdTimeSeconds: 30 },
      { address: SECOND_ROUTER, asn: FRR_ASN, holdTimeSeconds: 30 },
    ],
  };
  await gateway.configure({ uplink: { interface: UPLINK_NIC, bgp } });

  const peers = async (): Promise<BgpPeerState[]> =>
    ((await gateway.api.get('/v1/uplink-bgp')) as BgpState).peers;
  const bgpd = (): number =>
    Number.parseInt(readFileSync(join(runDirectory(gateway.instance), 'bgp/.node/bgpd.note'), 'utf8'), 10);
  t.teardown(() => {
    try {
      process.kill(bgpd(), 'SIGKILL');
    } catch {
      // It has ended as it should.
    }
  });
  const told = async (...prefixes: string[]) => {
    for (const speaker of speakers) await speaker.learned(prefixes);
  };
  const connections = () => Promise.all(speakers.map((speaker) => speaker.connection(UPLINK_ADDRESS)));
  /** Changes that BIRD has been told of so far; what it has been told again is none (bgpd does so a second after new route maps). */
  const news = async () => {
    const text = await bird.birdc('show protocols all n0');
    return {
      accepted: /Import updates:(?:\s+\S+){4}\s+(\d+)/.exec(text)?.[1],
      withdrawn: /Import withdraws:\s+(\d+)/.exec(text)?.[1],
    };
  };

  await t.test('routers are told of what works, and packets come that way', async (t) => {
    await natted.putNat(EXTERNAL, { ipAddress: SHARED, ...BLOCKS[0] });
    await third.putNat({ ipAddress: SHARED, ...BLOCKS[1] });
    await forwarded.putForwarding({
      ...{ addresses: [`${ON_UPLINK}/24`], nextHops: [INTERNET_ADDRESS], advertise: [VM_SUBNET] },
    });
    await gateway.restart();
    for (const speaker of speakers) await speaker.established();
    await told(host(EXTERNAL), host(SHARED), VM_SUBNET);
    for (const speaker of speakers) {
      const routes = await speaker.routes();
      t.match(routes.get(host(EXTERNAL)), { nextHops: [UPLINK_ADDRESS], asPath: [OWN_ASN] });
      t.match(routes.get(VM_SUBNET), { nextHops: [ON_UPLINK], asPath: [OWN_ASN] });
    }
    const page = await natted.vm.fetch(`http://${FAR_ADDRESS}/`);
    // NAT takes one of the two.
    t.ok([EXTERNAL, SHARED].includes(JSON.parse(page.body).yourAddress), page.body);
    t.equal((await forwarded.vm.ping(FAR_ADDRESS)).received, 3);
    t.equal((await ping(internet.namespace, forwarded.vm.ip)).received, 3, 'unasked');
  });

  await t.test('nothing is learned, and the password is in no argument, log or answer', async (t) => {
    const state = await until('both sessions are shown', 10_000, async () => {
      const found = await peers();
      return found.every((peer) => peer.state === 'Established' && peer.prefixesSent === 3) && found;
    });
    t.match(state, [
      { name: INTERNET_ADDRESS, asn: BIRD_ASN, prefixesAccepted: 0 },
      { name: SECOND_ROUTER, asn: FRR_ASN, prefixesAccepted: 0 },
    ]);
    t.equal(await gateway.namespace.ip('route', 'show', 'proto', 'bgp'), '');
    t.notMatch(await gateway.namespace.ip('route', 'show', 'table', 'all'), /172\.1[67]\./);
    t.notMatch(readFileSync(`/proc/${bgpd()}/cmdline`, 'utf8'), PASSWORD);
    t.notMatch(gateway.process.lines.join('\n'), PASSWORD);
    t.notMatch(JSON.stringify(await gateway.api.get('/v1/uplink-bgp')), PASSWORD);
    const metrics = await gateway.api.request('GET', '/metrics');
    t.match(String(metrics.body), `hnvgw_uplink_bgp_session_up{peer="${INTERNET_ADDRESS}"} 1`);
  });

  await t.test('the gateway is killed and starts again: the same sessions, nothing told', async (t) => {
    const before = [await connections(), await news(), bgpd()];
    t.match(before[1], { accepted: '3', withdrawn: '0' });
    const pinger = await Pinger.answered(internet.namespace, forwarded.vm.ip);
    for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
      await gateway.restart(signal);
      await until('sessions are known', 10_000, async () =>
        (await peers()).every((peer) => peer.state === 'Established' && peer.prefixesSent === 3),
      );
    }
    t.same([await connections(), await news(), bgpd()], before);
    t.same((await pinger.stop()).lost, []);
  });

  await t.test('bgpd is killed: it is back within seconds, and routers keep what it has told', async (t) => {
    const pinger = await Pinger.answered(internet.namespace, forwarded.vm.ip);
    const before = bgpd();
    const killed = performance.now();
    process.kill(before, 'SIGKILL');
    await until('sessions are there again', 15_000, async () => {
      const found = await peers();
      return bgpd() !== before && found.every((peer) => peer.state === 'Established');
    });
    t.comment(`back after ${((performance.now() - killed) / 1000).toFixed(1)} s`);
    await told(host(EXTERNAL), host(SHARED), VM_SUBNET);
    t.same((await pinger.stop()).lost, []);
  });

  await t.test('what a domain gets and loses is told, and nothing else', async () => {
    await third.putNat({ ipAddress: SHARED, ...BLOCKS[1] }, FIXED);
    await told(host(EXTERNAL), host(SHARED), host(FIXED), VM_SUBNET);
    await third.delete('nat');
    await told(host(EXTERNAL), host(SHARED), VM_SUBNET);
    await natted.putNat(EXTERNAL);
    await told(host(EXTERNAL), VM_SUBNET);
  });

  for (const nic of [PROVIDER_NIC, UPLINK_NIC])
    await t.test(`${nic} is down: everything is withdrawn until it is up again`, async (t) => {
      const before = await connections();
      const defaultRoute = ['route', 'replace', 'default', 'via', INTERNET_ADDRESS] as const;
      await gateway.namespace.ip('link', 'set', nic, 'down');
      await until('nothing is announced', 10_000, async () =>
        (await peers()).every(({ prefixesSent }) => prefixesSent === 0),
      );
      if (nic === PROVIDER_NIC) await told();
      await gateway.namespace.ip('link', 'set', nic, 'up');
      await gateway.namespace.ip(...defaultRoute);
      await told(host(EXTERNAL), VM_SUBNET);
      if (nic === PROVIDER_NIC) t.same(await connections(), before, 'the sessions go on');
      await until('packets pass', 10_000, async () => {
        return (await ping(internet.namespace, forwarded.vm.ip, 1)).received === 1;
      });
    });

  await t.test('a domain that is deleted is told of no more', async () => {
    await gateway.api.delete(`${forwarded.base}?wait=10s`);
    await told(host(EXTERNAL));
  });

  await t.test('a password that is none is refused, and without configuration nothing runs', async (t) => {
    await gateway.kill();
    await writeFile(passwordFile, 'two words\n');
    await t.rejects(gateway.start(), /uplink\.bgp\.peers\[0\]\.passwordFile: .* must have one line/);
    await gateway.configure({ uplink: { interface: UPLINK_NIC } });
    await gateway.start();
    t.equal((await gateway.api.request('GET', '/v1/uplink-bgp')).status, 404);
    t.same(await readdir(join(runDirectory(gateway.instance), 'bgp')).catch(() => []), []);
    await told();
  });
});
