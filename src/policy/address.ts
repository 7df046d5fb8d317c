/**
 * IP addresses, prefixes and MAC addresses as text, in one canonical form each, so that equal things are equal strings
 * (map keys, comparison by value), and their translation to the data plane's bytes: 128-bit, IPv4 as `::ffff:a.b.c.d`.
 */
import ipaddr from 'ipaddr.js';
import { HnvError } from '../errors.ts';

type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** A prefix as it was written. `hostBits`: the address was not the prefix's lowest one. */
export interface Prefix {
  /** Canonical `address/length`, host bits cleared. */
  readonly text: string;
  readonly family: 4 | 6;
  /** Of the family: 0 to 32 or 0 to 128. */
  readonly length: number;
  readonly hostBits: boolean;
}

/** The data plane's form of a prefix. */
export interface PrefixBytes {
  /** 16 bytes, network order. */
  readonly bytes: Uint8Array;
  /** In 128-bit space: an IPv4 prefix is 96 longer. */
  readonly length: number;
}

const V4_MAPPED = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/**
 * Reads one address, undefined when it is none. IPv4 only as four decimal numbers; IPv6 only in hexadecimal groups,
 * without zone. The v4-mapped form is refused, because in the data plane it would be the IPv4 address.
 */
function read(text: string): Address | undefined {
  if (!text.includes(':')) {
    return ipaddr.IPv4.isValidFourPartDecimal(text) ? ipaddr.IPv4.parse(text) : undefined;
  }
  if (text.includes('.') || text.includes('%') || !ipaddr.IPv6.isValid(text)) return undefined;
  const address = ipaddr.IPv6.parse(text);
  return address.isIPv4MappedAddress() ? undefined : address;
}

function write(address: Address): string {
  return address instanceof ipaddr.IPv6 ? address.toRFC5952String() : address.toString();
}

/** For text that has passed `canonicalAddress` or `parsePrefix` before. */
function readTrusted(text: string): Address {
  const address = read(text);
  if (address === undefined) throw new HnvError('HNV_INTERNAL', `${text} is not an IP address.`);
  return address;
}

function splitTrusted(prefix: string): [Address, number] {
  const slash = prefix.indexOf('/');
  if (slash < 0) throw new HnvError('HNV_INTERNAL', `${prefix} is not an IP prefix.`);
  return [readTrusted(prefix.slice(0, slash)), Number(prefix.slice(slash + 1))];
}

function fromFamilyBytes(bytes: readonly number[]): string {
  return write(ipaddr.fromByteArray([...bytes]));
}

/** `bytes` with every bit from `length` on set to `bit`. */
function fillHost(bytes: readonly number[], length: number, bit: 0 | 1): number[] {
  return bytes.map((byte, index) => {
    const hostMask = 0xff >> Math.min(8, Math.max(0, length - index * 8));
    return bit === 1 ? byte | hostMask : byte & ~hostMask;
  });
}

/** The canonical text of an address (RFC 5952 for IPv6), or undefined when `text` is no address. */
export function canonicalAddress(text: string): string | undefined {
  const address = read(text);
  return address === undefined ? undefined : write(address);
}

/** Reads `address/length`, or undefined when `text` is no prefix. The caller decides about host bits. */
export function parsePrefix(text: string): Prefix | undefined {
  const [, addressText = '', lengthText = ''] = /^([^/]+)\/(0|[1-9]\d{0,2})$/.exec(text) ?? [];
  const address = read(addressText);
  const length = Number(lengthText);
  if (address === undefined || length > (address.kind() === 'ipv4' ? 32 : 128)) return undefined;
  const bytes = address.toByteArray();
  const network = fillHost(bytes, length, 0);
  return {
    text: `${fromFamilyBytes(network)}/${length}`,
    family: address.kind() === 'ipv4' ? 4 : 6,
    length,
    hostBits: network.some((byte, index) => byte !== bytes[index]),
  };
}

/** 4 or 6. */
export function addressFamily(address: string): 4 | 6 {
  return address.includes(':') ? 6 : 4;
}

/**
 * Whether hosts may own the address and routers forward to it: not unspecified (0.0.0.0/8, ::), loopback, link-local,
 * multicast or, in IPv4, of the reserved block 240.0.0.0/4 with the broadcast address.
 */
export function isForwardableUnicast(text: string): boolean {
  const address = readTrusted(text);
  if (address instanceof ipaddr.IPv4 && (address.octets[0] ?? 0) >= 240) return false;
  return !['unspecified', 'loopback', 'linkLocal', 'multicast'].includes(address.range());
}

/**
 * Whether the address is of a multicast group whose packets may leave a link: not of 224.0.0.0/24, and in IPv6 of a
 * scope over 2 (RFC 4291 section 2.7).
 */
export function isRoutableMulticast(text: string): boolean {
  const address = readTrusted(text);
  if (address.range() !== 'multicast') return false;
  const [, second = 0] = address.toByteArray();
  if (address instanceof ipaddr.IPv6) return (second & 0x0f) > 2 && (second & 0x0f) < 0x0f;
  return networkAddress(prefixAround(text, 24)) !== '224.0.0.0';
}

/** Whether the canonical prefix has the address in it; never across families. */
export function contains(prefix: string, address: string): boolean {
  const [network, length] = splitTrusted(prefix);
  const candidate = readTrusted(address);
  return network.kind() === candidate.kind() && candidate.match(network, length);
}

/** Whether two canonical prefixes share an address; one then contains the other. */
export function overlaps(prefixA: string, prefixB: string): boolean {
  const [networkA, lengthA] = splitTrusted(prefixA);
  const [networkB, lengthB] = splitTrusted(prefixB);
  return networkA.kind() === networkB.kind() && networkA.match(networkB, Math.min(lengthA, lengthB));
}

/** Whether `inner` lies wholly within `outer`. */
export function containsPrefix(outer: string, inner: string): boolean {
  return splitTrusted(outer)[1] <= splitTrusted(inner)[1] && overlaps(outer, inner);
}

/** The prefix that is this address alone. */
export function hostPrefix(address: string): string {
  return `${address}/${addressFamily(address) === 4 ? 32 : 128}`;
}

/** The canonical prefix of `length` (of the family) that the address lies in. */
export function prefixAround(address: string, length: number): string {
  return `${fromFamilyBytes(fillHost(readTrusted(address).toByteArray(), length, 0))}/${length}`;
}

/** The network address itself. */
export function networkAddress(prefix: string): string {
  return prefix.slice(0, prefix.indexOf('/'));
}

/** The `.1`: network address + 1, which belongs to the distributed router. */
export function firstUsable(prefix: string): string {
  const bytes = splitTrusted(prefix)[0].toByteArray();
  for (let index = bytes.length - 1; index >= 0; index--) {
    const next = ((bytes[index] ?? 0) + 1) & 0xff;
    bytes[index] = next;
    if (next !== 0) break;
  }
  return fromFamilyBytes(bytes);
}

/** The highest address; of an IPv4 subnet the broadcast address. */
export function lastAddress(prefix: string): string {
  const [network, length] = splitTrusted(prefix);
  return fromFamilyBytes(fillHost(network.toByteArray(), length, 1));
}

/**
 * A function that writes the addresses of a prefix of at most 65,536 by their number from 0 on. Written for loops over many:
 * the two bytes that differ are the last group of IPv6, which takes part in the shortening only when it is zero.
 */
export function nthAddress(prefix: string): (index: number) => string {
  const bytes = splitTrusted(prefix)[0].toByteArray();
  const low = ((bytes.at(-2) ?? 0) << 8) + (bytes.at(-1) ?? 0);
  if (bytes.length === 4) {
    const head = `${bytes[0]}.${bytes[1]}.`;
    return (index) => `${head}${(low + index) >> 8}.${(low + index) & 0xff}`;
  }
  const zero = fromFamilyBytes([...bytes.slice(0, -2), 0, 0]);
  const head = fromFamilyBytes([...bytes.slice(0, -2), 0, 1]).slice(0, -1);
  return (index) => (low + index === 0 ? zero : head + (low + index).toString(16));
}

/** The 16 bytes of an address, network order. */
export function addressBytes(text: string): Uint8Array {
  const bytes = readTrusted(text).toByteArray();
  return Uint8Array.from(bytes.length === 4 ? [...V4_MAPPED, ...bytes] : bytes);
}

/** The canonical text of 16 bytes: the inverse of `addressBytes`. */
export function addressFromBytes(bytes: Uint8Array): string {
  if (bytes.length !== 16)
    throw new HnvError('HNV_INTERNAL', `An address has 16 bytes, not ${bytes.length}.`);
  const mapped = V4_MAPPED.every((byte, index) => bytes[index] === byte);
  return fromFamilyBytes([...bytes.subarray(mapped ? 12 : 0)]);
}

/** A canonical prefix for a 128-bit longest-prefix-match table. */
export function prefixBytes(prefix: string): PrefixBytes {
  const [network, length] = splitTrusted(prefix);
  return {
    bytes: addressBytes(networkAddress(prefix)),
    length: network.kind() === 'ipv4' ? 96 + length : length,
  };
}

/** A string that sorts as the number does: IPv4 and IPv6 addresses and prefixes, a shorter prefix first. */
export function addressOrder(text: string): string {
  const slash = text.indexOf('/');
  if (slash < 0) return Buffer.from(addressBytes(text)).toString('hex');
  return addressOrder(text.slice(0, slash)) + text.slice(slash + 1).padStart(3, '0');
}

/** Lower case with colons, or undefined when `text` is no MAC address. */
export function canonicalMac(text: string): string | undefined {
  if (!/^[0-9a-f]{2}([:-][0-9a-f]{2}){5}$/i.test(text)) return undefined;
  return text.toLowerCase().replaceAll('-', ':');
}

/** The 6 bytes of a canonical MAC address. */
export function macBytes(mac: string): Uint8Array {
  return Uint8Array.from(mac.split(':'), (byte) => Number.parseInt(byte, 16));
}

/** Neither a group address nor zero. */
export function isUnicastMac(mac: string): boolean {
  const bytes = macBytes(mac);
  return ((bytes[0] ?? 1) & 1) === 0 && bytes.some((byte) => byte !== 0);
}
