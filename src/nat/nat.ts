/**
 * Keeps the NAT ruleset of a routing context as the plan says. Owns the table `hnvgw` in the context's namespace and those of
 * tables.ts, and nothing else there.
 */
import { inNetns } from '../linux/netns.ts';
import { nftGeneration, nftList, nftScript } from '../linux/nftables.ts';
import {
  hasSkeleton,
  type Listed,
  listingDifferences,
  type NatListing,
  readListing,
  wantedListing,
} from './listing.ts';
import {
  type ContextMtu,
  emptyNat,
  type NatState,
  natChanges,
  natState,
  natTable,
  type RulesetPlan,
  skeletonScript,
} from './ruleset.ts';
import { type PolicyTable, policyTables, wantedTables } from './tables.ts';
import { isUnfinished, noteUnfinished } from './unfinished.ts';
import { tableChanges, tableDifferences, type WholeTables, wholeTables } from './whole-tables.ts';

/** Stands for a rule that is not as it was written: none that is wanted is it. */
const ALTERED = 'altered';

/** The whole ruleset of a context. */
export interface NatRules {
  /** Of the table `hnvgw`. */
  state: NatState;
  listing: NatListing;
  /** The other tables that there should be. */
  tables: WholeTables<PolicyTable>;
}

/** What there should be, for links of these MTUs. Without NAT and forwarding nothing is let through. Not to be called within inNetns(). */
export function natRules(rdid: string, plan: RulesetPlan, mtu: ContextMtu): NatRules {
  const state = natState(rdid, plan, mtu);
  return { state, listing: wantedListing(state), tables: wholeTables(wantedTables(rdid, plan)) };
}

/** The script that makes the whole ruleset where there is none. */
export function natScript({
  state,
  tables,
}: Pick<NatRules, 'state'> & { tables: NatRules['tables'] }): string {
  const texts = [...tables.values()].map(({ text }) => text);
  return `${skeletonScript(false)}${natChanges(emptyNat, state)}\n${texts.join('')}`;
}

function listingHere(): NatListing | undefined {
  const listed = nftList(natTable) as Listed[] | undefined;
  return listed === undefined ? undefined : readListing(listed);
}

/** As it is: in place of each rule its text, when it is that rule to the last word. */
function presentOf(have: NatListing, { state, listing }: NatRules): NatState {
  return {
    elements: have.elements,
    chains: new Map(
      [...have.chains].map(([chain, rules]) => {
        const texts = state.chains.get(chain) ?? [];
        const listed = listing.chains.get(chain) ?? [];
        const known = new Map(texts.map((text, index) => [listed[index], text]));
        return [chain, rules.map((rule) => known.get(rule) ?? ALTERED)];
      }),
    ),
  };
}

/**
 * Makes the namespace's ruleset the wanted one; does nothing when it is so already. Answers `changed` also when sessions of
 * an earlier ruleset may still live (unfinished.ts). Throws HNV_NFTABLES and HNV_NETNS.
 */
export function applyNat(netns: string, want: NatRules): 'unchanged' | 'changed' {
  return inNetns(netns, () => {
    const have = listingHere();
    const main =
      have === undefined || !hasSkeleton(have, want.listing)
        ? skeletonScript(have !== undefined) + natChanges(emptyNat, want.state)
        : natChanges(presentOf(have, want), want.state);
    const script = [main, tableChanges(policyTables, want.tables)].filter((part) => part !== '').join('\n');
    if (script === '') return isUnfinished(netns) ? 'changed' : 'unchanged';
    noteUnfinished(netns);
    nftScript(script);
    return 'changed';
  });
}

/** Whether a ruleset of ours stands in the namespace, of whatever policy: it lets nothing out untranslated. */
export function hasOwnRuleset(netns: string): boolean {
  const want = wantedListing(emptyNat);
  return inNetns(netns, () => {
    const have = listingHere();
    return have !== undefined && hasSkeleton(have, want);
  });
}

/**
 * The ruleset of a namespace that was just made, where there is none. Answers the generation of rules that it is, for
 * inspectNat(); undefined when there was another transaction beside.
 */
export function createNat(netns: string, want: NatRules): number | undefined {
  const script = natScript(want);
  return inNetns(netns, () => {
    const before = nftGeneration();
    nftScript(script);
    const generation = nftGeneration();
    return generation === before + 1 ? generation : undefined;
  });
}

/**
 * Whether the ruleset of the current namespace is the wanted one: what it has otherwise, and the generation of rules that
 * this is known of. `known` is a generation that was right; the rules are read only when there has been a transaction since.
 * What packets put into sets is no transaction.
 */
export function inspectNat(
  want: NatRules,
  known: number | undefined,
): { differences: string[]; generation: number } {
  const generation = nftGeneration();
  if (generation === known) return { differences: [], generation };
  const wrong = tableDifferences(policyTables, want.tables);
  return { differences: [...listingDifferences(listingHere(), want.listing), ...wrong], generation };
}
