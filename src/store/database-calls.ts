/**
 * What the main thread can ask the thread that has the store's file. Everything here runs in that thread, one call after
 * another; each either answers or throws an HNV_STORE that can be shown as it is.
 */
import { closeSync, openSync, rmSync } from 'node:fs';
import { backup, type DatabaseSync } from 'node:sqlite';
import { HnvError } from '../errors.ts';
import type { AuditRecord, AuditRetention } from './audit.ts';
import { openDatabase, reasonOf } from './database.ts';
import { prepareStatements, type Statement, type Statements } from './statements.ts';

/** What the file says apart from resources. */
export interface StoredMeta {
  readonly revision: number;
  readonly lastHandle: number;
  readonly tokenRevision: number;
  readonly handles: [rdid: string, handle: number][];
  /** Tokens as JSON. */
  readonly tokens: string[];
}

/** Resources in key order, by columns. */
export interface StoredRows {
  readonly keys: string[];
  /** One JSON array of the values. */
  readonly values: string;
  readonly revisions: number[];
  readonly modified: string[];
}

export class DatabaseCalls {
  readonly #path: string;
  readonly #retention: AuditRetention;
  readonly #database: DatabaseSync;
  readonly #statements: Statements;
  /** A transaction of many calls. SQLite copies nothing while the same connection has one. */
  #longTransaction: PromiseWithResolvers<void> | undefined;
  /** A backup: `begun` settles after its first step, which must not meet a transaction. Neither rejects. */
  #backup: { readonly begun: Promise<void>; readonly done: Promise<void> } | undefined;
  /** How many audit records there are; undefined when they must be counted. */
  #auditRecords: number | undefined;

  /** Opens the file. */
  constructor(path: string, retention: AuditRetention) {
    this.#path = path;
    this.#retention = retention;
    this.#database = openDatabase(path);
    this.#statements = prepareStatements(this.#database);
  }

  meta(): StoredMeta {
    return this.#reading(() => {
      const { meta, handles, tokens } = this.#statements;
      const row = meta.get() as { revision: number; lastHandle: number; tokenRevision: number };
      return {
        ...row,
        handles: handles.all().map(({ rdid, handle }) => [String(rdid), Number(handle)]),
        tokens: tokens.all().map(({ value }) => String(value)),
      };
    });
  }

  /** The next `limit` resources after the key. */
  resources(after: string, limit: number): StoredRows {
    return this.#reading(() => {
      const rows = this.#statements.resources.all(after, limit);
      return {
        keys: rows.map(({ key }) => String(key)),
        values: `[${rows.map(({ value }) => value).join(',')}]`,
        revisions: rows.map(({ revision }) => Number(revision)),
        modified: rows.map(({ modified }) => String(modified)),
      };
    });
  }

  /** A whole transaction; answers when it is on disk. */
  async transaction(statements: readonly Statement[]): Promise<void> {
    await this.#backup?.begun;
    this.#writing(() => this.#database.exec('BEGIN IMMEDIATE'));
    this.write(statements);
    this.commit(statements.filter(([name]) => name === 'addAudit').length);
  }

  /** Begins a transaction of many calls of `write`, which `commit` or `rollback` ends. */
  async begin(): Promise<void> {
    while (this.#backup !== undefined) await this.#backup.done;
    this.#longTransaction = Promise.withResolvers();
    this.#writing(() => this.#database.exec('BEGIN IMMEDIATE'));
  }

  /** A part of the transaction. What fails takes all of it back. */
  write(statements: readonly Statement[]): void {
    this.#writing(() => {
      if (!this.#database.isTransaction) throw new Error('the transaction has ended early');
      for (const [name, ...parameters] of statements) this.#statements[name].run(...parameters);
    });
  }

  /** Answers when the transaction is on disk. It has added that many audit records. */
  commit(auditRecords: number): void {
    this.#writing(() => {
      // Twice as many go as come, until there are no more than may stay.
      if (auditRecords > 0) {
        if (this.#auditRecords !== undefined) this.#auditRecords += auditRecords;
        this.#prune(2 * auditRecords);
      }
      this.#database.exec('COMMIT');
    });
    this.#endLongTransaction();
  }

  rollback(): void {
    this.#auditRecords = undefined;
    if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
    this.#endLongTransaction();
  }

  audit(before: number, limit: number): AuditRecord[] {
    return this.#reading(() =>
      this.#statements.audit.all(before, limit).map((row) => {
        const given = Object.entries(row).filter(([, value]) => value !== null);
        return Object.fromEntries(given) as unknown as AuditRecord;
      }),
    );
  }

  /** Removes audit records that need not stay, among the `limit` oldest; answers how many. */
  pruneAudit(limit: number): number {
    const isBusy = this.#database.isTransaction || this.#backup !== undefined;
    return isBusy ? 0 : this.#prune(limit);
  }

  /** A consistent copy to a file that must not be there, while writes go on. */
  async backup(path: string): Promise<void> {
    while (this.#longTransaction !== undefined || this.#backup !== undefined) {
      await (this.#longTransaction?.promise ?? this.#backup?.done);
    }
    const begun = Promise.withResolvers<void>();
    const copying = this.#copy(path, begun.resolve);
    const done = copying
      .catch(() => {})
      .finally(() => {
        this.#backup = undefined;
        begun.resolve();
      });
    this.#backup = { begun: begun.promise, done };
    await copying;
  }

  async close(): Promise<void> {
    await this.#backup?.done;
    this.#database.close();
  }

  async #copy(path: string, onProgress: () => void): Promise<void> {
    const failed = (error: unknown) =>
      new HnvError('HNV_STORE', `The backup ${path} could not be written: ${reasonOf(error)}.`);
    try {
      // Never over another file; and nobody else reads what is hashed in it.
      closeSync(openSync(path, 'wx', 0o600));
    } catch (error) {
      throw failed(error);
    }
    try {
      await backup(this.#database, path, { rate: backupPages, progress: onProgress });
    } catch (error) {
      rmSync(path, { force: true });
      throw failed(error);
    }
  }

  #endLongTransaction(): void {
    this.#longTransaction?.resolve();
    this.#longTransaction = undefined;
  }

  #prune(limit: number): number {
    const { countAudit, pruneAudit, expireAudit } = this.#statements;
    const { days, records } = this.#retention;
    const count = this.#auditRecords ?? Number(countAudit.get()?.count);
    const oldest = new Date(Date.now() - days * 86_400_000).toISOString();
    const excess = Math.min(Math.max(count - records, 0), limit);
    const pruned = excess === 0 ? 0 : Number(pruneAudit.run(excess).changes);
    const expired = Number(expireAudit.run(limit - pruned, oldest).changes);
    this.#auditRecords = count - pruned - expired;
    return pruned + expired;
  }

  #writing(write: () => void): void {
    try {
      write();
    } catch (error) {
      this.rollback();
      throw new HnvError('HNV_STORE', `The store could not be written: ${reasonOf(error)}.`);
    }
  }

  #reading<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      throw new HnvError('HNV_STORE', `The store ${this.#path} could not be read: ${reasonOf(error)}.`);
    }
  }
}

/** Between two steps of a backup, other calls have their turn. */
const backupPages = 256;
