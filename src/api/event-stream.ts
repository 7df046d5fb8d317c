/**
 * The node's events as server-sent events (HTML Living Standard, section 9.2) for one client. A stream keeps no queue: it
 * takes from the node's journal what it has not sent yet, whenever the client has taken what was sent before. So a client
 * that does not read costs one chunk, and is given up when the journal has gone on without it.
 */
import { Readable } from 'node:stream';
import type { EventSource, NodeEvent } from './operations.ts';

/** Shorter than the time after which proxies end a connection that says nothing. */
const keepAliveMs = 15_000;
/** What is sent at a time, and what is kept for a client that does not take it, in characters. */
const chunkSize = 32 * 1024;
/** A client that has taken nothing while so many events came is given up: the journal keeps no more than these. */
const mostMissed = 16_384;

export class EventStream extends Readable {
  readonly #source: EventSource;
  readonly #wanted: (event: NodeEvent) => boolean;
  readonly #unsubscribe: () => void;
  readonly #keepAlive: NodeJS.Timeout;
  /** Id of the last event that was sent or passed over. */
  #last: string | undefined;
  /** Whether the client has taken all that was sent. */
  #isTaken = false;
  #missed = 0;

  /** Begins after the event `last`, or with the oldest there is; what is not `wanted` is passed over. */
  constructor(source: EventSource, wanted: (event: NodeEvent) => boolean, last: string | undefined) {
    super({ highWaterMark: chunkSize });
    this.#source = source;
    this.#wanted = wanted;
    this.#last = last;
    this.#unsubscribe = source.subscribe(() => this.#note());
    this.#keepAlive = setInterval(() => this.#sayAlive(), keepAliveMs);
    this.#send(': events of this node\n\n'); // at once, so that the client knows that it is followed
  }

  override _read(): void {
    this.#isTaken = true;
    this.#missed = 0;
    this.#sendNew();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#unsubscribe();
    clearInterval(this.#keepAlive);
    callback(error);
  }

  #note(): void {
    if (this.#isTaken) this.#sendNew();
    else if (++this.#missed > mostMissed) this.destroy();
  }

  #sendNew(): void {
    let text = '';
    for (const event of this.#source.since(this.#last)) {
      this.#last = event.id;
      if (this.#wanted(event)) text += block(event);
      if (text.length >= chunkSize) break;
    }
    if (text !== '') this.#send(text);
  }

  /** The id without data is no event, but resumes: events that were passed over for long are not asked for again. */
  #sayAlive(): void {
    if (this.#isTaken) this.#send(`: keep-alive\n${this.#last === undefined ? '' : `id: ${this.#last}\n`}\n`);
  }

  #send(text: string): void {
    this.#isTaken = false;
    this.push(text);
  }
}

function block(event: NodeEvent): string {
  return `id: ${event.id}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
}
