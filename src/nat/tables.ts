/**
 * Tables of a routing context that are there only when the domain's policy asks for what they do. Each is one text: it is
 * as it should be, or it is replaced as a whole, atomically. None is ever listed by libnftables, which would read every
 * element, and they have up to 65,536 that the packets themselves put there.
 */
import { algTable } from './alg.ts';
import { bindingTable } from './bindings.ts';
import { reversePathTable, reversePathText } from './reverse-path.ts';
import type { RulesetPlan } from './ruleset.ts';
import { limitTable } from './session-limit.ts';

/** Names of all that there may be. */
export const policyTables = ['hnvgw_alg', 'hnvgw_bindings', 'hnvgw_limit', reversePathTable] as const;
export type PolicyTable = (typeof policyTables)[number];

/** Name to text of those that there should be. */
export function wantedTables(rdid: string, plan: RulesetPlan): Map<PolicyTable, string> {
  const { nat } = plan;
  const texts: [PolicyTable, string | undefined][] = [
    ['hnvgw_alg', nat && algTable(nat)],
    ['hnvgw_bindings', nat && bindingTable(rdid, nat)],
    ['hnvgw_limit', nat && limitTable(nat)],
    [reversePathTable, reversePathText(plan)],
  ];
  return new Map(texts.flatMap(([name, text]) => (text === undefined ? [] : [[name, text] as const])));
}
