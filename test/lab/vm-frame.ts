/**
 * Frames as a VM sends them, of both families, built byte by byte with any field wrong on demand; and what a test reads
 * of those that arrive.
 */
import ipaddr from 'ipaddr.js';
import { familyOf } from './address.ts';
import { checksum } from './nvgre-frame.ts';

export const BROADCAST_MAC = 'ff:ff:ff:ff:ff:ff';
const ETHERTYPE = { ipv4: 0x0800, arp: 0x0806, ipv6: 0x86dd } as const;
const UDP = 17;
const ICMPV6 = 58;
const NEIGHBOUR_SOLICITATION = 135;
const SOURCE_LINK_LAYER_ADDRESS = 1;

export interface Datagram {
  sourceMac: string;
  destinationMac: string;
  source: string;
  destination: string;
  /** Default 1000. */
  sourcePort?: number;
  port: number;
  data: string;
}

export interface Question {
  /** Of the frame and of the message. */
  mac: string;
  /** Who asks. */
  sender: string;
  target: string;
}

const macBytes = (text: string): Buffer => Buffer.from(text.replaceAll(':', ''), 'hex');
const macText = (bytes: Buffer): string => (bytes.toString('hex').match(/../g) ?? []).join(':');
const addressBytes = (text: string): Buffer => Buffer.from(ipaddr.parse(text).toByteArray());
const word = (value: number): Buffer => {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
};

/** The MAC that stands for a multicast group (RFC 1112 section 6.4, RFC 2464 section 7). */
export function groupMac(group: string): string {
  const bytes = addressBytes(group);
  if (familyOf(group) === 6) return macText(Buffer.concat([word(0x3333), bytes.subarray(12)]));
  return macText(Buffer.from([1, 0, 0x5e, (bytes[1] ?? 0) & 0x7f, bytes[2] ?? 0, bytes[3] ?? 0]));
}

/** An IP packet of the family of its addresses, with TTL or hop limit `ttl`. */
export function ipPacket(
  source: string,
  destination: string,
  protocol: number,
  payload: Buffer,
  ttl = 64,
): Buffer {
  const addresses = [addressBytes(source), addressBytes(destination)];
  if (familyOf(source) === 6)
    return Buffer.concat([
      Buffer.from([0x60, 0, 0, 0]),
      word(payload.length),
      Buffer.from([protocol, ttl]),
      ...addresses,
      payload,
    ]);
  const head = Buffer.concat([
    Buffer.from([0x45, 0]),
    word(20 + payload.length),
    Buffer.from([0, 0, 0, 0, ttl, protocol, 0, 0]),
    ...addresses,
  ]);
  head.writeUInt16BE(checksum(head), 10);
  return Buffer.concat([head, payload]);
}

/** Of a transport message, over the pseudo-header too (RFC 768, RFC 8200 section 8.1). */
function transportChecksum(source: string, destination: string, protocol: number, message: Buffer): number {
  const pseudo = [addressBytes(source), addressBytes(destination), word(message.length), word(protocol)];
  return checksum(Buffer.concat([...pseudo, message]));
}

/** A UDP datagram with its IP header. */
export function udpPacket(datagram: Omit<Datagram, 'sourceMac' | 'destinationMac'>): Buffer {
  const { source, destination, sourcePort = 1000, port, data } = datagram;
  const payload = Buffer.from(data);
  const message = Buffer.concat([
    word(sourcePort),
    word(port),
    word(8 + payload.length),
    Buffer.alloc(2),
    payload,
  ]);
  message.writeUInt16BE(transportChecksum(source, destination, UDP, message) || 0xffff, 6);
  return ipPacket(source, destination, UDP, message);
}

/** An Ethernet frame. */
export function frame(destinationMac: string, sourceMac: string, ethertype: number, payload: Buffer): Buffer {
  return Buffer.concat([macBytes(destinationMac), macBytes(sourceMac), word(ethertype), payload]);
}

export function udpFrame(datagram: Datagram): Buffer {
  const ethertype = familyOf(datagram.source) === 4 ? ETHERTYPE.ipv4 : ETHERTYPE.ipv6;
  return frame(datagram.destinationMac, datagram.sourceMac, ethertype, udpPacket(datagram));
}

/** A broadcast ARP request, or a neighbour solicitation to the target's group. */
export function questionFrame({ mac, sender, target }: Question): Buffer {
  if (familyOf(target) === 4) {
    const request = Buffer.concat([
      Buffer.from([0, 1, 8, 0, 6, 4, 0, 1]),
      macBytes(mac),
      addressBytes(sender),
      Buffer.alloc(6),
      addressBytes(target),
    ]);
    return frame(BROADCAST_MAC, mac, ETHERTYPE.arp, request);
  }
  const bytes = addressBytes(target);
  const group = ipaddr.fromByteArray([
    ...[0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff],
    ...bytes.subarray(13),
  ]);
  const message = Buffer.concat([
    Buffer.from([NEIGHBOUR_SOLICITATION, 0, 0, 0, 0, 0, 0, 0]),
    bytes,
    Buffer.from([SOURCE_LINK_LAYER_ADDRESS, 1]),
    macBytes(mac),
  ]);
  message.writeUInt16BE(transportChecksum(sender, group.toString(), ICMPV6, message), 2);
  const packet = ipPacket(sender, group.toString(), ICMPV6, message, 255);
  return frame(groupMac(group.toString()), mac, ETHERTYPE.ipv6, packet);
}

/** What a test asks of a frame that is a UDP datagram to `port` without VLAN tag; undefined when it is none. */
export function readUdp(bytes: Buffer, port: number): (Datagram & { sourcePort: number }) | undefined {
  const ethertype = bytes.readUInt16BE(12);
  const isIpv4 = ethertype === ETHERTYPE.ipv4;
  if (!isIpv4 && ethertype !== ETHERTYPE.ipv6) return undefined;
  const [protocol, addresses, size] = isIpv4 ? [bytes[23], 26, 4] : [bytes[20], 22, 16];
  const transport = addresses + 2 * size;
  if (protocol !== UDP || bytes.length < transport + 8 || bytes.readUInt16BE(transport + 2) !== port)
    return undefined;
  const address = (at: number) => {
    const parsed = ipaddr.fromByteArray([...bytes.subarray(at, at + size)]);
    return parsed instanceof ipaddr.IPv6 ? parsed.toRFC5952String() : parsed.toString();
  };
  return {
    destinationMac: macText(bytes.subarray(0, 6)),
    sourceMac: macText(bytes.subarray(6, 12)),
    source: address(addresses),
    destination: address(addresses + size),
    sourcePort: bytes.readUInt16BE(transport),
    port,
    data: bytes.toString('utf8', transport + 8, transport + bytes.readUInt16BE(transport + 4)),
  };
}

/** Whether the frame is an ARP request or a neighbour solicitation. */
export function isQuestion(bytes: Buffer): boolean {
  const ethertype = bytes.readUInt16BE(12);
  if (ethertype === ETHERTYPE.arp) return bytes.readUInt16BE(20) === 1;
  return ethertype === ETHERTYPE.ipv6 && bytes[20] === ICMPV6 && bytes[54] === NEIGHBOUR_SOLICITATION;
}

/** The address that an ARP reply or neighbour advertisement is about, undefined when the frame is neither. */
export function answeredAddress(bytes: Buffer): string | undefined {
  const ethertype = bytes.readUInt16BE(12);
  const text = (at: number, size: number) => {
    const parsed = ipaddr.fromByteArray([...bytes.subarray(at, at + size)]);
    return parsed instanceof ipaddr.IPv6 ? parsed.toRFC5952String() : parsed.toString();
  };
  if (ethertype === ETHERTYPE.arp && bytes.readUInt16BE(20) === 2) return text(28, 4);
  if (ethertype === ETHERTYPE.ipv6 && bytes[20] === ICMPV6 && bytes[54] === NEIGHBOUR_SOLICITATION + 1)
    return text(62, 16);
  return undefined;
}
