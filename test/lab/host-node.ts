/** The host under test: `hnvgw host` on a node whose VMs are namespaces, plugged in by veth. */
import type { Fabric } from './fabric.ts';
import { NodeProcess } from './node-process.ts';
import type { Vm, VmSpec } from './vm.ts';
import { startVms, type VmHost } from './vm-host.ts';

/** The `learning` section of a host's configuration. */
export interface LearningConfig {
  addressesPerPort?: number;
  ageSeconds?: number;
  /** APIs that learned records are told to, `unix:/PATH`. */
  publish?: string[];
}

/** Body of `PUT /v1/ports/{interface}`. */
export interface PortResource {
  virtualSubnetId: number;
  macAddress: string;
  customerAddresses: string[];
  learn?: true;
}

export class HostNode extends NodeProcess implements VmHost {
  readonly #vms = new Set<Vm>();

  /** Makes the node with its provider NIC, which has all the addresses (`192.168.1.11/24`). */
  static async create(
    fabric: Fabric,
    short: string,
    providerAddresses: readonly string[],
    learning: LearningConfig = {},
  ): Promise<HostNode> {
    const namespace = await NodeProcess.join(fabric, short, providerAddresses);
    const node = new HostNode('host', namespace, providerAddresses);
    await node.prepare({ learning });
    return node;
  }

  get vms(): Vm[] {
    return [...this.#vms];
  }

  /** Starts a VM on this node. The program hears nothing of it: see portResource. */
  async addVm(spec: VmSpec): Promise<Vm> {
    const [vm] = await this.addVms([spec]);
    if (vm === undefined) throw new Error(`${spec.name} was not started`);
    return vm;
  }

  addVms(specs: readonly VmSpec[]): Promise<Vm[]> {
    return startVms(this.namespace.lab, this, specs);
  }

  plug(vms: readonly Vm[]): Promise<void> {
    for (const vm of vms) this.#vms.add(vm);
    return Promise.resolve();
  }

  unplug(vm: Vm): Promise<void> {
    this.#vms.delete(vm);
    return Promise.resolve();
  }
}

/** What policy says of a VM's port: its VSID, its MAC, and the addresses that it does not get by DHCP. */
export function portResource({ spec, addresses }: Vm): PortResource {
  return {
    virtualSubnetId: spec.vsid,
    macAddress: spec.mac,
    customerAddresses: spec.dhcp ? addresses.slice(1) : addresses,
    ...(spec.learn ? { learn: true } : {}),
  };
}

/** Path of a VM's port in the API of the node that it is plugged in at. */
export function portPath(vm: Vm): string {
  return `/v1/ports/${vm.name}`;
}
