/**
 * The desired state at rest: one ordered key space with revisions. The API writes it, the sequencer follows it. The
 * rules and the compiler read `state`, which is in memory; a write is answered only when it is on disk.
 */
import type { ResourceKind, ResourceTypes } from '../policy/resources.ts';
import type { DesiredState } from '../policy/state.ts';
import type { AuditLog, AuditRequest } from './audit.ts';
import type { TokenTable } from './tokens.ts';

/** Names one resource. `rdid` is absent for node-wide kinds; `id` is absent for those that a domain has one of. */
export interface ResourceKey<K extends ResourceKind = ResourceKind> {
  readonly kind: K;
  readonly rdid?: string;
  /** VSID in decimal, record id, route id, provider address, interface of a port. Absent for routingDomain and the single kinds. */
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

/** A resource to write; one member for each kind, so that a switch on `kind` knows the type of the value. */
export type Entry = {
  [K in ResourceKind]: { kind: K; rdid: string; id: string; value: ResourceTypes[K] };
}[ResourceKind];

/** An entry of a document of many, with the JSON pointer of the resource in it: a refusal's pointer begins with that. */
export interface DocumentEntry {
  readonly entry: Entry;
  readonly pointer: string;
}

export interface WriteOptions {
  /** Refuse with HNV_PRECONDITION_FAILED unless the resource is at this revision (0: must not exist). */
  ifRevision?: number;
  /** Who asked for it: goes into the audit log in the same transaction. Absent for what the node itself writes. */
  audit?: AuditRequest;
  /** It is a tenant who asks: what only operators give is refused. */
  byTenant?: boolean;
}

export interface DocumentOptions {
  /** Refuse with HNV_PRECONDITION_FAILED unless the whole store is at this revision. */
  ifRevision?: number;
  /** Check and compare only. */
  dryRun?: boolean;
  audit?: AuditRequest;
  /** As in WriteOptions. */
  byTenant?: boolean;
}

/** What became of one resource. */
export interface ResourceChange {
  readonly key: ResourceKey;
  readonly change: 'created' | 'changed' | 'deleted';
  /** Of the write; for a dry run the one that the store is at. */
  readonly revision: number;
}

/** A change of a document, with the values for whoever wants to see the difference. */
export interface ValueChange extends ResourceChange {
  readonly before?: unknown;
  readonly after?: unknown;
}

/** What a whole document changed, or would change. */
export interface DocumentOutcome {
  /** Store revision afterwards; unchanged when there was nothing to change, or on a dry run. */
  readonly revision: number;
  readonly created: number;
  readonly changed: number;
  readonly deleted: number;
  /** Of what the document names; what it leaves alone is nobody's business. */
  readonly unchanged: number;
  /** The first of them, in the order of the keys; at most `listedChanges`. */
  readonly changes: readonly ValueChange[];
  /** What all of them together touched, as in StoreChange: what a writer waits for. */
  readonly domains: ReadonlySet<string>;
  readonly node: boolean;
}

/** Most changes that a DocumentOutcome lists. */
export const listedChanges = 1000;

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
  /** Each resource that was written, in order. Empty when there is `replaced`. */
  readonly resources: readonly ResourceChange[];
  /**
   * How much was changed by RDID, when the whole policy was replaced, or a document changed more than `listedChanges`
   * resources; what belongs to no domain is under ''.
   */
  readonly replaced?: ReadonlyMap<string, { created: number; changed: number; deleted: number }>;
}

export interface Store {
  /** The state of the last commit; the object is live: read it, do not keep parts of it. */
  readonly state: DesiredState;
  /** Revision of the last commit. */
  readonly revision: number;
  readonly tokens: TokenTable;
  readonly audit: AuditLog;

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
   * Creates or replaces. `value` must have been normalized. Writes that come together share one transaction, in order;
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

  /**
   * Creates or replaces all of the entries, in their order, or none: as put() of each, but with one revision for all, and
   * what is equal keeps its own. Other writes wait. A refusal has the pointer of its entry in front of its own.
   */
  putAll(entries: readonly DocumentEntry[], options?: DocumentOptions): Promise<DocumentOutcome>;

  /**
   * Makes the entries the whole desired state: what is not among them goes, but for lookup records of type `dynamic`, which
   * nodes learn: they stay where they keep the rules. Entries come in an order in which each can be put into an empty
   * store. Atomic; other writes wait; the event loop is given away all the time, and readers see the old state until
   * the new one is on disk. What is equal keeps its revision.
   */
  replace(entries: readonly DocumentEntry[], options?: DocumentOptions): Promise<DocumentOutcome>;

  /** Calls back after every commit, in order, when `state` shows it. Returns the function that ends it. */
  subscribe(listener: (change: StoreChange) => void): () => void;

  /** Writes a consistent copy of the store, as a store file, to `path`, which must not exist. */
  backup(path: string): Promise<void>;

  /** Commits what is still queued and gives the file free. */
  close(): Promise<void>;
}
