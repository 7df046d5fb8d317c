/**
 * Bodies of `/v1/policy`: from bytes to entries. Small ones are read at once; each of the big ones has its turn, from the
 * reading to the end of the write, so that the memory for one is enough however many come.
 */
import type { FastifyRequest } from 'fastify';
import { HnvError } from '../errors.ts';
import { documentEntries } from '../policy/document.ts';
import { parseOutline } from '../policy/document-outline.ts';
import { DocumentThread } from '../policy/document-thread.ts';
import type { DocumentEntry } from '../store/store.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route reads JSON bodies itself, from their bytes. */
    rawBody?: true;
  }
}

/** Bytes that are read within a few milliseconds. */
const SMALL_BODY = 128 * 1024;
/** Big documents that may wait for their turn. */
const LONGEST_QUEUE = 8;

export class PolicyBodies {
  readonly #thread = new DocumentThread();
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  /**
   * What `use` makes of the resources of the request's body. Rejects as parseDocument, documentEntries and `use` do, and with
   * HNV_TOO_MANY_REQUESTS when there is a queue already.
   */
  async read<T>(request: FastifyRequest, use: (entries: DocumentEntry[]) => Promise<T>): Promise<T> {
    const bytes = bytesOf(request);
    if (bytes.length <= SMALL_BODY) return use([...documentEntries(parseOutline(bytes))]);
    if (this.#waiting >= LONGEST_QUEUE) {
      const sentence = `${this.#waiting} big policy documents are waiting to be read: try again when they are done.`;
      throw new HnvError('HNV_TOO_MANY_REQUESTS', sentence);
    }
    this.#waiting++;
    const done = this.#last.then(async () => use(await this.#thread.read(bytes)));
    // Whoever is next waits for the end only, and must not keep what came of it.
    const end = (): void => void this.#waiting--;
    this.#last = done.then(end, end);
    return done;
  }

  async close(): Promise<void> {
    await this.#thread.close();
  }
}

function bytesOf(request: FastifyRequest): Uint8Array<ArrayBuffer> {
  const charset = /;\s*charset\s*=\s*"?([^\s;"]*)/i.exec(request.headers['content-type'] ?? '')?.[1];
  if (charset !== undefined && charset.toLowerCase() !== 'utf-8') {
    const sentence = `The body has the charset ${charset}, but JSON is always written in UTF-8 (RFC 8259).`;
    throw new HnvError('HNV_BAD_REQUEST', sentence);
  }
  const { body } = request;
  if (!(body instanceof Uint8Array)) {
    throw new HnvError('HNV_BAD_REQUEST', 'The request has no body: a policy document is required.');
  }
  // What is small may share its memory with others; what is big has its own, and is handed over to the thread.
  const isOwn = body.byteLength === body.buffer.byteLength;
  return (isOwn ? body : Uint8Array.from(body)) as Uint8Array<ArrayBuffer>;
}
