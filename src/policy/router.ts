/**
 * The MAC addresses that the product gives out itself: the distributed router's, which is the same on every host and
 * in every subnet, and the default of a domain's gateway, which every node derives alike.
 */
import { createHash } from 'node:crypto';
import { addressFromBytes } from './address.ts';
import type { DomainState } from './state.ts';

/**
 * The distributed router answers for every `.1` with this address: locally administered, "HNV" in ASCII in the middle.
 * A packet never leaves a host with it, so it need not be unique; no VM may have it.
 */
export const routerMac = '02:48:4e:56:00:01';

/** A MAC that is the same whenever it is asked for: locally administered, 40 bits of the text's SHA-256. */
export function derivedMac(text: string): string {
  const digest = createHash('sha256').update(text).digest('hex');
  return ['02', ...(digest.slice(0, 10).match(/../g) ?? [])].join(':');
}

/** The IPv6 link-local address of a MAC (modified EUI-64, RFC 4291 appendix A), in canonical form. */
export function linkLocalAddress(mac: string): string {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = mac
    .split(':')
    .map((digits) => Number.parseInt(digits, 16));
  return addressFromBytes(Uint8Array.of(0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f));
}

/** The gateway's MAC in a domain that does not name one: locally administered, 40 bits of the RDID's SHA-256. */
export function gatewayMac(rdid: string): string {
  return derivedMac(rdid);
}

/** The MAC of the domain's gateway: the one it was given, else the default. */
export function effectiveGatewayMac(rdid: string, gateway: NonNullable<DomainState['gateway']>): string {
  return gateway.macAddress ?? gatewayMac(rdid);
}
