/** The REST API of a gateway node over its Unix socket, as a test or the demo uses it. */
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { type TypedApi, typedApi } from './typed-api.ts';

export interface ApiResponse {
  status: number;
  headers: IncomingHttpHeaders;
  /** Parsed when it is JSON, text otherwise; undefined when there is none. */
  body: unknown;
}

export class ApiClient {
  readonly socketPath: string;
  /** Every operation of the OpenAPI document, with the types that it has there. */
  readonly typed: TypedApi;

  constructor(socketPath: string) {
    this.socketPath = socketPath;
    this.typed = typedApi({
      baseUrl: 'http://localhost',
      fetch: async (input, init = {}) => {
        const { pathname, search } = new URL(String(input));
        const { status, headers, text } = await this.#exchange(init.method ?? 'GET', pathname + search, {
          headers: Object.fromEntries(new Headers(init.headers)),
          ...(init.body === undefined ? {} : { payload: String(init.body) }),
        });
        const pairs = Object.entries(headers).map(([name, value]): [string, string] => [name, String(value)]);
        return new Response(text === '' ? null : text, { status, headers: pairs });
      },
    });
  }

  /** One request; any status is a result. Rejects when there is no answer within a minute. */
  async request(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<ApiResponse> {
    const answer = await this.#exchange(
      method,
      path,
      body === undefined
        ? { headers }
        : { payload: JSON.stringify(body), headers: { 'content-type': 'application/json', ...headers } },
    );
    const { status, text } = answer;
    const isJson = /[/+]json/.test(answer.headers['content-type'] ?? '');
    const parsed: unknown = text === '' ? undefined : isJson ? JSON.parse(text) : text;
    return { status, headers: answer.headers, body: parsed };
  }

  /** Reads a resource; throws with the problem's detail when the status is not 2xx. */
  get(path: string): Promise<unknown> {
    return this.#must('GET', path);
  }

  /** Creates or replaces a resource; throws with the problem's detail when the status is not 2xx. */
  put(path: string, body: unknown): Promise<unknown> {
    return this.#must('PUT', path, body);
  }

  /** Changes a resource (RFC 7396); throws with the problem's detail when the status is not 2xx. */
  patch(path: string, body: unknown): Promise<unknown> {
    return this.#must('PATCH', path, body);
  }

  /** Removes a resource; throws with the problem's detail when the status is not 2xx. */
  async delete(path: string): Promise<void> {
    await this.#must('DELETE', path);
  }

  async #must(method: string, path: string, body?: unknown): Promise<unknown> {
    const response = await this.request(method, path, body);
    if (response.status >= 200 && response.status < 300) return response.body;
    throw new Error(`${method} ${path}: ${response.status} ${problemText(response.body)}`);
  }

  #exchange(
    method: string,
    path: string,
    { payload, headers }: { payload?: string; headers: Record<string, string> },
  ): Promise<{ status: number; headers: IncomingHttpHeaders; text: string }> {
    const length = payload === undefined ? {} : { 'content-length': `${Buffer.byteLength(payload)}` };
    return new Promise((resolve, reject) => {
      const request = httpRequest(
        {
          socketPath: this.socketPath,
          method,
          path,
          agent: false,
          timeout: 60_000,
          headers: { host: 'localhost', ...length, ...headers },
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', reject);
          response.on('end', () => {
            const text = Buffer.concat(chunks).toString();
            resolve({ status: response.statusCode ?? 0, headers: response.headers, text });
          });
        },
      );
      request.on('error', reject);
      request.on('timeout', () => request.destroy(new Error(`${method} ${path}: no answer in time`)));
      request.end(payload);
    });
  }
}

/** The words of an RFC 9457 problem, or the whole body when it is not one. */
function problemText(body: unknown): string {
  if (typeof body === 'object' && body !== null && 'detail' in body) return String(body.detail);
  return JSON.stringify(body) ?? '';
}
