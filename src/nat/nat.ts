/**
 * Keeps the NAT ruleset of a routing context as the plan says. Owns the table `hnvgw` in the context's namespace and
 * nothing else there.
 */
import { inNetns } from '../linux/netns.ts';
import { nftList, nftScript } from '../linux/nftables.ts';
import type { NatPlan } from '../policy/plan.ts';
import { natRuleset, natTable } from './ruleset.ts';

/** The mark of the ruleset that is in the thread's namespace now; undefined when there is none of ours. */
function presentMark(): string | undefined {
  for (const object of nftList(natTable) ?? []) {
    const { rule } = object as { rule?: { comment?: string } };
    if (rule?.comment?.startsWith('hnvgw ')) return rule.comment;
  }
  return undefined;
}

/**
 * Makes the namespace's ruleset the plan's, in one transaction; does nothing when it is so already. Without a plan the
 * ruleset lets nothing through. Throws HNV_NFTABLES.
 */
export function applyNat(netns: string, rdid: string, plan: NatPlan | undefined): 'unchanged' | 'replaced' {
  const { script, mark } = natRuleset(rdid, plan);
  return inNetns(netns, () => {
    if (presentMark() === mark) return 'unchanged';
    nftScript(script);
    return 'replaced';
  });
}
