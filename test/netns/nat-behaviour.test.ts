/**
 * What RFC 4787 (UDP), 5382 (TCP) and 5508 (ICMP) require of a NAT and no other test shows, under the names of the requirements.
 * docs/nat-behaviour.md has all of them. Packets that no stack would send are made by hand.
 */
import '../lab/own-namespace.ts';

import t, { type Test } from 'tap';
import type { PortMappingPlan } from '../../src/policy/plan.ts';
import { routerMac } from '../../src/policy/router.ts';
import { ContextLab, hosts, MTU, REMOTE_PORT } from '../lab/context-lab.ts';
import type { EchoAnswer } from '../lab/echo.ts';
import { fragmentsOf, permutations } from '../lab/fragments.ts';
import { IpWire, icmpPacket, protocolOf, quotedUdp, sourceOf, tcpPacket, word } from '../lab/ip-wire.ts';
import { natPlan } from '../lab/nat-plan.ts';
import { checksum } from '../lab/nvgre-frame.ts';
import { IcmpSocket, tcpConnection } from '../lab/stack-socket.ts';
import { UdpSocket } from '../lab/udp-socket.ts';
import { until } from '../lab/until.ts';
import { udpPacket } from '../lab/vm-frame.ts';

const { external, other, own, remotes, vms } = hosts.IPv4;
/** Addresses outside that no stack has: of a router, and of a peer that is played by hand. */
const [ROUTER, PEER] = ['203.0.113.200', '203.0.113.201'];
/** Outside, of sockets that are the test's own. */
const PEER_PORT = 9000;
const [CLOSED, OPEN] = [2080, 2081];
const [ICMP, TCP] = [1, 6];
const [UNREACHABLE, TIME_EXCEEDED] = [3, 11];
/** How long it is listened for what should not come, milliseconds. */
const SILENCE = 300;

const mapping = { externalAddress: external, internalAddress: vms[0], protocol: 'udp' } as const;
const portMappings: PortMappingPlan[] = [
  { ...mapping, externalPort: CLOSED, internalPort: 81 },
  { ...mapping, externalPort: OPEN, internalPort: OPEN },
];
const plan = natPlan({ externalAddresses: [{ address: external }], portMappings });
/** What was last said under it is refreshed, if at all, under the other. */
const shorter = { ...plan, timeouts: { ...plan.timeouts, icmp: 40, udp: 100 } };
const independent = { tcp: 'endpointIndependent', udp: 'endpointIndependent' } as const;

let context: ContextLab;
/** Both sides of the context, by hand. */
let outside: IpWire;
let inside: IpWire;
t.before(async () => {
  context = await ContextLab.create('nb', plan);
  const [neighbour] = JSON.parse(await context.vm.ip('-j', 'neigh', 'show', own)) as [{ lladdr: string }];
  outside = new IpWire(context.outside, 'eth0', [context.mac, routerMac]);
  inside = new IpWire(context.vm, 'eth0', [neighbour.lladdr, routerMac]);
});
t.teardown(() => context?.lab.close());

/** Ports of the tenant that no test before has used. */
let port = 5000;
const udp = (from: string = vms[0], fromPort = ++port) =>
  new UdpSocket(context.vm, 'eth0', 4, fromPort, [], from);
const remoteUdp = (address: string = remotes[0]) =>
  new UdpSocket(context.outside, 'eth0', 4, PEER_PORT + port, [], address);

/** As whom the socket is seen by a remote. */
async function seenUdp(socket: UdpSocket, remote: string): Promise<EchoAnswer> {
  socket.send('hello', remote, REMOTE_PORT);
  return JSON.parse(await arrives(socket)) as EchoAnswer;
}

const arrives = (socket: UdpSocket): Promise<string> => until('a datagram', 2_000, () => socket.take()[0]);

async function seenTcp(from: string, fromPort: number, remote: string): Promise<EchoAnswer> {
  const socket = tcpConnection(
    context.vm,
    { address: from, port: fromPort },
    { address: remote, port: REMOTE_PORT },
  );
  socket.write('hello\n');
  return JSON.parse(String(await new Promise((resolve) => socket.once('data', resolve)))) as EchoAnswer;
}

/** Seconds that the kernel still gives the sessions that pass the filter of conntrack(8), with what it says of them. */
async function sessions(...filter: string[]): Promise<{ seconds: number; text: string }[]> {
  const { stdout } = await context.inside(['conntrack', '-L', ...filter]);
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((text) => ({ seconds: Number(text.split(/\s+/)[2]), text }));
}

/** The session of the last port, when it is in that state. */
const tcpSession = (state: string) =>
  until(`the session is ${state}`, 2_000, async () =>
    (await sessions('-p', 'tcp', '--orig-port-src', `${port}`)).find(({ text }) => text.includes(state)),
  );

const isAbout = (found: number | undefined, wanted: number): boolean =>
  found !== undefined && found > wanted - 10 && found <= wanted;

t.test(
  'RFC 4787 REQ-1, RFC 5382 REQ-1: an endpoint has one port outside, whoever it speaks to',
  async (t) => {
    const fromPort = ++port;
    const [first, second] = [udp(vms[0], fromPort), udp(vms[1], fromPort)];
    for (const remote of remotes) t.equal((await seenUdp(first, remote)).port, fromPort);
    const seen = [await seenUdp(second, remotes[0]), await seenUdp(second, remotes[1])];
    t.not(seen[0]?.port, fromPort, 'it has another one, as its own is taken');
    t.equal(seen[0]?.port, seen[1]?.port);

    await Promise.all(remotes.map((remote) => seenTcp(vms[0], fromPort, remote)));
    const [one, two] = await Promise.all(remotes.map((remote) => seenTcp(vms[1], fromPort, remote)));
    t.not(one?.port, fromPort, 'TCP too');
    t.equal(one?.port, two?.port);
  },
);

t.test(
  'RFC 4787 REQ-1, REQ-3, REQ-11, RFC 5382 REQ-7: who shares a port has another one to the same remote',
  async (t) => {
    const fromPort = ++port;
    const [first, second] = [udp(vms[0], fromPort), udp(vms[1], fromPort)];
    await seenUdp(first, remotes[0]);
    t.equal((await seenUdp(second, remotes[1])).port, fromPort, 'overloading');
    t.not((await seenUdp(second, remotes[0])).port, fromPort);
    await seenTcp(vms[0], fromPort, remotes[0]);
    t.equal((await seenTcp(vms[1], fromPort, remotes[1])).port, fromPort, 'TCP too');
    t.not((await seenTcp(vms[1], fromPort, remotes[0])).port, fromPort);

    await context.become({ ...plan, filtering: independent });
    const later = ++port;
    await seenUdp(udp(vms[0], later), remotes[0]);
    const third = udp(vms[1], later);
    const { port: its } = await seenUdp(third, remotes[1]);
    t.not(its, later, 'no overloading with filtering by endpoints');
    t.equal((await seenUdp(third, remotes[0])).port, its);
    await seenTcp(vms[0], later, remotes[0]);
    const { port: ofTcp } = await seenTcp(vms[1], later, remotes[1]);
    t.not(ofTcp, later, 'TCP too');
    t.equal((await seenTcp(vms[1], later, remotes[0])).port, ofTcp);
    await context.become(plan);
  },
);

t.test(
  'RFC 4787 REQ-3a, REQ-3b, REQ-4: ports are kept where they are free, and their range always',
  async (t) => {
    for (const [from, least, most] of [
      [700, 1, 1023],
      [701, 1, 1023],
      [++port, 1024, 65_535],
      [++port, 1024, 65_535],
    ] as const) {
      t.equal((await seenUdp(udp(vms[0], from), remotes[0])).port, from, 'so that an even one stays even');
      const { port: seen } = await seenUdp(udp(vms[1], from), remotes[0]);
      t.ok(seen !== from && seen >= least && seen <= most, `${from} is taken: ${seen}`);
    }
  },
);

t.test('RFC 4787 REQ-5, RFC 5382 REQ-5, RFC 5508 REQ-2: how long sessions live', async (t) => {
  await seenUdp(udp(), remotes[0]);
  const [datagrams] = await sessions('-p', 'udp', '--orig-port-src', `${port}`);
  t.ok(isAbout(datagrams?.seconds, 300), `${datagrams?.text}`);

  const icmpSocket = new IcmpSocket(context.vm);
  icmpSocket.send(remotes[0], ++port, 1, 'ping');
  await until('the ping is answered', 2_000, () => icmpSocket.take().some(({ id }) => id === port));
  const [ping] = await sessions('-p', 'icmp', '--icmp-id', `${port}`);
  t.ok(isAbout(ping?.seconds, 60), `${ping?.text}`);

  const connect = (remote: string) =>
    tcpConnection(context.vm, { address: vms[0], port: ++port }, { address: remote, port: REMOTE_PORT });
  connect(PEER);
  const begun = await tcpSession('SYN_SENT');
  t.ok(isAbout(begun.seconds, 240), begun.text);
  const standing = connect(remotes[0]);
  const established = await tcpSession('ESTABLISHED');
  t.ok(isAbout(established.seconds, 7440), established.text);
  standing.resetAndDestroy();
  const reset = await tcpSession('CLOSE');
  t.ok(isAbout(reset.seconds, 10), `behind a reset: ${reset.text}`);
  await seenTcp(vms[0], ++port, remotes[0]);
  const ended = await tcpSession('TIME_WAIT');
  t.ok(isAbout(ended.seconds, 240), ended.text);
});

t.test('RFC 4787 REQ-5b, RFC 5508 REQ-2a: a session ends when the policy says', async (t) => {
  await context.become({ ...plan, timeouts: { ...plan.timeouts, icmp: 1, udp: 1 } });
  const socket = udp();
  const peer = remoteUdp();
  socket.send('hello', remotes[0], PEER_PORT + port);
  await arrives(peer);
  peer.send('in time', external, port);
  t.equal(await arrives(socket), 'in time');
  new IcmpSocket(context.vm).send(remotes[0], port, 1, 'ping');
  await until('both are silent for too long', 4_000, async () => {
    const left = [
      ...(await sessions('-p', 'udp', '--orig-port-src', `${port}`)),
      ...(await sessions('-p', 'icmp', '--icmp-id', `${port}`)),
    ];
    return left.length === 0;
  });
  peer.send('too late', external, port);
  socket.send('again', remotes[0], PEER_PORT + port);
  t.equal(await arrives(peer), 'again');
  peer.send('in time', external, port);
  t.equal(await arrives(socket), 'in time', 'the first that has arrived');
  await context.become(plan);
});

t.test('RFC 4787 REQ-6, REQ-6a: what goes out refreshes a session, and so does what comes in', async (t) => {
  const socket = udp();
  const peer = remoteUdp();
  const filter = ['-p', 'udp', '--orig-port-src', `${port}`];
  const said = async (by: UdpSocket, to: string, toPort: number, heard: UdpSocket) => {
    by.send('hello', to, toPort);
    await arrives(heard);
    return (await sessions(...filter))[0]?.seconds;
  };
  for (const [direction, ...way] of [
    ['outwards', socket, remotes[0], PEER_PORT + port, peer],
    ['inwards', peer, external, port, socket],
  ] as const) {
    await context.become(shorter);
    t.ok(isAbout(await said(socket, remotes[0], PEER_PORT + port, peer), 100));
    await context.become(plan);
    t.ok(isAbout(await said(...way), 300), direction);
  }
});

/** The quote of an ICMP error of a router outside about a packet of the first host, as that host is told. */
async function toldOf(t: Test, heard: IcmpSocket, code: number, quote: Buffer): Promise<Buffer> {
  outside.send(icmpPacket(ROUTER, external, [UNREACHABLE, code], quote));
  const { source: by, ...told } = await until('the error arrives', 2_000, () =>
    heard.take().find(({ type }) => type === UNREACHABLE),
  );
  t.match({ by, code: told.code }, { by: ROUTER, code }, 'whose router it may be, and as it was');
  t.equal(sourceOf(told.data), vms[0], 'about the packet as the tenant has sent it');
  t.equal(checksum(told.data.subarray(0, 20)), 0);
  return told.data;
}

t.test('RFC 4787 REQ-12, RFC 5508 REQ-4, REQ-6: an ICMP error ends and refreshes no session', async (t) => {
  await context.become(shorter);
  const [socket, peer] = [udp(), remoteUdp()];
  const heard = new IcmpSocket(context.vm);
  outside.take();
  heard.send(remotes[0], port, 1, 'ping');
  const ping = await outside.hear('the ping', (packet) => protocolOf(packet) === ICMP);
  socket.send('hello', remotes[0], PEER_PORT + port);
  await arrives(peer);
  await context.become(plan);

  for (const code of [0, 1, 3, 13]) {
    const told = await toldOf(t, heard, code, quotedUdp(external, port, remotes[0], PEER_PORT + port));
    t.equal(told.readUInt16BE(20), port);
  }
  const [datagrams] = await sessions('-p', 'udp', '--orig-port-src', `${port}`);
  t.ok(isAbout(datagrams?.seconds, 100), 'of UDP');
  peer.send('still', external, port);
  t.equal(await arrives(socket), 'still');

  t.equal((await toldOf(t, heard, 1, ping.subarray(0, 28))).readUInt16BE(24), port);
  const [pinged] = await sessions('-p', 'icmp', '--icmp-id', `${port}`);
  t.ok(isAbout(pinged?.seconds, 40), 'of pings');
});

t.test('RFC 5382 REQ-9, REQ-10: an ICMP error reaches the tenant, and ends no connection', async (t) => {
  const heard = new IcmpSocket(context.vm);
  outside.take();
  const connection = tcpConnection(
    context.vm,
    { address: vms[0], port: ++port },
    { address: remotes[0], port: REMOTE_PORT },
  );
  const syn = await outside.hear('the SYN', (packet) => packet.readUInt16BE(20) === port);
  await tcpSession('ESTABLISHED');
  for (const code of [0, 1, 3])
    t.equal((await toldOf(t, heard, code, syn.subarray(0, 28))).readUInt16BE(20), port);
  await tcpSession('ESTABLISHED');
  connection.write('hello\n');
  const answer = await new Promise((resolve) => connection.once('data', resolve));
  t.match(JSON.parse(String(answer)), { server: 'outside', port });
});

t.test('RFC 5508 REQ-3, REQ-4, REQ-11: which ICMP messages come in', async (t) => {
  const [socket, peer] = [udp(), remoteUdp()];
  const toPort = PEER_PORT + port;
  socket.send('hello', remotes[0], toPort);
  await arrives(peer);
  const quote = quotedUdp(external, port, remotes[0], toPort);
  const broken = (packet: Buffer, place: number): Buffer => {
    const copy = Buffer.from(packet);
    copy[place] = (copy[place] ?? 0) ^ 0x55;
    return copy;
  };
  const error = (body: Buffer) => icmpPacket(ROUTER, external, [TIME_EXCEEDED, 0], body);
  const comes = (packet: Buffer): Promise<Buffer> => {
    inside.take();
    outside.send(packet);
    return inside.hear('the error', (one) => protocolOf(one) === ICMP && one[20] === TIME_EXCEEDED);
  };
  /** Another one that comes in tells that this one does not. */
  const stays = async (packet: Buffer, why: string): Promise<void> => {
    inside.take();
    outside.take();
    outside.send(packet);
    outside.send(icmpPacket(ROUTER, external, [TIME_EXCEEDED, 1], quote));
    t.equal((await inside.hear('an error', (one) => protocolOf(one) === ICMP))[21], 1, why);
    t.same(outside.take(), [], 'nor is anything said about it');
  };
  const ofUdp = await comes(error(quote));
  t.equal(ofUdp.readUInt16BE(28 + 20), port, 'REQ-3c: whatever the checksum of UDP');
  await stays(broken(error(quote), 30), 'REQ-3: not with a wrong checksum of its own');
  const optional = Buffer.concat([quote.subarray(0, 20), Buffer.from([1, 1, 1, 1]), quote.subarray(20)]);
  optional[0] = 0x46;
  word(optional.length).copy(optional, 2);
  word(0).copy(optional, 10);
  word(checksum(optional.subarray(0, 24))).copy(optional, 10);
  const behind = await comes(error(optional));
  t.equal(behind.readUInt16BE(28 + 24), port, 'REQ-3b: with IP options in front of the ports');
  // A label of MPLS (RFC 4950) behind a quote of 128 bytes, which are 32 words.
  const extension = Buffer.from([0x20, 0, 0, 0, 0, 8, 1, 1, 0, 1, 2, 3]);
  extension.writeUInt16BE(checksum(extension), 2);
  const extended = Buffer.concat([quote, Buffer.alloc(128 - quote.length), extension]);
  const whole = await comes(icmpPacket(ROUTER, external, [TIME_EXCEEDED, 0], extended, 32));
  t.same(whole.subarray(-extension.length), extension, 'REQ-3d: extensions stay as they are');
  t.equal(checksum(whole.subarray(20)), 0);
  await stays(error(quotedUdp(external, 4999, remotes[0], toPort)), 'REQ-4: not about what nobody has sent');
  await stays(error(quotedUdp(external, port, PEER, toPort)), 'REQ-4: nor to whom');
  for (const type of [5, 9])
    await stays(icmpPacket(ROUTER, external, [type, 0], quote), `REQ-11: type ${type}`);
  const wrong = await comes(error(broken(quote, 11)));
  t.not(checksum(wrong.subarray(28, 48)), 0, 'REQ-3a is not met: with a wrong checksum of the quoted header');
});

t.test('RFC 5508 REQ-5: errors of hosts and routers inside leave under the external address', async (t) => {
  port++;
  const peer = remoteUdp();
  peer.send('hello', external, CLOSED);
  const isError = (packet: Buffer): boolean => protocolOf(packet) === ICMP && packet[20] === UNREACHABLE;
  const error = await outside.hear('the port is closed', isError);
  t.equal(error[21], 3);
  t.same([sourceOf(error), error.subarray(44, 48).join('.')], [external, external]);
  t.equal(error.readUInt16BE(28 + 22), CLOSED, 'about the packet as it was sent');
  const datagram = quotedUdp(remotes[0], PEER_PORT + port, vms[0], 81);
  inside.send(icmpPacket(vms[0], remotes[0], [UNREACHABLE, 3], quotedUdp(remotes[0], 4999, vms[0], 4999)));
  inside.send(icmpPacket('10.1.1.99', remotes[0], [UNREACHABLE, 1], datagram));
  const next = await outside.hear('a router inside says so', isError);
  t.equal(next[21], 1, 'nothing about what has not come in');
  t.equal(sourceOf(next), external);
});

t.test('RFC 5508 REQ-1, REQ-1a: queries of the tenant, by one identifier, whoever is asked', async (t) => {
  const id = ++port;
  const query = (type: number, from: string, to: string): Buffer =>
    icmpPacket(from, to, [type, 0], Buffer.alloc(12), id);
  /** As whom the first is seen that leaves. */
  const seen = async (...queries: Buffer[]): Promise<string> => {
    outside.take();
    for (const each of queries) inside.send(each);
    const sent = await outside.hear('a query', (packet) => protocolOf(packet) === ICMP);
    return `${sent[20]} ${sourceOf(sent)} ${sent.readUInt16BE(24)}`;
  };
  const ping = (from: string, to: string) => seen(query(8, from, to));
  for (const remote of remotes) t.equal(await ping(vms[0], remote), `8 ${external} ${id}`);
  const second = await ping(vms[1], remotes[0]);
  t.not(second, `8 ${external} ${id}`, 'another host has another one');
  t.equal(await ping(vms[1], remotes[1]), second);
  t.equal(await seen(query(13, vms[0], remotes[0])), `13 ${external} ${id}`, 'a timestamp is asked for');
  await inside.hear('it is told', (packet) => packet[20] === 14);
  const block = { address: external, portStart: 2000, portEnd: 2999 };
  await context.become({ ...plan, portMappings: [], externalAddresses: [block] });
  const first = await seen(query(13, vms[0], remotes[1]), query(8, vms[0], remotes[1]));
  t.match(first, /^8 198\.51\.100\.101 2\d\d\d$/, 'of a block there are pings alone');
  await context.become(plan);
});

t.test(
  'RFC 5508 REQ-7: pings and errors between hosts of a domain, by their external addresses',
  async (t) => {
    const both = [{ address: external }, { address: other }];
    await context.become({
      ...plan,
      externalAddresses: both,
      oneToOne: [{ external: other, internal: vms[1] }],
    });
    const heard = new IcmpSocket(context.vm);
    heard.send(other, ++port, 1, 'neighbour');
    const messages: string[] = [];
    await until('both are heard', 2_000, () => {
      for (const { type, source: from } of heard.take()) messages.push(`${type} ${from}`);
      return messages.length >= 2;
    });
    t.same(messages, [`8 ${external}`, `0 ${other}`]);
    for (const [address, toPort] of [
      [other, 4999],
      [external, CLOSED],
    ] as const) {
      udp().send('hello', address, toPort);
      const error = await until(`${address} has told`, 2_000, () =>
        heard.take().find(({ type, source: from }) => type === UNREACHABLE && from === address),
      );
      t.same([sourceOf(error.data), error.data.subarray(16, 20).join('.')], [vms[0], address]);
      t.same([error.data.readUInt16BE(20), error.data.readUInt16BE(22)], [port, toPort]);
    }
    await context.become(plan);
  },
);

t.test('RFC 4787 REQ-13a: what may be cut is cut, and leaves in order', async (t) => {
  const data = 'x'.repeat(1400);
  outside.take();
  inside.send(udpPacket({ source: vms[0], destination: PEER, sourcePort: ++port, port: 1, data }));
  const sent: Buffer[] = [];
  await until('both parts are sent', 2_000, () => sent.push(...outside.take()) >= 2);
  t.same(
    sent.map((packet) => packet.readUInt16BE(6) & 0x1fff),
    [0, (MTU.external - 20) / 8],
  );
  t.equal(Buffer.concat(sent.map((packet) => packet.subarray(20))).toString('utf8', 8), data);
});

t.test('RFC 4787 REQ-14: fragments from outside in any order', async (t) => {
  const socket = udp(vms[0], OPEN);
  for (const [index, order] of permutations([0, 1, 2]).entries()) {
    const data = `${order} `.repeat(400);
    const packet = udpPacket({ source: PEER, destination: external, port: OPEN, data });
    const fragments = fragmentsOf(packet, index + 1, 1000);
    for (const each of order) outside.send(fragments[each] ?? Buffer.alloc(0));
    t.equal(await arrives(socket), data, `${order}`);
  }
});

t.test('RFC 5382 REQ-2a, REQ-4: simultaneous open, and a SYN before it that nobody answers', async (t) => {
  const [SYN, SYN_ACK] = [0x02, 0x12];
  const [peer, us]: [[string, number], [string, number]] = [
    [PEER, 7000],
    [external, ++port],
  ];
  outside.take();
  inside.take();
  outside.send(tcpPacket(peer, us, SYN, [1000, 0]));
  await new Promise((resolve) => setTimeout(resolve, SILENCE));
  t.same(outside.take(), [], 'neither reset nor ICMP');
  t.same(inside.take(), []);
  const { stdout } = await context.inside(['nft', 'list', 'ruleset']);
  t.match(stdout, /chain input \{\s+type filter hook input priority filter; policy drop;/);
  t.notMatch(stdout, 'reject', 'nor will there be any');

  const connection = tcpConnection(context.vm, { address: vms[0], port }, { address: PEER, port: 7000 });
  connection.write('hello');
  const isOf = (flags: number) => (packet: Buffer) =>
    protocolOf(packet) === TCP &&
    packet.readUInt16BE(20) === port &&
    ((packet[33] ?? 0) & 0x3f & ~0x08) === flags;
  const syn = await outside.hear('the SYN', isOf(SYN));
  t.equal(sourceOf(syn), external);
  const next = syn.readUInt32BE(24) + 1;
  outside.send(tcpPacket(peer, us, SYN, [1000, 0]));
  const both = await outside.hear('the SYN is acknowledged', isOf(SYN_ACK));
  t.equal(both.readUInt32BE(28), 1001);
  outside.send(tcpPacket(peer, us, SYN_ACK, [1000, next]));
  const data = await outside.hear('the connection stands', (packet) => packet.subarray(40).includes('hello'));
  t.equal(sourceOf(data), external);
});
