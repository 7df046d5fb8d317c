/**
 * Tables of a routing context that are there only when the domain's policy asks for what they do. Each is one text: it is
 * as it should be, or it is replaced as a whole, atomically. None is ever listed by libnftables, which would read every
 * element, and they have up to 65,536 that the packets themselves put there.
 */
import type { NatPlan } from '../policy/plan.ts';
import { algTable } from './alg.ts';
import { bindingTable } from './bindings.ts';
import { limitTable } from './session-limit.ts';

/** Names of all that there may be. */
export const policyTables = ['hnvgw_alg', 'hnvgw_bindings', 'hnvgw_limit'] as const;
export type PolicyTable = (typeof policyTables)[number];

/** Name to text of those that there should be. */
export function wantedTables(rdid: string, plan: NatPlan | undefined): Map<PolicyTable, string> {
  const texts: [PolicyTable, string | undefined][] =
    plan === undefined
      ? []
      : [
          ['hnvgw_alg', algTable(plan)],
          ['hnvgw_bindings', bindingTable(rdid, plan)],
          ['hnvgw_limit', limitTable(plan)],
        ];
  return new Map(texts.flatMap(([name, text]) => (text === undefined ? [] : [[name, text] as const])));
}
