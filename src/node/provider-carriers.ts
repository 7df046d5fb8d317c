/** Where provider addresses are: the interface that each is on, if it can be used there, and why not otherwise. */
import { addressFamily, addressOrder } from '../policy/address.ts';
import type { ProviderAddress } from '../policy/resources.ts';
import type { Interface } from './interfaces.ts';

/** Outer IP header, GRE with key, inner Ethernet: what NVGRE puts in front of an inner packet (RFC 7637). */
const OVERHEAD_IPV4 = 42;
const OVERHEAD_IPV6 = 62;
/** What VMs have unless somebody sets another MTU. */
const USUAL_MTU = 1500;

export interface ProviderPlace {
  ifindex: number;
  /** Of the interface, bytes: what an outer packet may have, from its IP header on. */
  mtu: number;
  mac: string;
}

/** Why a provider address has no place. */
export interface Absence {
  reason: string;
  /** It will have one by itself before long. */
  isPassing: boolean;
}

export interface Carrier {
  place: ProviderPlace;
  /** The interface that the address is on. */
  name: string;
  /** Where its frames come in: the interface that it is on, and the one below that; with the program for each. */
  inbound: ReadonlyMap<number, 'provider' | 'vlan'>;
}

const overhead = (address: string): number => (addressFamily(address) === 4 ? OVERHEAD_IPV4 : OVERHEAD_IPV6);

/** Largest inner packet that fits into one outer packet of the provider address, bytes. */
export function innerMtu(place: ProviderPlace, address: string): number {
  return place.mtu - overhead(address);
}

export const isAbsence = (found: Carrier | Absence | undefined): found is Absence =>
  found !== undefined && 'reason' in found;

/** The place of an address that is to be on the interface `name`. */
export function carrierOf(
  address: string,
  name: string,
  value: ProviderAddress,
  interfaces: ReadonlyMap<string, Interface>,
  uplinks: { has(name: string): boolean },
): Carrier | Absence {
  const failed = (reason: string): Absence => ({ reason, isPassing: false });
  const link = interfaces.get(name);
  if (link === undefined) return failed(`There is no interface ${name} on this machine.`);
  if (uplinks.has(name))
    return failed(`${name} is an uplink; provider and uplink programs cannot share an interface.`);
  const found = link.addresses.find((one) => one.address === address);
  if (found === undefined) return failed(`The interface ${name} does not have the address ${address}.`);
  if (found.detection === 'failed')
    return failed(
      `${address} is also another machine's on the network of ${name} (IPv6 duplicate address detection).`,
    );
  if (found.detection === 'running')
    return {
      reason: `IPv6 duplicate address detection of ${address} on ${name} is under way.`,
      isPassing: true,
    };
  const below = name === value.interface ? undefined : interfaces.get(value.interface);
  return {
    place: { ifindex: link.ifindex, mtu: link.mtu, mac: link.mac },
    name,
    inbound: new Map([
      [link.ifindex, value.vlanId === undefined ? 'provider' : 'vlan'],
      ...(below === undefined ? [] : [[below.ifindex, 'provider'] as const]),
    ]),
  };
}

/** A sentence for each provider address behind which VMs cannot have the usual MTU. */
export function mtuWarnings(carriers: ReadonlyMap<string, Carrier | Absence>): string[] {
  return [...carriers]
    .sort(([a], [b]) => (addressOrder(a) < addressOrder(b) ? -1 : 1))
    .flatMap(([address, found]) => {
      if (isAbsence(found) || innerMtu(found.place, address) >= USUAL_MTU) return [];
      const { mtu } = found.place;
      return (
        `Provider address ${address} on ${found.name}, whose MTU is ${mtu}, leaves VMs an MTU of ` +
        `${innerMtu(found.place, address)}; for ${USUAL_MTU} the provider network would need ${USUAL_MTU + overhead(address)}.`
      );
    });
}
