/**
 * The reasons for which the data plane drops packets, as the API and the command line name them, each with what it means
 * to the operator. The numbers are the data plane's (kernel/layout.h); a test keeps both lists alike.
 */
import { DropReason } from './layout.generated.ts';

/** `HNV_DROP_VSID_UNKNOWN` is `vsid-unknown` outside. */
type NameOf<K extends string> = K extends `HNV_DROP_${infer Name}` ? Name : never;

const explanations: Record<NameOf<keyof typeof DropReason>, string> = {
  OUTER_TRUNCATED: 'The frame ends before its outer IP and GRE headers do, or before the length they name.',
  OUTER_OPTIONS:
    'The outer IP header has options or extension headers, or is of another version than the frame says.',
  OUTER_CHECKSUM: 'The checksum of the outer IPv4 header is wrong.',
  OUTER_FRAGMENT: 'The outer packet is a fragment; NVGRE is not fragmented outside (RFC 7637 section 4).',
  GRE_FLAGS: 'The first 16 bits of the GRE header are not 0x2000 (key present, nothing else, version 0).',
  GRE_PROTOCOL: 'The GRE protocol type is not 0x6558, transparent Ethernet bridging.',
  VSID_RESERVED: 'The VSID is one that RFC 7637 reserves: 0 to 0xFFF, 0xFFFFFF.',
  VSID_UNKNOWN: 'No routing domain on this node has that VSID.',
  SOURCE_PROVIDER_ADDRESS: 'No lookup record of the routing domain has the sending provider address.',
  INNER_TRUNCATED: 'The inner frame ends before its Ethernet and IP headers do.',
  INNER_VLAN: 'The inner frame has a VLAN tag (RFC 7637 section 3.3 forbids it).',
  INNER_ETHERTYPE: 'The inner frame is of a type that this node does not forward.',
  INNER_MALFORMED: 'The inner IP header is malformed, or longer than the frame that carries it.',
  INNER_DESTINATION_UNKNOWN: 'The inner destination MAC is no port of any routing domain on this node.',
  INNER_DESTINATION_FOREIGN:
    'The inner destination MAC is a port of another routing domain than the VSID is.',
  INNER_SOURCE_ADDRESS:
    'The inner source address is not one that a lookup record places at the sending provider address.',
  INNER_SOURCE_MAC: 'The inner source MAC is not the one of the lookup record for the inner source address.',
  INNER_TOO_BIG: 'The inner packet is larger than the MTU of the port that it is for.',
  ECN: 'The fabric marked congestion on a flow that does not understand it (RFC 6040 section 4.2).',
  DECAP_FAILED: 'The kernel could not take the tunnel header away.',
  PORT_UNKNOWN: 'The packet came from a link that is no port of a routing domain (any more).',
  PORT_ETHERTYPE: 'The packet from the port is of a type that this node does not forward.',
  PORT_MALFORMED: 'The packet from the port has a malformed IP header, or is too big by what follows it.',
  TTL_EXCEEDED: 'The packet’s time to live ended at the distributed router.',
  TOO_BIG: 'The packet from the port is larger than the inner MTU.',
  NO_ROUTE: 'The routing domain has no route for the destination.',
  NO_RECORD: 'No lookup record has the destination, or the next hop to it.',
  ENCAP_FAILED: 'The kernel could not make room for the tunnel header.',
  EXTERNAL_ETHERTYPE: 'The packet from the context to the uplink is neither IPv4 nor IPv6.',
  EXTERNAL_MALFORMED:
    'The packet from the context to the uplink, or to a shared external address, has malformed headers.',
  UNTRANSLATED:
    'The packet to the uplink does not carry an external address, and port, of its own routing domain.',
  PORT_SOURCE_MAC: 'The source MAC of the frame from the port is not the port’s.',
  PORT_SOURCE_ADDRESS: 'The source address of the packet from the port is not one that the port may use.',
  NEIGHBOUR_UNKNOWN: 'ARP or ND asked for an address that no lookup record has in the virtual subnet.',
  NEIGHBOUR_MESSAGE:
    'An ARP or ND message that needs no answer: an announcement, an answer, a question for an own address.',
  NEIGHBOUR_MALFORMED: 'A malformed ARP or ND message, or one whose sender MAC is not the frame’s.',
  ROUTER_DESTINATION: 'A packet to the distributed router that is no ping.',
  LINK_LOCAL: 'A packet with an address of the link only, or of a group, that would have to be routed.',
  NO_PORT: 'The lookup record of the destination is this node’s, but no port here has its MAC.',
  PROVIDER_FAMILY: 'The provider addresses of both ends are not of one family.',
  FRAGMENT_FAILED: 'The packet is larger than the inner MTU, and could not be fragmented.',
  NO_MEMBERS: 'A broadcast or multicast with nobody to get a copy.',
  REPLICATION_FAILED: 'The kernel could not send a copy of a broadcast or multicast, or a fragment.',
  PROVIDER_VLAN: 'A frame to a provider address of a VLAN came without its tag.',
  LOOP: 'The packet came from the next hop that it would have to be sent to.',
  EXTERNAL_PORT:
    'The packet is for a port or ICMP identifier of a shared external address that no routing domain has.',
  EXTERNAL_PROTOCOL:
    'The packet is for a shared external address, and is of a protocol whose sessions no port or identifier tells apart.',
  EXTERNAL_QUOTE: 'The ICMP error to a shared external address does not quote enough of a packet from there.',
  EXTERNAL_FRAGMENT:
    'The fragment is for a shared external address, and nobody was there to put it in order, or its first one was nobody’s.',
  PREFIX_TRANSLATION:
    'The address in the translated prefix has no other form outside or inside: the bits that would change are all ones (RFC 6296).',
  EXTERNAL_PEER:
    'The packet is IKE or ESP for a shared external address, and comes from nobody that a site connection there is with.',
  SEGMENT_ETHERTYPE:
    'The frame to or from a context’s network without NAT is neither IP nor ARP, or has a VLAN tag that it should not have.',
  SEGMENT_MALFORMED: 'The frame to or from a context’s network without NAT has malformed headers.',
  SEGMENT_SOURCE_MAC: 'The frame from the context to its network without NAT is not from the context’s MAC.',
  SEGMENT_SOURCE_ADDRESS:
    'The packet, ARP or ND message to the network without NAT comes from an address that is neither the context’s own nor in a prefix that the routing domain advertises.',
  SEGMENT_DESTINATION:
    'The packet from the network without NAT is for an address that is neither the context’s own nor in a prefix that the routing domain advertises; or the one to it is for a group, or for this node.',
  SEGMENT_ROUTER_MESSAGE:
    'A router solicitation, router advertisement or redirect of ICMPv6 to or from a context, which has its routes from policy alone.',
};

export interface DropReasonInfo {
  readonly number: number;
  /** Stable name, for example `vsid-unknown`. */
  readonly name: string;
  readonly explanation: string;
}

const entries = Object.entries(explanations) as [NameOf<keyof typeof DropReason>, string][];

/** All reasons, ascending by number. */
export const dropReasons: readonly DropReasonInfo[] = entries
  .map(([key, explanation]) => ({
    number: DropReason[`HNV_DROP_${key}`],
    name: key.toLowerCase().replaceAll('_', '-'),
    explanation,
  }))
  .sort((a, b) => a.number - b.number);

/** What a routing context drops by itself: its NAT ruleset counts that, and not the data plane, so it has no number. */
export const contextDropReason: Omit<DropReasonInfo, 'number'> = {
  name: 'context-refused',
  explanation:
    'The routing context let the packet neither to the uplink, where it was not translated, nor to the tenant, who had not asked for it.',
};

const names = new Map(dropReasons.map((reason) => [reason.number, reason.name]));

/** The name of a reason; a number that this version does not know is shown as it is. */
export function dropReasonName(number: number): string {
  return names.get(number) ?? `reason-${number}`;
}
