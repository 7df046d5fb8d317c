/**
 * Counts the requests of one app, and how long they took. An answer that was not sent to its end is none: so an event stream
 * is not counted, however long it was followed.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { family, heading, line } from './exposition.ts';

/** Upper bounds in seconds; the longest `?wait=` is a minute. */
const bounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
/** Statuses of those who were not let in. */
const refusals = new Set([401, 403, 429]);

interface Durations {
  readonly method: string;
  readonly route: string;
  /** Requests by bound that they do not exceed, those of lower bounds not counted again; the last are beyond all. */
  readonly counts: number[];
  sum: number;
}

export class RequestMetrics {
  /** By method, route and class of the status. */
  readonly #requests = new Map<string, { method: string; route: string; status: string; count: number }>();
  readonly #durations = new Map<string, Durations>();
  readonly #refused = new Map<number, number>([...refusals].map((status) => [status, 0]));

  /** Counts every request from now on, of whatever path. */
  constructor(app: FastifyInstance) {
    app.addHook('onResponse', (request, reply, done) => {
      this.#count(request, reply);
      done();
    });
  }

  text(): string {
    return [
      family(
        'hnvgw_api_requests_total',
        'counter',
        'Answered requests by route and class of the status.',
        [...this.#requests.values()].map(({ count, ...labels }) => [labels, count]),
      ),
      family(
        'hnvgw_api_refused_requests_total',
        'counter',
        'Requests without a valid token (401), with one of too small a role (403), or too many of them (429).',
        [...this.#refused].map(([status, count]) => [{ status: String(status) }, count]),
      ),
      this.#durationText(),
    ].join('');
  }

  #count(request: FastifyRequest, reply: FastifyReply): void {
    const { method } = request;
    // Of what is nowhere, every client may invent as much as it likes.
    const route = request.is404 ? 'none' : (request.routeOptions.url ?? 'none');
    const status = `${String(reply.statusCode)[0]}xx`;
    const key = `${method} ${status} ${route}`;
    const known = this.#requests.get(key) ?? { method, route, status, count: 0 };
    known.count++;
    this.#requests.set(key, known);
    const refused = this.#refused.get(reply.statusCode);
    if (refused !== undefined) this.#refused.set(reply.statusCode, refused + 1);
    this.#measure(method, route, reply.elapsedTime / 1000);
  }

  #measure(method: string, route: string, seconds: number): void {
    const key = `${method} ${route}`;
    let durations = this.#durations.get(key);
    if (durations === undefined) {
      durations = { method, route, counts: new Array(bounds.length + 1).fill(0), sum: 0 };
      this.#durations.set(key, durations);
    }
    const found = bounds.findIndex((bound) => seconds <= bound);
    const at = found < 0 ? bounds.length : found;
    durations.counts[at] = (durations.counts[at] ?? 0) + 1;
    durations.sum += seconds;
  }

  #durationText(): string {
    const name = 'hnvgw_api_request_duration_seconds';
    let text = heading(name, 'histogram', 'How long answered requests took.');
    for (const { method, route, counts, sum } of this.#durations.values()) {
      let total = 0;
      counts.forEach((count, at) => {
        total += count;
        text += line(`${name}_bucket`, { method, route, le: String(bounds[at] ?? '+Inf') }, total);
      });
      text += line(`${name}_sum`, { method, route }, sum) + line(`${name}_count`, { method, route }, total);
    }
    return text;
  }
}
