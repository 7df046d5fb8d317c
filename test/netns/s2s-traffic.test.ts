/**
 * Site-to-site over the real gateway: two tenants with the same addresses, and on-premises networks with the same prefix, one of
 * them behind a NAT, reach their own VMs, and nothing else.
 */
import t, { type Test } from 'tap';
import { Capture } from '../lab/capture.ts';
import { dropsBetween, dropsOf } from '../lab/drop-counters.ts';
import { ask, startEcho } from '../lab/echo.ts';
import { INTERNET_ADDRESS } from '../lab/internet.ts';
import { Lab } from '../lab/lab.ts';
import type { Namespace } from '../lab/namespace.ts';
import type { Site } from '../lab/site.ts';
import {
  addSite,
  buildSiteDomains,
  connectionTo,
  SITE_SUBNET,
  type SiteDomain,
  tunnelTo,
  whileCapturing,
} from '../lab/site-domains.ts';
import { GATEWAY_CUSTOMER_ADDRESS } from '../lab/topology.ts';
import { serveTransfer, Transfer } from '../lab/transfer.ts';
import { ping, VM_NIC } from '../lab/vm.ts';

const SERVED = ['tcp:0.0.0.0:80', 'udp:0.0.0.0:80'];
const EXTERNAL = ['198.51.100.101', '198.51.100.102'] as const;
const SHARED = '198.51.100.103';
const BLOCKS = [
  { portStart: 20_000, portEnd: 29_999 },
  { portStart: 30_000, portEnd: 39_999 },
] as const;
const KEYS = ['the key of the first', 'the key of the second'] as const;
const TRANSFER_BYTES = 3_000_000;
const ICMP_HEADERS = 28;
const TCP_HEADERS = 40;

interface Pair {
  domain: SiteDomain;
  site: Site;
  key: string;
  external: string;
}

/** Pings once with DF, by a packet of this size, as if nothing were known of the path. */
async function pingOfSize(from: Namespace, to: string, size: number): Promise<string> {
  await from.ip('route', 'flush', 'cache');
  const args = ['-n', '-M', 'do', '-c', '1', '-W', '1', '-s', `${size - ICMP_HEADERS}`, to];
  return (await from.run(['ping', ...args])).stdout;
}

t.test('two tenants with the same on-premises prefix', { timeout: 120_000 }, async (t) => {
  const lab = await Lab.create(`s2st${process.pid}`);
  t.teardown(() => lab.close());
  const built = await buildSiteDomains(lab);
  const { gateway, domains } = built;
  const sites = [
    await addSite(built, { name: 'west', addresses: ['192.0.2.10'] }),
    await addSite(built, { name: 'east', addresses: ['192.0.2.20'], isBehindNat: true }),
  ];
  const pairs = domains.map((domain, index): Pair => {
    const site = sites[index] as Site;
    return { domain, site, key: KEYS[index] ?? '', external: EXTERNAL[index] ?? '' };
  });
  await Promise.all(
    pairs.flatMap(({ domain, site }) => [
      startEcho(site.host, site.spec.name, SERVED),
      ...domain.vms.map((vm) => startEcho(vm.namespace, vm.name, SERVED)),
    ]),
  );

  /** A tunnel from the site to the address, begun by the gateway, or by a site that is behind a NAT. */
  const connect = async ({ domain, site, key }: Pair, external: string, more = {}) => {
    const begins = site.spec.isBehindNat === true;
    await site.setTunnels([tunnelTo(external, site, key, { begins })]);
    const initiate = begins ? 'never' : 'start';
    await domain.putConnection('office', connectionTo(site, key, { initiate, ...more }));
    return domain.reaches('office', 'connected', ({ carries }) => carries);
  };

  /** Each side reaches every one of the other, and is seen as itself. */
  const reachEachOther = async (t: Test) => {
    // All at the same time: the same conversations, by their addresses.
    await Promise.all(
      pairs.flatMap(({ domain, site }) =>
        domain.vms.flatMap((vm) =>
          ['tcp', 'udp'].map(async (protocol) => {
            const [inwards] = await ask(site.host, `${protocol}:${vm.ip}:80`, {
              fromPort: vm === domain.vm ? 5001 : 5002,
            });
            t.match(inwards, { server: vm.name, address: site.hostAddress() }, `${protocol} to ${vm.name}`);
            const [outwards] = await ask(vm.namespace, `${protocol}:${site.hostAddress()}:80`, {
              fromPort: 5003,
            });
            t.match(outwards, { server: site.spec.name, address: vm.ip }, `${protocol} from ${vm.name}`);
          }),
        ),
      ),
    );
  };

  await t.test('without a tunnel, what is for the site does not go to the internet', async (t) => {
    for (const { domain, external } of pairs) await domain.putNat(external);
    for (const { domain, site, key } of pairs)
      await domain.putConnection('office', connectionTo(site, key, { initiate: 'never' }));
    const { inTheClear, capture } = await whileCapturing(built, async () => {
      for (const { domain, site } of pairs)
        t.match(await domain.vm.ping(site.hostAddress(), 1), { received: 0 });
    });
    t.same(inTheClear, []);
    t.same(await capture.decode(`ip.addr == ${SITE_SUBNET}`, ['ip.src']), []);
  });

  await t.test('the tunnels come up, and each reaches its own', async (t) => {
    for (const pair of pairs) {
      const { ikeSas } = await connect(pair, pair.external);
      const { address, spec } = pair.site;
      t.match(ikeSas, [
        { state: 'ESTABLISHED', localAddress: pair.external, remoteAddress: address, remoteId: spec.name },
      ]);
    }
    const { inTheClear } = await whileCapturing(built, async () => {
      await reachEachOther(t);
      for (const { domain, site } of pairs) {
        for (const vm of domain.vms) t.match(await vm.ping(site.hostAddress(), 1), { received: 1 }, vm.name);
        t.match(await ping(site.host, domain.vm.ip, 1), { received: 1 }, site.spec.name);
      }
    });
    t.same(inTheClear, []);
  });

  await t.test('megabytes arrive as they were sent, both ways', async (t) => {
    const transfer = async (to: Namespace, from: Namespace, address: string) => {
      const server = await serveTransfer(from, address, 8000, TRANSFER_BYTES);
      const running = await Transfer.start(to, address, 8000, 1e9);
      t.match(await running.finished(30_000), { bytes: TRANSFER_BYTES, intact: true }, address);
      await server.end();
    };
    for (const { domain, site } of pairs) {
      await transfer(site.host, domain.vm.namespace, domain.vm.ip);
      await transfer(domain.vm.namespace, site.host, site.hostAddress());
    }
  });

  await t.test('the internet is there beside it, by NAT', async (t) => {
    for (const { domain, external } of pairs) {
      const { status, body } = await domain.vm.fetch(`http://${INTERNET_ADDRESS}/`);
      t.equal(status, 200);
      t.same(JSON.parse(body), { server: 'internet', yourAddress: external });
    }
  });

  await t.test(
    'the largest packet that is promised fits, and one more is told to be too large',
    async (t) => {
      for (const { domain, site, external } of pairs) {
        const { namespace } = domain.vm;
        const refused = await pingOfSize(namespace, site.hostAddress(), 1458);
        const [, mtuText] = /[Ff]rag.*mtu ?= ?(\d+)/.exec(refused) ?? [];
        const mtu = Number(mtuText);
        t.ok(mtu >= 1380 && mtu < 1458, `the context tells of an MTU of ${mtuText}: ${refused}`);
        t.match(refused, `From ${GATEWAY_CUSTOMER_ADDRESS}`);
        const { capture } = await whileCapturing(built, async () => {
          t.match(await pingOfSize(namespace, site.hostAddress(), mtu), / 1 received/);
          t.match(await pingOfSize(namespace, site.hostAddress(), mtu + 1), `mtu = ${mtu}`);
        });
        const fragments = `ip.src == ${external} && (ip.flags.mf == 1 || ip.frag_offset > 0)`;
        t.same(await capture.decode(fragments, ['ip.len']), [], 'no packet outside had to be cut');
        const full = await capture.decode(`ip.src == ${external} && ip.len > ${mtu}`, ['ip.len']);
        t.equal(full.length, 1);
        // TCP connections are told before they find out, both sides.
        const captures = await Promise.all([
          Capture.start(namespace, VM_NIC, 'tcp[tcpflags] & tcp-syn != 0'),
          Capture.start(site.host, 'eth0', 'tcp[tcpflags] & tcp-syn != 0'),
        ]);
        await ask(namespace, `tcp:${site.hostAddress()}:80`);
        await ask(site.host, `tcp:${domain.vm.ip}:80`);
        await Promise.all(captures.map((each) => each.stop()));
        const [atVm = [], atSite = []] = await Promise.all(
          captures.map((each, index) =>
            each.decode(`ip.dst == ${index === 0 ? domain.vm.ip : site.hostAddress()}`, [
              'tcp.options.mss_val',
            ]),
          ),
        );
        const clamped = [[`${mtu - TCP_HEADERS}`], [`${mtu - TCP_HEADERS}`]];
        t.same([atVm, atSite], [clamped, clamped], 'SYN and SYN-ACK to either side');
      }
    },
  );

  await t.test('both tunnels end at one address that the tenants share', async (t) => {
    for (const [index, { domain }] of pairs.entries())
      await domain.putNat({ ipAddress: SHARED, ...BLOCKS[index] });
    for (const pair of pairs) t.match(await connect(pair, SHARED), { ikeSas: [{ localAddress: SHARED }] });
    const { inTheClear } = await whileCapturing(built, () => reachEachOther(t));
    t.same(inTheClear, []);
    for (const { domain } of pairs) {
      const { body } = await domain.vm.fetch(`http://${INTERNET_ADDRESS}/`);
      t.same(JSON.parse(body), { server: 'internet', yourAddress: SHARED });
    }
  });

  await t.test('a tenant with an address of its own takes a peer with any', async (t) => {
    const [first] = pairs;
    if (first === undefined) return;
    const { domain, site, key, external } = first;
    await domain.putNat(external);
    await domain.putConnection('office', connectionTo(site, key, { destination: 'any', initiate: 'never' }));
    await site.setTunnels([tunnelTo(external, site, key, { begins: true })]);
    const { ikeSas } = await domain.reaches('office', 'connected');
    t.match(ikeSas, [{ remoteAddress: site.address, initiator: false }]);
    await reachEachOther(t);
  });

  await t.test('a stranger is not heard at an address that tenants share', async (t) => {
    const [, second] = pairs;
    if (second === undefined) return;
    const stranger = await addSite(built, { name: 'stranger', addresses: ['192.0.2.30'] });
    await stranger.setTunnels([tunnelTo(SHARED, stranger, second.key)]);
    const before = await dropsOf(gateway, undefined);
    await t.rejects(stranger.initiate('cloud', 3));
    t.notOk(
      stranger.log.some((line) => line.includes('received packet')),
      'nobody answers',
    );
    const dropped = dropsBetween(before, await dropsOf(gateway, undefined));
    t.ok((dropped['external-peer'] ?? 0) >= 2, `told by ${JSON.stringify(dropped)}`);
  });
});
