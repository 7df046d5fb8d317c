/** Bearer tokens, for administrators. The token itself is in one answer only, that of its creation. */
import type { FastifyInstance } from 'fastify';
import { type Static, Type } from 'typebox';
import { hashSecret, newSecret, writeToken } from '../../access/secret.ts';
import { checkTokenId, normalizeToken, TokenId, TokenValue } from '../../access/token-rules.ts';
import { compileSchema, fieldName } from '../../config/schema-violation.ts';
import { HnvError } from '../../errors.ts';
import type { StoredToken } from '../../store/tokens.ts';
import { cursorOf, readCursor } from '../cursor.ts';
import { entityTag, isFresh, requiredRevision } from '../preconditions.ts';
import { problemResponses } from '../problem.ts';
import { auditOf } from '../request-audit.ts';
import type { ApiContext } from '../resource-routes.ts';
import {
  defaultLimit,
  etag,
  ifMatch,
  json,
  listQuery,
  noneMatchRead,
  noneMatchWrite,
} from '../resource-schemas.ts';

const closed = { additionalProperties: false } as const;
const created = Type.String({ format: 'date-time', description: 'when it was created' });

const exampleValue = {
  role: 'tenant' as const,
  routingDomains: ['0f8fad5b-d9cb-469f-a165-70867728950e'],
  expires: '2031-01-01T00:00:00.000Z',
};
const example = { id: 'portal', ...exampleValue, created: '2026-01-01T00:00:00.000Z' };

const Token = Type.Object(TokenValue.properties, { $id: 'Token', ...closed, examples: [exampleValue] });
const TokenResource = Type.Object(
  { id: TokenId, ...TokenValue.properties, created },
  { $id: 'TokenResource', ...closed, examples: [example] },
);
const NewToken = Type.Object(
  {
    id: TokenId,
    ...TokenValue.properties,
    created,
    token: Type.String({ description: 'the token, shown here only: what follows `Authorization: Bearer`' }),
  },
  {
    $id: 'NewToken',
    ...closed,
    examples: [{ ...example, token: `hnvgw_portal_${'x'.repeat(43)}` }],
  },
);
const TokenList = Type.Object(
  {
    items: Type.Array(Type.Unsafe({ $ref: 'TokenResource#' })),
    next: Type.Optional(Type.String({ description: 'cursor of the next page; absent on the last one' })),
  },
  { $id: 'TokenList', ...closed },
);

interface One {
  Params: { id: string };
}

const tags = ['tokens'];
const config = { access: 'admin' } as const;
const path = '/v1/tokens/:id';
const params = Type.Object({ id: TokenId });
const answer = (component: string, description: string) => ({
  ...json(component, description),
  headers: etag,
});

export function tokens(app: FastifyInstance, { store }: ApiContext): void {
  const table = store.tokens;
  const inTurn = queue();
  for (const schema of [Token, TokenResource, NewToken, TokenList]) app.addSchema(schema);

  const read = (id: string): StoredToken => {
    const token = table.all.get(id);
    if (token === undefined) throw new HnvError('HNV_NOT_FOUND', `The token ${id} does not exist.`);
    return token;
  };

  app.get<{ Querystring: Static<typeof listQuery> }>(
    '/v1/tokens',
    {
      config,
      schema: {
        operationId: 'listToken',
        summary: 'List tokens',
        tags,
        querystring: listQuery,
        response: { 200: json('TokenList', 'A page of tokens'), ...problemResponses(400, 500) },
      },
    },
    ({ query }) => {
      const { limit = defaultLimit, cursor } = query;
      const after = cursor === undefined ? '' : readCursor(cursor);
      const ids = [...table.all.keys()].filter((id) => id > after).sort();
      const page = ids.slice(0, limit);
      const items = page.map((id) => represent(read(id)));
      return ids.length <= limit ? { items } : { items, next: cursorOf(page.at(-1) ?? '') };
    },
  );

  app.get<One>(
    path,
    {
      config,
      schema: {
        operationId: 'getToken',
        summary: 'Read what is known of a token',
        tags,
        params,
        headers: Type.Object(noneMatchRead),
        response: {
          200: answer('TokenResource', 'What is known of the token'),
          304: { description: 'The token has the ETag of If-None-Match', headers: etag, type: 'null' },
          ...problemResponses(400, 404, 500),
        },
      },
    },
    (request, reply) => {
      const token = read(request.params.id);
      reply.header('etag', entityTag(token.revision));
      if (isFresh(request.headers, token.revision)) return reply.code(304).send();
      return represent(token);
    },
  );

  app.put<One>(
    path,
    {
      config,
      schema: {
        operationId: 'putToken',
        summary: 'Create a token, or change what it may do',
        tags,
        params,
        headers: Type.Object({ ...ifMatch, ...noneMatchWrite }),
        body: { $ref: 'Token#' },
        response: {
          200: answer('TokenResource', 'The token was there and has been changed; its secret is the same'),
          201: answer('NewToken', 'The token has been created'),
          ...problemResponses(400, 412, 413, 415, 500),
        },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      checkTokenId(id);
      const value = normalizeToken(readBody(request.body), new Date());
      return inTurn(async () => {
        const before = table.all.get(id);
        requiredRevision(request.headers, `The token ${id}`, before?.revision ?? 0);
        const secret = before === undefined ? newSecret() : undefined;
        const token = await table.put(
          {
            id,
            ...value,
            created: before?.created ?? new Date().toISOString(),
            hash: before?.hash ?? (await hashSecret(secret ?? '')),
          },
          auditOf(request),
        );
        reply.header('etag', entityTag(token.revision));
        if (secret === undefined) return represent(token);
        reply.code(201).header('cache-control', 'no-store');
        return { ...represent(token), token: writeToken({ id, secret }) };
      });
    },
  );

  app.delete<One>(
    path,
    {
      config,
      schema: {
        operationId: 'deleteToken',
        summary: 'Revoke a token, at once',
        tags,
        params,
        headers: Type.Object(ifMatch),
        response: {
          204: { description: 'The token has been revoked', type: 'null' },
          ...problemResponses(400, 404, 412, 500),
        },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      // Not in turn: it must not wait for a token that waits for the disk.
      requiredRevision(request.headers, `The token ${id}`, read(id).revision);
      await table.delete(id, auditOf(request));
      return reply.code(204).send();
    },
  );
}

/** All but the hash. */
function represent({ id, role, routingDomains, expires, created }: StoredToken) {
  return { id, role, routingDomains, ...(expires === undefined ? {} : { expires }), created };
}

const checkBody = compileSchema(TokenValue);

function readBody(body: unknown): TokenValue {
  const checked = checkBody(body);
  if ('value' in checked) return checked.value as TokenValue;
  const { pointer, rule, reason } = checked.violation;
  throw new HnvError('HNV_INVALID_FIELD', `${fieldName(pointer, 'The body')} ${reason}.`, { pointer, rule });
}

/** One after the other: between the look at a token and its change nobody else changes it. */
function queue(): <T>(action: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (action) => {
    const result = last.then(action);
    last = result.catch(() => {});
    return result;
  };
}
