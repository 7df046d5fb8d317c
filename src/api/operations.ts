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
  /** From a port to another one of this node. */
  local: DirectionCounters;
  /** Dropped packets by the name of the reason; reasons that never happened are absent. */
  drops: Record<string, number>;
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
}

export interface Operations {
  nodeStatus(): NodeStatus;
  /** Status of one stored resource; `revision` is the one that wrote it. */
  resourceStatus(key: ResourceKey, revision: number): ResourceStatus;
  /** Counters of a domain; zeroes when the domain has no traffic yet. */
  domainCounters(rdid: string): DomainCounters;
  /**
   * Resolves when the resource at `revision` (or its removal) is ready or failed, or after `timeoutMs`, with the
   * status at that moment.
   */
  settled(key: ResourceKey, revision: number, timeoutMs: number): Promise<ResourceStatus>;
}
