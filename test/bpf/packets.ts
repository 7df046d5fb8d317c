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
export const PROTOCOL = { icmp: 1, tcp: 6, udp: 17, gre: 47, sctp: 132 } as const;

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
