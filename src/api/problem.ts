/**
 * Turns whatever goes wrong in a request into application/problem+json (RFC 9457). Only what was raised on purpose is
 * told to the client; anything else is logged and answered as HNV_INTERNAL.
 */
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { type Static, Type } from 'typebox';
import type { Principal } from '../access/principal.ts';
import { type ErrorCode, errorCatalogue, HnvError } from '../errors.ts';

export const problemType = 'application/problem+json';

/** The body of every error. */
export const Problem = Type.Object(
  {
    type: Type.String({ description: 'URI reference that names the kind of error: /errors/ and the code' }),
    title: Type.String({ description: 'what kind of error it is, the same for every error of this code' }),
    status: Type.Integer({ minimum: 400, maximum: 599, description: 'the HTTP status' }),
    detail: Type.String({ description: 'what is wrong with this request, as a sentence' }),
    code: Type.String({ description: 'stable code of the kind of error' }),
    pointer: Type.Optional(
      Type.String({ description: 'JSON pointer (RFC 6901) of the field of the body that is wrong' }),
    ),
    rule: Type.Optional(Type.String({ description: 'stable name of the rule that was broken' })),
  },
  { $id: 'Problem', description: 'An error (RFC 9457)', additionalProperties: false },
);

/** Codes of the refusals that HTTP has a status of its own for. */
const httpCodes: Record<number, ErrorCode> = {
  404: 'HNV_NOT_FOUND',
  405: 'HNV_METHOD_NOT_ALLOWED',
  413: 'HNV_TOO_LARGE',
  415: 'HNV_MEDIA_TYPE',
};

/** Answers a request with the problem that the error stands for. */
export function sendProblem(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const problem = problemOf(error, request.principal);
  request.refusal = {
    code: problem.code as ErrorCode,
    ...(problem.rule === undefined ? {} : { rule: problem.rule }),
  };
  if (problem.status >= 500) request.log.error({ err: error }, problem.detail);
  reply.code(problem.status).type(problemType).send(JSON.stringify(problem));
}

/** The body that the error is told with. */
export function problemOf(error: unknown, principal: Principal | undefined): Static<typeof Problem> {
  if (error instanceof HnvError) {
    return {
      ...problem(error.code, error.status, detailFor(error, principal)),
      ...(error.pointer === undefined ? {} : { pointer: error.pointer }),
      ...(error.rule === undefined ? {} : { rule: error.rule }),
    };
  }
  // Fastify's own refusals (RFC 9110 statuses such as 413 and 415) keep the status that HTTP has for them.
  const status = error instanceof Error ? (error as FastifyError).statusCode : undefined;
  if (error instanceof Error && status !== undefined && status >= 400 && status < 500) {
    return problem(httpCodes[status] ?? 'HNV_BAD_REQUEST', status, `${error.message.replace(/\.$/, '')}.`);
  }
  return problem(
    'HNV_INTERNAL',
    500,
    'Something that must not happen did. The log of the node has the details.',
  );
}

/** Only who may see all routing domains is told what belongs to another one. */
function detailFor({ message, forOperators }: HnvError, principal: Principal | undefined): string {
  const seesAll = principal !== undefined && principal.role !== 'tenant';
  return forOperators !== undefined && seesAll ? `${message} ${forOperators}` : message;
}

function problem(code: ErrorCode, status: number, detail: string): Static<typeof Problem> {
  return { type: `/errors/${code}`, title: errorCatalogue[code].title, status, detail, code };
}

/** A refusal that HTTP has a status of its own for. */
export class HttpRefusal extends Error {
  readonly statusCode: number;

  constructor(statusCode: number, message: string) {
    super(message);
    this.statusCode = statusCode;
  }
}

const statusMeanings = {
  400: 'The request is malformed, or a field breaks a rule',
  401: 'There is no valid bearer token',
  403: 'The role of the token is not enough',
  404: 'There is no such resource',
  409: 'The request conflicts with another resource, or another one depends on this one',
  412: 'The resource is not as If-Match or If-None-Match requires',
  413: 'The body is larger than 1 MiB; of a policy document, than 64 MiB',
  415: 'The body is of a type that is not taken here',
  429: 'Too many requests',
  500: 'This node failed',
  507: 'This node is full',
} as const;

/** Headers that a refusal has beside its body. */
const statusHeaders: { [status: number]: object } = {
  401: { 'www-authenticate': { type: 'string', description: 'Bearer (RFC 6750)' } },
  429: { 'retry-after': { type: 'integer', description: 'seconds to wait for' } },
};

/** OpenAPI responses for the errors that an operation can answer with. */
export function problemResponses(...statuses: (keyof typeof statusMeanings)[]): Record<string, object> {
  const content = { [problemType]: { schema: { $ref: 'Problem#' } } };
  return Object.fromEntries(
    statuses.map((status) => {
      const headers = statusHeaders[status];
      const response = { description: statusMeanings[status], content };
      return [status, headers === undefined ? response : { ...response, headers }];
    }),
  );
}
