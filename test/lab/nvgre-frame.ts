/**
 * NVGRE frames built byte by byte from RFC 7637, independently of the product's own code, with any field wrong on
 * demand: what a hostile or broken host could send.
 */
import ipaddr from 'ipaddr.js';
import { familyOf } from './address.ts';

const GRE = 47;

export interface FrameFields {
  /** Outer Ethernet: destination is the gateway's NIC. */
  destinationMac: string;
  sourceMac: string;
  /** Outer addresses, both of one family. */
  from: string;
  to: string;
  /** Extension header of an outer IPv6 packet: its number, and its bytes, which begin with GRE's number. */
  extension?: { protocol: number; bytes: Buffer };
  /** First 16 bits of the GRE header; 0x2000 is right. */
  greFlags?: number;
  greProtocol?: number;
  vsid: number;
  flowId?: number;
  /** Flags and fragment offset of an outer IPv4 packet; 0x4000 (DF) is usual. */
  fragment?: number;
  innerDestinationMac: string;
  innerSourceMac: string;
  /** VLAN tag of the inner frame, absent normally. */
  innerVlan?: number;
  /** Inner IPv4 or IPv6 packet, complete. */
  inner: Buffer;
  /** Its EtherType; by default that of its version. */
  innerType?: number;
}

const mac = (text: string): Buffer => Buffer.from(text.replaceAll(':', ''), 'hex');
const ip = (text: string): Buffer => Buffer.from(ipaddr.parse(text).toByteArray());
const word = (value: number): Buffer => {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
};

/** Internet checksum (RFC 1071). */
export function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i] ?? 0) * 256 + (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** An IPv4 packet with a right header. */
export function ipv4(
  source: string,
  destination: string,
  protocol: number,
  payload: Buffer,
  fragment = 0,
): Buffer {
  const head = Buffer.concat([
    Buffer.from([0x45, 0]),
    word(20 + payload.length),
    Buffer.from([0x12, 0x34]),
    word(fragment),
    Buffer.from([64, protocol, 0, 0]),
    ip(source),
    ip(destination),
  ]);
  head.writeUInt16BE(checksum(head), 10);
  return Buffer.concat([head, payload]);
}

/** An IPv6 packet without extension headers. */
function ipv6(source: string, destination: string, protocol: number, payload: Buffer): Buffer {
  const start = Buffer.from([0x60, 0, 0, 0, ...word(payload.length), protocol, 64]);
  return Buffer.concat([start, ip(source), ip(destination), payload]);
}

/** An ICMP echo request with `data` behind its header. */
export function echoRequest(
  source: string,
  destination: string,
  id: number,
  sequence: number,
  data = '',
): Buffer {
  const message = Buffer.concat([Buffer.from([8, 0, 0, 0]), word(id), word(sequence), Buffer.from(data)]);
  message.writeUInt16BE(checksum(message), 2);
  return ipv4(source, destination, 1, message);
}

/** A UDP datagram without checksum. */
export function udp(
  source: string,
  destination: string,
  sourcePort: number,
  port: number,
  data: string,
): Buffer {
  const payload = Buffer.from(data);
  const head = Buffer.concat([word(sourcePort), word(port), word(8 + payload.length), word(0)]);
  return ipv4(source, destination, 17, Buffer.concat([head, payload]));
}

/** The whole Ethernet frame, without frame check sequence. */
export function nvgreFrame(fields: FrameFields): Buffer {
  const key = Buffer.alloc(4);
  key.writeUInt32BE(fields.vsid * 256 + (fields.flowId ?? 0));
  const tag = fields.innerVlan === undefined ? [] : [word(0x8100), word(fields.innerVlan)];
  const gre = Buffer.concat([
    word(fields.greFlags ?? 0x2000),
    word(fields.greProtocol ?? 0x6558),
    key,
    mac(fields.innerDestinationMac),
    mac(fields.innerSourceMac),
    ...tag,
    word(fields.innerType ?? ((fields.inner[0] ?? 0) >> 4 === 6 ? 0x86dd : 0x0800)),
    fields.inner,
  ]);
  const macs = [mac(fields.destinationMac), mac(fields.sourceMac)];
  const { from, to, fragment = 0x4000, extension } = fields;
  if (familyOf(from) === 6) {
    const payload = extension === undefined ? gre : Buffer.concat([extension.bytes, gre]);
    const outer = ipv6(from, to, extension?.protocol ?? GRE, payload);
    return Buffer.concat([...macs, word(0x86dd), outer]);
  }
  return Buffer.concat([...macs, word(0x0800), ipv4(from, to, GRE, gre, fragment)]);
}

/** What the test reads of a received NVGRE frame; undefined when it is none. */
export function readNvgre(
  frame: Buffer,
): { vsid: number; flowId: number; innerDestinationMac: string; inner: Buffer } | undefined {
  if (frame.readUInt16BE(12) !== 0x0800 || frame[23] !== 47 || frame.readUInt32BE(34) !== 0x20006558)
    return undefined;
  const key = frame.readUInt32BE(38);
  const innerDestinationMac = (frame.toString('hex', 42, 48).match(/../g) ?? []).join(':');
  return { vsid: key >>> 8, flowId: key & 255, innerDestinationMac, inner: frame.subarray(56) };
}
