/**
 * The desired state at rest: one ordered key space with revisions. The API writes it, the sequencer follows it. The
 * rules and the compiler read `state`, which is in memory; a write is answered only when it is on disk.
 */
import type { ResourceKind, ResourceTypes } from '../policy/resources.ts';
import type { DesiredState } from '../policy/state.ts';

/** Names one resource. `rdid` is absent for node-wide kinds; `id` is absent for the single ones (gateway, nat). */
export interface ResourceKey<K extends ResourceKind = ResourceKind> {
  readonly kind: K;
  readonly rdid?: string;
  /** VSID in decimal, record id, route id, provider address, interface of a port. Absent for routingDomain, gateway, nat. */
  readonly id?: string;
}

export interface StoredResource<K extends ResourceKind = ResourceKind> {
  readonly key: ResourceKey<K>;
  readonly value: ResourceTypes[K];
  /** Store revision that wrote it last: its ETag. The store's revision grows by one with every accepted write. */
  readonly revision: number;
  /** When that was, ISO 8601. */
  readonly modified: string;
}

export interface WriteOptions {
  /** Refuse with HNV_PRECONDITION_FAILED unless the resource is at this revision (0: must not exist). */
  ifRevision?: number;
}

/** What a commit touched, so that a follower recompiles only that. */
export interface StoreChange {
  /** Revision after the commit. */
  readonly revision: number;
  /** RDIDs whose domain was created, changed or deleted, or got, lost or changed a port. */
  readonly domains: ReadonlySet<string>;
  /**
   * True when the node's own links changed, which concerns every domain: provider addresses, provider routes, ports
   * outside HNV.
   */
  readonly node: boolean;
}

export interface Store {
  /** The state of the last commit; the object is live: read it, do not keep parts of it. */
  readonly state: DesiredState;
  /** Revision of the last commit. */
  readonly revision: number;

  get<K extends ResourceKind>(key: ResourceKey<K>): StoredResource<K> | undefined;
  /**
   * Resources of a kind (of one domain), in key order (VSIDs by number, other ids by their bytes), after `after` (an
   * id; the RDID for routing domains), at most `limit`.
   */
  list<K extends ResourceKind>(
    kind: K,
    options: { rdid?: string; after?: string; limit: number },
  ): StoredResource<K>[];

  /**
   * Creates or replaces. `value` must have been normalized. Writes of the same tick share one transaction, in order;
   * each is checked against the state that the writes before it leave, and one that breaks a rule rejects with
   * HnvError and changes nothing. Resolves when it is on disk; rejects with HNV_STORE when it could not be written.
   */
  put<K extends ResourceKind>(
    key: ResourceKey<K>,
    value: ResourceTypes[K],
    options?: WriteOptions,
  ): Promise<{ resource: StoredResource<K>; created: boolean }>;

  /**
   * Removes a resource; a routing domain with all that belongs to it. Resolves, when that is on disk, with the store
   * revision of the removal. Rejects with HNV_NOT_FOUND when there is nothing.
   */
  delete(key: ResourceKey, options?: WriteOptions): Promise<{ revision: number }>;

  /** Calls back after every commit, in order, when `state` shows it. Returns the function that ends it. */
  subscribe(listener: (change: StoreChange) => void): () => void;

  /** Commits what is still queued and gives the file free. */
  close(): void;
}
