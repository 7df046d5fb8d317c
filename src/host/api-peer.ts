/**
 * Requests to the REST API of one other node, on connections that stay open. Over TCP it is asked with a token, and over TLS
 * only a certificate is believed that leads to the system's authorities or the given ones. Token and authorities are
 * read again for each connection after a failure, so that they can be replaced while the node runs.
 */
import { readFile } from 'node:fs/promises';
import { Agent, type RequestOptions, request as requestPlain } from 'node:http';
import { request as requestTls, Agent as TlsAgent } from 'node:https';
import { type PeerAddress, peerAddressText } from '../config/peer-address.ts';

/** Longest that an answer may take: a store that is written at full speed answers in milliseconds. */
const TIMEOUT_MS = 5_000;

const FULL = 507;
/** The peer does not want us, now: that says nothing about what it was asked. */
const NOT_LET_IN = new Set([401, 403, 429]);

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

/** Files that say how APIs are asked. */
export interface PeerFiles {
  /** A token alone, or lines of an API and its token. */
  readonly tokenFile?: string;
  /** PEM. */
  readonly caFile?: string;
}

/** What a connection is made with. */
interface Credentials {
  agent: Agent;
  headers: { authorization?: string };
}

export class ApiPeer {
  readonly name: string;
  readonly #address: PeerAddress;
  readonly #files: PeerFiles;
  #credentials: Promise<Credentials> | undefined;
  readonly #abort = new AbortController();

  constructor(address: PeerAddress, files: PeerFiles = {}) {
    this.#address = address;
    this.#files = files;
    this.name = peerAddressText(address);
  }

  /**
   * The answer, whatever its status. Rejects when there is none, or one of a node that does not let us in or is not well:
   * status 5xx, but not 507, which says that it is full.
   */
  async request(
    method: 'GET' | 'PUT' | 'DELETE',
    path: string,
    options: ApiRequest = {},
  ): Promise<ApiAnswer> {
    this.#credentials ??= this.#readCredentials();
    const credentials = this.#credentials;
    try {
      const answer = await this.#ask(await credentials, method, path, options);
      const { status } = answer;
      if ((status < 500 || status === FULL) && !NOT_LET_IN.has(status)) return answer;
      throw new Error(`${method} ${path}: status ${status}`);
    } catch (error) {
      // Those of requests that are still under way with it are not disturbed: an agent lives as long as they do.
      if (this.#credentials === credentials) this.#credentials = undefined;
      throw error;
    }
  }

  /** Ends what is under way, which rejects. */
  close(): void {
    this.#abort.abort();
    void this.#credentials?.then(
      ({ agent }) => agent.destroy(),
      () => {},
    );
  }

  async #readCredentials(): Promise<Credentials> {
    const { tokenFile, caFile } = this.#files;
    if ('path' in this.#address) return { agent: new Agent({ keepAlive: true }), headers: {} };
    const token = tokenFile === undefined ? undefined : tokenIn(await readFile(tokenFile, 'utf8'), this.name);
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    if (!this.#address.tls) return { agent: new Agent({ keepAlive: true }), headers };
    const ca = caFile === undefined ? {} : { ca: await readFile(caFile) };
    return { agent: new TlsAgent({ keepAlive: true, minVersion: 'TLSv1.2', ...ca }), headers };
  }

  #ask(
    credentials: Credentials,
    method: string,
    path: string,
    { body, ifMatch }: ApiRequest,
  ): Promise<ApiAnswer> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const headers = {
      ...credentials.headers,
      ...(text === undefined
        ? {}
        : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
      ...(ifMatch === undefined ? {} : { 'if-match': ifMatch }),
    };
    const address = this.#address;
    const to = 'path' in address ? { socketPath: address.path } : { host: address.host, port: address.port };
    const signal = AbortSignal.any([this.#abort.signal, AbortSignal.timeout(TIMEOUT_MS)]);
    const options: RequestOptions = { ...to, method, path, headers, agent: credentials.agent, signal };
    const request = 'tls' in address && address.tls ? requestTls : requestPlain;
    return new Promise((resolve, reject) => {
      const outgoing = request(options, (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
        incoming.on('error', reject);
        incoming.on('end', () => {
          const { statusCode: status = 0 } = incoming;
          resolve({ status, etag: incoming.headers.etag, body: parsed(Buffer.concat(chunks).toString()) });
        });
      });
      outgoing.on('error', reject);
      outgoing.end(text);
    });
  }
}

/** The token of the API in the text of a token file. A line with an API in front is about that one. */
function tokenIn(text: string, api: string): string | undefined {
  const lines = text.split('\n').map((line) => line.trim().split(/\s+/));
  const own = lines.find(([name = '', token]) => token !== undefined && name.replace(/\/$/, '') === api);
  const common = lines.find(([token = '', more]) => token !== '' && more === undefined);
  return own?.[1] ?? common?.[0];
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
