/**
 * Holds every answer of the API against its OpenAPI document: operation, status, headers, content type, body. A field that
 * the document does not name is as wrong as one that is missing.
 */
import { Compile } from 'typebox/compile';

export type Json = Record<string, unknown>;

export interface Media {
  schema?: Json;
}

export interface Response {
  description: string;
  headers?: Record<string, { schema: Json }>;
  content?: Record<string, Media>;
}

export interface Parameter {
  name: string;
  in: 'path' | 'query' | 'header';
  required?: boolean;
  description?: string;
  schema: Json;
}

export interface Operation {
  operationId: string;
  summary?: string;
  tags: string[];
  security?: Record<string, string[]>[];
  parameters?: Parameter[];
  requestBody?: { content: Record<string, Media> };
  responses: Record<string, Response>;
}

export interface OpenApi {
  openapi: string;
  info: { title: string; version: string };
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Json>; securitySchemes: Record<string, Json> };
}

export interface DocumentedOperation {
  path: string;
  /** In lower case. */
  method: string;
  operation: Operation;
}

/** Every operation of the document. */
export function operationsOf(document: OpenApi): DocumentedOperation[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );
}

/** Headers that say something about the answer, and so belong into the document. */
const tellingHeaders = ['etag', 'retry-after', 'www-authenticate', 'location'];
const problemType = 'application/problem+json';
/** Answers of Node itself to what it cannot read: no operation's own. */
const unreadable = [408, 431];
/** What may answer where the document has no operation: wrong paths, wrong methods, text that is no URL. */
const refusalsElsewhere = [400, 401, 403, 404, 405, 429];

interface Answered {
  method: string;
  path: string;
  status: number;
  headers: Headers;
  /** Parsed when it is JSON, undefined when there is none. */
  body: unknown;
}

export class Conformance {
  readonly #document: OpenApi;
  readonly #checks = new Map<string, (value: unknown) => string | undefined>();
  readonly #templates: { template: string; pattern: RegExp }[];

  constructor(document: OpenApi) {
    this.#document = document;
    this.#templates = Object.keys(document.paths)
      .map((template) => ({ template, pattern: new RegExp(`^${template.replace(/\{\w+\}/g, '[^/]+')}$`) }))
      // A path without parameters is meant where both match.
      .sort((a, b) => a.template.split('{').length - b.template.split('{').length);
  }

  /** Throws unless the answer is one of the document's; returns `operationId status`, undefined where there is no operation. */
  check(answer: Answered): string | undefined {
    const path = answer.path.split('?', 1)[0] ?? '';
    if (path.startsWith('/docs')) return undefined;
    const method = answer.method === 'HEAD' ? 'get' : answer.method.toLowerCase();
    const template = this.#templates.find(({ pattern }) => pattern.test(path))?.template ?? '';
    const operation = this.#document.paths[template]?.[method];
    const fail = (why: string) =>
      new Error(
        `${answer.method} ${answer.path}: ${answer.status}: ${why}: ${JSON.stringify(answer.body)?.slice(0, 500)}`,
      );
    if (operation === undefined || unreadable.includes(answer.status)) {
      if (![...refusalsElsewhere, ...unreadable].includes(answer.status))
        throw fail('no such operation is documented');
      this.#checkBody(answer, { [problemType]: { schema: { $ref: '#/components/schemas/Problem' } } }, fail);
      return undefined;
    }
    const response = operation.responses[answer.status];
    if (response === undefined) throw fail('the status is not documented');
    const documented = Object.keys(response.headers ?? {});
    for (const name of documented) if (!answer.headers.has(name)) throw fail(`the header ${name} is missing`);
    for (const name of tellingHeaders)
      if (answer.headers.has(name) && !documented.includes(name))
        throw fail(`the header ${name} is not documented`);
    if (answer.method !== 'HEAD') this.#checkBody(answer, response.content, fail);
    return `${operation.operationId} ${answer.status}`;
  }

  /** How a value breaks a schema of the document, undefined when it does not. */
  violation(schema: Json, value: unknown): string | undefined {
    const text = JSON.stringify(schema);
    const check = this.#checks.get(text) ?? this.#compile(schema);
    this.#checks.set(text, check);
    return check(value);
  }

  #checkBody(
    answer: Answered,
    content: Record<string, Media> | undefined,
    fail: (why: string) => Error,
  ): void {
    if (content === undefined) {
      if (answer.body !== undefined) throw fail('no body is documented');
      return;
    }
    const type = answer.headers.get('content-type')?.split(';')[0] ?? 'no type';
    const media = content[type];
    if (media === undefined) throw fail(`${type} is not documented`);
    if (!/[/+]json$/.test(type)) return;
    const violation = this.violation(media.schema ?? {}, answer.body);
    if (violation !== undefined) throw fail(`the body is not as documented: ${violation}`);
  }

  #compile(schema: Json): (value: unknown) => string | undefined {
    const root = { ...schema, $defs: this.#document.components.schemas };
    const text = JSON.stringify(root).replaceAll('#/components/schemas/', '#/$defs/');
    const validator = Compile(closed(JSON.parse(text)) as Json);
    return (value) => {
      if (validator.Check(value)) return undefined;
      return validator
        .Errors(value)
        .map(({ instancePath, message }) => `${instancePath} ${message}`)
        .join('; ');
    };
  }
}

/** The schema with every object that names its properties closed against others. */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed);
  if (typeof schema !== 'object' || schema === null) return schema;
  const all = Object.fromEntries(Object.entries(schema).map(([name, value]) => [name, closed(value)]));
  const isOpen = all.type === 'object' && 'properties' in all && !('additionalProperties' in all);
  return isOpen ? { ...all, additionalProperties: false } : all;
}
