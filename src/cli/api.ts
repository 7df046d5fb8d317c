/** Requests to the API of a node, and what is told when there is no answer or a refusal. */
import { Agent, type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { HnvError } from '../errors.ts';
import { ApiProblem, type ProblemBody } from './failures.ts';
import { type ConnectionValues, chooseServer, type Server } from './server.ts';

/** Longest silence of a node that is at work on a request: a policy of 100,000 records takes it some seconds. */
const SILENCE_MS = 120_000;

/** A node that gets too many requests says when to come again. */
const TOO_MANY = 429;
const RETRIES = 5;
const LONGEST_RETRY_S = 10;

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

export interface ApiRequest {
  readonly query?: Query;
  /** Sent as JSON. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** How long the node may be silent. */
  readonly silenceMs?: number;
}

export class Api {
  readonly server: Server;
  readonly #agent: Agent;
  readonly #request: typeof httpRequest;

  private constructor(server: Server, agent: Agent, request: typeof httpRequest) {
    this.server = server;
    this.#agent = agent;
    this.#request = request;
  }

  /** Chooses the server by options and environment; it is not asked anything yet. */
  static async open(values: ConnectionValues): Promise<Api> {
    const server = chooseServer(values);
    if (!('tls' in server.address) || !server.address.tls)
      return new Api(server, new Agent({ keepAlive: true }), httpRequest);
    const https = await import('node:https');
    const agent = new https.Agent({ keepAlive: true, ...(server.ca === undefined ? {} : { ca: server.ca }) });
    return new Api(server, agent, https.request);
  }

  /** The JSON of an answer. Throws ApiProblem for a refusal, HNV_NO_ANSWER when there is no answer. */
  async json<T>(method: string, path: string, options: ApiRequest = {}): Promise<T> {
    const answer = await this.stream(method, path, options);
    const text = await this.#text(answer);
    if (text === '') return undefined as T;
    return this.#parsed(answer, text) as T;
  }

  /** All items of a list, page by page. */
  async list<T>(path: string, query: Query = {}): Promise<T[]> {
    const items: T[] = [];
    for (let cursor: string | undefined; ; ) {
      const page = await this.json<{ items: T[]; next?: string }>('GET', path, {
        query: { limit: 1000, ...query, cursor },
      });
      for (const item of page.items) items.push(item);
      cursor = page.next;
      if (cursor === undefined) return items;
    }
  }

  /** An answer whose body is still to be read. Throws as json() does. */
  async stream(method: string, path: string, options: ApiRequest = {}): Promise<IncomingMessage> {
    let answer = await this.#answer(method, path, options);
    for (let again = 0; answer.statusCode === TOO_MANY && again < RETRIES; again++) {
      answer.resume();
      await delay(Math.min(Number(answer.headers['retry-after']) || 1, LONGEST_RETRY_S) * 1000);
      answer = await this.#answer(method, path, options);
    }
    const status = answer.statusCode ?? 0;
    if (status >= 200 && status < 300) return answer;
    const text = await this.#text(answer);
    const problem = this.#parsed(answer, text) as ProblemBody;
    throw new ApiProblem(problem, `${problem.detail}${this.#advice(problem)}`);
  }

  /** Gives the connections back, so that the program can end. */
  close(): void {
    this.#agent.destroy();
  }

  #answer(method: string, path: string, { query = {}, body, headers, silenceMs }: ApiRequest) {
    const { address, token } = this.server;
    const search = new URLSearchParams();
    for (const [name, value] of Object.entries(query))
      if (value !== undefined) search.set(name, String(value));
    const text = body === undefined ? undefined : JSON.stringify(body);
    return new Promise<IncomingMessage>((resolve, reject) => {
      let outgoing: ClientRequest;
      try {
        outgoing = this.#request({
          ...('socketPath' in address ? address : { host: address.host, port: address.port }),
          method,
          path: search.size === 0 ? path : `${path}?${search}`,
          agent: this.#agent,
          timeout: silenceMs ?? SILENCE_MS,
          headers: {
            ...('socketPath' in address ? { host: 'localhost' } : {}),
            ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
            ...(text === undefined
              ? {}
              : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
            ...headers,
          },
        });
      } catch (error) {
        reject(this.#noAnswer(error));
        return;
      }
      outgoing.on('response', resolve);
      outgoing.on('timeout', () => {
        outgoing.destroy(
          Object.assign(new Error(`nothing came for ${(silenceMs ?? SILENCE_MS) / 1000} s`), {
            code: 'ETIMEDOUT',
          }),
        );
      });
      outgoing.on('error', (error) => reject(this.#noAnswer(error)));
      outgoing.end(text);
    });
  }

  async #text(answer: IncomingMessage): Promise<string> {
    try {
      const chunks: Buffer[] = [];
      for await (const chunk of answer) chunks.push(chunk as Buffer);
      return Buffer.concat(chunks).toString();
    } catch (error) {
      throw this.#noAnswer(error);
    }
  }

  #parsed(answer: IncomingMessage, text: string): unknown {
    const isJson = /[/+]json/.test(answer.headers['content-type'] ?? '');
    try {
      if (isJson) return JSON.parse(text);
    } catch {
      // Told below.
    }
    throw new HnvError(
      'HNV_NO_ANSWER',
      `What answers at ${this.server.name} is no hnvgw: status ${answer.statusCode}, and no JSON.`,
    );
  }

  #advice({ status }: ProblemBody): string {
    const { token } = this.server;
    if (status === 401 && token === undefined)
      return ' Give a token with --token-file FILE or HNVGW_TOKEN; on the node itself root needs none: --server unix:/PATH.';
    if (status === 401)
      return ' The token (of --token-file or HNVGW_TOKEN) is wrong, has expired, or was revoked.';
    return '';
  }

  #noAnswer(error: unknown): HnvError {
    const { name } = this.server;
    const { code = '', message = String(error) } = error as NodeJS.ErrnoException;
    return new HnvError(
      'HNV_NO_ANSWER',
      `${name} does not answer (${code || message}): ${reasonOf(code, message)}.`,
      {
        cause: error,
      },
    );
  }
}

/** What it means for the operator, and what to do. */
function reasonOf(code: string, message: string): string {
  if (code === 'ENOENT' || code === 'ECONNREFUSED')
    return 'nobody listens there: the node does not run, or its api.listen is another';
  if (code === 'EACCES' || code === 'EPERM') return 'only root may open the socket of a node';
  if (code === 'ETIMEDOUT') return `${message}; is it the right address, and does a firewall let it pass`;
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'there is no machine of that name';
  if (code === 'EHOSTUNREACH' || code === 'ENETUNREACH') return 'there is no way to that address';
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return `the certificate is of another name: ${message}`;
  if (code === 'CERT_HAS_EXPIRED') return 'its certificate has expired';
  if (code === 'EPROTO') return 'it does not speak TLS; try http:// or another port';
  if (/CERT|ISSUER|SIGNATURE/.test(code))
    return `its certificate is not trusted (${message}); name the authority that signed it with --ca-file`;
  if (code === 'ECONNRESET' || code.startsWith('HPE_'))
    return 'it broke off; does it want https://, or did it stop';
  return message;
}

/** Runs the work with the API that the options name, and gives its connections back. */
export async function withApi<T>(values: ConnectionValues, work: (api: Api) => Promise<T>): Promise<T> {
  const api = await Api.open(values);
  try {
    return await work(api);
  } finally {
    api.close();
  }
}
