/**
 * One eBPF map of the kernel by its file descriptor: single and batched access to its entries as raw bytes. Batches go
 * through the kernel's batch commands where the map type has them, and one by one where it has not.
 */
import { closeSync, readlinkSync } from 'node:fs';
import { constants } from 'node:os';
import { HnvError } from '../errors.ts';
import {
  bpf_map_delete_batch,
  bpf_map_delete_elem,
  bpf_map_get_next_key,
  bpf_map_lookup_batch,
  bpf_map_lookup_elem,
  bpf_map_update_batch,
  bpf_map_update_elem,
  bpf_obj_get,
  bpf_obj_get_info_by_fd,
  bpfError,
  ENOTSUPP,
  errnoText,
  libbpf_bpf_map_type_str,
  libbpf_num_possible_cpus,
} from './libbpf.ts';

const { E2BIG, EINVAL, ENOENT, ENOSPC } = constants.errno;

/** Entries per batch command: large enough to make the system call's cost vanish, small enough to stay in cache. */
const BATCH_ENTRIES = 4096;
/** Entries in a piece: to compare them holds up the event loop for a millisecond. */
const PIECE_ENTRIES = 512;
/** Bytes of values in a piece, where they are large. */
const PIECE_BYTES = 1 << 20;
/** Types whose value is one slot per possible CPU: hash, array, LRU hash, cgroup storage (enum bpf_map_type). */
const PER_CPU_TYPES = new Set([5, 6, 10, 21]);
/** Key order of this type is by prefix, and the kernel resumes a walk wherever the last key would be. */
const LPM_TRIE = 11;
/** sizeof(struct bpf_map_info) of Linux 6.1; newer kernels only append. */
const MAP_INFO_SIZE = 88;

let cpus: number | undefined;

/** How many CPUs the kernel may ever have, which is the number of slots in a per-CPU value. */
export function possibleCpus(): number {
  if (cpus === undefined) {
    const count = libbpf_num_possible_cpus();
    if (count < 1) throw bpfError('count possible CPUs', count);
    cpus = count;
  }
  return cpus;
}

/** What two maps must have in common to be exchangeable. `flags` are those of map creation (BPF_F_*). */
export interface MapShape {
  type: number;
  keySize: number;
  valueSize: number;
  maxEntries: number;
  flags: number;
}

/** "hash, key 8 bytes, value 16 bytes, 1024 entries, flags 0x0", for error messages. */
export function describeShape(shape: MapShape): string {
  const type = libbpf_bpf_map_type_str(shape.type) ?? `type ${shape.type}`;
  return `${type}, key ${shape.keySize} bytes, value ${shape.valueSize} bytes, ${shape.maxEntries} entries, flags 0x${shape.flags.toString(16)}`;
}

export class BpfMap {
  readonly name: string;
  readonly fd: number;
  readonly id: number;
  /** Number of enum bpf_map_type. */
  readonly type: number;
  readonly keySize: number;
  /** Bytes of one value; for per-CPU maps of one CPU's slot, unrounded. */
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  /** Bytes that one value takes when it is read or written: differs from valueSize for per-CPU maps only. */
  readonly #valueBytes: number;
  readonly #owned: boolean;

  /**
   * @param fd file descriptor of a map; `owned` says whether close() closes it.
   * @param name its full name, where the caller knows more than the kernel's 15 characters.
   */
  constructor(fd: number, owned: boolean, name?: string) {
    const info = new Uint8Array(MAP_INFO_SIZE);
    const error = bpf_obj_get_info_by_fd(fd, info, new Uint32Array([info.length]));
    if (error < 0) throw bpfError(`read the properties of map ${name ?? `at descriptor ${fd}`}`, error);
    const words = new DataView(info.buffer);
    const word = (index: number): number => words.getUint32(index * 4, true);
    this.fd = fd;
    this.type = word(0);
    this.id = word(1);
    this.keySize = word(2);
    this.valueSize = word(3);
    this.maxEntries = word(4);
    this.flags = word(5);
    this.name = name ?? Buffer.from(info.subarray(24, 40)).toString('latin1').replace(/\0.*$/s, '');
    this.#valueBytes = PER_CPU_TYPES.has(this.type)
      ? ((this.valueSize + 7) & ~7) * possibleCpus()
      : this.valueSize;
    this.#owned = owned;
  }

  /** Opens the map that is pinned at `path`; undefined when nothing is there. The caller closes it. */
  static openPinned(path: string): BpfMap | undefined {
    const fd = bpf_obj_get(path);
    if (fd === -ENOENT) return undefined;
    if (fd < 0) throw bpfError(`open the pinned map ${path}`, fd);
    try {
      if (readlinkSync(`/proc/self/fd/${fd}`) !== 'anon_inode:bpf-map')
        throw new HnvError('HNV_BPF', `The object pinned at ${path} is not a map.`);
      return new BpfMap(fd, true);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  /** Closes the descriptor of a map from openPinned(); the map of an object is closed with its object. */
  close(): void {
    if (this.#owned) closeSync(this.fd);
  }

  /** The value at `key`, or undefined. Per-CPU maps: each CPU's slot, rounded up to 8 bytes, one after another. */
  lookup(key: Uint8Array): Uint8Array | undefined {
    this.#checkKey(key);
    const value = new Uint8Array(this.#valueBytes);
    const error = bpf_map_lookup_elem(this.fd, key, value);
    if (error === -ENOENT) return undefined;
    if (error < 0) throw bpfError(`look up in map ${this.name}`, error);
    return value;
  }

  /** Writes the value at `key`, there or not. HNV_CAPACITY when the map is full. */
  update(key: Uint8Array, value: Uint8Array): void {
    this.#checkKey(key);
    this.#checkValue(value);
    const error = bpf_map_update_elem(this.fd, key, value, 0);
    if (error < 0) throw this.#updateError(error);
  }

  /** Removes `key`; false when it was not there. */
  delete(key: Uint8Array): boolean {
    this.#checkKey(key);
    const error = bpf_map_delete_elem(this.fd, key);
    if (error === -ENOENT) return false;
    if (error < 0) throw bpfError(`delete from map ${this.name}`, error);
    return true;
  }

  /** As update() for each entry in order. Not atomic: after an error the entries before the failed one are written. */
  updateBatch(entries: readonly (readonly [Uint8Array, Uint8Array])[]): void {
    for (const [key, value] of entries) {
      this.#checkKey(key);
      this.#checkValue(value);
    }
    for (let start = 0; start < entries.length; start += BATCH_ENTRIES) {
      const chunk = entries.slice(start, start + BATCH_ENTRIES);
      const keys = new Uint8Array(chunk.length * this.keySize);
      const values = new Uint8Array(chunk.length * this.#valueBytes);
      chunk.forEach(([key, value], index) => {
        keys.set(key, index * this.keySize);
        values.set(value, index * this.#valueBytes);
      });
      const error = bpf_map_update_batch(this.fd, keys, values, new Uint32Array([chunk.length]), null);
      if (error === -ENOTSUPP || error === -EINVAL) {
        for (const [key, value] of chunk) this.update(key, value);
      } else if (error < 0) {
        throw this.#updateError(error);
      }
    }
  }

  /** As delete() for each key; keys that are not there are fine. */
  deleteBatch(keys: readonly Uint8Array[]): void {
    for (const key of keys) this.#checkKey(key);
    let start = 0;
    while (start < keys.length) {
      const chunk = keys.slice(start, start + BATCH_ENTRIES);
      const packed = new Uint8Array(chunk.length * this.keySize);
      chunk.forEach((key, index) => {
        packed.set(key, index * this.keySize);
      });
      const count = new Uint32Array([chunk.length]);
      const error = bpf_map_delete_batch(this.fd, packed, count, null);
      if (error === -ENOENT) {
        // The kernel stops at the first absent key and counts those before it.
        start += (count[0] ?? 0) + 1;
        continue;
      }
      if (error === -ENOTSUPP || error === -EINVAL) {
        for (const key of chunk) this.delete(key);
      } else if (error < 0) {
        throw bpfError(`delete from map ${this.name}`, error);
      }
      start += chunk.length;
    }
  }

  /**
   * All entries in pieces of some hundred, each read at once when it is asked for; keys and values lie one after
   * another. While nobody writes to the map, a piece is the same each time.
   */
  *pieces(): Generator<{ keys: Buffer; values: Buffer; count: number }, void, void> {
    let size = Math.min(PIECE_ENTRIES, this.maxEntries, Math.ceil(PIECE_BYTES / this.#valueBytes));
    let position: Uint8Array | null = null;
    for (;;) {
      const keys = Buffer.allocUnsafe(size * this.keySize);
      const values = Buffer.allocUnsafe(size * this.#valueBytes);
      const next = new Uint8Array(Math.max(4, this.keySize));
      const counter = new Uint32Array([size]);
      const error = bpf_map_lookup_batch(this.fd, position, next, keys, values, counter, null);
      if (error === -ENOSPC) {
        size *= 2;
        continue;
      }
      if (error < 0 && error !== -ENOENT) throw bpfError(`read map ${this.name}`, error);
      const count = counter[0] ?? 0;
      yield {
        keys: keys.subarray(0, count * this.keySize),
        values: values.subarray(0, count * this.#valueBytes),
        count,
      };
      if (error === -ENOENT) return;
      position = next;
    }
  }

  /**
   * All entries, in the kernel's order. Entries that come or go meanwhile may be missed; none is returned twice.
   */
  entries(): [Uint8Array, Uint8Array][] {
    return this.#entriesByBatch() ?? this.#entriesByKey();
  }

  /** Undefined when the map type has no batch lookup. */
  #entriesByBatch(): [Uint8Array, Uint8Array][] | undefined {
    const found: [Uint8Array, Uint8Array][] = [];
    let size = Math.min(BATCH_ENTRIES, this.maxEntries);
    // The position is a bucket number for hashes and a key for the others.
    let position: Uint8Array | null = null;
    for (;;) {
      const keys = new Uint8Array(size * this.keySize);
      const values = new Uint8Array(size * this.#valueBytes);
      const next = new Uint8Array(Math.max(4, this.keySize));
      const count = new Uint32Array([size]);
      const error = bpf_map_lookup_batch(this.fd, position, next, keys, values, count, null);
      if (error === -ENOTSUPP || error === -EINVAL) return undefined;
      if (error === -ENOSPC) {
        // One hash bucket holds more than fits.
        size *= 2;
        continue;
      }
      if (error < 0 && error !== -ENOENT) throw bpfError(`read map ${this.name}`, error);
      for (let index = 0; index < (count[0] ?? 0); index++) {
        found.push([
          keys.slice(index * this.keySize, (index + 1) * this.keySize),
          values.slice(index * this.#valueBytes, (index + 1) * this.#valueBytes),
        ]);
      }
      if (error === -ENOENT) return this.type === LPM_TRIE ? distinct(found) : found;
      position = next;
    }
  }

  #entriesByKey(): [Uint8Array, Uint8Array][] {
    const found: [Uint8Array, Uint8Array][] = [];
    let key: Uint8Array | null = null;
    // A key that is deleted under the walk sends it back to the start: the bound ends a walk that never settles.
    for (let steps = 0; steps < 2 * this.maxEntries; steps++) {
      const next = new Uint8Array(this.keySize);
      const error = bpf_map_get_next_key(this.fd, key, next);
      if (error === -ENOENT) break;
      if (error < 0) throw bpfError(`read map ${this.name}`, error);
      const value = this.lookup(next);
      if (value !== undefined) found.push([next, value]);
      key = next;
    }
    return distinct(found);
  }

  #checkKey(key: Uint8Array): void {
    if (key.length !== this.keySize)
      throw new HnvError('HNV_BPF', `Map ${this.name} has keys of ${this.keySize} bytes, not ${key.length}.`);
  }

  #checkValue(value: Uint8Array): void {
    if (value.length !== this.#valueBytes)
      throw new HnvError(
        'HNV_BPF',
        `Map ${this.name} has values of ${this.#valueBytes} bytes, not ${value.length}.`,
      );
  }

  #updateError(error: number): HnvError {
    // Hashes and arrays say E2BIG, LPM tries ENOSPC.
    if (error !== -E2BIG && error !== -ENOSPC) return bpfError(`write map ${this.name}`, error);
    return new HnvError('HNV_CAPACITY', `Map ${this.name} is full: it holds ${this.maxEntries} entries.`, {
      cause: new Error(errnoText(error)),
    });
  }
}

/** The last of the entries with equal keys, in the order of first appearance. */
function distinct(entries: [Uint8Array, Uint8Array][]): [Uint8Array, Uint8Array][] {
  const byKey = new Map<string, [Uint8Array, Uint8Array]>();
  for (const entry of entries) byKey.set(Buffer.from(entry[0]).toString('latin1'), entry);
  return [...byKey.values()];
}
