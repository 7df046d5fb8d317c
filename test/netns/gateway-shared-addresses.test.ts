/**
 * Public addresses that tenants share in blocks of ports, and IPv6 prefixes without port translation, over the real gateway:
 * what random talk (nat-property.test.ts) does not say. Two tenants, equal inside.
 */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import t from 'tap';
import { addressAt } from '../lab/address.ts';
import { Capture } from '../lab/capture.ts';
import { Conversation, type Peer } from '../lab/conversation.ts';
import { ask, startEcho } from '../lab/echo.ts';
import { fragmentsOf, permutations } from '../lab/fragments.ts';
import { UPLINK_NIC } from '../lab/gateway-node.ts';
import { ROUTER_MAC } from '../lab/hnv-flows.ts';
import { INTERNET_ADDRESS, INTERNET_ADDRESS6, Internet, UPLINK_ADDRESS6 } from '../lab/internet.ts';
import { Lab } from '../lab/lab.ts';
import { buildManyDomains, natLogOf, SERVERS } from '../lab/many-domains.ts';
import type { Namespace } from '../lab/namespace.ts';
import { arping } from '../lab/neighbours.ts';
import { RawLink } from '../lab/raw-link.ts';
import { IcmpSocket, udpSocket } from '../lab/stack-socket.ts';
import { GATEWAY_CUSTOMER_ADDRESS } from '../lab/topology.ts';
import { until } from '../lab/until.ts';
import { ping, VM_MTU, VM_NIC, type Vm } from '../lab/vm.ts';
import { frame, udpPacket } from '../lab/vm-frame.ts';

const SHARED = '198.51.100.110';
const NOBODYS = '198.51.100.111';
/** Behind a router of the outside and a link that takes less. */
const BEYOND = '192.0.2.200';
const BEYOND6 = '2001:db8:500::200';
const NARROW_MTU = 1300;
/** Fits into the tunnel and not through the narrow link, with headers of either family. */
const LONG = 'x'.repeat(1290);
/** Inside prefixes of the tenants: the first is routed as it is, the second stands for another one outside. */
const INSIDE6 = ['2001:db8:400::/64', 'fd00:1:1::/64'] as const;
const OUTSIDE6 = ['2001:db8:400::/64', '2001:db8:401::/64'] as const;
const BLOCKS = [
  { portStart: 20_000, portEnd: 29_999 },
  { portStart: 30_000, portEnd: 39_999 },
] as const;
const SERVED = [80];
const OUTSIDE_PORT = 7000;
const CLOSED_PORT = 7009;
/** What the mapping of each tenant adds to the first port of its block, for its VM's ports 80 and 81, which is closed. */
const MAPPED = 80;
const MAPPED_CLOSED = 81;
const UNREACHABLE = 3;
const PORT_UNREACHABLE = 3;
const IPV4 = 0x0800;
const FEW = { portStart: 40_000, portEnd: 40_007 };
const MANY_WORDS = 24;
/** Between two attempts of the tenant without ports. */
const HUNGER_MS = 50;

/** A line of the NAT log, as far as it is read here. */
interface LogRecord {
  event: string;
  rdid?: string;
  address?: string;
  portStart?: number;
  portEnd?: number;
  externalAddress?: string;
  externalPort?: number;
}

const isIn = (
  { rdid, address, portStart = 0, portEnd = 0 }: LogRecord,
  { rdid: of, externalAddress, externalPort = 0 }: LogRecord,
): boolean =>
  rdid === of && address === externalAddress && portStart <= externalPort && externalPort <= portEnd;

async function macOf(namespace: Namespace, nic: string): Promise<string> {
  const [link] = JSON.parse(await namespace.ip('-json', 'link', 'show', 'dev', nic)) as { address: string }[];
  return link?.address ?? '';
}

/** A router's other side: BEYOND behind a narrow link. */
async function buildBeyond(lab: Lab, router: Namespace): Promise<Namespace> {
  const beyond = await lab.namespace('beyond');
  await lab.veth(router, 'narrow', beyond, 'wan');
  for (const forwarding of ['net.ipv4.ip_forward', 'net.ipv6.conf.all.forwarding'])
    await router.runChecked(['sysctl', '-qw', `${forwarding}=1`]);
  await router.ipBatch([
    `link set narrow mtu ${NARROW_MTU}`,
    'addr add 192.0.2.129/30 dev narrow',
    'addr add 2001:db8:501::1/64 dev narrow nodad',
    `route add ${BEYOND} via 192.0.2.130`,
    `route add ${BEYOND6} via 2001:db8:501::2`,
    ...OUTSIDE6.map((prefix) => `route add ${prefix} via ${UPLINK_ADDRESS6}`),
  ]);
  await beyond.ipBatch([
    `link set wan mtu ${NARROW_MTU}`,
    'addr add 192.0.2.130/30 dev wan',
    'addr add 2001:db8:501::2/64 dev wan nodad',
    `addr add ${BEYOND}/32 dev lo`,
    `addr add ${BEYOND6}/128 dev lo`,
    'route add default via 192.0.2.129',
    'route add default via 2001:db8:501::1',
  ]);
  return beyond;
}

t.test('addresses that tenants share', { timeout: 120_000 }, async (t) => {
  const lab = await Lab.create(`shared${process.pid}`);
  t.teardown(() => lab.close());
  const { gateway, internet, domains } = await buildManyDomains(lab, 3, (index) => INSIDE6[index]);
  const outside = internet.namespace;
  const beyond = await buildBeyond(lab, outside);
  const conversation = new Conversation();
  const outsidePeer = conversation.peer('outside', outside, SERVERS, [OUTSIDE_PORT]);
  const sharers = domains.map(({ tenant, vms }, index) => {
    const peers = vms.map((vm) => conversation.peer(vm.name, vm.namespace, [vm.ip], SERVED));
    return { index, tenant, vms, peers, block: BLOCKS[index] ?? FEW };
  });
  type Sharer = (typeof sharers)[number];
  const [first, second, poor] = sharers as [Sharer, Sharer, Sharer];
  const tenants = [first, second];
  const vmOf = ({ vms: [vm] }: Sharer) => {
    if (vm === undefined) throw new Error('there is no VM');
    return vm;
  };
  const peerOf = ({ peers: [peer] }: Sharer): Peer => {
    if (peer === undefined) throw new Error('there is no peer');
    return peer;
  };
  /** NAT with a block of SHARED and the tenant's IPv6 prefix. */
  const putNat = ({ index, tenant }: Sharer, block: { portStart: number; portEnd: number }) => {
    const to = { protocol: 'udp', externalIpAddress: SHARED, internalIpAddress: '10.1.1.11' };
    const [prefix, internalPrefix] = [OUTSIDE6[index], INSIDE6[index]];
    const mappings = [
      { ...to, externalPort: block.portStart + MAPPED, internalPort: 80 },
      { ...to, externalPort: block.portStart + MAPPED_CLOSED, internalPort: 81 },
    ];
    return gateway.api.put(`/v1/routing-domains/${tenant.rdid}/nat?wait=10s`, {
      externalAddresses: [{ ipAddress: SHARED, ...block }],
      ...(prefix && {
        externalPrefixes: [prefix === internalPrefix ? { prefix } : { prefix, internalPrefix }],
      }),
      ...(block !== FEW && { staticMappings: mappings }),
    });
  };
  for (const sharer of sharers) await putNat(sharer, sharer.block);
  await startEcho(beyond, 'beyond', [
    ...[`udp:${BEYOND}:7000`, `tcp:${BEYOND}:7000`, `udp:[${BEYOND6}]:7000`, `tcp:[${BEYOND6}]:7000`],
  ]);
  // The hosts' switches lose what they have no neighbour for yet.
  for (const { vms } of tenants)
    for (const vm of vms)
      for (const address of [BEYOND, BEYOND6])
        await until(
          `${vm.name} reaches ${address}`,
          10_000,
          async () => (await vm.ping(address, 1)).received === 1,
        );
  let words = 0;
  const wordOf = ({ name }: Peer) => `${name}:${words++}`;
  const isAnswered = (word: string) => conversation.answers(word).length > 0;

  let hungerPort = 6400;
  const beg = (): string => {
    const word = wordOf(peerOf(poor));
    peerOf(poor).sayUdp(word, hungerPort++, { address: INTERNET_ADDRESS, port: OUTSIDE_PORT });
    return word;
  };
  await t.test('a tenant without free ports harms nobody, and its refusals are counted', async (t) => {
    const many: string[] = [];
    const few = Array.from({ length: MANY_WORDS }, (_, index) => {
      const peer = peerOf(first);
      const word = wordOf(peer);
      peer.sayUdp(word, 6400 + index, { address: INTERNET_ADDRESS, port: OUTSIDE_PORT });
      many.push(word);
      return beg();
    });
    await until('the other tenant is served', 5_000, () => many.every(isAnswered));
    const ports = FEW.portEnd - FEW.portStart + 1;
    await until(
      'so is this one, as far as it has ports',
      5_000,
      () => few.filter(isAnswered).length >= ports,
    );
    const { nat } = (await gateway.api.get(`/v1/routing-domains/${poor.tenant.rdid}/counters`)) as {
      nat: { refused: object };
    };
    t.same(nat.refused, { limit: 0, ports: MANY_WORDS - ports, bindings: 0 });
    t.equal(few.filter(isAnswered).length, ports);
    const { body } = await gateway.api.request('GET', '/metrics');
    const labels = `{routing_domain="${poor.tenant.rdid}",reason="ports"}`;
    t.ok(String(body).includes(`hnvgw_nat_refused_sessions_total${labels} ${MANY_WORDS - ports}\n`));
  });
  // From now on to the end, while all else goes on.
  const hunger = setInterval(beg, HUNGER_MS);
  t.teardown(() => clearInterval(hunger));

  await t.test('sessions on a shared address outlive the gateway’s process', async (t) => {
    const held = tenants.map((tenant) => {
      const peer = peerOf(tenant);
      const word = wordOf(peer);
      const to = { address: INTERNET_ADDRESS, port: OUTSIDE_PORT };
      return { peer, word, to, socket: peer.sayTcp(word, 6200, to) };
    });
    await until('they stand', 5_000, () => held.every(({ word }) => isAnswered(word)));
    const talk = async (what: string, port: number) => {
      const said = held.flatMap(({ peer, socket, to, word }) => {
        const [again, udp, tcp] = [wordOf(peer), wordOf(peer), wordOf(peer)];
        socket.write(`${again}\n`);
        peer.sayUdp(udp, port, to);
        peer.sayTcp(tcp, port, to);
        return [{ word: again, as: word }, { word: udp }, { word: tcp }];
      });
      await until(`${what}: all is answered`, 5_000, () => said.every(({ word }) => isAnswered(word)));
      for (const { word, as } of said)
        if (as !== undefined)
          t.same(conversation.answers(word)[0]?.seen, conversation.answers(as)[0]?.seen, what);
    };
    await talk('before', 6201);
    await gateway.kill('SIGKILL');
    await talk('without the process', 6202);
    await gateway.start();
    await talk('and with it again', 6203);
    for (const { socket } of held) socket.destroy();
  });

  await t.test('ARP, ND and ping of a shared address are answered once, of nobody’s not', async (t) => {
    const mac = await macOf(gateway.namespace, UPLINK_NIC);
    t.same(await arping(outside, Internet.nic, SHARED), [mac]);
    t.same(await arping(outside, Internet.nic, NOBODYS), []);
    const { stdout } = await outside.run(['ping', '-n', '-c', '3', '-i', '0.1', '-W', '1', SHARED]);
    t.match(stdout, / 3 received/);
    t.notMatch(stdout, /DUP/);
  });

  await t.test('traceroute of both tenants at once shows every router', async (t) => {
    // The independent hosts' routers are silent.
    const after = (...addresses: string[]) => [{}, ...addresses.map((address) => ({ address }))];
    const expected: Record<string, object[]> = {
      [BEYOND]: after(GATEWAY_CUSTOMER_ADDRESS, INTERNET_ADDRESS, BEYOND),
      [BEYOND6]: after('fd00:fe::2', INTERNET_ADDRESS6, BEYOND6),
    };
    const traces = tenants.flatMap((tenant) =>
      [BEYOND, BEYOND6].flatMap((address) =>
        (['udp', 'icmp'] as const).map(async (method) =>
          t.same(
            await vmOf(tenant).traceroute(address, { method }),
            expected[address],
            `${method} ${address}`,
          ),
        ),
      ),
    );
    await Promise.all(traces);
  });

  await t.test('a narrow link on the way out tells the VM that sent too much', async (t) => {
    for (const address of [BEYOND, `[${BEYOND6}]`]) {
      const asked = () =>
        Promise.all(
          tenants.map((tenant) => {
            const options = { word: LONG, fromPort: 5555, timeoutMs: 700 };
            return ask(vmOf(tenant).namespace, `udp:${address}:7000`, options);
          }),
        );
      t.same(await asked(), [[null], [null]], 'the first one is lost');
      t.match(await asked(), [[{ said: LONG }], [{ said: LONG }]], 'the VM heeds what it is told');
    }
    for (const tenant of tenants)
      for (const [vm, isTold] of [
        [tenant.vms[0], true],
        [tenant.vms[1], false],
      ] as const) {
        const route = await vm?.namespace.ip('route', 'get', BEYOND);
        t.equal(/mtu 1300/.test(route ?? ''), isTold, `${vm?.name}: ${route}`);
      }
  });

  await t.test('what is too large on the way in is told to who sent it', async (t) => {
    const capture = await Capture.start(outside, Internet.nic, 'icmp');
    for (const tenant of tenants) {
      const to = { address: SHARED, port: tenant.block.portStart + MAPPED };
      const word = wordOf(outsidePeer).padEnd(1472, 'x');
      await outside.ip('route', 'flush', 'cache');
      await until('the sender heeds what it is told', 5_000, () => {
        outsidePeer.sayUdp(word, OUTSIDE_PORT, to);
        return isAnswered(word);
      });
      t.match(conversation.heard(word), [{ peer: vmOf(tenant).name, from: { address: INTERNET_ADDRESS } }]);
    }
    await capture.stop();
    t.same(
      await capture.decode('icmp.type == 3', ['icmp.code', 'ip.src', 'icmp.mtu', 'udp.dstport']),
      tenants.map(({ block }) => [
        '4',
        `${SHARED},${INTERNET_ADDRESS}`,
        `${VM_MTU}`,
        `${block.portStart + MAPPED}`,
      ]),
    );
  });

  await t.test('traceroute from outside shows the shared address, and nothing of the inside', async (t) => {
    const words = ['-n', '-q', '1', '-w', '1', '-N', '1', '-m', '6', '-U', '-p'];
    for (const { block } of tenants) {
      const { stdout } = await outside.run(['traceroute', ...words, `${block.portStart + MAPPED}`, SHARED]);
      const hops = [...stdout.matchAll(/^ *\d+ +(\S+)/gm)].map(([, hop]) => hop);
      // The context, the distributed router, the VM.
      t.same(hops, [SHARED, SHARED, SHARED]);
    }
  });

  await t.test('a closed port is told across NAT, to the VM and from it', async (t) => {
    const listeners = tenants.map((tenant) => new IcmpSocket(vmOf(tenant).namespace));
    const told = new IcmpSocket(outside);
    // The second tenant has an equal session that is fine.
    for (const [tenant, port] of [
      [first, CLOSED_PORT],
      [second, OUTSIDE_PORT],
    ] as const)
      peerOf(tenant).sayUdp(wordOf(peerOf(tenant)), 6001, { address: INTERNET_ADDRESS, port });
    const unreachable = (socket: IcmpSocket) =>
      socket.take().filter(({ type, code }) => type === UNREACHABLE && code === PORT_UNREACHABLE);
    const quote = await until('the VM is told', 5_000, () => {
      const [message] = listeners[0] ? unreachable(listeners[0]) : [];
      return message?.data;
    });
    t.equal(quote.subarray(12, 16).join('.'), '10.1.1.11', 'about a packet of its own');
    t.same([quote.readUInt16BE(20), quote.readUInt16BE(22)], [6001, CLOSED_PORT]);
    t.same(listeners[1] && unreachable(listeners[1]), []);
    for (const { block } of tenants) {
      const socket = udpSocket(outside, INTERNET_ADDRESS, 6002);
      socket.send('knock', block.portStart + MAPPED_CLOSED, SHARED);
      const message = await until('the outside is told', 5_000, () => unreachable(told)[0]);
      t.equal(message.source, SHARED);
      t.equal(message.data.subarray(16, 20).join('.'), SHARED);
      t.equal(message.data.readUInt16BE(22), block.portStart + MAPPED_CLOSED);
      socket.close();
      await once(socket, 'close');
    }
  });

  await t.test('fragments of both tenants arrive in any order', async (t) => {
    const uplinkMac = await macOf(gateway.namespace, UPLINK_NIC);
    const outsideMac = await macOf(outside, Internet.nic);
    const link = await RawLink.open(outside, Internet.nic);
    const links = await Promise.all(tenants.map((tenant) => RawLink.open(vmOf(tenant).namespace, VM_NIC)));
    const said: { word: string; hearer: string; block?: Sharer['block'] }[] = [];
    let identification = 100;
    for (const order of permutations([0, 1, 2])) {
      identification++;
      const send = async (via: RawLink, macs: [string, string], packets: Buffer[]) => {
        for (const index of order) {
          const packet = packets[index];
          if (packet) await via.send(frame(...macs, IPV4, packet));
        }
      };
      for (const tenant of tenants) {
        const { block, vms } = tenant;
        const [inwards, outwards] = [wordOf(outsidePeer), wordOf(peerOf(tenant))].map((word) =>
          `${word}:`.padEnd(2000, 'y'),
        );
        if (inwards === undefined || outwards === undefined) continue;
        said.push(
          { word: inwards, hearer: vms[0]?.name ?? '' },
          { word: outwards, hearer: 'outside', block },
        );
        const to = { destination: SHARED, port: block.portStart + MAPPED };
        const asked = udpPacket({ source: INTERNET_ADDRESS, sourcePort: 6003, ...to, data: inwards });
        await send(link, [uplinkMac, outsideMac], fragmentsOf(asked, identification, 800));
        // Equal packets of both tenants but for the words.
        const from = { source: '10.1.1.11', sourcePort: 6004 };
        const server = { destination: INTERNET_ADDRESS, port: OUTSIDE_PORT };
        const vmLink = links[tenant.index];
        const vmMac = vms[0]?.spec.mac ?? '';
        if (vmLink !== undefined)
          await send(
            vmLink,
            [ROUTER_MAC, vmMac],
            fragmentsOf(udpPacket({ ...from, ...server, data: outwards }), identification, 800),
          );
      }
    }
    const heard = ({ word }: { word: string }) => conversation.heard(word);
    await until('all is heard', 3_000, () => said.every((each) => heard(each).length > 0)).catch(
      () => undefined,
    );
    for (const each of said) {
      const { word, hearer, block } = each;
      t.match(heard(each), [{ peer: hearer }], word.slice(0, 20));
      const port = heard(each)[0]?.from.port ?? 0;
      if (block) t.ok(port >= block.portStart && port <= block.portEnd, `seen at ${port}`);
    }
    await Promise.all([link, ...links].map((each) => each.close()));
  });

  await t.test('IPv6 prefixes: as they are, and by NPTv6, both ways', async (t) => {
    await startEcho(outside, 'outside', [
      `udp:[${INTERNET_ADDRESS6}]:7001`,
      `tcp:[${INTERNET_ADDRESS6}]:7001`,
    ]);
    const talk = async ({ index }: Sharer, vm: Vm) => {
      await startEcho(vm.namespace, vm.name, [`udp:[${vm.ip6}]:8080`, `tcp:[${vm.ip6}]:8080`]);
      const seen = new Set<string | undefined>();
      for (const protocol of ['udp', 'tcp']) {
        const endpoint = `${protocol}:[${INTERNET_ADDRESS6}]:7001`;
        const [answer] = await ask(vm.namespace, endpoint, { fromPort: 6100 });
        t.match(answer, { server: 'outside', port: 6100 }, 'ports are not touched');
        seen.add(answer?.address);
      }
      const [external = '', ...others] = [...seen];
      t.same(others, [], 'a VM has one address');
      if (INSIDE6[index] === OUTSIDE6[index]) t.equal(external, vm.ip6);
      else t.match(external, /^2001:db8:401:/);
      for (const protocol of ['udp', 'tcp'])
        t.match(await ask(outside, `${protocol}:[${external}]:8080`), [
          { server: vm.name, address: INTERNET_ADDRESS6 },
        ]);
      t.match(await ping(outside, external, 1), { received: 1 }, vm.name);
    };
    await Promise.all(tenants.flatMap((tenant) => tenant.vms.map((vm) => talk(tenant, vm))));
    const nobody = addressAt(OUTSIDE6[0], 0x77);
    t.match(await ping(outside, nobody, 1), { received: 0 });
  });

  await t.test('a block that goes to another tenant takes none of its sessions along', async (t) => {
    const peer = peerOf(first);
    const to = { address: INTERNET_ADDRESS, port: OUTSIDE_PORT };
    const [udp, tcp] = [wordOf(peer), wordOf(peer)];
    peer.sayUdp(udp, 6300, to);
    const connection = peer.sayTcp(tcp, 6300, to);
    await until('both are answered', 5_000, () => isAnswered(udp) && isAnswered(tcp));
    const ports = [udp, tcp].map((word) => conversation.answers(word)[0]?.seen.port ?? 0);
    t.ok(ports.every((port) => port >= first.block.portStart && port <= first.block.portEnd));
    const listening = await Promise.all(
      second.vms.map((vm) => Capture.start(vm.namespace, VM_NIC, `net ${INTERNET_ADDRESS}/32`)),
    );
    const uplink = await Capture.start(gateway.namespace, UPLINK_NIC, `src host ${SHARED}`);
    // Both sides go on all the while.
    const traffic = setInterval(() => {
      outsidePeer.sayUdp('late', OUTSIDE_PORT, { address: SHARED, port: ports[0] ?? 0 });
      peer.sayUdp('late', 6300, to);
      connection.write('late\n');
    }, 3);
    t.teardown(() => clearInterval(traffic));
    await until('it goes on', 5_000, () => conversation.heard('late').length > 20);
    await putNat(first, { portStart: 41_000, portEnd: 49_999 });
    const lost = Date.now();
    await putNat(second, first.block);
    const before = conversation.heard('late').filter(({ peer: name }) => name === peer.name).length;
    const fresh = wordOf(peerOf(second));
    peerOf(second).sayUdp(fresh, 6300, to);
    await until('the new owner has sessions there', 5_000, () => isAnswered(fresh));
    const seen = conversation.heard('late').length;
    await until('both sides have gone on', 5_000, () => conversation.heard('late').length > seen + 50);
    clearInterval(traffic);
    connection.destroy();
    await Promise.all([...listening, uplink].map((capture) => capture.stop()));
    const late = conversation.heard('late');
    t.equal(
      late.filter(({ peer: name }) => name === peer.name).length,
      before,
      'the old owner hears nothing more',
    );
    t.same(
      late.filter(({ peer: name }) => second.peers.some((each) => each.name === name)),
      [],
      'nor does the new one',
    );
    for (const capture of listening)
      for (const [source] of await capture.decode(`ip.src == ${INTERNET_ADDRESS} && udp`, ['udp.dstport']))
        t.equal(source, '6300', 'its VMs see what they have asked for alone');
    const sent = await uplink.decode('udp || tcp', [
      'frame.time_epoch',
      'udp.srcport',
      'tcp.srcport',
      'udp.payload',
    ]);
    const lateHex = Buffer.from('late').toString('hex');
    t.same(
      sent.filter(
        ([time, udpPort, tcpPort, payload]) =>
          Number(time) * 1000 > lost &&
          (Number(tcpPort) === ports[1] || (Number(udpPort) === ports[0] && payload === lateHex)),
      ),
      [],
      'and nothing leaves from the old ports',
    );
    await putNat(second, second.block);
    await putNat(first, first.block);
  });

  await t.test(
    'the log says who had which port, and moves no block before its sessions are over',
    async (t) => {
      const read = async () =>
        (await readFile(natLogOf(lab), 'utf8'))
          .trimEnd()
          .split('\n')
          .map((line) => JSON.parse(line) as LogRecord);
      await until('the sessions of the moved block are in the log', 5_000, async () =>
        (await read()).some(({ event, rdid }) => event === 'session-start' && rdid === second.tenant.rdid),
      );
      const records = await read();
      const blocks: LogRecord[] = [];
      const strangers = records.filter((one) => {
        if (one.event === 'block-assigned' || one.event === 'block-present') blocks.push(one);
        if (one.event !== 'session-start' || one.externalAddress !== SHARED) return false;
        return !blocks.some((block) => isIn(block, one));
      });
      t.same(strangers, [], 'each session is under a block of its domain');
      t.ok(records.filter(({ event }) => event === 'session-end').length > 0);
      const at = (event: string, { tenant: { rdid } }: Sharer) =>
        records.findIndex(
          (one) =>
            one.event === event &&
            one.rdid === rdid &&
            one.address === SHARED &&
            one.portStart === first.block.portStart,
        );
      const [given, freed, taken] = [
        at('block-assigned', first),
        at('block-released', first),
        at('block-assigned', second),
      ];
      t.ok(given >= 0 && given < freed && freed < taken, `${given}, ${freed}, ${taken}`);
    },
  );

  await t.test('the refusals are told by an event', async (t) => {
    const url = 'http://localhost/v1/events?type=nat';
    const events = await lab.spawn('curl', ['-sN', '--unix-socket', gateway.api.socketPath, url]);
    const [line] = await events.waitFor(/^data:.*"refusing".*$/, 20_000);
    t.match(JSON.parse(line.slice(5)), { routingDomainId: poor.tenant.rdid });
    await events.end();
    clearInterval(hunger);
  });
});
