/**
 * Whether a map of the kernel still holds what this process wrote to it: found by reading it, and without comparing every
 * entry each time. A piece of the map whose bytes are those of a reading that was right needs no comparison, as long as
 * this process has written nothing to the map since; after a write, every entry is compared again.
 */
import { hash } from 'node:crypto';
import type { BpfMap } from '../linux/bpf-map.ts';
import { bytesOf } from './entries.ts';

/** Keys that are looked up one by one in a turn. */
const LOOKUPS = 512;
/** How often own writes may disturb the reading of a map before all keys are looked up one by one. */
const DISTURBANCES = 3;

/** An entry that is not as it was written. */
export interface Strange {
  key: string;
  /** What the kernel has; undefined when it has nothing. */
  value: string | undefined;
}

/** What is believed of a map, keys and values as latin1 strings. */
export interface MapBelief {
  /** How often this process has written to the map. */
  writes: number;
  /** The last reading that was right: digests of its pieces, and `writes` at that time. */
  verified: { writes: number; digests: readonly string[] } | undefined;
  /** Readings in a row that own writes disturbed. */
  disturbed: number;
  readonly size: () => number;
  readonly keys: () => Iterable<string>;
  readonly isRight: (key: string, value: string) => boolean;
  /** Whether the key is believed in and the value found at it is wrong. */
  readonly isMissing: (key: string, actual: string | undefined) => boolean;
}

/** Yields after each piece of work what it has found; nothing is written. */
export function* inspectMap(map: BpfMap, belief: MapBelief): Generator<Strange[], void, void> {
  const { writes, verified } = belief;
  const known = verified?.writes === writes ? verified.digests : [];
  const digests: string[] = [];
  let right = 0;
  let isRight = true;
  for (const { keys, values, count } of map.pieces()) {
    const digest = hash('sha1', Buffer.concat([keys, values]), 'base64');
    const isKnown = belief.writes === writes && known[digests.length] === digest;
    digests.push(digest);
    if (isKnown) {
      right += count;
      yield [];
      continue;
    }
    const strange = compare(map, belief, keys, values, count);
    right += count - strange.length;
    if (strange.length > 0) isRight = false;
    yield strange;
  }
  const isDisturbed = belief.writes !== writes;
  belief.disturbed = isDisturbed ? belief.disturbed + 1 : 0;
  if (isDisturbed ? belief.disturbed >= DISTURBANCES : right !== belief.size()) {
    belief.disturbed = 0;
    isRight = false;
    yield* lookUp(map, belief);
  }
  belief.verified = isRight && belief.writes === writes ? { writes, digests } : undefined;
}

function compare(map: BpfMap, belief: MapBelief, keys: Buffer, values: Buffer, count: number): Strange[] {
  const strange: Strange[] = [];
  const { keySize } = map;
  const valueSize = values.length / Math.max(1, count);
  for (let index = 0; index < count; index++) {
    const key = keys.toString('latin1', index * keySize, (index + 1) * keySize);
    const value = values.toString('latin1', index * valueSize, (index + 1) * valueSize);
    if (!belief.isRight(key, value)) strange.push({ key, value });
  }
  return strange;
}

function* lookUp(map: BpfMap, belief: MapBelief): Generator<Strange[], void, void> {
  let strange: Strange[] = [];
  let count = 0;
  // The keys of now: what comes meanwhile is for the next time, and what goes is missed no more.
  for (const key of [...belief.keys()]) {
    const found = map.lookup(bytesOf(key));
    const actual = found === undefined ? undefined : Buffer.from(found).toString('latin1');
    if (belief.isMissing(key, actual)) strange.push({ key, value: actual });
    if (++count % LOOKUPS === 0) {
      yield strange;
      strange = [];
    }
  }
  yield strange;
}
