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

  static async create(lab: Lab): Promise<Fabric> {
    const namespace = await lab.namespace('fabric');
    await lab.bridge(namespace, BRIDGE, []);
    // A switch does not look into packets: where bridge netfilter is there, it would hold back malformed ones.
    await namespace.run(['sysctl', '-qw', 'net.bridge.bridge-nf-call-iptables=0']);
    return new Fabric(lab, namespace);
  }

  /**
   * Gives a namespace a NIC on the provider network. With `wireFrames`, what arrives at that NIC is as on a real wire:
   * super-packets cut to the MTU and checksums filled in, for peers (Open vSwitch) that know no offloads.
   */
  async attach(namespace: Namespace, nic: string, options: { wireFrames: boolean }): Promise<void> {
    const port = `port${this.#ports++}`;
    await this.lab.veth(namespace, nic, this.namespace, port);
    await this.namespace.ip('link', 'set', port, 'master', BRIDGE);
    if (options.wireFrames) await sendWireFrames(this.namespace, port);
  }
}

/** Makes an interface send only frames of MTU size with complete checksums. */
export async function sendWireFrames(namespace: Namespace, nic: string): Promise<void> {
  await namespace.runChecked(['ethtool', '-K', nic, 'tx', 'off', 'tso', 'off', 'gso', 'off']);
}
