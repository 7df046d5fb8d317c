/**
 * What forwarding and BGP of a routing domain need of the rest of it stays: whoever writes or deletes something else is refused when
 * they would break their own rules by it.
 */
import { HnvError } from '../../errors.ts';
import { overlaps } from '../address.ts';
import { subnetOf } from '../forwarding-routes.ts';
import type { DomainState } from '../state.ts';
import { checkBgpInDomain } from './bgp-domain.ts';
import { checkForwardingInDomain } from './forwarding-domain.ts';
import { isEverybody } from './nat-mappings.ts';
import { changeInUse, deleteInUse } from './refusal.ts';

const checks = { forwarding: checkForwardingInDomain, BGP: checkBgpInDomain } as const;

/**
 * Throws HNV_IN_USE when the field, which is written with these values, makes the domain into one whose forwarding or BGP cannot be.
 */
export function requireRouting(after: DomainState, pointer: string, values: readonly string[] = []): void {
  const broken = brokenBy(after);
  if (broken === undefined) return;
  const value = values.length === 0 ? undefined : values.join(', ');
  const why = `does not go with ${broken.what} of this routing domain: ${broken.why}`;
  throw changeInUse('routing-in-use', pointer, value, why);
}

/** Throws HNV_IN_USE when the domain, without `gone`, is one whose forwarding or BGP cannot be. */
export function requireRoutingWithout(after: DomainState, gone: string): void {
  const broken = brokenBy(after);
  if (broken !== undefined) throw deleteInUse('routing-in-use', gone, `${broken.what} (${broken.why})`);
}

/** Whether forwarding or BGP may depend on routes to one of the prefixes. */
export function concernsRouting({ forwarding, bgp }: DomainState, prefixes: readonly string[]): boolean {
  if (forwarding === undefined && bgp === undefined) return false;
  const { advertise = [], destinationPrefixes = [], addresses = [] } = forwarding ?? {};
  const named = [...advertise, ...destinationPrefixes, ...addresses.map(subnetOf), ...(bgp?.networks ?? [])];
  return prefixes.some((prefix) => isEverybody(prefix) || named.some((each) => overlaps(each, prefix)));
}

function brokenBy(after: DomainState): { what: string; why: string } | undefined {
  for (const [what, check] of Object.entries(checks)) {
    try {
      check(after);
    } catch (error) {
      if (!(error instanceof HnvError)) throw error;
      return { what, why: error.message.replace(/\.$/, '') };
    }
  }
  return undefined;
}
