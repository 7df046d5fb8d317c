/**
 * An independent HNV host: Open vSwitch with its userspace datapath (no kernel module) in a namespace of its own. Bridge
 * br-phy has the provider NIC and the provider addresses; bridge br-int has the VMs and the NVGRE tunnel port, which serves
 * both families.
 */
import { join } from 'node:path';
import ipaddr from 'ipaddr.js';
import { familyOf } from './address.ts';
import { type Fabric, sendWireFrames } from './fabric.ts';
import { hnvFlows, type TenantPolicy } from './hnv-flows.ts';
import type { Lab } from './lab.ts';
import type { Namespace } from './namespace.ts';
import { OpenVswitch } from './open-vswitch.ts';
import { RawLink } from './raw-link.ts';
import { VM_NIC, type Vm, type VmSpec } from './vm.ts';
import { startVms, type VmHost } from './vm-host.ts';

/** The host's NIC on the provider network: capture here, inject here. */
export const PROVIDER_NIC = 'pa';

export class OvsHost implements VmHost {
  readonly lab: Lab;
  readonly namespace: Namespace;
  readonly providerAddresses: readonly string[];
  /** MAC of the provider addresses. */
  readonly mac: string;
  readonly #switch: OpenVswitch;
  /** VMs and their port numbers. */
  readonly #ports = new Map<Vm, number>();
  #tunnelPort = 0;
  #policies: readonly TenantPolicy[] = [];
  #raw: Promise<RawLink> | undefined;

  private constructor(ovs: OpenVswitch, providerAddresses: readonly string[]) {
    this.lab = ovs.namespace.lab;
    this.namespace = ovs.namespace;
    this.#switch = ovs;
    this.providerAddresses = providerAddresses;
    this.mac = macOf(this.providerAddress);
  }

  /** Makes a host on the provider network; addresses are `192.168.1.10/24`, of each family at most one. */
  static async create(
    fabric: Fabric,
    short: string,
    ...providerAddresses: [string, ...string[]]
  ): Promise<OvsHost> {
    const { lab } = fabric;
    const addresses = providerAddresses.map((address) => address.split('/')[0] ?? '');
    const namespace = await lab.namespace(short);
    await fabric.attach(namespace, PROVIDER_NIC, { wireFrames: true });
    await namespace.ip('link', 'set', PROVIDER_NIC, 'addrgenmode', 'none');
    const ovs = await OpenVswitch.start(namespace, join(lab.dir, namespace.name));
    const host = new OvsHost(ovs, addresses);
    await host.#switch.vsctl(
      `add-br br-phy -- set bridge br-phy datapath_type=netdev other_config:hwaddr="${host.mac}"`,
      `add-port br-phy ${PROVIDER_NIC}`,
      // Secure: without flows nothing passes, instead of everything.
      'add-br br-int -- set bridge br-int datapath_type=netdev fail_mode=secure',
      'add-port br-int gre0 -- set interface gre0 type=gre options:remote_ip=flow options:key=flow',
    );
    await host.namespace.ipBatch([
      ...providerAddresses.map(
        (address) => `addr add ${address} dev br-phy${familyOf(address) === 6 ? ' nodad' : ''}`,
      ),
      'link set br-phy up',
    ]);
    host.#tunnelPort = await host.#ofport('gre0');
    await host.#program();
    return host;
  }

  /** The first of the provider addresses. */
  get providerAddress(): string {
    return this.providerAddresses[0] ?? '';
  }

  get vms(): Vm[] {
    return [...this.#ports.keys()];
  }

  /** Starts a VM on this host. It can talk once setPolicy has told the hosts where it is. */
  async addVm(spec: VmSpec): Promise<Vm> {
    const [vm] = await this.addVms([spec]);
    if (vm === undefined) throw new Error(`${spec.name} was not started`);
    return vm;
  }

  addVms(specs: readonly VmSpec[]): Promise<Vm[]> {
    return startVms(this.lab, this, specs);
  }

  async plug(vms: readonly Vm[]): Promise<void> {
    if (vms.length === 0) return;
    for (const vm of vms) await sendWireFrames(vm.namespace, VM_NIC);
    await this.#switch.vsctl(...vms.map((vm) => `add-port br-int ${vm.name}`));
    for (const vm of vms) this.#ports.set(vm, await this.#ofport(vm.name));
    await this.#program();
  }

  async unplug(vm: Vm): Promise<void> {
    await this.#switch.vsctl(`del-port br-int ${vm.name}`);
    this.#ports.delete(vm);
    await this.#program();
  }

  /** Replaces all that this host knows about tenants. */
  async setPolicy(policies: readonly TenantPolicy[]): Promise<void> {
    this.#policies = policies;
    await this.#program();
  }

  /** Sends one Ethernet frame onto the provider network as it is, past Open vSwitch. */
  async sendRaw(frame: Uint8Array): Promise<void> {
    this.#raw ??= RawLink.open(this.namespace, PROVIDER_NIC);
    await (await this.#raw).send(frame);
  }

  /** The flows that are installed, with their packet counts, for messages. */
  async dumpFlows(): Promise<string> {
    const socket = join(this.#switch.dir, 'br-int.mgmt');
    return (await this.lab.runChecked('ovs-ofctl', ['-O', 'OpenFlow13', 'dump-flows', socket])).stdout;
  }

  async #ofport(port: string): Promise<number> {
    const ofport = Number(await this.#switch.vsctl(`get interface ${port} ofport`));
    if (!(ofport > 0)) throw new Error(`Open vSwitch could not open ${port}`);
    return ofport;
  }

  async #program(): Promise<void> {
    const ports = [...this.#ports].map(([vm, ofport]) => {
      return { ofport, mac: vm.spec.mac, addresses: vm.addresses, vsid: vm.spec.vsid };
    });
    const flows = hnvFlows(this.providerAddresses, this.#tunnelPort, ports, this.#policies);
    const args = ['-O', 'OpenFlow13', 'replace-flows', join(this.#switch.dir, 'br-int.mgmt'), '-'];
    await this.lab.runChecked('ovs-ofctl', args, { input: `${flows.join('\n')}\n` });
  }
}

/** A MAC of the host's own, from the last bytes of a provider address. */
function macOf(address: string): string {
  const bytes = ipaddr.parse(address).toByteArray().slice(-4);
  return `02:00:${bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(':')}`;
}
