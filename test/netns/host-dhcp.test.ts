/**
 * DHCP in a VM network: dnsmasq in a VM of host 1 serves clients on all three hosts, whose addresses the nodes learn from
 * its answers.
 */
import t, { type Test } from 'tap';
import { DhcpClient, requestLease, serveDhcp } from '../lab/dhcp.ts';
import { extraMachine } from '../lab/extra-machine.ts';
import { Lab } from '../lab/lab.ts';
import { untilForgotten, untilLearned } from '../lab/learned.ts';
import { RawLink } from '../lab/raw-link.ts';
import { ThreeHosts } from '../lab/three-hosts.ts';
import { VM_NIC, type Vm } from '../lab/vm.ts';
import { recordPath, THREE_SUBNETS } from '../lab/vm-network.ts';

const NETWORK = THREE_SUBNETS;
const { rdid } = NETWORK;
const [{ vsid } = { vsid: 0 }] = NETWORK.subnets;
const BROADCAST = 'ff:ff:ff:ff:ff:ff';
const RANGE = { first: '10.1.1.100', last: '10.1.1.150', mask: '255.255.255.0', router: '10.1.1.1' };

t.test('DHCP from a server VM', { timeout: 120_000 }, async (t) => {
  const lab = await Lab.create(`hd${process.pid}`);
  t.teardown(() => lab.close());
  const all = await ThreeHosts.build(lab, { learning: { ageSeconds: 2 } });
  await all.start();
  const { nodes } = all;
  const server = await all.addVm(1, extraMachine(NETWORK, 1, 2, 1, 4).spec);
  await serveDhcp(server.namespace, VM_NIC, RANGE);

  /** Starts a VM that asks for its IPv4 address; `l2only` is where policy says that its MAC is. */
  const addClient = async (number: number, host: number, how: 'learn' | 'l2only'): Promise<Vm> => {
    const { spec } = extraMachine(NETWORK, 1, number, host, 4);
    if (how === 'l2only') {
      const record = {
        customerAddress: '0.0.0.0',
        virtualSubnetId: vsid,
        macAddress: spec.mac,
        providerAddress: all.hosts[host - 1]?.providerAddress,
        type: 'l2only',
      };
      const path = recordPath(rdid, `l2only-${number}`);
      await Promise.all(nodes.map((node) => node.api.put(path, record)));
    }
    return all.addVm(host, { ...spec, dhcp: true, ...(how === 'learn' ? { learn: true } : {}) });
  };

  /** The VM and one of each host, in the same subnet and another one, reach each other. */
  const reachesAll = async (t: Test, vm: Vm, address: string) => {
    await all.tellOvs();
    const others = [all.vm(1, 1), all.vm(1, 2), all.vm(1, 3), all.vm(2, 1), all.vm(2, 2), all.vm(2, 3)];
    await Promise.all(
      others.map(async (other) => {
        t.equal((await vm.ping(other.ip, 2)).received, 2, `${vm.name} reaches ${other.name}`);
        t.equal((await other.ping(address, 2)).received, 2, `${other.name} reaches ${vm.name}`);
      }),
    );
  };

  const cases = [
    { what: 'beside the server, whose port learns', number: 21, host: 1, how: 'learn' },
    { what: 'beside the server, with an L2Only record', number: 22, host: 1, how: 'l2only' },
    { what: 'on another host, with an L2Only record', number: 23, host: 2, how: 'l2only' },
  ] as const;
  for (const { what, number, host, how } of cases) {
    await t.test(`a client ${what} gets an address that all hosts know`, async (t) => {
      const vm = await addClient(number, host, how);
      const at = { mac: vm.spec.mac, pa: all.hosts[host - 1]?.providerAddress ?? '' };
      const link = await RawLink.open(vm.namespace, VM_NIC);
      for (const broadcast of [false, true]) {
        link.received.length = 0;
        const lease = await requestLease(vm.namespace, VM_NIC, { broadcast });
        t.match(lease, { mask: RANGE.mask, router: RANGE.router, server: server.ip });
        t.same(new Set(dhcpAnswers(link)), new Set([broadcast ? BROADCAST : vm.spec.mac]));
        await untilLearned(nodes, rdid, lease?.ip ?? '', at);
        if (broadcast) await reachesAll(t, vm, lease?.ip ?? '');
      }
      await link.close();
    });
  }

  await t.test('a client on another host whose port learns is answered by broadcast', async (t) => {
    const vm = await addClient(24, 2, 'learn');
    const lease = await requestLease(vm.namespace, VM_NIC, { broadcast: true });
    t.match(lease, { server: server.ip });
    await untilLearned(nodes, rdid, lease?.ip ?? '', { mac: vm.spec.mac, pa: nodes[1].providerAddress });
    await reachesAll(t, vm, lease?.ip ?? '');
  });

  await t.test('a client on the Open vSwitch host with an L2Only record', async (t) => {
    const vm = await addClient(25, 3, 'l2only');
    for (const broadcast of [false, true])
      t.match(await requestLease(vm.namespace, VM_NIC, { broadcast }), { server: server.ip });
    const ip = (await requestLease(vm.namespace, VM_NIC))?.ip ?? '';
    // That host does not learn: its administrator does.
    await all.place(rdid, [{ ip, mac: vm.spec.mac, vsid, pa: all.ovs.providerAddress }]);
    await reachesAll(t, vm, ip);
  });

  await t.test('a lease is renewed, and its address forgotten when it is given back', async (t) => {
    const vm = await addClient(26, 2, 'l2only');
    const client = await DhcpClient.start(vm.namespace, VM_NIC);
    const { ip } = client.lease;
    const at = { mac: vm.spec.mac, pa: nodes[1].providerAddress };
    await untilLearned(nodes, rdid, ip, at);
    t.equal((await client.renew()).ip, ip);
    t.equal((await client.renew()).ip, ip);
    await untilLearned(nodes, rdid, ip, at);
    await client.release();
    t.equal((await vm.namespace.ip('-4', 'addr', 'show', 'dev', VM_NIC)).trim(), '', 'it has no address');
    await untilForgotten(nodes, rdid, ip, 10_000);
    t.equal((await all.vm(1, 1).ping(ip, 1)).received, 0);
  });
});

/** Destination MACs of the DHCP messages to a client that have come to a NIC. */
function dhcpAnswers(link: RawLink): string[] {
  const answers = link.received.filter(
    (frame) => frame.readUInt16BE(12) === 0x0800 && frame[23] === 17 && frame.readUInt16BE(36) === 68,
  );
  return answers.map((frame) =>
    frame
      .subarray(0, 6)
      .toString('hex')
      .replace(/..(?!$)/g, '$&:'),
  );
}
