/** The end of a network namespace of ours, and of its links. */
import { setTimeout as delay } from 'node:timers/promises';
import { HnvError } from '../errors.ts';
import { ip } from '../linux/iproute2.ts';
import { ifindexOf } from '../linux/links.ts';
import { netnsExists } from '../linux/netns.ts';

/** How it is waited for: the kernel ends a namespace's links in the background. */
const POLL_MS = 5;
const LIMIT_MS = 30_000;

/**
 * Removes the namespace, should it be there, and waits until the kernel has let go of `links`, whose other ends are in it:
 * new ones of the same names would fail until then. Throws HNV_IPROUTE2, HNV_NETNS.
 */
export async function removeNamespace(netns: string, links: readonly string[]): Promise<void> {
  if (netnsExists(netns)) await ip(['netns', 'del', netns]);
  const limit = Date.now() + LIMIT_MS;
  while (links.some((link) => ifindexOf(link) !== undefined)) {
    if (Date.now() > limit)
      throw new HnvError(
        'HNV_NETNS',
        `The kernel still has links of ${netns} ${LIMIT_MS} ms after its removal.`,
      );
    await delay(POLL_MS);
  }
}
