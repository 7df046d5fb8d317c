/**
 * The interfaces that lead to the outside: the uplink, which NAT has, and those that forwarding may have besides. Owns the map
 * `uplinks`, the programs on these interfaces, and their promiscuous mode. They are the operator's: all but the uplink may
 * be missing, and any may come, go and change.
 */
import type { EncapCore } from '../encap/core.ts';
import { encodeInterfaceKey, encodeUplink } from '../encap/layout.generated.ts';
import { HnvError } from '../errors.ts';
import { linkName } from '../linux/links.ts';
import { RouteNetlink } from '../linux/rtnetlink.ts';
import type { NetLink } from '../linux/rtnetlink-messages.ts';
import { macBytes } from '../policy/address.ts';
import { PromiscuousMode } from './promiscuous-mode.ts';
import { uplinkAddresses } from './uplink-addresses.ts';

export interface UplinkPlace {
  ifindex: number;
  /** Bytes. */
  mtu: number;
}

type Core = Pick<EncapCore, 'map' | 'attach' | 'isAttached'>;

export class Uplinks {
  readonly promiscuous: PromiscuousMode;
  readonly #core: Core;
  /** The uplink first. */
  readonly #names: readonly string[];
  /** Those that are there. The uplink stays as it was last seen. */
  readonly #links = new Map<string, NetLink>();
  #addresses: ReadonlyMap<string, string> = new Map();
  #isAttached = false;

  /** `names` is empty in a role that has none. */
  constructor(core: Core, instance: string, names: readonly string[]) {
    this.#core = core;
    this.#names = names;
    this.promiscuous = new PromiscuousMode(instance);
  }

  /** Looks for the interfaces. Throws HNV_CONFIG when the uplink is not there. */
  find(): void {
    this.read();
    const [uplink] = this.#names;
    if (uplink !== undefined && !this.#links.has(uplink))
      throw new HnvError('HNV_CONFIG', `uplink.interface: there is no interface ${uplink} on this machine.`);
  }

  /** Looks for the interfaces again, and writes what the data plane is told of them. */
  read(): void {
    const [uplink] = this.#names;
    RouteNetlink.use((reading) => {
      for (const name of this.#names) {
        const link = reading.link(name);
        if (link !== undefined) this.#links.set(name, link);
        else if (name !== uplink) this.#links.delete(name);
      }
    });
    this.#addresses = this.#readAddresses();
    const entry = this.#entry();
    if (entry === undefined) return;
    const map = this.#core.map('uplinks');
    for (const [key] of map.entries()) if (!entry.key.equals(key)) map.delete(key);
    map.update(entry.key, entry.value);
  }

  has(name: string): boolean {
    return this.#names.includes(name);
  }

  /** Undefined when there is no interface of that name, or it is none of these. */
  place(name: string): UplinkPlace | undefined {
    const link = this.#links.get(name);
    return link && { ifindex: link.ifindex, mtu: link.mtu };
  }

  /** The uplink; undefined in a role that has none. */
  get first(): UplinkPlace | undefined {
    const [uplink] = this.#names;
    return uplink === undefined ? undefined : this.place(uplink);
  }

  /** Indexes of those that are there. */
  get ifindexes(): number[] {
    return [...this.#links.values()].map(({ ifindex }) => ifindex);
  }

  /** Addresses on these interfaces that are no tenant's to have, with whose they are, as the end of a sentence. */
  get addresses(): ReadonlyMap<string, string> {
    return this.#addresses;
  }

  /** Puts the programs on the interfaces that are there. */
  attach(): void {
    for (const { ifindex } of this.#links.values())
      if (linkName(ifindex) !== undefined) this.#core.attach('uplink', ifindex);
    this.#isAttached = true;
  }

  /** What is otherwise than it was made, as parts of a sentence; and whether the operator has changed what is his. */
  inspect(): { texts: string[]; isStale: boolean } {
    const texts: string[] = [];
    const entry = this.#entry();
    if (entry !== undefined) {
      const value = this.#core.map('uplinks').lookup(entry.key);
      if (value === undefined || !Buffer.from(value).equals(entry.value))
        texts.push('the map uplinks had another entry for the uplink, or none');
    }
    for (const { ifindex } of this.#isAttached ? this.#links.values() : []) {
      const name = linkName(ifindex);
      if (name !== undefined && !this.#core.isAttached('uplink', ifindex))
        texts.push(`${name}: the program uplink was missing`);
    }
    for (const name of this.promiscuous.missing()) texts.push(`${name}: promiscuous mode was off`);
    const now = this.#readAddresses();
    const isSame = now.size === this.#addresses.size;
    return { texts, isStale: !isSame || [...now].some(([one, whose]) => this.#addresses.get(one) !== whose) };
  }

  /** Of the map `uplinks`: under the uplink's MAC the data plane answers for external addresses, and nowhere else. */
  #entry(): { key: Buffer; value: Uint8Array } | undefined {
    const [uplink] = this.#names;
    const link = uplink === undefined ? undefined : this.#links.get(uplink);
    return (
      link && {
        key: Buffer.from(encodeInterfaceKey({ ifindex: link.ifindex })),
        value: encodeUplink({ mac: macBytes(link.mac), pad: new Uint8Array(2) }),
      }
    );
  }

  #readAddresses(): Map<string, string> {
    return new Map(
      [...this.#links.values()].toReversed().flatMap(({ ifindex }) => [...uplinkAddresses(ifindex)]),
    );
  }
}
