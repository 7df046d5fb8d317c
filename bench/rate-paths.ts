/**
 * The contenders of the packet-rate bench that are the kernel's own, and the gateway: each on a node of its own between two
 * traffic ends.
 */

import { BpfObject } from '../src/linux/bpf-object.ts';
import { onlineCpus } from '../src/linux/cpus.ts';
import { ifindexOf } from '../src/linux/links.ts';
import { inNetns } from '../src/linux/netns.ts';
import { attachXdp } from '../src/linux/xdp.ts';
import type { Fabric } from '../test/lab/fabric.ts';
import { GatewayNode, PROVIDER_NIC, UPLINK_NIC } from '../test/lab/gateway-node.ts';
import type { Lab } from '../test/lab/lab.ts';
import type { Namespace } from '../test/lab/namespace.ts';
import {
  EXTERNAL_ADDRESS,
  GATEWAY,
  GATEWAY_PROVIDER_ADDRESS,
  HOST_PROVIDER_ADDRESS,
  INTERNET_ADDRESS,
  RDID,
  UPLINK_ADDRESS,
  VM,
} from './bench-tenant.ts';
import { benchObject } from './bpf-objects.ts';
import { type Cables, endOf, layCables, macOf, waysOf } from './cables.ts';
import { VNI } from './frames.ts';
import { provision } from './gateway-path.ts';
import { buildHandPath, forward, HAND_PROVIDER_NIC } from './hand-path.ts';
import type { RatePath } from './rate-path.ts';

const NICS = { provider: PROVIDER_NIC, uplink: UPLINK_NIC };
const NVGRE = { form: 'nvgre', upId: GATEWAY.vsid, downId: VM.vsid, mac: GATEWAY.mac } as const;

/** An XDP program on each NIC that sends every frame out by the other one as it is: the limit. */
export async function buildBare(lab: Lab): Promise<RatePath> {
  const node = await lab.namespace('bare');
  const cables = await layCables(node, 'bare', NICS);
  redirect(node, PROVIDER_NIC, UPLINK_NIC);
  redirect(node, UPLINK_NIC, PROVIDER_NIC);
  const { up, down } = waysOf(cables, {
    tunnel: NVGRE,
    external: EXTERNAL_ADDRESS,
    hops: { up: 0, down: 0 },
    isXdp: true,
  });
  const { uplink } = cables;
  return {
    // What arrives is what was sent.
    up: {
      ...up,
      arriving: {
        ...up.arriving,
        tunnel: {
          form: 'nvgre',
          source: HOST_PROVIDER_ADDRESS,
          destination: GATEWAY_PROVIDER_ADDRESS,
          id: GATEWAY.vsid,
        },
        destinationMac: GATEWAY.mac,
        source: VM.address,
      },
    },
    down: {
      ...down,
      arriving: {
        ...down.arriving,
        tunnel: undefined,
        destinationMac: uplink.nodeMac,
        destination: EXTERNAL_ADDRESS,
      },
    },
  };
}

function redirect(node: Namespace, from: string, to: string): void {
  const object = BpfObject.open(benchObject('traffic'));
  object.load();
  node.lab.onClose(() => object.close());
  inNetns(node.name, () => {
    const [source, target] = [ifindexOf(from) ?? 0, ifindexOf(to) ?? 0];
    const value = Buffer.alloc(4);
    value.writeUInt32LE(target);
    object.map('towards').update(new Uint8Array(4), value);
    attachXdp(source, object.program('bench_bare'), 'native');
  });
}

/** Room for both directions of all flows that are measured at a time on the one CPU, where some do not find a place at once. */
const FAST_FLOWS = 250_000 * onlineCpus().length;

/** This gateway, with the one tenant; `xdp` as its configuration has it. */
export async function buildGateway(fabric: Fabric, xdp: 'native' | 'generic' | 'off'): Promise<RatePath> {
  const short = `gw${xdp}`;
  const gateway = await GatewayNode.create(fabric, short, `${GATEWAY_PROVIDER_ADDRESS}/24`);
  await gateway.configure({ dataplane: { xdp }, capacity: { fastFlows: FAST_FLOWS } });
  const node = gateway.namespace;
  // Not by the lab's switch, which has no XDP.
  await node.ip('link', 'delete', PROVIDER_NIC);
  const cables = await layCables(node, short, NICS);
  await address(node);
  await node.ip('route', 'add', 'default', 'via', INTERNET_ADDRESS);
  await gateway.start();
  await provision(gateway);
  const packets = async (): Promise<number> => {
    const counters = await gateway.api.get(`/v1/routing-domains/${RDID}/counters`);
    return (counters as { fast: { packets: number } }).fast.packets;
  };
  return {
    ...waysOf(cables, {
      tunnel: NVGRE,
      external: EXTERNAL_ADDRESS,
      hops: { up: 1, down: 2 },
      isXdp: xdp === 'native',
    }),
    fast: { packets, isOn: xdp !== 'off' },
  };
}

/** Plain routing: no overlay, no NAT, no connection tracking. */
export async function buildPlain(lab: Lab): Promise<RatePath> {
  const node = await lab.namespace('plain');
  const cables = await layCables(node, 'plain', NICS);
  await address(node);
  await node.ipBatch([
    `route add default via ${INTERNET_ADDRESS}`,
    `route add ${VM.prefix} via ${HOST_PROVIDER_ADDRESS}`,
  ]);
  await forward(node);
  return waysOf(cables, { tunnel: undefined, external: VM.address, hops: { up: 1, down: 1 } });
}

async function address(node: Namespace): Promise<void> {
  await node.ipBatch([
    `addr add ${GATEWAY_PROVIDER_ADDRESS}/24 dev ${PROVIDER_NIC}`,
    `addr add ${UPLINK_ADDRESS}/24 dev ${UPLINK_NIC}`,
  ]);
}

/** The path built by hand (hand-path.ts). */
export async function buildHand(lab: Lab, { routed }: { routed: boolean }): Promise<RatePath> {
  const path = await buildHandPath(lab, routed ? 'hr' : 'hd', { routed });
  const { node, tenant, provider, internet, internetNic, vxlanDevice, externalAddress: external } = path;
  await provider.ip('addr', 'add', `${HOST_PROVIDER_ADDRESS}/24`, 'dev', 'port0');
  // Neighbours are known, as they are to the gateway.
  await tenant.ip('link', 'set', vxlanDevice, 'type', 'vxlan', 'nolearning');
  await tenant.runChecked([
    'bridge',
    'fdb',
    'append',
    VM.mac,
    'dev',
    vxlanDevice,
    'self',
    'static',
    'dst',
    HOST_PROVIDER_ADDRESS,
  ]);
  await tenant.ip('neigh', 'add', VM.address, 'lladdr', VM.mac, 'dev', vxlanDevice);
  const [uplinkNode, uplinkNic] = routed ? [node, 'wan0'] : [tenant, 'out'];
  const cables: Cables = {
    provider: await endOf(provider, 'port0', node, HAND_PROVIDER_NIC),
    uplink: await endOf(internet, internetNic, uplinkNode, uplinkNic),
  };
  const mac = await macOf(tenant, vxlanDevice);
  const hops = routed ? 2 : 1;
  return waysOf(cables, {
    tunnel: { form: 'vxlan', upId: VNI, downId: VNI, mac },
    external,
    hops: { up: hops, down: hops },
  });
}
