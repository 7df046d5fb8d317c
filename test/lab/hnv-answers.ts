/** How an Open vSwitch bridge answers ARP and neighbour solicitations by itself, as OpenFlow rules (pure). */

/** RFC 4861 section 4.4, in the first byte behind the checksum: router, solicited, override. */
const NA_ROUTER = 0x80000000;
const NA_SOLICITED = 0x40000000;
const NA_OVERRIDE = 0x20000000;
/** Option types of RFC 4861 section 4.6. */
const TARGET_LINK_LAYER_ADDRESS = 2;

/** Turns an ARP request for `ip` in a virtual subnet into the answer, and sends it back to where it came from. */
export function arpAnswer(table: number, vsid: number, ip: string, mac: string): string {
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
  return `table=${table},priority=100,arp,reg0=${vsid},arp_op=1,arp_tpa=${ip},actions=${actions.join(',')}`;
}

/**
 * The same for a neighbour solicitation. The option that holds the asker's MAC becomes the one for the target's, which
 * only a second table may write: to Open vSwitch it is there only in what is an advertisement already. So a
 * solicitation without the option, one for duplicate address detection, cannot be answered.
 */
export function ndAnswer(
  tables: { solicited: number; advertised: number },
  vsid: number,
  ip: string,
  mac: string,
  isRouter: boolean,
): string[] {
  const flags = NA_SOLICITED + NA_OVERRIDE + (isRouter ? NA_ROUTER : 0);
  const toAdvertisement = [
    'move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[]',
    `set_field:${mac}->eth_src`,
    'move:NXM_NX_IPV6_SRC[]->NXM_NX_IPV6_DST[]',
    `set_field:${ip}->ipv6_src`,
    'set_field:136->icmpv6_type',
    `set_field:0x${flags.toString(16)}->nd_reserved`,
    `set_field:${TARGET_LINK_LAYER_ADDRESS}->nd_options_type`,
    `resubmit(,${tables.advertised})`,
  ];
  const match = (table: number, type: number) =>
    `table=${table},priority=100,icmp6,reg0=${vsid},icmp_type=${type},icmp_code=0,nd_target=${ip}`;
  return [
    `${match(tables.solicited, 135)},actions=${toAdvertisement.join(',')}`,
    `${match(tables.advertised, 136)},actions=set_field:${mac}->nd_tll,in_port`,
  ];
}
