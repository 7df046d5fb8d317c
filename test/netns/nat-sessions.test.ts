/** Sessions of a routing context with real stacks around it: listed, ended when the plan has them no more, refused and counted. */
import t from 'tap';
import type { NatSession, NatSessionFilter } from '../../src/api/operations.ts';
import { endSessions, sessionsOf } from '../../src/linux/conntrack.ts';
import { inNetns } from '../../src/linux/netns.ts';
import { nftScript } from '../../src/linux/nftables.ts';
import { endUncoveredSessions } from '../../src/nat/ending.ts';
import { natUse, refusalCounters } from '../../src/nat/refusals.ts';
import { SessionLists } from '../../src/nat/sessions.ts';
import type { NatPlan } from '../../src/policy/plan.ts';
import { ask, startEcho } from '../lab/echo.ts';
import { Lab } from '../lab/lab.ts';
import type { Namespace } from '../lab/namespace.ts';
import { until } from '../lab/until.ts';

const external = '198.51.100.1';
const external6 = '2001:db8:e::1';
const vmMac = '02:00:00:00:00:09';
const remote = '203.0.113.5';
const remote6 = '2001:db8:9::5';

const plan: NatPlan = {
  externalAddresses: [{ address: external, portStart: 2000, portEnd: 2999 }, { address: external6 }],
  prefixes: [{ external: 'fd00:2::/64', internal: 'fd00:2::/64' }],
  portMappings: [
    {
      ...{ protocol: 'tcp', externalAddress: external, externalPort: 2080 },
      ...{ internalAddress: '10.0.0.9', internalPort: 80 },
    },
  ],
  oneToOne: [],
  timeouts: { icmp: 60, tcpEstablished: 7440, tcpTransient: 240, udp: 300 },
  filtering: { tcp: 'addressAndPortDependent', udp: 'addressAndPortDependent' },
  hairpinning: 'local',
  algs: [],
  peers: [],
  sitePrefixes: [],
};

/** By hand, so that the sessions are those of a ruleset of the kernel's, whatever hnvgw's is. */
const rules = (ports: string) => `
  table inet hnvgw_limit
  delete table inet hnvgw_limit
  table inet hnvgw_limit {
  }
  table inet hnvgw
  delete table inet hnvgw
  table inet hnvgw {
    chain destination {
      type nat hook prerouting priority dstnat;
      ip daddr ${external} tcp dport 2080 dnat ip to 10.0.0.9:80
    }
    chain source {
      type nat hook postrouting priority srcnat;
      iifname hnv ip saddr 10.0.0.0/24 meta l4proto { tcp, udp } snat ip to ${external}:${ports}
      iifname hnv ip saddr 10.0.0.0/24 meta l4proto icmp snat ip to ${external}:${ports}
      oifname ext ip6 saddr fd00:1::/64 snat ip6 to ${external6}
    }
  }
  table inet ${refusalCounters.limit.table} {
    counter ${refusalCounters.limit.name} { packets 42 bytes 0 }
  }`;

interface Scene {
  context: Namespace;
  vm: Namespace;
  outside: Namespace;
}

async function build(lab: Lab): Promise<Scene> {
  const [context, vm, outside] = await Promise.all([
    lab.namespace('context'),
    lab.namespace('vm'),
    lab.namespace('outside'),
  ]);
  await lab.veth(context, 'hnv', vm, 'eth0');
  await lab.veth(context, 'ext', outside, 'eth0');
  await context.runChecked([
    ...['sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1'],
    ...['net.netfilter.nf_conntrack_acct=1', 'net.netfilter.nf_conntrack_timestamp=1'],
  ]);
  const addresses = (nic: string, ...list: string[]) => list.map((a) => `addr add ${a} dev ${nic} nodad`);
  await context.ipBatch([
    ...addresses('hnv', '10.0.0.2/24', 'fd00:1::2/64', 'fd00:2::2/64'),
    ...addresses('ext', `${external}/32`, `${external6}/128`, '203.0.113.2/24', '2001:db8:9::2/64'),
    // Asking for it would wait until the link-local address has been found unique.
    `neigh add fd00:2::9 lladdr ${vmMac} dev hnv`,
  ]);
  await vm.ipBatch([
    `link set eth0 address ${vmMac}`,
    ...addresses('eth0', '10.0.0.9/24', 'fd00:1::9/64', 'fd00:2::9/64'),
    'route add default via 10.0.0.2',
    'route add default via fd00:1::2',
  ]);
  await outside.ipBatch([
    ...addresses('eth0', `${remote}/24`, `${remote6}/64`),
    'route add default via 203.0.113.2',
    'route add default via 2001:db8:9::2',
  ]);
  inNetns(context.name, () => nftScript(rules('2000-2999')));
  const services = [`udp:${remote}:53`, `tcp:${remote}:80`, `tcp:[${remote6}]:80`];
  await startEcho(outside, 'outside', services);
  await startEcho(vm, 'vm', ['tcp:10.0.0.9:80']);
  return { context, vm, outside };
}

const lists = new SessionLists();

async function list(netns: string, filter: NatSessionFilter = {}): Promise<NatSession[]> {
  const found: NatSession[] = [];
  for await (const part of lists.of(netns, plan, filter)) found.push(...part);
  return found;
}

/** What `conntrack -L` shows: protocol, original and reply tuple; sorted. */
async function shown({ context }: Scene): Promise<string[]> {
  const lines: string[] = [];
  for (const family of ['ipv4', 'ipv6']) {
    const { stdout } = await context.runChecked(['conntrack', '-L', '-f', family]);
    for (const line of stdout.split('\n')) {
      const [protocol] = line.split(' ');
      const values = [...line.matchAll(/ (?:src|dst|sport|dport|type|code|id|packets|bytes)=(\S+)/g)];
      if (values.length > 0) lines.push([protocol, ...values.map(([, value]) => value)].join(' '));
    }
  }
  return lines.sort();
}

/** The same from ctnetlink. */
async function dumped({ context }: Scene): Promise<string[]> {
  const names = new Map([
    [1, 'icmp'],
    [6, 'tcp'],
    [17, 'udp'],
    [58, 'icmpv6'],
  ]);
  const lines: string[] = [];
  for await (const sessions of sessionsOf(context.name))
    for (const { protocol, original, reply, icmp, sent, received } of sessions) {
      const isQuery = icmp !== undefined;
      const answer = protocol === 1 ? 0 : 129;
      lines.push(
        [
          names.get(protocol),
          ...[original.source, original.destination],
          ...(isQuery ? [icmp.type, icmp.code] : [original.sourcePort]),
          ...[original.destinationPort, sent?.packets, sent?.bytes],
          ...[reply.source, reply.destination],
          ...(isQuery ? [answer, 0] : [reply.sourcePort]),
          ...[reply.destinationPort, received?.packets, received?.bytes],
        ].join(' '),
      );
    }
  return lines.sort();
}

/** One session of each kind. */
async function talk({ vm, outside }: Scene): Promise<void> {
  const answers = await Promise.all([
    ask(vm, `udp:${remote}:53`, { fromPort: 5000 }),
    ask(vm, `tcp:${remote}:80`, { fromPort: 5001 }),
    ask(vm, `tcp:[${remote6}]:80`, { from: 'fd00:1::9', fromPort: 5002 }),
    ask(vm, `tcp:[${remote6}]:80`, { from: 'fd00:2::9', fromPort: 5003 }),
    ask(outside, `tcp:${external}:2080`, { fromPort: 5004 }),
    ask(vm, `tcp:${external}:2080`, { fromPort: 5005 }),
    vm.runChecked(['ping', '-q', '-c1', '-W2', '-e', '77', remote]),
    vm.runChecked(['ping', '-q', '-c1', '-W2', '-e', '78', '-I', 'fd00:1::9', remote6]),
    vm.runChecked(['ping', '-q', '-c1', '-W2', '10.0.0.2']),
  ]);
  if (answers.some((answer) => Array.isArray(answer) && answer[0] === null))
    throw new Error(JSON.stringify(answers));
}

t.test('sessions of a routing context', { timeout: 120_000 }, async (t) => {
  const lab = await Lab.create(`ns${process.pid}`);
  t.teardown(() => lab.close());
  const scene = await build(lab);
  const { context, vm, outside } = scene;
  await talk(scene);

  await t.test('what is read over netlink is what conntrack shows', async (t) => {
    t.equal((await shown(scene)).length, 9);
    t.same(await dumped(scene), await shown(scene));
    t.equal(natUse(context.name).sessions, 9);
  });

  await t.test('the list says who is inside and outside, and when it began', async (t) => {
    const sessions = await list(context.name);
    const of = (filter: Partial<NatSession>): NatSession | undefined =>
      sessions.find((each) => Object.entries(filter).every(([k, v]) => each[k as keyof NatSession] === v));
    t.equal(sessions.length, 8, 'a ping of the context itself is none of NAT’s');
    const inside = { direction: 'outbound', internalAddress: '10.0.0.9' };
    t.match(of({ internalPort: 5000 }), {
      ...{ protocol: 'udp', ...inside, externalAddress: external, remoteAddress: remote, remotePort: 53 },
      ...{ assured: false, sent: { packets: 1, bytes: 33 }, received: { packets: 1 } },
    });
    t.match(of({ internalPort: 5001 }), { protocol: 'tcp', ...inside, state: 'timeWait', assured: true });
    t.match(of({ icmpId: 77 }), { protocol: 'icmp', ...inside, externalIcmpId: /^2\d\d\d$/ });
    t.match(of({ icmpId: 78 }), { protocol: 'icmpv6', externalAddress: external6, externalIcmpId: 78 });
    t.match(of({ internalPort: 5002 }), { externalAddress: external6, remoteAddress: remote6 });
    const routed = of({ internalPort: 5003 });
    t.match(routed, { direction: 'outbound', internalAddress: 'fd00:2::9', externalAddress: 'fd00:2::9' });
    const inbound = of({ remotePort: 5004 });
    t.match(inbound, {
      ...{ direction: 'inbound', internalAddress: '10.0.0.9', internalPort: 80 },
      ...{ externalAddress: external, externalPort: 2080, remoteAddress: remote },
    });
    // The context counts by who began: here that is the other side.
    const [tracked] = (await dumped(scene)).filter((line) =>
      line.startsWith(`tcp ${remote} ${external} 5004 `),
    );
    const { sent, received } = inbound ?? {};
    t.match(tracked, ` ${received?.packets} ${received?.bytes} 10.0.0.9 `);
    t.match(tracked, new RegExp(` ${sent?.packets} ${sent?.bytes}$`));
    t.match(of({ direction: 'hairpin' }), {
      ...{ internalAddress: '10.0.0.9', internalPort: 5005, externalAddress: external },
      ...{ remoteAddress: external, remotePort: 2080 },
      ...{ remoteInternalAddress: '10.0.0.9', remoteInternalPort: 80 },
    });
    for (const { started = '', protocol } of sessions) {
      const age = Date.now() - Date.parse(started);
      t.ok(age >= 0 && age < 60_000, `${protocol} began ${age} ms ago`);
    }
  });

  await t.test(
    'each session is found by what it has, with the direction known to the kernel or not',
    async (t) => {
      const sessions = await list(context.name);
      const identity = ({ timeoutSeconds: _, ...session }: NatSession): string => JSON.stringify(session);
      for (const session of sessions) {
        const { protocol, internalAddress, externalAddress, remoteAddress, remotePort, state } = session;
        const filter = Object.fromEntries(
          Object.entries({
            ...{ protocol, internalAddress, externalAddress, remoteAddress, remotePort, state },
            internalPort: session.internalPort ?? session.icmpId,
            externalPort: session.externalPort ?? session.externalIcmpId,
          }).filter(([, value]) => value !== undefined),
        ) as NatSessionFilter;
        for (const each of [filter, { ...filter, direction: session.direction }])
          t.strictSame((await list(context.name, each)).map(identity), [identity(session)]);
      }
      const outbound = sessions.filter(({ direction }) => direction === 'outbound');
      t.equal((await list(context.name, { direction: 'outbound' })).length, outbound.length);
      const none: NatSessionFilter[] = [
        { direction: 'outbound', remoteAddress: '203.0.113.6' },
        { direction: 'outbound', internalAddress: '10.0.0.9', remoteAddress: remote6 },
        { direction: 'inbound', externalAddress: external, protocol: 'udp' },
        { protocol: '132' },
      ];
      for (const filter of none) t.strictSame(await list(context.name, filter), [], JSON.stringify(filter));
    },
  );

  await t.test(
    'a plan that covers all ends nothing; one that does not ends what it has no more',
    async (t) => {
      t.equal(await endUncoveredSessions(context.name, { nat: plan }), 0);
      t.equal((await list(context.name)).length, 8);
      t.equal(await endUncoveredSessions(context.name, { nat: { ...plan, portMappings: [] } }), 2);
      t.strictSame(
        new Set((await list(context.name)).map(({ direction }) => direction)),
        new Set(['outbound']),
      );
      const moved = [{ address: external, portStart: 3000, portEnd: 3999 }, { address: external6 }];
      t.equal(await endUncoveredSessions(context.name, { nat: { ...plan, externalAddresses: moved } }), 3);
      const left = await list(context.name);
      t.ok(left.every(({ remoteAddress }) => remoteAddress === remote6));
      t.equal(left.length, 3);
      t.equal(await endUncoveredSessions(context.name, { nat: { ...plan, prefixes: [] } }), 1);
      t.equal(await endUncoveredSessions(context.name, { nat: undefined }), 2);
      t.equal((await shown(scene)).length, 1, 'a ping of the context itself goes on');
      t.equal(await endUncoveredSessions(context.name, { nat: undefined }), 0);
    },
  );

  await t.test('a session that has ended meanwhile is no error, and takes nobody else’s place', async (t) => {
    await ask(vm, `udp:${remote}:53`, { fromPort: 5000 });
    const keys: Buffer[] = [];
    for await (const sessions of sessionsOf(context.name, { original: { source: '10.0.0.9', protocol: 17 } }))
      keys.push(...sessions.map((session) => session.key()));
    t.equal(keys.length, 1);
    const many = Array.from({ length: 200 }, () => keys[0] ?? Buffer.alloc(0));
    endSessions(context.name, many);
    t.equal((await list(context.name, { protocol: 'udp' })).length, 0);
    await ask(vm, `udp:${remote}:53`, { fromPort: 5000 });
    // The id is the last of the key; the kernel makes it of the place in memory, too.
    endSessions(
      context.name,
      keys.map((key) => Buffer.concat([key.subarray(0, -4), Buffer.from('00000000', 'hex')])),
    );
    t.equal(
      (await list(context.name, { protocol: 'udp' })).length,
      1,
      'another session of the same addresses',
    );
  });

  await t.test('without a free port nothing leaves, and each is counted', async (t) => {
    inNetns(context.name, () => nftScript(rules('2000-2009')));
    await endUncoveredSessions(context.name, { nat: undefined });
    await context.runChecked(['conntrack', '-F']);
    const seen = await outside.spawn([
      ...['tcpdump', '-nlU', '-i', 'eth0', '--immediate-mode', '-Q', 'in'],
      'ip and (udp or tcp[tcpflags] & tcp-syn != 0 or icmp[icmptype] == icmp-echo)',
    ]);
    await seen.waitFor(/listening on/);
    const refused = () => natUse(context.name).refused;
    const before = refused();
    t.equal(before.limit, 42, 'a named counter of the ruleset');
    t.equal(before.bindings, 0, 'a counter that the ruleset has not');
    /** Asks 15 times at once; how many have a session then. */
    const took = async (protocol: string, port: number): Promise<number> => {
      await ask(vm, `${protocol}:${remote}:${port}`, { count: 15, timeoutMs: 500 });
      const ports = (await list(context.name, { protocol })).map(({ externalPort = 0 }) => externalPort);
      t.ok(
        ports.every((each) => each >= 2000 && each <= 2009),
        `${protocol}: ${ports}`,
      );
      t.equal(new Set(ports).size, ports.length);
      return ports.length;
    };
    t.equal(await took('udp', 53), 10);
    t.equal(refused().ports - before.ports, 5);
    t.equal(await took('tcp', 80), 10);
    t.equal(refused().ports - before.ports, 10);
    const pings = Array.from({ length: 15 }, (_, n) =>
      vm.run(['ping', '-q', '-c1', '-W1', '-e', `${100 + n}`, remote]),
    );
    const answered = (await Promise.all(pings)).filter(({ code }) => code === 0);
    t.equal(answered.length, 10);
    t.equal(refused().ports - before.ports, 15);
    t.equal(natUse(context.name).sessions, 30);
    await seen.end('SIGINT');
    const packets = seen.lines.filter((line) => line.includes(' IP '));
    t.ok(packets.length >= 30, `${packets.length} packets`);
    const own = new RegExp(`IP ${external}(\\.200\\d|) > ${remote}`);
    t.strictSame(
      packets.filter((line) => !own.test(line)),
      [],
    );
    t.strictSame(
      packets.filter((line) => /ICMP/.test(line) && !/id 200\d,/.test(line)),
      [],
    );
  });

  await t.test('a list that nobody reads on does not keep its namespace', async (t) => {
    const slow = lists.of(context.name, plan, {});
    t.equal((await slow.next()).done, false);
    await lists.without(context.name, async () => {
      await lab.runChecked('ip', ['netns', 'delete', context.name]);
      await t.rejects(lists.of(context.name, plan, {}).next(), { code: 'HNV_NOT_FOUND' });
      // With the namespace go its ends of the links, and so the others.
      await until(
        'the links are gone',
        5000,
        async () => (await vm.run(['ip', 'link', 'show', 'eth0'])).code !== 0,
      );
    });
    await t.rejects(slow.next(), { code: 'HNV_NOT_FOUND' });
  });
});
