/**
 * Addresses and prefixes as ranges in order. Of those that never overlap each other, what overlaps a given one stands
 * together.
 */
import { addressOrder, lastAddress, networkAddress } from './address.ts';

/** An address or prefix, and `addressOrder` of its first and last address. */
export interface AddressRange {
  readonly text: string;
  readonly first: string;
  readonly last: string;
}

/** By `rangeKey`, ascending. */
export interface AddressRanges {
  /** The first `limit` above the key `after`. */
  page(after: string, limit: number): (readonly [key: string, range: AddressRange])[];
}

export function rangeOf(text: string): AddressRange {
  if (!text.includes('/')) {
    const order = addressOrder(text);
    return { text, first: order, last: order };
  }
  return { text, first: addressOrder(networkAddress(text)), last: addressOrder(lastAddress(text)) };
}

/** Above the `first` of a range that is the same address. */
export function rangeKey({ last }: AddressRange): string {
  return `${last}/`;
}

const pageLength = 4;

/** The addresses and prefixes that share an address with `text`, which may be one of them. */
export function* overlapping(ranges: AddressRanges, text: string): Generator<string> {
  const { first, last } = rangeOf(text);
  let after = first;
  for (;;) {
    const page = ranges.page(after, pageLength);
    for (const [key, range] of page) {
      if (range.first > last) return;
      yield range.text;
      after = key;
    }
    if (page.length < pageLength) return;
  }
}
