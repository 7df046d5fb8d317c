/**
 * The main thread's side of the store's file: SQLite waits for the disk in a thread of its own, so that the event loop
 * never does.
 */
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { HnvError } from '../errors.ts';
import type { AuditRetention } from './audit.ts';
import type { DatabaseCalls } from './database-calls.ts';
import type { DatabaseAnswer, DatabaseRequest, DatabaseWorkerData } from './database-worker.ts';

type Result<N extends keyof DatabaseCalls> = Awaited<ReturnType<DatabaseCalls[N]>>;

interface Pending {
  resolve: (result: never) => void;
  reject: (error: Error) => void;
}

export class DatabaseThread {
  readonly #worker: Worker;
  readonly #exited: Promise<void>;
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;
  #failure: HnvError | undefined;

  /** Opens or creates the file. Rejects with HNV_STORE, which says what to do, when it cannot be used. */
  static async open(path: string, retention: AuditRetention): Promise<DatabaseThread> {
    const thread = new DatabaseThread({ path, retention });
    try {
      await thread.#answerTo(0);
    } catch (error) {
      await thread.#end();
      throw error;
    }
    return thread;
  }

  private constructor(workerData: DatabaseWorkerData) {
    // Source (.ts) and build (.js) keep the two files side by side.
    const file = new URL(`./database-worker${extname(import.meta.url)}`, import.meta.url);
    this.#worker = new Worker(file, {
      workerData,
      name: 'store',
      resourceLimits: { maxYoungGenerationSizeMb: 2 },
    });
    this.#worker.on('message', (answer: DatabaseAnswer) => this.#settle(answer));
    this.#worker.on('error', (error) => this.#fail(error));
    this.#exited = new Promise((resolve) => {
      this.#worker.once('exit', () => {
        this.#fail(new Error('it has ended'));
        resolve();
      });
    });
  }

  /** Asks the thread; calls are carried out in order. Rejects with HNV_STORE. */
  call<N extends keyof DatabaseCalls>(
    call: N,
    ...parameters: Parameters<DatabaseCalls[N]>
  ): Promise<Result<N>> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const id = ++this.#lastId;
    const request: DatabaseRequest = { id, call, parameters };
    this.#worker.postMessage(request);
    return this.#answerTo(id);
  }

  /** Gives the file free; resolves when the thread has ended. */
  async close(): Promise<void> {
    const closed = this.call('close');
    this.#failure ??= storeIsClosed();
    await closed;
    await this.#end();
  }

  async #end(): Promise<void> {
    this.#worker.ref();
    await this.#exited;
  }

  #answerTo<T>(id: number): Promise<T> {
    // An answer to come keeps the process alive, an idle thread does not.
    this.#worker.ref();
    return new Promise<T>((resolve, reject) => this.#pending.set(id, { resolve, reject }));
  }

  #settle({ id, result, error }: DatabaseAnswer): void {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    if (this.#pending.size === 0) this.#worker.unref();
    if (error === undefined) pending?.resolve(result as never);
    else
      pending?.reject(
        error.code === undefined ? new Error(error.message) : new HnvError(error.code, error.message),
      );
  }

  #fail(error: Error): void {
    this.#failure ??= new HnvError('HNV_STORE', `The store’s thread has failed: ${error.message}.`, {
      cause: error,
    });
    for (const { reject } of this.#pending.values()) reject(this.#failure);
    this.#pending.clear();
  }
}

/** What is asked of a store that is closed is answered with this. */
export function storeIsClosed(): HnvError {
  return new HnvError('HNV_STORE', 'The store is closed: the node is shutting down.');
}
