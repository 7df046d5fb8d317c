/**
 * The desired state as the rules and the compiler see it: plain values in memory, read only. The store keeps one of
 * these and is its only writer.
 */
import type { AddressRanges } from './address-ranges.ts';
import type { ExternalShare } from './external-shares.ts';
import type {
  Bgp,
  CustomerRoute,
  ExternalAddressPool,
  Forwarding,
  Gateway,
  LookupRecord,
  Nat,
  ProviderAddress,
  ProviderRoute,
  RoutingDomain,
  SiteConnection,
  VirtualSubnet,
  VmPort,
} from './resources.ts';

/** One routing domain with all that belongs to it. */
export interface DomainState {
  readonly rdid: string;
  /**
   * Small number that stands for the RDID in the data plane, 1 to capacity. Given by the store when the domain is
   * created, the same until it is deleted (restarts included), because the kernel's tables are keyed by it.
   */
  readonly handle: number;
  readonly domain: RoutingDomain;
  /** By VSID. */
  readonly virtualSubnets: ReadonlyMap<number, VirtualSubnet>;
  /** By id. */
  readonly lookupRecords: ReadonlyMap<string, LookupRecord>;
  /**
   * Index of `lookupRecords`, for rules whose cost must not grow with the domain: customer address to record id, of
   * the records that have one (types `static` and `dynamic`).
   */
  readonly recordByAddress: ReadonlyMap<string, string>;
  /** Index of `lookupRecords`: VSID to provider address to how many records of that VSID have it. */
  readonly providerAddressUse: ReadonlyMap<number, ReadonlyMap<string, number>>;
  /** By id. */
  readonly customerRoutes: ReadonlyMap<string, CustomerRoute>;
  /** Index of `customerRoutes`: destination and metric, as `destinationKey` writes them, to route id. */
  readonly routeByDestination: ReadonlyMap<string, string>;
  readonly gateway?: Gateway;
  readonly nat?: Nat;
  readonly forwarding?: Forwarding;
  readonly bgp?: Bgp;
  /** By name. */
  readonly siteConnections: ReadonlyMap<string, SiteConnection>;
}

/** Index of all that NAT policies have outside. */
export interface Externals {
  /** By canonical address; one that nobody has is absent. */
  readonly addresses: ReadonlyMap<string, readonly ExternalShare[]>;
  /** Canonical prefix to RDID. */
  readonly prefixes: ReadonlyMap<string, string>;
  /** The addresses and the prefixes. */
  readonly ranges: AddressRanges;
  /** RDIDs of the domains that have an address from a pool, by its name; a pool that nobody uses is absent. */
  readonly poolUsers: ReadonlyMap<string, ReadonlySet<string>>;
  /** Shares of addresses and prefixes, together. */
  readonly count: number;
}

/** Index of all forwarding policies: what `claimsOf` tells of each (forwarding-index.ts). */
export interface Forwardings {
  /** `vlanKey` to RDID. */
  readonly vlans: ReadonlyMap<string, string>;
  /** Addresses on untagged networks (canonical address) to RDID. */
  readonly addresses: ReadonlyMap<string, string>;
  /** Prefixes that are routed on untagged networks (canonical prefix) to RDID. */
  readonly prefixes: ReadonlyMap<string, string>;
  /** Those addresses and prefixes: of different domains none overlap. */
  readonly ranges: AddressRanges;
}

export interface DesiredState {
  /** By RDID. */
  readonly domains: ReadonlyMap<string, DomainState>;
  /** By canonical address. */
  readonly providerAddresses: ReadonlyMap<string, ProviderAddress>;
  /** By id. */
  readonly providerRoutes: ReadonlyMap<string, ProviderRoute>;
  /** VM ports of this node, by the name of the interface. */
  readonly ports: ReadonlyMap<string, VmPort>;
  /** Index of `ports`: VSID to the interfaces of the ports that have it; a VSID without ports is absent. */
  readonly portsByVsid: ReadonlyMap<number, ReadonlySet<string>>;
  /** Which domain owns a VSID: VSID to RDID. */
  readonly vsidOwners: ReadonlyMap<number, string>;
  /** By name. */
  readonly externalAddressPools: ReadonlyMap<string, ExternalAddressPool>;
  readonly externals: Externals;
  readonly forwardings: Forwardings;
  /** Interfaces that forwarding may name, the default first; empty on a host, which has no say in it. */
  readonly uplinks: readonly string[];
  /** Whether site connections may have algorithms that are broken (`ipsec.allowWeakAlgorithms`). */
  readonly allowsWeakAlgorithms: boolean;
}
