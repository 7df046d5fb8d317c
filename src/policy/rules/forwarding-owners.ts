/**
 * Rules of forwarding between routing domains: a VLAN is one domain's, and so are, on an untagged network, an address and all that is
 * in a prefix.
 */
import { claimsOf, uplinkOf, vlanKey } from '../forwarding-index.ts';
import type { Forwarding, ProviderAddress } from '../resources.ts';
import type { DesiredState } from '../state.ts';
import { ownerOf } from './nat-addresses.ts';
import { ownerOfPrefix } from './nat-prefixes.ts';
import { conflict } from './refusal.ts';

/** What the domain `rdid` asks for must be free. */
export function checkForwardingOwners(state: DesiredState, rdid: string, value: Forwarding): void {
  const owner = vlanOwner(state, rdid, value);
  if (owner !== undefined) {
    const why =
      'is not available to this routing domain: a VLAN of an interface belongs to one routing domain, and none to the provider network';
    throw conflict('forwarding-vlan-unique', '/vlanId', value.vlanId, why, { forOperators: owner });
  }
  if (value.vlanId !== undefined) return;
  for (const [index, ipAddress] of claimsOf(value, state.uplinks).addresses.entries()) {
    const forOperators = ownerOf(state, rdid, { ipAddress });
    if (forOperators === undefined) continue;
    const why =
      'is not available to this routing domain: without vlanId, an address of forwarding is no other domain’s, no external address and no provider address';
    throw conflict('forwarding-address-available', `/addresses/${index}`, value.addresses[index], why, {
      forOperators,
    });
  }
  for (const [index, prefix] of (value.advertise ?? []).entries()) {
    const forOperators = ownerOfPrefix(state, rdid, prefix);
    if (forOperators === undefined) continue;
    const why =
      'is not available to this routing domain: without vlanId, a prefix that is advertised overlaps nothing that other domains have outside, and has no provider address in it';
    throw conflict('forwarding-advertise-available', `/advertise/${index}`, prefix, why, { forOperators });
  }
}

/** Whether another domain or the provider network has what the policy has. */
export function isForwardingTaken(state: DesiredState, rdid: string, value: Forwarding): boolean {
  const { addresses, prefixes } = claimsOf(value, state.uplinks);
  return (
    vlanOwner(state, rdid, value) !== undefined ||
    addresses.some((ipAddress) => ownerOf(state, rdid, { ipAddress }) !== undefined) ||
    prefixes.some((prefix) => ownerOfPrefix(state, rdid, prefix) !== undefined)
  );
}

/** Whose forwarding has the VLAN of the provider address. */
export function ownerOfProviderVlan(
  { forwardings }: DesiredState,
  { interface: name, vlanId }: ProviderAddress,
): string | undefined {
  return vlanId === undefined ? undefined : forwardings.vlans.get(vlanKey(name, vlanId));
}

function vlanOwner(state: DesiredState, rdid: string, value: Forwarding): string | undefined {
  const { vlan } = claimsOf(value, state.uplinks);
  if (vlan === undefined) return undefined;
  const owner = state.forwardings.vlans.get(vlan);
  if (owner !== undefined && owner !== rdid) return `It belongs to routing domain ${owner}.`;
  const uplink = uplinkOf(value, state.uplinks);
  for (const [address, provider] of state.providerAddresses) {
    if (provider.interface === uplink && provider.vlanId === value.vlanId)
      return `It is the VLAN of provider address ${address}.`;
  }
  return undefined;
}
