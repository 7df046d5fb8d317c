/**
 * The table of established flows, as user space sees it (kernel/flow_table.h): what leads to the flows of each CPU is in the maps
 * `flow_table` and `flow_sets`, and they themselves are in the map `flows`.
 */
import { randomBytes } from 'node:crypto';
import type { BpfMap } from '../linux/bpf-map.ts';
import { onlineCpus } from '../linux/cpus.ts';
import { native32 } from '../linux/native.ts';
import {
  decodeFlowEntry,
  decodeFlowSet,
  decodeFlowTable,
  encodeFlowKey,
  encodeFlowTable,
  type Flow,
  flowKeySize,
  flowSetSize,
  flowTableSize,
} from './layout.generated.ts';

type Maps = (name: 'flows' | 'flow_sets' | 'flow_table') => BpfMap;

/** HNV_FLOW_ENTRY_BITS: of a slot, what leads to an entry. */
const ENTRY_MASK = 2 ** 20 - 1;
/** As in kernel/flow_table.h. */
const MIXER = 0x9e37_79b9_7f4a_7c15n;
const SLOT_BYTES = 4;
/** So many that few sets are full when all entries are taken: one in 250. */
const SLOTS_PER_ENTRY = 4;
const WORD_BYTES = 8;

const ONLY = native32(0);

/**
 * How large the maps are for so many flows of all CPUs together. Each that is online has the same share, and numbers that are
 * missing among them have one, too; one that comes later has no fast path until the next start.
 */
export function flowTableSizes(flows: number): { cpus: number; entries: number; sets: number } {
  const cpus = Math.max(...onlineCpus()) + 1;
  const entries = Math.ceil(flows / cpus);
  return { cpus, entries, sets: Math.ceil((entries * SLOTS_PER_ENTRY) / (flowSetSize / SLOT_BYTES)) };
}

/** Makes it a table of that size, unless it is one. */
export function layFlowTable(table: BpfMap, { sets, entries }: ReturnType<typeof flowTableSizes>): void {
  if (decodeFlowTable(table.lookup(ONLY) ?? new Uint8Array(flowTableSize)).sets > 0) return;
  const multipliers = BigUint64Array.from(
    { length: flowKeySize / WORD_BYTES },
    // Odd ones lose nothing of a word.
    () => randomBytes(WORD_BYTES).readBigUInt64LE() | 1n,
  );
  table.update(ONLY, encodeFlowTable({ multipliers, sets, entries }));
}

/** What flows have the key on any CPU. At most two system calls for each of them, and one more. */
export function flowsOf(map: Maps, key: Uint8Array): Flow[] {
  const table = decodeFlowTable(map('flow_table').lookup(ONLY) ?? new Uint8Array(flowTableSize));
  const words = new BigUint64Array(Uint8Array.from(key).buffer);
  const products = words.reduce((sum, word, at) => sum + word * (table.multipliers[at] ?? 0n), 0n);
  const sum = BigInt.asUintN(64, products);
  const hash = BigInt.asUintN(64, (sum ^ (sum >> 32n)) * MIXER);
  const set = Number(((hash >> 32n) * BigInt(table.sets)) >> 32n);
  const bits = Number(hash & 0xffff_ffffn & ~BigInt(ENTRY_MASK));
  const cpus = Math.floor(map('flow_sets').maxEntries / table.sets);
  return Array.from({ length: cpus }, (_, cpu) => {
    const slots = map('flow_sets').lookup(native32(cpu * table.sets + set));
    if (slots === undefined) return [];
    const slot = decodeFlowSet(slots).slots.find((each) => each !== 0 && each - (each & ENTRY_MASK) === bits);
    if (slot === undefined) return [];
    const bytes = map('flows').lookup(native32(cpu * table.entries + (slot & ENTRY_MASK) - 1));
    if (bytes === undefined) return [];
    const entry = decodeFlowEntry(bytes);
    return Buffer.compare(encodeFlowKey(entry.key), key) === 0 ? [entry.flow] : [];
  }).flat();
}
