/**
 * A node's own links in a namespace of this test's: macvlans over real interfaces, addresses, routes and multicast groups in
 * the kernel, entries in real maps. The programs are stood in for: what they do with the entries, test/bpf shows.
 */
import '../lab/own-namespace.ts';

import { execFileSync } from 'node:child_process';
import { closeSync } from 'node:fs';
import t from 'tap';
import {
  decodeInterfaceKey,
  decodeProvider,
  decodeProviderKey,
  decodeVlan,
  decodeVlanKey,
} from '../../src/encap/layout.generated.ts';
import { providerLink } from '../../src/gateway/names.ts';
import { BpfMap } from '../../src/linux/bpf-map.ts';
import { ip, ipBatch, ipJson } from '../../src/linux/iproute2.ts';
import { bpf_map_create } from '../../src/linux/libbpf.ts';
import { ifindexOf } from '../../src/linux/links.ts';
import { type LinkCore, NodeLinks } from '../../src/node/node-links.ts';
import { innerMtu } from '../../src/node/provider-carriers.ts';
import { addressFromBytes } from '../../src/policy/address.ts';
import type { ProviderAddress, ProviderRoute } from '../../src/policy/resources.ts';
import { until } from '../lab/until.ts';

const INSTANCE = `k${(process.pid % 46656).toString(36)}`;
const PA = '192.168.1.20';
const PA6 = 'fd00:a::20';
const NIC = 'pa0';
const WAN = 'wan0';

/** Real maps of the kernel, and a record of what was attached where. */
class Core implements LinkCore {
  readonly attached: string[] = [];
  readonly untagged: number[] = [];
  readonly #maps = new Map<string, BpfMap>();
  readonly #descriptors: number[] = [];

  constructor() {
    for (const [name, keySize, valueSize] of [
      ['providers', 16, 4],
      ['vlans', 8, 4],
      ['uplinks', 4, 8],
    ] as const) {
      const fd = bpf_map_create(1, name, keySize, valueSize, 64, null);
      this.#descriptors.push(fd);
      this.#maps.set(name, new BpfMap(fd, false));
    }
  }

  map(name: string): BpfMap {
    const map = this.#maps.get(name);
    if (map === undefined) throw new Error(`no map ${name}`);
    return map;
  }

  isAttached(place: string, ifindex: number): boolean {
    return this.attached.includes(`${place} ${ifindex}`);
  }

  attach(place: string, ifindex: number): 'attached' {
    this.attached.push(`${place} ${ifindex}`);
    return 'attached';
  }

  detach(ifindex: number): void {
    this.attached.push(`- ${ifindex}`);
  }

  detachTag(ifindex: number): void {
    this.untagged.push(ifindex);
  }

  providers(): Record<string, number> {
    return Object.fromEntries(
      this.map('providers')
        .entries()
        .map(([key, value]) => [
          addressFromBytes(decodeProviderKey(key).address),
          decodeProvider(value).ifindex,
        ]),
    );
  }

  /** `ifindex/vlan` to the tag. */
  vlans(): Record<string, number> {
    return Object.fromEntries(
      this.map('vlans')
        .entries()
        .map(([key, value]) => {
          const { ifindex, vlan } = decodeVlanKey(key);
          return [`${ifindex}/${vlan}`, decodeVlan(value).vlan];
        }),
    );
  }

  close(): void {
    for (const fd of this.#descriptors) closeSync(fd);
  }
}

interface Shown {
  ifname: string;
  link?: string;
  mtu: number;
  address: string;
  flags: string[];
  linkinfo?: { info_kind: string; info_data?: { mode: string } };
  addr_info: { local: string; prefixlen: number; scope: string }[];
}
interface ShownRoute {
  dst: string;
  gateway?: string;
  dev: string;
  metric?: number;
}

let core: Core;

t.beforeEach(async () => {
  core = new Core();
  await ipBatch([
    ...[NIC, 'pa1', WAN].flatMap((name) => [
      ['link', 'add', 'name', name, 'type', 'veth', 'peer', 'name', `${name}x`],
      ['link', 'set', name, 'up'],
      ['link', 'set', `${name}x`, 'up'],
    ]),
    ['addr', 'add', `${PA}/24`, 'dev', NIC],
    ['addr', 'add', `${PA6}/64`, 'dev', NIC, 'nodad'],
    ['addr', 'add', '192.168.2.20/24', 'dev', 'pa1'],
  ]);
});
t.afterEach(async () => {
  core.close();
  const shown = await ipJson<Shown>(['link', 'show']);
  const ours = shown.map(({ ifname }) => ifname).filter((name) => name !== 'lo' && !name.endsWith('x'));
  for (const name of ours) if (ifindexOf(name) !== undefined) await ip(['link', 'delete', 'dev', name]);
});

const at = (more: Partial<ProviderAddress> = {}): ProviderAddress => ({
  ...{ interface: NIC, prefixLength: 24, ...more },
});
const addresses = (wanted: Record<string, ProviderAddress>): Map<string, ProviderAddress> =>
  new Map(Object.entries(wanted));
const routes = (wanted: Record<string, ProviderRoute>): Map<string, ProviderRoute> =>
  new Map(Object.entries(wanted));
const to = (
  destinationPrefix: string,
  nextHop: string,
  more: Partial<ProviderRoute> = {},
): ProviderRoute => ({
  ...{ interface: NIC, destinationPrefix, nextHop, metric: 0, ...more },
});
/** What the fast path is told. */
const fast = {
  nics: [] as number[],
  set: (nics: Iterable<number>): void => {
    fast.nics = [...nics];
  },
  inspect: (): string[] => [],
  warnings: (): string[] => [],
};
const links = (...uplinks: string[]): NodeLinks => new NodeLinks(core, INSTANCE, fast, uplinks);
const NONE: ReadonlyMap<string, ProviderRoute> = new Map();
const linkOf = providerLink.bind(undefined, INSTANCE);

const shown = async (name: string): Promise<Shown | undefined> =>
  (await ipJson<Shown>(['-details', 'addr', 'show'])).find(({ ifname }) => ifname === name);
const routesOf = async (family: '-4' | '-6' = '-4'): Promise<string[]> =>
  (await ipJson<ShownRoute>([family, 'route', 'show', 'proto', '234']))
    .map(({ dst, gateway, dev, metric = 0 }) => `${dst} ${gateway} ${dev} ${metric}`)
    .sort();

t.test('an address that is on its interface has its place there, in either family', async (t) => {
  const node = links();
  await node.applyProviders(addresses({ [PA]: at(), [PA6]: at({ prefixLength: 64 }) }), NONE);
  const place = { ifindex: ifindexOf(NIC), mtu: 1500, mac: (await shown(NIC))?.address };
  t.same(node.providerPlace(PA), place);
  t.same(node.providerPlace(PA6), place);
  t.same(core.providers(), { [PA]: place.ifindex, [PA6]: place.ifindex });
  t.equal(innerMtu(node.providerPlace(PA), PA), 1458);
  t.equal(innerMtu(node.providerPlace(PA6), PA6), 1438);
  node.requireProviders();
  node.attach();
  t.same(core.attached, [`provider ${place.ifindex}`], 'and no uplink where there is none');
  t.same(new Set(fast.nics), new Set([place.ifindex]));
  t.equal(node.uplinks.first, undefined);
});

t.test('an address that is not on its interface has none, and says why', async (t) => {
  const node = links(WAN);
  node.uplinks.find();
  const uplinks = core.map('uplinks').entries();
  t.same(
    uplinks.map(([key]) => decodeInterfaceKey(key).ifindex),
    [ifindexOf(WAN)],
  );
  await node.applyProviders(
    addresses({
      '192.168.1.99': at(),
      '10.0.0.1': at({ interface: 'none' }),
      '10.0.0.2': at({ interface: WAN }),
    }),
    NONE,
  );
  t.match(node.providerFailure('192.168.1.99'), /pa0 does not have the address 192\.168\.1\.99/);
  t.match(node.providerFailure('10.0.0.1'), /no interface none/);
  t.match(node.providerFailure('10.0.0.2'), /wan0 is an uplink/);
  t.throws(() => node.providerPlace('192.168.1.99'), { code: 'HNV_NETNS' });
  t.throws(() => node.requireProviders(), { code: 'HNV_NETNS' });
  t.same(core.providers(), {});
});

t.test('the uplink must be there', (t) => {
  t.throws(() => links('none').uplinks.find(), { code: 'HNV_CONFIG' });
  t.end();
});

t.test('an address goes into use when its duplicate address detection has passed', async (t) => {
  const address = 'fd00:a::21';
  const node = links();
  await ip(['addr', 'add', `${address}/64`, 'dev', NIC]);
  const wanted = addresses({ [address]: at({ prefixLength: 64 }) });
  await node.applyProviders(wanted, NONE);
  t.equal(node.hasProvider(address), false);
  t.equal(node.providerFailure(address), undefined, 'it only takes its time');
  t.throws(() => node.requireProviders(), { message: /detection of fd00:a::21 on pa0 is under way/ });
  await until('the detection has passed', 10_000, async () => {
    await node.applyProviders(wanted, NONE);
    return node.hasProvider(address);
  });
});

t.test('an address that another machine has is not used', async (t) => {
  const address = 'fd00:a::22';
  await ip(['netns', 'add', `nl${process.pid}`]);
  t.teardown(() => ip(['netns', 'delete', `nl${process.pid}`]));
  await ip(['link', 'set', `${NIC}x`, 'netns', `nl${process.pid}`]);
  const other = { netns: `nl${process.pid}` };
  await ip(['link', 'set', `${NIC}x`, 'up'], other);
  await ip(['addr', 'add', `${address}/64`, 'dev', `${NIC}x`, 'nodad'], other);
  await ip(['addr', 'add', `${address}/64`, 'dev', NIC]);
  const node = links();
  await until('the detection has failed', 10_000, async () => {
    await node.applyProviders(addresses({ [address]: at({ prefixLength: 64 }) }), NONE);
    return node.providerFailure(address) !== undefined;
  });
  t.match(node.providerFailure(address), /fd00:a::22 is also another machine's on the network of pa0/);
});

t.test('a VLAN makes a link of the node’s own, with tag, MAC, address and the interface’s MTU', async (t) => {
  await ip(['link', 'set', 'dev', NIC, 'mtu', '1600']);
  const node = links();
  const address = '192.168.100.20';
  await node.applyProviders(addresses({ [PA]: at(), [address]: at({ vlanId: 100 }) }), NONE);
  const name = linkOf(address);
  const link = await shown(name);
  t.match(link, { link: NIC, mtu: 1600, linkinfo: { info_kind: 'macvlan', info_data: { mode: 'private' } } });
  t.ok(link?.flags.includes('UP'));
  t.match(link?.address, /^02:/, 'locally administered');
  t.same(
    link?.addr_info.map(({ local, prefixlen }) => `${local}/${prefixlen}`),
    [`${address}/24`],
    'and no IPv6 address',
  );
  const [ifindex, nic] = [ifindexOf(name), ifindexOf(NIC)];
  t.same(node.providerPlace(address), { ifindex, mtu: 1600, mac: link?.address });
  t.same(core.vlans(), { [`${ifindex}/0`]: 100, [`${nic}/100`]: 100 });
  t.same(core.providers(), { [PA]: nic, [address]: ifindex });
  t.same(core.attached, [`tag ${ifindex}`], 'the tag from the beginning');
  node.attach();
  t.same(new Set(core.attached.slice(1)), new Set([`provider ${nic}`, `vlan ${ifindex}`]));
  t.same(new Set(fast.nics), new Set([nic]), 'the fast path is for the NIC alone');
});

t.test('a MAC address makes a link of the node’s own without a tag', async (t) => {
  const node = links();
  const address = 'fd00:a::30';
  const wanted = addresses({ [address]: at({ prefixLength: 64, macAddress: '00:15:5d:00:00:30' }) });
  await node.applyProviders(wanted, NONE);
  t.equal((await shown(linkOf(address)))?.address, '00:15:5d:00:00:30');
  t.same(core.vlans(), {});
  await until('the address is in use', 10_000, async () => {
    await node.applyProviders(wanted, NONE);
    return node.hasProvider(address);
  });
  node.attach();
  const inbound = [ifindexOf(linkOf(address)), ifindexOf(NIC)].map((ifindex) => `provider ${ifindex}`);
  t.same(new Set(core.attached), new Set(inbound));
  t.same(fast.nics, [], 'the fast path does not begin or end at a link of the node’s own');
});

t.test('a later process adopts the links; a change is made without making them anew', async (t) => {
  const address = '192.168.100.20';
  const name = linkOf(address);
  await links().applyProviders(addresses({ [address]: at({ vlanId: 100 }) }), NONE);
  const ifindex = ifindexOf(name);
  const before = await shown(name);
  await links().applyProviders(addresses({ [address]: at({ vlanId: 100 }) }), NONE);
  t.same(await shown(name), before);
  await ip(['link', 'set', 'dev', NIC, 'mtu', '1550']);
  const changed = at({ vlanId: 200, macAddress: '00:15:5d:00:00:20', prefixLength: 25 });
  await links().applyProviders(addresses({ [address]: changed }), NONE);
  t.equal(ifindexOf(name), ifindex);
  const after = await shown(name);
  t.match(after, { mtu: 1550, address: '00:15:5d:00:00:20' });
  t.same(
    after?.addr_info.map(({ local, prefixlen }) => `${local}/${prefixlen}`),
    [`${address}/25`],
  );
  t.same(core.vlans(), { [`${ifindex}/0`]: 200, [`${ifindexOf(NIC)}/200`]: 200 });
  t.same(core.untagged, []);
  await links().applyProviders(addresses({ [address]: at({ macAddress: '00:15:5d:00:00:20' }) }), NONE);
  t.equal(ifindexOf(name), ifindex);
  t.same([core.untagged, core.vlans()], [[ifindex], {}], 'without a VLAN again, without its tag');
});

t.test('another interface below is another link', async (t) => {
  const address = '192.168.100.20';
  const name = linkOf(address);
  await links().applyProviders(addresses({ [address]: at({ vlanId: 100 }) }), NONE);
  await links().applyProviders(addresses({ [address]: at({ vlanId: 100, interface: 'pa1' }) }), NONE);
  t.equal((await shown(name))?.link, 'pa1');
  t.same(core.vlans(), { [`${ifindexOf(name)}/0`]: 100, [`${ifindexOf('pa1')}/100`]: 100 });
});

t.test('what a hand has done to a link of the node’s own is put right', async (t) => {
  const address = '192.168.100.20';
  const name = linkOf(address);
  const node = links();
  const wanted = addresses({ [address]: at({ vlanId: 100 }) });
  await node.applyProviders(wanted, NONE);
  const right = await shown(name);
  for (const damage of [
    ['link', 'set', 'dev', name, 'down'],
    ['addr', 'flush', 'dev', name],
    ['addr', 'add', '10.9.9.9/24', 'dev', name],
    ['link', 'set', 'dev', name, 'address', '02:00:00:00:00:99'],
    ['link', 'set', 'dev', name, 'mtu', '1400'],
  ]) {
    await ip(damage);
    await node.applyProviders(wanted, NONE);
    t.same(await shown(name), right, damage.join(' '));
  }
  await ip(['link', 'delete', 'dev', name]);
  await node.applyProviders(wanted, NONE);
  t.equal(node.providerPlace(address).ifindex, ifindexOf(name));
});

t.test('links that nobody wants are removed, those of other instances and other kinds are not', async (t) => {
  const address = '192.168.100.20';
  const others = [providerLink('othr', address), `${INSTANCE}pshort`];
  for (const name of others)
    await ip(['link', 'add', 'link', NIC, 'name', name, 'type', 'macvlan', 'mode', 'private']);
  const veth = providerLink(INSTANCE, '10.0.0.1');
  await ip(['link', 'add', 'name', veth, 'type', 'veth', 'peer', 'name', 'vethx']);
  const node = links();
  await node.applyProviders(addresses({ [address]: at({ vlanId: 100 }) }), NONE);
  node.attach();
  t.type(ifindexOf(linkOf(address)), 'number');
  const later = links();
  await later.applyProviders(addresses({}), NONE);
  later.attach();
  t.equal(ifindexOf(linkOf(address)), undefined);
  t.same(core.vlans(), {});
  t.same(core.providers(), {});
  t.equal(core.attached.at(-1), `- ${ifindexOf(NIC)}`, 'the program comes off the interface below');
  for (const name of [...others, veth]) t.type(ifindexOf(name), 'number', name);
});

t.test('an address that an interface has already gets no link of its own', async (t) => {
  const node = links();
  await node.applyProviders(addresses({ [PA]: at({ vlanId: 100 }) }), NONE);
  t.match(
    node.providerFailure(PA),
    /pa0 has the address 192\.168\.1\.20, which is to have a link of its own/,
  );
  t.equal(ifindexOf(linkOf(PA)), undefined);
  await node.applyProviders(addresses({ '10.0.0.1': at({ vlanId: 5, interface: 'none' }) }), NONE);
  t.match(node.providerFailure('10.0.0.1'), /no interface none/);
  await node.applyProviders(addresses({ '10.0.0.1': at({ macAddress: '01:00:5e:00:00:01' }) }), NONE);
  t.match(node.providerFailure('10.0.0.1'), /Cannot assign requested address/, 'the kernel’s own reason');
});

t.test('provider routes are the wanted ones, in both families', async (t) => {
  const node = links();
  const wanted = addresses({
    [PA]: at(),
    [PA6]: at({ prefixLength: 64 }),
    '192.168.2.20': at({ interface: 'pa1' }),
  });
  await node.applyProviders(
    wanted,
    routes({
      a: to('172.16.0.0/16', '192.168.1.1'),
      b: to('172.16.0.0/16', '192.168.2.1', { interface: 'pa1', metric: 10 }),
      c: to('192.0.2.9/32', '192.168.1.2', { metric: 7 }),
      d: to('fd00:b::/32', 'fd00:a::1'),
      e: to('::/0', 'fd00:a::1', { metric: 5 }),
    }),
  );
  t.same(await routesOf(), [
    '172.16.0.0/16 192.168.1.1 pa0 0',
    '172.16.0.0/16 192.168.2.1 pa1 10',
    '192.0.2.9 192.168.1.2 pa0 7',
  ]);
  t.same(await routesOf('-6'), ['default fd00:a::1 pa0 5', 'fd00:b::/32 fd00:a::1 pa0 1024']);
  for (const id of ['a', 'b', 'c', 'd', 'e']) t.equal(node.routeFailure(id), undefined, id);
  // By a later process, which knows them by their protocol.
  await links().applyProviders(wanted, routes({ a: to('172.16.0.0/16', '192.168.1.3') }));
  t.same(await routesOf(), ['172.16.0.0/16 192.168.1.3 pa0 0']);
  t.same(await routesOf('-6'), []);
});

t.test('routes of others stay: those without our protocol and those on interfaces of others', async (t) => {
  await ip(['route', 'add', '172.17.0.0/16', 'via', '192.168.1.1', 'dev', NIC]);
  await ip(['route', 'add', '172.18.0.0/16', 'via', '192.168.2.1', 'dev', 'pa1', 'proto', '234']);
  const node = links();
  await node.applyProviders(addresses({ [PA]: at() }), NONE);
  t.same(await routesOf(), ['172.18.0.0/16 192.168.2.1 pa1 0']);
  await node.applyProviders(
    addresses({ [PA]: at() }),
    routes({ a: to('172.17.0.0/16', '192.168.1.9'), b: to('172.19.0.0/16', '192.168.1.9') }),
  );
  t.match(node.routeFailure('a'), /File exists/);
  t.equal(node.routeFailure('b'), undefined);
  t.throws(() => node.requireProviders(), { message: /^Provider route a: / });
  t.same(await routesOf(), ['172.18.0.0/16 192.168.2.1 pa1 0', '172.19.0.0/16 192.168.1.9 pa0 0']);
  const [operators] = await ipJson<ShownRoute>(['route', 'show', '172.17.0.0/16']);
  t.equal(operators?.gateway, '192.168.1.1');
});

t.test('a route that cannot be says why, and holds up no other', async (t) => {
  const node = links();
  await node.applyProviders(
    addresses({ [PA]: at() }),
    routes({ a: to('172.16.0.0/16', '10.99.0.1'), b: to('172.17.0.0/16', PA.replace('20', '1')) }),
  );
  t.match(node.routeFailure('a'), /ip route add 172\.16\.0\.0\/16 .*: .*[Nn]exthop has invalid gateway/);
  t.equal(node.routeFailure('b'), undefined);
  await node.applyProviders(
    addresses({ [PA]: at() }),
    routes({ b: to('172.17.0.0/16', '192.168.1.1'), c: to('172.17.0.0/16', '192.168.1.2') }),
  );
  t.equal(node.routeFailure('a'), undefined);
  t.match(node.routeFailure('c'), /route b has the same destination and metric/);
});

t.test('a route to a neighbour of an address with a link of its own goes over that link', async (t) => {
  const address = '192.168.100.20';
  await links().applyProviders(
    addresses({ [PA]: at(), [address]: at({ vlanId: 100 }) }),
    routes({ a: to('172.16.0.0/16', '192.168.100.1'), b: to('172.17.0.0/16', '192.168.1.1') }),
  );
  t.same(await routesOf(), [
    `172.16.0.0/16 192.168.100.1 ${linkOf(address)} 0`,
    '172.17.0.0/16 192.168.1.1 pa0 0',
  ]);
});

t.test('multicast groups are joined on the provider link, and left', async (t) => {
  const node = links();
  const address = '192.168.100.20';
  const wanted = addresses({ [PA]: at(), [PA6]: at({ prefixLength: 64 }), [address]: at({ vlanId: 100 }) });
  await node.applyProviders(wanted, NONE);
  const filters = (link: string): string =>
    execFileSync('ip', ['maddr', 'show', 'dev', link], { encoding: 'utf8' });
  await node.applyGroups([
    { group: '239.1.1.1', providerAddress: PA },
    { group: 'ff05::1:1', providerAddress: PA6 },
    { group: '239.1.1.2', providerAddress: address },
  ]);
  t.match(filters(NIC), /01:00:5e:01:01:01.*33:33:00:01:00:01.*inet {2}239\.1\.1\.1.*inet6 ff05::1:1/s);
  t.match(filters(linkOf(address)), /inet {2}239\.1\.1\.2/);
  const [nic, link] = [ifindexOf(NIC), ifindexOf(linkOf(address))];
  const unicast = { [PA]: nic, [PA6]: nic, [address]: link };
  t.same(core.providers(), { ...unicast, '239.1.1.1': nic, 'ff05::1:1': nic, '239.1.1.2': link });
  for (const target of ['239.9.9.9', '8.8.8.8', 'ff05::9', '2001:db8::1']) {
    await ip(['route', 'replace', target, 'dev', NIC]);
    const [route] = await ipJson<{ prefsrc: string }>(['route', 'get', target, 'oif', NIC]);
    t.notMatch(route?.prefsrc, /^(239\.|ff)/, `no packet to ${target} has a group as its source`);
  }
  // A later process: what it has not been told yet stays as it is.
  const later = links();
  await later.applyProviders(wanted, NONE);
  t.equal(core.providers()['239.1.1.1'], nic);
  await later.applyGroups([{ group: '239.1.1.2', providerAddress: address }]);
  t.same(core.providers(), { ...unicast, '239.1.1.2': link });
  t.notMatch(filters(NIC), /239\.1\.1\.1|ff05/);
  t.match(filters(linkOf(address)), /239\.1\.1\.2/);
  // The link is made anew, and is a member again.
  await ip(['link', 'delete', 'dev', linkOf(address)]);
  await later.applyProviders(wanted, NONE);
  t.match(filters(linkOf(address)), /239\.1\.1\.2/);
  t.equal(core.providers()['239.1.1.2'], ifindexOf(linkOf(address)));
  await t.rejects(later.applyGroups([{ group: '239.1.1.3', providerAddress: '10.9.9.9' }]), {
    code: 'HNV_NETNS',
  });
});

t.test('the node tells where VMs cannot have an MTU of 1500', async (t) => {
  const node = links();
  const wanted = addresses({
    [PA]: at(),
    [PA6]: at({ prefixLength: 64 }),
    '192.168.2.20': at({ interface: 'pa1' }),
    '10.0.0.1': at(),
  });
  await ip(['link', 'set', 'dev', 'pa1', 'mtu', '1542']);
  await node.applyProviders(wanted, NONE);
  t.same(node.warnings().toSorted(), [
    'Provider address 192.168.1.20 on pa0, whose MTU is 1500, leaves VMs an MTU of 1458; for 1500 the provider network would need 1542.',
    'Provider address fd00:a::20 on pa0, whose MTU is 1500, leaves VMs an MTU of 1438; for 1500 the provider network would need 1562.',
  ]);
  await ip(['link', 'set', 'dev', NIC, 'mtu', '1562']);
  await node.applyProviders(wanted, NONE);
  t.same(node.warnings(), []);
});
