/** Two nodes and the fabric between them: several provider addresses on a node, the FlowID, and the MTU. */
import t from 'tap';
import { Capture } from '../lab/capture.ts';
import { Fabric } from '../lab/fabric.ts';
import { HostNode } from '../lab/host-node.ts';
import { Lab } from '../lab/lab.ts';
import { PROVIDER_NIC } from '../lab/node-process.ts';
import { PacketSocket } from '../lab/packet-socket.ts';
import { type Placement, placedSpec, placeVms } from '../lab/placed-vms.ts';
import { readTunnel, TUNNEL_FIELDS } from '../lab/tunnel-frame.ts';
import { UdpSocket } from '../lab/udp-socket.ts';
import { until } from '../lab/until.ts';
import { VM_NIC } from '../lab/vm.ts';
import { udpFrame } from '../lab/vm-frame.ts';
import { type Put, vmNetwork } from '../lab/vm-network.ts';

const PORT = 6666;
const FLOWS = 1_000;
const FIRST_PORT = 20_000;
const RED = vmNetwork('red', '11111111-1111-1111-1111-111111111111', 5001);
const GREEN = vmNetwork('green', '22222222-2222-2222-2222-222222222222', 6001);
const PROVIDERS = [['192.168.1.11', '192.168.1.21'], ['192.168.1.12']] as const;
/** What VMs have that know nothing of tunnels, and what a fabric needs for that. */
const VM_MTU = 1500;
const FABRIC_MTU = 1600;

t.test('two nodes and their fabric', { timeout: 120_000 }, async (t) => {
  const lab = await Lab.create(`fb${process.pid}`);
  t.teardown(() => lab.close());
  const fabric = await Fabric.create(lab);
  const [node1, node2] = [
    await HostNode.create(
      fabric,
      'h1',
      PROVIDERS[0].map((address) => `${address}/24`),
    ),
    await HostNode.create(
      fabric,
      'h2',
      PROVIDERS[1].map((address) => `${address}/24`),
    ),
  ];
  const place = (network: typeof RED, node: HostNode, providerAddress: string, number: number): Placement => {
    return { network, node, providerAddress, spec: placedSpec(network, 1, number, VM_MTU) };
  };
  const [first, second] = PROVIDERS[0];
  const [third] = PROVIDERS[1];
  const placements = [
    place(RED, node1, first, 11),
    place(RED, node1, second, 12),
    place(RED, node2, third, 13),
    place(GREEN, node1, second, 11),
    place(GREEN, node2, third, 13),
  ];
  const providerPuts = (node: HostNode) =>
    node.providerAddresses.map(
      (address): Put => [`/v1/provider-addresses/${address}`, { interface: PROVIDER_NIC, prefixLength: 24 }],
    );
  const vms = await placeVms(placements, new Map([node1, node2].map((node) => [node, providerPuts(node)])));
  const [red1, red2, red3, green1, green3] = vms;
  if (!red1 || !red2 || !red3 || !green1 || !green3) throw new Error('VMs are missing');
  const warnings = async (node: HostNode) =>
    ((await node.api.get('/v1/status')) as { warnings: string[] }).warnings;

  await t.test('each VM’s traffic has the provider address of its record, in both directions', async (t) => {
    const capture = await Capture.start(fabric.namespace, 'pn0', 'ip proto 47');
    for (const [from, to] of [
      [red1, red3],
      [red2, red3],
      [green1, green3],
    ] as const)
      for (const address of to.addresses) t.equal((await from.ping(address, 1)).received, 1);
    await capture.stop();
    const seen = (await capture.tunnels()).map(({ outer, inner, vsid }) => {
      return `${vsid} ${inner.source} ${inner.destination}: ${outer.source} ${outer.destination}`;
    });
    const pairs = [
      [red1, red3, first],
      [red2, red3, second],
      [green1, green3, second],
    ] as const;
    const expected = pairs.flatMap(([from, to, address]) =>
      from.addresses.flatMap((source, family) => [
        `${from.spec.vsid} ${source} ${to.addresses[family]}: ${address} ${third}`,
        `${from.spec.vsid} ${to.addresses[family]} ${source}: ${third} ${address}`,
      ]),
    );
    t.same([...new Set(seen)].sort(), expected.sort());
    t.equal((await red1.ping(red2.ip, 1)).received, 1, 'two VMs of one node, behind two addresses');
  });

  await t.test('a thousand flows have many FlowIDs, and each has one', async (t) => {
    const from = new PacketSocket(red1.namespace, VM_NIC);
    // A taker, so that no stack complains.
    for (const family of [4, 6] as const) new UdpSocket(red3.namespace, VM_NIC, family, PORT);
    const capture = await Capture.start(node2.namespace, PROVIDER_NIC, 'ip proto 47', 256);
    for (const round of ['once', 'twice'])
      for (const [source, destination] of [
        [red1.ip, red3.ip],
        [red1.ip6, red3.ip6],
      ] as const)
        for (let flow = 0; flow < FLOWS; flow++)
          from.send(
            udpFrame({
              ...{ sourceMac: red1.spec.mac, destinationMac: red3.spec.mac, source, destination },
              ...{
                sourcePort: FIRST_PORT + flow,
                port: PORT,
                data: `${round}, and of another length`.slice(0, flow % 20),
              },
            }),
          );
    await capture.stop();
    t.equal(capture.dropped, 0);
    const fields = [...TUNNEL_FIELDS, 'udp.srcport'] as const;
    const frames = await capture.frames(`udp.dstport == ${PORT}`, fields);
    t.equal(frames.length, 4 * FLOWS);
    for (const family of [4, 6]) {
      const idsOfFlow = new Map<string, Set<number>>();
      for (const frame of frames) {
        const tunnel = readTunnel(frame);
        if (tunnel.inner.family !== family) continue;
        const port = frame['udp.srcport'][0] ?? '';
        idsOfFlow.set(port, (idsOfFlow.get(port) ?? new Set()).add(tunnel.flowId));
      }
      t.equal(idsOfFlow.size, FLOWS);
      t.ok(
        [...idsOfFlow.values()].every((ids) => ids.size === 1),
        'a flow keeps its FlowID',
      );
      const uses = new Map<number, number>();
      for (const [id] of [...idsOfFlow.values()].map((ids) => [...ids]))
        if (id !== undefined) uses.set(id, (uses.get(id) ?? 0) + 1);
      // By chance 251 of 256 would be used, and the most used one 12 times.
      t.ok(uses.size > 230, `IPv${family}: ${uses.size} FlowIDs`);
      t.ok(Math.max(...uses.values()) < 24, `at most ${Math.max(...uses.values())} flows of one`);
    }
  });

  await t.test('retransmissions and fragments keep the FlowID of their flow', async (t) => {
    const capture = await Capture.start(node2.namespace, PROVIDER_NIC, 'ip proto 47');
    // Nobody answers: the other side's firewall is silent, as a host that has gone would be.
    await red3.namespace.runChecked([
      'nft',
      'add table ip quiet; add chain ip quiet in { type filter hook input priority 0; policy drop; }',
    ]);
    const connect = await red1.namespace.spawn([
      'curl',
      '-s',
      '--noproxy',
      '*',
      '--max-time',
      '9',
      `http://${red3.ip}:8080/`,
    ]);
    const socket = new UdpSocket(red1.namespace, VM_NIC, 4, PORT);
    const socket6 = new UdpSocket(red1.namespace, VM_NIC, 6, PORT);
    for (let round = 0; round < 3; round++) {
      socket.send('x'.repeat(4_000), red3.ip, PORT);
      socket6.send('x'.repeat(4_000), red3.ip6, PORT);
    }
    await until('SYN was sent three times', 6_000, async () => {
      const shown = await red1.namespace.run(['ss', '-tniH', 'state', 'syn-sent']);
      return /segs_out:[3-9]/.test(shown.stdout);
    });
    await capture.stop();
    await connect.end('SIGKILL');
    await red3.namespace.runChecked(['nft', 'delete table ip quiet']);
    const syns = await capture.tunnels('tcp.flags.syn == 1');
    t.ok(syns.length >= 3, `${syns.length} SYNs`);
    t.equal(new Set(syns.map(({ flowId }) => flowId)).size, 1);
    // Of the first IPv6 datagram most is too big still, which its sender hears.
    for (const filter of ['ip.flags.mf == 1 || ip.frag_offset > 0', 'ipv6.fraghdr.offset >= 0']) {
      const fragments = await capture.tunnels(filter);
      t.ok(fragments.length >= 7, `${fragments.length} fragments`);
      t.equal(new Set(fragments.map(({ flowId }) => flowId)).size, 1);
    }
  });

  await t.test('a fabric of 1500 leaves VMs less, of which the node warns and the VM hears', async (t) => {
    const [warning = ''] = await warnings(node2);
    t.match(warning, /192\.168\.1\.12 .* MTU is 1500, leaves VMs an MTU of 1458; .* would need 1542/);
    const refused = await red1.namespace.run([
      'ping',
      '-n',
      '-c',
      '2',
      '-i',
      '0.2',
      '-W',
      '1',
      '-M',
      'do',
      '-s',
      '1472',
      red3.ip,
    ]);
    t.match(refused.stdout + refused.stderr, /mtu ?= ?1458/);
  });

  await t.test('a fabric of 1600 gives VMs 1500 without any ICMP, and there is no warning', async (t) => {
    await fabric.setMtu(FABRIC_MTU);
    for (const node of [node1, node2])
      await node.namespace.ip('link', 'set', PROVIDER_NIC, 'mtu', `${FABRIC_MTU}`);
    for (const node of [node1, node2])
      await until('the node no longer warns', 10_000, async () => (await warnings(node)).length === 0);
    for (const vm of vms) {
      await vm.namespace.ip('route', 'flush', 'cache');
      await vm.namespace.ip('-6', 'route', 'flush', 'cache');
    }
    const heard = new PacketSocket(red1.namespace, VM_NIC);
    for (const [address, payload] of [
      [red3.ip, VM_MTU - 28],
      [red3.ip6, VM_MTU - 48],
    ] as const) {
      const args = ['-n', '-c', '3', '-i', '0.2', '-W', '1', '-M', 'do', '-s', `${payload}`, address];
      const { stdout, stderr } = await red1.namespace.run(['ping', ...args]);
      t.match(stdout, /3 packets transmitted, 3 received/, stderr);
    }
    const errors = heard.take().filter((bytes) => {
      const isIpv4Error = bytes.readUInt16BE(12) === 0x0800 && bytes[23] === 1 && bytes[34] !== 0;
      const isIpv6Error = bytes.readUInt16BE(12) === 0x86dd && bytes[20] === 58 && (bytes[54] ?? 0) < 128;
      return isIpv4Error || isIpv6Error;
    });
    t.same(errors, []);
  });
});
