/** The provider network: one Ethernet segment that joins the provider NICs of hosts and gateways. */
import type { Lab } from './lab.ts';
import type { Namespace } from './namespace.ts';

const BRIDGE = 'pn0';

export class Fabric {
  readonly lab: Lab;
  readonly namespace: Namespace;
  #ports = 0;

  private constructor(lab: Lab, namespace: Namespace) {
    this.lab = lab;
    this.namespace = namespace;
  }

  /** `short` is the name of its namespace. */
  static async create(lab: Lab, short = 'fabric'): Promise<Fabric> {
    const namespace = await lab.namespace(short);
    await lab.bridge(namespace, BRIDGE, []);
    // A switch does not look into packets: where bridge netfilter is there, it would hold back malformed ones.
    for (const filter of ['iptables', 'ip6tables'])
      await namespace.run(['sysctl', '-qw', `net.bridge.bridge-nf-call-${filter}=0`]);
    return new Fabric(lab, namespace);
  }

  /**
   * Gives a namespace a NIC on the provider network. With `wireFrames`, what arrives at that NIC is as on a real wire:
   * super-packets cut to the MTU and checksums filled in, for peers (Open vSwitch) that know no offloads.
   */
  async attach(namespace: Namespace, nic: string, options: { wireFrames: boolean }): Promise<void> {
    const port = `port${this.#ports++}`;
    await this.lab.veth(namespace, nic, this.namespace, port);
    // A switch's port says nothing of its own.
    await this.namespace.ip('link', 'set', port, 'master', BRIDGE, 'addrgenmode', 'none');
    if (options.wireFrames) await sendWireFrames(this.namespace, port);
  }

  /** Sets the MTU of the switch; the NICs at its ports are their owners'. */
  async setMtu(mtu: number): Promise<void> {
    const ports = Array.from({ length: this.#ports }, (_, index) => `port${index}`);
    await this.namespace.ipBatch([...ports, BRIDGE].map((name) => `link set ${name} mtu ${mtu}`));
  }
}

/** Makes an interface send only frames of MTU size with complete checksums. */
export async function sendWireFrames(namespace: Namespace, nic: string): Promise<void> {
  await namespace.runChecked(['ethtool', '-K', nic, 'tx', 'off', 'tso', 'off', 'gso', 'off']);
}
