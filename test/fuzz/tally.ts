/** The counters of the data plane, read after each frame: what grew, and in which domain. */
import { dropReasons } from '../../src/encap/drop-reasons.ts';
import { type BpfMap, possibleCpus } from '../../src/linux/bpf-map.ts';
import { bpf_map_lookup_elem, bpfError } from '../../src/linux/libbpf.ts';

/** Words of 32 bits: where the low half is of each 64-bit counter in struct hnv_traffic, and of the first in struct hnv_drops. */
const TRAFFIC = { decapsulated: 0, encapsulated: 4, local: 10, replicated: 14 } as const;
const DROPS = 4;
const TRAFFIC_NAMES = Object.keys(TRAFFIC) as (keyof typeof TRAFFIC)[];

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

/** The counters of some domains in one of the maps. */
class Counters {
  readonly #map: BpfMap;
  readonly #keys: readonly Buffer[];
  readonly #now: Uint32Array;
  readonly #before: readonly Uint32Array[];
  readonly #words: number;

  constructor(map: BpfMap, domains: readonly number[]) {
    this.#map = map;
    this.#words = ((map.valueSize + 7) & ~7) / 4;
    const read = (): Uint32Array => new Uint32Array(this.#words * possibleCpus());
    this.#keys = domains.map((domain) => Buffer.of(domain, 0, 0, 0));
    this.#now = read();
    this.#before = domains.map(read);
  }

  /** Calls `told` with each word of the domain of that index that has grown since the last call. */
  compare(index: number, told: (word: number, growth: number) => void): void {
    const [key, before] = [this.#keys[index], this.#before[index]];
    if (key === undefined || before === undefined) throw new Error(`no domain ${index}`);
    const error = bpf_map_lookup_elem(this.#map.fd, key, this.#now as unknown as Uint8Array);
    if (error < 0) throw bpfError('read the counters', error);
    for (let at = 0; at < this.#now.length; at += 2) {
      const growth = (this.#now[at] ?? 0) - (before[at] ?? 0);
      if (growth === 0) continue;
      before[at] = this.#now[at] ?? 0;
      told(at % this.#words, growth);
    }
  }
}

export class Tally {
  readonly #traffic: Counters;
  readonly #drops: Counters;

  constructor(map: (name: 'traffic' | 'drops') => BpfMap, domains: readonly number[]) {
    this.#traffic = new Counters(map('traffic'), domains);
    this.#drops = new Counters(map('drops'), domains);
    for (const index of domains.keys()) this.grown(index);
  }

  /** What the counters of the domain of that index grew by since the last call; undefined when they did not. */
  grown(index: number): Grown | undefined {
    let grown: Grown | undefined;
    const counts = (): Grown => {
      grown ??= { encapsulated: 0, decapsulated: 0, local: 0, replicated: 0, drops: [] };
      return grown;
    };
    this.#traffic.compare(index, (word, growth) => {
      for (const name of TRAFFIC_NAMES) if (word === TRAFFIC[name]) counts()[name] += growth;
    });
    this.#drops.compare(index, (word, growth) => {
      // The first words, times of the last sample and the last error, are no counters.
      if (word >= DROPS) for (let time = 0; time < growth; time++) counts().drops.push((word - DROPS) / 2);
    });
    return grown;
  }
}
