/**
 * Packets as no stack would necessarily send them: each field of frame, tunnel, IP and transport as it is wished, lengths and
 * checksums right unless they are wished otherwise.
 */
import ipaddr from 'ipaddr.js';
import { familyOf } from './address.ts';
import { checksum } from './nvgre-frame.ts';

export const PROTOCOL = { icmp: 1, tcp: 6, udp: 17, gre: 47, icmpv6: 58 } as const;
export const TCP_FLAG = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16, urg: 32, ece: 64, cwr: 128 } as const;
export const DONT_FRAGMENT = 0x4000;
export const MORE_FRAGMENTS = 0x2000;
const VLAN = 0x8100;
const ETHERTYPE = { 4: 0x0800, 6: 0x86dd } as const;

export interface CraftedLink {
  destinationMac: string;
  sourceMac: string;
  /** Tag control information of each VLAN tag, outermost first. */
  tags: number[];
  /** By default that of what it carries. */
  type?: number;
}

export interface CraftedTunnel extends CraftedLink {
  /** Provider addresses. */
  from: string;
  to: string;
  tos: number;
  ttl: number;
  /** Flags and fragment offset, of IPv4. */
  fragment: number;
  /** First 16 bits of the GRE header, and what stands behind it when these flags announce more. */
  flags: number;
  more: Buffer;
  protocol: number;
  vsid: number;
  flowId: number;
  /** What the outer IPv4 header's checksum is off by. */
  wrong: number;
}

export interface CraftedIp {
  source: string;
  destination: string;
  /** TOS, or traffic class. */
  tos: number;
  ttl: number;
  /** IPv4: identification, flags and fragment offset, options. */
  id: number;
  fragment: number;
  options: Buffer;
  /** IPv6: flow label; extension headers, of which each begins with the number of the next one. */
  label: number;
  extensions: { number: number; bytes: Buffer }[];
  /** What the length field, and IPv4's checksum, are off by. */
  excess: number;
  wrong: number;
}

interface Checked {
  /** What the checksum is off by; undefined: there is none. */
  wrong: number | undefined;
  data: Buffer;
}
export interface CraftedTcp extends Checked {
  kind: 'tcp';
  ports: [number, number];
  seq: number;
  ack: number;
  flags: number;
  window: number;
  options: Buffer;
}
export interface CraftedUdp extends Checked {
  kind: 'udp';
  ports: [number, number];
  /** What the length field is off by. */
  excess: number;
}
/** Any message that has a word behind its checksum: echoes, errors. */
export interface CraftedIcmp extends Checked {
  kind: 'icmp';
  type: number;
  code: number;
  rest: [number, number];
}
/** Any bytes: of a fragment. */
export interface CraftedBytes extends Checked {
  kind: 'bytes';
  protocol: number;
}
export type CraftedTransport = CraftedTcp | CraftedUdp | CraftedIcmp | CraftedBytes;

export interface Crafted {
  link: CraftedLink;
  tunnel: CraftedTunnel | undefined;
  ip: CraftedIp;
  transport: CraftedTransport;
  /** Behind the end of the IP packet, inside of the tunnel where there is one; and behind the end of all. */
  trailer: Buffer;
  padding: Buffer;
}

const bytesOf = (address: string): Buffer => Buffer.from(ipaddr.parse(address).toByteArray());
const mac = (text: string): Buffer => Buffer.from(text.replaceAll(':', ''), 'hex');
/** 16 bits each, in network order. */
export const words = (...values: number[]): Buffer =>
  Buffer.from(values.flatMap((value) => [(value >> 8) & 255, value & 255]));
const long = (value: number): Buffer => words(value >>> 16, value & 0xffff);

/** Adds in one's complement, so that a checksum that is off by something stays off by it. */
const offBy = (value: number, wrong: number): number => (value + wrong) % 0xffff;

function linkBytes({ destinationMac, sourceMac, tags, type }: CraftedLink, carried: number): Buffer {
  const tagged = tags.map((tag) => words(VLAN, tag));
  return Buffer.concat([mac(destinationMac), mac(sourceMac), ...tagged, words(type ?? carried)]);
}

function transportBytes(ip: CraftedIp, transport: CraftedTransport): Buffer {
  const { kind, data, wrong } = transport;
  const [message, at, protocol] = headOf(transport, familyOf(ip.source));
  const bytes = Buffer.concat([message, data]);
  if (wrong === undefined) return bytes;
  const pseudo =
    kind === 'icmp' && protocol === PROTOCOL.icmp
      ? []
      : [bytesOf(ip.source), bytesOf(ip.destination), words(bytes.length, protocol)];
  const sum = checksum(Buffer.concat([...pseudo, bytes]));
  bytes.writeUInt16BE((wrong === 0 ? sum : offBy(sum, wrong)) || (kind === 'udp' ? 0xffff : 0), at);
  return bytes;
}

/** A header with no checksum yet, where that is, and the protocol's number. */
function headOf(transport: CraftedTransport, family: 4 | 6): [bytes: Buffer, at: number, protocol: number] {
  const { data } = transport;
  if (transport.kind === 'bytes') return [Buffer.alloc(0), 0, transport.protocol];
  if (transport.kind === 'udp')
    return [words(...transport.ports, 8 + data.length + transport.excess, 0), 6, PROTOCOL.udp];
  if (transport.kind === 'icmp') {
    const { type, code, rest } = transport;
    const protocol = family === 4 ? PROTOCOL.icmp : PROTOCOL.icmpv6;
    return [Buffer.concat([Buffer.from([type, code]), words(0, ...rest)]), 2, protocol];
  }
  const { ports, seq, ack, flags, window, options } = transport;
  const offset = (20 + options.length) / 4;
  const head = [words(...ports), long(seq), long(ack), words((offset << 12) | flags, window, 0, 0), options];
  return [Buffer.concat(head), 16, PROTOCOL.tcp];
}

/** The IP packet. */
export function packetBytes({ ip, transport }: Pick<Crafted, 'ip' | 'transport'>): Buffer {
  const payload = transportBytes(ip, transport);
  const [, , protocol] = headOf(transport, familyOf(ip.source));
  const addresses = [bytesOf(ip.source), bytesOf(ip.destination)];
  if (familyOf(ip.source) === 6) {
    const extensions = Buffer.concat(
      ip.extensions.map(({ bytes }, index) => {
        const next = ip.extensions[index + 1]?.number ?? protocol;
        return Buffer.concat([Buffer.from([next]), bytes]);
      }),
    );
    const first = words(0x6000 | (ip.tos << 4) | (ip.label >> 16), ip.label & 0xffff);
    const length = words(extensions.length + payload.length + ip.excess);
    const next = Buffer.from([ip.extensions[0]?.number ?? protocol, ip.ttl]);
    return Buffer.concat([first, length, next, ...addresses, extensions, payload]);
  }
  const header = Buffer.concat([
    Buffer.from([0x40 | ((20 + ip.options.length) / 4), ip.tos]),
    words(20 + ip.options.length + payload.length + ip.excess, ip.id, ip.fragment),
    Buffer.from([ip.ttl, protocol, 0, 0]),
    ...addresses,
    ip.options,
  ]);
  header.writeUInt16BE(offBy(checksum(header), ip.wrong), 10);
  return Buffer.concat([header, payload]);
}

function outerBytes(tunnel: CraftedTunnel, inner: Buffer): Buffer {
  const gre = Buffer.concat([
    words(tunnel.flags, tunnel.protocol),
    long(tunnel.vsid * 256 + tunnel.flowId),
    tunnel.more,
    inner,
  ]);
  const addresses = [bytesOf(tunnel.from), bytesOf(tunnel.to)];
  if (familyOf(tunnel.from) === 6) {
    const first = words(0x6000 | (tunnel.tos << 4), tunnel.flowId, gre.length);
    return Buffer.concat([first, Buffer.from([PROTOCOL.gre, tunnel.ttl]), ...addresses, gre]);
  }
  const header = Buffer.concat([
    Buffer.from([0x45, tunnel.tos]),
    words(20 + gre.length, 0, tunnel.fragment),
    Buffer.from([tunnel.ttl, PROTOCOL.gre, 0, 0]),
    ...addresses,
  ]);
  header.writeUInt16BE(offBy(checksum(header), tunnel.wrong), 10);
  return Buffer.concat([header, gre]);
}

/** The whole Ethernet frame, without frame check sequence. */
export function frameBytes(crafted: Crafted): Buffer {
  const { link, tunnel, trailer, padding } = crafted;
  const packet = Buffer.concat([packetBytes(crafted), trailer]);
  const type = ETHERTYPE[familyOf(crafted.ip.source)];
  if (tunnel === undefined) return Buffer.concat([linkBytes(link, type), packet, padding]);
  const outer = outerBytes(tunnel, Buffer.concat([linkBytes(tunnel, type), packet]));
  return Buffer.concat([linkBytes(link, ETHERTYPE[familyOf(tunnel.from)]), outer, padding]);
}
