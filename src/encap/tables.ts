/**
 * Owns the content of the data plane's maps. Keeps in memory what it last saw in the kernel, so that a change writes
 * only the difference; at the start it reads what is there, and nothing is written twice.
 */
import type { BpfMap } from '../linux/bpf-map.ts';
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

export class DomainTables {
  readonly #map: (name: string) => BpfMap;
  readonly #present = new Map<number, DomainEntries>();
  /** Ports of all domains by MAC, for the map `port_macs`. */
  readonly #portMacs = new Map<string, number>();

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

  /** Makes the maps hold just `desired` for the domain. Throws HNV_CAPACITY or HNV_BPF; a repetition completes it. */
  apply(domain: number, desired: DomainEntries): void {
    const present = this.#entriesOf(domain);
    for (const name of domainMaps) this.#add(name, present[name], desired[name]);
    for (const name of domainMaps.toReversed()) this.#remove(domain, name, present[name], desired[name]);
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

  #add(name: DomainMap, present: Map<string, string>, desired: Map<string, string>): void {
    const missing = [...desired].filter(([key, value]) => present.get(key) !== value);
    if (missing.length === 0) return;
    this.#map(name).updateBatch(missing.map(([key, value]) => [bytesOf(key), bytesOf(value)] as const));
    for (const [key, value] of missing) {
      if (name === 'ports_by_mac' && !present.has(key)) this.#countMac(key, 1);
      present.set(key, value);
    }
  }

  #remove(domain: number, name: DomainMap, present: Map<string, string>, desired: Map<string, string>): void {
    const surplus = [...present.keys()].filter((key) => !desired.has(key));
    if (surplus.length === 0) return;
    this.#map(name).deleteBatch(surplus.map(bytesOf).filter((key) => this.#stillOwns(domain, name, key)));
    for (const key of surplus) {
      present.delete(key);
      if (name === 'ports_by_mac') this.#countMac(key, -1);
    }
  }

  /** A shared key may have gone to another domain already, whose entry must stay. */
  #stillOwns(domain: number, name: DomainMap, key: Uint8Array): boolean {
    if (!sharedMaps.has(name)) return true;
    const value = this.#map(name).lookup(key);
    return value !== undefined && ownerOf[name](key, value) === domain;
  }

  #countMac(portKey: string, change: number): void {
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
