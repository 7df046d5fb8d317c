/**
 * A routing context as the gateway makes it, between two real stacks: a tenant's and one outside. What the eBPF programs do
 * on the root sides of its links, plain links do here.
 */
import '../lab/own-namespace.ts';

import { readFileSync } from 'node:fs';
import t from 'tap';
import { Contexts } from '../../src/gateway/contexts.ts';
import { ip, ipBatch } from '../../src/linux/iproute2.ts';
import { inNetns } from '../../src/linux/netns.ts';
import { nftList } from '../../src/linux/nftables.ts';
import { applyNat } from '../../src/nat/nat.ts';
import { natTable } from '../../src/nat/ruleset.ts';
import type { ContextPlan, NatPlan, PortMappingPlan } from '../../src/policy/plan.ts';
import { routerMac } from '../../src/policy/router.ts';
import { Capture } from '../lab/capture.ts';
import { ask, type EchoAnswer, startEcho } from '../lab/echo.ts';
import { Lab } from '../lab/lab.ts';
import type { Namespace } from '../lab/namespace.ts';
import { until } from '../lab/until.ts';

const RDID = '11111111-1111-1111-1111-111111111111';
const INSTANCE = `n${(process.pid % 46656).toString(36)}`;
const MTU = { tenant: 1458, external: 1300 };

const plan: ContextPlan = {
  ...{ vsid: 5002, mac: '02:00:00:50:02:02', providerAddress: '192.168.1.20' },
  addresses: ['10.254.254.2', 'fd00:fe::2'],
  routerAddresses: ['10.254.254.1', 'fd00:fe::1'],
  tenantPrefixes: ['10.1.1.0/24', '10.254.254.0/29', 'fd00:1::/64', 'fd00:fe::/64'],
};

/** The same conversation in both families. */
const families = {
  IPv4: {
    ...{ vm: '10.1.1.11', outside: '203.0.113.80', external: '198.51.100.101', own: '10.254.254.2' },
    ...{ spoofed: '10.1.1.99', other: '203.0.113.81', at: (port: number) => `203.0.113.80:${port}` },
    ...{ mapped: '198.51.100.101:8080', limited: '198.51.100.101:8081', mss: 40, length: 32, ip: 'ip' },
    ...{ tooBig: /From 10\.254\.254\.2 .*[Ff]rag needed.*mtu = 1300/, icmp: 'icmp', header: 28 },
  },
  IPv6: {
    ...{ vm: 'fd00:1::11', outside: '2001:db8:9::80', external: '2001:db8:100::101', own: 'fd00:fe::2' },
    ...{ spoofed: 'fd00:1::99', other: '2001:db8:9::81', at: (port: number) => `[2001:db8:9::80]:${port}` },
    ...{ mapped: '[2001:db8:100::101]:8080', limited: '[2001:db8:100::101]:8081', mss: 60, length: 128 },
    ...{ ip: 'ipv6', tooBig: /From fd00:fe::2.*Packet too big: mtu=1300/, icmp: 'icmpv6', header: 48 },
  },
} as const;

const mappings = Object.values(families).flatMap(({ vm, external, outside, length }): PortMappingPlan[] => {
  const mapping = { externalAddress: external, internalAddress: vm, internalPort: 80 };
  return [
    { ...mapping, protocol: 'tcp', externalPort: 8080 },
    { ...mapping, protocol: 'udp', externalPort: 8080 },
    { ...mapping, protocol: 'udp', externalPort: 8081, remotePrefix: `${outside}/${length}` },
  ];
});
const nat: NatPlan = {
  externalAddresses: Object.values(families).map(({ external: address }) => ({ address })),
  portMappings: mappings,
};

let lab: Lab;
let vm: Namespace;
let outside: Namespace;
const contexts = new Contexts(INSTANCE);
const { netns, tenantPort, externalPort } = contexts.names(RDID);

t.before(async () => {
  lab = await Lab.create(`nt${process.pid}`);
  lab.onClose(() => contexts.remove(netns));
  vm = await lab.namespace('vm');
  outside = await lab.namespace('out');
  let mac = '';
  await contexts.apply({ rdid: RDID, plan, nat, mtu: MTU }, ({ externalMac }) => {
    mac = externalMac;
  });
  // The root sides become the NICs of the two stacks, with the MAC that the context sends to.
  const become = (namespace: Namespace, link: string): Promise<void> =>
    ipBatch([['link', 'set', link, 'netns', namespace.name, 'name', 'eth0', 'address', routerMac]]);
  await become(vm, tenantPort);
  await become(outside, externalPort);
  const open = (addresses: readonly string[]): string[] => [
    'link set eth0 mtu 1500 up',
    ...addresses.map((address) => `addr add ${address} dev eth0${address.includes(':') ? ' nodad' : ''}`),
  ];
  const hosts = Object.values(families);
  const route = (to: string, via: string): string => `route add ${to} via ${via} dev eth0 onlink`;
  await vm.ipBatch([
    ...open(hosts.map((host) => `${host.vm}/${host.length}`)),
    ...hosts.map(({ own }) => `neigh add ${own} lladdr ${plan.mac} dev eth0`),
    ...[route('0.0.0.0/0', '10.254.254.2'), route('::/0', 'fd00:fe::2')],
  ]);
  await outside.ipBatch([
    ...open(
      hosts.flatMap((host) => [host.outside, host.other, host.spoofed].map((one) => `${one}/${host.length}`)),
    ),
    ...hosts.flatMap(({ external, length }) => [
      `neigh add ${external} lladdr ${mac} dev eth0`,
      `route add ${external}/${length} dev eth0`,
    ]),
  ]);
  const both = (address: string, port: number): string[] =>
    ['tcp', 'udp'].map(
      (protocol) => `${protocol}:${address.includes(':') ? `[${address}]` : address}:${port}`,
    );
  await startEcho(
    outside,
    'outside',
    hosts.flatMap((host) => both(host.outside, 7)),
  );
  await startEcho(
    vm,
    'vm',
    hosts.flatMap((host) => both(host.vm, 80)),
  );
});
t.teardown(() => lab.close());

const first = async (answers: Promise<(EchoAnswer | null)[]>): Promise<EchoAnswer | null> =>
  (await answers)[0] ?? null;

/** Packets that the last rule of `leaving` has dropped. */
function dropped(): number {
  const objects = inNetns(netns, () => nftList(natTable)) as {
    rule?: { chain: string; expr: { counter?: { packets: number } }[] };
  }[];
  const counts = objects.flatMap(({ rule }) => (rule?.chain === 'leaving' ? rule.expr : []));
  return counts.find(({ counter }) => counter !== undefined)?.counter?.packets ?? Number.NaN;
}

/** Packets that the context itself has begun to send over IPv6. */
function sentIpv6(): number {
  const counters = inNetns(netns, () => readFileSync('/proc/thread-self/net/snmp6', 'utf8'));
  return Number(/^Ip6OutRequests\s+(\d+)$/m.exec(counters)?.[1]);
}

for (const [family, host] of Object.entries(families)) {
  t.test(`${family}: what a tenant asks outside comes from the external address`, async (t) => {
    for (const protocol of ['tcp', 'udp']) {
      const answer = await first(ask(vm, `${protocol}:${host.at(7)}`));
      t.match(answer, { server: 'outside', address: host.external }, protocol);
    }
    const capture = await Capture.start(outside, 'eth0', host.icmp === 'icmp' ? 'icmp' : 'icmp6');
    await vm.runChecked(['ping', '-n', '-c', '2', '-i', '0.05', '-W', '2', host.outside]);
    await capture.stop();
    const sources = await capture.decode(host.icmp, [`${host.ip}.src`, `${host.ip}.dst`]);
    t.same(new Set(sources.flat()), new Set([host.external, host.outside]));
  });

  t.test(`${family}: the external address itself answers a ping from outside`, async (t) => {
    t.equal((await outside.run(['ping', '-n', '-c', '1', '-W', '2', host.external])).code, 0);
  });

  t.test(`${family}: a port mapping leads to the tenant, who sees the asker`, async (t) => {
    for (const protocol of ['tcp', 'udp']) {
      const answer = await first(ask(outside, `${protocol}:${host.mapped}`, { from: host.outside }));
      t.match(answer, { server: 'vm', address: host.outside }, protocol);
    }
    t.match(await first(ask(outside, `udp:${host.limited}`, { from: host.outside })), { server: 'vm' });
    const refused = ask(outside, `udp:${host.limited}`, { from: host.other, timeoutMs: 300 });
    t.equal(await first(refused), null, 'another remote than that of the mapping');
  });

  t.test(`${family}: a source that the tenant has does not come in from outside`, async (t) => {
    const capture = await Capture.start(vm, 'eth0', `src host ${host.spoofed}`);
    const spoofed = ask(outside, `udp:${host.mapped}`, { from: host.spoofed, timeoutMs: 300 });
    t.equal(await first(spoofed), null);
    await capture.stop();
    t.same(await capture.decode('', ['frame.number']), []);
  });

  t.test(`${family}: TCP segments are offered no larger than both links take, each way`, async (t) => {
    const captures = [await Capture.start(outside, 'eth0', 'tcp'), await Capture.start(vm, 'eth0', 'tcp')];
    await ask(vm, `tcp:${host.at(7)}`);
    await ask(outside, `tcp:${host.mapped}`, { from: host.outside });
    const received = ['outside', 'vm'].entries();
    for (const [index, side] of received) {
      const capture = captures[index];
      await capture?.stop();
      const theirs = side === 'vm' ? host.vm : host.outside;
      const sizes = await capture?.decode(`tcp.flags.syn == 1 && ${host.ip}.dst == ${theirs}`, [
        'tcp.options.mss_val',
      ]);
      const fits = String(MTU.external - host.mss);
      t.same(sizes, [[fits], [fits]], `the SYN and the SYN-ACK that ${side} gets`);
    }
  });

  t.test(`${family}: the context shows itself in a traceroute`, async (t) => {
    const args = ['traceroute', '-n', '-q', '1', '-w', '2', '-m', '2', host.outside];
    const { stdout } = await vm.runChecked(args);
    t.match(stdout.split('\n')[1], new RegExp(`^ 1  ${host.own}  `));
    t.match(stdout.split('\n')[2], new RegExp(`^ 2  ${host.outside}  `));
  });

  t.test(`${family}: a tenant is told what the way outside takes`, async (t) => {
    const size = String(1400 - host.header);
    const { stdout } = await vm.run([
      'ping',
      '-n',
      '-c',
      '1',
      '-W',
      '2',
      '-M',
      'do',
      '-s',
      size,
      host.outside,
    ]);
    t.match(stdout, host.tooBig);
  });

  t.test(`${family}: without an external address of the family nothing leaves`, async (t) => {
    const capture = await Capture.start(outside, 'eth0');
    const others = nat.externalAddresses.filter(({ address }) => address !== host.external);
    applyNat(netns, RDID, { externalAddresses: others, portMappings: [] }, MTU);
    t.teardown(() => applyNat(netns, RDID, nat, MTU));
    const before = dropped();
    t.equal(await first(ask(vm, `udp:${host.at(7)}`, { timeoutMs: 300 })), null);
    await capture.stop();
    t.ok(dropped() > before, 'it was dropped');
    t.same(await capture.decode(`${host.ip}.dst == ${host.outside}`, ['frame.number']), []);
  });
}

t.test('a context says nothing of its own on either side', async (t) => {
  const captures = [await Capture.start(outside, 'eth0'), await Capture.start(vm, 'eth0')];
  const [reports, drops] = [sentIpv6(), dropped()];
  await ip(['link', 'set', 'hnv', 'down'], { netns });
  await ip(['link', 'set', 'ext', 'down'], { netns });
  await ip(['link', 'set', 'hnv', 'up'], { netns });
  await ip(['link', 'set', 'ext', 'up'], { netns });
  // Two links report their groups, and are not heard.
  await until('the kernel has reported its multicast groups', 10_000, () => sentIpv6() >= reports + 2);
  t.equal(dropped(), drops, 'nor are they counted as dropped');
  for (const capture of captures) {
    await capture.stop();
    t.same(await capture.decode(`eth.src != ${routerMac}`, ['frame.protocols']), []);
  }
});
