/**
 * An independent HNV host: Open vSwitch with its userspace datapath (no kernel module) in a namespace of its own. Bridge
 * br-phy has the provider NIC and the provider address; bridge br-int has the VMs and the NVGRE tunnel port.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Fabric, sendWireFrames } from './fabric.ts';
import { hnvFlows, type TenantPolicy } from './hnv-flows.ts';
import type { Lab } from './lab.ts';
import type { Namespace } from './namespace.ts';
import { RawLink } from './raw-link.ts';
import { until } from './until.ts';
import { VM_MTU, Vm, type VmSpec } from './vm.ts';

const SCHEMA = '/usr/share/openvswitch/vswitch.ovsschema';

/** The host's NIC on the provider network: capture here, inject here. */
export const PROVIDER_NIC = 'pa';

export class OvsHost {
  readonly lab: Lab;
  readonly namespace: Namespace;
  readonly providerAddress: string;
  /** MAC of the provider address. */
  readonly mac: string;
  readonly vms: Vm[] = [];
  readonly #dir: string;
  readonly #ofports: number[] = [];
  #tunnelPort = 0;
  #policies: readonly TenantPolicy[] = [];
  #raw: Promise<RawLink> | undefined;

  private constructor(lab: Lab, namespace: Namespace, providerAddress: string) {
    this.lab = lab;
    this.namespace = namespace;
    this.providerAddress = providerAddress;
    this.mac = `02:00:${providerAddress
      .split('.')
      .map((octet) => Number(octet).toString(16).padStart(2, '0'))
      .join(':')}`;
    this.#dir = join(lab.dir, namespace.name);
  }

  /** Makes a host on the provider network; `providerAddress` is IPv4 with prefix length, `192.168.1.10/24`. */
  static async create(fabric: Fabric, short: string, providerAddress: string): Promise<OvsHost> {
    const { lab } = fabric;
    const [address = ''] = providerAddress.split('/');
    const host = new OvsHost(lab, await lab.namespace(short), address);
    await fabric.attach(host.namespace, PROVIDER_NIC, { wireFrames: true });
    await host.#start();
    await host.#vsctl(
      `add-br br-phy -- set bridge br-phy datapath_type=netdev other_config:hwaddr="${host.mac}"`,
      `add-port br-phy ${PROVIDER_NIC}`,
      // Secure: without flows nothing passes, instead of everything.
      'add-br br-int -- set bridge br-int datapath_type=netdev fail_mode=secure',
      'add-port br-int gre0 -- set interface gre0 type=gre options:remote_ip=flow options:key=flow',
    );
    await host.namespace.ipBatch([`addr add ${providerAddress} dev br-phy`, 'link set br-phy up']);
    host.#tunnelPort = await host.#ofport('gre0');
    await host.#program();
    return host;
  }

  /** Starts a VM on this host. It can talk once setPolicy has told the hosts where it is. */
  async addVm(spec: VmSpec): Promise<Vm> {
    const namespace = await this.lab.namespace(spec.name);
    const port = `vm${this.vms.length}`;
    await this.lab.veth(namespace, 'eth0', this.namespace, port);
    await namespace.ipBatch([
      `link set eth0 address ${spec.mac} mtu ${VM_MTU}`,
      `addr add ${spec.ip}/${spec.prefixLength} dev eth0`,
      `route add default via ${spec.gateway}`,
    ]);
    await sendWireFrames(namespace, 'eth0');
    await this.#vsctl(`add-port br-int ${port}`);
    const vm = new Vm(spec, namespace);
    this.#ofports.push(await this.#ofport(port));
    this.vms.push(vm);
    await this.#program();
    return vm;
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
    const ports = this.vms.map((vm, index) => {
      const ofport = this.#ofports[index];
      if (ofport === undefined) throw new Error(`${vm.name} has no port`);
      return { ofport, ip: vm.ip, vsid: vm.spec.vsid };
    });
    const flows = hnvFlows(this.providerAddress, this.#tunnelPort, ports, this.#policies);
    const args = ['-O', 'OpenFlow13', 'replace-flows', join(this.#dir, 'br-int.mgmt'), '-'];
    await this.lab.runChecked('ovs-ofctl', args, { input: `${flows.join('\n')}\n` });
  }
}
