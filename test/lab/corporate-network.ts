/**
 * Corporate networks on the far side of the gateway's uplink, each a router and a host behind it, on VLANs of their own or on the
 * untagged network. The switch between them is Open vSwitch, which knows tags where a kernel has no 802.1Q.
 */
import { join } from 'node:path';
import { addressAt, familyOf, prefixLengthOf, routerAddress } from './address.ts';
import { sendWireFrames } from './fabric.ts';
import { UPLINK_NIC } from './gateway-node.ts';
import { Internet } from './internet.ts';
import type { Lab } from './lab.ts';
import type { Namespace } from './namespace.ts';
import { OpenVswitch } from './open-vswitch.ts';
import { makeRouter } from './site.ts';

/** The router's NIC to the gateway, and to its host. */
export const CORPORATE_NIC = 'up0';
const HOST_NIC = 'lan0';
const BRIDGE = 'switch0';
/** Of a trunk, frames without a tag. */
const UNTAGGED = 0;

export interface CorporateSpec {
  /** Unique in the lab; its namespaces are NAME and NAMEh (host). */
  name: string;
  /** On the untagged network without it. */
  vlanId?: number;
  /** Of the router on that network, `192.0.2.1/24`. */
  addresses: readonly string[];
  /** Behind it: the router is `.1`, the host `.10`. */
  subnets: readonly string[];
}

/** A switch that the gateway's uplink and the internet are at, too. */
export class CorporateSwitch {
  readonly lab: Lab;
  readonly #ovs: OpenVswitch;
  readonly #vlans = new Set<number>();

  private constructor(ovs: OpenVswitch) {
    this.lab = ovs.namespace.lab;
    this.#ovs = ovs;
  }

  /**
   * Puts it where the uplink ends. The internet goes on there beside it, and gets what has no tag. From now on the gateway sends
   * frames as on a wire: Open vSwitch knows no offloads.
   */
  static async create(internet: Namespace, gateway: Namespace): Promise<CorporateSwitch> {
    await sendWireFrames(gateway, UPLINK_NIC);
    const ovs = await OpenVswitch.start(internet, join(internet.lab.dir, internet.name));
    await ovs.vsctl(`add-br ${BRIDGE} -- set bridge ${BRIDGE} datapath_type=netdev`);
    return new CorporateSwitch(ovs);
  }

  /** Gives a namespace a NIC in a VLAN, or without one in the untagged network. */
  async join(namespace: Namespace, nic: string, port: string, vlanId = UNTAGGED): Promise<void> {
    const { namespace: home } = this.#ovs;
    await this.lab.veth(namespace, nic, home, port);
    await home.ip('link', 'set', port, 'addrgenmode', 'none');
    await sendWireFrames(namespace, nic);
    const isFirst = this.#vlans.size === 0;
    const trunks = [...this.#vlans.add(vlanId)].join(',');
    await this.#ovs.vsctl(
      `${isFirst ? `add-port ${BRIDGE}` : 'set port'} ${Internet.nic} vlan_mode=trunk trunks=${trunks}`,
      `add-port ${BRIDGE} ${port} tag=${vlanId}`,
    );
  }
}

export class CorporateNetwork {
  readonly spec: CorporateSpec;
  readonly router: Namespace;
  readonly host: Namespace;

  private constructor(spec: CorporateSpec, router: Namespace, host: Namespace) {
    this.spec = spec;
    this.router = router;
    this.host = host;
  }

  /** The router knows no way to the tenants: BGP tells it, or the caller. */
  static async create(at: CorporateSwitch, spec: CorporateSpec): Promise<CorporateNetwork> {
    const { lab } = at;
    const [router, host] = [await lab.namespace(spec.name), await lab.namespace(`${spec.name}h`)];
    await makeRouter(router);
    await host.runChecked(['sysctl', '-qw', 'net.ipv6.conf.default.accept_dad=0']);
    await at.join(router, CORPORATE_NIC, spec.name, spec.vlanId);
    await lab.veth(router, HOST_NIC, host, 'eth0');
    await router.ipBatch([
      ...spec.addresses.map((address) => `addr add ${address} dev ${CORPORATE_NIC}${flagsOf(address)}`),
      ...spec.subnets.map((prefix) => addressLine(routerAddress(prefix), prefix, HOST_NIC)),
    ]);
    await host.ipBatch([
      ...spec.subnets.map((prefix) => addressLine(addressAt(prefix, 10), prefix, 'eth0')),
      ...([4, 6] as const).flatMap((family) => {
        const first = spec.subnets.find((prefix) => familyOf(prefix) === family);
        return first === undefined ? [] : [`route add default via ${routerAddress(first)}`];
      }),
    ]);
    return new CorporateNetwork(spec, router, host);
  }

  /** Address of the router on the gateway's network. */
  routerAddress(family: 4 | 6 = 4): string {
    const address = this.spec.addresses.find((each) => familyOf(each) === family);
    if (address === undefined) throw new Error(`${this.spec.name} has no IPv${family}`);
    return address.split('/')[0] ?? '';
  }

  /** Address of the host in the first prefix, or in the one that is given. */
  hostAddress(prefix = this.spec.subnets[0] ?? ''): string {
    return addressAt(prefix, 10);
  }
}

const flagsOf = (address: string): string => (familyOf(address) === 6 ? ' nodad' : '');
const addressLine = (address: string, prefix: string, nic: string): string =>
  `addr add ${address}/${prefixLengthOf(prefix)} dev ${nic}${flagsOf(address)}`;
