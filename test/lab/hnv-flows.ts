/**
 * What an HNV host must do, as OpenFlow rules for one Open vSwitch bridge (pure). Nothing is learned, and only what is
 * for a group goes to more than one place: to each host that has a VM of the virtual subnet once, and to its ports.
 * Hosts do no spoofing checks, so that the checks of others can be put to the test by a VM that lies.
 */
import { familyOf, prefixLengthOf, routerAddress } from './address.ts';
import { arpAnswer, ndAnswer } from './hnv-answers.ts';

/** The distributed router's MAC, the same on every host and in every virtual subnet. */
export const ROUTER_MAC = '02:48:4e:56:00:01';

/** A lookup record: where a customer address lives. */
export interface PolicyRecord {
  ip: string;
  mac: string;
  vsid: number;
  /** Provider address of the host or gateway that has it. */
  pa: string;
}

/** Everything that a host knows about one routing domain. */
export interface TenantPolicy {
  /** Virtual subnets, with prefixes as address/length; one that has two prefixes is there twice. */
  subnets: { vsid: number; prefix: string }[];
  records: PolicyRecord[];
  /** Customer routes: where packets for outside all subnets go. The next hop has a record. */
  routes: { prefix: string; nextHop: string }[];
}

/** A VM's port on this host. */
export interface LocalPort {
  ofport: number;
  mac: string;
  /** The VM's own, IPv4 and IPv6. */
  addresses: readonly string[];
  vsid: number;
}

const TABLE = {
  /** Gives a packet its VSID, in reg0: of the port, or of the tunnel key. */
  classify: 0,
  /** ARP requests and neighbour solicitations of local VMs. */
  resolve: 1,
  /** The distributed router. */
  route: 2,
  /** To the local VM that has the destination MAC. */
  deliver: 3,
  /** What a local VM says to a group: a copy to each host that has the VSID. */
  replicate: 4,
  /** The same, or what came from another host: a copy to each local VM, but not to the sender. */
  deliverGroup: 5,
  /** Second half of an answer to a neighbour solicitation. */
  advertise: 6,
} as const;

const GROUP_MAC = 'dl_dst=01:00:00:00:00:00/01:00:00:00:00:00';

/** The tunnel key of a VSID: VSID in the upper 24 bits, FlowID 0 in the lower 8 (RFC 7637 section 3.2). */
export function tunnelKey(vsid: number): string {
  return `0x${(vsid * 256).toString(16)}`;
}

/** All flows of the integration bridge of the host that has the provider addresses `own`. */
export function hnvFlows(
  own: readonly string[],
  tunnelPort: number,
  ports: readonly LocalPort[],
  policies: readonly TenantPolicy[],
): string[] {
  const fromTunnel = `table=${TABLE.classify},in_port=${tunnelPort}`;
  const readKey = 'move:NXM_NX_TUN_ID[8..31]->NXM_NX_REG0[0..23]';
  const flows = [
    `${fromTunnel},priority=110,${GROUP_MAC},actions=${readKey},resubmit(,${TABLE.deliverGroup})`,
    `${fromTunnel},priority=100,actions=${readKey},resubmit(,${TABLE.deliver})`,
  ];
  for (const port of ports) flows.push(...portFlows(port));
  for (const vsid of new Set(ports.map((port) => port.vsid))) {
    const outputs = ports.filter((port) => port.vsid === vsid).map((port) => `output:${port.ofport}`);
    flows.push(`table=${TABLE.deliverGroup},priority=100,reg0=${vsid},actions=${outputs.join(',')}`);
  }
  const toHost = (to: { vsid: number; pa: string }) => tunnelTo(tunnelPort, to.vsid, to.pa);
  for (const policy of policies) {
    const send = (to: { vsid: number; pa: string }) =>
      own.includes(to.pa) ? `set_field:${to.vsid}->reg0,resubmit(,${TABLE.deliver})` : toHost(to);
    flows.push(...routerFlows(policy, send));
    for (const vsid of new Set(policy.subnets.map((subnet) => subnet.vsid))) {
      const hosts = policy.records.filter((record) => record.vsid === vsid).map((record) => record.pa);
      const remotes = [...new Set(hosts)].filter((pa) => !own.includes(pa));
      const copies = remotes.map((pa) => toHost({ vsid, pa }));
      const actions = [...copies, `resubmit(,${TABLE.deliverGroup})`].join(',');
      flows.push(`table=${TABLE.replicate},priority=100,reg0=${vsid},actions=${actions}`);
    }
  }
  return flows;
}

function tunnelTo(tunnelPort: number, vsid: number, pa: string): string {
  // Both fields, because a copy may go to a host of the other family than the one before.
  const destination =
    familyOf(pa) === 4
      ? `set_field:::->tun_ipv6_dst,set_field:${pa}->tun_dst`
      : `set_field:0.0.0.0->tun_dst,set_field:${pa}->tun_ipv6_dst`;
  return `set_field:${tunnelKey(vsid)}->tun_id,${destination},output:${tunnelPort}`;
}

function portFlows({ ofport, mac, addresses, vsid }: LocalPort): string[] {
  const from = `table=${TABLE.classify},in_port=${ofport}`;
  const to = (table: number) => `actions=set_field:${vsid}->reg0,resubmit(,${table})`;
  const own = addresses.map((address) => {
    const match =
      familyOf(address) === 4
        ? `arp,arp_tpa=${address}`
        : `icmp6,icmp_type=135,icmp_code=0,nd_target=${address}`;
    return `table=${TABLE.resolve},priority=200,in_port=${ofport},${match},actions=drop`;
  });
  return [
    `${from},priority=120,arp,${to(TABLE.resolve)}`,
    `${from},priority=120,icmp6,icmp_type=135,icmp_code=0,${to(TABLE.resolve)}`,
    `${from},priority=110,${GROUP_MAC},${to(TABLE.replicate)}`,
    `${from},priority=100,ip,${to(TABLE.route)}`,
    `${from},priority=100,ipv6,${to(TABLE.route)}`,
    `table=${TABLE.deliver},priority=100,reg0=${vsid},dl_dst=${mac},actions=output:${ofport}`,
    // Duplicate address detection: nobody answers for the asker's own address.
    ...own,
  ];
}

/** ARP, ND and the distributed router of one routing domain. */
function routerFlows(policy: TenantPolicy, send: (to: PolicyRecord) => string): string[] {
  const flows: string[] = [
    // Another one's address, which could not be answered rightly (see ndAnswer).
    `table=${TABLE.resolve},priority=150,icmp6,icmp_type=135,icmp_code=0,ipv6_src=::,actions=drop`,
  ];
  const routed = (to: PolicyRecord) => `dec_ttl,set_field:${to.mac}->eth_dst,${send(to)}`;
  for (const { vsid, prefix } of policy.subnets)
    flows.push(...answer(vsid, routerAddress(prefix), ROUTER_MAC, true));
  for (const vsid of new Set(policy.subnets.map((subnet) => subnet.vsid))) {
    const from = `table=${TABLE.route},reg0=${vsid}`;
    const fromRouted = `${from},dl_dst=${ROUTER_MAC}`;
    for (const record of policy.records) {
      flows.push(`${fromRouted},priority=310,${destination(record.ip)},actions=${routed(record)}`);
      if (record.vsid !== vsid) continue;
      flows.push(...answer(vsid, record.ip, record.mac, false));
      flows.push(`${from},priority=300,${destination(record.ip)},actions=${send(record)}`);
      // A VM that routes takes what is addressed to its MAC, whatever the packet's destination is.
      flows.push(`${from},priority=50,dl_dst=${record.mac},actions=${send(record)}`);
    }
    // An address of the domain without a record is nowhere; it must not fall through to the routes.
    for (const subnet of policy.subnets)
      flows.push(`${from},priority=${longer(subnet.prefix)},${destination(subnet.prefix)},actions=drop`);
    for (const { prefix, nextHop } of policy.routes) {
      const record = policy.records.find(({ ip }) => ip === nextHop);
      if (record === undefined) throw new Error(`the next hop ${nextHop} has no record`);
      flows.push(`${fromRouted},priority=${longer(prefix)},${destination(prefix)},actions=${routed(record)}`);
    }
  }
  return flows;
}

function answer(vsid: number, ip: string, mac: string, isRouter: boolean): string[] {
  if (familyOf(ip) === 4) return [arpAnswer(TABLE.resolve, vsid, ip, mac)];
  return ndAnswer({ solicited: TABLE.resolve, advertised: TABLE.advertise }, vsid, ip, mac, isRouter);
}

/** Matches packets for an address or a prefix. */
function destination(prefix: string): string {
  if (familyOf(prefix) === 6) return prefix === '::/0' ? 'ipv6' : `ipv6,ipv6_dst=${prefix}`;
  return prefix === '0.0.0.0/0' ? 'ip' : `ip,nw_dst=${prefix}`;
}

/** Priority of a prefix, below that of single addresses: the longest one wins. */
function longer(prefix: string): number {
  return 100 + prefixLengthOf(prefix);
}
