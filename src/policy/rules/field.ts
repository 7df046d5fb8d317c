/**
 * Reading address-like fields: canonical text out, or a refusal that says what the field must look like.
 */
import {
  canonicalAddress,
  canonicalMac,
  isForwardableUnicast,
  isRoutableMulticast,
  isUnicastMac,
  overlaps,
  parsePrefix,
} from '../address.ts';
import { routerMac } from '../router.ts';
import { invalid } from './refusal.ts';

/** Whether the canonical address stands for none: in a record for a MAC address alone, as a next hop for on-link. */
export function isUnspecified(address: string): boolean {
  return address === '0.0.0.0' || address === '::';
}

/** Canonical address. */
export function addressField(pointer: string, text: string): string {
  const address = canonicalAddress(text);
  if (address === undefined) {
    throw invalid(
      'ip-address',
      pointer,
      text,
      'is not an IP address: four decimal numbers 0 to 255 with dots, or IPv6 as hexadecimal groups with colons',
    );
  }
  return address;
}

/** Canonical address that routers forward to. */
export function unicastField(pointer: string, text: string): string {
  const address = addressField(pointer, text);
  if (!isForwardableUnicast(address)) {
    throw invalid(
      'address-unicast',
      pointer,
      text,
      'is not a unicast address: unspecified, loopback, link-local, multicast, reserved and broadcast addresses are refused',
    );
  }
  return address;
}

/** Canonical address of a multicast group that reaches beyond a link. */
export function multicastField(pointer: string, text: string): string {
  const address = addressField(pointer, text);
  if (!isRoutableMulticast(address)) {
    throw invalid(
      'address-multicast',
      pointer,
      text,
      'is not the address of a multicast group that reaches beyond a link: 224.0.1.0 to 239.255.255.255, or IPv6 ff00::/8 of a scope over 2 (link-local)',
    );
  }
  return address;
}

/** Canonical prefix. */
export function prefixField(pointer: string, text: string): string {
  const prefix = parsePrefix(text);
  if (prefix === undefined) {
    throw invalid(
      'ip-prefix',
      pointer,
      text,
      'is not an IP prefix: an address, a slash and a length of 0 to 32, for IPv6 of 0 to 128',
    );
  }
  if (prefix.hostBits) {
    throw invalid(
      'prefix-host-bits',
      pointer,
      text,
      `has host bits that are not zero: a prefix is written with its lowest address, here ${prefix.text}`,
    );
  }
  return prefix.text;
}

/**
 * IPv4: unspecified, loopback, link-local, multicast, reserved. IPv6: reserved by RFC 4291 (unspecified, loopback,
 * v4-mapped), link-local, multicast.
 */
const NOT_UNICAST = [
  ...['0.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16', '224.0.0.0/4', '240.0.0.0/4'],
  ...['::/8', 'fe80::/10', 'ff00::/8'],
];

/** Throws HNV_INVALID_FIELD unless all addresses of the canonical prefix are unicast. */
export function requireUnicastPrefix(pointer: string, prefix: string): void {
  const block = NOT_UNICAST.find((candidate) => overlaps(candidate, prefix));
  if (block !== undefined) {
    throw invalid('prefix-unicast', pointer, prefix, `is not unicast: it must not overlap ${block}`);
  }
}

/** Canonical MAC address that an interface other than the distributed router's can have. */
export function macField(pointer: string, text: string): string {
  const mac = canonicalMac(text);
  if (mac === undefined) {
    throw invalid(
      'mac-address',
      pointer,
      text,
      'is not a MAC address: six hexadecimal bytes with colons or hyphens',
    );
  }
  if (!isUnicastMac(mac)) {
    throw invalid(
      'mac-unicast',
      pointer,
      text,
      'is not a unicast MAC address: group addresses and zero are refused',
    );
  }
  if (mac === routerMac) {
    throw invalid(
      'mac-reserved',
      pointer,
      text,
      'is reserved: it is the MAC address of the distributed router',
    );
  }
  return mac;
}
