/** The thread that alone has the store's file open; DatabaseThread starts it and speaks with it. */
import { parentPort, workerData } from 'node:worker_threads';
import { HnvError } from '../errors.ts';
import type { AuditRetention } from './audit.ts';
import { DatabaseCalls } from './database-calls.ts';

/** What the worker is started with. */
export interface DatabaseWorkerData {
  readonly path: string;
  readonly retention: AuditRetention;
}

export interface DatabaseRequest {
  readonly id: number;
  readonly call: keyof DatabaseCalls;
  readonly parameters: unknown[];
}

/** The answer to the request of that id; to 0 it is whether the file could be opened. */
export interface DatabaseAnswer {
  readonly id: number;
  readonly result?: unknown;
  /** An HNV_STORE when it has a code. */
  readonly error?: { readonly code?: 'HNV_STORE'; readonly message: string };
}

if (parentPort === null) throw new Error('database-worker runs as a worker thread only.');
const port = parentPort;

async function answer(id: number, work: () => unknown): Promise<void> {
  let message: DatabaseAnswer;
  try {
    message = { id, result: await work() };
  } catch (error) {
    const { message: text, stack } = error as Error;
    message = {
      id,
      error: error instanceof HnvError ? { code: 'HNV_STORE', message: text } : { message: stack ?? text },
    };
  }
  port.postMessage(message);
}

let calls: DatabaseCalls | undefined;
await answer(0, () => {
  const { path, retention } = workerData as DatabaseWorkerData;
  calls = new DatabaseCalls(path, retention);
});
port.on('message', ({ id, call, parameters }: DatabaseRequest) => {
  const method = calls?.[call] as ((...parameters: unknown[]) => unknown) | undefined;
  void answer(id, () => method?.apply(calls, parameters)).then(() => {
    if (call === 'close') port.close();
  });
});
if (calls === undefined) port.close();
