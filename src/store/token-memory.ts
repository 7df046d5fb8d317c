/** The bearer tokens of a store, in memory as the last commit left them; a removal holds before it is on disk. */

import { HnvError } from '../errors.ts';
import type { AuditRequest } from './audit.ts';
import type { Batch } from './batch.ts';
import type { StoredToken, TokenTable } from './tokens.ts';
import { deleteEntry, setEntry, type UndoLog } from './undo.ts';

/** Has a write carried out with the next batch. */
type Enqueue = <T>(write: (batch: Batch) => T) => Promise<T>;

export class TokenMemory implements TokenTable {
  readonly all = new Map<string, StoredToken>();
  readonly #enqueue: Enqueue;
  readonly #listeners = new Set<(id: string) => void>();
  /** Those whose removal is on its way to the disk, as they are there. */
  readonly #leaving = new Map<string, StoredToken>();
  #revision: number;

  /** `revision` is the newest that any token has had. */
  constructor(tokens: readonly StoredToken[], revision: number, enqueue: Enqueue) {
    for (const token of tokens) this.all.set(token.id, token);
    this.#revision = revision;
    this.#enqueue = enqueue;
  }

  /** Counts up with every change of any token, so that no ETag comes twice. */
  get revision(): number {
    return this.#revision;
  }

  async put(token: Omit<StoredToken, 'revision'>, audit?: AuditRequest): Promise<StoredToken> {
    const stored = await this.#enqueue((batch) => {
      const value: StoredToken = { ...token, revision: this.#revision + 1 };
      if (audit !== undefined) batch.audit(audit, this.all.has(token.id) ? 200 : 201);
      batch.apply((undo) => {
        this.#countUp(undo);
        setEntry(this.all, value.id, value, undo);
      });
      batch.statements.push(['putToken', value.id, JSON.stringify(value)]);
      return value;
    });
    // It was changed before it was removed, and must not come back in between.
    if (this.#leaving.has(token.id)) this.#hide(stored);
    this.#tell(token.id);
    return stored;
  }

  async delete(id: string, audit?: AuditRequest): Promise<void> {
    // Nobody is let in with it from now on: until the removal is on disk it may take as long as a whole policy does.
    const revoked = this.all.get(id);
    if (revoked !== undefined) {
      this.#hide(revoked);
      this.#tell(id);
    }
    try {
      await this.#remove(id, revoked !== undefined, audit);
    } catch (error) {
      const kept = this.#leaving.get(id);
      if (revoked !== undefined && kept !== undefined) this.all.set(id, kept);
      throw error;
    } finally {
      if (revoked !== undefined) this.#leaving.delete(id);
    }
    if (revoked === undefined) this.#tell(id);
  }

  #hide(token: StoredToken): void {
    this.#leaving.set(token.id, token);
    this.all.delete(token.id);
  }

  #remove(id: string, isHidden: boolean, audit: AuditRequest | undefined): Promise<void> {
    return this.#enqueue((batch) => {
      if (!isHidden && !this.all.has(id))
        throw new HnvError('HNV_NOT_FOUND', `There is no token ${id}.`, { rule: 'exists' });
      if (audit !== undefined) batch.audit(audit, 204);
      batch.apply((undo) => {
        this.#countUp(undo);
        deleteEntry(this.all, id, undo);
      });
      batch.statements.push(['deleteToken', id]);
    });
  }

  subscribe(listener: (id: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #tell(id: string): void {
    for (const listener of this.#listeners) listener(id);
  }

  #countUp(undo: UndoLog): void {
    this.#revision += 1;
    undo.push(() => {
      this.#revision -= 1;
    });
  }
}
