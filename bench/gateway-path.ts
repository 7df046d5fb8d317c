/**
 * The way through hnvgw: the built gateway in a node of the lab, provisioned through its REST API with one tenant, and
 * the internet's end of its uplink.
 */
import { contextNames } from '../src/gateway/names.ts';
import type { Fabric } from '../test/lab/fabric.ts';
import { GatewayNode, PROVIDER_NIC, UPLINK_NIC } from '../test/lab/gateway-node.ts';
import type { Namespace } from '../test/lab/namespace.ts';
import { putReady } from '../test/lab/three-hosts.ts';
import {
  EXTERNAL_ADDRESS,
  GATEWAY,
  GATEWAY_PROVIDER_ADDRESS,
  INTERNET_ADDRESS,
  RDID,
  tenantPuts,
  UPLINK_ADDRESS,
} from './bench-tenant.ts';

export interface GatewayPath {
  gateway: GatewayNode;
  /** The routing context of the tenant. */
  context: string;
  internet: Namespace;
  /** The internet's interface on the uplink. */
  internetNic: string;
}

const INTERNET_NIC = 'lan0';

/** `dataplane.xdp` of the configuration. */
export type FastPathMode = 'auto' | 'native' | 'generic' | 'off';

/** Builds and starts it, on a fabric of its own; it forwards when this resolves. `short` ends the names of its namespaces. */
export async function buildGatewayPath(
  fabric: Fabric,
  { short = '', xdp = 'auto' }: { short?: string; xdp?: FastPathMode } = {},
): Promise<GatewayPath> {
  const { lab } = fabric;
  const gateway = await GatewayNode.create(fabric, `gw${short}`, `${GATEWAY_PROVIDER_ADDRESS}/24`);
  await gateway.configure({ dataplane: { xdp } });
  const internet = await lab.namespace(`inet${short}`);
  await lab.veth(internet, INTERNET_NIC, gateway.namespace, UPLINK_NIC);
  await internet.ip('addr', 'add', `${INTERNET_ADDRESS}/24`, 'dev', INTERNET_NIC);
  await gateway.namespace.ipBatch([
    `addr add ${UPLINK_ADDRESS}/24 dev ${UPLINK_NIC}`,
    `route add default via ${INTERNET_ADDRESS}`,
  ]);
  await gateway.start();
  await provision(gateway);
  const context = contextNames(gateway.instance, RDID).netns;
  return { gateway, context, internet, internetNic: INTERNET_NIC };
}

/** Tells a gateway about the tenant and its NAT. */
export async function provision({ api }: GatewayNode): Promise<void> {
  const base = `/v1/routing-domains/${RDID}`;
  const provider = { interface: PROVIDER_NIC, prefixLength: 24 };
  await api.put(`/v1/provider-addresses/${GATEWAY_PROVIDER_ADDRESS}`, provider);
  for (const [path, body] of tenantPuts()) await api.put(path, body);
  await api.put(`${base}/gateway`, {
    virtualSubnetId: GATEWAY.vsid,
    customerAddresses: [GATEWAY.address],
    macAddress: GATEWAY.mac,
  });
  await putReady(api, `${base}/nat`, {
    externalAddresses: [{ ipAddress: EXTERNAL_ADDRESS }],
    staticMappings: [],
  });
}
