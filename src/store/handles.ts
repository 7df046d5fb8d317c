/**
 * Gives routing domains their handles: small numbers that stand for the RDID in the kernel's tables.
 *
 * Handles go round: the next free one above the last one given. A freed handle so comes again only after all others,
 * because the kernel may still hold entries of the domain that had it, being removed.
 */
import { HnvError } from '../errors.ts';
import type { UndoLog } from './undo.ts';

export class Handles {
  readonly #capacity: number;
  readonly #used = new Set<number>();
  #last: number;

  /** Handles run from 1 to `capacity`; `last` is the one given last, 0 when none was. */
  constructor(capacity: number, last: number) {
    this.#capacity = capacity;
    this.#last = last;
  }

  /** The handle given last; to be kept with the state. */
  get last(): number {
    return this.#last;
  }

  /** How many can still be given. */
  get free(): number {
    return this.#capacity - this.#used.size;
  }

  /** Notes a handle that a domain has already. Throws HNV_CONFIG when it is above the capacity. */
  adopt(handle: number): void {
    if (handle > this.#capacity) {
      throw new HnvError(
        'HNV_CONFIG',
        `capacity.routingDomains is ${this.#capacity}, but the store has a routing domain with the handle ${handle}. ` +
          `Set it to ${handle} or more.`,
      );
    }
    this.#used.add(handle);
  }

  /** The handle for the next domain. Throws HNV_CAPACITY when all are given. */
  next(): number {
    if (this.free <= 0) throw tooManyDomains(this.#capacity);
    let handle = this.#last;
    do {
      handle = handle >= this.#capacity ? 1 : handle + 1;
    } while (this.#used.has(handle));
    return handle;
  }

  /** Gives a handle that `next` has answered. */
  take(handle: number, undo: UndoLog): void {
    const before = this.#last;
    this.#used.add(handle);
    this.#last = handle;
    undo.push(() => {
      this.#used.delete(handle);
      this.#last = before;
    });
  }

  release(handle: number, undo: UndoLog): void {
    this.#used.delete(handle);
    undo.push(() => this.#used.add(handle));
  }
}

export function tooManyDomains(capacity: number): HnvError {
  return new HnvError('HNV_CAPACITY', 'This node has no room for another routing domain.', {
    rule: 'capacity-routing-domains',
    forOperators: `It has ${capacity}, which is all that capacity.routingDomains allows.`,
  });
}
