/**
 * NVGRE frames (RFC 7637) with IPv4 outside and inside, to bytes and back: for tests, trace and capture, never in the
 * path of a packet. Decoding keeps the data plane's order of checks and names what is wrong as its drop reasons do.
 */
import { HnvError } from '../errors.ts';
import { addressBytes, macBytes } from '../policy/address.ts';

const ETHERNET_LENGTH = 14;
const IPV4_LENGTH = 20;
const GRE_LENGTH = 8;
/** What encapsulation adds to a packet: outer IPv4, GRE, inner Ethernet. */
export const TUNNEL_LENGTH = IPV4_LENGTH + GRE_LENGTH + ETHERNET_LENGTH;

const ETHERTYPE_IPV4 = 0x0800;
const VLAN_TAGS: readonly number[] = [0x8100, 0x88a8];
const PROTOCOL_GRE = 47;
const GRE_KEY_PRESENT = 0x2000;
const GRE_ETHERNET = 0x6558;
const VSID_FIRST = 0x1000;
const VSID_LAST = 0xfffffe;
const DONT_FRAGMENT = 0x4000;
const MORE_FRAGMENTS = 0x2000;
const OFFSET_MASK = 0x1fff;

/** MAC addresses in canonical text. */
export interface EthernetAddresses {
  destination: string;
  source: string;
}

/** IPv4 header fields that are not worked out from the rest; addresses in canonical text. */
export interface Ipv4Header {
  /** DSCP and ECN. */
  tos: number;
  id: number;
  dontFragment: boolean;
  moreFragments: boolean;
  /** In units of 8 bytes, as on the wire. */
  fragmentOffset: number;
  ttl: number;
  protocol: number;
  source: string;
  destination: string;
}

export interface Ipv4Packet extends Ipv4Header {
  /** A multiple of 4 bytes, at most 40. */
  options: Uint8Array;
  payload: Uint8Array;
}

/** The outer header is never a fragment and has no options; its protocol is GRE. */
export type OuterHeader = Pick<Ipv4Header, 'tos' | 'id' | 'dontFragment' | 'ttl' | 'source' | 'destination'>;

export interface NvgreFrame {
  ethernet: EthernetAddresses;
  outer: OuterHeader;
  /** 0x1000 to 0xFFFFFE. */
  vsid: number;
  /** 0 to 255. */
  flowId: number;
  innerEthernet: EthernetAddresses;
  inner: Ipv4Packet;
}

/** Internet checksum (RFC 1071) of an even number of bytes; 0 over bytes that hold their own right checksum. */
export function internetChecksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at + 1 < bytes.length; at += 2) sum += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function refuse(rule: string, message: string): never {
  throw new HnvError('HNV_BAD_REQUEST', message, { rule });
}

const macText = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':');

function encodeEthernet({ destination, source }: EthernetAddresses): Buffer {
  return Buffer.from([
    ...macBytes(destination),
    ...macBytes(source),
    ETHERTYPE_IPV4 >> 8,
    ETHERTYPE_IPV4 & 0xff,
  ]);
}

function decodeEthernet(bytes: Uint8Array): EthernetAddresses {
  return { destination: macText(bytes.subarray(0, 6)), source: macText(bytes.subarray(6, 12)) };
}

/** Throws HNV_INTERNAL when `value` is no integer from 0 to `last`. */
function inRange(name: string, value: number, last: number): number {
  if (!Number.isInteger(value) || value < 0 || value > last)
    throw new HnvError('HNV_INTERNAL', `${name} must be 0 to ${last}, not ${value}.`);
  return value;
}

function ipv4Bytes(address: string): Uint8Array {
  if (address.includes(':')) throw new HnvError('HNV_INTERNAL', `${address} is not an IPv4 address.`);
  return addressBytes(address).subarray(12);
}

const ipv4Text = (bytes: Uint8Array): string => bytes.join('.');

/** The packet's bytes, lengths and checksum filled in. HNV_INTERNAL when a field does not fit its place. */
export function encodeIpv4(packet: Ipv4Packet): Uint8Array {
  const { options, payload } = packet;
  const header = Buffer.alloc(IPV4_LENGTH + inRange('Length of the options', options.length, 40));
  if (options.length % 4 !== 0)
    throw new HnvError('HNV_INTERNAL', 'IPv4 options end on a multiple of 4 bytes.');
  header[0] = 0x40 | (header.length / 4);
  header[1] = inRange('TOS', packet.tos, 0xff);
  header.writeUInt16BE(inRange('Total length', header.length + payload.length, 0xffff), 2);
  header.writeUInt16BE(inRange('IP id', packet.id, 0xffff), 4);
  const flags = (packet.dontFragment ? DONT_FRAGMENT : 0) | (packet.moreFragments ? MORE_FRAGMENTS : 0);
  header.writeUInt16BE(flags | inRange('Fragment offset', packet.fragmentOffset, OFFSET_MASK), 6);
  header[8] = inRange('TTL', packet.ttl, 0xff);
  header[9] = inRange('Protocol', packet.protocol, 0xff);
  header.set(ipv4Bytes(packet.source), 12);
  header.set(ipv4Bytes(packet.destination), 16);
  header.set(options, IPV4_LENGTH);
  header.writeUInt16BE(internetChecksum(header), 10);
  return Buffer.concat([header, payload]);
}

/** Bytes behind the total length are padding. HNV_BAD_REQUEST, rule `inner-truncated` or `inner-malformed`. */
export function decodeIpv4(bytes: Uint8Array): Ipv4Packet {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.length < IPV4_LENGTH)
    refuse('inner-truncated', 'The frame ends before its inner IPv4 header does.');
  const headerLength = (view.readUInt8(0) & 0xf) * 4;
  const total = view.readUInt16BE(2);
  if (view.readUInt8(0) >> 4 !== 4) refuse('inner-malformed', 'The inner packet is not IPv4.');
  if (headerLength < IPV4_LENGTH || total < headerLength || total > view.length)
    refuse(
      'inner-malformed',
      `Inner header of ${headerLength} and packet of ${total} bytes, in ${view.length} bytes.`,
    );
  const header = view.subarray(0, headerLength);
  if (internetChecksum(header) !== 0)
    refuse('inner-malformed', 'The checksum of the inner IPv4 header is wrong.');
  const fragment = header.readUInt16BE(6);
  return {
    tos: header.readUInt8(1),
    id: header.readUInt16BE(4),
    dontFragment: (fragment & DONT_FRAGMENT) !== 0,
    moreFragments: (fragment & MORE_FRAGMENTS) !== 0,
    fragmentOffset: fragment & OFFSET_MASK,
    ttl: header.readUInt8(8),
    protocol: header.readUInt8(9),
    source: ipv4Text(header.subarray(12, 16)),
    destination: ipv4Text(header.subarray(16, 20)),
    options: Uint8Array.from(header.subarray(IPV4_LENGTH)),
    payload: Uint8Array.from(view.subarray(headerLength, total)),
  };
}

/** The whole frame without frame check sequence. HNV_INTERNAL when a field does not fit its place. */
export function encodeNvgre(frame: NvgreFrame): Uint8Array {
  if (!Number.isInteger(frame.vsid) || frame.vsid < VSID_FIRST || frame.vsid > VSID_LAST)
    throw new HnvError('HNV_INTERNAL', `VSID must be ${VSID_FIRST} to ${VSID_LAST}, not ${frame.vsid}.`);
  const gre = Buffer.alloc(GRE_LENGTH);
  gre.writeUInt16BE(GRE_KEY_PRESENT, 0);
  gre.writeUInt16BE(GRE_ETHERNET, 2);
  gre.writeUInt32BE(frame.vsid * 0x100 + inRange('FlowID', frame.flowId, 0xff), 4);
  const outer = encodeIpv4({
    ...frame.outer,
    protocol: PROTOCOL_GRE,
    moreFragments: false,
    fragmentOffset: 0,
    options: new Uint8Array(),
    payload: Buffer.concat([gre, encodeEthernet(frame.innerEthernet), encodeIpv4(frame.inner)]),
  });
  return Buffer.concat([encodeEthernet(frame.ethernet), outer]);
}

/**
 * Reads a frame with the data plane's checks of form. Throws HNV_BAD_REQUEST; its `rule` is the name of the drop reason
 * (drop-reasons.ts), or `not-nvgre` for what the data plane leaves to the kernel.
 */
export function decodeNvgre(bytes: Uint8Array): NvgreFrame {
  const frame = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const outer = decodeOuter(frame);
  const key = frame.readUInt32BE(ETHERNET_LENGTH + IPV4_LENGTH + 4);
  const innerAt = ETHERNET_LENGTH + IPV4_LENGTH + GRE_LENGTH;
  const inner = frame.subarray(innerAt, ETHERNET_LENGTH + frame.readUInt16BE(ETHERNET_LENGTH + 2));
  if (inner.length < ETHERNET_LENGTH)
    refuse('inner-truncated', 'The frame ends before its inner Ethernet header does.');
  const etherType = inner.readUInt16BE(12);
  if (VLAN_TAGS.includes(etherType)) refuse('inner-vlan', 'The inner frame has a VLAN tag.');
  if (etherType !== ETHERTYPE_IPV4)
    refuse(
      'inner-ethertype',
      `The inner frame is of type 0x${etherType.toString(16).padStart(4, '0')}, not IPv4.`,
    );
  return {
    ethernet: decodeEthernet(frame),
    outer,
    vsid: key >>> 8,
    flowId: key & 0xff,
    innerEthernet: decodeEthernet(inner),
    inner: decodeIpv4(inner.subarray(ETHERNET_LENGTH)),
  };
}

function decodeOuter(frame: Buffer): OuterHeader {
  const { length } = frame;
  if (length >= ETHERNET_LENGTH && frame.readUInt16BE(12) !== ETHERTYPE_IPV4)
    refuse('not-nvgre', 'The frame is not IPv4.');
  if (length < ETHERNET_LENGTH + IPV4_LENGTH)
    refuse('outer-truncated', 'The frame ends before its outer IPv4 header does.');
  const ip = frame.subarray(ETHERNET_LENGTH, ETHERNET_LENGTH + IPV4_LENGTH);
  if (ip.readUInt8(9) !== PROTOCOL_GRE) refuse('not-nvgre', `IP protocol ${ip.readUInt8(9)} is not GRE.`);
  if (ip.readUInt8(0) !== 0x45) refuse('outer-options', 'The outer header is not IPv4 of 20 bytes.');
  if (length < ETHERNET_LENGTH + IPV4_LENGTH + GRE_LENGTH)
    refuse('outer-truncated', 'The frame ends before its GRE header does.');
  if (internetChecksum(ip) !== 0) refuse('outer-checksum', 'The checksum of the outer IPv4 header is wrong.');
  const fragment = ip.readUInt16BE(6);
  if ((fragment & (MORE_FRAGMENTS | OFFSET_MASK)) !== 0)
    refuse('outer-fragment', 'The outer packet is a fragment.');
  const total = ip.readUInt16BE(2);
  if (total < IPV4_LENGTH + GRE_LENGTH || total > length - ETHERNET_LENGTH)
    refuse('outer-truncated', `Outer packet of ${total} bytes in a frame of ${length}.`);
  decodeGre(frame.subarray(ETHERNET_LENGTH + IPV4_LENGTH));
  return {
    tos: ip.readUInt8(1),
    id: ip.readUInt16BE(4),
    dontFragment: (fragment & DONT_FRAGMENT) !== 0,
    ttl: ip.readUInt8(8),
    source: ipv4Text(ip.subarray(12, 16)),
    destination: ipv4Text(ip.subarray(16, 20)),
  };
}

function decodeGre(gre: Buffer): void {
  const vsid = gre.readUInt32BE(4) >>> 8;
  if (gre.readUInt16BE(0) !== GRE_KEY_PRESENT) refuse('gre-flags', 'The GRE flags are not 0x2000.');
  if (gre.readUInt16BE(2) !== GRE_ETHERNET) refuse('gre-protocol', 'The GRE protocol type is not 0x6558.');
  if (vsid < VSID_FIRST || vsid > VSID_LAST) refuse('vsid-reserved', `VSID ${vsid} is reserved.`);
}
