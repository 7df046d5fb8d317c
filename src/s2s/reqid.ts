/**
 * The number by which strongSwan's userspace ESP finds the SA for a policy, and tells whose packets it has no SA for. Connections
 * between the same prefixes have the same: of their SAs the youngest is used, so that making one anew moves the traffic to it.
 */
import { createHash } from 'node:crypto';
import type { SiteConnectionPlan } from '../policy/plan.ts';

/** The same each time, and far from those that charon gives itself, which are counted from 1. */
export function reqidOf({ localPrefixes, subnets }: SiteConnectionPlan): number {
  const selectors = JSON.stringify([localPrefixes, subnets.map(({ prefix }) => prefix)]);
  return (createHash('sha256').update(selectors).digest().readUInt32BE(0) & 0x3fff_ffff) | 0x4000_0000;
}
