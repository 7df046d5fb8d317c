/**
 * IPv4 packets at an interface of a namespace, sent and heard by hand past its stack, and such as no stack would send: segments of
 * TCP with any flags, ICMP with anything quoted.
 */

import type { Namespace } from './namespace.ts';
import { checksum } from './nvgre-frame.ts';
import { PacketSocket } from './packet-socket.ts';
import { until } from './until.ts';
import { frame, ipPacket } from './vm-frame.ts';

const IPV4 = 0x0800;
const ETHERNET = 14;
const [ICMP, TCP, UDP] = [1, 6, 17];

export class IpWire {
  readonly #socket: PacketSocket;
  readonly #macs: readonly [destination: string, source: string];

  /** What is sent there goes from one MAC to another. */
  constructor(namespace: Namespace, nic: string, macs: readonly [destination: string, source: string]) {
    this.#socket = new PacketSocket(namespace, nic);
    this.#macs = macs;
  }

  send(packet: Buffer): void {
    this.#socket.send(frame(...this.#macs, IPV4, packet));
  }

  /** What has arrived since the last call, without the padding of frames. */
  take(): Buffer[] {
    return this.#socket.take().map((bytes) => bytes.subarray(ETHERNET, ETHERNET + bytes.readUInt16BE(16)));
  }

  /** The first packet that fits. What came before it is forgotten. */
  hear(what: string, fits: (packet: Buffer) => boolean): Promise<Buffer> {
    return until(what, 2_000, () => this.take().find(fits));
  }
}

export const word = (...values: number[]): Buffer =>
  Buffer.from(values.flatMap((value) => [value >> 8, value & 255]));
export const sourceOf = (packet: Buffer): string => packet.subarray(12, 16).join('.');
export const protocolOf = (packet: Buffer): number | undefined => packet[9];

/** An ICMP message of type and code; behind the checksum an identifier, or the length of what is quoted (RFC 4884). */
export function icmpPacket(
  from: string,
  to: string,
  [type, code]: readonly [number, number],
  body: Buffer,
  first = 0,
): Buffer {
  const message = Buffer.concat([Buffer.from([type, code]), word(0, first, 0), body]);
  message.writeUInt16BE(checksum(message), 2);
  return ipPacket(from, to, ICMP, message);
}

/** What a router quotes of a datagram; its UDP checksum is wrong. */
export const quotedUdp = (from: string, port: number, to: string, toPort: number): Buffer =>
  ipPacket(from, to, UDP, word(port, toPort, 12, 0x1234, 0, 0));

/** A TCP segment without options. */
export function tcpPacket(
  [from, fromPort]: [string, number],
  [to, toPort]: [string, number],
  flags: number,
  [seq, ack]: [number, number],
): Buffer {
  const bytes = Buffer.alloc(20);
  word(fromPort, toPort).copy(bytes);
  bytes.writeUInt32BE(seq, 4);
  bytes.writeUInt32BE(ack, 8);
  word(0x5000 | flags, 0xffff).copy(bytes, 12);
  const addresses = ipPacket(from, to, TCP, Buffer.alloc(0)).subarray(12);
  bytes.writeUInt16BE(checksum(Buffer.concat([addresses, word(TCP, 20), bytes])), 16);
  return ipPacket(from, to, TCP, bytes);
}
