/**
 * Owns the content of the data plane's maps. Keeps in memory what it last saw in the kernel, so that a change writes
 * only the difference; at the start it reads what is there, and nothing is written twice. inspect() looks whether the
 * kernel still has what is believed here, and corrects the belief: the next apply() then corrects the kernel.
 */
import { HnvError } from '../errors.ts';
import type { BpfMap } from '../linux/bpf-map.ts';
import { inspectMap, type MapBelief, type Strange } from './belief.ts';
import { bytesOf, type DomainEntries, type DomainMap, domainMaps, emptyEntries } from './entries.ts';
import {
  decodeExternal,
  decodeExternalPort,
  decodeMembers,
  decodePort,
  decodePortAddress,
  decodePortKey,
  decodeRange,
  decodeRangeKey,
  decodeRecordKey,
  decodeRouteKey,
  decodeRouterKey,
  decodeSegment,
  decodeSegmentPort,
  decodeSourceKey,
  decodeSubnet,
  decodeWildcardKey,
  encodeExternalKey,
  encodeMac,
  encodeMacKey,
  encodeSharedAddress,
} from './layout.generated.ts';
import { clearStats } from './stats.ts';

/** Whose an entry is: in the key where keys are a domain's own, in the value where domains share the key space. */
const ownerOf: Record<DomainMap, (key: Uint8Array, value: Uint8Array) => number> = {
  records: (key) => decodeRecordKey(key).domain,
  stations: (key) => decodePortKey(key).domain,
  wildcards: (key) => decodeWildcardKey(key).domain,
  routes: (key) => decodeRouteKey(key).domain,
  routers: (key) => decodeRouterKey(key).domain,
  sources: (key) => decodeSourceKey(key).domain,
  port_addresses: (_, value) => decodePortAddress(value).domain,
  translations: (key) => decodeRouteKey(key).domain,
  ports_by_mac: (key) => decodePortKey(key).domain,
  ports_by_link: (_, value) => decodePort(value).domain,
  external_ports: (_, value) => decodeExternalPort(value).domain,
  externals: (_, value) => decodeExternal(value).domain,
  peers: (_, value) => decodeExternal(value).domain,
  external_ranges: (_, value) => decodeRange(value).owner.domain,
  members: (_, value) => decodeMembers(value).domain,
  subnets: (_, value) => decodeSubnet(value).domain,
  forwarded: (key) => decodeRouteKey(key).domain,
  segment_ports: (_, value) => decodeSegmentPort(value).domain,
  segment_addresses: (_, value) => decodeSegment(value).domain,
  segments: (_, value) => decodeSegment(value).domain,
};

/** Maps whose keys are not a domain's own: a VSID, an external address, a peer, a port or a VLAN may go to another domain. */
const sharedMaps: ReadonlySet<DomainMap> = new Set([
  'subnets',
  'members',
  'externals',
  'peers',
  'external_ranges',
  'ports_by_link',
  'port_addresses',
  'segment_addresses',
  'segments',
]);

/** Maps that tell what there is in the keys of another map, over all domains, which is counted here. */
export const countingMaps = ['port_macs', 'shared_addresses'] as const;
type CountingMap = (typeof countingMaps)[number];

interface Counting {
  /** Whose keys are counted. */
  of: DomainMap;
  /** The key of the count that a key goes into, if any. */
  keyOf: (key: Uint8Array) => Uint8Array | undefined;
  value: Uint8Array;
}

const ADDRESS_BITS = 128;

const counting: Record<CountingMap, Counting> = {
  port_macs: {
    of: 'ports_by_mac',
    keyOf: (key) => {
      const { mac, pad } = decodePortKey(key);
      return encodeMacKey({ mac, pad });
    },
    value: encodeMac({ known: 1 }),
  },
  shared_addresses: {
    of: 'external_ranges',
    keyOf: (key) => {
      const { prefixLength, address } = decodeRangeKey(key);
      return prefixLength < ADDRESS_BITS ? undefined : encodeExternalKey({ address });
    },
    value: encodeSharedAddress({ known: 1 }),
  },
};

export const isCounting = (name: DomainMap | CountingMap): name is CountingMap => name in counting;

const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

/** Entries that a map did not take, as DomainEntries has them. */
export interface Refusal {
  map: DomainMap;
  keys: readonly (readonly [key: string, value: string])[];
  error: HnvError;
}

/** An entry that the kernel has otherwise than this process wrote it. */
export interface StrangeEntry extends Strange {
  map: DomainMap | CountingMap;
  /** Handle of the domain whose entry it is, or pretends to be. */
  domain: number | undefined;
}

export class DomainTables {
  readonly #map: (name: string) => BpfMap;
  readonly #present = new Map<number, DomainEntries>();
  readonly #counts: Record<CountingMap, Map<string, number>> = {
    port_macs: new Map(),
    shared_addresses: new Map(),
  };
  readonly #beliefs = new Map<DomainMap | CountingMap, MapBelief>();

  /** `map` gives the loaded map of that name. Reads what the maps hold. */
  constructor(map: (name: string) => BpfMap) {
    this.#map = map;
    for (const name of domainMaps)
      for (const [key, value] of map(name).entries())
        this.#entriesOf(ownerOf[name](key, value))[name].set(latin1(key), latin1(value));
    for (const entries of this.#present.values())
      for (const { of } of Object.values(counting))
        for (const key of entries[of].keys()) this.#count(of, key, 1);
  }

  /** Handles of the domains that have entries. */
  domains(): number[] {
    return [...this.#present.keys()];
  }

  /**
   * Makes the maps hold just `desired` for the domain, and answers what a map has no room for; all else is done. Throws
   * HNV_BPF. A repetition completes it.
   */
  apply(domain: number, desired: DomainEntries): Refusal[] {
    const present = this.#entriesOf(domain);
    const refusals = domainMaps.flatMap((name) => this.#add(name, present[name], desired[name]));
    for (const name of domainMaps.toReversed()) this.#remove(domain, name, present[name], desired[name]);
    return refusals;
  }

  /**
   * Compares all maps with what this process believes to be in them, and yields after every few thousand entries what it
   * has found there. What it found of a domain is believed from then on: apply() of that domain puts it right. What
   * belongs to no domain at all is put right at once.
   */
  *inspect(): Generator<StrangeEntry[], void, void> {
    for (const name of [...countingMaps, ...domainMaps]) {
      const belief = this.#beliefs.get(name) ?? this.#beliefIn(name);
      this.#beliefs.set(name, belief);
      for (const found of inspectMap(this.#map(name), belief))
        yield found.map((one) => this.#accept(name, one));
    }
  }

  /** Takes all entries of the domain out, and sets its counters to zero for the next owner of the number. */
  remove(domain: number): void {
    this.apply(domain, emptyEntries());
    this.#present.delete(domain);
    clearStats(this.#map, domain);
  }

  #entriesOf(domain: number): DomainEntries {
    let entries = this.#present.get(domain);
    if (entries === undefined) {
      entries = emptyEntries();
      this.#present.set(domain, entries);
    }
    return entries;
  }

  #beliefIn(name: DomainMap | CountingMap): MapBelief {
    if (isCounting(name)) {
      const counts = this.#counts[name];
      const known = latin1(counting[name].value);
      const valueFor = (count: number | undefined): string | undefined =>
        count === undefined ? undefined : known;
      return {
        ...{ writes: 0, verified: undefined, disturbed: 0 },
        size: () => counts.size,
        keys: () => counts.keys(),
        isRight: (key, value) => valueFor(counts.get(key)) === value,
        isMissing: (key, actual) => actual !== valueFor(counts.get(key)),
      };
    }
    const present = this.#present;
    const believer = (key: string, value: string): DomainEntries | undefined =>
      present.get(ownerOf[name](bytesOf(key), bytesOf(value)));
    return {
      ...{ writes: 0, verified: undefined, disturbed: 0 },
      size: () => [...present.values()].reduce((sum, entries) => sum + entries[name].size, 0),
      *keys() {
        for (const entries of present.values()) yield* entries[name].keys();
      },
      isRight: (key, value) => believer(key, value)?.[name].get(key) === value,
      isMissing: (key, actual) =>
        (actual === undefined || believer(key, actual)?.[name].get(key) !== actual) &&
        [...present.values()].some((entries) => entries[name].has(key)),
    };
  }

  /** Believes what was found, or ends it when it is nobody's. */
  #accept(name: DomainMap | CountingMap, strange: Strange): StrangeEntry {
    const { key, value } = strange;
    if (isCounting(name)) {
      this.#writeCount(name, key);
      return { ...strange, map: name, domain: undefined };
    }
    const believers = [...this.#present].filter(([, entries]) => entries[name].has(key));
    for (const [, entries] of believers) {
      if (value !== undefined) entries[name].set(key, value);
      else if (entries[name].delete(key)) this.#count(name, key, -1);
    }
    const claimed = value === undefined ? undefined : ownerOf[name](bytesOf(key), bytesOf(value));
    const domain = believers[0]?.[0] ?? claimed;
    if (believers.length === 0 && value !== undefined) {
      const entries = claimed === undefined ? undefined : this.#present.get(claimed);
      if (entries === undefined) this.#map(name).delete(bytesOf(key));
      else {
        entries[name].set(key, value);
        this.#count(name, key, 1);
      }
    }
    return { ...strange, map: name, domain };
  }

  #add(name: DomainMap, present: Map<string, string>, desired: Map<string, string>): Refusal[] {
    const missing = [...desired].filter(([key, value]) => present.get(key) !== value);
    if (missing.length === 0) return [];
    this.#noteWrite(name);
    const map = this.#map(name);
    const note = ([key, value]: readonly [string, string]): void => {
      if (!present.has(key)) this.#count(name, key, 1);
      present.set(key, value);
    };
    try {
      map.updateBatch(missing.map(([key, value]) => [bytesOf(key), bytesOf(value)] as const));
      missing.forEach(note);
      return [];
    } catch (error) {
      if (!(error instanceof HnvError) || error.code !== 'HNV_CAPACITY') throw error;
    }
    // Some of them are in the map now, and which ones is found out one by one: values may change though keys find no room.
    const refused: (readonly [string, string])[] = [];
    let refusal: HnvError | undefined;
    for (const entry of missing) {
      try {
        map.update(bytesOf(entry[0]), bytesOf(entry[1]));
        note(entry);
      } catch (error) {
        if (!(error instanceof HnvError) || error.code !== 'HNV_CAPACITY') throw error;
        refusal = error;
        refused.push(entry);
      }
    }
    return refusal === undefined ? [] : [{ map: name, keys: refused, error: refusal }];
  }

  #remove(domain: number, name: DomainMap, present: Map<string, string>, desired: Map<string, string>): void {
    const surplus = [...present.keys()].filter((key) => !desired.has(key));
    if (surplus.length === 0) return;
    this.#noteWrite(name);
    this.#map(name).deleteBatch(surplus.map(bytesOf).filter((key) => this.#stillOwns(domain, name, key)));
    for (const key of surplus) {
      present.delete(key);
      this.#count(name, key, -1);
    }
  }

  #noteWrite(name: DomainMap | CountingMap): void {
    const belief = this.#beliefs.get(name);
    if (belief !== undefined) belief.writes++;
  }

  /** A shared key may have gone to another domain already, whose entry must stay. */
  #stillOwns(domain: number, name: DomainMap, key: Uint8Array): boolean {
    if (!sharedMaps.has(name)) return true;
    const value = this.#map(name).lookup(key);
    return value !== undefined && ownerOf[name](key, value) === domain;
  }

  /** A key of a domain's map has come (1) or gone (-1). */
  #count(of: DomainMap, key: string, change: 1 | -1): void {
    const name = countingMaps.find((candidate) => counting[candidate].of === of);
    const counted = name && counting[name].keyOf(bytesOf(key));
    if (name === undefined || counted === undefined) return;
    const counts = this.#counts[name];
    const countKey = latin1(counted);
    const before = counts.get(countKey) ?? 0;
    const count = before + change;
    if (count > 0) counts.set(countKey, count);
    else counts.delete(countKey);
    if (before > 0 === count > 0) return;
    this.#noteWrite(name);
    this.#writeCount(name, countKey);
  }

  #writeCount(name: CountingMap, key: string): void {
    const count = this.#counts[name].get(key);
    if (count === undefined) this.#map(name).delete(bytesOf(key));
    else this.#map(name).update(bytesOf(key), counting[name].value);
  }
}
