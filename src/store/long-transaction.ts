/** One transaction of many statements, which go to the store's thread in slices while more of them are made. */
import type { DatabaseThread } from './database-thread.ts';
import type { Statement } from './statements.ts';

/** Serializing that many takes well under a millisecond. */
const sliceLength = 256;

export class LongTransaction {
  readonly #thread: DatabaseThread;
  #slice: Statement[] = [];
  #hasBegun = false;
  #inFlight: Promise<void> = Promise.resolve();

  constructor(thread: DatabaseThread) {
    this.#thread = thread;
  }

  /** Resolves when the thread keeps up; rejects when the transaction has failed. */
  async add(statement: Statement): Promise<void> {
    this.#slice.push(statement);
    if (this.#slice.length >= sliceLength) await this.#send();
  }

  /** Resolves when all is on disk. Of the last statements that many add an audit record. */
  async commit(last: readonly Statement[], auditRecords: number): Promise<void> {
    this.#slice.push(...last);
    if (!this.#hasBegun) return this.#thread.call('transaction', this.#slice);
    await this.#send();
    await this.#inFlight;
    await this.#thread.call('commit', auditRecords);
  }

  /** Takes everything back, also after a failure. */
  async rollback(): Promise<void> {
    if (this.#hasBegun) await this.#thread.call('rollback');
  }

  async #send(): Promise<void> {
    const slice = this.#slice;
    this.#slice = [];
    await this.#inFlight;
    if (!this.#hasBegun) {
      this.#hasBegun = true;
      await this.#thread.call('begin');
    }
    this.#inFlight = this.#thread.call('write', slice);
    // Whoever adds or commits next gets the error.
    this.#inFlight.catch(() => {});
  }
}
