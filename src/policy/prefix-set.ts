/** Prefixes, to be asked whether one of them has an address: a look for each length that they have, of which there are few. */
import { addressFamily, networkAddress, prefixAround } from './address.ts';

export class PrefixSet {
  readonly #prefixes = new Set<string>();
  readonly #lengths = { 4: new Set<number>(), 6: new Set<number>() };

  /** Of canonical prefixes. */
  constructor(prefixes: Iterable<string> = []) {
    for (const prefix of prefixes) this.add(prefix);
  }

  add(prefix: string): void {
    this.#prefixes.add(prefix);
    this.#lengths[addressFamily(networkAddress(prefix))].add(prefixLength(prefix));
  }

  /** Whether the address lies in one of them. */
  has(address: string): boolean {
    for (const length of this.#lengths[addressFamily(address)])
      if (this.#prefixes.has(prefixAround(address, length))) return true;
    return false;
  }
}

/** Those that lie in no other one, the shortest first. */
export function outermost(prefixes: readonly string[]): string[] {
  const found = new PrefixSet();
  return prefixes
    .toSorted((a, b) => prefixLength(a) - prefixLength(b))
    .filter((prefix) => {
      const isOuter = !found.has(networkAddress(prefix));
      if (isOuter) found.add(prefix);
      return isOuter;
    });
}

function prefixLength(prefix: string): number {
  return Number(prefix.slice(prefix.indexOf('/') + 1));
}
