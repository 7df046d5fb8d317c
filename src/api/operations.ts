/**
 * What the API asks the privileged side: status and live questions. The API never calls the kernel itself; this
 * interface is where the HTTP process and the privileged process could be parted.
 */
import type { ResourceKey } from '../store/store.ts';

/** What the kernel has, not what was asked. */
export interface ResourceStatus {
  state: 'ready' | 'pending' | 'failed';
  reason?: string;
  /** ISO 8601 time since which it is so. */
  since: string;
}

export interface DirectionCounters {
  packets: number;
  bytes: number;
}

/** Traffic of one routing domain at the encap core. Bytes count the inner packet from its IP header on. */
export interface DomainCounters {
  /** From a tunnel to a port of this node: a routing context or a VM. */
  decapsulated: DirectionCounters;
  /** From a port of this node to a tunnel. */
  encapsulated: DirectionCounters;
  /** Of both, those that took the fast path. */
  fast: { packets: number };
  /** From a port to another one of this node. */
  local: DirectionCounters;
  /** Dropped packets by the name of the reason; reasons that never happened are absent. */
  drops: Record<string, number>;
}

/** What NAT of a routing domain is used for, and what it refused. */
export interface NatUse {
  /** Sessions that there are now. */
  sessions: number;
  /** Sessions that could not begin since the routing context was made, by why. */
  refused: NatRefusals;
}

export interface NatRefusals {
  /** There were `maxSessions`. */
  limit: number;
  /** No external port was free. */
  ports: number;
  /** An external port is bound to another inside host, where filtering does not look at the remote side. */
  bindings: number;
}

export const natDirections = ['outbound', 'inbound', 'hairpin'] as const;
export const natProtocols = ['tcp', 'udp', 'icmp', 'icmpv6', 'sctp', 'gre', 'esp', 'ah'] as const;
export const natStates = [
  'synSent',
  'synReceived',
  'established',
  'finWait',
  'closeWait',
  'lastAck',
  'timeWait',
  'close',
  'synSent2',
] as const;

/** A session of NAT, as connection tracking has it. */
export interface NatSession {
  /** One of `natProtocols`, or IANA's number. */
  protocol: string;
  /** Which side began; `hairpin`: both are inside, and meet at an external address. */
  direction: (typeof natDirections)[number];
  /** The inside host, of a hairpin session that which began; absent when the routing context answers itself. */
  internalAddress?: string;
  internalPort?: number;
  /** What the inside host is outside; absent when that is made of the address alone (NPTv6). */
  externalAddress?: string;
  externalPort?: number;
  /** The other side as the inside host knows it. */
  remoteAddress: string;
  remotePort?: number;
  /** Of `hairpin`: the inside host behind the remote address. */
  remoteInternalAddress?: string;
  remoteInternalPort?: number;
  /** Identifier of ICMP queries, inside and outside. */
  icmpId?: number;
  externalIcmpId?: number;
  /** Of TCP. */
  state?: (typeof natStates)[number];
  /** ISO 8601. */
  started?: string;
  /** Until it ends when nothing comes. */
  timeoutSeconds: number;
  /** Both sides have spoken so that it is not ended for want of room. */
  assured: boolean;
  /** By the inside host, and to it; of `hairpin` by and to that which began. */
  sent?: DirectionCounters;
  received?: DirectionCounters;
}

/** What sessions must have to be listed; addresses are canonical. Ports of ICMP are its identifiers. */
export interface NatSessionFilter {
  protocol?: string;
  direction?: NatSession['direction'];
  internalAddress?: string;
  internalPort?: number;
  externalAddress?: string;
  externalPort?: number;
  remoteAddress?: string;
  remotePort?: number;
  state?: string;
}

/** Of a site connection; `listening`: it waits for the peer, or for a packet to the site. */
export const siteStates = ['connected', 'connecting', 'listening', 'failed'] as const;

/** What a site connection is doing. */
export interface SiteConnectionState {
  state: (typeof siteStates)[number];
  /** ISO 8601 time since which it is so. */
  since: string;
  /** Whether its ESP SAs carry the packets of all its subnets; another connection with a lower metric may have some. */
  carries: boolean;
  /** Why it is not connected, in words for people; the last such reason while it is. */
  lastError?: string;
  /** ISO 8601 time of it. */
  lastErrorAt?: string;
}

/** An SA of ESP, both directions. */
export interface SiteChildSa {
  /** As charon has it: INSTALLED, REKEYING, … */
  state: string;
  /** Seconds. */
  ageSeconds: number;
  rekeySeconds?: number;
  /** As 8 hexadecimal digits. */
  spiIn: string;
  spiOut: string;
  /** Inside UDP (RFC 3948). */
  encapsulated: boolean;
  encryption: string;
  integrity?: string;
  diffieHellmanGroup?: string;
  localSubnets: string[];
  remoteSubnets: string[];
  /** From the site, and to it; packets as they are inside of the tunnel. */
  received: DirectionCounters;
  sent: DirectionCounters;
}

/** An SA of IKE with the SAs that it has made. */
export interface SiteIkeSa {
  state: string;
  initiator: boolean;
  ageSeconds: number;
  rekeySeconds?: number;
  localAddress: string;
  localPort: number;
  localId: string;
  remoteAddress: string;
  remotePort: number;
  remoteId: string;
  natLocal: boolean;
  natRemote: boolean;
  encryption: string;
  integrity?: string;
  prf: string;
  diffieHellmanGroup: string;
  childSas: SiteChildSa[];
}

/** A site connection as it is just now. */
export interface SiteConnectionLive extends SiteConnectionState {
  /** What does ESP: the kernel, or strongSwan's own code. */
  engine: 'kernel' | 'userspace';
  ikeSas: SiteIkeSa[];
}

/** RFC 4271 section 8.2.2; `Stopped` when the BGP speaker does not run. */
export const bgpSessionStates = [
  'Idle',
  'Connect',
  'Active',
  'OpenSent',
  'OpenConfirm',
  'Established',
  'Stopped',
] as const;

/** What a BGP peer is doing. */
export interface BgpPeerState {
  name: string;
  address: string;
  asn: number;
  state: (typeof bgpSessionStates)[number];
  /** Since when it is established, ISO 8601. */
  since?: string;
  prefixesReceived: number;
  prefixesAccepted: number;
  prefixesSent: number;
  /** Why it is not established, or was not the last time, as a sentence. */
  lastError?: string;
  /** Absent without BFD. */
  bfd?: 'up' | 'down';
}

/** A route that BGP knows. */
export interface BgpRoute {
  prefix: string;
  nextHops: string[];
  /** Name of the peer that told it; absent of own networks. */
  peer?: string;
  /** ASNs, the nearest first. */
  asPath: number[];
  origin: 'IGP' | 'EGP' | 'incomplete';
  localPreference?: number;
  med?: number;
  communities: string[];
  /** It is the best one, or shares its prefix with that (ECMP). */
  best: boolean;
  /** The kernel of the routing context has it. */
  installed: boolean;
}

/** A domain's BGP as it is just now. */
export interface BgpState {
  peers: BgpPeerState[];
  /** Bytes of the proportional set size of its processes. */
  memoryBytes: number;
  /** Why the BGP speaker has not what the policy says: it refused it, and has what it had before. */
  refused?: string;
}

/** One dropped packet, sampled: at most 100 a second for each domain and CPU. */
export interface DropSample {
  at: string;
  reason: string;
  /** Absent when the packet could not be given to a domain. */
  routingDomainId?: string;
  /** Interface that it arrived on. */
  interface: string;
  /** Length of the packet as it arrived, in bytes. */
  length: number;
  /** The beginning of the packet, hexadecimal. */
  head: string;
}

export interface NodeStatus {
  version: string;
  role: 'gateway' | 'host';
  instance: string;
  /** True from when the kernel has followed the whole store once since this process began. */
  ready: boolean;
  /** Store revision that the kernel has caught up with, and the store's own. */
  appliedRevision: number;
  revision: number;
  routingDomains: { ready: number; pending: number; failed: number };
  /** What an operator should know and can do something about, as sentences. */
  warnings: string[];
  /** Kernel features: name to whether it is there and what is done without it. */
  features: { name: string; present: boolean; note: string }[];
  /** Drops that no domain can be charged with (unknown VSID, broken headers), by reason. */
  unattributedDrops: Record<string, number>;
  recentDrops: DropSample[];
  /** When this process began, ISO 8601, and how long ago that is. */
  started: string;
  uptimeSeconds: number;
  /** Bytes on disk, with the write-ahead log. */
  storeBytes: number;
  /** Domains that are worked on or wait for that, and what was tried again since the start because it had failed. */
  sequencer: { queueLength: number; retries: number };
  /** What was found in the kernel otherwise than programmed, since the start, and what of it was put right. */
  drift: { found: number; mended: number };
  /** What became of addresses that were seen at ports that learn, since the start; of a host. */
  learning?: LearningCounts;
  /** Who carries established connections; of a gateway. */
  fastPath?: FastPathStatus;
  /** The first resources that are not ready, those of the node before those of routing domains; at most 100. */
  problems: StatusProblem[];
}

/** Between which NICs established connections take the fast path. */
export interface FastPathStatus {
  /** Why there is no fast path, as the end of a sentence. */
  reason?: string;
  interfaces: {
    name: string;
    /** In the NIC's driver (XDP), or behind it (TC). */
    carrier: 'native' | 'generic';
    /** Why it is not `native`, as the end of a sentence. */
    reason?: string;
  }[];
}

/** Addresses that ports have shown, by what became of them. */
export interface LearningCounts {
  learned: number;
  /** Against the policy's rules: outside of the subnet, or the address of a static record. */
  refused: number;
  overLimit: number;
  overRate: number;
  aged: number;
}

/** A resource that the kernel does not have as it was asked for. */
export interface StatusProblem extends ResourceStatus {
  path: string;
}

export const eventTypes = [
  'resource',
  'policy',
  'status',
  'drift',
  'nat',
  'siteConnection',
  'bgpPeer',
  'reset',
] as const;

/** Something that happened on this node. */
export interface NodeEvent {
  /** Ascending within a process: what Last-Event-ID resumes after. */
  readonly id: string;
  /** ISO 8601. */
  readonly at: string;
  /**
   * `resource`: a write was committed; `policy`: a whole policy was; `status`: what the kernel has of an object changed;
   * `drift`: the kernel was not as programmed, by somebody's hand, and is mended (or not yet: see `reason`);
   * `nat`: NAT refuses sessions, for want of ports or because there are too many, or does so no longer;
   * `siteConnection`: a tunnel came up or went down, or could not be made;
   * `bgpPeer`: a BGP session was established or ended;
   * `reset`: events before this one are not there any more, and whoever follows must read anew.
   */
  readonly type: (typeof eventTypes)[number];
  /** Absent for what belongs to no routing domain. */
  readonly routingDomainId?: string;
  /** Path of the resource that it is about. */
  readonly path?: string;
  /** Of `resource`: created, changed or deleted. Of `status`: the state. Of `drift`: found or mended. Of `nat`: refusing or recovered. Of `siteConnection`: up, down or failed. Of `bgpPeer`: up or down. */
  readonly what?: string;
  /** A sentence for people: why, or what was found. */
  readonly reason?: string;
  /** Store revision, of `resource` and `policy`. */
  readonly revision?: number;
  /** Of `policy`: how many resources. */
  readonly created?: number;
  readonly changed?: number;
  readonly deleted?: number;
}

/** The node's events of the last time, and from now on. */
export interface EventSource {
  /** Those after `id`, oldest first; begins with one of type `reset` when some of them are gone. All that there are without `id`. */
  since(id: string | undefined): NodeEvent[];
  /** Calls back with each new one. Returns the function that ends it. */
  subscribe(listener: (event: NodeEvent) => void): () => void;
}

/** A resource as of a revision; a routing domain stands for all that belongs to it. */
export interface WaitedFor {
  readonly key: ResourceKey;
  readonly revision: number;
}

/** What the kernel has of it, and of its parts those that are not ready. */
export interface SettledStatus {
  readonly state: ResourceStatus['state'];
  readonly notReady: readonly { readonly key: ResourceKey; readonly status: ResourceStatus }[];
}

export interface Operations {
  readonly events: EventSource;
  nodeStatus(): NodeStatus;
  /** True from when the kernel has followed the whole store once since this process began. */
  isReady(): boolean;
  /** Status of one stored resource; `revision` is the one that wrote it. */
  resourceStatus(key: ResourceKey, revision: number): ResourceStatus;
  /** Counters of a domain; zeroes when the domain has no traffic yet. */
  domainCounters(rdid: string): DomainCounters;
  /** Packets that the NAT ruleset of the domain's routing context dropped; 0 when this node has no context of it. */
  contextDrops(rdid: string): number;
  /** Undefined when this node has no routing context of the domain. */
  natUse(rdid: string): NatUse | undefined;
  /** What each site connection of the domain is doing, by name; those that this node has not begun with are absent. Quick. */
  siteConnections(rdid: string): ReadonlyMap<string, SiteConnectionState>;
  /** Undefined when this node has not begun with the connection. Fails with HNV_SITE when its IKE daemon does not answer. */
  siteConnection(rdid: string, name: string): Promise<SiteConnectionLive | undefined>;
  /** Undefined when this node runs no BGP of the domain. Quick: as it was last looked at, at most seconds ago. */
  bgp(rdid: string): BgpState | undefined;
  /** All routes that the domain's BGP knows, ascending by prefix, some at a time; undefined when this node runs no BGP of it. Fails with HNV_BGP. */
  bgpRoutes(rdid: string): AsyncIterable<BgpRoute[]> | undefined;
  /** The gateway's own BGP with its uplink's routers; undefined when it is not configured. Quick. */
  uplinkBgp(): BgpState | undefined;
  /**
   * NAT sessions of the domain that pass the filter, some at a time; undefined when this node has no routing context of it. Fails with HNV_NOT_FOUND
   * when the context goes meanwhile. What is begun must be read to its end or given up (`return()`).
   */
  natSessions(rdid: string, filter: NatSessionFilter): AsyncIterable<NatSession[]> | undefined;
  /**
   * Resolves when the resource at `revision` (or its removal) is ready or failed, or after `timeoutMs`, with the
   * status at that moment.
   */
  settled(key: ResourceKey, revision: number, timeoutMs: number): Promise<ResourceStatus>;
  /**
   * Resolves when all of what is waited for is ready or failed, after the store's `revision` or a later one, or after
   * `timeoutMs`; with the status of each at that moment, in their order.
   */
  allSettled(all: readonly WaitedFor[], revision: number, timeoutMs: number): Promise<SettledStatus[]>;
}
