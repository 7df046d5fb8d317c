/**
 * ARP and neighbour discovery as Linux stacks and iputils see them: answered by the host from policy, so that neither is
 * ever on the wire, with duplicate address detection (RFC 5227, RFC 4862) and unreachability detection (RFC 4861).
 */
import t from 'tap';
import { Capture } from '../lab/capture.ts';
import { ROUTER_MAC } from '../lab/hnv-flows.ts';
import { Lab } from '../lab/lab.ts';
import { addUniqueAddress, type Neighbour } from '../lab/neighbours.ts';
import { PROVIDER_NIC } from '../lab/node-process.ts';
import { ThreeHosts } from '../lab/three-hosts.ts';
import { until } from '../lab/until.ts';
import { VM_NIC, type Vm } from '../lab/vm.ts';
import { recordPath, recordResource, recordsOf, THREE_SUBNETS } from '../lab/vm-network.ts';

const NEIGHBOUR_MESSAGE = 'arp || icmpv6.type == 135 || icmpv6.type == 136';
/** In the subnet, and nobody's. */
const FREE = ['10.1.1.99', 'fd00:1:1::99'] as const;

t.test('neighbours on a host', { timeout: 120_000 }, async (t) => {
  const lab = await Lab.create(`hn${process.pid}`);
  t.teardown(() => lab.close());
  const network = { ...THREE_SUBNETS, subnets: THREE_SUBNETS.subnets.slice(0, 2) };
  const hosts = await ThreeHosts.build(lab, { networks: [network] });
  await hosts.start();
  const [node] = hosts.nodes;
  const one = hosts.vm(1, 1);
  const peers = [hosts.vm(1, 2), hosts.vm(1, 3)] as const;
  const [peer, foreign] = peers;
  const routers = [one.spec.gateway, one.spec.gateway6 ?? ''];
  // Probes of unreachability follow each other faster than by default, and there are fewer.
  for (const family of ['ipv4', 'ipv6'])
    await one.namespace.runChecked([
      ...['sysctl', '-qw', `net.${family}.neigh.${VM_NIC}.retrans_time_ms=100`],
      `net.${family}.neigh.${VM_NIC}.delay_first_probe_time=1`,
    ]);
  const wire = await Capture.start(node.namespace, PROVIDER_NIC, 'ip proto 47');
  const elsewhere = await Capture.start(peer.namespace, VM_NIC, 'arp or icmp6');

  const entry = async (address: string): Promise<Neighbour | undefined> =>
    (await one.neighbours()).find((each) => each.address === address);

  await t.test('a peer answers with its own MAC, the `.1` with the router’s', async (t) => {
    for (const vm of peers) t.same(await one.arping(vm.ip), [vm.spec.mac]);
    t.same(await one.arping(one.spec.gateway), [ROUTER_MAC]);
    await Promise.all([...peers.map((vm) => vm.ip6), ...routers].map((address) => one.ping(address, 1)));
    for (const vm of peers) t.match(await entry(vm.ip6), { mac: vm.spec.mac, isRouter: false });
    t.match(await entry(routers[1] ?? ''), { mac: ROUTER_MAC, isRouter: true });
  });

  await t.test('what policy does not know, and what another subnet has, stays silent', async (t) => {
    const silent = [FREE[0], hosts.vm(2, 2).ip];
    for (const address of silent) t.same(await one.arping(address), [], address);
    // On-link for once, so that the VM asks for it itself.
    await one.namespace.ip('route', 'add', hosts.vm(2, 2).ip6, 'dev', VM_NIC);
    for (const address of [FREE[1], hosts.vm(2, 2).ip6]) {
      t.match(await one.ping(address, 1), { received: 0 });
      t.equal((await entry(address))?.mac, undefined, address);
    }
    await one.namespace.ip('route', 'del', hosts.vm(2, 2).ip6, 'dev', VM_NIC);
  });

  await t.test('an ARP probe finds who has an address, and never the asker itself', async (t) => {
    const probe = (address: string) => one.arping(address, { mode: 'probe' });
    t.same(await probe(FREE[0]), [], 'a free one');
    t.same(await probe(peer.ip), [peer.spec.mac], 'another VM’s');
    t.same(await probe(foreign.ip), [foreign.spec.mac], 'another VM’s behind Open vSwitch');
    t.same(await probe(one.spec.gateway), [ROUTER_MAC], 'the router’s');
    t.same(await probe(one.ip), [], 'its own');
  });

  await t.test(
    'who claims another’s address hears from its owner, and nobody else hears the claim',
    async (t) => {
      for (const [address, mac] of [
        [peer.ip, peer.spec.mac],
        [one.spec.gateway, ROUTER_MAC],
      ] as const) {
        const heard = await Capture.start(one.namespace, VM_NIC, 'arp');
        await one.namespace.ip('addr', 'add', `${address}/32`, 'dev', VM_NIC);
        await one.arping(address, { mode: 'announce' });
        await one.namespace.ip('addr', 'del', `${address}/32`, 'dev', VM_NIC);
        await heard.stop();
        const defences = await heard.decode(`arp.opcode == 2 && arp.src.proto_ipv4 == ${address}`, [
          'arp.src.hw_mac',
        ]);
        t.same(defences, [[mac]]);
      }
      t.same(await one.arping(one.ip, { mode: 'announce' }), []);
    },
  );

  await t.test('IPv6 duplicate address detection fails for another’s address alone', async (t) => {
    const tryAddress = async (address: string) => {
      const isUnique = await addUniqueAddress(one.namespace, VM_NIC, `${address}/64`);
      await one.namespace.ip('addr', 'del', `${address}/64`, 'dev', VM_NIC);
      return isUnique;
    };
    t.equal(await tryAddress(peer.ip6), false, 'another VM’s');
    t.equal(await tryAddress(foreign.ip6), false, 'another VM’s behind Open vSwitch');
    t.equal(await tryAddress(routers[1] ?? ''), false, 'the router’s');
    t.equal(await tryAddress(FREE[1]), true, 'a free one');
    await one.namespace.ip('addr', 'del', `${one.ip6}/64`, 'dev', VM_NIC);
    t.equal(await addUniqueAddress(one.namespace, VM_NIC, `${one.ip6}/64`), true, 'its own');
    await one.namespace.ip('route', 'replace', 'default', 'via', routers[1] ?? '');
  });

  await t.test('a probe confirms a neighbour', async (t) => {
    for (const address of [...peer.addresses, ...routers]) {
      await one.ping(address, 1);
      await probeNow(one, address, (await entry(address))?.mac ?? '');
      t.ok(await stateOf(address, 'REACHABLE'), address);
    }
  });

  await t.test('a neighbour whose record is deleted becomes unreachable', async (t) => {
    for (const address of foreign.addresses) await one.ping(address, 1);
    const records = recordsOf(network, 4).filter((record) => foreign.addresses.includes(record.ip));
    for (const record of records) await node.api.delete(`${recordPath(network.rdid, record.ip)}?wait=10s`);
    for (const address of foreign.addresses) {
      await probeNow(one, address, foreign.spec.mac);
      t.ok(await stateOf(address, 'FAILED'), address);
      t.match(await one.ping(address, 1), { received: 0 });
    }
    for (const record of records)
      await node.api.put(`${recordPath(network.rdid, record.ip)}?wait=10s`, recordResource(record));
    for (const address of foreign.addresses)
      t.match(await one.ping(address, 1), { received: 1 }, 'and comes back');
  });

  await t.test('none of it was on the wire or at another VM', async (t) => {
    await Promise.all([wire.stop(), elsewhere.stop()]);
    t.same(await wire.tunnels(NEIGHBOUR_MESSAGE), []);
    // What the other VM asks for itself, and is answered, is its own.
    const others = `(${NEIGHBOUR_MESSAGE}) && eth.src == ${one.spec.mac} && !(eth.dst == ${peer.spec.mac})`;
    t.same(await elsewhere.decode(others, ['frame.number']), []);
    t.not((await wire.tunnels('icmp')).length, 0);
  });

  function stateOf(address: string, state: string): Promise<boolean> {
    return until(`${address} is ${state}`, 5_000, async () => (await entry(address))?.state === state);
  }
});

/** Makes a VM doubt what it knows of a neighbour, so that it asks at once. */
async function probeNow(vm: Vm, address: string, mac: string): Promise<void> {
  await vm.namespace.ip('neigh', 'replace', address, 'lladdr', mac, 'nud', 'probe', 'dev', VM_NIC);
}
