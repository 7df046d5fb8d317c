/**
 * Reading address-like fields: canonical text out, or a refusal that says what the field must look like. IPv6 is known
 * and refused here, in one place, until the data plane carries it.
 */
import {
  addressFamily,
  canonicalAddress,
  canonicalMac,
  isForwardableUnicast,
  isUnicastMac,
  parsePrefix,
} from '../address.ts';
import { routerMac } from '../router.ts';
import { invalid } from './refusal.ts';

export const UNSPECIFIED = '0.0.0.0';

/** Canonical IPv4 address. */
export function addressField(pointer: string, text: string): string {
  const address = canonicalAddress(text);
  if (address === undefined) {
    throw invalid(
      'ip-address',
      pointer,
      text,
      'is not an IP address: four decimal numbers 0 to 255 with dots',
    );
  }
  if (addressFamily(address) === 6) throw ipv6(pointer, text);
  return address;
}

/** Canonical IPv4 address that routers forward to. */
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

/** Canonical IPv4 prefix. */
export function prefixField(pointer: string, text: string): string {
  const prefix = parsePrefix(text);
  if (prefix === undefined) {
    throw invalid(
      'ip-prefix',
      pointer,
      text,
      'is not an IP prefix: an address, a slash and a length of 0 to 32',
    );
  }
  if (prefix.family === 6) throw ipv6(pointer, text);
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

/** Canonical MAC address that a VM or gateway can have. */
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

function ipv6(pointer: string, text: string) {
  return invalid(
    'ipv6-not-supported',
    pointer,
    text,
    'is IPv6, which comes in a later version: only IPv4 is supported',
  );
}
