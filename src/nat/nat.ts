/**
 * Keeps the NAT ruleset of a routing context as the plan says. Owns the table `hnvgw` in the context's namespace and
 * nothing else there.
 */
import { forgetConversations } from '../linux/conntrack.ts';
import { inNetns } from '../linux/netns.ts';
import { nftGeneration, nftList, nftScript } from '../linux/nftables.ts';
import type { NatPlan } from '../policy/plan.ts';
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
  conversationMark,
  emptyNat,
  type NatState,
  natChanges,
  natState,
  natTable,
  type PresentNat,
  ruleMark,
  skeletonScript,
  withoutExternals,
} from './ruleset.ts';

/** Mark of a rule that is not as it was written: no rule that is wanted has it. */
const ALTERED = 'altered';
/** Conversations that no source rule has translated. */
const NO_MARK = 0;

export interface NatOptions {
  /** The ruleset may have been another one by somebody's hand, and conversations begun that no rule translated. */
  isSuspect?: boolean;
}

/** In place of each rule its mark, when it is that rule to the last word. */
function marksOf(have: readonly string[], listed: readonly string[], rules: readonly string[]): string[] {
  const marks = new Map(rules.map((rule, index) => [listed[index], ruleMark(rule)]));
  return have.map((rule) => marks.get(rule) ?? ALTERED);
}

function presentOf(have: NatListing, want: NatState, listing: NatListing): PresentNat {
  return {
    externals: have.externals,
    mappings: have.mappings,
    sourceMarks: marksOf(have.sources, listing.sources, want.sources),
    segmentMarks: marksOf(have.segments, listing.segments, want.segments),
  };
}

function listingHere(): NatListing | undefined {
  const listed = nftList(natTable) as Listed[] | undefined;
  return listed === undefined ? undefined : readListing(listed);
}

/**
 * Makes the namespace's ruleset the plan's, for links of these MTUs; does nothing when it is so already. Without a plan the ruleset lets nothing
 * through. Throws HNV_NFTABLES and HNV_NETNS.
 *
 * A conversation keeps the address that it was given, so those of an address that is taken away are ended, and go on
 * under another. The address leaves the ruleset after them: whoever finds it there ends them again.
 */
export function applyNat(
  netns: string,
  rdid: string,
  plan: NatPlan | undefined,
  mtu: ContextMtu,
  { isSuspect = false }: NatOptions = {},
): 'unchanged' | 'changed' {
  const want = natState(rdid, plan, mtu);
  const listing = wantedListing(want);
  return inNetns(netns, () => {
    const have = listingHere();
    if (have === undefined || !hasSkeleton(have, listing)) {
      nftScript(skeletonScript(have !== undefined) + natChanges(emptyNat, want));
      // What passed without any ruleset was tracked as needing no translation.
      forgetConversations(have === undefined ? undefined : NO_MARK);
      return 'changed';
    }
    const gone = [...have.externals].filter((address) => !want.externals.has(address));
    const script = natChanges(presentOf(have, want, listing), want);
    if (script !== '') nftScript(script);
    if (gone.length > 0) {
      for (const address of gone) forgetConversations(conversationMark(address));
      nftScript(withoutExternals(gone));
    }
    if (script === '' && gone.length === 0) return 'unchanged';
    if (isSuspect) forgetConversations(NO_MARK);
    return 'changed';
  });
}

/** Whether a ruleset of ours stands in the namespace, of whatever policy: it lets nothing out untranslated. */
export function hasOwnRuleset(netns: string): boolean {
  const want = wantedListing({ externals: new Set(), mappings: new Map(), sources: [], segments: [] });
  return inNetns(netns, () => {
    const have = listingHere();
    return have !== undefined && hasSkeleton(have, want);
  });
}

/**
 * The ruleset of a namespace that was just made, where there is none. Answers the generation of rules that it is, for
 * inspectNat(); undefined when there was another transaction beside.
 */
export function createNat(
  netns: string,
  rdid: string,
  plan: NatPlan | undefined,
  mtu: ContextMtu,
): number | undefined {
  const script = skeletonScript(false) + natChanges(emptyNat, natState(rdid, plan, mtu));
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
 */
export function inspectNat(
  want: NatListing,
  known: number | undefined,
): { differences: string[]; generation: number } {
  const generation = nftGeneration();
  if (generation === known) return { differences: [], generation };
  return { differences: listingDifferences(listingHere(), want), generation };
}
