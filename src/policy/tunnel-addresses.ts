/** Where a site connection ends: the external addresses of its domain's NAT, and which of them it has when it names none. */
import { addressFamily } from './address.ts';
import { externalAddressesOf } from './external-addresses.ts';
import { isWhole } from './external-shares.ts';
import type { Nat, SiteConnection } from './resources.ts';

/** Of IKE, without and with NAT between the peers (RFC 7296 section 2). */
const ikePorts = [500, 4500];

/** An external address, and whether tunnels can end at it. */
export interface TunnelAddress {
  readonly address: string;
  /** It is the domain's alone. */
  readonly isWhole: boolean;
  /** What of the NAT policy has IKE's packets, and in which field; absent: they come to the context itself. */
  readonly taken?: { readonly field: 'oneToOne' | 'staticMappings'; readonly why: string };
}

type Ends = Pick<SiteConnection, 'destination' | 'localAddress' | 'mobike'>;

/** Addresses of the peer in the order of trying; none: it may have any. */
export function destinationsOf({ destination }: Pick<SiteConnection, 'destination'>): readonly string[] {
  if (destination === 'any') return [];
  return typeof destination === 'string' ? [destination] : destination;
}

/** Whether the peer's packets may come from any address, so that a shared local address would not tell whose they are. */
export function hasAnyPeer({ destination, mobike }: Ends): boolean {
  return destination === 'any' || mobike;
}

class TunnelAddresses {
  readonly #addresses: readonly TunnelAddress[];

  constructor(nat: Nat) {
    const pairs = new Set(nat.oneToOne.map(({ externalIpAddress }) => externalIpAddress));
    const mapped = new Map(
      nat.staticMappings
        .filter(({ protocol, externalPort }) => protocol === 'udp' && ikePorts.includes(externalPort))
        .map(({ externalIpAddress, externalPort }) => [externalIpAddress, externalPort]),
    );
    const takenOf = (address: string): Pick<TunnelAddress, 'taken'> => {
      const port = mapped.get(address);
      if (pairs.has(address))
        return {
          taken: { field: 'oneToOne', why: 'is in oneToOne, and leads to an inside address with all ports' },
        };
      if (port === undefined) return {};
      return {
        taken: { field: 'staticMappings', why: `has a static mapping of UDP port ${port}, which IKE needs` },
      };
    };
    this.#addresses = externalAddressesOf(nat).map((external) => ({
      address: external.ipAddress,
      isWhole: isWhole(external),
      ...takenOf(external.ipAddress),
    }));
  }

  /** The one that it names, if it is there; else, of those that tunnels can end at and of the family of its destinations, the first that is whole, or that is there. */
  of(connection: Ends): TunnelAddress | undefined {
    const { localAddress } = connection;
    if (localAddress !== undefined) return this.#addresses.find(({ address }) => address === localAddress);
    const [destination] = destinationsOf(connection);
    const fitting = this.#addresses.filter(
      ({ address, taken }) =>
        taken === undefined &&
        (destination === undefined || addressFamily(address) === addressFamily(destination)),
    );
    return fitting.find((each) => each.isWhole) ?? fitting[0];
  }
}

const known = new WeakMap<Nat, TunnelAddresses>();

/** Of a policy in its normal form; worked out once. */
export function tunnelAddresses(nat: Nat): TunnelAddresses {
  const before = known.get(nat);
  if (before !== undefined) return before;
  const addresses = new TunnelAddresses(nat);
  known.set(nat, addresses);
  return addresses;
}
