/**
 * What a competent user would build by hand for one tenant, from nothing but the kernel's own: a VXLAN device that was made
 * on the provider side and moved into the tenant's namespace, and nft masquerade on the namespace's way out. It has one
 * tenant, no checks, and nothing that keeps tenants apart but the namespace.
 *
 * `routed`: the namespace leads back to the node, which routes to its uplink, the same hops as the gateway has. Otherwise
 * the namespace has the uplink to itself, a hop less; a node with two tenants could not have that.
 */
import type { Lab } from '../test/lab/lab.ts';
import type { Namespace } from '../test/lab/namespace.ts';
import {
  GATEWAY_PROVIDER_ADDRESS,
  INTERNET_ADDRESS,
  ROUTER_ADDRESS,
  UPLINK_ADDRESS,
} from './bench-tenant.ts';
import { VNI, VXLAN_PORT } from './frames.ts';

export const HAND_PROVIDER_NIC = 'pa0';
const VXLAN_DEVICE = 'vx0';
const INTERNET_NIC = 'lan0';

export interface HandPath {
  /** The other end of the provider NIC, as `port0`. */
  provider: Namespace;
  /** Where the provider NIC and the uplink are. */
  node: Namespace;
  /** The tenant's namespace, with the VXLAN device. */
  tenant: Namespace;
  vxlanDevice: string;
  internet: Namespace;
  internetNic: string;
  /** The source address that masquerading gives. */
  externalAddress: string;
}

const MASQUERADE = `table ip nat {
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    oifname "out" masquerade
  }
}
`;

/** Builds it; `short` begins the names of its namespaces. */
export async function buildHandPath(
  lab: Lab,
  short: string,
  { routed }: { routed: boolean },
): Promise<HandPath> {
  const provider = await lab.namespace(`${short}p`);
  const node = await lab.namespace(`${short}n`);
  const tenant = await lab.namespace(`${short}t`);
  const internet = await lab.namespace(`${short}i`);
  await lab.veth(node, HAND_PROVIDER_NIC, provider, 'port0');
  await node.ipBatch([
    `addr add ${GATEWAY_PROVIDER_ADDRESS}/24 dev ${HAND_PROVIDER_NIC}`,
    `link add ${VXLAN_DEVICE} type vxlan id ${VNI} dstport ${VXLAN_PORT} local ${GATEWAY_PROVIDER_ADDRESS} dev ${HAND_PROVIDER_NIC}`,
    `link set ${VXLAN_DEVICE} netns ${tenant.name}`,
  ]);
  await tenant.ipBatch([`addr add ${ROUTER_ADDRESS}/24 dev ${VXLAN_DEVICE}`, `link set ${VXLAN_DEVICE} up`]);
  const externalAddress = await (routed ? joinRouted(node, tenant, internet) : joinDirect(tenant, internet));
  await forward(tenant);
  await tenant.runChecked(['nft', '-f', '-'], { input: MASQUERADE });
  return {
    provider,
    node,
    tenant,
    vxlanDevice: VXLAN_DEVICE,
    internet,
    internetNic: INTERNET_NIC,
    externalAddress,
  };
}

async function joinDirect(tenant: Namespace, internet: Namespace): Promise<string> {
  await tenant.lab.veth(tenant, 'out', internet, INTERNET_NIC);
  await tenant.ip('addr', 'add', `${UPLINK_ADDRESS}/24`, 'dev', 'out');
  await internet.ip('addr', 'add', `${INTERNET_ADDRESS}/24`, 'dev', INTERNET_NIC);
  await tenant.ip('route', 'add', 'default', 'via', INTERNET_ADDRESS);
  return UPLINK_ADDRESS;
}

async function joinRouted(node: Namespace, tenant: Namespace, internet: Namespace): Promise<string> {
  const [nodeSide, tenantSide] = ['100.64.0.1', '100.64.0.2'];
  await node.lab.veth(tenant, 'out', node, 'tenant');
  await node.lab.veth(node, 'wan0', internet, INTERNET_NIC);
  await tenant.ip('addr', 'add', `${tenantSide}/30`, 'dev', 'out');
  await tenant.ip('route', 'add', 'default', 'via', nodeSide);
  await node.ipBatch([
    `addr add ${nodeSide}/30 dev tenant`,
    `addr add ${UPLINK_ADDRESS}/24 dev wan0`,
    `route add default via ${INTERNET_ADDRESS}`,
  ]);
  await internet.ip('addr', 'add', `${INTERNET_ADDRESS}/24`, 'dev', INTERNET_NIC);
  await internet.ip('route', 'add', `${tenantSide}/32`, 'via', UPLINK_ADDRESS);
  await forward(node);
  return tenantSide;
}

/** Makes a namespace a router. */
export async function forward(namespace: Namespace): Promise<void> {
  await namespace.runChecked(['sysctl', '-q', '-w', 'net.ipv4.ip_forward=1']);
}
