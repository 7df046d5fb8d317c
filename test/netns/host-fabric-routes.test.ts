/** Provider routes: two nodes in provider networks of their own, which a router joins. */
import t from 'tap';
import { Capture } from '../lab/capture.ts';
import { Fabric } from '../lab/fabric.ts';
import { HostNode } from '../lab/host-node.ts';
import { Lab } from '../lab/lab.ts';
import { PROVIDER_NIC } from '../lab/node-process.ts';
import { type Placement, placedSpec, placeVms } from '../lab/placed-vms.ts';
import { putReady } from '../lab/three-hosts.ts';
import { until } from '../lab/until.ts';
import { innerMtu } from '../lab/vm.ts';
import { type Put, vmNetwork } from '../lab/vm-network.ts';

const NETWORK = vmNetwork('red', '11111111-1111-1111-1111-111111111111', 5001);
const SIDES = {
  4: [
    { address: '192.168.1.11', prefix: '192.168.1.0/24', router: '192.168.1.1' },
    { address: '192.168.2.12', prefix: '192.168.2.0/24', router: '192.168.2.1' },
  ],
  6: [
    { address: 'fd00:a::11', prefix: 'fd00:a::/64', router: 'fd00:a::1' },
    { address: 'fd00:b::12', prefix: 'fd00:b::/64', router: 'fd00:b::1' },
  ],
} as const;

for (const family of [4, 6] as const) {
  t.test(`provider networks of IPv${family}`, { timeout: 120_000 }, async (t) => {
    const lab = await Lab.create(`r${family}t${process.pid}`);
    t.teardown(() => lab.close());
    const length = family === 4 ? 24 : 64;
    const nodad = family === 6 ? ' nodad' : '';
    const router = await lab.namespace('router');
    await router.runChecked(['sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1']);
    const nodes: HostNode[] = [];
    const fabrics: Fabric[] = [];
    for (const [index, side] of SIDES[family].entries()) {
      const fabric = await Fabric.create(lab, `fabric${index + 1}`);
      fabrics.push(fabric);
      await fabric.attach(router, `side${index + 1}`, { wireFrames: false });
      await router.ipBatch([`addr add ${side.router}/${length} dev side${index + 1}${nodad}`]);
      nodes.push(await HostNode.create(fabric, `h${index + 1}`, [`${side.address}/${length}`]));
    }
    const placements = nodes.map(
      (node, index): Placement => ({
        network: NETWORK,
        node,
        providerAddress: node.providerAddress,
        spec: placedSpec(NETWORK, 1, 11 + index, innerMtu(family)),
      }),
    );
    const providerPut = (node: HostNode): Put => [
      `/v1/provider-addresses/${node.providerAddress}`,
      { interface: PROVIDER_NIC, prefixLength: length },
    ];
    const [vm1, vm2] = await placeVms(placements, new Map(nodes.map((node) => [node, [providerPut(node)]])));
    if (vm1 === undefined || vm2 === undefined) throw new Error('VMs are missing');
    const reached = async () => {
      const answers = await Promise.all(vm2.addresses.map((address) => vm1.ping(address, 1)));
      return answers.map(({ received }) => received);
    };
    const routeOf = (index: number): Put => {
      const [here, there] = [SIDES[family][index], SIDES[family][1 - index]];
      const body = {
        interface: PROVIDER_NIC,
        destinationPrefix: there?.prefix,
        nextHop: here?.router,
        metric: 0,
      };
      return ['/v1/provider-routes/others', body];
    };

    await t.test('without routes nothing arrives', async (t) => {
      t.same(await reached(), [0, 0]);
    });

    await t.test('provider routes make the way, through the router', async (t) => {
      for (const [index, node] of nodes.entries()) await putReady(node.api, ...routeOf(index));
      const capture = await Capture.start(
        fabrics[1]?.namespace ?? router,
        'pn0',
        `${family === 4 ? 'ip' : 'ip6'} proto 47`,
      );
      await until('both families arrive', 10_000, async () => (await reached()).join() === '1,1');
      await capture.stop();
      const arrived = (await capture.tunnels()).filter(
        ({ outer }) => outer.destination === nodes[1]?.providerAddress,
      );
      t.ok(arrived.length >= 2);
      t.ok(arrived.every(({ outer }) => outer.source === nodes[0]?.providerAddress && outer.ttl === 63));
      t.equal(new Set(arrived.map(({ inner }) => inner.family)).size, 2);
    });

    await t.test('a deleted route ends the way', async (t) => {
      await nodes[0]?.api.delete('/v1/provider-routes/others?wait=10s');
      t.same(await reached(), [0, 0]);
      for (const node of nodes.slice(0, 1)) await putReady(node.api, ...routeOf(0));
      await until('both families arrive again', 10_000, async () => (await reached()).join() === '1,1');
    });
  });
}
