/**
 * Provider addresses with a VLAN and a MAC of their own: two nodes on a fabric that passes tags, frames decoded by tshark,
 * and a machine on the same fabric that tries to come in without the tag.
 */
import t from 'tap';
import { Capture } from '../lab/capture.ts';
import { Fabric } from '../lab/fabric.ts';
import { HostNode } from '../lab/host-node.ts';
import { Lab } from '../lab/lab.ts';
import { Listeners } from '../lab/listeners.ts';
import type { Namespace } from '../lab/namespace.ts';
import { PROVIDER_NIC } from '../lab/node-process.ts';
import { nvgreFrame } from '../lab/nvgre-frame.ts';
import { PacketSocket } from '../lab/packet-socket.ts';
import { type Placement, placedSpec, placeVms } from '../lab/placed-vms.ts';
import { putReady } from '../lab/three-hosts.ts';
import { until } from '../lab/until.ts';
import { innerMtu } from '../lab/vm.ts';
import { answeredAddress, questionFrame, udpPacket } from '../lab/vm-frame.ts';
import { providerAddress, providerPrefixLength, vmNetwork } from '../lab/vm-network.ts';

const VLAN = 100;
const OTHER_VLAN = 200;
const PORT = 6666;
const NETWORK = vmNetwork('red', '11111111-1111-1111-1111-111111111111', 5001);
const MACS = ['02:aa:00:00:00:11', '02:aa:00:00:00:12'] as const;
const EVIL_MAC = '02:ee:00:00:00:01';
/** Of the first node's NIC itself, without a tag. */
const NIC_ADDRESS = { 4: '172.16.0.1', 6: 'fd00:b::1' } as const;

/** The frame with an 802.1Q tag. */
function tagged(frame: Buffer, vlan: number): Buffer {
  const tag = Buffer.from([0x81, 0, vlan >> 8, vlan & 255]);
  return Buffer.concat([frame.subarray(0, 12), tag, frame.subarray(12)]);
}

async function macOf(namespace: Namespace, nic: string): Promise<string> {
  const [link] = JSON.parse(await namespace.ip('-json', 'link', 'show', 'dev', nic)) as { address: string }[];
  return link?.address ?? '';
}

for (const family of [4, 6] as const) {
  t.test(`provider addresses of IPv${family} with VLAN and MAC`, { timeout: 120_000 }, async (t) => {
    const lab = await Lab.create(`v${family}l${process.pid}`);
    t.teardown(() => lab.close());
    const fabric = await Fabric.create(lab);
    const nodes = [await HostNode.create(fabric, 'h1', []), await HostNode.create(fabric, 'h2', [])] as const;
    const [node1, node2] = nodes;
    const prefixLength = providerPrefixLength(family);
    const pas = [providerAddress(family, 0), providerAddress(family, 1)] as const;
    const nicAddress = `${NIC_ADDRESS[family]}/${prefixLength}`;
    await node1.namespace.ip(
      'addr',
      'add',
      nicAddress,
      'dev',
      PROVIDER_NIC,
      ...(family === 6 ? ['nodad'] : []),
    );
    const providerPut = (index: 0 | 1, more: object) =>
      [
        `/v1/provider-addresses/${pas[index]}`,
        { interface: PROVIDER_NIC, prefixLength, macAddress: MACS[index], ...more },
      ] as const;
    const placements: Placement[] = [0, 1].flatMap((index) =>
      [1, 2].map((subnet) => ({
        network: NETWORK,
        node: nodes[index] ?? node1,
        providerAddress: pas[index] ?? '',
        spec: placedSpec(NETWORK, subnet, 11 + index, innerMtu(family)),
      })),
    );
    const vms = await placeVms(
      placements,
      new Map([
        [node1, [providerPut(0, { vlanId: VLAN })]],
        [node2, [providerPut(1, { vlanId: VLAN })]],
      ]),
    );
    const [vm1, , vm2, routed] = vms;
    if (vm1 === undefined || vm2 === undefined || routed === undefined) throw new Error('VMs are missing');
    const evil = await lab.namespace('evil');
    await fabric.attach(evil, 'pa', { wireFrames: false });
    const attacker = new PacketSocket(evil, 'pa');
    const listeners = new Listeners(vms);
    const targets = [...vm2.addresses, ...routed.addresses];
    const neighbourProtocol = family === 4 ? 'arp' : 'icmpv6.type == 135 || icmpv6.type == 136';

    /** Pings all of them while the fabric is recorded; what was outside of the frames, each once. */
    const wire = async () => {
      const capture = await Capture.start(fabric.namespace, 'pn0');
      for (const address of targets) t.equal((await vm1.ping(address, 2)).received, 2, address);
      await capture.stop();
      const fields = ['vlan.id', 'eth.src', 'eth.dst'] as const;
      const outside = (await capture.frames('gre', fields)).map((frame) => ({
        vlans: frame['vlan.id'],
        macs: `${frame['eth.src'][0]} ${frame['eth.dst'][0]}`,
      }));
      const asked = await capture.frames(`!gre && (${neighbourProtocol})`, fields);
      return { outside, asked };
    };
    const expectedMacs = [`${MACS[0]} ${MACS[1]}`, `${MACS[1]} ${MACS[0]}`];

    await t.test('everything is tagged and has the addresses’ MACs, ARP and ND as well', async (t) => {
      const { outside, asked } = await wire();
      t.ok(outside.length >= 4 * targets.length, `${outside.length} tunnel frames`);
      t.ok(outside.every(({ vlans }) => vlans.length === 1 && Number(vlans[0]) === VLAN));
      t.same([...new Set(outside.map(({ macs }) => macs))].sort(), expectedMacs);
      const own = asked.filter((frame) => (MACS as readonly string[]).includes(frame['eth.src'][0] ?? ''));
      t.ok(own.length >= 2, 'the question and the answer');
      t.ok(own.every((frame) => Number(frame['vlan.id'][0]) === VLAN));
    });

    await t.test('frames to the address are refused without its tag', async (t) => {
      const nicMac = await macOf(node1.namespace, PROVIDER_NIC);
      const forge = (destinationMac: string, data: string) =>
        nvgreFrame({
          ...{ destinationMac, sourceMac: EVIL_MAC, from: pas[1], to: pas[0], vsid: vm2.spec.vsid },
          ...{ innerDestinationMac: vm1.spec.mac, innerSourceMac: vm2.spec.mac },
          inner: udpPacket({ source: vm2.ip, destination: vm1.ip, port: PORT, data }),
        });
      const dropped = async () => {
        const status = (await node1.api.get('/v1/status')) as { unattributedDrops: Record<string, number> };
        return status.unattributedDrops['provider-vlan'] ?? 0;
      };
      await listeners.collect();
      const before = await dropped();
      attacker.send(forge(MACS[0], 'untagged'));
      attacker.send(forge(nicMac, 'untagged to the NIC'));
      attacker.send(tagged(forge(MACS[0], 'another tag'), OTHER_VLAN));
      attacker.send(tagged(forge(nicMac, 'tagged to the NIC'), VLAN));
      attacker.send(tagged(forge(MACS[0], 'right'), VLAN));
      const arrived = await listeners.datagrams(PORT);
      t.same(
        arrived.map(({ to, data }) => `${data} -> ${to.name}`),
        [`right -> ${vm1.name}`],
      );
      t.ok((await dropped()) - before >= 2, 'counted under provider-vlan');
    });

    await t.test('the VLAN and the NIC’s own network do not mix', async (t) => {
      const ask = (target: string) =>
        questionFrame({ mac: EVIL_MAC, sender: providerAddress(family, 50), target });
      const native = questionFrame({
        ...{ mac: EVIL_MAC, target: NIC_ADDRESS[family] },
        sender: family === 4 ? '172.16.0.9' : 'fd00:b::9',
      });
      /** The address that is answered for; asks again, for the first answers may wait for the asker's own MAC. */
      const answers = async (frame: Buffer, isAwaited: boolean) => {
        attacker.take();
        attacker.send(frame);
        const found = () => attacker.take().flatMap((bytes) => answeredAddress(bytes) ?? []);
        if (isAwaited) return until('an answer', 5_000, () => found()[0]);
        // The node answers in its own time; a tagged question that is answered comes after.
        attacker.send(tagged(ask(pas[0]), VLAN));
        const all: string[] = [];
        await until('the last answer', 5_000, () => {
          all.push(...found());
          return all.includes(pas[0]);
        });
        return all.filter((address) => address !== pas[0]).join();
      };
      t.equal(await answers(tagged(ask(pas[0]), VLAN), true), pas[0], 'the address answers in its VLAN');
      t.equal(await answers(native, true), NIC_ADDRESS[family], 'the NIC answers without a tag');
      t.equal(await answers(tagged(native, VLAN), false), '', 'the NIC does not answer in the VLAN');
      attacker.take();
      attacker.send(ask(pas[0]));
      attacker.send(native);
      const heard: string[] = [];
      await until('the NIC answers', 5_000, () => {
        heard.push(...attacker.take().flatMap((bytes) => answeredAddress(bytes) ?? []));
        return heard.includes(NIC_ADDRESS[family]);
      });
      t.same(heard, [NIC_ADDRESS[family]], 'the address does not answer without its tag');
    });

    await t.test('an address with a MAC and no VLAN has that MAC, without a tag', async (t) => {
      await Promise.all(
        nodes.map((node, index) => {
          const [path, body] = providerPut(index === 0 ? 0 : 1, {});
          return putReady(node.api, path, body);
        }),
      );
      await until('the nodes forward again', 10_000, async () => (await vm1.ping(vm2.ip, 1)).received === 1);
      const { outside } = await wire();
      t.ok(outside.every(({ vlans }) => vlans.length === 0));
      t.same([...new Set(outside.map(({ macs }) => macs))].sort(), expectedMacs);
    });
  });
}
