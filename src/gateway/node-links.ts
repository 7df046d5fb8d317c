/**
 * The node's own interfaces: which of them carry provider addresses, and the uplink. Owns the maps `providers` and
 * `uplinks` and the programs on those interfaces; never changes the interfaces themselves, which are the operator's.
 */
import type { EncapCore } from '../encap/core.ts';
import {
  decodeProvider,
  encodeInterfaceKey,
  encodeProvider,
  encodeProviderKey,
  encodeUplink,
} from '../encap/layout.generated.ts';
import { HnvError } from '../errors.ts';
import { ipJson } from '../linux/iproute2.ts';
import { addressBytes, macBytes } from '../policy/address.ts';
import type { ProviderAddress } from '../policy/resources.ts';

/** Outer IPv4, GRE with key, inner Ethernet: what NVGRE puts in front of an inner packet on an IPv4 provider network. */
const OVERHEAD_IPV4 = 42;

interface Link {
  ifindex: number;
  mtu: number;
  mac: string;
  addresses: string[];
}

interface IpAddr {
  ifindex: number;
  ifname: string;
  mtu: number;
  address: string;
  addr_info: { local?: string }[];
}

export interface ProviderPlace {
  ifindex: number;
  /** Largest inner packet that fits into one outer packet, bytes. */
  innerMtu: number;
}

export interface UplinkPlace {
  ifindex: number;
  mtu: number;
}

async function readLinks(): Promise<Map<string, Link>> {
  const links = await ipJson<IpAddr>(['addr', 'show']);
  return new Map(
    links.map(({ ifindex, ifname, mtu, address, addr_info }) => [
      ifname,
      { ifindex, mtu, mac: address, addresses: addr_info.flatMap(({ local }) => local ?? []) },
    ]),
  );
}

export class NodeLinks {
  readonly #core: EncapCore;
  readonly #uplinkName: string;
  #uplink: (UplinkPlace & { mac: string }) | undefined;
  /** By provider address: its place, or why it has none. */
  #places = new Map<string, ProviderPlace | string>();
  #attached = new Set<number>();

  constructor(core: EncapCore, uplinkName: string) {
    this.#core = core;
    this.#uplinkName = uplinkName;
  }

  /** Finds the uplink. Throws HNV_CONFIG when the configured interface is not there. */
  async findUplink(): Promise<void> {
    const link = (await readLinks()).get(this.#uplinkName);
    if (link === undefined)
      throw new HnvError(
        'HNV_CONFIG',
        `uplink.interface: there is no interface ${this.#uplinkName} on this machine.`,
      );
    this.#uplink = { ifindex: link.ifindex, mtu: link.mtu, mac: link.mac };
    const mac = { mac: macBytes(link.mac), pad: new Uint8Array(2) };
    this.#core.map('uplinks').update(encodeInterfaceKey({ ifindex: link.ifindex }), encodeUplink(mac));
  }

  get uplink(): UplinkPlace {
    if (this.#uplink === undefined) throw new Error('findUplink() comes first');
    return this.#uplink;
  }

  /** Makes the map `providers` hold the addresses that really are on their interfaces. */
  async applyProviders(wanted: ReadonlyMap<string, ProviderAddress>): Promise<void> {
    const links = await readLinks();
    this.#places = new Map(
      [...wanted].map(([address, value]) => [address, this.#placeOf(address, value, links)]),
    );
    const map = this.#core.map('providers');
    const keep = new Map<string, number>();
    for (const [address, place] of this.#places)
      if (typeof place !== 'string')
        keep.set(Buffer.from(addressBytes(address)).toString('hex'), place.ifindex);
    for (const [key, value] of map.entries()) {
      this.#attached.add(decodeProvider(value).ifindex);
      if (!keep.has(Buffer.from(key).toString('hex'))) map.delete(key);
    }
    for (const [address, place] of this.#places)
      if (typeof place !== 'string')
        map.update(
          encodeProviderKey({ address: addressBytes(address) }),
          encodeProvider({ ifindex: place.ifindex }),
        );
  }

  /** Puts the programs on uplink and provider interfaces, and takes them off interfaces that are none any more. */
  attach(): void {
    const wanted = new Set<number>();
    for (const place of this.#places.values()) if (typeof place !== 'string') wanted.add(place.ifindex);
    this.#core.attach('uplink', this.uplink.ifindex);
    for (const ifindex of wanted) this.#core.attach('provider', ifindex);
    for (const ifindex of this.#attached)
      if (!wanted.has(ifindex) && ifindex !== this.uplink.ifindex) this.#core.detach(ifindex);
    this.#attached = wanted;
  }

  /** The place of a provider address; throws HNV_NETNS with the reason when it has none. */
  providerPlace(address: string): ProviderPlace {
    const place = this.#places.get(address) ?? `${address} is not a provider address of this node.`;
    if (typeof place === 'string') throw new HnvError('HNV_NETNS', place);
    return place;
  }

  /** Throws HNV_NETNS when one of the provider addresses has no place, so that the caller tries again. */
  requireProviders(): void {
    for (const address of this.#places.keys()) this.providerPlace(address);
  }

  /** Whether the address was found on its interface. */
  hasProvider(address: string): boolean {
    return typeof this.#places.get(address) === 'object';
  }

  /** Why a provider address cannot be used; undefined when it can. */
  providerFailure(address: string): string | undefined {
    const place = this.#places.get(address);
    return typeof place === 'string' ? place : undefined;
  }

  #placeOf(address: string, value: ProviderAddress, links: Map<string, Link>): ProviderPlace | string {
    const link = links.get(value.interface);
    if (link === undefined) return `There is no interface ${value.interface} on this machine.`;
    if (value.interface === this.#uplinkName)
      return `${value.interface} is the uplink; provider and uplink programs cannot share an interface.`;
    if (!link.addresses.includes(address))
      return `The interface ${value.interface} does not have the address ${address}.`;
    return { ifindex: link.ifindex, innerMtu: link.mtu - OVERHEAD_IPV4 };
  }
}
