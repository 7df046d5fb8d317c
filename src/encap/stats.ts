/** Counters and drops of each routing domain, as the data plane has them: per CPU in the kernel, summed here. */
import type { BpfMap } from '../linux/bpf-map.ts';
import { dropReasons } from './drop-reasons.ts';
import { decodeStats, statsSize } from './layout.generated.ts';

export interface DomainStats {
  decapsulated: { packets: number; bytes: number };
  encapsulated: { packets: number; bytes: number };
  /** From a port to another one of this node. */
  local: { packets: number; bytes: number };
  /** Copies of broadcasts and multicasts that were made here. */
  replicated: number;
  /** Packets by the reason's name; reasons that never happened are absent. */
  drops: Record<string, number>;
}

/** Stats of one domain handle; 0 is the domain of what nobody can be charged with. */
export function readStats(map: BpfMap, domain: number): DomainStats {
  const key = Buffer.alloc(4);
  key.writeUInt32LE(domain);
  const total: DomainStats = {
    decapsulated: { packets: 0, bytes: 0 },
    encapsulated: { packets: 0, bytes: 0 },
    local: { packets: 0, bytes: 0 },
    replicated: 0,
    drops: {},
  };
  const perCpu = map.lookup(key) ?? new Uint8Array();
  for (let at = 0; at < perCpu.length; at += statsSize) {
    const stats = decodeStats(perCpu.subarray(at, at + statsSize));
    total.decapsulated.packets += Number(stats.decapPackets);
    total.decapsulated.bytes += Number(stats.decapBytes);
    total.encapsulated.packets += Number(stats.encapPackets);
    total.encapsulated.bytes += Number(stats.encapBytes);
    total.local.packets += Number(stats.localPackets);
    total.local.bytes += Number(stats.localBytes);
    total.replicated += Number(stats.replicatedPackets);
    for (const { number, name } of dropReasons) {
      const count = Number(stats.drops[number] ?? 0n);
      if (count > 0) total.drops[name] = (total.drops[name] ?? 0) + count;
    }
  }
  return total;
}
