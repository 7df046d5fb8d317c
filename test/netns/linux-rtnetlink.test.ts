/** What rtnetlink says of a namespace is what iproute2 was told to make there. */
import { execFileSync } from 'node:child_process';
import t from 'tap';
import { ip, ipBatch, ipJson } from '../../src/linux/iproute2.ts';
import { ifindexOf } from '../../src/linux/links.ts';
import { NETLINK_ROUTE, Netlink } from '../../src/linux/netlink.ts';
import { inNetns } from '../../src/linux/netns.ts';
import { RouteNetlink } from '../../src/linux/rtnetlink.ts';
import { writeSysctl } from '../../src/linux/sysctl.ts';

const netns = `rn${process.pid}`;

t.before(async () => {
  await ip(['netns', 'add', netns]);
  await ipBatch(
    [
      [
        'link',
        'add',
        'v0',
        'address',
        '02:00:00:00:00:01',
        'mtu',
        '1400',
        'type',
        'veth',
        'peer',
        'name',
        'v1',
      ],
      ['link', 'set', 'v0', 'up'],
      ['link', 'set', 'v1', 'up'],
      ['addr', 'add', '10.1.1.1/24', 'dev', 'v0'],
      ['addr', 'add', '10.9.9.1', 'peer', '10.9.9.2/32', 'dev', 'v0'],
      ['addr', 'add', 'fd00::1/64', 'dev', 'v0', 'nodad'],
      ['addr', 'add', '239.1.2.3/32', 'dev', 'v0', 'autojoin'],
    ],
    { netns },
  );
});
t.teardown(() => execFileSync('ip', ['netns', 'delete', netns]));

const read = <T>(use: (reading: RouteNetlink) => T): T => inNetns(netns, () => RouteNetlink.use(use));
const index = (name: string): number => inNetns(netns, () => ifindexOf(name) ?? 0);
const addressesOf = (ifindex: number) => read((reading) => reading.addresses(ifindex));

t.test('links, all and by name', async (t) => {
  const v0 = {
    ...{ ifindex: index('v0'), name: 'v0', isUp: true, mtu: 1400 },
    ...{ mac: '02:00:00:00:00:01', below: index('v1'), isPromiscuous: false, kind: 'veth' },
  };
  // Whether it runs is told a moment later.
  t.same({ ...read((reading) => reading.link('v0')), isRunning: undefined }, { ...v0, isRunning: undefined });
  t.equal(
    read((reading) => reading.link('nope')),
    undefined,
  );
  const links = read((reading) => reading.links());
  t.same(links.map(({ name }) => name).sort(), ['lo', 'v0', 'v1']);
  t.match(
    links.find(({ name }) => name === 'v0'),
    v0,
  );
  t.match(
    links.find(({ name }) => name === 'lo'),
    { isUp: false, isRunning: false },
  );
  await ip(['link', 'set', 'v1', 'promisc', 'on', 'alias', 'wan0/100'], { netns });
  t.match(
    read((reading) => reading.link('v1')),
    { isPromiscuous: true, alias: 'wan0/100' },
  );
});

t.test('settings are those under /proc/sys', async (t) => {
  const files = [
    ...['accept_redirects', 'send_redirects', 'rp_filter'].map((name) => `ipv4 ${name}`),
    ...['addr_gen_mode', 'disable_ipv6', 'accept_ra', 'autoconf', 'accept_redirects', 'accept_dad'].map(
      (name) => `ipv6 ${name}`,
    ),
  ];
  for (const file of files)
    for (const value of ['1', '0']) {
      const [family = '', name = ''] = file.split(' ');
      inNetns(netns, () => writeSysctl(`net/${family}/conf/v1/${name}`, value));
      const settings = read((reading) => reading.links().find((link) => link.name === 'v1')?.settings);
      t.equal(settings?.[family as 'ipv4' | 'ipv6'][name], Number(value), `${file} ${value}`);
    }
  for (const value of [1, 0, 2]) {
    inNetns(netns, () => {
      writeSysctl('net/ipv4/conf/all/rp_filter', String(value));
      writeSysctl('net/ipv4/ip_forward', String(value % 2));
      writeSysctl('net/ipv6/conf/all/forwarding', String(value % 2));
    });
    t.same(
      read((reading) => reading.commonSettings()),
      { ipv4: { forwarding: value % 2, rp_filter: value }, ipv6: { forwarding: value % 2 } },
    );
  }
});

t.test('addresses of a link: local ones, groups that were joined, and how far detection is', async (t) => {
  const addresses = addressesOf(index('v0'));
  t.same(
    addresses
      .filter(({ address }) => !address.startsWith('fe80:'))
      .map(({ address, prefixLength, isGroup }) => `${address}/${prefixLength} ${isGroup}`)
      .sort(),
    ['10.1.1.1/24 false', '10.9.9.1/32 false', '239.1.2.3/32 true', 'fd00::1/64 false'],
  );
  t.equal(addresses.find(({ address }) => address === 'fd00::1')?.detection, 'passed');
  t.same(addressesOf(index('lo')), []);
  inNetns(netns, () => writeSysctl('net/ipv6/conf/v1/accept_dad', '1'));
  await ip(['addr', 'add', 'fd00::2/64', 'dev', 'v1'], { netns });
  const state = addressesOf(index('v1')).find(({ address }) => address === 'fd00::2');
  t.equal(state?.detection, 'running');
});

t.test('routes of the main table that somebody made, with all that is peculiar to them', async (t) => {
  await ipBatch(
    [
      ['route', 'add', '10.2.0.0/16', 'via', '10.1.1.2', 'src', '10.1.1.1'],
      ['route', 'add', '10.3.0.0/16', 'via', '10.1.1.2', 'metric', '7', 'proto', '234'],
      ['route', 'add', '10.4.0.0/16', 'dev', 'v0', 'tos', '0x10'],
      ['route', 'add', 'blackhole', '10.5.0.0/16'],
      [
        'route',
        'add',
        '10.6.0.0/16',
        'nexthop',
        'via',
        '10.1.1.2',
        'nexthop',
        'via',
        '10.1.1.3',
        'weight',
        '4',
      ],
      ['route', 'add', 'fd02::/64', 'nexthop', 'via', 'fd00::3', 'nexthop', 'via', 'fd00::4'],
      ['route', 'add', '10.7.0.0/16', 'dev', 'v0', 'mtu', '1300'],
      ['route', 'add', '10.8.0.0/16', 'dev', 'v0', 'table', '100'],
      ['route', 'add', 'default', 'via', '10.1.1.2'],
      ['route', 'add', 'fd01::/64', 'via', 'fd00::3', 'proto', '234'],
      ['route', 'add', '::/0', 'via', 'fd00::3'],
    ],
    { netns },
  );
  const v0 = index('v0');
  const routes = new Map(
    read((reading) => reading.routes()).map(({ destination, ...rest }) => [destination, rest]),
  );
  const usual = { ifindex: v0, metric: 0, protocol: 3, peculiarities: [] };
  t.match(Object.fromEntries(routes), {
    '10.2.0.0/16': { ...usual, gateway: '10.1.1.2', source: '10.1.1.1' },
    '10.3.0.0/16': { ...usual, gateway: '10.1.1.2', metric: 7, protocol: 234 },
    '10.4.0.0/16': { ...usual, peculiarities: ['tos 16'] },
    '10.5.0.0/16': { ...usual, ifindex: 0, peculiarities: ['blackhole'] },
    '10.6.0.0/16': {
      ...{ ...usual, ifindex: 0 },
      hops: [
        { ifindex: v0, gateway: '10.1.1.2', weight: 1 },
        { ifindex: v0, gateway: '10.1.1.3', weight: 4 },
      ],
    },
    'fd02::/64': {
      ...{ ...usual, ifindex: 0, metric: 1024 },
      hops: [
        { ifindex: v0, gateway: 'fd00::3', weight: 1 },
        { ifindex: v0, gateway: 'fd00::4', weight: 1 },
      ],
    },
    '10.7.0.0/16': { ...usual, peculiarities: ['metrics'] },
    '0.0.0.0/0': { ...usual, gateway: '10.1.1.2' },
    'fd01::/64': { ...usual, metric: 1024, gateway: 'fd00::3', protocol: 234 },
    '::/0': { ...usual, metric: 1024, gateway: 'fd00::3' },
  });
  t.equal(routes.size, 10, 'and none of another table, nor the kernel’s own');
  t.same(
    read((reading) => reading.routes(234)).map(({ destination }) => destination),
    ['10.3.0.0/16', 'fd01::/64'],
  );
  t.equal(read((reading) => reading.routes(0, undefined, new Set([234]))).length, 8, 'or all but those');
});

t.test('more routes than fit into one message of the kernel', async (t) => {
  const many = Array.from({ length: 3000 }, (_, i) => `10.200.${i >> 8}.${i & 255}/32`);
  await ipBatch(
    many.map((prefix) => ['route', 'add', prefix, 'dev', 'v0', 'proto', '77']),
    { netns },
  );
  t.same(
    read((reading) => reading.routes(77))
      .map(({ destination }) => destination)
      .sort(),
    many.sort(),
  );
  await ip(['route', 'flush', 'proto', '77'], { netns });
});

t.test('neighbours that are permanent, and addresses that are answered for', async (t) => {
  await ipBatch(
    [
      [
        'neigh',
        'add',
        '10.1.1.9',
        'lladdr',
        '02:00:00:00:00:09',
        'dev',
        'v0',
        'nud',
        'permanent',
        'protocol',
        '234',
      ],
      ['neigh', 'add', '10.1.1.8', 'lladdr', '02:00:00:00:00:08', 'dev', 'v0', 'nud', 'stale'],
      ['neigh', 'add', 'proxy', 'fd00::9', 'dev', 'v0', 'protocol', '234'],
      ['neigh', 'add', 'proxy', 'fd00::8', 'dev', 'v1'],
    ],
    { netns },
  );
  const ifindex = index('v0');
  t.same(
    read((reading) => reading.permanentNeighbours()).filter(({ mac }) => mac.startsWith('02:')),
    [{ ifindex, address: '10.1.1.9', mac: '02:00:00:00:00:09', protocol: 234 }],
  );
  t.match(
    read((reading) => reading.proxies(ifindex)),
    [{ address: 'fd00::9', protocol: 234 }],
  );
});

t.test('a request that the kernel refuses says so, and the socket goes on', async (t) => {
  inNetns(netns, () => {
    const netlink = new Netlink(NETLINK_ROUTE);
    try {
      const [getLink, noSuchRequest] = [18, 99];
      const body = Buffer.alloc(16);
      body.writeInt32LE(12345, 4);
      t.equal(
        netlink.ask(getLink, body, () => t.fail('no such link')),
        19,
        'ENODEV',
      );
      t.throws(() => netlink.dump(noSuchRequest, body, () => undefined), { code: 'HNV_INTERNAL' });
      body.writeInt32LE(1, 4);
      let count = 0;
      t.equal(
        netlink.ask(getLink, body, () => count++),
        0,
      );
      t.equal(count, 1);
    } finally {
      netlink.close();
    }
  });
  t.equal((await ipJson<object>(['link', 'show'], { netns })).length, 3);
});
