/**
 * An independent HNV host: Open vSwitch with its userspace datapath (no kernel module) in a namespace of its own. Bridge
 * br-phy has the provider NIC and the provider addresses; bridge br-int has the VMs and the NVGRE tunnel port, which serves
 * both families.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import ipaddr from 'ipaddr.js';
import { familyOf } from './address.ts';
import { type Fabric, sendWireFrames } from './fabric.ts';
import { hnvFlows, type TenantPolicy } from './hnv-flows.ts';
import type { Lab } from './lab.ts';
import type { Namespace } from './namespace.ts';
import { RawLink } from './raw-link.ts';
import { until } from './until.ts';
import { VM_NIC, type Vm, type VmSpec } from './vm.ts';
import { startVms, type VmHost } from './vm-host.ts';

const SCHEMA = '/usr/share/openvswitch/vswitch.ovsschema';

/** The host's NIC on the provider network: capture here, inject here. */
export const PROVIDER_NIC = 'pa';

export class OvsHost implements VmHost {
  readonly lab: Lab;
  readonly namespace: Namespace;
  readonly providerAddresses: readonly string[];
  /** MAC of the provider addresses. */
  readonly mac: string;
  readonly #dir: string;
  /** VMs and their port numbers. */
  readonly #ports = new Map<Vm, number>();
  #tunnelPort = 0;
  #policies: readonly TenantPolicy[] = [];
  #raw: Promise<RawLink> | undefined;

  private constructor(lab: Lab, namespace: Namespace, providerAddresses: readonly string[]) {
    this.lab = lab;
    this.namespace = namespace;
    this.providerAddresses = providerAddresses;
    this.mac = macOf(this.providerAddress);
    this.#dir = join(lab.dir, namespace.name);
  }

  /** Makes a host on the provider network; addresses are `192.168.1.10/24`, of each family at most one. */
  static async create(
    fabric: Fabric,
    short: string,
    ...providerAddresses: [string, ...string[]]
  ): Promise<OvsHost> {
    const { lab } = fabric;
    const addresses = providerAddresses.map((address) => address.split('/')[0] ?? '');
    const host = new OvsHost(lab, await lab.namespace(short), addresses);
    await fabric.attach(host.namespace, PROVIDER_NIC, { wireFrames: true });
    await host.namespace.ip('link', 'set', PROVIDER_NIC, 'addrgenmode', 'none');
    await host.#start();
    await host.#vsctl(
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
    await this.#vsctl(...vms.map((vm) => `add-port br-int ${vm.name}`));
    for (const vm of vms) this.#ports.set(vm, await this.#ofport(vm.name));
    await this.#program();
  }

  async unplug(vm: Vm): Promise<void> {
    await this.#vsctl(`del-port br-int ${vm.name}`);
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
    const socket = join(this.#dir, 'br-int.mgmt');
    return (await this.lab.runChecked('ovs-ofctl', ['-O', 'OpenFlow13', 'dump-flows', socket])).stdout;
  }

  async #start(): Promise<void> {
    await mkdir(this.#dir);
    const database = join(this.#dir, 'conf.db');
    const env = { ...process.env, OVS_RUNDIR: this.#dir, OVS_DBDIR: this.#dir, OVS_LOGDIR: this.#dir };
    await this.lab.runChecked('ovsdb-tool', ['create', database, SCHEMA], { env });
    const log = ['-vsyslog:off', '-vconsole:warn'];
    const server = await this.namespace.spawn(
      [
        'ovsdb-server',
        database,
        `--remote=punix:${this.#dir}/db.sock`,
        `--unixctl=${this.#dir}/db.ctl`,
        ...log,
      ],
      { env },
    );
    await until('ovsdb-server answers', 10_000, async () => {
      if (!server.running) throw new Error(`ovsdb-server ended:\n${server.tail()}`);
      const args = ['--timeout=2', `--target=${this.#dir}/db.ctl`, 'version'];
      return (await this.lab.run('ovs-appctl', args)).code === 0;
    });
    await this.lab.runChecked('ovs-vsctl', [
      '--timeout=10',
      `--db=unix:${this.#dir}/db.sock`,
      '--no-wait',
      'init',
    ]);
    await this.namespace.spawn(
      ['ovs-vswitchd', `unix:${this.#dir}/db.sock`, `--unixctl=${this.#dir}/vswitchd.ctl`, ...log],
      { env },
    );
  }

  /** ovs-vsctl in one transaction; waits until the switch has done it. */
  async #vsctl(...commands: string[]): Promise<string> {
    const words = commands.join(' -- ').split(' ');
    const args = ['--timeout=20', `--db=unix:${this.#dir}/db.sock`, ...words];
    return (await this.lab.runChecked('ovs-vsctl', args)).stdout;
  }

  async #ofport(port: string): Promise<number> {
    const ofport = Number(await this.#vsctl(`get interface ${port} ofport`));
    if (!(ofport > 0)) throw new Error(`Open vSwitch could not open ${port}`);
    return ofport;
  }

  async #program(): Promise<void> {
    const ports = [...this.#ports].map(([vm, ofport]) => {
      return { ofport, mac: vm.spec.mac, addresses: vm.addresses, vsid: vm.spec.vsid };
    });
    const flows = hnvFlows(this.providerAddresses, this.#tunnelPort, ports, this.#policies);
    const args = ['-O', 'OpenFlow13', 'replace-flows', join(this.#dir, 'br-int.mgmt'), '-'];
    await this.lab.runChecked('ovs-ofctl', args, { input: `${flows.join('\n')}\n` });
  }
}

/** A MAC of the host's own, from the last bytes of a provider address. */
function macOf(address: string): string {
  const bytes = ipaddr.parse(address).toByteArray().slice(-4);
  return `02:00:${bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(':')}`;
}
