/**
 * The lookup records of a domain from the sides that the compiler needs, gathered in one pass: a domain may have very
 * many of them.
 */
import { addressFamily } from '../address.ts';
import type { ProviderAddress } from '../resources.ts';
import type { DomainState } from '../state.ts';

/** Records of a learned address name the port that it was learned at in their `context`. */
export function learnedContext(interfaceName: string): string {
  return `port ${interfaceName}`;
}

export class RecordIndex {
  /** Provider addresses of other nodes that any record has. */
  readonly sources = new Set<string>();
  /** VSID to the provider addresses of other nodes that its records have. */
  readonly remotes = new Map<number, Set<string>>();
  /** Own provider address of a MAC's records without customer address, by `macKey`. */
  readonly #ownOfMac = new Map<string, string>();
  readonly #learning = new Set<string>();
  readonly #gateways = new Set<string>();
  /** By `context`. */
  readonly #learnedMacs = new Map<string, Set<string>>();

  constructor(domain: DomainState, own: ReadonlyMap<string, ProviderAddress>) {
    for (const record of domain.lookupRecords.values()) {
      const { type, virtualSubnetId: vsid, macAddress: mac, providerAddress, context } = record;
      const isOwn = own.has(providerAddress);
      if (!isOwn) {
        this.sources.add(providerAddress);
        addTo(this.remotes, vsid, providerAddress);
      }
      if (type === 'l2only' || type === 'gatewayWildcard') {
        const key = macKey(vsid, mac);
        (type === 'l2only' ? this.#learning : this.#gateways).add(key);
        const before = this.#ownOfMac.get(key);
        // The lowest of several, so that their order does not show.
        if (isOwn && (before === undefined || providerAddress < before))
          this.#ownOfMac.set(key, providerAddress);
      } else if (type === 'dynamic' && isOwn && context !== undefined) {
        addTo(this.#learnedMacs, context, mac);
      }
    }
  }

  /** Whether an L2Only record of the VSID has the MAC. */
  learns(vsid: number, mac: string): boolean {
    return this.#learning.has(macKey(vsid, mac));
  }

  /** Whether a GatewayWildcard record of the VSID has the MAC. */
  isGateway(vsid: number, mac: string): boolean {
    return this.#gateways.has(macKey(vsid, mac));
  }

  /** The provider address of this node that L2Only or GatewayWildcard records announce for the MAC. */
  ownProviderAddress(vsid: number, mac: string): string | undefined {
    return this.#ownOfMac.get(macKey(vsid, mac));
  }

  /** The MACs of dynamic records that were learned at this node's port. */
  learnedMacs(interfaceName: string): ReadonlySet<string> {
    return this.#learnedMacs.get(learnedContext(interfaceName)) ?? new Set();
  }

  /** The family that more of the other nodes have, IPv4 when as many; undefined when there are no other nodes. */
  get remoteFamily(): 4 | 6 | undefined {
    if (this.sources.size === 0) return undefined;
    let balance = 0;
    for (const source of this.sources) balance += addressFamily(source) === 4 ? 1 : -1;
    return balance >= 0 ? 4 : 6;
  }
}

function macKey(vsid: number, mac: string): string {
  return `${vsid} ${mac}`;
}

function addTo<K, V>(map: Map<K, Set<V>>, key: K, value: V): void {
  const values = map.get(key);
  if (values === undefined) map.set(key, new Set([value]));
  else values.add(value);
}
