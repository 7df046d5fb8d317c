/** Follows the events of a node (server-sent events), across breaks of the connection. */
import type { IncomingMessage } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { NodeEvent } from '../api/operations.ts';
import type { Api, Query } from './api.ts';

/** The node says something every 15 s at least; a connection that is silent for longer is dead. */
const SILENCE_MS = 60_000;
/** What the node has kept comes at once; after such a pause it has all come. */
const PAUSE_MS = 500;
const RECONNECT_MS = 1000;

/** What the node still has, oldest first. */
export async function pastEvents(api: Api, query: Query): Promise<NodeEvent[]> {
  const answer = await open(api, query, undefined);
  // What happens from now on would go on for ever on a busy node.
  const end = Date.parse(answer.headers.date ?? '') + 1000;
  const found: NodeEvent[] = [];
  let isPaused = false;
  const pause = setTimeout(() => {
    isPaused = true;
    answer.destroy();
  }, PAUSE_MS);
  try {
    for await (const event of eventsOf(answer, () => pause.refresh())) {
      if (Date.parse(event.at) > end) break;
      found.push(event);
    }
  } catch (error) {
    if (!isPaused) throw error;
  } finally {
    clearTimeout(pause);
    answer.destroy();
  }
  return found;
}

/** What the node still has, and what happens from then on. Throws when the node refuses; waits while it is not there. */
export async function* followEvents(
  api: Api,
  query: Query,
  onBreak: (reason: string) => void,
): AsyncGenerator<NodeEvent> {
  let last: string | undefined;
  let answer = await open(api, query, last);
  for (;;) {
    try {
      for await (const event of eventsOf(answer)) {
        last = event.id;
        yield event;
      }
      onBreak('the node has ended the connection');
    } catch (error) {
      onBreak(error instanceof Error ? error.message : String(error));
    }
    answer = await reopened(api, query, last);
  }
}

async function reopened(api: Api, query: Query, last: string | undefined): Promise<IncomingMessage> {
  for (;;) {
    await delay(RECONNECT_MS);
    try {
      return await open(api, query, last);
    } catch (error) {
      if ((error as { code?: string }).code !== 'HNV_NO_ANSWER') throw error;
    }
  }
}

function open(api: Api, query: Query, last: string | undefined): Promise<IncomingMessage> {
  const headers = { accept: 'text/event-stream', ...(last === undefined ? {} : { 'last-event-id': last }) };
  return api.stream('GET', '/v1/events', { query, headers, silenceMs: SILENCE_MS });
}

/** The events of a connection; `onData` with whatever comes. */
async function* eventsOf(answer: IncomingMessage, onData?: () => void): AsyncGenerator<NodeEvent> {
  answer.setEncoding('utf8');
  let text = '';
  for await (const chunk of answer) {
    onData?.();
    text += chunk as string;
    const blocks = text.split('\n\n');
    text = blocks.pop() ?? '';
    for (const block of blocks) {
      const data = block.split('\n').filter((line) => line.startsWith('data:'));
      if (data.length > 0) yield JSON.parse(data.map((line) => line.slice('data:'.length)).join('\n'));
    }
  }
}
