/**
 * Broadcasts of virtual subnets that have a provider multicast address, and of hosts with two provider addresses: two
 * `hnvgw host` nodes on a fabric whose switch snoops, so that a group's frames go only where somebody has joined. (Not in
 * the VLAN, of which the switch knows nothing.)
 */
import t from 'tap';
import { Capture } from '../lab/capture.ts';
import { Fabric } from '../lab/fabric.ts';
import { HostNode } from '../lab/host-node.ts';
import { Lab } from '../lab/lab.ts';
import { type ArrivedDatagram, Listeners } from '../lab/listeners.ts';
import { PROVIDER_NIC } from '../lab/node-process.ts';
import { type Placement, placedSpec, placeVms } from '../lab/placed-vms.ts';
import { putReady } from '../lab/three-hosts.ts';
import { until } from '../lab/until.ts';
import { innerMtu } from '../lab/vm.ts';
import { BROADCAST_MAC, groupMac, udpFrame } from '../lab/vm-frame.ts';
import { type Put, providerPrefixLength, vmNetwork } from '../lab/vm-network.ts';

const NETWORK = vmNetwork('red', '11111111-1111-1111-1111-111111111111', 5001);
const VSID = 5001;
const PORT = 6666;
const BASE = `/v1/routing-domains/${NETWORK.rdid}`;
const SUBNET = { addressPrefixes: ['10.1.1.0/24', 'fd00:1:1::/64'] };
const FABRIC = {
  4: { host1: ['192.168.1.11'], host2: ['192.168.1.12', '192.168.1.22'], group: '239.77.0.1' },
  6: { host1: ['fd00:a::11'], host2: ['fd00:a::12', 'fd00:a::22'], group: 'ff05::77:1' },
} as const;

const CASES = [{ family: 4 }, { family: 6 }, { family: 4, vlanId: 100 }] as const;

for (const { family, ...vlan } of CASES) {
  const isTagged = 'vlanId' in vlan;
  t.test(`groups over IPv${family}${isTagged ? ' in a VLAN' : ''}`, { timeout: 120_000 }, async (t) => {
    const { host1, host2, group } = FABRIC[family];
    const lab = await Lab.create(`g${family}${isTagged ? 'v' : 't'}${process.pid}`);
    t.teardown(() => lab.close());
    const fabric = await Fabric.create(lab);
    const prefixLength = providerPrefixLength(family);
    // With a VLAN the nodes make links of their own, which have the addresses.
    const make = (short: string, addresses: readonly string[]) =>
      HostNode.create(
        fabric,
        short,
        isTagged ? [] : addresses.map((address) => `${address}/${prefixLength}`),
      );
    const [node1, node2] = [await make('h1', host1), await make('h2', host2)];
    const nodes = [node1, node2];
    const bystander = await lab.namespace('bystander');
    await fabric.attach(bystander, 'pa', { wireFrames: false });
    /** Each VM with the provider address that its record has. */
    const placements = [
      { node: node1, providerAddress: host1[0] },
      { node: node1, providerAddress: host1[0] },
      { node: node2, providerAddress: host2[0] },
      { node: node2, providerAddress: host2[1] },
    ].map((place, index): Placement => {
      return { ...place, network: NETWORK, spec: placedSpec(NETWORK, 1, 11 + index, innerMtu(family)) };
    });
    const puts = (addresses: readonly string[]) =>
      addresses.map(
        (address): Put => [
          `/v1/provider-addresses/${address}`,
          { interface: PROVIDER_NIC, prefixLength, ...vlan },
        ],
      );
    const vms = await placeVms(
      placements,
      new Map([
        [node1, puts(host1)],
        [node2, puts(host2)],
      ]),
    );
    const listeners = new Listeners(vms);
    const outer = family === 4 ? 'ip' : 'ipv6';

    /** Has each VM broadcast and multicast: what arrived, and what was on the wire. */
    const speak = async () => {
      await listeners.collect();
      const capture = await Capture.start(fabric.namespace, 'pn0');
      const aside = await Capture.start(bystander, 'pa');
      for (const { spec } of vms)
        for (const [source, destination, destinationMac] of [
          [spec.ip, '255.255.255.255', BROADCAST_MAC],
          [spec.ip6 ?? '', 'ff05::1:2', groupMac('ff05::1:2')],
        ] as const) {
          const from = vms.find((vm) => vm.spec === spec);
          const data = `${spec.name} ${destination}`;
          if (from === undefined) continue;
          const sourceMac = spec.mac;
          listeners.send(
            from,
            udpFrame({ sourceMac, destinationMac, source, destination, port: PORT, data }),
          );
        }
      const arrived = lines(await listeners.datagrams(PORT));
      await Promise.all([capture.stop(), aside.stop()]);
      const fields = [`${outer}.src`, `${outer}.dst`, 'eth.dst', 'data.data'] as const;
      const wire = (await capture.frames(`udp.dstport == ${PORT}`, fields)).map((frame) => ({
        text: Buffer.from(frame['data.data'][0] ?? '', 'hex').toString(),
        ...{
          from: frame[fields[0]]?.[0] ?? '',
          to: frame[fields[1]]?.[0] ?? '',
          mac: frame['eth.dst'][0] ?? '',
        },
      }));
      return { arrived, wire, aside: (await aside.tunnels()).length };
    };
    const lines = (found: readonly ArrivedDatagram[]) =>
      found.map(({ to, data }) => `${data} -> ${to.name}`).sort();
    const texts = vms.flatMap(({ name }) => ['255.255.255.255', 'ff05::1:2'].map((to) => `${name} ${to}`));
    const everybodyOnce = texts
      .flatMap((text) =>
        vms.filter(({ name }) => !text.startsWith(name)).map(({ name }) => `${text} -> ${name}`),
      )
      .sort();
    const placeOf = (text: string) => placements.find(({ spec }) => text.startsWith(spec.name));

    await t.test(
      'a host with two provider addresses gets one copy at each, and each VM there gets one',
      async (t) => {
        const { arrived, wire } = await speak();
        t.same(arrived, everybodyOnce);
        const expected = texts.flatMap((text) => {
          const place = placeOf(text);
          const others = place?.node === node1 ? host2 : host1;
          return others.map((to) => `${text}: ${place?.providerAddress} -> ${to}`);
        });
        t.same(wire.map(({ text, from, to }) => `${text}: ${from} -> ${to}`).sort(), expected.sort());
      },
    );

    await t.test(
      'with a provider multicast address there is one copy, which all hosts that have joined get',
      async (t) => {
        if (!isTagged) await snoop(fabric);
        for (const node of nodes)
          await putReady(node.api, `${BASE}/virtual-subnets/${VSID}`, {
            ...SUBNET,
            providerMulticastAddress: group,
          });
        for (const node of nodes) {
          const shown = await node.namespace.ip('maddr', 'show');
          t.match(shown.replaceAll(/\s+/g, ' '), new RegExp(`inet6? ${group}( |$)`), 'the node is a member');
        }
        if (!isTagged)
          await until('the switch knows both members', 10_000, async () => {
            const found = (await fabric.namespace.runChecked(['bridge', 'mdb', 'show'])).stdout;
            return found.split('\n').filter((line) => line.includes(` ${group} `)).length === nodes.length;
          });
        // A switch floods until it trusts its own queries, and does not tell when that is.
        if (!isTagged)
          await until('the switch has begun to filter', 10_000, async () => (await speak()).aside === 0);
        const { arrived, wire, aside } = await speak();
        t.same(arrived, everybodyOnce);
        const expected = texts.map(
          (text) => `${text}: ${placeOf(text)?.providerAddress} -> ${group} ${groupMac(group)}`,
        );
        t.same(
          wire.map(({ text, from, to, mac }) => `${text}: ${from} -> ${to} ${mac}`).sort(),
          expected.sort(),
        );
        if (!isTagged) t.equal(aside, 0, 'who has not joined gets nothing');
      },
    );

    await t.test('without the address again the hosts leave the group, and copies are made', async (t) => {
      for (const node of nodes) await putReady(node.api, `${BASE}/virtual-subnets/${VSID}`, SUBNET);
      for (const node of nodes) t.notMatch(await node.namespace.ip('maddr', 'show'), group);
      const { arrived, wire } = await speak();
      t.same(arrived, everybodyOnce);
      t.equal(wire.filter(({ to }) => to === group).length, 0);
    });
  });
}

/** Makes the fabric's switch look at IGMP and MLD, and ask who is a member. */
async function snoop(fabric: Fabric): Promise<void> {
  const set = (...options: string[]) =>
    fabric.namespace.ip('link', 'set', 'pn0', 'type', 'bridge', ...options);
  // First of all, how long it waits for other queriers before it trusts its own.
  await set('mcast_query_response_interval', '10', 'mcast_igmp_version', '3', 'mcast_mld_version', '2');
  await set('mcast_snooping', '1', 'mcast_querier', '1');
}
