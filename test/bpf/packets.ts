/** Packets for the data plane: short ways to well-formed ones, and to break one field of them. */
import { encodeIpv4, type Ipv4Packet, internetChecksum } from '../../src/encap/nvgre.ts';
import { addressBytes, macBytes } from '../../src/policy/address.ts';

export const ETHERTYPE = {
  ipv4: 0x0800,
  arp: 0x0806,
  vlan: 0x8100,
  ipv6: 0x86dd,
  providerVlan: 0x88a8,
} as const;
export const PROTOCOL = {
  icmp: 1,
  tcp: 6,
  udp: 17,
  ipv6Fragment: 44,
  gre: 47,
  esp: 50,
  icmpv6: 58,
  sctp: 132,
} as const;

export const NO_MAC = '00:00:00:00:00:00';
export const BROADCAST = 'ff:ff:ff:ff:ff:ff';

/** Bytes of the headers, and where each begins in an NVGRE frame. */
export const ETHERNET = 14;
export const OUTER = {
  ip: 14,
  totalLength: 16,
  fragment: 20,
  protocol: 23,
  checksum: 24,
  source: 26,
  destination: 30,
} as const;
export const GRE = { flags: 34, protocol: 36, key: 38 } as const;
export const INNER = { destinationMac: 42, sourceMac: 48, etherType: 54, ip: 56 } as const;

export function word(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

/** `length` bytes of a pattern in which no two neighbours are alike. */
export function pattern(length: number, first = 1): Buffer {
  return Buffer.from(Uint8Array.from({ length }, (_, index) => first + index * 7));
}

export function ethernet(
  destination: string,
  source: string,
  etherType: number,
  payload: Uint8Array,
): Buffer {
  return Buffer.concat([macBytes(destination), macBytes(source), word(etherType), payload]);
}

/** An IPv4 packet of a host: UDP from 10.1.1.4 to 198.51.100.7 unless told otherwise. */
export function ipv4(fields: Partial<Ipv4Packet> = {}): Ipv4Packet {
  return {
    tos: 0,
    id: 0x1234,
    dontFragment: false,
    moreFragments: false,
    fragmentOffset: 0,
    ttl: 64,
    protocol: PROTOCOL.udp,
    source: '10.1.1.4',
    destination: '198.51.100.7',
    options: new Uint8Array(),
    payload: udp(40_000, 53, pattern(24)),
    ...fields,
  };
}

/** UDP without checksum, which IPv4 allows. */
export function udp(sourcePort: number, destinationPort: number, data: Uint8Array): Buffer {
  return Buffer.concat([word(sourcePort), word(destinationPort), word(8 + data.length), word(0), data]);
}

/** A TCP segment with ACK set; its checksum is not the data plane's business. */
export function tcp(sourcePort: number, destinationPort: number, data: Uint8Array): Buffer {
  const header = Buffer.alloc(20);
  header.writeUInt16BE(sourcePort, 0);
  header.writeUInt16BE(destinationPort, 2);
  header.writeUInt32BE(0x01020304, 4);
  header.writeUInt16BE(0x5010, 12);
  header.writeUInt16BE(0xffff, 14);
  return Buffer.concat([header, data]);
}

/** An ICMP echo request. */
export function echo(id: number, sequence: number, data: Uint8Array): Buffer {
  const message = Buffer.concat([Buffer.from([8, 0, 0, 0]), word(id), word(sequence), data]);
  message.writeUInt16BE(internetChecksum(message), 2);
  return message;
}

/** An Ethernet frame with an IPv4 packet. */
export function ipv4Frame(destination: string, source: string, fields: Partial<Ipv4Packet> = {}): Buffer {
  return ethernet(destination, source, ETHERTYPE.ipv4, encodeIpv4(ipv4(fields)));
}

export interface Arp {
  operation: number;
  senderMac: string;
  sender: string;
  targetMac: string;
  target: string;
}

/** ARP for IPv4 over Ethernet, without the frame's padding (RFC 826). */
export function arp({ operation, senderMac, sender, targetMac, target }: Arp): Buffer {
  return Buffer.concat([
    word(1),
    word(ETHERTYPE.ipv4),
    Buffer.from([6, 4]),
    word(operation),
    macBytes(senderMac),
    addressBytes(sender).subarray(12),
    macBytes(targetMac),
    addressBytes(target).subarray(12),
  ]);
}

/** A copy with other bytes at `at`. */
export function patched(frame: Uint8Array, at: number, bytes: Uint8Array): Buffer {
  const copy = Buffer.from(frame);
  copy.set(bytes, at);
  return copy;
}

/** A copy whose IPv4 header of 20 bytes at `at` has a right checksum again. */
export function withChecksum(frame: Uint8Array, at: number = OUTER.ip): Buffer {
  const copy = patched(frame, at + 10, word(0));
  copy.writeUInt16BE(internetChecksum(copy.subarray(at, at + 20)), at + 10);
  return copy;
}

/** The first `length` bytes, with the outer total length (where it still is there) as long as that. */
export function cutAndAdjusted(frame: Uint8Array, length: number): Buffer {
  const cut = Buffer.from(frame.subarray(0, length));
  if (length < ETHERNET + 20) return cut;
  return withChecksum(patched(cut, OUTER.totalLength, word(length - ETHERNET)));
}

/** As it is in a header of its family; an IPv4 address in its IPv6 form (::ffff:…) is in an IPv6 header. */
function wireAddress(address: string): Uint8Array {
  const mapped = /^::ffff:(.*\..*)$/.exec(address)?.[1];
  if (mapped !== undefined) return addressBytes(mapped);
  return addressBytes(address).subarray(address.includes(':') ? 0 : 12);
}

function pseudoHeader(source: string, destination: string, protocol: number, length: number): Buffer {
  const words = Buffer.alloc(8);
  words.writeUInt32BE(length, 0);
  words.writeUInt32BE(protocol, 4);
  return Buffer.concat([wireAddress(source), wireAddress(destination), words]);
}

/** The sum of the pseudo header: what is in the checksum's field of what is left to the NIC. */
export function pseudoSum(source: string, destination: string, protocol: number, length: number): number {
  return ~internetChecksum(pseudoHeader(source, destination, protocol, length)) & 0xffff;
}

/** The checksum of a TCP, UDP or ICMPv6 segment, with its pseudo header. */
function transportChecksum(source: string, destination: string, protocol: number, segment: Buffer): number {
  const header = pseudoHeader(source, destination, protocol, segment.length);
  return internetChecksum(Buffer.concat([header, segment, Buffer.alloc(segment.length % 2)]));
}

/** UDP between two addresses of either family, with its checksum. */
export function udpBetween(
  source: string,
  destination: string,
  data: Uint8Array,
  ports: readonly [number, number] = [40_000, 40_001],
): Buffer {
  const segment = udp(...ports, data);
  segment.writeUInt16BE(transportChecksum(source, destination, PROTOCOL.udp, segment) || 0xffff, 6);
  return segment;
}

/** A TCP segment with ACK set and its checksum. */
export function tcpBetween(
  source: string,
  destination: string,
  data: Uint8Array,
  ports: readonly [number, number] = [40_000, 443],
): Buffer {
  const segment = tcp(...ports, data);
  segment.writeUInt16BE(transportChecksum(source, destination, PROTOCOL.tcp, segment), 16);
  return segment;
}

export interface Ipv6Packet {
  trafficClass: number;
  flowLabel: number;
  hopLimit: number;
  protocol: number;
  source: string;
  destination: string;
  payload: Uint8Array;
}

/** An IPv6 packet of a host: UDP from fd00:1::4 to 2001:db8::7 unless told otherwise. */
export function ipv6(fields: Partial<Ipv6Packet> = {}): Buffer {
  const { source = 'fd00:1::4', destination = '2001:db8::7' } = fields;
  const payload = fields.payload ?? udpBetween(source, destination, pattern(24));
  const header = Buffer.alloc(8);
  header.writeUInt32BE(0x60000000 + (fields.trafficClass ?? 0) * 0x100000 + (fields.flowLabel ?? 0), 0);
  header.writeUInt16BE(payload.length, 4);
  header[6] = fields.protocol ?? PROTOCOL.udp;
  header[7] = fields.hopLimit ?? 64;
  return Buffer.concat([header, wireAddress(source), wireAddress(destination), payload]);
}

/** An ICMPv6 message: type, code, the 4 bytes behind the checksum, the rest. */
export function icmpv6(
  source: string,
  destination: string,
  [type, code, rest]: readonly [number, number, number],
  body: Uint8Array,
): Buffer {
  const message = Buffer.concat([Buffer.from([type, code, 0, 0, 0, 0, 0, 0]), body]);
  message.writeUInt32BE(rest >>> 0, 4);
  message.writeUInt16BE(transportChecksum(source, destination, PROTOCOL.icmpv6, message), 2);
  return message;
}

/** An ICMP message: type, code, the 4 bytes behind the checksum, the rest. */
export function icmp([type, code, rest]: readonly [number, number, number], body: Uint8Array): Buffer {
  const message = Buffer.concat([Buffer.from([type, code, 0, 0, 0, 0, 0, 0]), body]);
  message.writeUInt32BE(rest >>> 0, 4);
  message.writeUInt16BE(internetChecksum(Buffer.concat([message, Buffer.alloc(message.length % 2)])), 2);
  return message;
}

export interface NeighbourMessage {
  source: string;
  destination: string;
  target: string;
  /** Of the option: source MAC of a solicitation, target MAC of an advertisement; none when undefined. */
  mac?: string;
  hopLimit?: number;
  code?: number;
  /** Upper bits of the second word: router, solicited, override. */
  flags?: number;
}

/** A neighbour solicitation (135), advertisement (136) or redirect (137), as an IPv6 packet (RFC 4861). */
export function neighbour(type: 135 | 136 | 137, message: NeighbourMessage): Buffer {
  const { source, destination, target, mac, hopLimit = 255, code = 0, flags = 0 } = message;
  const option =
    mac === undefined ? new Uint8Array() : Buffer.concat([Buffer.of(type === 135 ? 1 : 2, 1), macBytes(mac)]);
  const body = Buffer.concat([addressBytes(target), option]);
  return ipv6({
    source,
    destination,
    hopLimit,
    protocol: PROTOCOL.icmpv6,
    payload: icmpv6(source, destination, [type, code, flags], body),
  });
}

/** An Ethernet frame with an IP packet of either family. */
export function ipFrame(destination: string, source: string, packet: Uint8Array): Buffer {
  const isIpv6 = (packet[0] ?? 0) >> 4 === 6;
  return ethernet(destination, source, isIpv6 ? ETHERTYPE.ipv6 : ETHERTYPE.ipv4, packet);
}

export interface Tunnelled {
  ethernet: { destination: string; source: string };
  /** Provider addresses, both of one family. */
  source: string;
  destination: string;
  tos?: number;
  vsid: number;
  flowId?: number;
  /** The inner frame. */
  inner: Uint8Array;
}

/** An NVGRE frame over IPv4 or IPv6, with any inner frame. */
export function tunnelled({
  ethernet: macs,
  source,
  destination,
  tos = 0,
  vsid,
  ...rest
}: Tunnelled): Buffer {
  const { flowId = 0, inner } = rest;
  const gre = Buffer.from([0x20, 0, 0x65, 0x58, 0, 0, 0, 0]);
  gre.writeUInt32BE(vsid * 256 + flowId, 4);
  const payload = Buffer.concat([gre, inner]);
  const header = { source, destination, payload, protocol: PROTOCOL.gre };
  const packet = source.includes(':')
    ? ipv6({ ...header, trafficClass: tos, flowLabel: flowId })
    : encodeIpv4(ipv4({ ...header, tos, id: 0, dontFragment: true }));
  return ipFrame(macs.destination, macs.source, packet);
}

/** A DHCP message of a server with the MAC of its client (RFC 2131), as UDP data. */
export function dhcpReply(type: number, yours: string, clientMac: string): Buffer {
  const message = Buffer.alloc(240);
  message.set([2, 1, 6, 0], 0);
  message.set(addressBytes(yours).subarray(12), 16);
  message.set(macBytes(clientMac), 28);
  message.writeUInt32BE(0x63825363, 236);
  // A pad, and an option before the message type.
  const options = Buffer.of(0, 51, 4, 0, 0, 14, 16, 53, 1, type, 255);
  return Buffer.concat([message, options]);
}
