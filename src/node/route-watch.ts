/**
 * Ends what was noted of fast flows when the kernel's routes or neighbours change, whoever changes them: BGP and site
 * connections in contexts, operators and peers beside the node. Changes that come together end it once.
 */
import type { FastPath } from '../encap/fast-path.ts';
import { RouteMonitor } from '../linux/route-monitor.ts';

/** From the first change to the end of what was noted before. */
const SETTLE_MS = 5;

/** What of the fast path is used here. */
export type WatchedFastPath = Pick<FastPath, 'hasNetns' | 'invalidateNetns' | 'invalidateAll'>;

export class RouteWatch {
  readonly #fast: WatchedFastPath;
  readonly #monitor: RouteMonitor;
  /** Numbers of namespaces in which something has changed; undefined: the node's own. */
  readonly #changed = new Set<number | undefined>();
  #timer: NodeJS.Timeout | undefined;

  /** Follows from now on; what changed before it did not see. */
  constructor(fast: WatchedFastPath) {
    this.#fast = fast;
    this.#monitor = new RouteMonitor({
      concerns: (nsid) => fast.hasNetns(nsid),
      onChange: (nsid) => this.#note(nsid),
      onOverrun: () => this.#note(undefined),
    });
    fast.invalidateAll();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#monitor.close();
  }

  #note(nsid: number | undefined): void {
    this.#changed.add(nsid);
    this.#timer ??= setTimeout(() => this.#end(), SETTLE_MS);
  }

  #end(): void {
    this.#timer = undefined;
    // In the node's own, every packet of the fast path finds its way.
    if (this.#changed.has(undefined)) this.#fast.invalidateAll();
    else for (const nsid of this.#changed) if (nsid !== undefined) this.#fast.invalidateNetns(nsid);
    this.#changed.clear();
  }
}
