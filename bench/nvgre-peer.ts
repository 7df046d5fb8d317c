/**
 * A fast NVGRE host for one VM, so that a TCP stream measures the gateway and not its peer: the host role of the same
 * program, on a node of its own.
 */
import type { Fabric } from '../test/lab/fabric.ts';
import { HostNode, portPath, portResource } from '../test/lab/host-node.ts';
import type { Namespace } from '../test/lab/namespace.ts';
import { PROVIDER_NIC } from '../test/lab/node-process.ts';
import { putReady } from '../test/lab/three-hosts.ts';
import { HOST_PROVIDER_ADDRESS, ROUTER_ADDRESS, tenantPuts, VM } from './bench-tenant.ts';

/** Builds and starts the host with its VM, and answers the VM's namespace. `short` ends the names of both. */
export async function buildNvgrePeer(fabric: Fabric, short = ''): Promise<Namespace> {
  const host = await HostNode.create(fabric, `host${short}`, [`${HOST_PROVIDER_ADDRESS}/24`]);
  const vm = await host.addVm({
    name: `vm${short}`,
    ip: VM.address,
    prefixLength: 24,
    mac: VM.mac,
    vsid: VM.vsid,
    gateway: ROUTER_ADDRESS,
  });
  await host.start();
  const provider = { interface: PROVIDER_NIC, prefixLength: 24 };
  await host.api.put(`/v1/provider-addresses/${HOST_PROVIDER_ADDRESS}`, provider);
  for (const [path, body] of tenantPuts()) await host.api.put(path, body);
  await putReady(host.api, portPath(vm), portResource(vm));
  return vm.namespace;
}
