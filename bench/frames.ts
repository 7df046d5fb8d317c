/**
 * Template frames for traffic ends, built from the RFCs without the product's code: UDP in IPv4, alone as a VM or the
 * internet sends it, in NVGRE (RFC 7637) or in VXLAN (RFC 7348). Checksums are those of port 0 on the side where flows differ;
 * kernel/traffic.bpf.c completes them for each flow.
 */
import { checksum } from '../test/lab/nvgre-frame.ts';
import { VM } from './bench-tenant.ts';

export type Form = 'nvgre' | 'vxlan' | 'plain';

/** From whom a frame is, and for whom. */
export interface Inner {
  source: { mac: string; address: string };
  destination: { mac: string; address: string };
}

export interface Tunnel {
  form: 'nvgre' | 'vxlan';
  /** MACs and provider addresses. */
  outer: Inner;
  /** VSID or VNI. */
  id: number;
}

/** What one end sends. */
export interface Traffic {
  inner: Inner;
  /** Undefined: plain frames. */
  tunnel: Tunnel | undefined;
  /** Flows differ in the receiver's port and the sender's address, and not the other way round: answers from outside. */
  fromOutside: boolean;
  /**
   * Bytes that frames begin behind the usual place. A path that makes sk_buffs of them needs some where it encapsulates: what it
   * sends would else be copied before the XDP program at the far end gets it, which no real NIC does.
   */
  spareHeadroom: number;
}

/** Inner frames, Ethernet header included and FCS not, and the order in which sizes follow each other. */
export interface Mix {
  sizes: readonly number[];
  sequence: readonly number[];
}

/** The smallest frames of Ethernet. */
export const SMALLEST: Mix = { sizes: [60], sequence: [0] };
/**
 * Simple IMIX, 7 : 4 : 1 of 64, 594 and 1,518 bytes on the wire. The largest is cut to an IP packet of 1,450 bytes, which fits
 * into VXLAN on a provider network of 1,500.
 */
export const IMIX: Mix = { sizes: [60, 590, 1464], sequence: [0, 1, 0, 0, 1, 0, 2, 0, 1, 0, 0, 1] };

/** VNI of the comparison's VXLAN. */
export const VNI = VM.vsid;
export const VXLAN_PORT = 4789;
/** RFC 863: where datagrams from a tenant go to, and those from outside come from. */
export const DISCARD_PORT = 9;
export const FIRST_FLOW_PORT = 1024;
export const PROTOCOL = { udp: 17, gre: 47 } as const;
/** Every byte of a datagram's payload. */
export const PAYLOAD_BYTE = 0x2e;

const ETHERNET = 14;
const IPV4 = 20;
const UDP = 8;
const DONT_FRAGMENT = 0x4000;
const OUTER_BYTES: Record<Form, number> = {
  nvgre: ETHERNET + IPV4 + 8,
  vxlan: ETHERNET + IPV4 + UDP + 8,
  plain: 0,
};

/** Where in a frame the inner source and destination address are. */
export function addressOffsets(form: Form): { source: number; destination: number } {
  const ip = OUTER_BYTES[form] + ETHERNET;
  return { source: ip + 12, destination: ip + 16 };
}

/** Bytes of a frame before the inner Ethernet header. */
export function outerBytes(form: Form): number {
  return OUTER_BYTES[form];
}

const bytesOfMac = (mac: string): Buffer => Buffer.from(mac.replaceAll(':', ''), 'hex');
export const bytesOfAddress = (address: string): Buffer => Buffer.from(address.split('.').map(Number));
const words = (...values: number[]): Buffer => {
  const bytes = Buffer.alloc(values.length * 2);
  values.forEach((value, index) => {
    bytes.writeUInt16BE(value, index * 2);
  });
  return bytes;
};

function ethernet({ source, destination }: Inner, payload: Buffer): Buffer {
  return Buffer.concat([bytesOfMac(destination.mac), bytesOfMac(source.mac), words(0x0800), payload]);
}

function ipv4({ source, destination }: Inner, protocol: number, payload: Buffer): Buffer {
  const header = Buffer.concat([
    words(0x4500, IPV4 + payload.length, 0, DONT_FRAGMENT, (64 << 8) | protocol, 0),
    bytesOfAddress(source.address),
    bytesOfAddress(destination.address),
  ]);
  header.writeUInt16BE(checksum(header), 10);
  return Buffer.concat([header, payload]);
}

/** What a UDP checksum covers beside the datagram (RFC 768). */
export function pseudoHeader(source: Buffer, destination: Buffer, length: number): Buffer {
  return Buffer.concat([source, destination, words(PROTOCOL.udp, length)]);
}

function plainFrame(inner: Inner, fromOutside: boolean, size: number): Buffer {
  const length = size - ETHERNET - IPV4;
  const ports = fromOutside ? [DISCARD_PORT, 0] : [0, DISCARD_PORT];
  const udp = Buffer.concat([words(...ports, length, 0), Buffer.alloc(length - UDP, PAYLOAD_BYTE)]);
  const addresses = [inner.source.address, inner.destination.address].map(bytesOfAddress) as [Buffer, Buffer];
  udp.writeUInt16BE(checksum(Buffer.concat([pseudoHeader(...addresses, length), udp])), 6);
  return ethernet(inner, ipv4(inner, PROTOCOL.udp, udp));
}

/** The template frame of a size. */
export function templateFrame({ inner, tunnel, fromOutside }: Traffic, size: number): Buffer {
  const frame = plainFrame(inner, fromOutside, size);
  if (tunnel === undefined) return frame;
  const { form, outer, id } = tunnel;
  const header =
    form === 'nvgre'
      ? words(0x2000, 0x6558, id >> 8, (id & 0xff) << 8)
      : // RFC 7348 section 5: the checksum should be zero.
        words(0, VXLAN_PORT, UDP + 8 + frame.length, 0, 0x0800, 0, id >> 8, (id & 0xff) << 8);
  const protocol = form === 'nvgre' ? PROTOCOL.gre : PROTOCOL.udp;
  return ethernet(outer, ipv4(outer, protocol, Buffer.concat([header, frame])));
}
