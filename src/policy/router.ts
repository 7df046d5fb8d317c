/**
 * The MAC addresses that the product gives out itself: the distributed router's, which is the same on every host and
 * in every subnet, and the default of a domain's gateway, which every node derives alike.
 */
import { createHash } from 'node:crypto';
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

/** The gateway's MAC in a domain that does not name one: locally administered, 40 bits of the RDID's SHA-256. */
export function gatewayMac(rdid: string): string {
  return derivedMac(rdid);
}

/** The MAC of the domain's gateway: the one it was given, else the default. */
export function effectiveGatewayMac(rdid: string, gateway: NonNullable<DomainState['gateway']>): string {
  return gateway.macAddress ?? gatewayMac(rdid);
}
