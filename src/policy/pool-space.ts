/**
 * What an external address pool has to give, as numbered slots: the addresses of its prefixes in their order, each with its
 * port blocks in theirs.
 */
import { addressOrder, lastAddress, networkAddress, nthAddress, parsePrefix } from './address.ts';
import type { ExternalAddress, ExternalAddressPool } from './resources.ts';

/** Blocks leave out the well-known ports, which hosts do not choose as source ports (RFC 6056 section 3.2). */
export const firstBlockPort = 1024;
const blockPorts = 65536 - firstBlockPort;

/** Most addresses of a pool: looking through all of a full one takes a few milliseconds. */
export const maxPoolAddresses = 65536;

interface PoolRange {
  /** `addressOrder` of the first and of the last address. */
  readonly first: string;
  readonly last: string;
  readonly count: number;
  readonly at: (index: number) => string;
}

/** How many addresses the canonical prefix has. */
export function addressCount(prefix: string): number {
  const { family, length } = parsePrefix(prefix) ?? { family: 4, length: 0 };
  return 2 ** ((family === 4 ? 32 : 128) - length);
}

export class PoolSpace {
  readonly addresses: number;
  /** Of each address; 1 when addresses are given out whole. */
  readonly blocks: number;
  readonly blockSize: number | undefined;
  readonly #ranges: readonly PoolRange[];

  constructor({ prefixes, portBlockSize }: ExternalAddressPool) {
    this.#ranges = prefixes.map((prefix) => ({
      first: addressOrder(networkAddress(prefix)),
      last: addressOrder(lastAddress(prefix)),
      count: addressCount(prefix),
      at: nthAddress(prefix),
    }));
    this.addresses = this.#ranges.reduce((sum, { count }) => sum + count, 0);
    this.blockSize = portBlockSize;
    this.blocks = portBlockSize === undefined ? 1 : Math.floor(blockPorts / portBlockSize);
  }

  get slots(): number {
    return this.addresses * this.blocks;
  }

  /** The address of that number, of `addresses`. */
  address(index: number): string {
    let rest = index;
    for (const { count, at } of this.#ranges) {
      if (rest < count) return at(rest);
      rest -= count;
    }
    throw new RangeError(`the pool has no address ${index}`);
  }

  /** What is given out of an address as block `block`. */
  slot(ipAddress: string, block: number): ExternalAddress {
    if (this.blockSize === undefined) return { ipAddress };
    const portStart = firstBlockPort + block * this.blockSize;
    return { ipAddress, portStart, portEnd: portStart + this.blockSize - 1 };
  }

  hasAddress(ipAddress: string): boolean {
    const order = addressOrder(ipAddress);
    return this.#ranges.some(({ first, last }) => first <= order && order <= last);
  }

  /** Whether the pool gives out exactly this. */
  hasSlot({ ipAddress, portStart, portEnd }: ExternalAddress): boolean {
    if (!this.hasAddress(ipAddress)) return false;
    if (this.blockSize === undefined) return portStart === undefined;
    if (portStart === undefined) return false;
    const block = (portStart - firstBlockPort) / this.blockSize;
    const isBlock = Number.isInteger(block) && block >= 0 && block < this.blocks;
    return isBlock && portEnd === portStart + this.blockSize - 1;
  }
}

const spaces = new WeakMap<ExternalAddressPool, PoolSpace>();

/** Of a pool in its normal form; worked out once. */
export function poolSpace(pool: ExternalAddressPool): PoolSpace {
  const known = spaces.get(pool);
  if (known !== undefined) return known;
  const space = new PoolSpace(pool);
  spaces.set(pool, space);
  return space;
}

/** The name of the pool, which is one at most, that gives out exactly this. */
export function poolOf(
  pools: ReadonlyMap<string, ExternalAddressPool>,
  slot: ExternalAddress,
): string | undefined {
  for (const [name, pool] of pools) if (poolSpace(pool).hasSlot(slot)) return name;
  return undefined;
}
