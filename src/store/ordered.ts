/**
 * The ids of one collection in ascending order, each with a value: mostly the version of its resource. Kept in short sorted arrays, so
 * that an id in the middle of 100,000 is put in its place by moving a few hundred.
 */

/** Who wrote a resource last. One object is shared by all that one write has written. */
export interface Version {
  readonly revision: number;
  /** ISO 8601. */
  readonly modified: string;
}

const chunkLimit = 512;

interface Chunk<K, V> {
  readonly ids: K[];
  /** Of the ids, by position. */
  readonly values: V[];
}

export class Ordered<K extends string | number, V = Version> {
  /** None is empty. */
  #chunks: Chunk<K, V>[] = [];

  get(id: K): V | undefined {
    const chunk = this.#chunks[this.#chunkOf(id)];
    if (chunk === undefined) return undefined;
    const at = lowerBound(chunk.ids, id);
    return chunk.ids[at] === id ? chunk.values[at] : undefined;
  }

  set(id: K, value: V): void {
    const index = this.#chunkOf(id);
    const chunk = this.#chunks[index];
    if (chunk === undefined) {
      this.#chunks.push({ ids: [id], values: [value] });
      return;
    }
    const { ids, values } = chunk;
    const at = lowerBound(ids, id);
    if (ids[at] === id) {
      values[at] = value;
    } else if (ids.length < chunkLimit) {
      ids.splice(at, 0, id);
      values.splice(at, 0, value);
    } else if (at === chunkLimit && index === this.#chunks.length - 1) {
      // What comes in order, as from the file, fills its arrays.
      this.#chunks.push({ ids: [id], values: [value] });
    } else {
      const half = chunkLimit / 2;
      this.#chunks.splice(index + 1, 0, { ids: ids.splice(half), values: values.splice(half) });
      this.set(id, value);
    }
  }

  delete(id: K): void {
    const index = this.#chunkOf(id);
    const chunk = this.#chunks[index];
    if (chunk === undefined) return;
    const at = lowerBound(chunk.ids, id);
    if (chunk.ids[at] !== id) return;
    chunk.ids.splice(at, 1);
    chunk.values.splice(at, 1);
    if (chunk.ids.length === 0) this.#chunks.splice(index, 1);
  }

  /** The first `limit` ids above `after`, with their values. */
  page(after: K | undefined, limit: number): [id: K, value: V][] {
    const page: [K, V][] = [];
    let index = after === undefined ? 0 : this.#chunkOf(after);
    for (; index < this.#chunks.length && page.length < limit; index++) {
      const { ids, values } = this.#chunks[index] as Chunk<K, V>;
      let at = after === undefined ? 0 : lowerBound(ids, after);
      if (ids[at] === after) at++;
      for (; at < ids.length && page.length < limit; at++) page.push([ids[at] as K, values[at] as V]);
    }
    return page;
  }

  clone(): Ordered<K, V> {
    const copy = new Ordered<K, V>();
    copy.#chunks = this.#chunks.map(({ ids, values }) => ({ ids: [...ids], values: [...values] }));
    return copy;
  }

  /** Index of the chunk that has the id, or where it belongs: the last one that does not begin above it. */
  #chunkOf(id: K): number {
    let low = 0;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (((this.#chunks[middle] as Chunk<K, V>).ids[0] as K) <= id) low = middle + 1;
      else high = middle;
    }
    return Math.max(low - 1, 0);
  }
}

/** Position of the first id that is not below `id`. */
function lowerBound<K extends string | number>(ids: readonly K[], id: K): number {
  let low = 0;
  let high = ids.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ids[middle] as K) < id) low = middle + 1;
    else high = middle;
  }
  return low;
}
