/** Addresses of a lab as text: what a peer needs to know of them, read with nothing of the product's own code. */
import { isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';

/** 4 or 6, of an address or a prefix. */
export function familyOf(address: string): 4 | 6 {
  return isIPv6(address.split('/')[0] ?? '') ? 6 : 4;
}

/** Lowest address of a prefix plus one: the distributed router's. */
export function routerAddress(prefix: string): string {
  const [address, length] = ipaddr.parseCIDR(prefix);
  const bytes = address.toByteArray().map((byte, index) => {
    const bits = Math.min(8, Math.max(0, length - index * 8));
    return byte & (0xff00 >> bits) & 0xff;
  });
  bytes.push((bytes.pop() ?? 0) | 1);
  return addressText(bytes);
}

/** The address that stands `offset` (below 256) behind the prefix's lowest one, which ends in a zero byte. */
export function addressAt(prefix: string, offset: number): string {
  const bytes = ipaddr.parse(prefix.split('/')[0] ?? '').toByteArray();
  return addressText([...bytes.slice(0, -1), offset]);
}

/** Length of a prefix. */
export function prefixLengthOf(prefix: string): number {
  return Number(prefix.split('/')[1]);
}

function addressText(bytes: number[]): string {
  const address = ipaddr.fromByteArray(bytes);
  return address instanceof ipaddr.IPv6 ? address.toRFC5952String() : address.toString();
}
