/** What one may ask of site connections beside that they are there: when they begin, which one carries, how much, and over what. */
import t, { type Test } from 'tap';
import { ask, startEcho } from '../lab/echo.ts';
import { Lab } from '../lab/lab.ts';
import type { Namespace } from '../lab/namespace.ts';
import type { Site } from '../lab/site.ts';
import {
  addSite,
  buildSiteDomains,
  connectionTo,
  SITE_SUBNET,
  tunnelTo,
  VM_SUBNET,
} from '../lab/site-domains.ts';
import { trafficDuring } from '../lab/traffic.ts';
import { until } from '../lab/until.ts';
import { ping } from '../lab/vm.ts';

const EXTERNAL = ['198.51.100.101', '198.51.100.102'] as const;
const EXTERNAL6 = '2001:db8:100::101';
const KEY = 'the key of both sides';
const SITE_SUBNET6 = 'fd00:50::/64';
const VM_SUBNET6 = 'fd00:1:1::/64';
const BRANCH_SUBNET = '192.168.60.0/24';
/** Nobody is there. */
const NOWHERE = '192.0.2.99';
const RATE_KBPS = 1000;
const IDLE_SECONDS = 10;

t.test('options of site connections', { timeout: 180_000 }, async (t) => {
  const lab = await Lab.create(`s2so${process.pid}`);
  t.teardown(() => lab.close());
  const built = await buildSiteDomains(lab, () => VM_SUBNET6);
  const [first, second] = built.domains;
  const both = {
    subnets: [SITE_SUBNET, SITE_SUBNET6],
    remotePrefixes: [VM_SUBNET, BRANCH_SUBNET, VM_SUBNET6],
  };
  const west = await addSite(built, {
    ...{ name: 'west', addresses: ['192.0.2.10', '192.0.2.11', '2001:db8:500::10'], ...both },
  });
  const east = await addSite(built, { name: 'east', addresses: ['192.0.2.20'], ...both });
  await first.putNat(EXTERNAL[0], EXTERNAL6);
  await second.putNat(EXTERNAL[1]);

  const reaches = async (t: Test, from: Namespace, to: string, received: 0 | 1 = 1) =>
    t.equal((await ping(from, to, 1)).received, received, to);

  /** Idle from now on; looked at again at the end. */
  await t.test('a tunnel on traffic comes with the first packet', async (t) => {
    await east.setTunnels([tunnelTo(EXTERNAL[1], east, KEY)]);
    const body = connectionTo(east, KEY, { initiate: 'onTraffic', idleDisconnectSeconds: IDLE_SECONDS });
    await second.putConnection('idle', body);
    t.match(await second.reaches('idle', 'listening'), { ikeSas: [] });
    const { received } = await second.vm.ping(east.hostAddress(), 5);
    t.ok(received > 0, `${received} of 5 pings were answered`);
    await second.reaches('idle', 'connected');
  });

  await t.test('one that never begins waits for the site', async (t) => {
    await west.setTunnels([tunnelTo(EXTERNAL[0], west, KEY)]);
    await first.putConnection('office', connectionTo(west, KEY, { initiate: 'never' }));
    await reaches(t, first.vm.namespace, west.hostAddress(), 0);
    t.match(await first.live('office'), { state: 'listening', ikeSas: [] });
    await west.initiate('cloud');
    await first.reaches('office', 'connected');
    await reaches(t, first.vm.namespace, west.hostAddress());
  });

  await t.test('of several destinations, the one that answers is taken', async (t) => {
    await first.putConnection('office', connectionTo(west, KEY, { destination: [NOWHERE, west.address] }));
    const { ikeSas } = await first.reaches('office', 'connected', () => true, 40_000);
    t.match(ikeSas, [{ remoteAddress: west.address }]);
    await reaches(t, first.vm.namespace, west.hostAddress());
  });

  await t.test('IPv6 in a tunnel over IPv4, and in one over IPv6', async (t) => {
    const check = async () => {
      for (const prefix of both.subnets) {
        const address = prefix === SITE_SUBNET6 ? first.vm.ip6 : first.vm.ip;
        await reaches(t, first.vm.namespace, west.hostAddress(prefix));
        await reaches(t, west.host, address);
      }
    };
    await first.putConnection('office', connectionTo(west, KEY));
    await first.reaches('office', 'connected');
    await check();
    const destination = west.spec.addresses[2] ?? '';
    await west.setTunnels([tunnelTo(EXTERNAL6, west, KEY)]);
    await first.putConnection('office', connectionTo(west, KEY, { destination }));
    t.match(await first.reaches('office', 'connected'), {
      ikeSas: [{ localAddress: EXTERNAL6, remoteAddress: destination }],
    });
    await check();
    await startEcho(west.host, 'west', ['tcp:[::]:80']);
    t.match(await ask(first.vm.namespace, `tcp:[${west.hostAddress(SITE_SUBNET6)}]:80`), [
      { server: 'west', address: first.vm.ip6 },
    ]);
    await first.deleteConnection('office');
  });

  await t.test('of two connections to a site, the one of the lower metric that is up carries', async (t) => {
    const lines = ['192.0.2.10', '192.0.2.11'];
    const tunnels = lines.map((localAddress, index) => {
      return tunnelTo(EXTERNAL[0], west, KEY, {
        name: `line${index}`,
        localAddress,
        localId: `line${index}`,
      });
    });
    await west.setTunnels(tunnels);
    for (const [index, destination] of lines.entries())
      await first.putConnection(
        `line${index}`,
        connectionTo(west, KEY, {
          destination,
          authentication: { method: 'psk', preSharedKey: KEY, remoteId: `line${index}` },
          subnets: [{ prefix: SITE_SUBNET, metric: 10 * (index + 1) }],
        }),
      );
    for (const index of [0, 1]) await first.reaches(`line${index}`, 'connected');
    const sent = async (name: string) => {
      const { ikeSas } = await first.live(name);
      return ikeSas.flatMap(({ childSas }) => childSas).reduce((sum, child) => sum + child.sent.packets, 0);
    };
    /** That connection carries, by what status says and by where packets go. */
    const carries = async (index: number) => {
      await first.reaches(`line${index}`, 'connected', (live) => live.carries, 20_000);
      await until(`line${index} has the packets`, 10_000, async () => {
        const before = await sent(`line${index}`);
        const { received } = await ping(first.vm.namespace, west.hostAddress(), 1);
        return received === 1 && (await sent(`line${index}`)) > before;
      });
      t.match(await first.live(`line${1 - index}`), { carries: false });
    };
    await carries(0);
    await west.setTunnels(tunnels.slice(1));
    await west.swanctl('--terminate', '--ike', 'line0');
    await carries(1);
    await west.setTunnels(tunnels);
    await carries(0);
    for (const index of [0, 1]) await first.deleteConnection(`line${index}`);
  });

  await t.test('no more is carried than the limits allow, either way', async (t) => {
    await west.setTunnels([tunnelTo(EXTERNAL[0], west, KEY)]);
    await first.putConnection(
      'office',
      connectionTo(west, KEY, { txBandwidthKbps: RATE_KBPS, rxBandwidthKbps: RATE_KBPS }),
    );
    await first.reaches('office', 'connected');
    /** Five times as much as may pass, for two seconds. */
    const flood = async (from: Namespace, to: Namespace, address: string) => {
      const server = await to.spawn(['iperf3', '-s', '-1', '-B', address, '--forceflush']);
      await server.waitFor(/listening/);
      const begun = performance.now();
      const { received } = await trafficDuring(to, 'eth0', () =>
        from.runChecked(['iperf3', '-c', address, '-u', '-l', '1000', '-b', `${5 * RATE_KBPS}k`, '-t', '2']),
      );
      const seconds = (performance.now() - begun) / 1000;
      await server.end();
      // A burst may pass at once; headers of Ethernet are counted here.
      const most = (RATE_KBPS * 125 * seconds + 200_000) * 1.1;
      t.ok(received.bytes < most, `${received.bytes} bytes in ${seconds} s`);
      t.ok(received.bytes > 0.5 * RATE_KBPS * 125 * 2, 'and what may pass does');
    };
    await flood(first.vm.namespace, west.host, west.hostAddress());
    await flood(west.host, first.vm.namespace, first.vm.ip);
    await first.deleteConnection('office');
  });

  await t.test('two sites reach each other through the gateway', async (t) => {
    const branch = await addSite(built, {
      ...{ name: 'branch', addresses: ['192.0.2.30'], subnets: [BRANCH_SUBNET] },
      remotePrefixes: [VM_SUBNET, SITE_SUBNET],
    });
    const join = async (name: string, site: Site, prefix: string, other: string) => {
      const localSubnets = [VM_SUBNET, other];
      await site.setTunnels([{ ...tunnelTo(EXTERNAL[0], site, KEY), local: [prefix], remote: localSubnets }]);
      await first.putConnection(name, connectionTo(site, KEY, { subnets: [{ prefix }], localSubnets }));
    };
    await join('office', west, SITE_SUBNET, BRANCH_SUBNET);
    await join('branch', branch, BRANCH_SUBNET, SITE_SUBNET);
    for (const name of ['office', 'branch']) await first.reaches(name, 'connected');
    await reaches(t, west.host, branch.hostAddress());
    await reaches(t, branch.host, west.hostAddress());
    await reaches(t, branch.host, first.vm.ip);
    await reaches(t, first.vm.namespace, west.hostAddress());
  });

  await t.test('a tunnel that nobody uses is taken down, and comes again with traffic', async (t) => {
    const { ikeSas } = await second.reaches('idle', 'listening', () => true, (IDLE_SECONDS + 10) * 1000);
    t.same(ikeSas, []);
    t.notOk(await east.hasChild('cloud'));
    const { received } = await second.vm.ping(east.hostAddress(), 5);
    t.ok(received >= 3, `${received} of 5 pings were answered`);
  });
});
