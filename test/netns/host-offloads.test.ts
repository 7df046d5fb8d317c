/**
 * What a guest leaves to its NIC: checksums and the cutting of super-packets, TCP and UDP, of VMs behind veths and behind
 * taps as a hypervisor makes them. It arrives right at the other end, and super-packets stay whole between nodes.
 */
import t from 'tap';
import { Capture } from '../lab/capture.ts';
import { DatagramReceiver } from '../lab/datagram.ts';
import { extraMachine } from '../lab/extra-machine.ts';
import { Lab } from '../lab/lab.ts';
import { PROVIDER_NIC } from '../lab/node-process.ts';
import { PROVIDER_NIC as OVS_PROVIDER_NIC } from '../lab/ovs-host.ts';
import { ThreeHosts } from '../lab/three-hosts.ts';
import { trafficDuring } from '../lab/traffic.ts';
import { serveTransfer, Transfer } from '../lab/transfer.ts';
import type { Vm } from '../lab/vm.ts';
import { THREE_SUBNETS } from '../lab/vm-network.ts';

const TRANSFER_BYTES = 20_000_000;
/** To and from a tap, whose other end is a program that copies frames. */
const TAP_BYTES = 4_000_000;
/** To and from Open vSwitch's userspace datapath, which takes each frame alone. */
const FEWER_BYTES = 1_500_000;
const FULL_SPEED = 10_000_000_000;
const SEGMENT = 1000;
const SEGMENTS = 30;

for (const family of [4, 6] as const) {
  t.test(`guest offloads over IPv${family} provider addresses`, { timeout: 120_000 }, async (t) => {
    const lab = await Lab.create(`ho${family}p${process.pid}`);
    t.teardown(() => lab.close());
    const tap = (subnet: number, host: number) => {
      const { spec, records } = extraMachine(THREE_SUBNETS, subnet, 40 + host, host, family);
      return { spec: { ...spec, tap: true }, records };
    };
    const taps = [tap(1, 1), tap(2, 2)] as const;
    const network = {
      ...THREE_SUBNETS,
      subnets: THREE_SUBNETS.subnets.slice(0, 2),
      records: taps.flatMap(({ records }) => records),
    };
    const hosts = await ThreeHosts.build(lab, { providerFamily: family, networks: [network] });
    const [node, otherNode] = hosts.nodes;
    const [tap1, tap2] = [await node.addVm(taps[0].spec), await otherNode.addVm(taps[1].spec)];
    await hosts.start();
    const [one, remote, routed, foreign] = [hosts.vm(1, 1), hosts.vm(1, 2), hosts.vm(2, 2), hosts.vm(1, 3)];
    for (const to of [remote, foreign]) for (const address of to.addresses) await one.ping(address, 1);

    /** One transfer; what host 1 has sent and received for it on the provider network. */
    const transfer = async (server: Vm, client: Vm, index: number, bytes: number) => {
      const address = server.addresses[index] ?? '';
      const serving = await serveTransfer(server.namespace, address, 8000, bytes);
      const result = { bytes: 0, intact: false };
      const traffic = await trafficDuring(node.namespace, PROVIDER_NIC, async () => {
        const running = await Transfer.start(client.namespace, address, 8000, FULL_SPEED);
        Object.assign(result, await running.finished());
      });
      await serving.end();
      return { ...traffic, ...result };
    };

    for (const index of [0, 1]) {
      const name = index === 0 ? 'IPv4' : 'IPv6';
      const between: [string, Vm, Vm][] = [
        ['inside a subnet', one, remote],
        ['between subnets', one, routed],
        ['from a tap to a veth', tap1, routed],
        ['from a veth to a tap', one, tap2],
        ['between taps', tap1, tap2],
      ];
      for (const [what, server, client] of between) {
        await t.test(`super-packets of ${name} TCP stay whole between nodes: ${what}`, async (t) => {
          const all = client.spec.tap ? TAP_BYTES : TRANSFER_BYTES;
          const { bytes, intact, sent } = await transfer(server, client, index, all);
          t.match({ bytes, intact }, { bytes: all, intact: true });
          t.ok(sent.bytes > all, `${sent.bytes} bytes on the wire`);
          t.ok(sent.bytes / sent.packets > 10_000, `${sent.packets} packets`);
        });
      }

      await t.test(`${name} TCP between VMs of one host is intact, without the wire`, async (t) => {
        for (const [server, client] of [
          [one, hosts.vm(2, 1)],
          [one, tap1],
          [tap1, hosts.vm(2, 1)],
        ] as const) {
          const { bytes, intact, sent, received } = await transfer(server, client, index, TAP_BYTES);
          t.match({ bytes, intact }, { bytes: TAP_BYTES, intact: true }, `${server.name} ${client.name}`);
          t.ok(sent.bytes + received.bytes < TAP_BYTES / 10);
        }
      });

      await t.test(
        `${name} TCP is intact to and from Open vSwitch, every frame and checksum right`,
        async (t) => {
          const wire = await Capture.start(
            hosts.ovs.namespace,
            OVS_PROVIDER_NIC,
            'ip proto 47 or ip6 proto 47',
          );
          for (const [server, client] of [
            [one, foreign],
            [foreign, one],
            [tap1, foreign],
          ] as const)
            t.match(await transfer(server, client, index, FEWER_BYTES), { bytes: FEWER_BYTES, intact: true });
          await wire.stop();
          const checks = ['ip', 'tcp'].flatMap((protocol) => ['-o', `${protocol}.check_checksum:TRUE`]);
          const decoded = async (filter: string) => {
            const fields = [
              'frame.number',
              'frame.len',
              'frame.protocols',
              'ip.src',
              'ipv6.src',
              'tcp.checksum',
            ];
            const form = ['-T', 'fields', ...fields.flatMap((field) => ['-e', field])];
            const { stdout } = await lab.runChecked('tshark', [
              '-n',
              '-r',
              wire.file,
              ...checks,
              '-Y',
              filter,
              ...form,
            ]);
            return stdout.split('\n').slice(0, -1);
          };
          // The kernel writes 0xffff for 0, which is the same to a receiver and wrong to tshark (RFC 1624).
          const wrongTcp = '(tcp.checksum.status == 0 && tcp.checksum != 0xffff)';
          const wrong = `ip.checksum.status == 0 || ${wrongTcp} || frame.len > 1514`;
          t.same(await decoded(wrong), []);
          t.ok((await decoded('tcp.checksum.status == 1')).length > (3 * FEWER_BYTES) / 1500);
        },
      );

      await t.test(
        `${name} UDP that the guest leaves to be cut arrives as the datagrams that it stands for`,
        async (t) => {
          for (const [from, to] of [
            [one, remote],
            [one, routed],
            [one, hosts.vm(2, 1)],
            [one, foreign],
            [tap1, tap2],
            [tap2, one],
            [tap1, foreign],
          ] as const) {
            const receiver = await DatagramReceiver.start(to.namespace, to.addresses[index] ?? '', 7001);
            const traffic = await trafficDuring(node.namespace, PROVIDER_NIC, async () => {
              t.same(
                await receiver.from(from.namespace, SEGMENT * SEGMENTS, { segment: SEGMENT }),
                { sent: SEGMENTS, arrived: SEGMENTS },
                `${from.name} to ${to.name}`,
              );
            });
            await receiver.close();
            if (from === one && to === remote) t.ok(traffic.sent.packets < SEGMENTS, 'whole on the wire');
          }
        },
      );
    }
  });
}
