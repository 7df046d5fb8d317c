/**
 * The order of writes: those that wait together are one batch; work that must be alone, such as a whole document, has
 * its place between batches.
 */
import { setImmediate } from 'node:timers/promises';
import type { Batch } from './batch.ts';
import { storeIsClosed } from './database-thread.ts';
import { Pace } from './pace.ts';

export interface QueuedWrite {
  /** Checks and carries out the write; what it answers is to be called when that is on disk. Throws a refusal. */
  readonly run: (batch: Batch) => () => void;
  readonly reject: (error: unknown) => void;
}

interface LoneWork {
  /** Never rejects. */
  readonly alone: () => Promise<void>;
}

/** Makes a transaction of the writes. Takes them all before it waits for anything; never rejects. */
type Commit = (writes: Iterable<QueuedWrite>) => Promise<void>;

/** Most writes in one transaction. */
const maxBatch = 512;

export class WriteQueue {
  readonly #commit: Commit;
  readonly #queue: (QueuedWrite | LoneWork)[] = [];
  /** How many at the queue's head have been taken. */
  #done = 0;
  #running: Promise<void> | undefined;
  #isClosed = false;

  constructor(commit: Commit) {
    this.#commit = commit;
  }

  /** Has a write carried out; settles when it is on disk or refused. */
  write<T>(write: (batch: Batch) => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const run = (batch: Batch) => {
        const result = write(batch);
        return () => resolve(result);
      };
      this.#push({ run, reject }, reject);
    });
  }

  /** Has work done while no write is. */
  alone<T>(work: () => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#push({ alone: () => work().then(resolve, reject) }, reject);
    });
  }

  /** Takes nothing more; resolves when everything in the queue is done. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#running;
  }

  #push(job: QueuedWrite | LoneWork, reject: (error: unknown) => void): void {
    if (this.#isClosed) {
      reject(storeIsClosed());
      return;
    }
    this.#queue.push(job);
    this.#running ??= this.#run();
  }

  async #run(): Promise<void> {
    // What is written in the same turn of the event loop comes along.
    await setImmediate();
    for (let [job] = this.#queue; job !== undefined; [job] = this.#queue) {
      if ('alone' in job) {
        this.#done += 1;
        await job.alone();
      } else {
        await this.#commit(this.#takeBatch());
      }
      this.#queue.splice(0, this.#done);
      this.#done = 0;
    }
    this.#running = undefined;
  }

  /** Writes of the queue until the batch is full, or a slice of time is over. */
  *#takeBatch(): Generator<QueuedWrite> {
    const pace = new Pace();
    while (this.#done < maxBatch) {
      const job = this.#queue[this.#done];
      if (job === undefined || 'alone' in job) return;
      this.#done += 1;
      yield job;
      if (pace.isOver) return;
    }
  }
}
