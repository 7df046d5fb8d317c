/** The API as a node runs it: real listeners, a unix socket and a port, and tokens. */
import { randomBytes, scryptSync } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import {
  type IncomingHttpHeaders,
  request as plainRequest,
  type RequestOptions,
  type Server,
} from 'node:http';
import { request as tlsRequest } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { pino } from 'pino';
import type { ApiLimits } from '../../src/access/rate-limiter.ts';
import { newSecret, writeToken } from '../../src/access/secret.ts';
import { buildApp } from '../../src/api/app.ts';
import { type ListenOptions, openListeners } from '../../src/api/listeners.ts';
import { openStore } from '../../src/store/sqlite.ts';
import type { Store } from '../../src/store/store.ts';
import type { TokenRole } from '../../src/store/tokens.ts';
import { StandInOperations } from './api-server.ts';
import { capacity, storePath } from './store-folder.ts';

export interface Test {
  teardown(done: () => unknown): void;
}

/** A folder that goes with the test. */
export function folder(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'hnvgw-access-'));
  chmodSync(path, 0o755);
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

export interface GuardedOptions extends ListenOptions {
  readonly rates?: ApiLimits;
  /** Called with the app before it is ready. */
  readonly prepare?: (app: FastifyInstance) => void;
}

export interface GuardedApi {
  readonly app: FastifyInstance;
  readonly store: Store;
  readonly socketPath: string;
  readonly port: number;
  readonly servers: readonly Server[];
  /** All that was logged, as text. */
  readonly log: () => string;
  /** Makes a token, past the API. */
  token(id: string, role: TokenRole, routingDomains?: string[], expires?: string): Promise<string>;
}

/** A hash as the node makes it, but of a cost that tests can pay hundreds of times. */
export function cheapHash(secret: string): string {
  const salt = randomBytes(16);
  const key = scryptSync(secret, salt, 32, { N: 16, r: 8, p: 1 });
  return `scrypt$16$8$1$${salt.toString('base64url')}$${key.toString('base64url')}`;
}

/** Limits that no test reaches by chance. */
const WIDE: ApiLimits = { requestsPerSecond: 100_000, failedLoginsPerMinute: 100_000 };

/** Runs until the test ends. */
export async function runGuarded(t: Test, options: GuardedOptions = {}): Promise<GuardedApi> {
  const store = await openStore({ path: storePath(t), capacity });
  const lines: string[] = [];
  const logger = pino({ level: 'trace' }, { write: (line) => lines.push(line) });
  const operations = new StandInOperations(store);
  const app = buildApp({ store, operations, version: '0.1.0', logger, limits: options.rates ?? WIDE });
  options.prepare?.(app);
  t.teardown(async () => {
    await app.close();
    await store.close();
  });
  const socketPath = join(folder(t), 'run', 'api.sock');
  const servers = await openListeners(app, [{ path: socketPath }, { host: '127.0.0.1', port: 0 }], options);
  const { port } = (servers.at(-1) as Server).address() as AddressInfo;
  const token: GuardedApi['token'] = async (id, role, routingDomains = [], expires = undefined) => {
    const secret = newSecret();
    const hash = cheapHash(secret);
    const created = new Date().toISOString();
    await store.tokens.put({
      ...{ id, role, routingDomains, created, hash },
      ...(expires === undefined ? {} : { expires }),
    });
    return writeToken({ id, secret });
  };
  return { app, store, socketPath, port, servers, log: () => lines.join(''), token };
}

export interface Asked {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: whatever the API says is what tests look at
  readonly body: any;
}

export interface Question {
  readonly method?: string;
  readonly path: string;
  readonly token?: string | undefined;
  readonly body?: unknown;
  readonly headers?: Record<string, string | string[]>;
}

/**
 * Asks on a connection of its own. `to` is where, and may have options of TLS. Of an answer that does not end (events) only the
 * head is read.
 */
export function ask(
  to: RequestOptions & { ca?: string; servername?: string },
  question: Question,
): Promise<Asked> {
  const { method = 'GET', path, token, body, headers = {} } = question;
  const text = body === undefined ? undefined : JSON.stringify(body);
  const request = to.ca === undefined ? plainRequest : tlsRequest;
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        ...to,
        agent: false,
        method,
        path,
        headers: {
          ...(text === undefined
            ? {}
            : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...headers,
        },
      },
      (incoming) => {
        const chunks: Buffer[] = [];
        const done = () => {
          const answer = Buffer.concat(chunks).toString();
          const isJson = /json/.test(incoming.headers['content-type'] ?? '') && answer !== '';
          resolve({
            status: incoming.statusCode ?? 0,
            headers: incoming.headers,
            text: answer,
            body: isJson ? JSON.parse(answer) : undefined,
          });
        };
        if (incoming.headers['content-type']?.startsWith('text/event-stream')) {
          outgoing.destroy();
          done();
          return;
        }
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
        incoming.on('end', done);
        incoming.on('error', reject);
      },
    );
    outgoing.on('error', reject);
    outgoing.end(text);
  });
}
