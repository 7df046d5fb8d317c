/** What the pinned maps of a node's data plane hold: all that its packets depend on. */
import { readdirSync } from 'node:fs';
import { BpfMap } from '../../src/linux/bpf-map.ts';
import { pinDirectory } from './gateway-remains.ts';

/** Maps that count, sample or scribble while packets pass, ring buffers among them, which cannot be read. */
const CHANGED_BY_TRAFFIC = [
  ...['traffic', 'drops', 'drop_scratch', 'drop_samples', 'quote_scratch'],
  ...['learned', 'learned_scratch', 'sightings', 'fragmented'],
  // Of the fast path: flows, how they come about, generations, which only ever grow, and routes that were asked for.
  ...['flows', 'flow_sets', 'flow_table', 'arrivals', 'seen', 'learning', 'fast_domains', 'next_hops'],
];

/** Where the pins of the one generation are that a node has made. */
export function generationDirectory(instance: string): string {
  const generations = readdirSync(pinDirectory(instance));
  if (generations.length !== 1) throw new Error(`${instance} has ${generations.length} generations`);
  return `${pinDirectory(instance)}/${generations[0]}`;
}

/** Something of a map of the one generation of a node. */
export function withMap<T>(instance: string, name: string, use: (map: BpfMap) => T): T {
  const map = openMap(instance, name);
  try {
    return use(map);
  } finally {
    map.close();
  }
}

/** Such a map, which the caller closes. */
export function openMap(instance: string, name: string): BpfMap {
  const map = BpfMap.openPinned(`${generationDirectory(instance)}/maps/${name}`);
  if (map === undefined) throw new Error(`${instance} has no map ${name}`);
  return map;
}

/** Entries as `key value` in hexadecimal, sorted, of all maps that traffic leaves alone; of all generations. */
export function mapEntries(instance: string): Record<string, string[]> {
  const directory = pinDirectory(instance);
  const maps: Record<string, string[]> = {};
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
  for (const generation of readdirSync(directory))
    for (const name of readdirSync(`${directory}/${generation}/maps`)) {
      if (CHANGED_BY_TRAFFIC.includes(name)) continue;
      const map = BpfMap.openPinned(`${directory}/${generation}/maps/${name}`);
      if (map === undefined) throw new Error(`the pinned map ${name} has gone`);
      maps[name] = map
        .entries()
        // An array has its entry always; without a link or a CPU in it there is nothing.
        .filter(([, value]) => !['sorter', 'spread_over'].includes(name) || value.some((byte) => byte !== 0))
        .map(([key, value]) => `${hex(key)} ${hex(value)}`)
        .sort();
      map.close();
    }
  return maps;
}
