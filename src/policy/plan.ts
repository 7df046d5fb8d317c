/**
 * What the compiler makes of one routing domain: everything that the managers need to program this node, with all
 * addresses in canonical text form and every default filled in. Plain data, compared by value.
 */

/** A customer address and where it lives: one row of the data plane's lookup table. */
export interface RecordPlan {
  address: string;
  vsid: number;
  mac: string;
  providerAddress: string;
}

/** Any outside address may come from this MAC behind this provider address (record type GatewayWildcard). */
export interface WildcardPlan {
  mac: string;
  providerAddress: string;
}

/** A route of the distributed router. `nextHop` undefined: on-link, the packet's own destination is looked up. */
export interface RoutePlan {
  prefix: string;
  vsid: number;
  nextHop?: string;
}

/** The gateway's port in this domain: the network namespace and how it is joined to the encap core. */
export interface ContextPlan {
  /** The gateway subnet's VSID. */
  vsid: number;
  /** The `.2`. */
  address: string;
  /** MAC of the `.2`: the inner destination of what tenants send to the outside. */
  mac: string;
  /** The `.1` of the gateway subnet: next hop of the namespace towards the tenant. */
  routerAddress: string;
  /** This node's address that tunnels for this domain begin and end at. */
  providerAddress: string;
  /** Prefixes that the namespace routes to the tenant (subnets and customer routes that do not lead back here). */
  tenantPrefixes: string[];
}

export interface ExternalAddressPlan {
  address: string;
  portStart?: number;
  portEnd?: number;
}

export interface PortMappingPlan {
  protocol: 'tcp' | 'udp';
  externalAddress: string;
  externalPort: number;
  internalAddress: string;
  internalPort: number;
  /** Prefix of the remote side that may use the mapping; everybody when undefined. */
  remotePrefix?: string;
}

export interface NatPlan {
  externalAddresses: ExternalAddressPlan[];
  portMappings: PortMappingPlan[];
}

export interface DomainPlan {
  rdid: string;
  handle: number;
  /** VSIDs that belong to the domain, ascending. */
  vsids: number[];
  /** Provider addresses that frames of this domain may come from, ascending, each once. */
  sources: string[];
  records: RecordPlan[];
  wildcards: WildcardPlan[];
  routes: RoutePlan[];
  /** Present when this node is the domain's gateway and has a provider address to be it with. */
  context?: ContextPlan;
  nat?: NatPlan;
  /** Why something that was asked for is not in this plan yet (for example, a gateway without provider address). */
  pending: string[];
}

/** This node's own provider address and the interface that carries it. */
export interface ProviderAddressPlan {
  address: string;
  interface: string;
  prefixLength: number;
}
