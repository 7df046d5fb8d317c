/**
 * What happened on this node lately, for whoever follows it. Kept in memory only: the ids begin with a part that is new
 * for each process, so that a follower of an earlier one is told to read anew.
 */
import { randomBytes } from 'node:crypto';
import type { EventSource, NodeEvent, ResourceStatus } from '../api/operations.ts';
import { domainPath, resourcePath } from '../store/resource-path.ts';
import type { ResourceChange, ResourceKey, Store, StoreChange } from '../store/store.ts';

/** How many events are kept: more than a whole policy of 1,000 domains makes several times. */
export const keptEvents = 16_384;

/** An event as it is told to the journal, which gives it its id and time. */
export type NewEvent = Omit<NodeEvent, 'id' | 'at'>;

/** Where the parts of the node tell what happened. */
export interface EventSink {
  add(event: NewEvent): void;
}

export class Journal implements EventSource, EventSink {
  /** What was found not as programmed, and what of it was put right, since this process began. */
  readonly drift = { found: 0, mended: 0 };
  readonly #boot = randomBytes(6).toString('hex');
  /** Event n is at n modulo its length. */
  readonly #ring: NodeEvent[] = [];
  readonly #listeners = new Set<(event: NodeEvent) => void>();
  readonly #unsubscribe: () => void;
  /** Paths of what failed while the node started. */
  readonly #notReady = new Set<string>();
  /** Number of the newest event; they begin with 1. */
  #newest = 0;

  /** Begins to follow what is written to the store. */
  constructor(store: Store) {
    this.#unsubscribe = store.subscribe((change) => this.#noteWrites(change));
  }

  add(event: NewEvent): void {
    if (event.type === 'drift') this.drift[event.what === 'mended' ? 'mended' : 'found']++;
    this.#newest++;
    const added: NodeEvent = { id: this.#id(this.#newest), at: new Date().toISOString(), ...event };
    this.#ring[this.#newest % keptEvents] = added;
    for (const listener of this.#listeners) listener(added);
  }

  /**
   * Notes that the status of a resource is another one now. While the node starts, what is ready at its first try is as
   * it was before, and no event: a restart with thousands of domains pushes nothing out.
   */
  noteStatus(key: ResourceKey, { state, reason }: ResourceStatus, isStarting: boolean): void {
    const path = resourcePath(key);
    if (!isStarting) this.#notReady.clear();
    else if (state !== 'ready') this.#notReady.add(path);
    else if (!this.#notReady.delete(path)) return;
    const why = reason === undefined ? {} : { reason };
    this.add({ type: 'status', ...domainOf(key), path, what: state, ...why });
  }

  since(id: string | undefined): NodeEvent[] {
    const oldest = Math.max(1, this.#newest - keptEvents + 1);
    if (id === undefined) return this.#from(oldest);
    const after = this.#numberOf(id);
    if (after !== undefined && after >= oldest - 1) return this.#from(after + 1);
    const reset: NodeEvent = { id: this.#id(oldest - 1), at: new Date().toISOString(), type: 'reset' };
    return [reset, ...this.#from(oldest)];
  }

  subscribe(listener: (event: NodeEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Follows the store no longer. */
  close(): void {
    this.#unsubscribe();
  }

  #id(number: number): string {
    return `${this.#boot}-${number}`;
  }

  /** Undefined for what is no id of this process. */
  #numberOf(id: string): number | undefined {
    const [boot, digits = ''] = id.split('-');
    const number = Number(digits);
    return boot === this.#boot && /^\d{1,15}$/.test(digits) && number <= this.#newest ? number : undefined;
  }

  #from(first: number): NodeEvent[] {
    const events: NodeEvent[] = [];
    for (let number = first; number <= this.#newest; number++) {
      const event = this.#ring[number % keptEvents];
      if (event !== undefined) events.push(event);
    }
    return events;
  }

  #noteWrites({ resources, replaced, revision }: StoreChange): void {
    for (const change of resources) this.add(written(change));
    for (const [rdid, counts] of replaced ?? []) {
      const about = rdid === '' ? { path: '/v1/policy' } : { routingDomainId: rdid, path: domainPath(rdid) };
      this.add({ type: 'policy', ...about, ...counts, revision });
    }
  }
}

function written({ key, change, revision }: ResourceChange): NewEvent {
  return { type: 'resource', ...domainOf(key), path: resourcePath(key), what: change, revision };
}

/** Ports are the node's: a tenant knows of none. */
function domainOf({ rdid }: ResourceKey): { routingDomainId?: string } {
  return rdid === undefined ? {} : { routingDomainId: rdid };
}
