/**
 * Work that takes milliseconds, from wherever it comes, has a turn of the event loop of its own: pieces that become ready
 * together would otherwise be done in one turn, and a request would wait for all of them.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';

let last: Promise<void> = Promise.resolve();

/** Resolves in a turn in which nobody else who asked here has anything to do. */
export function ownTurn(): Promise<void> {
  last = last.then(() => nextTurn());
  return last;
}
