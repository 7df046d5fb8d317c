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
  decodeRecordKey,
  decodeRouteKey,
  decodeRouterKey,
  decodeSourceKey,
  decodeSubnet,
  decodeWildcardKey,
  encodeMac,
  encodeMacKey,
} from './layout.generated.ts';

/** Whose an entry is: in the key where keys are a domain's own, in the value where domains share the key space. */
const ownerOf: Record<DomainMap, (key: Uint8Array, value: Uint8Array) => number> = {
  records: (key) => decodeRecordKey(key).domain,
  stations: (key) => decodePortKey(key).domain,
  wildcards: (key) => decodeWildcardKey(key).domain,
  routes: (key) => decodeRouteKey(key).domain,
  routers: (key) => decodeRouterKey(key).domain,
  sources: (key) => decodeSourceKey(key).domain,
  port_addresses: (_, value) => decodePortAddress(value).domain,
  ports_by_mac: (key) => decodePortKey(key).domain,
  ports_by_link: (_, value) => decodePort(value).domain,
  external_ports: (_, value) => decodeExternalPort(value).domain,
  externals: (_, value) => decodeExternal(value).domain,
  members: (_, value) => decodeMembers(value).domain,
  subnets: (_, value) => decodeSubnet(value).domain,
};

/** Maps whose keys are not a domain's own: a VSID, an external address or a port may go to another domain. */
const sharedMaps: ReadonlySet<DomainMap> = new Set([
  'subnets',
  'members',
  'externals',
  'ports_by_link',
  'port_addresses',
]);

const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

/** Entries that a map did not take, as DomainEntries has them. */
export interface Refusal {
  map: DomainMap;
  keys: readonly (readonly [key: string, value: string])[];
  error: HnvError;
}

/** An entry that the kernel has otherwise than this process wrote it. */
export interface StrangeEntry extends Strange {
  /** `port_macs` holds what follows from the entries of all domains. */
  map: DomainMap | 'port_macs';
  /** Handle of the domain whose entry it is, or pretends to be. */
  domain: number | undefined;
}

export class DomainTables {
  readonly #map: (name: string) => BpfMap;
  readonly #present = new Map<number, DomainEntries>();
  /** Ports of all domains by MAC, for the map `port_macs`. */
  readonly #portMacs = new Map<string, number>();
  readonly #beliefs = new Map<DomainMap | 'port_macs', MapBelief>();

  /** `map` gives the loaded map of that name. Reads what the maps hold. */
  constructor(map: (name: string) => BpfMap) {
    this.#map = map;
    for (const name of domainMaps)
      for (const [key, value] of map(name).entries())
        this.#entriesOf(ownerOf[name](key, value))[name].set(latin1(key), latin1(value));
    for (const entries of this.#present.values())
      for (const key of entries.ports_by_mac.keys()) this.#countMac(key, 1);
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
    for (const name of ['port_macs', ...domainMaps] as const) {
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
    const stats = this.#map('stats');
    const key = Buffer.alloc(4);
    key.writeUInt32LE(domain);
    const count = stats.lookup(key);
    if (count !== undefined) stats.update(key, new Uint8Array(count.length));
  }

  #entriesOf(domain: number): DomainEntries {
    let entries = this.#present.get(domain);
    if (entries === undefined) {
      entries = emptyEntries();
      this.#present.set(domain, entries);
    }
    return entries;
  }

  #beliefIn(name: DomainMap | 'port_macs'): MapBelief {
    if (name === 'port_macs') {
      const macs = this.#portMacs;
      const valueFor = (ports: number | undefined): string | undefined =>
        ports === undefined ? undefined : latin1(encodeMac({ ports }));
      return {
        ...{ writes: 0, verified: undefined, disturbed: 0 },
        size: () => macs.size,
        keys: () => macs.keys(),
        isRight: (key, value) => valueFor(macs.get(key)) === value,
        isMissing: (key, actual) => actual !== valueFor(macs.get(key)),
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
  #accept(name: DomainMap | 'port_macs', strange: Strange): StrangeEntry {
    const { key, value } = strange;
    if (name === 'port_macs') {
      const ports = this.#portMacs.get(key);
      if (ports === undefined) this.#map(name).delete(bytesOf(key));
      else this.#map(name).update(bytesOf(key), encodeMac({ ports }));
      return { ...strange, map: name, domain: undefined };
    }
    const believers = [...this.#present].filter(([, entries]) => entries[name].has(key));
    for (const [, entries] of believers) {
      if (value !== undefined) entries[name].set(key, value);
      else if (entries[name].delete(key) && name === 'ports_by_mac') this.#countMac(key, -1);
    }
    const claimed = value === undefined ? undefined : ownerOf[name](bytesOf(key), bytesOf(value));
    const domain = believers[0]?.[0] ?? claimed;
    if (believers.length === 0 && value !== undefined) {
      const entries = claimed === undefined ? undefined : this.#present.get(claimed);
      if (entries === undefined) this.#map(name).delete(bytesOf(key));
      else {
        entries[name].set(key, value);
        if (name === 'ports_by_mac') this.#countMac(key, 1);
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
      if (name === 'ports_by_mac' && !present.has(key)) this.#countMac(key, 1);
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
      if (name === 'ports_by_mac') this.#countMac(key, -1);
    }
  }

  #noteWrite(name: DomainMap | 'port_macs'): void {
    const belief = this.#beliefs.get(name);
    if (belief !== undefined) belief.writes++;
  }

  /** A shared key may have gone to another domain already, whose entry must stay. */
  #stillOwns(domain: number, name: DomainMap, key: Uint8Array): boolean {
    if (!sharedMaps.has(name)) return true;
    const value = this.#map(name).lookup(key);
    return value !== undefined && ownerOf[name](key, value) === domain;
  }

  #countMac(portKey: string, change: number): void {
    this.#noteWrite('port_macs');
    const { mac, pad } = decodePortKey(bytesOf(portKey));
    const key = encodeMacKey({ mac, pad });
    const ports = (this.#portMacs.get(latin1(key)) ?? 0) + change;
    if (ports > 0) this.#portMacs.set(latin1(key), ports);
    else this.#portMacs.delete(latin1(key));
    const map = this.#map('port_macs');
    if (ports > 0) map.update(key, encodeMac({ ports }));
    else map.delete(key);
  }
}
