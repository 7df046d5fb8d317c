/**
 * Isolation, proven: three VM networks with three virtual subnets each, on three hosts, that have all addresses and MACs in
 * common. Every VM says who it is to every address there is, by its own stack and by frames of its own making, and the
 * receivers tell whom they heard: those are the VMs that policy joins, and no others.
 */
import t from 'tap';
import { familyOf, routerAddress } from '../lab/address.ts';
import { ROUTER_MAC } from '../lab/hnv-flows.ts';
import { Lab } from '../lab/lab.ts';
import { type Arrival, type ArrivedDatagram, addressOf, Listeners } from '../lab/listeners.ts';
import { ThreeHosts } from '../lab/three-hosts.ts';
import { UdpSocket } from '../lab/udp-socket.ts';
import { until } from '../lab/until.ts';
import { VM_NIC, type Vm } from '../lab/vm.ts';
import {
  answeredAddress,
  BROADCAST_MAC,
  groupMac,
  isQuestion,
  questionFrame,
  udpFrame,
} from '../lab/vm-frame.ts';
import { equalNetworks } from '../lab/vm-network.ts';

const PORT = 6666;
const FAMILIES = [4, 6] as const;
const NETWORKS = equalNetworks();
/** Nobody has them. */
const NOBODY = { mac: '02:00:00:99:99:99', 4: '10.1.1.99', 6: 'fd00:1:1::99' } as const;
const BROADCASTS = ['255.255.255.255', '10.1.1.255', '10.1.2.255', '10.1.3.255'];
const GROUPS = ['224.0.0.1', '239.1.2.3', 'ff02::1', 'ff05::1:2', 'ff0e::1:2'];

const networkOf = (vm: Vm): string => vm.name.split('-')[0] ?? '';
/** On an `hnvgw host`, which guards what its VMs say; Open vSwitch does not. */
const isGuarded = (vm: Vm): boolean => !vm.name.endsWith('h3');
const lines = (arrived: readonly ArrivedDatagram[]): string[] =>
  arrived.map(({ to, data }) => `${data} -> ${to.name}`).sort();

for (const providerFamily of FAMILIES) {
  t.test(`isolation over IPv${providerFamily} provider addresses`, { timeout: 120_000 }, async (t) => {
    const lab = await Lab.create(`i${providerFamily}s${process.pid}`);
    t.teardown(() => lab.close());
    const all = await ThreeHosts.build(lab, { providerFamily, networks: NETWORKS });
    await all.start();
    const { vms } = all;
    const listeners = new Listeners(vms);
    const network = vms.filter((vm) => networkOf(vm) === NETWORKS[0]?.name);
    const addresses = network.flatMap((vm) => vm.addresses);
    const routers = (NETWORKS[0]?.subnets ?? []).flatMap(({ prefix, prefix6 }) =>
      [prefix, prefix6].map(routerAddress),
    );
    /** The VM of a VM network, here of the sender's, that has an address. */
    const ownerIn = (name: string, address: string) =>
      vms.find((vm) => networkOf(vm) === name && vm.addresses.includes(address));
    const strangers = (arrived: readonly ArrivedDatagram[]) =>
      arrived.filter(({ to, data }) => networkOf(to) !== data.split('-')[0]);
    // Each datagram has a taker, so that no stack complains of it.
    const sockets = vms.flatMap((vm) =>
      FAMILIES.map((family) => ({ vm, family, socket: new UdpSocket(vm.namespace, VM_NIC, family, PORT) })),
    );

    await t.test('for every pair of ports, datagrams arrive exactly where policy allows', async (t) => {
      t.same([vms.length, addresses.length], [27, 18]);
      const expected = vms.flatMap((from) =>
        addresses.map((address) => `${from.name} ${address} -> ${ownerIn(networkOf(from), address)?.name}`),
      );
      for (const { vm, family, socket } of sockets)
        for (const address of addresses)
          if (familyOf(address) === family) socket.send(`${vm.name} ${address}`, address, PORT);
      const delivered: string[] = [];
      const take = () => {
        for (const { vm, socket } of sockets)
          for (const text of socket.take()) delivered.push(`${text} -> ${vm.name}`);
        return delivered.length >= expected.length;
      };
      await until('as many datagrams as are allowed have arrived', 10_000, take).catch(() => undefined);
      await listeners.collect();
      take();
      t.equal(expected.length, 27 * 9 * 2, 'each with the nine of its VM network, itself among them');
      t.same(delivered.sort(), expected.sort());
    });

    await t.test('frames to every MAC and address stay in the VM network', async (t) => {
      const macs = [...network.map(({ spec }) => spec.mac), ROUTER_MAC, NOBODY.mac];
      const expected: string[] = [];
      const arrived: ArrivedDatagram[] = [];
      for (const from of vms) {
        for (const destination of [...addresses, ...routers, NOBODY[4], NOBODY[6]])
          for (const destinationMac of macs) {
            const family = familyOf(destination);
            const owner = ownerIn(networkOf(from), destination);
            // What a VM in order would send: to the neighbour itself, or to the router.
            const isInSubnet = owner?.spec.vsid === from.spec.vsid;
            const isRight = destinationMac === (isInSubnet ? owner?.spec.mac : ROUTER_MAC);
            const data = `${from.name} ${isRight ? 'right' : 'wrong'} ${destinationMac} ${destination}`;
            listeners.send(
              from,
              udpFrame({
                ...{ sourceMac: from.spec.mac, destinationMac },
                ...{ source: addressOf(from, family), destination, port: PORT, data },
              }),
            );
            if (isRight && owner !== undefined && owner !== from) expected.push(`${data} -> ${owner.name}`);
          }
        arrived.push(...(await listeners.datagrams(PORT)));
      }
      t.same(strangers(arrived), []);
      const isRight = (line: string) => line.includes(' right ');
      t.same(
        lines(arrived.filter(({ to, data }) => !data.startsWith(`${to.name} `))).filter(isRight),
        expected.sort(),
      );
    });

    await t.test('broadcasts and multicasts reach the others of the virtual subnet, once each', async (t) => {
      const expected: string[] = [];
      const arrived: ArrivedDatagram[] = [];
      for (const from of vms) {
        for (const destination of [...BROADCASTS, ...GROUPS]) {
          const family = familyOf(destination);
          const data = `${from.name} ${destination}`;
          const destinationMac = BROADCASTS.includes(destination) ? BROADCAST_MAC : groupMac(destination);
          listeners.send(
            from,
            udpFrame({
              ...{ sourceMac: from.spec.mac, destinationMac },
              ...{ source: addressOf(from, family), destination, port: PORT, data },
            }),
          );
          for (const to of vms)
            if (to !== from && to.spec.vsid === from.spec.vsid) expected.push(`${data} -> ${to.name}`);
        }
        arrived.push(...(await listeners.datagrams(PORT)));
      }
      t.same(lines(arrived), expected.sort());
    });

    await t.test(
      'ARP and ND answer for the own virtual subnet, and nobody else hears the question',
      async (t) => {
        const arrived: Arrival[] = [];
        for (const vm of vms) {
          for (const target of [...addresses, ...routers, NOBODY[4], NOBODY[6]])
            listeners.send(
              vm,
              questionFrame({ mac: vm.spec.mac, sender: addressOf(vm, familyOf(target)), target }),
            );
          arrived.push(...(await listeners.collect()));
        }
        t.same(
          arrived.filter(({ frame }) => isQuestion(frame)).map(({ to }) => to.name),
          [],
        );
        for (const vm of vms) {
          const answers = arrived.flatMap(({ to, frame }) => (to === vm ? [answeredAddress(frame)] : []));
          const { subnets } = NETWORKS.find(({ name }) => name === networkOf(vm)) ?? { subnets: [] };
          const own = subnets.filter(({ vsid }) => vsid === vm.spec.vsid);
          const neighbours = vms.filter((other) => other !== vm && other.spec.vsid === vm.spec.vsid);
          const expected = [
            ...neighbours.flatMap((other) => other.addresses),
            ...own.flatMap(({ prefix, prefix6 }) => [prefix, prefix6].map(routerAddress)),
          ];
          const found = new Set(answers.filter((answer) => answer !== undefined));
          t.same([...found].sort(), expected.sort(), vm.name);
        }
      },
    );

    await t.test('a VM that lies about who it is reaches nobody from a guarded port', async (t) => {
      const identities = [
        ...network.map(({ spec, ip, ip6 }) => ({ mac: spec.mac, 4: ip, 6: ip6 })),
        { mac: ROUTER_MAC, 4: '10.1.1.1', 6: routerAddress('fd00:1:1::/64') },
        NOBODY,
      ];
      /** A claim that Open vSwitch passes and the hosts cannot tell from the truth: that of a VM beside the liar. */
      const isCredible = (from: Vm, mac: string, source: string) => {
        const owner = ownerIn(networkOf(from), source);
        if (routers.includes(source)) return mac === ROUTER_MAC;
        return owner !== undefined && !isGuarded(owner) && [owner.spec.mac, ROUTER_MAC].includes(mac);
      };
      const credible = new Set<string>();
      const arrived: ArrivedDatagram[] = [];
      for (const from of vms) {
        for (const { mac: sourceMac } of identities)
          for (const family of FAMILIES)
            for (const source of identities.map((identity) => identity[family])) {
              if (sourceMac === from.spec.mac && source === addressOf(from, family)) continue;
              const data = `${from.name} as ${sourceMac} ${source}`;
              if (isCredible(from, sourceMac, source)) credible.add(data);
              for (const to of network) {
                const isInSubnet = to.name.slice(-4, -2) === from.name.slice(-4, -2);
                listeners.send(
                  from,
                  udpFrame({
                    ...{ sourceMac, destinationMac: isInSubnet ? to.spec.mac : ROUTER_MAC },
                    ...{ source, destination: addressOf(to, family), port: PORT, data },
                  }),
                );
              }
              const [destination, destinationMac] =
                family === 4 ? ['255.255.255.255', BROADCAST_MAC] : ['ff02::1', groupMac('ff02::1')];
              listeners.send(
                from,
                udpFrame({ sourceMac, destinationMac, source, destination, port: PORT, data }),
              );
            }
        arrived.push(...(await listeners.datagrams(PORT)));
      }
      t.same(strangers(arrived), []);
      const unexplained = arrived.filter(({ to, data }) => {
        const from = vms.find((vm) => data.startsWith(`${vm.name} `));
        // Between two VMs of Open vSwitch nobody guards anything.
        if (from !== undefined && !isGuarded(from) && !isGuarded(to)) return false;
        return from === undefined || isGuarded(from) || !credible.has(data);
      });
      t.same(lines(unexplained), []);
    });
  });
}
