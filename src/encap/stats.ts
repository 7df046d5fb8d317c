/** Counters and drops of each routing domain, as the data plane has them: per CPU in the kernel, summed here. */
import type { BpfMap } from '../linux/bpf-map.ts';
import { native32 } from '../linux/native.ts';
import { dropReasons } from './drop-reasons.ts';
import { decodeDrops, decodeTraffic, dropsSize, trafficSize } from './layout.generated.ts';

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

/** Sums over all CPUs, of the words of `size` bytes that each of them has. Machines have many of them, and most counters are 0. */
function sumOf(perCpu: Uint8Array | undefined, size: number): Uint8Array {
  const sums = new BigUint64Array(size / 8);
  if (perCpu !== undefined)
    new BigUint64Array(perCpu.buffer, perCpu.byteOffset, perCpu.length / 8).forEach((word, at) => {
      if (word !== 0n) sums[at % sums.length] = (sums[at % sums.length] ?? 0n) + word;
    });
  return new Uint8Array(sums.buffer);
}

/** Maps whose key is a domain's handle. */
const MAPS = ['traffic', 'drops'] as const;
export type StatsMaps = (name: (typeof MAPS)[number]) => BpfMap;

/** Stats of one domain handle; 0 is the domain of what nobody can be charged with. */
export function readStats(map: StatsMaps, domain: number): DomainStats {
  const key = native32(domain);
  const traffic = decodeTraffic(sumOf(map('traffic').lookup(key), trafficSize));
  const { packets } = decodeDrops(sumOf(map('drops').lookup(key), dropsSize));
  const drops: Record<string, number> = {};
  for (const { number, name } of dropReasons) {
    const count = Number(packets[number] ?? 0n);
    if (count > 0) drops[name] = count;
  }
  return {
    decapsulated: { packets: Number(traffic.decapPackets), bytes: Number(traffic.decapBytes) },
    encapsulated: { packets: Number(traffic.encapPackets), bytes: Number(traffic.encapBytes) },
    fast: { packets: Number(traffic.fastPackets) },
    local: { packets: Number(traffic.localPackets), bytes: Number(traffic.localBytes) },
    replicated: Number(traffic.replicatedPackets),
    drops,
  };
}

/** Sets all of the domain's to zero. */
export function clearStats(map: StatsMaps, domain: number): void {
  const key = native32(domain);
  for (const name of MAPS) {
    const count = map(name).lookup(key);
    if (count !== undefined) map(name).update(key, new Uint8Array(count.length));
  }
}
