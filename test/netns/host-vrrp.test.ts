/**
 * Addresses that move between VMs: a failover cluster's, by gratuitous ARP and unsolicited neighbour advertisements, and
 * VRRP's, by keepalived.
 */
import t from 'tap';
import { familyOf } from '../lab/address.ts';
import { announce } from '../lab/announce.ts';
import { extraMachine } from '../lab/extra-machine.ts';
import { Lab } from '../lab/lab.ts';
import { untilLearned } from '../lab/learned.ts';
import { Pinger, type PingerResult } from '../lab/pinger.ts';
import { ThreeHosts } from '../lab/three-hosts.ts';
import { VM_NIC, type Vm } from '../lab/vm.ts';
import { THREE_SUBNETS } from '../lab/vm-network.ts';
import { VrrpRouter } from '../lab/vrrp.ts';

const NETWORK = THREE_SUBNETS;
const { rdid } = NETWORK;
/** Interface of a VM that has a MAC of its own beside the NIC's. */
const VIRTUAL_NIC = 'virtual0';
const VIRTUAL_MAC = '02:00:5e:00:01:01';

t.test('addresses that move between VMs', { timeout: 180_000 }, async (t) => {
  const lab = await Lab.create(`hv${process.pid}`);
  t.teardown(() => lab.close());
  const all = await ThreeHosts.build(lab, { learning: {} });
  await all.start();
  const { nodes } = all;
  const addMember = (number: number, host: number): Promise<Vm> =>
    all.addVm(host, { ...extraMachine(NETWORK, 1, number, host, 4).spec, learn: true });
  const one = await addMember(61, 1);
  const two = await addMember(62, 2);
  const beside = await addMember(63, 1);
  const placeOf = (vm: Vm, mac: string) => {
    const host = all.hosts.find(({ vms }) => vms.includes(vm));
    return { mac, pa: host?.providerAddress ?? '' };
  };
  /** Of each node, in the same subnet and in another one. */
  const watchers = [all.vm(1, 1), all.vm(1, 2), all.vm(2, 1), all.vm(2, 2)];
  const watch = (address: string) =>
    Promise.all(watchers.map((vm) => Pinger.answered(vm.namespace, address)));

  const moves = [
    { what: 'IPv4', address: '10.1.1.81', virtual: false },
    { what: 'IPv6', address: 'fd00:1:1::81', virtual: false },
    { what: 'IPv4 with a virtual MAC', address: '10.1.1.82', virtual: true },
    { what: 'IPv6 with a virtual MAC', address: 'fd00:1:1::82', virtual: true },
  ];
  for (const { what, address, virtual } of moves) {
    await t.test(`a cluster’s address is reached within a second of its move: ${what}`, async (t) => {
      const nic = virtual ? VIRTUAL_NIC : VM_NIC;
      const take = async (vm: Vm): Promise<number> => {
        if (virtual) await addVirtualNic(vm);
        return announce(vm, address, nic);
      };
      const giveUp = (vm: Vm): Promise<string> =>
        virtual
          ? vm.namespace.ip('link', 'del', VIRTUAL_NIC)
          : vm.namespace.ip('addr', 'del', `${address}/${prefixLengthOf(address)}`, 'dev', VM_NIC);

      await take(one);
      const pingers = await watch(address);
      // To another host, back, and to a VM of the same host.
      let from = one;
      for (const to of [two, one, beside, two]) {
        await giveUp(from);
        const announced = await take(to);
        const times = await Promise.all(pingers.map((pinger) => pinger.answerAfter(announced)));
        t.ok(Math.max(...times) < 1_000, `${from.name} to ${to.name}: answers after ${rounded(times)} ms`);
        await untilLearned(nodes, rdid, address, placeOf(to, virtual ? VIRTUAL_MAC : to.spec.mac));
        from = to;
      }
      const results = await Promise.all(pingers.map((pinger) => pinger.stop()));
      t.comment(`lost in four moves: ${lost(results)} of ${results.map(({ sent }) => sent)}`);
      await giveUp(from);
    });
  }

  const groups = [
    { what: 'IPv4', address: '10.1.1.91/24', routerId: 51, virtualMac: false },
    { what: 'IPv6', address: 'fd00:1:1::91/64', routerId: 52, virtualMac: false },
    { what: 'IPv4 with a virtual MAC', address: '10.1.1.92/24', routerId: 53, virtualMac: true },
    { what: 'IPv6 with a virtual MAC', address: 'fd00:1:1::92/64', routerId: 54, virtualMac: true },
  ];
  for (const { what, ...options } of groups) {
    await t.test(`VRRP’s backup on another host takes over when the master dies: ${what}`, async (t) => {
      const [address = ''] = options.address.split('/');
      const master = await VrrpRouter.start(one.namespace, VM_NIC, { ...options, priority: 150 });
      await master.becomesMaster();
      const backup = await VrrpRouter.start(two.namespace, VM_NIC, { ...options, priority: 100 });
      const pingers = await watch(address);
      // Longer than a backup is patient that hears nothing of the master.
      const begin = Date.now();
      await Promise.all(pingers.map((pinger) => pinger.answerAfter(begin + 1_000)));
      t.notOk(await backup.isMaster(), 'it hears the master');

      await master.crash();
      await nodes[0].namespace.ip('link', 'set', one.name, 'down');
      await backup.becomesMaster();
      const since = backup.masterSince ?? 0;
      const times = await Promise.all(pingers.map((pinger) => pinger.answerAfter(since)));
      t.ok(Math.max(...times) < 1_000, `answers ${rounded(times)} ms after the backup is master`);
      const results = await Promise.all(pingers.map((pinger) => pinger.stop()));
      const gaps = results.map(({ longestGap }) => longestGap);
      t.ok(Math.max(...gaps) < 3_000, `nothing for ${gaps} ms`);
      await all.tellOvs();
      t.equal((await all.vm(1, 3).ping(address, 2)).received, 2, 'the Open vSwitch host reaches it');

      await backup.stop();
      if (options.virtualMac) await one.namespace.ip('link', 'del', `vrrp${options.routerId}`);
      else await one.namespace.ip('addr', 'del', options.address, 'dev', VM_NIC);
      await nodes[0].namespace.ip('link', 'set', one.name, 'up');
    });
  }
});

async function addVirtualNic({ namespace }: Vm): Promise<void> {
  const type = ['address', VIRTUAL_MAC, 'type', 'macvlan', 'mode', 'bridge'];
  await namespace.ip('link', 'add', VIRTUAL_NIC, 'link', VM_NIC, ...type);
  await namespace.ip('link', 'set', VIRTUAL_NIC, 'addrgenmode', 'none', 'up');
}

function prefixLengthOf(address: string): number {
  return familyOf(address) === 4 ? 24 : 64;
}

function rounded(times: readonly number[]): string {
  return times.map((time) => time.toFixed()).join(', ');
}

function lost(results: readonly PingerResult[]): string {
  return results.map(({ sent, received }) => sent - received).join(', ');
}
