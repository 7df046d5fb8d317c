/** The audit log: who asked this node to change something or to hand out everything, when, from where, and what came of it. */

/** Who asks, and for what. */
export interface AuditRequest {
  /** Id of the token, or `local` for whoever may open the node's unix socket. */
  readonly actor: string;
  /** Address that the request came from, or `unix`. */
  readonly from: string;
  readonly method: string;
  /** Path of the request, without its query. */
  readonly path: string;
}

export interface AuditRecord extends AuditRequest {
  /** Ascending in time, never given twice. */
  readonly id: number;
  /** ISO 8601. */
  readonly at: string;
  /** HTTP status of the answer. */
  readonly status: number;
  /** Code and rule of a refusal. */
  readonly code?: string;
  readonly rule?: string;
  /** Store revision of an accepted write. */
  readonly revision?: number;
}

export interface AuditLog {
  /** Adds a record of what the store did not write itself: a refusal, or that everything was handed out. On disk with the next commit, at most a second later. */
  note(record: Omit<AuditRecord, 'id'>): void;
  /** The newest first, with ids below `before`. */
  list(options: { before?: number; limit: number }): Promise<AuditRecord[]>;
}

/** How long records stay, and how many at most. */
export interface AuditRetention {
  readonly days: number;
  readonly records: number;
}

/** Unless the configuration says otherwise. */
export const defaultRetention: AuditRetention = { days: 90, records: 1_000_000 };
