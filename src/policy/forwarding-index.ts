/**
 * What a forwarding policy has that no other domain may have: its VLAN, or on an untagged network, which many share, its addresses
 * and the prefixes that are routed to it.
 */
import { overlapping } from './address-ranges.ts';
import { outermost } from './prefix-set.ts';
import type { Forwarding } from './resources.ts';
import type { DesiredState } from './state.ts';

export interface ForwardingClaims {
  /** As `vlanKey` writes it. */
  readonly vlan?: string;
  /** Canonical, without length. */
  readonly addresses: readonly string[];
  /** Canonical, none within another. */
  readonly prefixes: readonly string[];
}

/** Stands for a VLAN of an interface. */
export function vlanKey(uplink: string, vlanId: number): string {
  return `${uplink} ${vlanId}`;
}

/** The interface of the policy: that which it names, or the first of the node's, or without any the default by no name. */
export function uplinkOf({ uplink }: Pick<Forwarding, 'uplink'>, uplinks: readonly string[]): string {
  return uplink ?? uplinks[0] ?? '';
}

/** Of a policy as `normalize` returned it. `uplinks` are those of the state. */
export function claimsOf(forwarding: Forwarding, uplinks: readonly string[]): ForwardingClaims {
  const { vlanId, addresses, advertise = [] } = forwarding;
  if (vlanId !== undefined)
    return { vlan: vlanKey(uplinkOf(forwarding, uplinks), vlanId), addresses: [], prefixes: [] };
  return { addresses: addresses.map(addressOf), prefixes: outermost(advertise) };
}

/** Of `address/length`. */
export function addressOf(interfaceAddress: string): string {
  return interfaceAddress.slice(0, interfaceAddress.indexOf('/'));
}

/** Whose forwarding has an address or prefix on an untagged network that overlaps this one, as a sentence; its own does not count. */
export function forwardingOwner(
  { forwardings }: DesiredState,
  rdid: string | undefined,
  text: string,
): string | undefined {
  for (const found of overlapping(forwardings.ranges, text)) {
    const owner = forwardings.addresses.get(found) ?? forwardings.prefixes.get(found);
    if (owner === undefined || owner === rdid) continue;
    return `It overlaps ${found} of the forwarding of routing domain ${owner}.`;
  }
  return undefined;
}
