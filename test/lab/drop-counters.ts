/** What a node has dropped, by the names of the reasons. */
import type { NodeProcess } from './node-process.ts';

export type Drops = Record<string, number>;

/** Drops of a routing domain, or those that no domain can be charged with. */
export async function dropsOf({ api }: NodeProcess, rdid: string | undefined): Promise<Drops> {
  if (rdid === undefined)
    return ((await api.get('/v1/status')) as { unattributedDrops: Drops }).unattributedDrops;
  return ((await api.get(`/v1/routing-domains/${rdid}/counters`)) as { drops: Drops }).drops;
}

/** What has been dropped between two looks. */
export function dropsBetween(before: Drops, after: Drops): Drops {
  const grown = Object.entries(after).map(
    ([reason, count]) => [reason, count - (before[reason] ?? 0)] as const,
  );
  return Object.fromEntries(grown.filter(([, count]) => count !== 0));
}
