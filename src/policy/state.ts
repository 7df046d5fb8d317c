/**
 * The desired state as the rules and the compiler see it: plain values in memory, read only. The store keeps one of
 * these and is its only writer.
 */
import type {
  CustomerRoute,
  Gateway,
  LookupRecord,
  Nat,
  ProviderAddress,
  RoutingDomain,
  VirtualSubnet,
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
  /** By id. */
  readonly customerRoutes: ReadonlyMap<string, CustomerRoute>;
  readonly gateway?: Gateway;
  readonly nat?: Nat;
}

export interface DesiredState {
  /** By RDID. */
  readonly domains: ReadonlyMap<string, DomainState>;
  /** By canonical address. */
  readonly providerAddresses: ReadonlyMap<string, ProviderAddress>;
  /** Which domain owns a VSID: VSID to RDID. */
  readonly vsidOwners: ReadonlyMap<number, string>;
  /** Which domain owns an external address: canonical address to RDID. */
  readonly externalAddressOwners: ReadonlyMap<string, string>;
}
