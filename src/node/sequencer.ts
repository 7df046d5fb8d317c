/**
 * Follows the store and brings every change into the kernel: one domain at a time each, several domains side by side;
 * repeated changes collapse into the newest; what fails is retried with back-off and holds up nothing else. Knows for
 * each object whether the kernel has caught up.
 *
 * The event loop is given away between domains, and whoever changes one thing does not wait behind thousands of domains
 * that a whole policy has changed, or that are only looked at again.
 */
import type { Logger } from 'pino';
import type { ResourceStatus } from '../api/operations.ts';
import { ownTurn } from '../own-turn.ts';
import type { ResourceKind } from '../policy/resources.ts';
import type { ResourceKey, Store, StoreChange } from '../store/store.ts';
import type { Reconciled } from './reconciler.ts';
import { Retries } from './retries.ts';
import { DomainProgress, sentence } from './status.ts';
import { Waiters } from './waiters.ts';

/**
 * What is waited for is mostly the kernel (RCU, the end of a namespace): some side by side keep it busy. Each has a few
 * milliseconds of work that holds up the event loop, and all may come in one turn of it.
 */
const CONCURRENCY = 6;
/** A commit of more domains than these is nobody's single change, and does not jump the queue. */
const FEW_DOMAINS = 16;

/** Stands for the node's own links where a domain would stand. */
const NODE = '';

/** What the sequencer drives. */
export interface Work {
  /** The node's own links; every domain is applied again afterwards. */
  applyNode(): Promise<void>;
  applyDomain(rdid: string): Promise<Reconciled>;
}

/** Gets told when the status of an object changes. */
export type TellStatus = (key: ResourceKey, status: ResourceStatus) => void;

export class Sequencer {
  readonly #store: Store;
  readonly #work: Work;
  readonly #log: Logger;
  readonly #tell: TellStatus;
  /** Domains that must be applied, with the oldest revision that they have not caught up with. */
  readonly #dirty = new Map<string, number>();
  /** Those of them that somebody waits for. */
  readonly #urgent = new Set<string>();
  readonly #running = new Map<string, number>();
  /** As #dirty, of domains that wait for what another one still has. */
  readonly #blocked = new Map<string, number>();
  readonly #progress = new Map<string, DomainProgress>();
  readonly #waiters = new Waiters();
  readonly #retries = new Retries();
  /** As #dirty, of the node's own links. */
  #nodeDirty: number | undefined;
  /** Revision of the newest commit that is known here. */
  #noted = 0;
  /** What the last finished attempt at the node's own links saw. */
  #nodeTried = -1;
  #nodeFailures = 0;
  #nodeReason: string | undefined;
  #stopped = false;
  /** The next domain is begun in the next turn of the event loop. */
  #next: Promise<void> | undefined;
  #idle: (() => void)[] = [];
  #unsubscribe: () => void = () => {};

  constructor(store: Store, work: Work, log: Logger, tell: TellStatus) {
    this.#store = store;
    this.#work = work;
    this.#log = log;
    this.#tell = tell;
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
    this.#retries.stop();
    this.#dirty.clear();
    this.#blocked.clear();
    this.#urgent.clear();
    this.#nodeDirty = undefined;
    await this.#whenIdle();
  }

  /** Takes a domain up again though the store has not changed: what it stands on has. */
  again(rdid: string): void {
    if (this.#stopped || !this.#store.state.domains.has(rdid)) return;
    this.#mark([rdid], this.#store.revision + 1);
    this.#urgent.add(rdid);
    this.#pump();
  }

  /** The same for the node's own links and, after them, for every domain. */
  nodeAgain(): void {
    if (this.#stopped) return;
    this.#nodeDirty ??= this.#store.revision + 1;
    this.#mark(this.#store.state.domains.keys(), this.#store.revision + 1);
    this.#pump();
  }

  /** Whether the domain (`''`: the node's own links) is worked on, or is to be: what the kernel has may change at any time. */
  isBusy(rdid: string): boolean {
    if (this.#running.has(rdid) || this.#running.has(NODE)) return true;
    return this.#nodeDirty !== undefined || this.#dirty.has(rdid);
  }

  /** Whether any object of the domain failed at the last try. */
  hasFailed(rdid: string): boolean {
    return this.#progress.get(rdid)?.summary === 'failed';
  }

  /** Newest revision of which everything older is in the kernel, or was tried and failed. */
  get appliedRevision(): number {
    const open = [...this.#dirty.values(), ...this.#running.values(), ...this.#blocked.values()];
    if (this.#nodeDirty !== undefined) open.push(this.#nodeDirty);
    return open.length === 0 ? this.#store.revision : Math.min(...open) - 1;
  }

  /** Revision of the store that the last finished attempt at the node's own links saw. */
  get nodeRevision(): number {
    return this.#nodeTried;
  }

  /** How many domains, and the node's own links, are worked on or wait for that. */
  get queueLength(): number {
    return (
      this.#dirty.size + this.#running.size + this.#blocked.size + (this.#nodeDirty === undefined ? 0 : 1)
    );
  }

  /** How often something was tried again because it had failed, since the start. */
  get retries(): number {
    return this.#retries.count;
  }

  /** How many domains are in each state; one of which any object failed counts as failed. */
  counts(): { ready: number; pending: number; failed: number } {
    const counts = { ready: 0, pending: 0, failed: 0 };
    for (const rdid of this.#store.state.domains.keys())
      counts[this.#progress.get(rdid)?.summary ?? 'pending']++;
    return counts;
  }

  /** Whether the kernel has what an object of the domain was at `revision`. */
  status(rdid: string, revision: number, kind: ResourceKind = 'routingDomain', id?: string): ResourceStatus {
    const progress = this.#progress.get(rdid);
    if (progress === undefined) return { state: 'pending', since: new Date().toISOString() };
    return progress.status(revision, kind, id);
  }

  /** The objects of the domain that failed. */
  failures(rdid: string): { key: ResourceKey; status: ResourceStatus }[] {
    return this.#progress.get(rdid)?.failures ?? [];
  }

  /** What the domain asked for and does not have yet, though nothing failed. */
  pendingReasons(rdid: string): readonly string[] {
    return this.#progress.get(rdid)?.pending ?? [];
  }

  /** Resolves when a try for the domain (`''`: the node's own links) has seen `revision`, or after `timeoutMs`. */
  settled(rdid: string, revision: number, timeoutMs: number): Promise<void> {
    const caughtUp = (): boolean => {
      const dirty = rdid === NODE ? this.#nodeDirty : this.#dirty.get(rdid);
      const open = [this.#running.get(rdid), this.#blocked.get(rdid), dirty];
      return open.every((oldest) => oldest === undefined || oldest > revision);
    };
    return this.#waiters.wait(rdid, timeoutMs, caughtUp);
  }

  #note(change: StoreChange): void {
    // A commit may be of several writes, each with a revision of its own.
    const oldest = this.#noted + 1;
    this.#noted = change.revision;
    this.#mark(change.domains, oldest);
    if (change.domains.size <= FEW_DOMAINS) for (const rdid of change.domains) this.#urgent.add(rdid);
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
    if (this.#running.size < CONCURRENCY && this.#candidate() !== undefined)
      this.#next ??= ownTurn().then(() => {
        this.#next = undefined;
        this.#begin();
      });
    if (this.#running.size === 0) this.#announceIdle();
  }

  /** The domain that is next; one that is under way has its turn after that. */
  #candidate(): string | undefined {
    for (const queue of [this.#urgent, this.#dirty.keys()])
      for (const rdid of queue) if (!this.#running.has(rdid)) return rdid;
    return undefined;
  }

  #begin(): void {
    // The node's links may have come in between.
    const isFree = this.#nodeDirty === undefined && !this.#running.has(NODE);
    const rdid = isFree && !this.#stopped ? this.#candidate() : undefined;
    const revision = rdid === undefined ? undefined : this.#dirty.get(rdid);
    if (rdid !== undefined && revision !== undefined) {
      this.#dirty.delete(rdid);
      this.#urgent.delete(rdid);
      this.#running.set(rdid, revision);
      void this.#run(rdid);
    }
    this.#pump();
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
      this.#retries.later(NODE, this.#nodeFailures++, () => {
        this.#nodeDirty ??= this.#store.revision + 1;
        this.#pump();
      });
    }
    this.#nodeTried = tried;
    this.#running.delete(NODE);
    this.#waiters.wake(NODE);
    this.#pump();
  }

  async #run(rdid: string): Promise<void> {
    const revision = this.#store.revision;
    let outcome: Reconciled;
    try {
      outcome = await this.#work.applyDomain(rdid);
    } catch (error) {
      outcome = { pending: [], troubles: [{ kind: 'routingDomain', error }] };
    }
    const progress = this.#progress.get(rdid) ?? new DomainProgress(rdid, this.#log, this.#tell);
    const failures = progress.finish(revision, outcome);
    if (failures === 0 && !this.#store.state.domains.has(rdid)) this.#progress.delete(rdid);
    else this.#progress.set(rdid, progress);
    if (failures > 0)
      this.#retries.later(rdid, failures - 1, () => {
        // Every revision so far was tried, if in vain: what comes next is the first to wait for.
        this.#mark([rdid], this.#store.revision + 1);
        this.#pump();
      });
    const oldest = this.#running.get(rdid) ?? revision;
    this.#running.delete(rdid);
    this.#block(rdid, oldest, outcome.blockedUntil);
    this.#waiters.wake(rdid);
    this.#pump();
  }

  /** A domain that another one stands in the way of comes again when that has gone; until then it has not caught up. */
  #block(rdid: string, oldest: number, until: Promise<void> | undefined): void {
    const since = Math.min(this.#blocked.get(rdid) ?? oldest, oldest);
    this.#blocked.delete(rdid);
    if (until === undefined) return;
    this.#blocked.set(rdid, since);
    void until.then(() => {
      if (this.#stopped || !this.#blocked.has(rdid)) return;
      this.#mark([rdid], since);
      this.#urgent.add(rdid);
      this.#pump();
    });
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
