/** Counters and drops of each routing domain, as the data plane has them: per CPU in the kernel, summed here. */
import type { BpfMap } from '../linux/bpf-map.ts';
import { dropReasons } from './drop-reasons.ts';
import { decodeStats, type Stats, statsSize } from './layout.generated.ts';

export interface DomainStats {
  decapsulated: { packets: number; bytes: number };
  encapsulated: { packets: number; bytes: number };
  /** Of both, those that took the fast path. */
  fast: { packets: number };
  /** From a port to another one of this node. */
  local: { packets: number; bytes: number };
  /** Copies of broadcasts and multicasts that were made here. */
  replicated: number;
  /** Packets by the reason's name; reasons that never happened are absent. */
  drops: Record<string, number>;
}

/** One record with the sums of all CPUs. Machines have many of them, and most counters are 0. */
function sumOf(perCpu: Uint8Array): Stats {
  const words = new BigUint64Array(perCpu.buffer, perCpu.byteOffset, perCpu.length / 8);
  const sums = new BigUint64Array(statsSize / 8);
  words.forEach((word, at) => {
    if (word !== 0n) sums[at % sums.length] = (sums[at % sums.length] ?? 0n) + word;
  });
  return decodeStats(new Uint8Array(sums.buffer));
}

/** Stats of one domain handle; 0 is the domain of what nobody can be charged with. */
export function readStats(map: BpfMap, domain: number): DomainStats {
  const key = Buffer.alloc(4);
  key.writeUInt32LE(domain);
  const stats = sumOf(map.lookup(key) ?? new Uint8Array());
  const drops: Record<string, number> = {};
  for (const { number, name } of dropReasons) {
    const count = Number(stats.drops[number] ?? 0n);
    if (count > 0) drops[name] = count;
  }
  return {
    decapsulated: { packets: Number(stats.decapPackets), bytes: Number(stats.decapBytes) },
    encapsulated: { packets: Number(stats.encapPackets), bytes: Number(stats.encapBytes) },
    fast: { packets: Number(stats.fastPackets) },
    local: { packets: Number(stats.localPackets), bytes: Number(stats.localBytes) },
    replicated: Number(stats.replicatedPackets),
    drops,
  };
}
