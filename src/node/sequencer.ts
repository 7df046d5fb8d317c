/**
 * Follows the store and brings every change into the kernel: one domain at a time each, several domains side by side;
 * repeated changes collapse into the newest; a failure is retried with back-off and holds up nobody else. Knows for
 * each domain whether the kernel has caught up.
 */
import type { Logger } from 'pino';
import type { ResourceStatus } from '../api/operations.ts';
import { HnvError } from '../errors.ts';
import type { Store, StoreChange } from '../store/store.ts';
import type { Reconciled } from './reconciler.ts';

/** iproute2 processes mostly wait for the kernel: a few side by side keep it busy without starving the event loop. */
const CONCURRENCY = 4;
const RETRY_FIRST_MS = 100;
const RETRY_LIMIT_MS = 30_000;

/** Stands for the node's own links where a domain would stand. */
const NODE = '';

/** What the sequencer drives. */
export interface Work {
  /** The node's own links; every domain is applied again afterwards. */
  applyNode(): Promise<void>;
  applyDomain(rdid: string): Promise<Reconciled>;
}

interface Progress {
  /** Revision of the store that the last finished attempt saw. */
  revision: number;
  status: ResourceStatus;
  pending: string[];
  failures: number;
}

const now = (): string => new Date().toISOString();

function sentence(error: unknown): string {
  return error instanceof HnvError ? `${error.code}: ${error.message}` : String(error);
}

export class Sequencer {
  readonly #store: Store;
  readonly #work: Work;
  readonly #log: Logger;
  /** Domains that must be applied, with the oldest revision that they have not caught up with. */
  readonly #dirty = new Map<string, number>();
  readonly #running = new Map<string, number>();
  readonly #progress = new Map<string, Progress>();
  readonly #waiters = new Map<string, Set<() => void>>();
  readonly #timers = new Set<NodeJS.Timeout>();
  /** The same for the node's own links. */
  #nodeDirty: number | undefined;
  /** Revision of the newest commit that is known here. */
  #noted = 0;
  /** What the last finished attempt at the node's own links saw. */
  #nodeTried = -1;
  #nodeFailures = 0;
  #nodeReason: string | undefined;
  #stopped = false;
  #idle: (() => void)[] = [];
  #unsubscribe: () => void = () => {};

  constructor(store: Store, work: Work, log: Logger) {
    this.#store = store;
    this.#work = work;
    this.#log = log;
  }

  /** Takes up every domain of the store, and from then on every change. Resolves when each was tried once. */
  async start(): Promise<void> {
    this.#unsubscribe = this.#store.subscribe((change) => this.#note(change));
    for (const rdid of this.#store.state.domains.keys()) this.#dirty.set(rdid, this.#store.revision);
    this.#noted = this.#store.revision;
    this.#nodeDirty = this.#store.revision;
    this.#pump();
    await this.#whenIdle();
  }

  /** Finishes what is running and starts nothing more. The kernel's state stays as it is. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#unsubscribe();
    for (const timer of this.#timers) clearTimeout(timer);
    this.#dirty.clear();
    this.#nodeDirty = undefined;
    await this.#whenIdle();
  }

  /** Takes a domain up again though the store has not changed: what it stands on has. */
  again(rdid: string): void {
    if (this.#stopped || !this.#store.state.domains.has(rdid)) return;
    this.#mark([rdid], this.#store.revision + 1);
    this.#pump();
  }

  /** The same for the node's own links and, after them, for every domain. */
  nodeAgain(): void {
    if (this.#stopped) return;
    this.#nodeDirty ??= this.#store.revision + 1;
    this.#mark(this.#store.state.domains.keys(), this.#store.revision + 1);
    this.#pump();
  }

  /** Newest revision of which everything older is in the kernel, or was tried and failed. */
  get appliedRevision(): number {
    const open = [...this.#dirty.values(), ...this.#running.values()];
    if (this.#nodeDirty !== undefined) open.push(this.#nodeDirty);
    return open.length === 0 ? this.#store.revision : Math.min(...open) - 1;
  }

  /** Revision of the store that the last finished attempt at the node's own links saw. */
  get nodeRevision(): number {
    return this.#nodeTried;
  }

  /** How many domains are in each state. */
  counts(): { ready: number; pending: number; failed: number } {
    const counts = { ready: 0, pending: 0, failed: 0 };
    for (const rdid of this.#store.state.domains.keys()) counts[this.status(rdid, 0).state]++;
    return counts;
  }

  /** Whether the kernel has what the domain was at `revision`. */
  status(rdid: string, revision: number): ResourceStatus {
    const progress = this.#progress.get(rdid);
    if (progress === undefined || progress.revision < revision)
      return { state: 'pending', since: progress?.status.since ?? now() };
    return progress.status;
  }

  /** What the domain asked for and does not have yet, though nothing failed. */
  pendingReasons(rdid: string): readonly string[] {
    return this.#progress.get(rdid)?.pending ?? [];
  }

  /** Resolves when a try for the domain (`''`: the node's own links) has seen `revision`, or after `timeoutMs`. */
  settled(rdid: string, revision: number, timeoutMs: number): Promise<void> {
    const caughtUp = (): boolean => {
      const dirty = rdid === NODE ? this.#nodeDirty : this.#dirty.get(rdid);
      return [this.#running.get(rdid), dirty].every((open) => open === undefined || open > revision);
    };
    if (caughtUp()) return Promise.resolve();
    return new Promise((resolve) => {
      const waiters = this.#waiters.get(rdid) ?? new Set();
      this.#waiters.set(rdid, waiters);
      const done = (): void => {
        clearTimeout(timer);
        waiters.delete(check);
        if (waiters.size === 0) this.#waiters.delete(rdid);
        resolve();
      };
      const check = (): void => {
        if (caughtUp()) done();
      };
      const timer = setTimeout(done, timeoutMs);
      waiters.add(check);
    });
  }

  #note(change: StoreChange): void {
    // A commit may be of several writes, each with a revision of its own.
    const oldest = this.#noted + 1;
    this.#noted = change.revision;
    this.#mark(change.domains, oldest);
    if (change.node) {
      this.#nodeDirty ??= oldest;
      this.#mark(this.#store.state.domains.keys(), oldest);
    }
    this.#pump();
  }

  /** Domains that are marked already keep the older revision. */
  #mark(rdids: Iterable<string>, revision: number): void {
    for (const rdid of rdids) if (!this.#dirty.has(rdid)) this.#dirty.set(rdid, revision);
  }

  #pump(): void {
    if (this.#stopped && this.#running.size === 0) this.#announceIdle();
    // While the node's links change, a domain would be set up on the old ones.
    if (this.#stopped || this.#running.has(NODE)) return;
    if (this.#nodeDirty !== undefined) {
      if (this.#running.size === 0) void this.#runNode(this.#nodeDirty);
      return;
    }
    for (const [rdid, revision] of this.#dirty) {
      if (this.#running.size >= CONCURRENCY) return;
      if (this.#running.has(rdid)) continue;
      this.#dirty.delete(rdid);
      this.#running.set(rdid, revision);
      void this.#run(rdid);
    }
    if (this.#running.size === 0) this.#announceIdle();
  }

  /** The node's links change with no domain under way. */
  async #runNode(revision: number): Promise<void> {
    this.#nodeDirty = undefined;
    this.#running.set(NODE, revision);
    const tried = this.#store.revision;
    try {
      await this.#work.applyNode();
      // What failed for want of the links need not wait for its own retry.
      if (this.#nodeFailures > 0) this.#mark(this.#store.state.domains.keys(), this.#store.revision + 1);
      this.#nodeFailures = 0;
      this.#nodeReason = undefined;
    } catch (error) {
      const reason = sentence(error);
      if (reason !== this.#nodeReason)
        this.#log.error({ err: error }, 'cannot set up the node’s own interfaces');
      this.#nodeReason = reason;
      this.#later(this.#nodeFailures++, () => {
        this.#nodeDirty ??= this.#store.revision + 1;
      });
    }
    this.#nodeTried = tried;
    this.#running.delete(NODE);
    this.#wake(NODE);
    this.#pump();
  }

  async #run(rdid: string): Promise<void> {
    const revision = this.#store.revision;
    const before = this.#progress.get(rdid);
    try {
      const { pending } = await this.#work.applyDomain(rdid);
      this.#finish(rdid, { revision, pending, failures: 0, status: { state: 'ready', since: now() } });
    } catch (error) {
      const reason = sentence(error);
      const failures = (before?.failures ?? 0) + 1;
      if (before?.status.reason !== reason)
        this.#log.error({ err: error, rdid }, 'cannot set up a routing domain');
      this.#finish(rdid, {
        revision,
        pending: [],
        failures,
        status: { state: 'failed', reason, since: now() },
      });
      this.#later(failures - 1, () => {
        // Every revision so far was tried, if in vain: what comes next is the first to wait for.
        this.#mark([rdid], this.#store.revision + 1);
      });
    }
    this.#running.delete(rdid);
    this.#wake(rdid);
    this.#pump();
  }

  #finish(rdid: string, progress: Progress): void {
    const { status } = this.#progress.get(rdid) ?? {};
    // The time is that of the change: a state that goes on keeps it.
    if (status?.state === progress.status.state && status.reason === progress.status.reason)
      progress.status.since = status.since;
    const gone = progress.status.state === 'ready' && !this.#store.state.domains.has(rdid);
    if (gone) this.#progress.delete(rdid);
    else this.#progress.set(rdid, progress);
  }

  #later(failures: number, prepare: () => void): void {
    const timer = setTimeout(
      () => {
        this.#timers.delete(timer);
        prepare();
        this.#pump();
      },
      Math.min(RETRY_FIRST_MS * 2 ** failures, RETRY_LIMIT_MS),
    );
    this.#timers.add(timer);
  }

  #wake(rdid: string): void {
    for (const check of [...(this.#waiters.get(rdid) ?? [])]) check();
  }

  #whenIdle(): Promise<void> {
    if (this.#dirty.size === 0 && this.#running.size === 0 && this.#nodeDirty === undefined)
      return Promise.resolve();
    return new Promise((resolve) => {
      this.#idle.push(resolve);
    });
  }

  #announceIdle(): void {
    if (this.#dirty.size > 0 || this.#nodeDirty !== undefined) return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }
}
