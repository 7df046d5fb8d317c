/**
 * The tenant's VM of the path built by hand, for whoever needs answers: behind a host with a VXLAN device and a bridge, which
 * a switch joins to the node, as the fabric joins the gateway and its hosts. As fast as they are: nothing is learned, and
 * there are static entries in the forwarding tables; bridge netfilter is off.
 */
import type { Lab } from '../test/lab/lab.ts';
import type { Namespace } from '../test/lab/namespace.ts';
import { GATEWAY_PROVIDER_ADDRESS, HOST_PROVIDER_ADDRESS, ROUTER_ADDRESS, VM } from './bench-tenant.ts';
import { macOf } from './cables.ts';
import { VNI, VXLAN_PORT } from './frames.ts';
import type { HandPath } from './hand-path.ts';

/** Adds it to the path, and answers its namespace; `short` begins the names of namespaces. */
export async function buildHandVm(lab: Lab, short: string, path: HandPath): Promise<Namespace> {
  const host = await lab.namespace(`${short}h`);
  const vm = await lab.namespace(`${short}v`);
  await lab.veth(host, 'pa0', path.provider, 'port1');
  await lab.bridge(path.provider, 'pn0', ['port0', 'port1']);
  await lab.veth(vm, 'eth0', host, 'vm0');
  await host.ipBatch([
    `addr add ${HOST_PROVIDER_ADDRESS}/24 dev pa0`,
    `link add vx0 up type vxlan id ${VNI} dstport ${VXLAN_PORT} local ${HOST_PROVIDER_ADDRESS} dev pa0 nolearning noudpcsum`,
    'link add br0 up type bridge mcast_snooping 0',
    ...['vx0', 'vm0'].flatMap((port) => [
      `link set ${port} master br0`,
      `link set ${port} type bridge_slave learning off`,
    ]),
  ]);
  await vm.ipBatch([
    `link set eth0 address ${VM.mac}`,
    `addr add ${VM.address}/24 dev eth0`,
    `route add default via ${ROUTER_ADDRESS}`,
  ]);
  const gatewayMac = await macOf(path.tenant, path.vxlanDevice);
  await path.tenant.ip('link', 'set', path.vxlanDevice, 'type', 'vxlan', 'nolearning');
  const entry = (namespace: Namespace, ...words: string[]) =>
    namespace.runChecked(['bridge', 'fdb', 'append', ...words, 'static']);
  await entry(host, gatewayMac, 'dev', 'vx0', 'self', 'dst', GATEWAY_PROVIDER_ADDRESS);
  await entry(host, gatewayMac, 'dev', 'vx0', 'master');
  await entry(host, VM.mac, 'dev', 'vm0', 'master');
  await entry(path.tenant, VM.mac, 'dev', path.vxlanDevice, 'self', 'dst', HOST_PROVIDER_ADDRESS);
  // There only where bridge netfilter is.
  for (const bridge of [host, path.provider])
    await bridge.run(['sysctl', '-qw', 'net.bridge.bridge-nf-call-iptables=0']);
  // Neighbours are known, as they are to the gateway.
  await vm.ip('neigh', 'add', ROUTER_ADDRESS, 'lladdr', gatewayMac, 'dev', 'eth0', 'nud', 'permanent');
  await path.tenant.ip('neigh', 'add', VM.address, 'lladdr', VM.mac, 'dev', path.vxlanDevice);
  return vm;
}
