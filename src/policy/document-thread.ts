/**
 * Reads big policy documents off the main thread, one at a time. The thread is started for the first one and ends when none
 * has come for a while, which gives its memory back.
 */
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { HnvError } from '../errors.ts';
import type { DocumentEntry } from '../store/store.ts';
import type { DocumentWorkerAnswer, DocumentWorkerMessage } from './document-worker.ts';

const IDLE_MS = 3000;
/** Bytes of a document whose memory is worth more, while it is written to the store, than a thread that is ready. */
const LARGE = 4 * 1024 * 1024;

/** So that its garbage is collected early: by itself the thread would let it grow with the machine's memory. */
const resourceLimits = { maxYoungGenerationSizeMb: 8 };

export class DocumentThread {
  #worker: Worker | undefined;
  #idle: NodeJS.Timeout | undefined;

  /**
   * The resources of the JSON document. Takes the bytes: the caller must not use them any more. Rejects as parseDocument and
   * documentEntries throw. To be called again only when the promise is settled.
   */
  async read(bytes: Uint8Array<ArrayBuffer>): Promise<DocumentEntry[]> {
    clearTimeout(this.#idle);
    const isLarge = bytes.length >= LARGE;
    const worker = this.#worker ?? this.#start();
    try {
      const all: DocumentEntry[] = [];
      let slice = await ask(worker, bytes, [bytes.buffer]);
      while (slice.length > 0) {
        for (const entry of slice) all.push(entry);
        slice = await ask(worker, 'next');
      }
      return all;
    } finally {
      if (isLarge) await this.close();
      else this.#idle = setTimeout(() => void this.close(), IDLE_MS).unref();
    }
  }

  /** Ends the thread; it is started again when it is needed. */
  async close(): Promise<void> {
    clearTimeout(this.#idle);
    const worker = this.#worker;
    this.#worker = undefined;
    await worker?.terminate();
  }

  #start(): Worker {
    // Source (.ts) and build (.js) keep the two files side by side.
    const file = new URL(`./document-worker${extname(import.meta.url)}`, import.meta.url);
    const worker = new Worker(file, { name: 'policy document', resourceLimits });
    // Whoever waits for its answer hears of the error; the next document gets a new thread.
    worker.once('error', () => {
      if (this.#worker === worker) this.#worker = undefined;
    });
    worker.unref();
    this.#worker = worker;
    return worker;
  }
}

function ask(
  worker: Worker,
  message: DocumentWorkerMessage,
  transfer: ArrayBuffer[] = [],
): Promise<DocumentEntry[]> {
  return new Promise((resolve, reject) => {
    const onAnswer = (answer: DocumentWorkerAnswer): void => {
      release();
      if ('entries' in answer) {
        resolve(answer.entries);
      } else {
        const { code, message: sentence, ...details } = answer.refusal;
        reject(new HnvError(code, sentence, details));
      }
    };
    const onError = (error: Error): void => {
      release();
      reject(error);
    };
    const onExit = (): void => {
      release();
      reject(new HnvError('HNV_INTERNAL', 'The node is shutting down.'));
    };
    const release = (): void => {
      worker.off('message', onAnswer).off('error', onError).off('exit', onExit);
    };
    worker.on('message', onAnswer).on('error', onError).on('exit', onExit);
    worker.postMessage(message, transfer);
  });
}
