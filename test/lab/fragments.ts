/** IPv4 packets in fragments (RFC 791 section 3.2), and the orders in which they can arrive. */
import { checksum } from './nvgre-frame.ts';

const HEADER = 20;
const MORE = 0x2000;

/** The packet, which has no options, in fragments of `size` bytes of data (a multiple of 8) under an identification. */
export function fragmentsOf(packet: Buffer, identification: number, size: number): Buffer[] {
  const fragments: Buffer[] = [];
  for (let at = HEADER; at < packet.length; at += size) {
    const data = packet.subarray(at, at + size);
    const head = Buffer.from(packet.subarray(0, HEADER));
    head.writeUInt16BE(HEADER + data.length, 2);
    head.writeUInt16BE(identification, 4);
    head.writeUInt16BE((at - HEADER) / 8 + (at + size < packet.length ? MORE : 0), 6);
    head.writeUInt16BE(0, 10);
    head.writeUInt16BE(checksum(head), 10);
    fragments.push(Buffer.concat([head, data]));
  }
  return fragments;
}

export function permutations<T>(items: readonly T[]): T[][] {
  if (items.length === 0) return [[]];
  return items.flatMap((item, index) =>
    permutations(items.toSpliced(index, 1)).map((others) => [item, ...others]),
  );
}
