/**
 * Keeps the NAT ruleset of a routing context as the plan says. Owns the table `hnvgw` in the context's namespace and
 * nothing else there.
 */
import { forgetConversations } from '../linux/conntrack.ts';
import { inNetns } from '../linux/netns.ts';
import { nftList, nftScript } from '../linux/nftables.ts';
import type { NatPlan } from '../policy/plan.ts';
import {
  type ContextMtu,
  conversationMark,
  emptyNat,
  externalSets,
  mappingMaps,
  natChanges,
  natState,
  natTable,
  type PresentNat,
  skeletonMark,
  skeletonScript,
  withoutExternals,
} from './ruleset.ts';

/** A member of a concatenation as libnftables' JSON has it. */
type Part = string | number | { prefix: { addr: string; len: number } };
type Concat = { concat: Part[] };

/** What nftList() gives for our table, as far as it is read here. */
interface Listed {
  set?: { name: string; elem?: string[] };
  map?: { name: string; elem?: [Concat, Concat][] };
  rule?: { chain: string; comment?: string };
}

const words = ({ concat }: Concat): string =>
  concat
    .map((part) => (typeof part === 'object' ? `${part.prefix.addr}/${part.prefix.len}` : part))
    .join(' . ');

/** A remote prefix that is one address is listed without its length. */
const keyOf = (key: Concat): string =>
  words(key)
    .replace(/ \. ([0-9.]+)$/, ' . $1/32')
    .replace(/ \. ([0-9a-f:]+)$/, ' . $1/128');

function read(objects: readonly Listed[]): { present: PresentNat; isOurs: boolean } {
  const marks = (chain: string): string[] =>
    objects.flatMap(({ rule }) =>
      rule?.chain === chain && rule.comment !== undefined ? [rule.comment] : [],
    );
  const externals = objects.flatMap(({ set }) =>
    set !== undefined && externalSets.includes(set.name) ? (set.elem ?? []) : [],
  );
  const mappings = objects.flatMap(({ map }) =>
    map !== undefined && mappingMaps.includes(map.name) ? (map.elem ?? []) : [],
  );
  return {
    isOurs: marks('leaving').includes(skeletonMark),
    present: {
      externals: new Set(externals),
      mappings: new Map(mappings.map(([key, value]) => [keyOf(key), words(value)])),
      sourceMarks: marks('source'),
      segmentMarks: marks('segments'),
    },
  };
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
): 'unchanged' | 'changed' {
  const want = natState(rdid, plan, mtu);
  return inNetns(netns, () => {
    const listed = nftList(natTable) as Listed[] | undefined;
    const { present, isOurs } = read(listed ?? []);
    if (!isOurs) {
      nftScript(skeletonScript(listed !== undefined) + natChanges(emptyNat, want));
      // What passed without any ruleset was tracked as needing no translation.
      if (listed === undefined) forgetConversations(undefined);
      return 'changed';
    }
    const gone = [...present.externals].filter((address) => !want.externals.has(address));
    const script = natChanges(present, want);
    if (script !== '') nftScript(script);
    if (gone.length > 0) {
      for (const address of gone) forgetConversations(conversationMark(address));
      nftScript(withoutExternals(gone));
    }
    return script === '' && gone.length === 0 ? 'unchanged' : 'changed';
  });
}
