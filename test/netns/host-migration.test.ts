/** VMs that move from host to host: their records change, and their conversations go on. */
import t from 'tap';
import { extraMachine } from '../lab/extra-machine.ts';
import { Lab } from '../lab/lab.ts';
import { Pinger } from '../lab/pinger.ts';
import { ThreeHosts } from '../lab/three-hosts.ts';
import { serveTransfer, Transfer } from '../lab/transfer.ts';
import { VM_NIC, type Vm } from '../lab/vm.ts';
import { THREE_SUBNETS } from '../lab/vm-network.ts';

const MEGABYTE = 1_000_000;
/** Bytes a second while VMs move. */
const RATE = 2 * MEGABYTE;
const SIZE = 60 * MEGABYTE;
const PORT = 8080;
const LONGEST_SILENCE_MS = 3_000;

const sameSubnet = { what: 'in the subnet of its peers', subnet: 1, way: [2, 1] };
/** The Open vSwitch host is in the middle, so that it is entered and left. */
const otherSubnet = { what: 'in another subnet', subnet: 2, way: [2, 3, 1] };
const families = [
  { providerFamily: 4, ways: [sameSubnet, otherSubnet] },
  { providerFamily: 6, ways: [otherSubnet] },
] as const;

for (const { providerFamily, ways } of families) {
  t.test(`VMs move on an IPv${providerFamily} provider network`, { timeout: 120_000 }, async (t) => {
    const lab = await Lab.create(`hm${process.pid}`);
    t.teardown(() => lab.close());
    const all = await ThreeHosts.build(lab, { providerFamily });
    await all.start();
    const add = (subnet: number, number: number) =>
      all.addVm(1, extraMachine(THREE_SUBNETS, subnet, number, 1, providerFamily).spec);

    for (const { what, subnet, way } of ways) {
      await t.test(`transfers to and from a VM ${what} go on while it moves`, async (t) => {
        const vm = await add(subnet, 70 + subnet);
        const peers = [all.vm(1, 1), all.vm(1, 2)];
        // A VM's NIC does not lose its carrier when it moves. This one does, and its neighbours with it: it asks soon.
        for (const family of ['ipv4', 'ipv6'])
          await vm.namespace.runChecked([
            ...['sysctl', '-qw', `net.${family}.neigh.${VM_NIC}.retrans_time_ms=50`],
          ]);
        // What waits in a receiver's buffer would hide how long nothing came.
        for (const { namespace } of [vm, ...peers])
          await namespace.runChecked(['sysctl', '-qw', 'net.ipv4.tcp_rmem=4096 65536 131072']);
        await Promise.all([
          serveTransfer(vm.namespace, '::', PORT, SIZE),
          ...peers.map((peer) => serveTransfer(peer.namespace, '::', PORT + subnet, SIZE)),
        ]);
        const begin = (client: Vm, address: string, port: number) =>
          Transfer.start(client.namespace, address, port, RATE);
        const [near, far] = peers as [Vm, Vm];
        const transfers = await Promise.all([
          begin(near, vm.ip, PORT),
          begin(far, vm.ip6, PORT),
          begin(vm, near.ip6, PORT + subnet),
          begin(vm, far.ip, PORT + subnet),
        ]);
        const pingers = await Promise.all([
          Pinger.answered(near.namespace, vm.ip),
          Pinger.answered(far.namespace, vm.ip6),
        ]);
        for (const transfer of transfers) await transfer.reaches(MEGABYTE / 2);

        for (const host of way) {
          await all.migrate(vm, host);
          const moved = Date.now();
          for (const pinger of pingers) await pinger.answerAfter(moved);
          for (const transfer of transfers) await transfer.reaches(transfer.received + MEGABYTE / 2);
        }
        for (const pinger of pingers) {
          const { sent, received, longestGap } = await pinger.stop();
          t.ok(
            longestGap < LONGEST_SILENCE_MS,
            `pings: ${sent - received} of ${sent} lost, ${longestGap} ms`,
          );
        }
        for (const transfer of transfers) transfer.hurry();
        for (const transfer of transfers) {
          const { bytes, intact, longestSilence } = await transfer.finished();
          t.equal(bytes, SIZE);
          t.ok(intact, 'all bytes are right');
          t.ok(longestSilence < LONGEST_SILENCE_MS, `the transfer stood still for ${longestSilence} ms`);
        }
        t.same(
          all.hosts.map((host) => host.vms.includes(vm)),
          [true, false, false],
        );
      });
    }
  });
}
