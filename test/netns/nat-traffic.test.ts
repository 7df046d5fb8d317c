/**
 * Source NAT, port mappings and what goes with them, with real packets, both under addresses that are the domain's alone and
 * under blocks of addresses that are shared.
 */
import '../lab/own-namespace.ts';

import { readFileSync } from 'node:fs';
import t from 'tap';
import { ip } from '../../src/linux/iproute2.ts';
import { inNetns } from '../../src/linux/netns.ts';
import type { PortMappingPlan } from '../../src/policy/plan.ts';
import { routerMac } from '../../src/policy/router.ts';
import { Capture } from '../lab/capture.ts';
import { at, ContextLab, families, hosts, MTU, REMOTE_PORT } from '../lab/context-lab.ts';
import { natPlan } from '../lab/nat-plan.ts';
import { RawIp } from '../lab/raw-ip.ts';
import { traceroute } from '../lab/traceroute.ts';
import { until } from '../lab/until.ts';

const [START, END] = [2000, 2999];
const [MAPPED, LIMITED] = [2080, 2081];
/** A protocol for experiments (RFC 3692). */
const EXPERIMENT = 253;
/** Networks behind the stack outside, which is their router. */
const [NARROW, GONE] = ['203.0.113.91', '203.0.113.92'] as const;

const portMappings = families.flatMap(([, { vms, external, remotes, length }]): PortMappingPlan[] => {
  const mapping = { externalAddress: external, internalAddress: vms[0], internalPort: 80 };
  return [
    { ...mapping, protocol: 'tcp', externalPort: MAPPED },
    { ...mapping, protocol: 'udp', externalPort: MAPPED },
    { ...mapping, protocol: 'udp', externalPort: LIMITED, remotePrefix: `${remotes[0]}/${length}` },
  ];
});
const externals = families.map(([, { external: address }]) => ({ address }));
const plans = {
  'an address of its own': natPlan({ externalAddresses: externals, portMappings }),
  'a block': natPlan({
    externalAddresses: externals.map((one) => ({ ...one, portStart: START, portEnd: END })),
    portMappings,
  }),
};

let context: ContextLab;
t.before(async () => {
  context = await ContextLab.create('nt', plans['an address of its own']);
  await context.outside.ipBatch([
    `route add ${NARROW}/32 via ${hosts.IPv4.external} dev eth0 onlink mtu lock 1000`,
    `route add unreachable ${GONE}/32`,
  ]);
  await context.outside.runChecked(['sysctl', '-qw', 'net.ipv4.ip_forward=1']);
});
t.teardown(() => context?.lab.close());

/** Packets that the context itself has begun to send over IPv6. */
function sentIpv6(): number {
  const counters = inNetns(context.netns, () => readFileSync('/proc/thread-self/net/snmp6', 'utf8'));
  return Number(/^Ip6OutRequests\s+(\d+)$/m.exec(counters)?.[1]);
}

for (const [what, nat] of Object.entries(plans)) {
  const isBlock = nat === plans['a block'];
  t.test(`under ${what}`, async (t) => {
    const { vm, outside } = context;
    await context.become(nat);
    // What the tenant has been told of the way.
    for (const family of ['-4', '-6']) await vm.runChecked(['ip', family, 'route', 'flush', 'cache']);

    for (const [family, host] of families) {
      const [remote, other] = host.remotes;
      const asked = at(remote, REMOTE_PORT);
      const mapped = at(host.external, MAPPED);

      await t.test(`${family}: what a tenant asks outside comes from the external address`, async (t) => {
        for (const protocol of ['tcp', 'udp']) {
          const answer = await context.ask('vm', `${protocol}:${asked}`);
          t.match(answer, { server: 'outside', address: host.external }, protocol);
          if (isBlock) t.ok(answer && answer.port >= START && answer.port <= END, `port ${answer?.port}`);
        }
      });

      await t.test(`${family}: so do pings, with identifiers that are the domain's`, async (t) => {
        const capture = await Capture.start(outside, 'eth0', host.icmp === 'icmp' ? 'icmp' : 'icmp6');
        await vm.runChecked(['ping', '-n', '-c', '2', '-i', '0.05', '-W', '2', remote]);
        await capture.stop();
        const fields = [`${host.ip}.src`, host.icmp === 'icmp' ? 'icmp.ident' : 'icmpv6.echo.identifier'];
        const sent = await capture.decode(host.ping, fields);
        t.equal(sent.length, 2);
        for (const [source, identifier] of sent) {
          t.equal(source, host.external);
          if (isBlock)
            t.ok(Number(identifier) >= START && Number(identifier) <= END, `identifier ${identifier}`);
        }
      });

      await t.test(`${family}: the external address itself answers a ping from outside`, async (t) => {
        t.equal((await outside.run(['ping', '-n', '-c', '1', '-W', '2', host.external])).code, 0);
      });

      await t.test(`${family}: a port mapping leads to the tenant, who sees the asker`, async (t) => {
        for (const protocol of ['tcp', 'udp']) {
          const answer = await context.ask('outside', `${protocol}:${mapped}`, { from: remote });
          t.match(answer, { server: 'vm0', address: remote }, protocol);
        }
        const limited = `udp:${at(host.external, LIMITED)}`;
        t.match(await context.ask('outside', limited, { from: remote }), { server: 'vm0' });
        const refused = await context.ask('outside', limited, { from: other, timeoutMs: 300 });
        t.equal(refused, null, 'another remote than that of the mapping');
      });

      await t.test(`${family}: a source that the tenant has does not come in from outside`, async (t) => {
        const capture = await Capture.start(vm, 'eth0', `src host ${host.spoofed}`);
        t.equal(await context.ask('outside', `udp:${mapped}`, { from: host.spoofed, timeoutMs: 300 }), null);
        await capture.stop();
        t.same(await capture.decode('', ['frame.number']), []);
      });

      await t.test(
        `${family}: TCP segments are offered no larger than both links take, each way`,
        async (t) => {
          const captures = await Promise.all(
            [outside, vm].map((namespace) => Capture.start(namespace, 'eth0', 'tcp')),
          );
          await context.ask('vm', `tcp:${asked}`);
          await context.ask('outside', `tcp:${mapped}`, { from: remote });
          for (const [index, [side, theirs]] of [
            ['outside', remote],
            ['vm', host.vms[0]],
          ].entries()) {
            const capture = captures[index];
            await capture?.stop();
            const filter = `tcp.flags.syn == 1 && ${host.ip}.dst == ${theirs}`;
            const sizes = await capture?.decode(filter, ['tcp.options.mss_val']);
            const fits = String(MTU.external - host.mss);
            t.same(sizes, [[fits], [fits]], `the SYN and the SYN-ACK that ${side} gets`);
          }
        },
      );

      await t.test(`${family}: a traceroute shows the context and who is behind it`, async (t) => {
        for (const method of ['udp', 'icmp'] as const)
          t.same(
            await traceroute(vm, remote, { method, maxHops: 2 }),
            [{ address: host.own }, { address: remote }],
            method,
          );
      });

      await t.test(`${family}: a tenant is told what the way outside takes`, async (t) => {
        const size = String(1400 - host.header);
        const told = {
          IPv4: /From 10\.254\.254\.2 .*[Ff]rag needed.*mtu = 1300/,
          IPv6: /Packet too big: mtu=1300/,
        };
        const { stdout } = await vm.run(['ping', '-n', '-c', '1', '-W', '2', '-M', 'do', '-s', size, remote]);
        t.match(stdout, told[family as 'IPv4']);
      });

      await t.test(`${family}: fragments arrive whole, both ways, as what they were cut from`, async (t) => {
        // Each side cuts for its own link; the answer says all that was asked, and is cut as well.
        const word = 'x'.repeat(5000);
        await outside.ip('link', 'set', 'eth0', 'mtu', `${MTU.external}`);
        await vm.ip('link', 'set', 'eth0', 'mtu', `${MTU.tenant}`);
        const answer = await context.ask('vm', `udp:${asked}`, { word });
        t.match(answer, { server: 'outside', address: host.external, said: word });
        const back = await context.ask('outside', `udp:${mapped}`, { word, from: remote });
        t.match(back, { server: 'vm0', address: remote, said: word });
        for (const namespace of [outside, vm]) await namespace.ip('link', 'set', 'eth0', 'mtu', '1500');
      });

      await t.test(`${family}: without an external address of the family nothing leaves`, async (t) => {
        const capture = await Capture.start(outside, 'eth0');
        const others = nat.externalAddresses.filter(({ address }) => address !== host.external);
        context.setRules(natPlan({ externalAddresses: others }));
        const before = context.dropped();
        t.equal(await context.ask('vm', `udp:${asked}`, { timeoutMs: 300 }), null);
        await capture.stop();
        t.ok(context.dropped() > before, 'it was dropped');
        t.same(await capture.decode(`${host.ip}.dst == ${remote}`, ['frame.number']), []);
        context.setRules(nat);
      });
    }

    await t.test('errors of routers outside reach the tenant', async (t) => {
      const narrow = ['ping', '-n', '-c', '1', '-W', '2', '-M', 'do', '-s', '1200', NARROW];
      t.match((await vm.run(narrow)).stdout, /From 203\.0\.113\.80 .*[Ff]rag needed.*mtu = 1000/);
      t.match(
        (await traceroute(vm, GONE)).at(-1),
        { address: hosts.IPv4.remotes[0], refusal: '!H' },
        'about a datagram',
      );
    });

    await t.test('what has neither ports nor identifiers needs an address of its own', async (t) => {
      const [inside, beyond] = [
        new RawIp(vm, 'eth0', EXPERIMENT, hosts.IPv4.vms[0]),
        new RawIp(outside, 'eth0', EXPERIMENT, hosts.IPv4.remotes[0]),
      ];
      const before = context.dropped();
      inside.send('hello', hosts.IPv4.remotes[0]);
      if (isBlock) {
        t.same(beyond.take(), []);
        t.equal(context.dropped(), before + 1, 'it is dropped and counted');
        return;
      }
      t.same(beyond.take(), [{ from: hosts.IPv4.external, text: 'hello' }]);
      beyond.send('yes', hosts.IPv4.external);
      t.same(inside.take(), [{ from: hosts.IPv4.remotes[0], text: 'yes' }]);
    });
  });
}

t.test('prefixes are routed as they are, both ways, and nothing else is', async (t) => {
  const { IPv6 } = hosts;
  await context.become(natPlan({ prefixes: [{ external: 'fd00:1::10/124', internal: 'fd00:1::10/124' }] }));
  const outer = 'fd00:1::20';
  await context.vm.ip('addr', 'add', `${outer}/128`, 'dev', 'eth0', 'nodad');
  const [remote] = IPv6.remotes;
  await context.outside.ipBatch([
    ...[...IPv6.vms, outer, 'fd00:1::10'].flatMap((address) => [
      `neigh add ${address} lladdr ${context.mac} dev eth0`,
      `route add ${address}/128 dev eth0`,
    ]),
  ]);
  for (const protocol of ['tcp', 'udp']) {
    const asked = `${protocol}:${at(remote, REMOTE_PORT)}`;
    t.match(await context.ask('vm', asked, { from: IPv6.vms[0] }), {
      server: 'outside',
      address: IPv6.vms[0],
    });
    const back = await context.ask('outside', `${protocol}:${at(IPv6.vms[1], 80)}`, { from: remote });
    t.match(back, { server: 'vm1', address: remote }, 'begun outside');
  }
  const before = context.dropped();
  t.equal(await context.ask('vm', `udp:${at(remote, REMOTE_PORT)}`, { from: outer, timeoutMs: 300 }), null);
  t.ok(context.dropped() > before, 'another source stays inside');
  const foreign = await context.outside.run(['ping', '-n', '-c', '1', '-W', '0.3', '-I', remote, outer]);
  t.not(foreign.code, 0, 'nor does anything come to it');
  const short = ['ping', '-n', '-c', '1', '-W', '1', '-t', '1', '-I', remote, IPv6.vms[0]];
  t.match(
    (await context.outside.run(short)).stdout,
    /From fd00:1::10 .*Time exceeded/,
    'under an address of the prefix',
  );
  await context.vm.ip('addr', 'del', `${outer}/128`, 'dev', 'eth0');
});

t.test('a context says nothing of its own on either side', async (t) => {
  const { vm, outside, netns } = context;
  await context.become(plans['an address of its own']);
  const captures = [await Capture.start(outside, 'eth0'), await Capture.start(vm, 'eth0')];
  const [reports, drops] = [sentIpv6(), context.dropped()];
  await ip(['link', 'set', 'hnv', 'down'], { netns });
  await ip(['link', 'set', 'ext', 'down'], { netns });
  await ip(['link', 'set', 'hnv', 'up'], { netns });
  await ip(['link', 'set', 'ext', 'up'], { netns });
  // Two links report their groups, and are not heard.
  await until('the kernel has reported its multicast groups', 10_000, () => sentIpv6() >= reports + 2);
  t.equal(context.dropped(), drops, 'nor are they counted as dropped');
  for (const capture of captures) {
    await capture.stop();
    t.same(await capture.decode(`eth.src != ${routerMac}`, ['frame.protocols']), []);
  }
});
