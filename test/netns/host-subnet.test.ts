/**
 * Inside a virtual subnet a host is a switch to its VMs: frames arrive as they were sent, whether the other VM is on the
 * same host, on another node or behind Open vSwitch. What is on the wire is NVGRE as RFC 7637 has it.
 */
import t, { type Test } from 'tap';
import { Capture } from '../lab/capture.ts';
import { ask, startEcho } from '../lab/echo.ts';
import { extraMachine } from '../lab/extra-machine.ts';
import { Lab } from '../lab/lab.ts';
import { PROVIDER_NIC } from '../lab/node-process.ts';
import { ThreeHosts } from '../lab/three-hosts.ts';
import { VM_NIC, type Vm } from '../lab/vm.ts';
import { providerAddress, THREE_SUBNETS } from '../lab/vm-network.ts';

const FLOWS = 24;
const NVGRE = 'ip proto 47 or ip6 proto 47';

/** All that a switch must leave alone in an echo request, of whichever family. */
const FRAME = [
  ...['eth.src', 'eth.dst', 'frame.len', 'ip.src', 'ip.dst', 'ip.id', 'ip.ttl', 'ip.checksum', 'ip.dsfield'],
  ...['ipv6.src', 'ipv6.dst', 'ipv6.flow', 'ipv6.hlim', 'ipv6.tclass'],
  ...['icmp.checksum', 'icmp.seq', 'icmpv6.checksum', 'icmpv6.echo.sequence_number', 'data.data'],
];
const ECHO_REQUEST = 'icmp.type == 8 || icmpv6.type == 128';

for (const family of [4, 6] as const) {
  t.test(`a virtual subnet over IPv${family} provider addresses`, { timeout: 120_000 }, async (t) => {
    const lab = await Lab.create(`hs${family}p${process.pid}`);
    t.teardown(() => lab.close());
    const neighbour = extraMachine(THREE_SUBNETS, 1, 41, 1, family);
    const network = { ...THREE_SUBNETS, records: neighbour.records };
    const hosts = await ThreeHosts.build(lab, { providerFamily: family, networks: [network] });
    const [node] = hosts.nodes;
    const local = await node.addVm(neighbour.spec);
    await hosts.start();
    const from = hosts.vm(1, 1);
    const remote = hosts.vm(1, 2);
    const foreign = hosts.vm(1, 3);
    const places: [string, Vm][] = [
      ['the same host', local],
      ['another node', remote],
      ['an Open vSwitch host', foreign],
    ];
    for (const [, vm] of places) for (const address of vm.addresses) await from.ping(address, 1);

    const wireDuring = async (work: () => Promise<unknown>): Promise<Capture> => {
      const capture = await Capture.start(node.namespace, PROVIDER_NIC, NVGRE);
      await work();
      await capture.stop();
      return capture;
    };
    const notFragmented = async (t: Test, capture: Capture) =>
      t.same(
        await capture.decode('ip.flags.mf == 1 || ip.frag_offset > 0 || ipv6.fraghdr', ['frame.number']),
        [],
      );

    for (const [place, vm] of places) {
      await t.test(`frames arrive as they were sent: ${place}`, async (t) => {
        const sent = await Capture.start(from.namespace, VM_NIC, 'icmp or icmp6');
        const received = await Capture.start(vm.namespace, VM_NIC, 'icmp or icmp6');
        for (const address of vm.addresses)
          t.match(await from.ping(address, 2), { received: 2, ttls: [64, 64] }, address);
        await Promise.all([sent.stop(), received.stop()]);
        const frames = await received.decode(ECHO_REQUEST, FRAME);
        t.equal(frames.length, 4);
        t.same(frames, await sent.decode(ECHO_REQUEST, FRAME));
        for (const [source, destination] of frames)
          t.same([source, destination], [from.spec.mac, vm.spec.mac], 'the VMs’ own MACs');
      });
    }

    await t.test(
      'the wire has NVGRE with the VSID of the subnet, and nothing for the same host',
      async (t) => {
        const capture = await wireDuring(async () => {
          for (const [, vm] of places) for (const address of vm.addresses) await from.ping(address, 1);
        });
        const frames = await capture.tunnels(ECHO_REQUEST);
        const seen = frames.map(({ outer, inner, ...rest }) => ({
          ...rest,
          ...{ flowId: undefined, protocols: undefined, from: outer.source, to: outer.destination },
          inner,
        }));
        const expected = [remote, foreign].flatMap((vm, index) =>
          vm.addresses.map((address, at) => ({
            ...{
              flags: 0x2000,
              protocol: 0x6558,
              vsid: from.spec.vsid,
              flowId: undefined,
              protocols: undefined,
            },
            ...{ from: providerAddress(family, 0), to: providerAddress(family, 1 + index) },
            inner: {
              ...{ sourceMac: from.spec.mac, destinationMac: vm.spec.mac },
              ...{ source: from.addresses[at], destination: address, ttl: 64, family: at === 0 ? 4 : 6 },
            },
          })),
        );
        t.same(seen, expected);
        await notFragmented(t, capture);
      },
    );

    for (const at of [0, 1]) {
      await t.test(`a flow of IPv${at === 0 ? 4 : 6} keeps its FlowID, and flows differ in it`, async (t) => {
        const address = remote.addresses[at] ?? '';
        const endpoint = `tcp:${at === 0 ? address : `[${address}]`}:7000`;
        const server = await startEcho(remote.namespace, 'remote', [endpoint]);
        const capture = await wireDuring(async () => {
          t.match(
            await ask(from.namespace, endpoint, { count: FLOWS }),
            Array(FLOWS).fill({ server: 'remote' }),
          );
        });
        await server.end();
        const flows = new Map<string, Set<number>>();
        const rows = await capture.decode('tcp.dstport == 7000', ['tcp.srcport', 'gre.key']);
        for (const [port = '', key] of rows)
          flows.set(port, (flows.get(port) ?? new Set()).add(Number(key) % 256));
        t.equal(flows.size, FLOWS);
        t.ok(rows.length > 2 * FLOWS, `${rows.length} frames`);
        for (const [port, ids] of flows) t.equal(ids.size, 1, `port ${port}: FlowID ${[...ids].join()}`);
        const distinct = new Set([...flows.values()].flatMap((ids) => [...ids])).size;
        t.ok(distinct > FLOWS / 2, `${distinct} FlowIDs of ${FLOWS} flows`);
        await notFragmented(t, capture);
      });
    }
  });
}
