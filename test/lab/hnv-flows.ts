/**
 * What an HNV host must do, as OpenFlow rules for one Open vSwitch bridge (pure). Tables: 0 gives a packet its VSID
 * (of the port, or of the tunnel key), 1 answers ARP from policy, 2 is the distributed router, 3 delivers to local VMs.
 * Nothing floods, and nothing is learned. Hosts do no spoofing checks, so that a gateway's own checks can be put to
 * the test by a VM that lies.
 */

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
  /** Virtual subnets, with prefixes as address/length. */
  subnets: { vsid: number; prefix: string }[];
  records: PolicyRecord[];
  /** Where packets for outside all subnets go: the gateway. */
  defaultRoute?: { mac: string; vsid: number; pa: string };
}

/** A VM's port on this host. */
export interface LocalPort {
  ofport: number;
  ip: string;
  vsid: number;
}

/** The tunnel key of a VSID: VSID in the upper 24 bits, FlowID 0 in the lower 8 (RFC 7637 section 3.2). */
export function tunnelKey(vsid: number): string {
  return `0x${(vsid * 256).toString(16)}`;
}

/** First address of an IPv4 prefix: the distributed router's. */
export function routerAddress(prefix: string): string {
  const [address = '', length = ''] = prefix.split('/');
  const value = address.split('.').reduce((sum, octet) => sum * 256 + Number(octet), 0);
  const size = 2 ** (32 - Number(length));
  const first = Math.floor(value / size) * size + 1;
  return [24, 16, 8, 0].map((shift) => Math.floor(first / 2 ** shift) % 256).join('.');
}

/** All flows of the integration bridge of the host with provider address `pa`. */
export function hnvFlows(
  pa: string,
  tunnelPort: number,
  ports: readonly LocalPort[],
  policies: readonly TenantPolicy[],
): string[] {
  const flows = [
    `table=0,priority=100,in_port=${tunnelPort},actions=move:NXM_NX_TUN_ID[8..31]->NXM_NX_REG0[0..23],resubmit(,3)`,
  ];
  for (const port of ports) {
    const from = `table=0,priority=100,in_port=${port.ofport}`;
    flows.push(`${from},arp,actions=set_field:${port.vsid}->reg0,resubmit(,1)`);
    flows.push(`${from},ip,actions=set_field:${port.vsid}->reg0,resubmit(,2)`);
    flows.push(
      `table=3,priority=100,ip,reg0=${port.vsid},nw_dst=${port.ip},actions=output:${port.ofport}`,
      // Duplicate address detection: nobody answers for the asker's own address.
      `table=1,priority=200,arp,in_port=${port.ofport},arp_tpa=${port.ip},actions=drop`,
    );
  }
  for (const policy of policies) flows.push(...tenantFlows(pa, tunnelPort, policy));
  return flows;
}

function tenantFlows(pa: string, tunnelPort: number, policy: TenantPolicy): string[] {
  const flows: string[] = [];
  const send = (to: { vsid: number; pa: string }) =>
    to.pa === pa
      ? `set_field:${to.vsid}->reg0,resubmit(,3)`
      : `set_field:${tunnelKey(to.vsid)}->tun_id,set_field:${to.pa}->tun_dst,output:${tunnelPort}`;
  const routed = (to: { vsid: number; pa: string; mac: string }) =>
    `dec_ttl,set_field:${to.mac}->eth_dst,${send(to)}`;

  for (const { vsid, prefix } of policy.subnets) {
    flows.push(arpAnswer(vsid, routerAddress(prefix), ROUTER_MAC));
    const from = `table=2,ip,reg0=${vsid}`;
    for (const record of policy.records) {
      if (record.vsid === vsid) {
        flows.push(arpAnswer(vsid, record.ip, record.mac));
        flows.push(`${from},priority=200,nw_dst=${record.ip},actions=${send(record)}`);
      } else {
        flows.push(`${from},priority=200,dl_dst=${ROUTER_MAC},nw_dst=${record.ip},actions=${routed(record)}`);
      }
    }
    // An address of the domain without a record is nowhere; it must not fall through to the default route.
    for (const subnet of policy.subnets)
      flows.push(`${from},priority=150,nw_dst=${subnet.prefix},actions=drop`);
    if (policy.defaultRoute) {
      flows.push(`${from},priority=100,dl_dst=${ROUTER_MAC},actions=${routed(policy.defaultRoute)}`);
    }
  }
  return flows;
}

/** Turns an ARP request for `ip` in a virtual subnet into the answer, and sends it back to where it came from. */
function arpAnswer(vsid: number, ip: string, mac: string): string {
  const actions = [
    'move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[]',
    `set_field:${mac}->eth_src`,
    'load:2->NXM_OF_ARP_OP[]',
    'move:NXM_NX_ARP_SHA[]->NXM_NX_ARP_THA[]',
    'move:NXM_OF_ARP_SPA[]->NXM_OF_ARP_TPA[]',
    `set_field:${mac}->arp_sha`,
    `set_field:${ip}->arp_spa`,
    'in_port',
  ];
  return `table=1,priority=100,arp,reg0=${vsid},arp_op=1,arp_tpa=${ip},actions=${actions.join(',')}`;
}
