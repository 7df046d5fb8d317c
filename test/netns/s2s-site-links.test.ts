/**
 * Link, routes and nft table of tunnels in a namespace with a context's links and settings. For charon's TUN stands a veth
 * without ARP, whose other side is the site; what goes out by `ext` in its stead is counted.
 */
import t from 'tap';
import { settingsOf, writeSettings } from '../../src/gateway/context-settings.ts';
import { uplinkHop } from '../../src/gateway/uplink-hop.ts';
import { inNetns } from '../../src/linux/netns.ts';
import { nftGeneration } from '../../src/linux/nftables.ts';
import { routerMac } from '../../src/policy/router.ts';
import {
  applySiteLinks,
  inspectSiteLinks,
  removeSiteLinks,
  type SitePath,
  type SitePlace,
} from '../../src/s2s/site-links.ts';
import { Capture } from '../lab/capture.ts';
import { ask, startEcho } from '../lab/echo.ts';
import { Lab } from '../lab/lab.ts';
import type { Namespace } from '../lab/namespace.ts';
import { sitePlan } from '../lab/site-plan.ts';

const MTU = 1300;
const families = {
  IPv4: {
    ...{ vm: '10.1.1.11', own: '10.254.254.2', external: '198.51.100.101', length: 32, ip: 'ip' },
    ...{ site: '192.168.50.10', prefix: '192.168.50.0/24', spoofed: '10.99.0.1', internet: '203.0.113.80' },
    ...{ other: '192.168.60.10', peer: '192.168.50.9', headers: 40 },
  },
  IPv6: {
    ...{ vm: 'fd00:1::11', own: 'fd00:fe::2', external: '2001:db8:100::101', length: 128, ip: 'ip6' },
    ...{ site: 'fd00:50::10', prefix: 'fd00:50::/48', spoofed: 'fd99::1', internet: '2001:db8:9::80' },
    ...{ other: 'fd00:60::10', peer: 'fd00:50::9', headers: 60 },
  },
} as const;
const both = Object.entries(families);

const connection = sitePlan({
  destinations: [families.IPv4.peer, families.IPv6.peer],
  subnets: both.map(([, { prefix }]) => ({ prefix, metric: 0 })),
});
const paths = (more: Partial<SitePath> = {}): SitePath[] =>
  both.map(([, { prefix }]) => ({ prefix, metric: 0, connection: 'branch', isWaiting: false, ...more }));

let [lab, vm, context, site, outside]: [Lab?, Namespace?, Namespace?, Namespace?, Namespace?] = [];
let place: SitePlace;

t.before(async () => {
  lab = await Lab.create(`sl${process.pid}`);
  [vm, context, site, outside] = [
    await lab.namespace('vm'),
    await lab.namespace('ctx'),
    await lab.namespace('site'),
    await lab.namespace('out'),
  ];
  await lab.veth(vm, 'eth0', context, 'hnv');
  await lab.veth(outside, 'eth0', context, 'ext');
  place = {
    ...{ netns: context.name, engine: 'userspace', mtu: MTU },
    addresses: both.map(([, { own }]) => own),
  };
  inNetns(context.name, () => writeSettings(settingsOf(undefined)));
  const each = (line: (family: (typeof both)[number][1]) => string): string[] => both.map(([, f]) => line(f));
  const hop = ({ vm: address }: { vm: string }) => uplinkHop[address.includes(':') ? 6 : 4];
  const nodad = (address: string) => (address.includes(':') ? ' nodad' : '');
  await context.ipBatch([
    ...each(({ own, length }) => `addr add ${own}/${length} dev hnv${nodad(own)}`),
    ...each(({ external, length }) => `addr add ${external}/${length} dev ext${nodad(external)}`),
    ...each(({ vm: address, length, own }) => `route add ${address}/${length} dev hnv src ${own}`),
    ...each((family) => `neigh add ${hop(family)} lladdr ${routerMac} dev ext nud permanent`),
    ...each((family) => `route add default via ${hop(family)} dev ext onlink`),
  ]);
  await outside.ip('link', 'set', 'eth0', 'address', routerMac);
  await vm.ipBatch([
    ...each(({ vm: address, length }) => `addr add ${address}/${length} dev eth0${nodad(address)}`),
    ...each(({ own, length }) => `route add ${own}/${length} dev eth0`),
    ...each(({ own }) => `route add default via ${own} dev eth0`),
  ]);
  await site.runChecked(['sysctl', '-q', '-w', 'net.ipv6.conf.all.addr_gen_mode=1']);
  for (const namespace of [outside, site])
    await namespace.runChecked(['nft', '-f', '-'], { input: COUNTERS });
});
t.teardown(() => lab?.close());

/** What arrives: for a site's prefix, or group packets of IPv6. */
const COUNTERS = `table inet seen {
  counter sites { }
  counter groups { }
  counter peers { }
  counter any { }
  chain arriving {
    type filter hook prerouting priority -400; policy accept;
    iifname != "eth0" accept
    counter name any
    ip daddr { 192.168.50.9 } counter name peers accept
    ip6 daddr { fd00:50::9 } counter name peers accept
    ip daddr 192.168.50.0/24 counter name sites
    ip6 daddr fd00:50::/48 counter name sites
    ip6 daddr ff00::/8 counter name groups
  }
}
`;

/** All that the lab has. */
function parts(): { lab: Lab; vm: Namespace; context: Namespace; site: Namespace; outside: Namespace } {
  if (!lab || !vm || !context || !site || !outside) throw new Error('the lab is not there');
  return { lab, vm, context, site, outside };
}

async function seen(
  namespace: Namespace,
  name: 'sites' | 'groups' | 'peers' | 'any',
): Promise<{ packets: number; bytes: number }> {
  const { stdout } = await namespace.runChecked(['nft', 'list', 'counter', 'inet', 'seen', name]);
  const [, packets, bytes] = /packets (\d+) bytes (\d+)/.exec(stdout) ?? [];
  return { packets: Number(packets), bytes: Number(bytes) };
}

/** How many of so many pings, 2 ms apart, are answered, and what else was said. */
async function ping(
  from: Namespace,
  to: string,
  ...options: string[]
): Promise<{ answered: number; text: string }> {
  const { stdout } = await from.run(['ping', '-n', '-i', '0.002', '-W', '1', '-c', '1', ...options, to]);
  return { answered: Number(/(\d+) received/.exec(stdout)?.[1]), text: stdout };
}

/** The link as charon would make it, with the site behind it. */
async function makeLink(): Promise<void> {
  const { context, site } = parts();
  const mac = '02:00:00:00:00:01';
  await context.ip(
    ...['link', 'add', 'ipsec0', 'address', mac, 'type', 'veth'],
    ...['peer', 'name', 'eth0', 'address', mac, 'netns', site.name],
  );
  await context.ip('link', 'set', 'ipsec0', 'arp', 'off', 'up');
  const [mine, theirs] = [both.map(([, f]) => f), both.map(([, f]) => [f.site, f.other, f.spoofed])];
  await site.ipBatch([
    'link set eth0 mtu 1500 arp off up',
    ...mine.flatMap(({ length }, index) =>
      (theirs[index] ?? []).map(
        (one) => `addr add ${one}/${length} dev eth0${length === 128 ? ' nodad' : ''}`,
      ),
    ),
    ...mine.flatMap(({ vm, own, length, site: source }) =>
      [vm, own].map((to) => `route add ${to}/${length} dev eth0 src ${source}`),
    ),
  ]);
}

const differences = (now = paths(), connections = [connection]): string[] =>
  inspectSiteLinks(place, connections, now);

t.test('without a link every prefix is closed, and it is told', async (t) => {
  const { vm, outside } = parts();
  await t.rejects(applySiteLinks(place, [connection], paths()), { code: 'HNV_SITE' });
  for (const [family, { site, internet, own }] of both) {
    const refused = await ping(vm, site);
    t.equal(refused.answered, 0);
    t.match(refused.text, new RegExp(`From ${own} .*Destination (Host|No route|unreachable)`, 'i'), family);
    await ping(vm, internet, '-W', '0.2');
  }
  t.equal((await seen(outside, 'sites')).packets, 0);
  t.ok((await seen(outside, 'any')).packets >= 2, 'what is for others goes out');
  t.same(
    differences().filter((one) => !one.startsWith('the route')),
    ['the link ipsec0 was missing'],
  );
  t.equal(differences().length, 3, 'and the ways through it');
});

t.test('with the link both sides reach one another, and once it is so, nothing is done', async (t) => {
  const { vm, site, context, outside } = parts();
  await makeLink();
  await applySiteLinks(place, [connection], paths());
  t.same(differences(), []);
  for (const [family, { vm: host, site: remote, own }] of both) {
    t.equal((await ping(vm, remote)).answered, 1, `${family} to the site`);
    t.equal((await ping(site, host)).answered, 1, `${family} from the site`);
    t.equal((await ping(context, remote)).answered, 1, `${family}: the context itself, from ${own}`);
  }
  const state = async () => [
    inNetns(context.name, nftGeneration),
    await context.ip('-details', 'route', 'show', 'table', 'all'),
    await context.ip('-details', '-6', 'route', 'show', 'table', 'all'),
  ];
  const before = await state();
  await applySiteLinks(place, [connection], paths());
  t.same(await state(), before);
  t.equal((await seen(outside, 'sites')).packets, 0);
});

t.test('from a tunnel comes only what would be answered through it', async (t) => {
  const { vm, site } = parts();
  const capture = await Capture.start(vm, 'eth0', 'icmp or icmp6');
  for (const [, { vm: host, spoofed }] of both) await ping(site, host, '-I', spoofed, '-W', '0.2');
  for (const [, { vm: host, site: remote }] of both) await ping(site, host, '-I', remote);
  await capture.stop();
  const requests = await capture.frames('icmp.type == 8 || icmpv6.type == 128', ['ip.src', 'ipv6.src']);
  t.same(
    requests.map((frame) => [...frame['ip.src'], ...frame['ipv6.src']]),
    both.map(([, { site: remote }]) => [remote]),
  );
});

t.test('segments fit into the tunnel, whichever side begins; what is too long is told', async (t) => {
  const { vm, site } = parts();
  const endpoint = (address: string) => `tcp:${address.includes(':') ? `[${address}]` : address}:80`;
  await startEcho(
    site,
    'site',
    both.map(([, f]) => endpoint(f.site)),
  );
  await startEcho(
    vm,
    'vm',
    both.map(([, f]) => endpoint(f.vm)),
  );
  const syn = 'tcp[tcpflags] & tcp-syn != 0 or (ip6[6] == 6 and ip6[53] & 2 != 0)';
  const captures = [await Capture.start(vm, 'eth0', syn), await Capture.start(site, 'eth0', syn)];
  for (const [, f] of both) {
    t.equal((await ask(vm, endpoint(f.site)))[0]?.server, 'site');
    t.equal((await ask(site, endpoint(f.vm)))[0]?.server, 'vm');
  }
  for (const capture of captures) await capture.stop();
  const heard = async (capture: Capture | undefined, filter: string): Promise<number[]> =>
    ((await capture?.decode(filter, ['tcp.options.mss_val'])) ?? []).map(([size]) => Number(size));
  const [atVm, atSite] = captures;
  for (const [family, f] of both) {
    const { ip } = { ip: family === 'IPv4' ? 'ip' : 'ipv6' };
    // The one that asks, and the other one that agrees.
    t.same(await heard(atVm, `${ip}.src == ${f.site}`), [MTU - f.headers, MTU - f.headers], family);
    t.same(await heard(atSite, `${ip}.src == ${f.vm}`), [MTU - f.headers, MTU - f.headers], family);
    const long = await ping(vm, f.site, '-M', 'do', '-s', '1400');
    t.match(long.text, new RegExp(`From ${f.own} .*mtu ?= ?${MTU}`, 'i'));
  }
});

t.test('the link says nothing by itself', async (t) => {
  const { site } = parts();
  t.equal((await seen(site, 'groups')).packets, 0);
});

t.test(
  'a peer that is one of the site’s addresses is reached by the uplink, from the context alone',
  async (t) => {
    const { context, outside, site } = parts();
    for (const [, { peer, external }] of both) await ping(context, peer, '-I', external, '-W', '0.2');
    t.equal((await seen(outside, 'peers')).packets, 2);
    t.equal((await seen(site, 'peers')).packets, 0);
  },
);

t.test('limits hold in their direction, and let others pass', async (t) => {
  const { vm, site } = parts();
  const [[, { site: remote, vm: host, other }]] = both as [(typeof both)[number]];
  // The bucket has a second's 1,000 bytes and 65,536: 47 packets of 1,400 bytes.
  const many = ['-c', '60', '-s', '1272', '-W', '0.2'];
  const most = Math.floor(66_536 / 1300);
  for (const [limit, first, second] of [
    [{ txBandwidthKbps: 8 }, [vm, remote], [site, host]],
    [{ rxBandwidthKbps: 8 }, [site, host], [vm, remote]],
  ] as const) {
    // Questions and answers take the same way through a limit once each.
    await applySiteLinks(place, [connection], paths(limit));
    t.same(differences(paths(limit)), []);
    const { answered } = await ping(...first, ...many);
    t.ok(answered >= most && answered < most + 5, `${answered} of 60, ${most} at once`);
    const { answered: others } = await ping(...second, ...many);
    t.ok(others < 5, `${others}: nor are there answers`);
  }
  // Within a limited prefix another connection's, without limit.
  const wide = [
    { prefix: '192.168.0.0/16', metric: 0, connection: 'wide', txBandwidthKbps: 8, isWaiting: false },
    { prefix: '192.168.50.0/24', metric: 0, connection: 'branch', isWaiting: false },
  ];
  const connections = [
    connection,
    sitePlan({ name: 'wide', subnets: [{ prefix: '192.168.0.0/16', metric: 0 }] }),
  ];
  await applySiteLinks(place, connections, wide);
  t.equal((await ping(vm, remote, ...many)).answered, 60);
  const { answered } = await ping(vm, other, ...many);
  t.ok(answered >= most && answered < most + 5, `${answered} of 60`);
  await applySiteLinks(place, [connection], paths());
});

t.test('of super-packets the bytes count', async (t) => {
  const { vm, site } = parts();
  await applySiteLinks(place, [connection], paths({ txBandwidthKbps: 16 }));
  const before = await seen(site, 'sites');
  const word = 'x'.repeat(120_000);
  await ask(vm, `tcp:${families.IPv4.site}:80`, { word, timeoutMs: 700 });
  const after = await seen(site, 'sites');
  const [packets, bytes] = [after.packets - before.packets, after.bytes - before.bytes];
  t.ok(
    bytes > 30_000 && bytes < 75_000,
    `${bytes} bytes in ${packets} packets, of a second's 2,000 and 65,536`,
  );
  t.ok(bytes / packets > MTU, 'there were some');
  await applySiteLinks(place, [connection], paths());
});

t.test('of what waits for a tunnel a few packets a second come through', async (t) => {
  const { vm } = parts();
  await applySiteLinks(place, [connection], paths({ isWaiting: true }));
  // What is over of the last conversation takes one at times; the second family waits for half a second's.
  for (const [family, { site: remote }] of both) {
    const { answered } = await ping(vm, remote, '-c', '80', '-W', '0.2');
    t.ok(answered > 0 && answered < 8, `${family}: ${answered} of 80`);
  }
  await applySiteLinks(place, [connection], paths());
});

t.test('when another connection takes over, no packet is without a way', async (t) => {
  const { vm, context } = parts();
  for (const [, { site: remote }] of both) {
    const pings = ping(vm, remote, '-c', '400');
    for (let turn = 1; turn <= 10; turn++)
      await applySiteLinks(place, [connection], paths({ metric: turn % 2, connection: `${turn}` }));
    t.equal((await pings).answered, 400);
  }
  await applySiteLinks(place, [connection], paths());
  t.equal((await context.ip('route', 'show', 'proto', '199', families.IPv4.prefix)).split('\n').length, 3);
});

t.test('what a hand has changed is found, and put right', async (t) => {
  const { context, vm } = parts();
  const [P4, P6] = [families.IPv4.prefix, families.IPv6.prefix];
  const ip = (line: string) => () => context.ip(...line.split(' '));
  const nft = (line: string) => () => context.runChecked(['nft', ...line.split(' ')]);
  const way = `the route ${P4} dev ipsec0 src 10.254.254.2 metric 1026 was missing`;
  for (const [damage, ...told] of [
    [ip('link set ipsec0 mtu 1500'), 'the link ipsec0 had the MTU 1500'],
    [
      ip('link set ipsec0 down'),
      'the link ipsec0 was down',
      way,
      `the route ${P6} dev ipsec0 src fd00:fe::2 metric 1026 was missing`,
    ],
    [ip(`route del ${P4} metric 1026`), way],
    [
      ip(`route change ${P4} dev ext metric 1026 proto 199`),
      way,
      `the route ${P4} dev ext metric 1026 was there`,
    ],
    [
      ip(`-6 route del unreachable ${P6} metric 4278198272`),
      `the route unreachable ${P6} metric 4278198272 was missing`,
    ],
    [
      ip('route add blackhole 192.168.99.0/24 proto 199'),
      'the route blackhole 192.168.99.0/24 metric 0 was there',
    ],
    [
      () => context.runChecked(['sysctl', '-q', '-w', 'net.ipv4.conf.ipsec0.rp_filter=0']),
      'the setting net/ipv4/conf/ipsec0/rp_filter was 0',
    ],
    [
      () => context.runChecked(['sysctl', '-q', '-w', 'net.ipv6.conf.ipsec0.accept_ra=1']),
      'the setting net/ipv6/conf/ipsec0/accept_ra was 1',
    ],
    [nft('flush chain inet hnvgw_sites segments'), 'the nft table inet hnvgw_sites was changed'],
    [nft('delete table inet hnvgw_sites'), 'the nft table inet hnvgw_sites was missing'],
  ] as const) {
    await damage();
    t.same(differences(), told);
    await applySiteLinks(place, [connection], paths());
    t.same(differences(), [], told[0]);
  }
  t.equal((await ping(vm, families.IPv6.site)).answered, 1);
  await context.ip('route', 'add', '192.168.77.0/24', 'dev', 'ipsec0');
  t.same(differences(), [], 'an operator’s own route is nobody’s business');
  await context.ip('route', 'del', '192.168.77.0/24', 'dev', 'ipsec0');
});

t.test('a link that is gone takes the ways along, and nothing leaves by the uplink', async (t) => {
  const { context, outside, vm } = parts();
  await context.ip('link', 'del', 'ipsec0');
  for (const [, { site }] of both) t.equal((await ping(vm, site)).answered, 0);
  t.equal((await seen(outside, 'sites')).packets, 0);
  await makeLink();
  await applySiteLinks(place, [connection], paths());
  for (const [, { site }] of both) t.equal((await ping(vm, site)).answered, 1);
});

t.test('less than IPv6 needs is a link without IPv6', async (t) => {
  const small = { ...place, mtu: 1202 };
  await applySiteLinks(small, [sitePlan()], paths().slice(0, 1));
  t.same(inspectSiteLinks(small, [sitePlan()], paths().slice(0, 1)), []);
  await applySiteLinks(place, [connection], paths());
  t.same(differences(), []);
});

t.test('removal leaves nothing but the link, which is charon’s', async (t) => {
  const { context } = parts();
  for (let time = 0; time < 2; time++) {
    await removeSiteLinks(context.name, 'userspace');
    for (const family of ['-4', '-6'])
      t.equal(await context.ip(family, 'route', 'show', 'table', 'all', 'proto', '199'), '');
    t.equal((await context.runChecked(['nft', 'list', 'tables'])).stdout, '');
  }
});
