/** A client of /v1/events that reads server-sent events as a browser does. */
import { get, type IncomingMessage } from 'node:http';
import { createInterface } from 'node:readline';
import type { NodeEvent } from '../../src/api/operations.ts';

export interface Follower {
  readonly answer: IncomingMessage;
  /** The next event; undefined when the connection has ended, however it did. */
  next(): Promise<NodeEvent | undefined>;
  /** The next events until one is what is looked for, that one included. */
  until(isLast: (event: NodeEvent) => boolean): Promise<NodeEvent[]>;
  /** What Last-Event-ID would be. */
  readonly lastId: string | undefined;
  close(): void;
}

/** Connects; the test closes what it has not closed itself. `query` begins with `?`. */
export async function follow(
  t: { teardown(done: () => void): void },
  base: string,
  { query = '', lastId, token }: { query?: string; lastId?: string | undefined; token?: string } = {},
): Promise<Follower> {
  const headers = {
    ...(lastId === undefined ? {} : { 'last-event-id': lastId }),
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  };
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    get(`${base}/v1/events${query}`, { headers, agent: false }, resolve).on('error', reject);
  });
  t.teardown(() => answer.destroy());
  answer.on('error', () => {}); // a cut connection is an end like any other
  const lines = createInterface({ input: answer })[Symbol.asyncIterator]();
  let last: string | undefined;

  async function next(): Promise<NodeEvent | undefined> {
    const fields = new Map<string, string>();
    for (;;) {
      const line = await lines.next().catch(() => ({ done: true, value: '' }));
      if (line.done) return undefined;
      if (line.value !== '') {
        const [, name = '', value = ''] = /^([^:]*):? ?(.*)$/.exec(line.value) ?? [];
        fields.set(name, value);
        continue;
      }
      last = fields.get('id') ?? last;
      const data = fields.get('data');
      if (data === undefined) {
        fields.clear();
        continue;
      }
      const event = JSON.parse(data) as NodeEvent;
      if (event.id !== fields.get('id') || event.type !== fields.get('event'))
        throw new Error(`fields and data differ: ${JSON.stringify([...fields])}`);
      return event;
    }
  }

  return {
    answer,
    next,
    async until(isLast) {
      const events: NodeEvent[] = [];
      for (let event = await next(); event !== undefined; event = await next()) {
        events.push(event);
        if (isLast(event)) return events;
      }
      throw new Error(`the stream ended after ${events.length} events without the one that was waited for`);
    },
    get lastId() {
      return last;
    },
    close: () => answer.destroy(),
  };
}
