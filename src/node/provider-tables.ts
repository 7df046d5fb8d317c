/** The data plane's maps about this node's provider links: `providers` and `vlans`. */
import type { EncapCore } from '../encap/core.ts';
import {
  decodeProvider,
  decodeProviderKey,
  encodeProvider,
  encodeProviderKey,
  encodeVlan,
  encodeVlanKey,
} from '../encap/layout.generated.ts';
import { addressBytes, addressFromBytes, isRoutableMulticast } from '../policy/address.ts';

/** A link of the node's own that is tagged on its way over the interface below. */
export interface TaggedLink {
  ifindex: number;
  parentIfindex: number;
  vlanId: number;
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

function vlanKeys({ ifindex, parentIfindex, vlanId }: TaggedLink): Uint8Array[] {
  return [encodeVlanKey({ ifindex, vlan: 0 }), encodeVlanKey({ ifindex: parentIfindex, vlan: vlanId })];
}

export class ProviderTables {
  readonly #map: EncapCore['map'];

  constructor(map: EncapCore['map']) {
    this.#map = map;
  }

  /** Interfaces that tunnels end on. */
  interfaces(): number[] {
    return this.#map('providers')
      .entries()
      .map(([, value]) => decodeProvider(value).ifindex);
  }

  /** Makes these provider addresses, with their interfaces, the only ones; groups stay. */
  setAddresses(wanted: ReadonlyMap<string, number>): void {
    this.#set(wanted, false);
  }

  /** Makes these multicast groups, with their interfaces, the only ones; unicast addresses stay. */
  setGroups(wanted: ReadonlyMap<string, number>): void {
    this.#set(wanted, true);
  }

  /** Has a link's tag put on and taken off. */
  addTag(link: TaggedLink): void {
    const map = this.#map('vlans');
    for (const key of vlanKeys(link)) map.update(key, encodeVlan({ vlan: link.vlanId }));
  }

  /** Forgets the tags of all other links. */
  keepTags(links: readonly TaggedLink[]): void {
    const keep = new Set(links.flatMap((link) => vlanKeys(link).map(hex)));
    const map = this.#map('vlans');
    for (const [key] of map.entries()) if (!keep.has(hex(key))) map.delete(key);
  }

  /** What the maps have otherwise than these addresses and groups, and these tags; as parts of a sentence. */
  differences(wanted: ReadonlyMap<string, number>, tags: readonly TaggedLink[]): string[] {
    const compare = (name: string, entries: Map<string, string>): string[] => {
      const found = new Map(
        this.#map(name)
          .entries()
          .map(([key, value]) => [hex(key), hex(value)] as const),
      );
      const texts: string[] = [];
      for (const [key, value] of entries)
        if (found.get(key) !== value) texts.push(`an entry of the map ${name} was missing or changed`);
      for (const key of found.keys())
        if (!entries.has(key)) texts.push(`the map ${name} had an entry that is not hnvgw's`);
      return texts;
    };
    const addresses = [...wanted].map(
      ([address, ifindex]) =>
        [
          hex(encodeProviderKey({ address: addressBytes(address) })),
          hex(encodeProvider({ ifindex })),
        ] as const,
    );
    const vlans = tags.flatMap((tag) =>
      vlanKeys(tag).map((key) => [hex(key), hex(encodeVlan({ vlan: tag.vlanId }))] as const),
    );
    return [...compare('providers', new Map(addresses)), ...compare('vlans', new Map(vlans))];
  }

  #set(wanted: ReadonlyMap<string, number>, groups: boolean): void {
    const map = this.#map('providers');
    for (const [key] of map.entries()) {
      const address = addressFromBytes(decodeProviderKey(key).address);
      if (isRoutableMulticast(address) === groups && !wanted.has(address)) map.delete(key);
    }
    for (const [address, ifindex] of wanted)
      map.update(encodeProviderKey({ address: addressBytes(address) }), encodeProvider({ ifindex }));
  }
}
