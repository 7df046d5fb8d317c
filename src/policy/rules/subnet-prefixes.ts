/** Prefixes that do not overlap each other, to be searched without looking at each. */
import { addressFamily, networkAddress, parsePrefix, prefixAround } from '../address.ts';
import { type AddressRange, rangeOf } from '../address-ranges.ts';
import type { DomainState } from '../state.ts';

/** The prefixes of a domain's virtual subnets. */
export class SubnetPrefixes {
  readonly #prefixes = new Set<string>();
  readonly #lengths = { 4: new Set<number>(), 6: new Set<number>() };
  #disjoint: DisjointPrefixes | undefined;

  constructor(domain: DomainState) {
    for (const subnet of domain.virtualSubnets.values()) {
      for (const prefix of subnet.addressPrefixes) {
        this.#prefixes.add(prefix);
        this.#lengths[addressFamily(networkAddress(prefix))].add(parsePrefix(prefix)?.length ?? 0);
      }
    }
  }

  /** The one that has the address in it. */
  around(address: string): string | undefined {
    for (const length of this.#lengths[addressFamily(address)]) {
      const prefix = prefixAround(address, length);
      if (this.#prefixes.has(prefix)) return prefix;
    }
    return undefined;
  }

  /** One that shares an address with the prefix. */
  overlapping(prefix: string): string | undefined {
    this.#disjoint ??= new DisjointPrefixes(this.#prefixes);
    return this.#disjoint.overlapping(prefix);
  }
}

/** Of either family. */
export class DisjointPrefixes {
  /** In the order of their last addresses. */
  readonly #ranges: AddressRange[];

  constructor(prefixes: Iterable<string> = []) {
    this.#ranges = [...prefixes].map(rangeOf).sort((a, b) => (a.last < b.last ? -1 : 1));
  }

  /** The first that shares an address with the prefix or address. */
  overlapping(text: string): string | undefined {
    const { first, last } = rangeOf(text);
    const candidate = this.#ranges[this.#firstEndingFrom(first)];
    return candidate !== undefined && candidate.first <= last ? candidate.text : undefined;
  }

  /** What overlaps none of them. */
  add(prefix: string): void {
    const range = rangeOf(prefix);
    this.#ranges.splice(this.#firstEndingFrom(range.first), 0, range);
  }

  #firstEndingFrom(first: string): number {
    let low = 0;
    let high = this.#ranges.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#ranges[middle]?.last ?? '') < first) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
