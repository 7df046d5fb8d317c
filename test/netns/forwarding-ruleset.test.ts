/**
 * What a context lets pass between `fwd` and its other links, by real packets of both families: each way that there is, and each
 * that there must not be.
 */
import '../lab/own-namespace.ts';

import t, { type Test } from 'tap';
import { Contexts } from '../../src/gateway/contexts.ts';
import { contextDrops } from '../../src/nat/context-drops.ts';
import { endUncoveredSessions } from '../../src/nat/ending.ts';
import type { ContextPlan, ForwardingPlan, NatPlan } from '../../src/policy/plan.ts';
import { siteTableText } from '../../src/s2s/site-ruleset.ts';
import { Capture } from '../lab/capture.ts';
import { at, ContextLab, families, MTU, REMOTE_PORT, VM_PORT } from '../lab/context-lab.ts';
import { ask, startEcho } from '../lab/echo.ts';
import { bgpPlan, forwardingPlan } from '../lab/forwarding-plan.ts';
import { Namespace } from '../lab/namespace.ts';
import { natPlan } from '../lab/nat-plan.ts';
import { sitePlan } from '../lab/site-plan.ts';
import { traceroute } from '../lab/traceroute.ts';
import { UdpSocket } from '../lab/udp-socket.ts';
import { until } from '../lab/until.ts';

const [BGP, BFD, FTP, MAPPED] = [179, 3784, 21, 2080];

/** On the network of `fwd`: the context, a BGP peer that is the router, another host, one behind the router, and one that is not there. */
const NETWORK = {
  IPv4: {
    ...{
      own: '192.0.2.10',
      peer: '192.0.2.1',
      other: '192.0.2.2',
      corporate: '10.9.0.5',
      absent: '10.9.7.7',
    },
    ...{ prefix: '10.9.0.0/16', length: 24, any: '0.0.0.0/0' },
    site: { prefix: '192.168.50.0/24', host: '192.168.50.9', gateway: '192.168.50.1' },
  },
  IPv6: {
    ...{ own: '2001:db8:77::10', peer: '2001:db8:77::1', other: '2001:db8:77::2' },
    ...{ corporate: '2001:db8:c::5', absent: '2001:db8:c:7::7', prefix: '2001:db8:c::/48' },
    ...{ length: 64, any: '::/0' },
    site: { prefix: 'fd00:50::/64', host: 'fd00:50::9', gateway: 'fd00:50::1' },
  },
} as const;
type FamilyName = keyof typeof NETWORK;
const places = families.map(([name, host]) => ({
  name: name as FamilyName,
  host,
  net: NETWORK[name as FamilyName],
}));
const nodad = (address: string): string => (address.includes(':') ? ' nodad' : '');

const nat = natPlan({
  externalAddresses: places.map(({ host }) => ({ address: host.external })),
  portMappings: places.map(({ host }) => ({
    ...{ protocol: 'udp', externalAddress: host.external, externalPort: MAPPED },
    ...{ internalAddress: host.vms[0], internalPort: VM_PORT },
  })),
  sitePrefixes: places.map(({ net }) => net.site.prefix),
});
const forwarding = forwardingPlan({
  routes: places.map(({ net }) => ({ prefix: net.prefix, nextHops: [net.peer] })),
  advertise: places.map(({ host }) => `${host.vms[0]}/${host.length}`),
});
const bgp = bgpPlan(...places.flatMap(({ net }) => [net.peer, net.site.host]));
const more = { forwarding, bgp };

let context: ContextLab;
let inside: Namespace;
let site: Namespace;

t.before(async () => {
  context = await ContextLab.create('fr', nat, more);
  inside = new Namespace(context.lab, context.netns);
  site = await context.lab.namespace('site');
  const { network, outside } = context;
  await network.ipBatch([
    'link set eth0 mtu 1500 up',
    ...places.flatMap(({ host, net }) => [
      ...[net.peer, net.other].map((one) => `addr add ${one}/${net.length} dev eth0${nodad(one)}`),
      // The last two are not there: who has them could pretend to be somebody else.
      ...[net.corporate, host.spoofed, host.remotes[1]].map(
        (one) => `addr add ${one}/${host.length} dev eth0${nodad(one)}`,
      ),
      `route add ${net.any} via ${net.own} dev eth0 src ${net.corporate}`,
    ]),
  ]);
  // Who is outside would know ways to what is inside.
  await outside.ipBatch(
    places.flatMap(({ host, net }) => [
      `route add ${net.corporate}/${host.length} dev eth0`,
      `neigh add ${net.corporate} lladdr ${context.mac} dev eth0`,
    ]),
  );
  await joinSite();
  const both = (address: string, port: number) => [`tcp:${at(address, port)}`, `udp:${at(address, port)}`];
  await startEcho(
    network,
    'network',
    places.flatMap(({ net }) => [
      ...both(net.corporate, REMOTE_PORT),
      `tcp:${at(net.peer, BGP)}`,
      `tcp:${at(net.corporate, FTP)}`,
    ]),
  );
  await startEcho(outside, 'ftp', [`tcp:${at(places[0]?.host.remotes[0] ?? '', FTP)}`]);
  // A tenant's host says what it does not say from elsewhere under the first address.
  await context.vm.ipBatch(
    places.map(
      ({ host, net }) => `route replace ${net.any} via ${host.own} dev eth0 onlink src ${host.vms[0]}`,
    ),
  );
  await startEcho(
    inside,
    'context',
    places.flatMap(({ host, net }) => [
      ...[`tcp:${at(net.own, BGP)}`, `udp:${at(net.own, BFD)}`, `tcp:${at(net.own, 22)}`],
      ...[`tcp:${at(host.own, BGP)}`, `tcp:${at(host.external, BGP)}`],
    ]),
  );
  await startEcho(
    site,
    'site',
    places.map(({ net }) => `tcp:${at(net.site.host, BGP)}`),
  );
});
t.teardown(() => context?.lab.close());

/** In place of the tunnel a plain link of that name, with the site's stack behind it. */
async function joinSite(): Promise<void> {
  const [near, far] = ['02:00:00:00:50:01', '02:00:00:00:50:09'];
  await inside.ipBatch([
    `link add ipsec0 mtu 1380 address ${near} type veth peer name eth0 mtu 1380 address ${far} netns ${site.name}`,
    'link set ipsec0 up',
  ]);
  await site.ipBatch([
    'link set eth0 up',
    ...places.flatMap(({ host, net: { site: at } }) => [
      `addr add ${at.host}/${host.length} dev eth0${nodad(at.host)}`,
      `neigh add ${at.gateway} lladdr ${near} dev eth0`,
      `route add default via ${at.gateway} dev eth0 onlink`,
    ]),
  ]);
  await inside.ipBatch(
    places.flatMap(({ host, net: { site: at } }) => [
      `route add ${at.prefix} dev ipsec0 src ${host.own} proto 199`,
      `neigh add ${at.host} lladdr ${far} dev ipsec0`,
    ]),
  );
  const subnets = places.map(({ net }) => ({ prefix: net.site.prefix, metric: 0 }));
  const paths = subnets.map((subnet) => ({ ...subnet, connection: 'branch', isWaiting: false }));
  await inside.runChecked(['nft', '-f', '-'], {
    input: siteTableText(1380, [sitePlan({ subnets })], paths),
  });
}

const socket = (namespace: Namespace, address: string, port: number): UdpSocket =>
  new UdpSocket(namespace, 'lo', address.includes(':') ? 6 : 4, port, [], address);
let port = 6000;
interface Pair {
  prefix: string;
  talk(): Promise<void>;
  isEnded(): Promise<void>;
}
const forget = () => context.inside(['conntrack', '-F']);

interface Way {
  what: string;
  from: readonly [Namespace, string];
  /** Without a namespace when nobody has the address. */
  to: readonly [Namespace | undefined, string];
  /** Of the sender; any by default. */
  fromPort?: number;
  toPort?: number;
  /** By routing (rp_filter), and not by a rule. */
  isStranger?: boolean;
}

/** Waits until the ruleset has refused one packet more than before. */
async function isRefusedAt(send: () => void): Promise<void> {
  const before = contextDrops(context.netns);
  send();
  await until('a packet is refused, and counted', 2_000, () => contextDrops(context.netns) - before === 1);
}

const heard = (there: UdpSocket): Promise<string[]> =>
  until('a word is heard', 2_000, () => {
    const words = there.take();
    return words.length > 0 && words;
  });

/** Packets that routing has refused for their source, which the ruleset does not see. */
async function strangers(): Promise<number> {
  const { stdout } = await context.inside(['nstat', '-asz', 'TcpExtIPReversePathFilter']);
  return Number(/IPReversePathFilter +(\d+)/.exec(stdout)?.[1]);
}

/** A datagram must not arrive. */
async function checkRefusal(t: Test, way: Way): Promise<void> {
  const { what, from, to, fromPort = ++port, toPort = ++port } = way;
  const [there, address] = to;
  const sender = socket(...from, fromPort);
  const receiver = there && socket(there, address, toPort);
  const send = (): void => sender.send('hello', address, toPort);
  if (way.isStranger) {
    const before = await strangers();
    send();
    await until(what, 2_000, async () => (await strangers()) - before === 1);
  } else if (from[0] === inside) {
    // The context itself is told so at once (EPERM).
    await isRefusedAt(() => t.throws(send, what));
  } else await isRefusedAt(send);
  t.same(receiver?.take() ?? [], [], what);
}

t.test('nothing was refused while the links came up', async (t) => {
  t.equal(contextDrops(context.netns), 0);
});

for (const { name, host, net } of places)
  t.test(`${name}: a tenant and the network talk as they are, whoever begins`, async (t) => {
    const { vm, network, outside } = context;
    const [[tenant], corporate] = [host.vms, net.corporate];
    for (const protocol of ['tcp', 'udp']) {
      const [out] = await ask(vm, `${protocol}:${at(corporate, REMOTE_PORT)}`, {
        from: tenant,
        fromPort: 1500,
      });
      t.match(out, { server: 'network', address: tenant, port: 1500 }, protocol);
      const [into] = await ask(network, `${protocol}:${at(tenant, VM_PORT)}`, { from: corporate });
      t.match(into, { server: 'vm0', address: corporate }, protocol);
    }
    const [natted] = await ask(vm, `tcp:${at(host.remotes[0], REMOTE_PORT)}`, { from: tenant });
    t.match(natted, { server: 'outside', address: host.external }, 'and the outside sees its NAT');
    const [hairpin] = await ask(vm, `udp:${at(host.external, MAPPED)}`, { from: tenant });
    t.match(
      hairpin,
      { server: 'vm0', address: host.external },
      'as does who asks for the domain’s own address',
    );
    t.equal((await outside.run(['ping', '-c', '1', '-W', '1', host.external])).code, 0);
    t.equal((await network.run(['ping', '-c', '1', '-W', '1', '-I', net.peer, net.own])).code, 0);
  });

for (const { name, host, net } of places)
  t.test(`${name}: errors come from who is on the way`, async (t) => {
    const { vm, network } = context;
    const [tenant] = host.vms;
    t.same(await traceroute(vm, net.corporate, { maxHops: 2 }), [
      { address: host.own },
      { address: net.corporate },
    ]);
    t.same(await traceroute(network, tenant, { maxHops: 2 }), [{ address: net.own }, { address: tenant }]);
    const size = String(1450 - host.header);
    const { stdout } = await vm.run([
      ...['ping', '-n', '-c', '1', '-W', '2', '-M', 'do', '-s', size, '-I', tenant, net.corporate],
    ]);
    t.match(stdout, /[Ff]rag needed.*mtu = 1400|Packet too big: mtu=1400/);
  });

for (const { name, host, net } of places)
  t.test(`${name}: what has no way there is refused, and counted`, async (t) => {
    const { vm, network, outside } = context;
    const [[tenant, other], [remote, elsewhere]] = [host.vms, host.remotes];
    const isStranger = name === 'IPv4';
    const ways: Way[] = [
      { what: 'from a prefix that is not forwarded', from: [vm, other], to: [network, net.corporate] },
      { what: 'to a prefix that is not forwarded', from: [network, net.corporate], to: [vm, other] },
      { what: 'from the network to the uplink', from: [network, net.corporate], to: [outside, remote] },
      { what: 'from the uplink to the network', from: [outside, remote], to: [network, net.corporate] },
      { what: 'from the network to itself', from: [network, net.peer], to: [undefined, net.absent] },
      {
        what: 'from the network to a port mapping',
        ...{ from: [network, net.corporate], to: [inside, host.external], toPort: MAPPED },
      },
      { what: 'to an external address', from: [network, net.corporate], to: [inside, host.external] },
      { what: 'to the gateway’s address', from: [network, net.corporate], to: [inside, host.own] },
      { what: 'to another port of the context', from: [network, net.peer], to: [inside, net.own] },
      { what: 'BFD of who is no peer', from: [network, net.other], to: [inside, net.own], toPort: 4784 },
      {
        what: 'from the network under an address of the tenant’s',
        ...{ from: [network, host.spoofed], to: [vm, tenant], isStranger },
      },
      {
        what: 'from the network under an address behind the uplink',
        ...{ from: [network, elsewhere], to: [vm, tenant], isStranger },
      },
      {
        what: 'of the context under an external address',
        ...{ from: [inside, host.external], to: [network, net.corporate] },
      },
      { what: 'of the context under that of `hnv`', from: [inside, host.own], to: [network, net.corporate] },
      { what: 'IKE of the context', from: [inside, net.own], to: [network, net.corporate], fromPort: 500 },
      { what: 'from a site to the network', from: [site, net.site.host], to: [network, net.corporate] },
      { what: 'from the network to a site', from: [network, net.corporate], to: [site, net.site.host] },
    ];
    await forget();
    for (const way of ways) await checkRefusal(t, way);
  });

for (const { name, host, net } of places)
  t.test(`${name}: BGP and BFD with peers, on the network and through a tunnel`, async (t) => {
    const { network, outside, vm } = context;
    const hears = async (from: Namespace, address: string, endpoint: string) =>
      (await ask(from, endpoint, { from: address, timeoutMs: 300 }))[0]?.server;
    for (const [who, endpoint, server] of [
      [[network, net.peer], `tcp:${at(net.own, BGP)}`, 'context'],
      [[network, net.peer], `udp:${at(net.own, BFD)}`, 'context'],
      [[inside, net.own], `tcp:${at(net.peer, BGP)}`, 'network'],
      [[site, net.site.host], `tcp:${at(host.own, BGP)}`, 'context'],
      [[inside, host.own], `tcp:${at(net.site.host, BGP)}`, 'site'],
      [[network, net.other], `tcp:${at(net.own, BGP)}`, undefined],
      [[network, net.other], `udp:${at(net.own, BFD)}`, undefined],
      [[network, net.peer], `tcp:${at(net.own, 22)}`, undefined],
      [[network, net.peer], `tcp:${at(host.own, BGP)}`, undefined],
      [[vm, host.vms[0]], `tcp:${at(net.own, BGP)}`, undefined],
      [[outside, host.remotes[0]], `tcp:${at(host.external, BGP)}`, undefined],
    ] as const)
      t.equal(await hears(who[0], who[1], endpoint), server, `${who[1]} to ${endpoint}`);
  });

t.test('segments fit into the links on the way, and those of NAT into others', async (t) => {
  const { vm, network, outside } = context;
  const captures = [
    await Capture.start(network, 'eth0', 'tcp or ip6'),
    await Capture.start(outside, 'eth0', 'tcp or ip6'),
  ];
  for (const { host, net } of places)
    for (const remote of [net.corporate, host.remotes[0]])
      await ask(vm, `tcp:${at(remote, REMOTE_PORT)}`, { from: host.vms[0] });
  for (const [index, mtu] of [MTU.forwarding, MTU.external].entries()) {
    await captures[index]?.stop();
    t.same(
      await captures[index]?.decode('tcp.flags.syn == 1 && tcp.flags.ack == 0', ['tcp.options.mss_val']),
      places.map(({ host }) => [String(mtu - host.mss)]),
    );
  }
});

for (const { name, host, net } of places)
  t.test(`${name}: a session does not go over from NAT to the network, or back`, async (t) => {
    const { vm, network, outside } = context;
    const [[tenant], [, remote]] = [host.vms, host.remotes];
    const both = ++port;
    const sender = socket(vm, tenant, both);
    const [there, here] = [socket(outside, remote, both), socket(network, remote, both)];
    const say = (): void => sender.send('hello', remote, both);
    const end = (): Promise<number> => endUncoveredSessions(context.netns, { nat, ...more });
    await forget();
    say();
    t.same(await heard(there), ['hello']);

    await inside.ipBatch([
      `route add ${remote}/${host.length} via ${net.peer} dev fwd src ${net.own} proto 186`,
    ]);
    await isRefusedAt(say);
    t.equal(await end(), 1, 'it is translated, and has no way on the network');
    say();
    t.same(await heard(here), ['hello'], 'it begins again, as it is');
    t.equal(await end(), 0);

    await inside.ipBatch([`route del ${remote}/${host.length} dev fwd`]);
    await isRefusedAt(say);
    t.equal(await end(), 1, 'and does not leave by the uplink untranslated');
    say();
    t.same(await heard(there), ['hello']);
    t.same(here.take(), []);
  });

t.test(
  'prefixes that are not forwarded any more, and then no forwarding, end what they let through',
  async (t) => {
    const { vm, network } = context;
    await forget();
    const pairs = places.map(({ host, net }) => {
      const both = ++port;
      const [vmSide, networkSide] = [socket(vm, host.vms[0], both), socket(network, net.corporate, both)];
      const [ask, answer] = [
        () => vmSide.send('ask', net.corporate, both),
        () => networkSide.send('answer', host.vms[0], both),
      ];
      return {
        prefix: `${host.vms[0]}/${host.length}`,
        talk: async () => {
          ask();
          t.same(await heard(networkSide), ['ask']);
          answer();
          t.same(await heard(vmSide), ['answer']);
        },
        isEnded: async () => {
          await isRefusedAt(ask);
          await isRefusedAt(answer);
        },
      };
    });
    const [first, second] = pairs as [Pair, Pair];
    for (const { talk } of pairs) await talk();
    const fewer: ForwardingPlan = { ...forwarding, advertise: [second.prefix] };
    context.setRules(nat, { forwarding: fewer, bgp });
    await first.isEnded();
    await second.talk();
    t.equal(await endUncoveredSessions(context.netns, { nat, forwarding: fewer, bgp }), 1);
    context.setRules(nat);
    await second.isEnded();
    t.equal(await endUncoveredSessions(context.netns, { nat }), 1);
    context.setRules(nat, more);
    for (const { talk } of pairs) await talk();
  },
);

t.test('blocks of ports, limits and ALGs are of NAT alone', async (t) => {
  const { vm, network } = context;
  const plan: NatPlan = {
    ...nat,
    externalAddresses: places.map(({ host }) => ({ address: host.external, portStart: 2000, portEnd: 2099 })),
    maxSessions: 1,
    portMappings: [],
    sitePrefixes: [],
  };
  await context.become(plan, more);
  await forget();
  const { host, net } = places[0] as (typeof places)[number];
  const all = { count: 3, from: host.vms[0], timeoutMs: 400 };
  const answered = async (asker: Namespace, endpoint: string, from: string): Promise<number> =>
    (await ask(asker, endpoint, { ...all, from })).filter((answer) => answer !== null).length;
  t.equal(await answered(vm, `tcp:${at(host.remotes[0], REMOTE_PORT)}`, host.vms[0]), 0, 'three at a time');
  t.equal(await answered(vm, `tcp:${at(net.corporate, REMOTE_PORT)}`, host.vms[0]), 3);
  t.equal(await answered(network, `tcp:${at(host.vms[0], VM_PORT)}`, net.corporate), 3);
  t.equal(await answered(network, `tcp:${at(net.own, BGP)}`, net.peer), 3);
  t.equal(await answered(inside, `tcp:${at(net.peer, BGP)}`, net.own), 3);
  const [kept] = await ask(vm, `udp:${at(net.corporate, REMOTE_PORT)}`, {
    from: host.vms[0],
    fromPort: 1501,
  });
  t.match(kept, { address: host.vms[0], port: 1501 });

  await context.become({ ...nat, algs: ['ftp'] }, more);
  await forget();
  for (const remote of [net.corporate, host.remotes[0]])
    t.ok((await ask(vm, `tcp:${at(remote, FTP)}`, { from: host.vms[0] }))[0]);
  const { stdout } = await context.inside(['conntrack', '-L', '-p', 'tcp', '--orig-port-dst', `${FTP}`]);
  const isHelped = (remote: string): boolean | undefined =>
    stdout
      .split('\n')
      .find((line) => line.includes(`dst=${remote} `))
      ?.includes('helper=ftp');
  t.equal(isHelped(net.corporate), false, stdout);
  t.equal(isHelped(host.remotes[0]), true, stdout);
});

t.test('a context without NAT forwards alone', async (t) => {
  const { vm } = context;
  await context.become(undefined, more);
  for (const { host, net } of places) {
    const [out] = await ask(vm, `tcp:${at(net.corporate, REMOTE_PORT)}`, { from: host.vms[0] });
    t.match(out, { server: 'network', address: host.vms[0] });
    const [nobody] = await ask(vm, `udp:${at(host.remotes[0], REMOTE_PORT)}`, {
      ...{ from: host.vms[0], timeoutMs: 300 },
    });
    t.equal(nobody, null);
  }
});

t.test(
  'other destinations behind `fwd`, under the same rules, end the sessions that NAT had with them',
  async (t) => {
    const contexts = new Contexts(`q${(process.pid % 46656).toString(36)}`);
    const rdid = '22222222-2222-2222-2222-222222222222';
    const { netns } = contexts.names(rdid);
    t.teardown(() => contexts.remove(netns));
    const plan: ContextPlan = {
      ...{ vsid: 5002, mac: '02:00:00:50:02:02', providerAddress: '192.168.1.20' },
      ...{ addresses: ['10.254.254.2'], routerAddresses: ['10.254.254.1'], tenantPrefixes: ['10.1.1.0/24'] },
    };
    const [{ host, net }] = places as [(typeof places)[number]];
    const become = (routes: ForwardingPlan['routes']) =>
      contexts.apply(
        { rdid, plan, nat, ...more, forwarding: { ...forwarding, routes }, mtu: MTU },
        () => undefined,
      );
    const conntrack = async (...args: string[]) =>
      (await context.lab.runChecked('nsenter', [`--net=/run/netns/${netns}`, 'conntrack', ...args])).stdout;
    await become([]);
    for (const remote of [net.corporate, host.remotes[0]])
      await conntrack(
        ...[
          '-I',
          '-p',
          'udp',
          '-t',
          '100',
          '-s',
          host.vms[0],
          '-d',
          remote,
          '-r',
          remote,
          '-q',
          host.external,
        ],
        ...['--sport', '1000', '--dport', '53', '--reply-port-src', '53', '--reply-port-dst', '1000'],
      );
    await become([]);
    t.match(await conntrack('-L'), net.corporate, 'nothing has changed');
    await become(forwarding.routes);
    const left = await conntrack('-L');
    t.notMatch(left, net.corporate);
    t.match(left, host.remotes[0]);
  },
);
