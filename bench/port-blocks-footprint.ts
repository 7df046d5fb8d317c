/**
 * What a node's work touches in the kernel: a picture of all map entries and of the generations of all contexts' rules, and
 * what is different in a later one.
 */
import { inNetns } from '../src/linux/netns.ts';
import { nftGeneration } from '../src/linux/nftables.ts';
import { mapEntries } from '../test/lab/data-plane-maps.ts';
import { contextNamespaces } from '../test/lab/gateway-remains.ts';

export interface Footprint {
  /** `MAP KEY VALUE`, hexadecimal. */
  entries: ReadonlySet<string>;
  /** By namespace: a number that every nft transaction changes. */
  generations: ReadonlyMap<string, number>;
}

export interface Touched {
  /** Map entries that were added, and that were there before and are not any more as they were. */
  added: number;
  changed: number;
  /** Other namespaces that were there before and have seen a transaction or have gone. */
  contexts: number;
}

export async function footprint(instance: string): Promise<Footprint> {
  const entries = Object.entries(mapEntries(instance)).flatMap(([map, list]) =>
    list.map((entry) => `${map} ${entry}`),
  );
  const generations = new Map<string, number>();
  for (const name of await contextNamespaces(instance)) generations.set(name, inNetns(name, nftGeneration));
  return { entries: new Set(entries), generations };
}

/** `own` is the namespace of the domain that was worked for. */
export function touched(before: Footprint, after: Footprint, own: string): Touched {
  const others = [...before.generations].filter(
    ([name, number]) => name !== own && after.generations.get(name) !== number,
  );
  return {
    added: [...after.entries].filter((entry) => !before.entries.has(entry)).length,
    changed: [...before.entries].filter((entry) => !after.entries.has(entry)).length,
    contexts: others.length,
  };
}
