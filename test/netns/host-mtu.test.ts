/**
 * Packets that do not fit into a tunnel, or into the port at its end: who sent them hears so from the `.1`, inside a
 * virtual subnet too, and IPv4 that may be fragmented arrives in fragments made inside the tunnel (RFC 7637 section 4).
 */
import t, { type Test } from 'tap';
import { Capture } from '../lab/capture.ts';
import { DatagramReceiver } from '../lab/datagram.ts';
import { extraMachine } from '../lab/extra-machine.ts';
import { Lab } from '../lab/lab.ts';
import { PROVIDER_NIC } from '../lab/node-process.ts';
import { ThreeHosts } from '../lab/three-hosts.ts';
import { serveTransfer, Transfer } from '../lab/transfer.ts';
import { innerMtu, type Vm } from '../lab/vm.ts';
import { THREE_SUBNETS } from '../lab/vm-network.ts';

const SMALL_MTU = 1300;
const TRANSFER_BYTES = 5_000_000;
const FULL_SPEED = 10_000_000_000;
/** IPv4 or IPv6 header, and that of ICMP. */
const PING_HEADERS = { 4: 28, 6: 48 } as const;

for (const family of [4, 6] as const) {
  t.test(
    `packets that are too big, over IPv${family} provider addresses`,
    { timeout: 120_000 },
    async (t) => {
      const lab = await Lab.create(`hm${family}p${process.pid}`);
      t.teardown(() => lab.close());
      const machine = (subnet: number, number: number, host: number, mtu: number) => {
        const { spec, records } = extraMachine(THREE_SUBNETS, subnet, number, host, family);
        return { spec: { ...spec, mtu }, records };
      };
      const usualSpec = machine(1, 41, 1, 1500);
      const jumboSpec = machine(1, 42, 1, 9000);
      const smallHere = machine(2, 43, 1, SMALL_MTU);
      const smallThere = machine(2, 44, 2, SMALL_MTU);
      const all = [usualSpec, jumboSpec, smallHere, smallThere];
      const network = {
        ...THREE_SUBNETS,
        subnets: THREE_SUBNETS.subnets.slice(0, 2),
        records: all.flatMap(({ records }) => records),
      };
      const hosts = await ThreeHosts.build(lab, { providerFamily: family, networks: [network] });
      const [node, otherNode] = hosts.nodes;
      const [usual, jumbo, here] = (await node.addVms([usualSpec.spec, jumboSpec.spec, smallHere.spec])) as [
        Vm,
        Vm,
        Vm,
      ];
      const there = await otherNode.addVm(smallThere.spec);
      // The side of the host has the MTU of a port: what it takes.
      for (const [vm, at] of [
        [here, node],
        [there, otherNode],
      ] as const)
        await at.namespace.ip('link', 'set', vm.name, 'mtu', `${SMALL_MTU}`);
      await hosts.start();
      const mtu = innerMtu(family);
      const { gateway, gateway6 = '' } = usual.spec;
      const remote = hosts.vm(1, 2);
      const routed = hosts.vm(2, 2);
      const foreign = hosts.vm(1, 3);
      /** Where the way is too narrow, and for how much. */
      const narrow: [string, Vm, number][] = [
        ['another node', remote, mtu],
        ['another node and subnet', routed, mtu],
        ['an Open vSwitch host', foreign, mtu],
        ['a port of this host', here, SMALL_MTU],
        ['a port of another host', there, SMALL_MTU],
      ];
      const forgetMtus = async () => {
        for (const vm of hosts.vms)
          for (const version of ['-4', '-6']) await vm.namespace.ip(version, 'route', 'flush', 'cache');
      };

      const biggestPing = (
        from: Vm,
        address: string,
        size: number,
        fragmentation: 'do' | 'dont',
        count = 1,
      ) => {
        const data = size - PING_HEADERS[address.includes(':') ? 6 : 4];
        const options = [
          '-n',
          '-M',
          fragmentation,
          '-s',
          `${data}`,
          '-c',
          `${count}`,
          '-i',
          '0.2',
          '-W',
          '1',
        ];
        return from.namespace.run(['ping', ...options, address]);
      };

      for (const [place, to, limit] of narrow) {
        await t.test(`the sender hears from the \`.1\` what fits: ${place}`, async (t) => {
          const [v4 = '', v6 = ''] = to.addresses;
          const wire = await Capture.start(node.namespace, PROVIDER_NIC, 'ip proto 47 or ip6 proto 47');
          t.match(
            (await biggestPing(usual, v4, limit + 1, 'do')).stdout,
            `From ${gateway} icmp_seq=1 Frag needed and DF set (mtu = ${limit})`,
          );
          t.match(
            (await biggestPing(usual, v6, limit + 1, 'do')).stdout,
            `From ${gateway6} icmp_seq=1 Packet too big: mtu=${limit}`,
          );
          for (const address of [v4, v6])
            t.match(
              await biggestPing(usual, address, limit, 'do'),
              { code: 0 },
              `${limit} bytes to ${address} fit`,
            );
          await wire.stop();
          const lengths = (await wire.decode('gre', ['frame.len'])).flat().map(Number);
          t.ok(
            lengths.every((length) => length <= 1514),
            'nothing on the wire is too big for it',
          );
        });
      }

      await t.test('TCP completes both ways, whatever the MTUs of its ends', async (t) => {
        await forgetMtus();
        const ends: [Vm, Vm][] = [
          [usual, remote],
          [jumbo, foreign],
          [usual, here],
          [jumbo, there],
          [foreign, there],
        ];
        for (const [index, [client, server]] of ends.entries()) {
          for (const way of [0, 1]) {
            const [from, to] = way ? [server, client] : [client, server];
            const address = to.addresses[(index + way) % 2] ?? '';
            const serving = await serveTransfer(to.namespace, address, 8000, TRANSFER_BYTES);
            const transfer = await Transfer.start(from.namespace, address, 8000, FULL_SPEED);
            const result = await transfer.finished();
            await serving.end();
            t.match(
              result,
              { bytes: TRANSFER_BYTES, intact: true },
              `${to.name} to ${from.name}: ${address}`,
            );
          }
        }
      });

      await t.test('IPv4 that may be fragmented arrives whole, in fragments inside the tunnel', async (t) => {
        await forgetMtus();
        const cases: [Vm, Vm, number][] = [
          [usual, remote, 1472],
          [jumbo, remote, 8000],
          [jumbo, foreign, 8000],
          [jumbo, routed, 8000],
          [jumbo, here, 8000],
          [usual, foreign, 1472],
        ];
        const wire = await Capture.start(node.namespace, PROVIDER_NIC, 'ip proto 47 or ip6 proto 47');
        for (const [from, to, bytes] of cases) {
          const receiver = await DatagramReceiver.start(to.namespace, to.ip, 7001);
          t.same(
            await receiver.from(from.namespace, bytes),
            { sent: 1, arrived: 1 },
            `${bytes} to ${to.name}`,
          );
          await receiver.close();
        }
        for (const to of [remote, foreign, routed, here]) {
          const { stdout } = await biggestPing(jumbo, to.ip, 8028, 'dont', 2);
          t.match(stdout, /2 packets transmitted, 2 received/, `ping to ${to.name}`);
        }
        await wire.stop();
        await fragmentsAreInside(t, lab, wire, mtu);
      });

      await t.test(
        'a sender that leaves fragmenting to others is told by a port of another host',
        async (t) => {
          await forgetMtus();
          const receiver = await DatagramReceiver.start(there.namespace, there.ip, 7001);
          await receiver.from(usual.namespace, 1400);
          t.same(await receiver.from(usual.namespace, 1400), { sent: 1, arrived: 1 });
        },
      );

      await t.test('IPv6 that its sender has fragmented too big is fragmented anew by it', async (t) => {
        for (const to of [foreign, there]) {
          await forgetMtus();
          const receiver = await DatagramReceiver.start(to.namespace, to.ip6, 7002);
          // One is lost at each narrow place: with it the sender learns what fits.
          for (let place = 0; place < (to === there ? 2 : 1); place++)
            await receiver.from(jumbo.namespace, 12_000);
          t.same(await receiver.from(jumbo.namespace, 12_000), { sent: 1, arrived: 1 }, to.name);
          await receiver.close();
        }
      });
    },
  );
}

/** No outer fragment, inner ones as large as fits, headers and checksums right. */
async function fragmentsAreInside(t: Test, lab: Lab, wire: Capture, mtu: number): Promise<void> {
  const fields = [
    'ip.flags.mf',
    'ip.frag_offset',
    'ip.len',
    'ip.checksum.status',
    'ipv6.nxt',
    'udp.checksum.status',
  ];
  const checks = ['ip', 'udp'].flatMap((name) => ['-o', `${name}.check_checksum:TRUE`]);
  const { stdout } = await lab.runChecked('tshark', [
    ...[
      '-n',
      '-r',
      wire.file,
      ...checks,
      '-Y',
      'gre',
      '-T',
      'fields',
      '-E',
      'occurrence=a',
      '-E',
      'aggregator=;',
    ],
    ...fields.flatMap((field) => ['-e', field]),
  ]);
  const rows = stdout.split('\n').filter((line) => line !== '');
  const frames = rows.map((line) => {
    const [more, offset, length, states, next, udp] = line.split('\t').map((cell) => cell.split(';'));
    const outer6 = next?.[0] !== '';
    // With outer IPv4 the first of each is the outer header's.
    const inner = outer6 ? 0 : 1;
    return {
      outerFragment: outer6 ? next?.[0] === '44' : more?.[0] !== '0' || offset?.[0] !== '0',
      more: more?.[inner] === '1',
      offset: Number(offset?.[inner]),
      length: Number(length?.[inner]),
      bad: [...(states ?? []), ...(udp ?? [])].includes('0'),
    };
  });
  t.ok(frames.length > 20, `${frames.length} frames`);
  t.notOk(
    frames.some(({ outerFragment }) => outerFragment),
    'no outer packet is a fragment',
  );
  t.notOk(
    frames.some(({ bad }) => bad),
    'no checksum is bad',
  );
  // All that have more behind them are as large as fits in units of 8.
  const largest = 20 + Math.floor((mtu - 20) / 8) * 8;
  const lengths = new Set(frames.filter(({ more }) => more).map(({ length }) => length));
  t.same(lengths, new Set([largest]), 'fragments are as large as fits');
  t.ok(frames.some(({ offset }) => offset > 0));
}
