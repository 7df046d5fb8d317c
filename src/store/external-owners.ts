/** Index of what NAT policies have outside: external addresses with their port blocks, prefixes, and what pools have given. */

import type { AddressRange } from '../policy/address-ranges.ts';
import { externalAddressesOf } from '../policy/external-addresses.ts';
import { type ExternalShare, shareOf, withoutShare, withShare } from '../policy/external-shares.ts';
import { poolOf } from '../policy/pool-space.ts';
import type { ExternalAddressPool, Nat } from '../policy/resources.ts';
import type { Externals } from '../policy/state.ts';
import { Ordered } from './ordered.ts';
import { addRange, removeRange } from './owned-ranges.ts';
import { addMember, deleteEntry, removeMember, setEntry, type UndoLog } from './undo.ts';

type Pools = ReadonlyMap<string, ExternalAddressPool>;

/** How much of the node's capacity a policy takes. */
export function externalCount(nat: Nat | undefined): number {
  return nat === undefined ? 0 : externalAddressesOf(nat).length + nat.externalPrefixes.length;
}

export class ExternalOwners implements Externals {
  addresses = new Map<string, readonly ExternalShare[]>();
  prefixes = new Map<string, string>();
  ranges = new Ordered<string, AddressRange>();
  poolUsers = new Map<string, Set<string>>();
  count = 0;

  /** Enters what the domain's policy has, which must be nobody's. */
  take(rdid: string, nat: Nat, pools: Pools, undo: UndoLog): void {
    for (const address of externalAddressesOf(nat)) {
      const shares = this.addresses.get(address.ipAddress);
      if (shares === undefined) addRange(this.ranges, address.ipAddress, undo);
      setEntry(this.addresses, address.ipAddress, withShare(shares, shareOf(rdid, address)), undo);
    }
    for (const { prefix } of nat.externalPrefixes) {
      addRange(this.ranges, prefix, undo);
      setEntry(this.prefixes, prefix, rdid, undo);
    }
    const pool = poolOfPolicy(pools, nat);
    if (pool !== undefined) addMember(this.poolUsers, pool, rdid, undo);
    this.#add(externalCount(nat), undo);
  }

  /** Takes out what the domain's policy has. */
  release(rdid: string, nat: Nat | undefined, pools: Pools, undo: UndoLog): void {
    if (nat === undefined) return;
    for (const { ipAddress } of externalAddressesOf(nat)) {
      const left = withoutShare(this.addresses.get(ipAddress) ?? [], rdid);
      if (left.length > 0) {
        setEntry(this.addresses, ipAddress, left, undo);
      } else {
        removeRange(this.ranges, ipAddress, undo);
        deleteEntry(this.addresses, ipAddress, undo);
      }
    }
    for (const { prefix } of nat.externalPrefixes) {
      removeRange(this.ranges, prefix, undo);
      deleteEntry(this.prefixes, prefix, undo);
    }
    const pool = poolOfPolicy(pools, nat);
    if (pool !== undefined) removeMember(this.poolUsers, pool, rdid, undo);
    this.#add(-externalCount(nat), undo);
  }

  clone(): ExternalOwners {
    const copy = new ExternalOwners();
    copy.addresses = new Map(this.addresses);
    copy.prefixes = new Map(this.prefixes);
    copy.ranges = this.ranges.clone();
    copy.poolUsers = new Map([...this.poolUsers].map(([pool, rdids]) => [pool, new Set(rdids)]));
    copy.count = this.count;
    return copy;
  }

  #add(count: number, undo: UndoLog): void {
    this.count += count;
    undo.push(() => {
      this.count -= count;
    });
  }
}

function poolOfPolicy(pools: Pools, { externalAddresses, allocatedAddress }: Nat): string | undefined {
  if (externalAddresses !== 'auto' || allocatedAddress === undefined) return undefined;
  return poolOf(pools, allocatedAddress);
}
