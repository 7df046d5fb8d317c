/**
 * What the data plane needs to translate an IPv6 prefix (NPTv6, RFC 6296): it is worked out here once, so that a packet
 * costs an addition. Pure.
 */
import { addressBytes, addressFromBytes, prefixBytes } from '../policy/address.ts';
import type { Translation } from './layout.generated.ts';

/** Longest prefix that leaves a whole interface identifier to take the adjustment (section 3.5). */
const LONGEST = 64;
const PADDING = new Uint8Array(2);

/** Sum of the 16-bit words in ones' complement arithmetic (RFC 1071). */
function sumOf(bytes: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += ((bytes[at] ?? 0) << 8) + (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}

/** What is added to a word of an address when its prefix `from` becomes `to`, so that the sum of all stays (section 3.1). */
export function prefixAdjustment(from: string, to: string): number {
  const difference = sumOf(prefixBytes(from).bytes) + (~sumOf(prefixBytes(to).bytes) & 0xffff);
  return difference > 0xffff ? (difference & 0xffff) + 1 : difference;
}

/** What becomes of addresses of the prefix `from`: they get the prefix `to`, of the same length, 64 at most. */
export function translation(from: string, to: string): Translation {
  const { bytes: prefix, length } = prefixBytes(to);
  if (prefixBytes(from).length !== length || length > LONGEST)
    throw new RangeError(`${from} cannot be translated to ${to} (RFC 6296).`);
  return { prefix, length, adjustment: prefixAdjustment(from, to), pad: PADDING };
}

/**
 * What the data plane makes of an address (sections 3.4 and 3.5): the subnet's word takes the adjustment, or, where that is within the
 * prefix, the first of the interface identifier that is not all ones. All ones alone have no other form, and stay.
 */
export function translated(address: string, { prefix, length, adjustment }: Translation): string {
  const bytes = Buffer.from(addressBytes(address));
  for (let bit = 0; bit < length; bit += 8) {
    const kept = 0xff >> Math.min(8, length - bit);
    bytes[bit / 8] = ((bytes[bit / 8] ?? 0) & kept) | ((prefix[bit / 8] ?? 0) & ~kept);
  }
  for (const word of length <= 48 ? [3] : [4, 5, 6, 7]) {
    const before = bytes.readUInt16BE(2 * word);
    if (before === 0xffff) continue;
    bytes.writeUInt16BE((before + adjustment) % 0xffff, 2 * word);
    return addressFromBytes(bytes);
  }
  return address;
}

/** Addresses of the prefix stay as they are. */
export const untranslated: Translation = {
  prefix: new Uint8Array(16),
  length: 0,
  adjustment: 0,
  pad: PADDING,
};
