/** Requests to the REST API of one other node, over a unix socket or loopback, on connections that stay open. */
import { Agent, request } from 'node:http';
import type { ListenAddress } from '../config/listen-address.ts';

/** Longest that an answer may take: a store that is written at full speed answers in milliseconds. */
const TIMEOUT_MS = 5_000;

const FULL = 507;

export interface ApiAnswer {
  status: number;
  etag: string | undefined;
  /** Parsed JSON; undefined when there is none. */
  body: unknown;
}

export interface ApiRequest {
  body?: object;
  ifMatch?: string;
}

export class ApiPeer {
  readonly name: string;
  readonly #address: ListenAddress;
  readonly #agent = new Agent({ keepAlive: true });
  readonly #abort = new AbortController();

  constructor(address: ListenAddress) {
    this.#address = address;
    this.name =
      'path' in address ? `unix:${address.path}` : `http://${hostText(address.host)}:${address.port}`;
  }

  /**
   * The answer, whatever its status. Rejects when there is none, or one of a node that is not well: status 5xx, but not
   * 507, which says that it is full.
   */
  request(method: 'GET' | 'PUT' | 'DELETE', path: string, options: ApiRequest = {}): Promise<ApiAnswer> {
    const text = options.body === undefined ? undefined : JSON.stringify(options.body);
    const headers = {
      ...(text === undefined
        ? {}
        : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
      ...(options.ifMatch === undefined ? {} : { 'if-match': options.ifMatch }),
    };
    const to =
      'path' in this.#address
        ? { socketPath: this.#address.path }
        : { host: this.#address.host, port: this.#address.port };
    const signal = AbortSignal.any([this.#abort.signal, AbortSignal.timeout(TIMEOUT_MS)]);
    return new Promise((resolve, reject) => {
      const outgoing = request({ ...to, method, path, headers, agent: this.#agent, signal }, (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
        incoming.on('error', reject);
        incoming.on('end', () => {
          const status = incoming.statusCode ?? 0;
          if (status >= 500 && status !== FULL) {
            reject(new Error(`${method} ${path}: status ${status}`));
            return;
          }
          resolve({ status, etag: incoming.headers.etag, body: parsed(Buffer.concat(chunks).toString()) });
        });
      });
      outgoing.on('error', reject);
      outgoing.end(text);
    });
  }

  /** Ends what is under way, which rejects. */
  close(): void {
    this.#abort.abort();
    this.#agent.destroy();
  }
}

function hostText(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
