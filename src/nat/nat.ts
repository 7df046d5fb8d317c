/**
 * Keeps the NAT ruleset of a routing context as the plan says. Owns the table `hnvgw` in the context's namespace, and those
 * whose names begin with it (tables.ts), and nothing else there.
 */
import { inNetns, inNewNetns } from '../linux/netns.ts';
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
  emptyNat,
  type NatState,
  natChanges,
  natState,
  natTable,
  skeletonScript,
} from './ruleset.ts';
import { readTables } from './table-reading.ts';
import { type PolicyTable, policyTables, wantedTables } from './tables.ts';
import { isUnfinished, noteUnfinished } from './unfinished.ts';

/** Stands for a rule that is not as it was written: none that is wanted is it. */
const ALTERED = 'altered';

/** The whole ruleset of a context. */
export interface NatRules {
  /** Of the table `hnvgw`. */
  state: NatState;
  listing: NatListing;
  /** Texts of the other tables that there should be, and what the kernel tells of them. */
  tables: ReadonlyMap<PolicyTable, { text: string; reading: string }>;
}

/** Readings of tables, by their texts. */
const readings = new Map<string, string>();
/** Some kilobytes each, and most texts are the same in many domains. */
const READINGS = 256;

/** What the kernel tells of a table of that text: asked of it in a namespace of its own. */
function readingOf(name: PolicyTable, text: string): string {
  let reading = readings.get(text);
  if (reading === undefined) {
    reading = inNewNetns(() => {
      nftScript(text);
      return textOf(readTables([name]).get(name));
    });
    if (readings.size >= READINGS) readings.clear();
    readings.set(text, reading);
  }
  return reading;
}

const textOf = (lines: readonly string[] | undefined): string => lines?.join('\n') ?? '';

/** What there should be, for links of these MTUs. Without a plan nothing is let through. Not to be called within inNetns(). */
export function natRules(rdid: string, plan: NatPlan | undefined, mtu: ContextMtu): NatRules {
  const state = natState(rdid, plan, mtu);
  const texts = wantedTables(rdid, plan);
  return {
    state,
    listing: wantedListing(state),
    tables: new Map(
      [...texts].map(([name, text]) => [name, { text, reading: readingOf(name, text) }] as const),
    ),
  };
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

/** Tables that are not as they should be: missing, changed, or not wanted. */
function wrongTables(want: NatRules['tables'], have: ReadonlyMap<string, string[]>): PolicyTable[] {
  return policyTables.filter((name) => {
    const [wanted, present] = [want.get(name), have.get(name)];
    return wanted === undefined ? present !== undefined : wanted.reading !== textOf(present);
  });
}

/** The commands that put the tables right. */
function tableChanges(want: NatRules['tables']): string {
  const have = readTables(policyTables);
  return wrongTables(want, have)
    .map((name) => `${have.has(name) ? `delete table inet ${name}\n` : ''}${want.get(name)?.text ?? ''}`)
    .join('');
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
    const script = [main, tableChanges(want.tables)].filter((part) => part !== '').join('\n');
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
  const have = readTables(policyTables);
  const wrong = wrongTables(want.tables, have).map((name) =>
    want.tables.has(name)
      ? `the nft table inet ${name} was ${have.has(name) ? 'changed' : 'missing'}`
      : `the nft table inet ${name} was there`,
  );
  return { differences: [...listingDifferences(listingHere(), want.listing), ...wrong], generation };
}
