/** Addresses and prefixes that somebody has, in the order of addresses, with the way back of every change. */
import { type AddressRange, rangeKey, rangeOf } from '../policy/address-ranges.ts';
import type { Ordered } from './ordered.ts';
import type { UndoLog } from './undo.ts';

/** `text` is an address or a prefix. */
export function addRange(ranges: Ordered<string, AddressRange>, text: string, undo: UndoLog): void {
  const range = rangeOf(text);
  const key = rangeKey(range);
  ranges.set(key, range);
  undo.push(() => ranges.delete(key));
}

/** Takes away what addRange() has added. */
export function removeRange(ranges: Ordered<string, AddressRange>, text: string, undo: UndoLog): void {
  const range = rangeOf(text);
  const key = rangeKey(range);
  ranges.delete(key);
  undo.push(() => ranges.set(key, range));
}
