/** A virtual subnet that 256 provider addresses of other hosts share: what one frame becomes, and where the limit is. */
import t from 'tap';
import { Capture } from '../lab/capture.ts';
import { Fabric } from '../lab/fabric.ts';
import { HostNode, portPath, portResource } from '../lab/host-node.ts';
import { Lab } from '../lab/lab.ts';
import { PROVIDER_NIC } from '../lab/node-process.ts';
import { PacketSocket } from '../lab/packet-socket.ts';
import { putReady } from '../lab/three-hosts.ts';
import { until } from '../lab/until.ts';
import { VM_NIC } from '../lab/vm.ts';
import { BROADCAST_MAC, groupMac, udpFrame } from '../lab/vm-frame.ts';
import { recordPath, recordResource } from '../lab/vm-network.ts';

const RDID = '11111111-1111-1111-1111-111111111111';
const VSID = 5001;
const LIMIT = 256;
const PORT = 6666;
const providerOf = (number: number): string => `10.77.${1 + Math.floor(number / 256)}.${number % 256}`;
const customerOf = (number: number): string => `10.1.${1 + Math.floor(number / 256)}.${number % 256}`;

t.test('a virtual subnet on 256 other hosts', { timeout: 120_000 }, async (t) => {
  const lab = await Lab.create(`bf${process.pid}`);
  t.teardown(() => lab.close());
  const fabric = await Fabric.create(lab);
  const node = await HostNode.create(fabric, 'h1', ['10.77.0.11/16']);
  // One machine that has the addresses of all the others.
  const sink = await lab.namespace('sink');
  await fabric.attach(sink, 'pa', { wireFrames: false });
  await sink.ipBatch(['addr add 10.77.0.12/16 dev pa', 'route add local 10.77.1.0/24 dev pa']);
  const spec = { prefixLength: 16, gateway: '10.1.0.1', vsid: VSID };
  const [first, second] = await node.addVms([
    { ...spec, name: 'vm1', ip: '10.1.0.11', mac: '02:00:00:00:00:11' },
    { ...spec, name: 'vm2', ip: '10.1.0.12', mac: '02:00:00:00:00:12' },
  ]);
  if (first === undefined || second === undefined) throw new Error('the VMs were not started');
  // Their kernels must not multicast by themselves (MLD, router solicitations): every copy is counted.
  for (const vm of [first, second])
    await vm.namespace.runChecked(['sysctl', '-qw', `net.ipv6.conf.${VM_NIC}.disable_ipv6=1`]);
  await node.start();
  const base = `/v1/routing-domains/${RDID}`;
  const { api } = node;
  await api.put(`/v1/provider-addresses/${node.providerAddress}`, {
    interface: PROVIDER_NIC,
    prefixLength: 16,
  });
  await api.put(base, { name: 'large' });
  await api.put(`${base}/virtual-subnets/${VSID}`, { addressPrefixes: ['10.1.0.0/16', 'fd00:1:1::/64'] });
  const record = (number: number) => {
    const mac = `02:00:00:01:${[number >> 8, number & 255].map((byte) => byte.toString(16).padStart(2, '0')).join(':')}`;
    return { ip: customerOf(number), mac, vsid: VSID, pa: providerOf(number) };
  };
  const all = Array.from({ length: LIMIT }, (_, number) => record(number));
  for (const each of all) await api.put(recordPath(RDID, each.ip), recordResource(each));
  // The ports' own addresses have no records: only other hosts count.
  for (const vm of [first, second]) await putReady(api, portPath(vm), portResource(vm));
  const from = new PacketSocket(first.namespace, VM_NIC);
  const beside = new PacketSocket(second.namespace, VM_NIC);

  await t.test(
    'one frame becomes a copy for each of 256 provider addresses, and one for the VM beside',
    async (t) => {
      const replicated = async () =>
        (await api.get(`${base}/counters`)) as { replicated: number; drops: object };
      for (const [destination, destinationMac] of [
        ['255.255.255.255', BROADCAST_MAC],
        ['239.1.2.3', groupMac('239.1.2.3')],
      ] as const) {
        const before = (await replicated()).replicated;
        beside.take();
        const capture = await Capture.start(sink, 'pa', 'ip proto 47');
        // The first time none of the 256 neighbours is known.
        from.send(
          udpFrame({
            ...{ sourceMac: first.spec.mac, destinationMac, source: first.ip, destination },
            ...{ port: PORT, data: 'to all' },
          }),
        );
        await until('all neighbours have answered', 5_000, async () => {
          const shown = await node.namespace.ip(
            '-json',
            'neigh',
            'show',
            'dev',
            PROVIDER_NIC,
            'to',
            '10.77.1.0/24',
          );
          const found = JSON.parse(shown) as { lladdr?: string }[];
          return found.filter(({ lladdr }) => lladdr !== undefined).length === LIMIT;
        });
        await capture.stop();
        const frames = await capture.tunnels();
        t.same(frames.map(({ outer }) => outer.destination).sort(), all.map(({ pa }) => pa).sort());
        t.ok(frames.every(({ vsid, inner }) => vsid === VSID && inner.destination === destination));
        t.equal(beside.take().filter((bytes) => bytes.includes('to all')).length, 1);
        t.equal(from.take().filter((bytes) => bytes.includes('to all')).length, 0);
        const after = await replicated();
        t.equal(after.replicated - before, LIMIT + 1);
        t.same(after.drops, {});
      }
    },
  );

  await t.test(
    'the 257th provider address is refused, and taken for a subnet with a multicast group',
    async (t) => {
      const next = record(LIMIT);
      const put = () => api.request('PUT', recordPath(RDID, next.ip), recordResource(next));
      const refused = await put();
      t.equal(refused.status, 409);
      t.match(refused.body, { detail: /would be provider address 257 .* at most 256/ });
      // Another address of a host that is there already is no matter.
      const more = { ...next, pa: providerOf(0) };
      t.equal((await api.request('PUT', recordPath(RDID, more.ip), recordResource(more))).status, 201);
      await api.put(`${base}/virtual-subnets/${VSID}`, {
        addressPrefixes: ['10.1.0.0/16', 'fd00:1:1::/64'],
        providerMulticastAddress: '239.77.0.1',
      });
      t.equal((await put()).status, 200);
    },
  );
});
