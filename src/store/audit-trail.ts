/** The audit log of a store: refusals wait here for the next transaction, reads go to the file. */
import type { AuditLog, AuditRecord } from './audit.ts';
import type { DatabaseThread } from './database-thread.ts';
import type { Statement } from './statements.ts';

type NewRecord = Omit<AuditRecord, 'id'>;

const noteDelayMs = 1000;
/** The oldest go when more than this many wait, which they do only while the disk takes nothing. */
const maxNotes = 10_000;
const pruneEveryMs = 3_600_000;
/** One step of it must not keep writes waiting. */
const pruneStep = 500;

export function auditStatement(record: NewRecord): Statement {
  const { at, actor, from, method, path, status, code = null, rule = null, revision = null } = record;
  return ['addAudit', at, actor, from, method, path, status, code, rule, revision];
}

export class AuditTrail implements AuditLog {
  readonly #thread: DatabaseThread;
  readonly #commit: () => Promise<void>;
  readonly #pruning: NodeJS.Timeout;
  #notes: Statement[] = [];
  #timer: NodeJS.Timeout | undefined;

  /** `commit` makes a transaction, which takes the notes along. */
  constructor(thread: DatabaseThread, commit: () => Promise<void>) {
    this.#thread = thread;
    this.#commit = commit;
    this.#pruning = setInterval(() => void this.#prune(), pruneEveryMs).unref();
    void this.#prune();
  }

  note(record: NewRecord): void {
    this.#notes.push(auditStatement(record));
    if (this.#notes.length > maxNotes) this.#notes.shift();
    this.#timer ??= setTimeout(() => void this.flush(), noteDelayMs).unref();
  }

  async list({ before, limit }: { before?: number; limit: number }): Promise<AuditRecord[]> {
    await this.flush();
    return this.#thread.call('audit', before ?? Number.MAX_SAFE_INTEGER, limit);
  }

  /** Writes what waits. What cannot be written now goes with a later transaction. */
  async flush(): Promise<void> {
    if (this.#notes.length > 0) await this.#commit().catch(() => {});
  }

  /** The notes, for a transaction. */
  take(): Statement[] {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    return this.#notes.splice(0);
  }

  /** Those of a transaction that has failed wait for the next. */
  giveBack(notes: readonly Statement[]): void {
    this.#notes = [...notes, ...this.#notes].slice(-maxNotes);
  }

  close(): void {
    clearTimeout(this.#timer);
    clearInterval(this.#pruning);
  }

  async #prune(): Promise<void> {
    try {
      while ((await this.#thread.call('pruneAudit', pruneStep)) === pruneStep);
    } catch {
      // The next hour has its own try; a disk that takes nothing shows in every write.
    }
  }
}
