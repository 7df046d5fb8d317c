/** The counters of the data plane, read after each frame: what grew, and in which domain. */
import { dropReasons } from '../../src/encap/drop-reasons.ts';
import { type BpfMap, possibleCpus } from '../../src/linux/bpf-map.ts';
import { bpf_map_lookup_elem, bpfError } from '../../src/linux/libbpf.ts';

/** Words of 32 bits in struct hnv_stats: where each 64-bit counter's low half is. */
const WORDS = {
  decapsulated: 0,
  encapsulated: 4,
  local: 10,
  replicated: 14,
  drops: 20,
} as const;
const REASONS = dropReasons.length + 1;

/** Growth of one domain's counters by one frame. */
export interface Grown {
  /** Packets. */
  encapsulated: number;
  decapsulated: number;
  local: number;
  replicated: number;
  /** Numbers of the reasons, each as often as it was counted. */
  drops: number[];
}

export const reasonNumber = (name: string): number =>
  dropReasons.find((reason) => reason.name === name)?.number ?? 0;

export class Tally {
  readonly #map: BpfMap;
  readonly #keys: readonly Buffer[];
  readonly #now: readonly Uint32Array[];
  readonly #before: readonly Uint32Array[];
  readonly #cpus = possibleCpus();
  readonly #words: number;

  constructor(map: BpfMap, domains: readonly number[]) {
    this.#map = map;
    this.#words = ((map.valueSize + 7) & ~7) / 4;
    this.#keys = domains.map((domain) => Buffer.of(domain, 0, 0, 0));
    const read = (): Uint32Array => new Uint32Array(this.#words * this.#cpus);
    this.#now = domains.map(read);
    this.#before = domains.map(read);
    for (const index of domains.keys()) this.grown(index);
  }

  /** What the counters of the domain of that index grew by since the last call; undefined when they did not. */
  grown(index: number): Grown | undefined {
    const [key, now, before] = [this.#keys[index], this.#now[index], this.#before[index]];
    if (key === undefined || now === undefined || before === undefined) throw new Error(`no domain ${index}`);
    const error = bpf_map_lookup_elem(this.#map.fd, key, now as unknown as Uint8Array);
    if (error < 0) throw bpfError('read the counters', error);
    let grown: Grown | undefined;
    for (let cpu = 0; cpu < this.#cpus; cpu++) {
      const first = cpu * this.#words;
      for (let word = 0; word < WORDS.drops + 2 * REASONS; word += 2) {
        const growth = (now[first + word] ?? 0) - (before[first + word] ?? 0);
        if (growth === 0) continue;
        before[first + word] = now[first + word] ?? 0;
        grown ??= { encapsulated: 0, decapsulated: 0, local: 0, replicated: 0, drops: [] };
        if (word >= WORDS.drops)
          for (let time = 0; time < growth; time++) grown.drops.push((word - WORDS.drops) / 2);
        else if (word === WORDS.encapsulated) grown.encapsulated += growth;
        else if (word === WORDS.decapsulated) grown.decapsulated += growth;
        else if (word === WORDS.local) grown.local += growth;
        else if (word === WORDS.replicated) grown.replicated += growth;
      }
    }
    return grown && this.#isSomething(grown) ? grown : undefined;
  }

  /** Times of the last sample and the last error change as well, and are no counters. */
  #isSomething({ encapsulated, decapsulated, local, replicated, drops }: Grown): boolean {
    return encapsulated + decapsulated + local + replicated + drops.length > 0;
  }
}
