/** Bearer tokens at rest: never the token itself, only what it can be checked with. */
import type { AuditRequest } from './audit.ts';

/** `admin`: all. `operator`: all but tokens and secrets. `tenant`: its routing domains, and no sign that others exist. */
export type TokenRole = 'admin' | 'operator' | 'tenant';

export interface StoredToken {
  readonly id: string;
  readonly role: TokenRole;
  /** RDIDs of a tenant, ascending; empty for the other roles. */
  readonly routingDomains: readonly string[];
  /** ISO 8601; it never expires when absent. */
  readonly expires?: string;
  readonly created: string;
  /** Counts up with each change: the ETag. */
  readonly revision: number;
  /** scrypt hash of the secret, with parameters and salt: as access/secret.ts writes it. */
  readonly hash: string;
}

export interface TokenTable {
  /** By id, of the last commit, without those whose removal is on its way to the disk. */
  readonly all: ReadonlyMap<string, StoredToken>;
  /** Creates or replaces; resolves when it is on disk. */
  put(token: Omit<StoredToken, 'revision'>, audit?: AuditRequest): Promise<StoredToken>;
  /** Holds at once; resolves when it is on disk. Rejects with HNV_NOT_FOUND when there is none. */
  delete(id: string, audit?: AuditRequest): Promise<void>;
  /** Calls back after each change of a token or its removal, with its id. Returns the function that ends it. */
  subscribe(listener: (id: string) => void): () => void;
}
