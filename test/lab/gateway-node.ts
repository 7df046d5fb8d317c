/** The gateway under test: a node with a provider NIC and an uplink. */
import type { Fabric } from './fabric.ts';
import { NodeProcess } from './node-process.ts';

export { PROVIDER_NIC } from './node-process.ts';

/** The gateway's NIC towards the internet. */
export const UPLINK_NIC = 'wan0';

export class GatewayNode extends NodeProcess {
  /** Makes the node with its provider NIC; an address is `192.168.1.20/24`. The uplink is joined by Internet. */
  static async create(
    fabric: Fabric,
    short: string,
    ...providerAddresses: [string, ...string[]]
  ): Promise<GatewayNode> {
    const namespace = await NodeProcess.join(fabric, short, providerAddresses);
    const node = new GatewayNode('gateway', namespace, providerAddresses);
    await node.prepare({ uplink: { interface: UPLINK_NIC } });
    return node;
  }
}
