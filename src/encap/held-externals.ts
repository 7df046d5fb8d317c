/** Which external addresses, blocks and prefixes the data plane has given to whom, as an earlier process left it. */
import type { BpfMap } from '../linux/bpf-map.ts';
import { addressFromBytes } from '../policy/address.ts';
import type { ExternalAddressPlan } from '../policy/plan.ts';
import { decodeExternal, decodeExternalKey, decodeRange, decodeRangeKey } from './layout.generated.ts';

/** Of one domain. */
export interface HeldExternals {
  addresses: ExternalAddressPlan[];
  /** IPv6. */
  prefixes: string[];
}

/** Of an address and a port. */
const KEY_BITS = 128 + 16;

/** By the domain's handle. `map` gives the loaded map of that name. */
export function heldExternals(map: (name: string) => BpfMap): Map<number, HeldExternals> {
  const held = new Map<number, HeldExternals>();
  const of = (domain: number): HeldExternals => {
    const externals = held.get(domain) ?? { addresses: [], prefixes: [] };
    held.set(domain, externals);
    return externals;
  };
  for (const [key, value] of map('externals').entries())
    of(decodeExternal(value).domain).addresses.push({
      address: addressFromBytes(decodeExternalKey(key).address),
    });
  for (const [key, value] of map('external_ranges').entries()) {
    const { prefixLength, address: bytes, port } = decodeRangeKey(key);
    const { owner, isBlock } = decodeRange(value);
    const { addresses, prefixes } = of(owner.domain);
    const address = addressFromBytes(bytes);
    if (isBlock === 0) prefixes.push(`${address}/${prefixLength}`);
    else widen(addresses, address, port, port + 2 ** (KEY_BITS - prefixLength) - 1);
  }
  return held;
}

/** A domain has one block of an address, in several entries. */
function widen(addresses: ExternalAddressPlan[], address: string, start: number, end: number): void {
  const known = addresses.find((one) => one.address === address);
  if (known === undefined) addresses.push({ address, portStart: start, portEnd: end });
  else {
    known.portStart = Math.min(known.portStart ?? start, start);
    known.portEnd = Math.max(known.portEnd ?? end, end);
  }
}
