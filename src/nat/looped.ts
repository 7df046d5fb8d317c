/**
 * External addresses that a tenant's packets leave for by the uplink, although they are the context's own: all of them when
 * the uplink's router is the one to send them back (hairpinning `external`), and those that are shared by blocks, whose
 * other ports are other domains'.
 */
import { addressFamily } from '../policy/address.ts';
import type { NatPlan } from '../policy/plan.ts';

export function loopedAddresses(plan: NatPlan): string[] {
  return plan.externalAddresses
    .filter(({ portStart }) => plan.hairpinning === 'external' || portStart !== undefined)
    .map(({ address }) => address);
}

/** Whether packets under such an address of the domain's own come in from the uplink. */
export function isLooped(plan: NatPlan, family: 4 | 6): boolean {
  return loopedAddresses(plan).some((address) => addressFamily(address) === family);
}
