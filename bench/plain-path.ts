/**
 * The reference of the TCP bench: the same hops as VM, host, provider network, gateway, context, gateway, internet, each
 * of them a plain kernel router that forwards between veth pairs, without tunnel, NAT or connection tracking. The gateway's
 * two passes (provider side, uplink side) are two namespaces, so that plain destination routing is enough.
 */
import type { Fabric } from '../test/lab/fabric.ts';
import type { Namespace } from '../test/lab/namespace.ts';
import { INTERNET_ADDRESS, ROUTER_ADDRESS, UPLINK_ADDRESS, VM } from './bench-tenant.ts';
import { forward } from './hand-path.ts';

/** On the gateway's provider network, in a prefix of their own. */
const HOST_ADDRESS = '192.168.2.10';
const GATEWAY_ADDRESS = '192.168.2.20';

export interface PlainPath {
  vm: Namespace;
  internet: Namespace;
}

/** Builds it, on the same fabric as the gateway's. */
export async function buildPlainPath(fabric: Fabric): Promise<PlainPath> {
  const { lab } = fabric;
  const node = (name: string) => lab.namespace(`plain${name}`);
  const vm = await node('vm');
  const host = await node('host');
  const inner = await node('gw1');
  const context = await node('ctx');
  const outer = await node('gw2');
  const internet = await node('inet');

  await lab.veth(vm, 'eth0', host, 'lower');
  await fabric.attach(host, 'upper', { wireFrames: false });
  await fabric.attach(inner, 'lower', { wireFrames: false });
  await lab.veth(inner, 'upper', context, 'lower');
  await lab.veth(context, 'upper', outer, 'lower');
  await lab.veth(outer, 'upper', internet, 'eth0');

  await vm.ipBatch([`addr add ${VM.address}/24 dev eth0`, `route add default via ${ROUTER_ADDRESS}`]);
  await route(host, { lower: `${ROUTER_ADDRESS}/24`, upper: `${HOST_ADDRESS}/24` }, GATEWAY_ADDRESS);
  await route(inner, { lower: `${GATEWAY_ADDRESS}/24`, upper: '100.64.0.1/30' }, '100.64.0.2', HOST_ADDRESS);
  await route(context, { lower: '100.64.0.2/30', upper: '100.64.0.5/30' }, '100.64.0.6', '100.64.0.1');
  await route(outer, { lower: '100.64.0.6/30', upper: `${UPLINK_ADDRESS}/24` }, undefined, '100.64.0.5');
  await internet.ipBatch([
    `addr add ${INTERNET_ADDRESS}/24 dev eth0`,
    `route add ${VM.prefix} via ${UPLINK_ADDRESS}`,
  ]);
  return { vm, internet };
}

/** Makes a namespace a router with `upper` towards the internet and `lower` towards the VM; a hop is left out where the link itself leads there. */
async function route(
  namespace: Namespace,
  addresses: { lower: string; upper: string },
  upHop?: string,
  downHop?: string,
): Promise<void> {
  await namespace.ipBatch([
    `addr add ${addresses.lower} dev lower`,
    `addr add ${addresses.upper} dev upper`,
    ...(upHop === undefined ? [] : [`route add default via ${upHop}`]),
    ...(downHop === undefined ? [] : [`route add ${VM.prefix} via ${downHop}`]),
  ]);
  await forward(namespace);
}
