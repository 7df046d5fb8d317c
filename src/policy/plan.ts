/**
 * What the compiler makes of one routing domain: everything that the managers need to program this node, with all
 * addresses in canonical text form and every default filled in. Plain data, compared by value.
 */

import type { BgpPolicy } from './bgp-resources.ts';
import type { MainMode, QuickMode, SiteSubnet } from './site-connection-resources.ts';

/** A customer address and where it lives: one row of the data plane's lookup table. */
export interface RecordPlan {
  address: string;
  vsid: number;
  mac: string;
  providerAddress: string;
  /** The provider address is this node's: the address is behind a port here. */
  isLocal: boolean;
  /** Learned (record type `dynamic`): may be learned again from elsewhere. */
  isDynamic: boolean;
}

/**
 * What may come from this MAC behind this provider address beside the addresses that records give it: any address
 * that no record has (GatewayWildcard, scope `outside`), or those of its virtual subnet that no record has (L2Only, scope
 * `subnet`).
 */
export interface WildcardPlan {
  mac: string;
  providerAddress: string;
  scope: 'outside' | 'subnet';
  vsid: number;
}

/** A virtual subnet as the data plane knows it. */
export interface SubnetPlan {
  vsid: number;
  /** The `.1` of each prefix, in the order of the prefixes. */
  routerAddresses: string[];
  /** Provider addresses of other nodes that have the VSID, ascending: who gets a copy of broadcasts and multicasts. */
  remotes: string[];
  /** Provider multicast address that is used instead of the copies. */
  providerMulticastAddress?: string;
}

/** A VM's port on this node. */
export interface PortPlan {
  interface: string;
  vsid: number;
  mac: string;
  /** What the VM may send from. */
  addresses: string[];
  /** Source MAC and addresses are learned, not guarded: the port says so, or an L2Only record has its MAC. */
  learns: boolean;
  /** A GatewayWildcard record has its MAC. */
  isGateway: boolean;
  /** Other MACs that were learned at the port and have dynamic records. */
  learnedMacs: string[];
  /** This node's address that tunnels for the port begin and end at. */
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
  /** The `.2`, of each family at most one; IPv4 first. */
  addresses: string[];
  /** MAC of the `.2`: the inner destination of what tenants send to the outside. */
  mac: string;
  /** The `.1` of the gateway subnet in the family of each of `addresses`: next hops of the namespace towards the tenant. */
  routerAddresses: string[];
  /** This node's address that tunnels for this domain begin and end at. */
  providerAddress: string;
  /** Prefixes, of families that have a `.2`, that the namespace routes to the tenant (subnets and customer routes that do not lead back here). */
  tenantPrefixes: string[];
}

/** Without ports: all of the address, with all protocols. A block is of TCP and UDP ports and of ICMP identifiers. */
export interface ExternalAddressPlan {
  address: string;
  portStart?: number;
  portEnd?: number;
}

/** IPv6 prefixes of one length; equal when packets are routed as they are. */
export interface PrefixPlan {
  external: string;
  internal: string;
}

/** An address of `externalAddresses`, whole, that is not there for anybody else's source NAT. */
export interface OneToOnePlan {
  external: string;
  internal: string;
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

/** Who may speak IKE and ESP with the context itself. */
export interface IkePeerPlan {
  /** One of `externalAddresses`. */
  localAddress: string;
  /** Everybody when undefined; then the whole local address is the domain's. */
  remoteAddress?: string;
}

/** RFC 4787 section 5. */
export type FilteringPlan = 'endpointIndependent' | 'addressDependent' | 'addressAndPortDependent';

export interface NatPlan {
  /** All that are the domain's, ascending; each address once. */
  externalAddresses: ExternalAddressPlan[];
  /** Ascending by `external`. */
  prefixes: PrefixPlan[];
  portMappings: PortMappingPlan[];
  /** Ascending by `external`. */
  oneToOne: OneToOnePlan[];
  /** Seconds. */
  timeouts: { icmp: number; tcpEstablished: number; tcpTransient: number; udp: number };
  filtering: { tcp: FilteringPlan; udp: FilteringPlan };
  hairpinning: 'local' | 'external';
  algs: ('ftp' | 'sip')[];
  /** Absent: no limit of its own. */
  maxSessions?: number;
  /** Ascending; each once. */
  peers: IkePeerPlan[];
  /**
   * Prefixes that are behind tunnels, whether these are there or not, ascending, none inside of another: what is for them is not
   * translated, and leaves by no other way.
   */
  sitePrefixes: string[];
}

/**
 * Who the two sides of a site connection are, and how each proves it. Texts in PEM have one block behind another and nothing else; the
 * key is PKCS #8.
 */
export interface SiteAuthenticationPlan {
  method: 'psk' | 'certificate';
  /** As strongSwan reads it. Undefined, which it never is with a key: the subject of the certificate. */
  localId: string | undefined;
  /**
   * As strongSwan reads it. Undefined: with a certificate, whatever that says; with a key, anybody at one of several destinations who
   * has it.
   */
  remoteId: string | undefined;
  preSharedKey?: string;
  certificate?: string;
  privateKey?: string;
  certificateAuthorities?: string;
  revocationLists?: string;
}

/** An IPsec tunnel to a site of the tenant's. */
export interface SiteConnectionPlan {
  name: string;
  /** An external address of the domain's NAT. */
  localAddress: string;
  /** Addresses of the peer in the order of trying; empty: any address, and the peer begins. */
  destinations: string[];
  authentication: SiteAuthenticationPlan;
  /** Prefixes that the site may reach, ascending. */
  localPrefixes: string[];
  /** Ascending by prefix. */
  subnets: SiteSubnet[];
  mainMode: MainMode;
  quickMode: QuickMode;
  initiate: 'start' | 'onTraffic' | 'never';
  mobike: boolean;
  idleDisconnectSeconds?: number;
  /** Kilobits a second. */
  txBandwidthKbps?: number;
  rxBandwidthKbps?: number;
}

/** The network that the context is on without NAT: its link `fwd`. */
export interface ForwardingPlan {
  /** The gateway's interface. */
  uplink: string;
  /** Undefined: the untagged network, which other domains are on, too. */
  vlanId?: number;
  /** Of `fwd`. */
  mac: string;
  /** `address/length` in canonical form, IPv4 first, then in the policy's order: the first of a family is the source of what the context itself says. */
  addresses: string[];
  /** Ascending by prefix; each with at least one next hop. What connected subnets have is not among them. */
  routes: { prefix: string; nextHops: string[] }[];
  /** The tenant's prefixes that pass as they are, ascending, none within another. */
  advertise: string[];
}

export interface BgpPeerPlan {
  name: string;
  address: string;
  asn: number;
  /** An address of `fwd`, or of `hnv` through a tunnel. */
  localAddress: string;
  password?: string;
  holdTimeSeconds: number;
  /** Undefined: the peer is on a subnet of the context's, or of the same AS. */
  multihop?: number;
  maximumPrefixes: number;
  bfd?: { intervalMilliseconds: number; multiplier: number };
  /** Names of policies, in the order of trying. */
  ingressPolicies: string[];
  egressPolicies: string[];
  /** By which link the peer is reached. */
  by: 'forwarding' | 'tunnel';
}

export interface BgpPlan {
  asn: number;
  routerId: string;
  /** Ascending by name. */
  peers: BgpPeerPlan[];
  /** What peers are told, host routes included, ascending; each once. */
  networks: string[];
  /** By name; as the resource has them, in canonical form. */
  policies: BgpPolicy[];
  maximumPaths: number;
  gracefulRestartSeconds: number;
  /**
   * What no peer may give a route to, ascending, with all that is within: prefixes of the tenant and subnets of the context's links.
   */
  own: string[];
  /** Destinations that no peer may give a route to, just these: forwarding or NAT has one already. */
  taken: string[];
}

export interface DomainPlan {
  rdid: string;
  handle: number;
  /** Virtual subnets of the domain, ascending by VSID. */
  subnets: SubnetPlan[];
  /** Provider addresses that frames of this domain may come from, ascending, each once. */
  sources: string[];
  records: RecordPlan[];
  wildcards: WildcardPlan[];
  routes: RoutePlan[];
  /** VM ports of this node that are in the domain, ascending by interface name. */
  ports: PortPlan[];
  /** Present when this node is the domain's gateway and has a provider address to be it with. */
  context?: ContextPlan;
  nat?: NatPlan;
  /** Ascending by name, those that can be; none without `context` and `nat`. */
  siteConnections: SiteConnectionPlan[];
  forwarding?: ForwardingPlan;
  bgp?: BgpPlan;
  /** A sentence for each external address and prefix that NAT asks for and is left out of `nat`. */
  withheld?: string[];
  /** Why something that was asked for is not in this plan yet (for example, a gateway without provider address). */
  pending: string[];
}

/** This node's own provider address and the interface that carries it. */
export interface ProviderAddressPlan {
  address: string;
  interface: string;
  prefixLength: number;
}
