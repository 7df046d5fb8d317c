/**
 * Broadcasts and multicasts of VMs on three hosts, two `hnvgw host` nodes and Open vSwitch, with two VMs of one virtual
 * subnet on each: who gets them, how often, and how many copies are on the provider network's wire.
 */
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { familyOf } from '../lab/address.ts';
import { Capture } from '../lab/capture.ts';
import { Lab } from '../lab/lab.ts';
import { type ArrivedDatagram, Listeners } from '../lab/listeners.ts';
import { ThreeHosts } from '../lab/three-hosts.ts';
import { UdpSocket } from '../lab/udp-socket.ts';
import { until } from '../lab/until.ts';
import { innerMtu, VM_NIC } from '../lab/vm.ts';
import { BROADCAST_MAC, frame } from '../lab/vm-frame.ts';
import { equalNetworks, providerAddress } from '../lab/vm-network.ts';

const PORT = 6666;
const HOSTS = [1, 2, 3];
const [RED, GREEN] = equalNetworks();
const GROUPS = { 4: ['239.1.2.3'], 6: ['ff02::1:2:3', 'ff05::1:2:3'] } as const;
const BROADCASTS = ['255.255.255.255', '10.1.1.255'];
const DESTINATIONS = [...BROADCASTS, ...GROUPS[4], ...GROUPS[6]];
/** LLDP, one for experiments, MPLS, and the length of an 802.3 frame (spanning tree). */
const ETHERTYPES = [0x88cc, 0x88b5, 0x8847, 0x0026];
/** After which a loop would have shown itself. */
const QUIET_MS = 1_000;

for (const providerFamily of [4, 6] as const) {
  t.test(`groups over IPv${providerFamily} provider addresses`, { timeout: 120_000 }, async (t) => {
    if (RED === undefined || GREEN === undefined) throw new Error('there are no VM networks');
    const lab = await Lab.create(`b${providerFamily}t${process.pid}`);
    t.teardown(() => lab.close());
    const all = await ThreeHosts.build(lab, { providerFamily, networks: [RED, GREEN] });
    await all.start();
    for (const host of HOSTS)
      await all.addVm(host, {
        ...all.vm(1, host).spec,
        name: `red-more${host}`,
        mac: `02:00:00:01:01:2${host}`,
        ip: `10.1.1.2${host}`,
        ip6: `fd00:1:1::2${host}`,
        mtu: innerMtu(providerFamily),
      });
    const { vms } = all;
    const members = vms.filter(({ spec }) => spec.vsid === RED.subnets[0]?.vsid);
    const listeners = new Listeners(vms);
    const sockets = vms.flatMap((vm) =>
      ([4, 6] as const).map((family) => ({
        vm,
        family,
        socket: new UdpSocket(vm.namespace, VM_NIC, family, PORT, GROUPS[family]),
      })),
    );
    const hostOf = (name: string) => Number(name.slice(-1));

    await t.test(
      'each reaches all others of the virtual subnet once, with one copy for each host',
      async (t) => {
        t.equal(members.length, 6);
        // The hosts know each other's MACs from here on.
        await listeners.collect();
        const capture = await Capture.start(all.fabric.namespace, 'pn0', 'ip proto 47 or ip6 proto 47');
        const frames: string[] = [];
        const datagrams: string[] = [];
        const wire: string[] = [];
        for (const from of members)
          for (const destination of DESTINATIONS) {
            const text = `${from.name} ${destination}`;
            sockets
              .find(({ vm, family }) => vm === from && family === familyOf(destination))
              ?.socket.send(text, destination, PORT);
            for (const to of members) {
              // A stack hears its own broadcasts, without the network.
              if (to !== from || BROADCASTS.includes(destination)) datagrams.push(`${text} -> ${to.name}`);
              if (to !== from) frames.push(`${text} -> ${to.name}`);
            }
            for (const host of HOSTS)
              if (host !== hostOf(from.name))
                wire.push(`${text} -> ${providerAddress(providerFamily, host - 1)}`);
          }
        const arrived: ArrivedDatagram[] = await listeners.datagrams(PORT);
        const delivered: string[] = [];
        await until('the stacks have delivered them', 5_000, () => {
          for (const { vm, socket } of sockets)
            for (const text of socket.take()) delivered.push(`${text} -> ${vm.name}`);
          return delivered.length >= datagrams.length;
        });
        await delay(QUIET_MS);
        arrived.push(...(await listeners.datagrams(PORT)));
        for (const { vm, socket } of sockets)
          for (const text of socket.take()) delivered.push(`${text} -> ${vm.name}`);
        t.same(arrived.map(({ to, data }) => `${data} -> ${to.name}`).sort(), frames.sort(), 'at the NICs');
        t.same(delivered.sort(), datagrams.sort(), 'in the stacks');

        await capture.stop();
        t.equal(capture.dropped, 0);
        const outer = providerFamily === 4 ? 'ip.dst' : 'ipv6.dst';
        const seen = await capture.frames(`udp.dstport == ${PORT}`, [outer, 'data.data', 'gre.key']);
        const copies = seen.map((fields) => {
          const text = Buffer.from(fields['data.data'][0] ?? '', 'hex').toString();
          return `${text} -> ${fields[outer][0]}`;
        });
        t.same(copies.sort(), wire.sort(), 'on the wire');
        const vsids = new Set(seen.map((fields) => Number(fields['gre.key'][0]) >>> 8));
        t.same([...vsids], [RED.subnets[0]?.vsid]);
        for (const node of all.nodes)
          t.same(
            ((await node.api.get(`/v1/routing-domains/${RED.rdid}/counters`)) as { drops: object }).drops,
            {},
          );
      },
    );

    await t.test('frames that are not IP stay at their port', async (t) => {
      const counted = async () => {
        const counters = await Promise.all(
          all.nodes.map((node) => node.api.get(`/v1/routing-domains/${RED.rdid}/counters`)),
        );
        return (counters as { drops: Record<string, number> }[]).map(({ drops }) => drops);
      };
      await listeners.collect();
      const before = await counted();
      const payload = Buffer.alloc(46, 0xab);
      for (const from of members)
        for (const ethertype of ETHERTYPES)
          for (const destination of [
            BROADCAST_MAC,
            '01:80:c2:00:00:0e',
            ...members.map(({ spec }) => spec.mac),
          ])
            listeners.send(from, frame(destination, from.spec.mac, ethertype, payload));
      const arrived = (await listeners.collect()).filter((arrival) => arrival.frame.includes(payload));
      t.same(
        arrived.filter(({ to }) => hostOf(to.name) !== 3).map(({ to }) => to.name),
        [],
      );
      const perNode = 2 * ETHERTYPES.length * (2 + members.length);
      const after = await counted();
      t.same(
        after.map((drops, node) => (drops['port-ethertype'] ?? 0) - (before[node]?.['port-ethertype'] ?? 0)),
        [perNode, perNode],
      );
    });
  });
}
