/** Index of what forwarding policies have that no two domains may have: VLANs, and what is on untagged networks. */
import type { AddressRange } from '../policy/address-ranges.ts';
import { claimsOf } from '../policy/forwarding-index.ts';
import type { Forwarding } from '../policy/resources.ts';
import type { Forwardings } from '../policy/state.ts';
import { Ordered } from './ordered.ts';
import { addRange, removeRange } from './owned-ranges.ts';
import { deleteEntry, setEntry, type UndoLog } from './undo.ts';

export class ForwardingOwners implements Forwardings {
  vlans = new Map<string, string>();
  addresses = new Map<string, string>();
  prefixes = new Map<string, string>();
  ranges = new Ordered<string, AddressRange>();
  readonly #uplinks: readonly string[];

  /** `uplinks` are those of the state. */
  constructor(uplinks: readonly string[]) {
    this.#uplinks = uplinks;
  }

  /** Enters what the domain's policy has. */
  take(rdid: string, forwarding: Forwarding, undo: UndoLog): void {
    for (const [owners, name] of this.#claims(forwarding)) {
      if (owners !== this.vlans) addRange(this.ranges, name, undo);
      setEntry(owners, name, rdid, undo);
    }
  }

  /** Takes out what the domain's policy has. */
  release(rdid: string, forwarding: Forwarding | undefined, undo: UndoLog): void {
    if (forwarding === undefined) return;
    for (const [owners, name] of this.#claims(forwarding)) {
      // With another configuration than the one it was written under, two policies of the file may have the same.
      if (owners.get(name) !== rdid) continue;
      if (owners !== this.vlans) removeRange(this.ranges, name, undo);
      deleteEntry(owners, name, undo);
    }
  }

  clone(): ForwardingOwners {
    const copy = new ForwardingOwners(this.#uplinks);
    copy.vlans = new Map(this.vlans);
    copy.addresses = new Map(this.addresses);
    copy.prefixes = new Map(this.prefixes);
    copy.ranges = this.ranges.clone();
    return copy;
  }

  *#claims(forwarding: Forwarding): Generator<[owners: Map<string, string>, name: string]> {
    const { vlan, addresses, prefixes } = claimsOf(forwarding, this.#uplinks);
    if (vlan !== undefined) yield [this.vlans, vlan];
    for (const address of addresses) yield [this.addresses, address];
    for (const prefix of prefixes) yield [this.prefixes, prefix];
  }
}
