/**
 * Which external address a NAT policy with "auto" gets: the one that it asks for or has already if it can, else one of a pool,
 * beginning at a place that the RDID decides, so that a domain mostly gets the same again. Pure: the same state, the same
 * address.
 */
import { createHash } from 'node:crypto';
import { contains } from './address.ts';
import { type ExternalShare, isWhole, shareOf, shareOfOthers, withShare } from './external-shares.ts';
import { firstBlockPort, type PoolSpace, poolSpace } from './pool-space.ts';
import type { ExternalAddress, Nat } from './resources.ts';
import { ownerOf } from './rules/nat-addresses.ts';
import { conflict, invalid } from './rules/refusal.ts';
import type { DesiredState } from './state.ts';

/** Addresses that others will ask for, or go on having, in the same document, and so are not given out. */
export class Reserved {
  readonly shares = new Map<string, readonly ExternalShare[]>();

  /** Of those that are reserved already, ports stay whose they are. */
  add(rdid: string, addresses: readonly ExternalAddress[]): void {
    for (const address of addresses) {
      const shares = this.shares.get(address.ipAddress);
      const share = shareOf(rdid, address);
      if (shares?.some((one) => one.rdid === rdid) || shareOfOthers(shares, share) !== undefined) continue;
      this.shares.set(address.ipAddress, withShare(shares, share));
    }
  }
}

const nothing = new Reserved();

/**
 * The policy with the address that "auto" gives it; any other as it is. `held` is what the domain has now. Throws
 * HNV_INVALID_FIELD when there is no such pool, and HNV_CONFLICT when there is no room.
 */
export function withAllocation(
  state: DesiredState,
  rdid: string,
  nat: Nat,
  held: Nat | undefined,
  reserved: Reserved = nothing,
): Nat {
  if (nat.externalAddresses !== 'auto') return nat;
  const search = new Search(state, rdid, nat, reserved);
  const allocatedAddress =
    [nat, held].map((policy) => search.again(policy?.allocatedAddress)).find((slot) => slot !== undefined) ??
    search.next();
  return { ...nat, allocatedAddress };
}

class Search {
  readonly #state: DesiredState;
  readonly #rdid: string;
  readonly #nat: Nat;
  readonly #reserved: Reserved;
  readonly #pools: readonly string[];

  constructor(state: DesiredState, rdid: string, nat: Nat, reserved: Reserved) {
    const { externalAddressPools: pools } = state;
    if (nat.pool !== undefined && !pools.has(nat.pool)) {
      throw invalid('pool-exists', '/pool', nat.pool, 'must be the name of an external address pool');
    }
    this.#state = state;
    this.#rdid = rdid;
    this.#nat = nat;
    this.#reserved = reserved;
    this.#pools = nat.pool === undefined ? [...pools.keys()].sort() : [nat.pool];
  }

  /** The address, if a pool gives it out and it is free. */
  again(slot: ExternalAddress | undefined): ExternalAddress | undefined {
    if (slot === undefined || !this.#isFree(slot)) return undefined;
    return this.#pools.some((name) => this.#space(name).hasSlot(slot)) ? slot : undefined;
  }

  next(): ExternalAddress {
    for (const name of this.#pools) {
      const slot = this.#nextOf(name);
      if (slot !== undefined) return slot;
    }
    const { pool } = this.#nat;
    const what = pool === undefined ? 'no external address pool has' : `external address pool ${pool} has no`;
    throw conflict('pool-room', '/externalAddresses', '"auto"', `cannot be: ${what} address that is free`);
  }

  #nextOf(name: string): ExternalAddress | undefined {
    const space = this.#space(name);
    const users = this.#state.externals.poolUsers.get(name);
    const others = (users?.size ?? 0) - (users?.has(this.#rdid) ? 1 : 0);
    if (others >= space.slots) return undefined;
    const start = createHash('sha256').update(this.#rdid).digest().readUIntBE(0, 6) % space.slots;
    const [first, block] = [Math.floor(start / space.blocks), start % space.blocks];
    // The first address comes again at the end, for its blocks in front of where the search begins.
    for (let step = 0; step <= space.addresses; step++) {
      const ipAddress = space.address((first + step) % space.addresses);
      const slot = this.#freeOf(space, ipAddress, step === 0 ? block : 0);
      if (slot !== undefined) return slot;
    }
    return undefined;
  }

  /** The first free block of the address, from `block` on. */
  #freeOf(space: PoolSpace, ipAddress: string, block: number): ExternalAddress | undefined {
    const { externals } = this.#state;
    const lists = [externals.addresses.get(ipAddress), this.#reserved.shares.get(ipAddress)];
    for (let at = block; at < space.blocks; ) {
      const slot = space.slot(ipAddress, at);
      const share = shareOf(this.#rdid, slot);
      const other = shareOfOthers(lists[0], share) ?? shareOfOthers(lists[1], share);
      if (other === undefined) return this.#isFree(slot) ? slot : undefined;
      if (space.blockSize === undefined || isWhole(other)) return undefined;
      at = Math.floor((other.portEnd - firstBlockPort) / space.blockSize) + 1;
    }
    return undefined;
  }

  #isFree(slot: ExternalAddress): boolean {
    const { ipAddress } = slot;
    return (
      shareOfOthers(this.#reserved.shares.get(ipAddress), shareOf(this.#rdid, slot)) === undefined &&
      ownerOf(this.#state, this.#rdid, slot) === undefined &&
      !this.#nat.externalPrefixes.some(({ prefix }) => contains(prefix, ipAddress))
    );
  }

  #space(name: string): PoolSpace {
    const pool = this.#state.externalAddressPools.get(name);
    if (pool === undefined) throw new Error(`there is no external address pool ${name}`);
    return poolSpace(pool);
  }
}
