/** Host to host by hnvgw: two nodes of `hnvgw host`, provisioned through their REST APIs, with all that policy checks. */
import type { Fabric } from '../test/lab/fabric.ts';
import { HostNode, portPath, portResource } from '../test/lab/host-node.ts';
import type { Namespace } from '../test/lab/namespace.ts';
import { PROVIDER_NIC } from '../test/lab/node-process.ts';
import { putReady } from '../test/lab/three-hosts.ts';
import {
  type HostPair,
  joinHosts,
  PREFIX_LENGTH,
  PROVIDER_ADDRESSES,
  policyOfHosts,
  VMS,
} from './bench-hosts.ts';

export interface HnvHosts extends HostPair {
  vms: Record<keyof typeof VMS, Namespace>;
}

/** Builds and starts them; they forward when this resolves. */
export async function buildHnvHosts(fabric: Fabric): Promise<HnvHosts> {
  const near = await HostNode.create(fabric, 'near', [`${PROVIDER_ADDRESSES.near}/${PREFIX_LENGTH}`]);
  const far = await HostNode.create(fabric, 'far', [`${PROVIDER_ADDRESSES.far}/${PREFIX_LENGTH}`]);
  // Not by the lab's switch, which the other contender does not have.
  for (const node of [near, far]) await node.namespace.ip('link', 'delete', PROVIDER_NIC);
  await joinHosts(fabric.lab, near.namespace, far.namespace);
  const nodes = { near, far };
  const vm = async (name: keyof typeof VMS): Promise<Namespace> =>
    (await nodes[VMS[name].host].addVm(VMS[name])).namespace;
  const vms = { sender: await vm('sender'), receiver: await vm('receiver'), routed: await vm('routed') };
  await Promise.all([near, far].map(provision));
  return { near: near.namespace, far: far.namespace, vms };
}

async function provision(node: HostNode): Promise<void> {
  await node.start();
  await node.api.put(`/v1/provider-addresses/${node.providerAddress}`, {
    interface: PROVIDER_NIC,
    prefixLength: PREFIX_LENGTH,
  });
  for (const [path, body] of policyOfHosts()) await node.api.put(path, body);
  for (const vm of node.vms) await putReady(node.api, portPath(vm), portResource(vm));
}
