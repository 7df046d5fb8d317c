/**
 * A gateway whose NICs end in the test's own hands. What is there beside it on either network are addresses and MACs alone;
 * the gateway's kernel knows them, so that it asks nobody. Several of them have all in common that is ever on a wire.
 */
import { writeFileSync } from 'node:fs';
import { type DomainStats, readStats, type StatsMaps } from '../../src/encap/stats.ts';
import { contextNames } from '../../src/gateway/names.ts';
import { onlineCpus } from '../../src/linux/cpus.ts';
import { inNetns } from '../../src/linux/netns.ts';
import { openMap } from './data-plane-maps.ts';
import { UPLINK_NIC } from './gateway-node.ts';
import type { Namespace } from './namespace.ts';
import { NodeProcess, PROVIDER_NIC } from './node-process.ts';
import { WireEnd } from './wire-end.ts';

export interface Station {
  mac: string;
  /** One of each family. */
  addresses: Readonly<Record<4 | 6, string>>;
}

/** The gateway's NICs. */
export const NICS: Readonly<Record<WireName, Station>> = {
  provider: { mac: '02:9a:00:00:00:20', addresses: { 4: '192.168.1.20', 6: '2001:db8:1::20' } },
  uplink: { mac: '02:9a:00:01:00:02', addresses: { 4: '198.51.100.2', 6: '2001:db8:100::2' } },
};
/** Hosts of VMs. */
export const HOSTS: readonly [Station, Station] = [
  { mac: '02:9a:00:00:00:10', addresses: { 4: '192.168.1.10', 6: '2001:db8:1::10' } },
  { mac: '02:9a:00:00:00:11', addresses: { 4: '192.168.1.11', 6: '2001:db8:1::11' } },
];
/** The router to the internet. */
export const ROUTER: Station = {
  mac: '02:9a:00:01:00:01',
  addresses: { 4: '198.51.100.1', 6: '2001:db8:100::1' },
};

export type WireName = 'provider' | 'uplink';
/** How the gateway carries established flows: by XDP, by TC, not at all. */
export type FastMode = 'native' | 'generic' | 'off';

/** Of the table of flows, of each CPU. */
const ENTRIES = 96;

export class WiredGateway extends NodeProcess {
  readonly mode: FastMode;
  readonly ends: Readonly<Record<WireName, WireEnd>>;
  #maps: StatsMaps | undefined;

  private constructor(namespace: Namespace, mode: FastMode, ends: Record<WireName, WireEnd>) {
    super('gateway', namespace, Object.values(NICS.provider.addresses));
    this.mode = mode;
    this.ends = ends;
  }

  /** `wire` is where the far ends of its NICs are. */
  static async create(wire: Namespace, mode: FastMode): Promise<WiredGateway> {
    const namespace = await wire.lab.namespace(mode);
    const join = async (name: WireName, nic: string, at: readonly Station[]): Promise<WireEnd> => {
      const far = `${mode}-${name.slice(0, 4)}`;
      const { mac, addresses } = NICS[name];
      await namespace.ipBatch([
        `link add ${nic} address ${mac} type veth peer name ${far} netns ${wire.name}`,
        `link set ${nic} up`,
        `addr add ${addresses[4]}/24 dev ${nic}`,
        `addr add ${addresses[6]}/64 dev ${nic} nodad`,
        ...at.flatMap(({ mac, addresses }) =>
          Object.values(addresses).map(
            (address) => `neigh add ${address} lladdr ${mac} dev ${nic} nud permanent`,
          ),
        ),
      ]);
      // It may say more than the gateway's NIC takes.
      await wire.ip('link', 'set', far, 'addrgenmode', 'none', 'mtu', '1600', 'up');
      // Only so does a veth take frames that XDP sends to its other side.
      await wire.runChecked(['ethtool', '-K', far, 'gro', 'on']);
      return new WireEnd(wire, far);
    };
    const provider = await join('provider', PROVIDER_NIC, HOSTS);
    const uplink = await join('uplink', UPLINK_NIC, [ROUTER]);
    const routes = Object.values(ROUTER.addresses).map((address) => `route add default via ${address}`);
    await namespace.ipBatch(routes);
    const node = new WiredGateway(namespace, mode, { provider, uplink });
    await node.prepare({
      uplink: { interface: UPLINK_NIC },
      dataplane: { xdp: mode },
      // So few that old conversations make room for new ones all the time.
      capacity: { fastFlows: ENTRIES * onlineCpus().length },
    });
    return node;
  }

  override async start(): Promise<void> {
    await super.start();
    const { instance, namespace } = this;
    const maps = { traffic: openMap(instance, 'traffic'), drops: openMap(instance, 'drops') };
    namespace.lab.onClose(() => {
      for (const map of Object.values(maps)) map.close();
    });
    this.#maps = (name) => maps[name];
  }

  /** Counters of a domain by its number in the data plane; 0: of what no domain is charged with. */
  statsOf(domain: number): DomainStats {
    if (this.#maps === undefined) throw new Error('the gateway was not started');
    return readStats(this.#maps, domain);
  }

  /**
   * A domain's context says each ICMP error, and knows its next hops on the network without NAT: not for good, which the gateway
   * would mend.
   */
  async prepareContext(rdid: string, nextHops: readonly Station[]): Promise<void> {
    const { netns } = contextNames(this.instance, rdid);
    inNetns(netns, () => {
      writeFileSync('/proc/sys/net/ipv4/icmp_ratelimit', '0');
      writeFileSync('/proc/sys/net/ipv6/icmp/ratelimit', '0');
    });
    for (const { mac, addresses } of nextHops)
      for (const address of Object.values(addresses))
        await this.namespace.lab.runChecked('ip', [
          ...['-n', netns, 'neigh', 'replace', address, 'lladdr', mac, 'dev', 'fwd', 'nud', 'noarp'],
        ]);
  }
}
