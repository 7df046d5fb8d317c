/** The audit log, for operators: the newest record first. */
import type { FastifyInstance } from 'fastify';
import { type Static, Type } from 'typebox';
import { cursorOf, readCursor } from '../cursor.ts';
import { problemResponses } from '../problem.ts';
import type { ApiContext } from '../resource-routes.ts';
import { defaultLimit, json, listQuery } from '../resource-schemas.ts';

const AuditRecord = Type.Object(
  {
    id: Type.Integer({ minimum: 1, description: 'ascending in time' }),
    at: Type.String({ format: 'date-time' }),
    actor: Type.String({
      description:
        'id of the token, `local` for the unix socket, `-` when nobody knows; with status 401 the id that was claimed',
    }),
    from: Type.String({ description: 'address of the client, or `unix`' }),
    method: Type.String(),
    path: Type.String({ description: 'without the query' }),
    status: Type.Integer({ minimum: 200, maximum: 599, description: 'HTTP status of the answer' }),
    code: Type.Optional(Type.String({ description: 'code of the refusal' })),
    rule: Type.Optional(Type.String({ description: 'rule that was broken; with status 401, why' })),
    revision: Type.Optional(Type.Integer({ description: 'store revision of the write' })),
  },
  {
    $id: 'AuditRecord',
    additionalProperties: false,
    description: 'One accepted or refused write, or a request without valid token',
  },
);
const AuditList = Type.Object(
  {
    items: Type.Array(Type.Unsafe({ $ref: 'AuditRecord#' })),
    next: Type.Optional(Type.String({ description: 'cursor of the next page; absent on the last one' })),
  },
  { $id: 'AuditList', additionalProperties: false },
);

export function audit(app: FastifyInstance, { store }: ApiContext): void {
  for (const schema of [AuditRecord, AuditList]) app.addSchema(schema);
  app.get<{ Querystring: Static<typeof listQuery> }>(
    '/v1/audit',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'listAudit',
        summary: 'Read the audit log, the newest record first',
        tags: ['audit'],
        querystring: listQuery,
        response: { 200: json('AuditList', 'A page of the audit log'), ...problemResponses(400, 500) },
      },
    },
    async ({ query }) => {
      const { limit = defaultLimit, cursor } = query;
      const before = cursor === undefined ? {} : { before: Number(readCursor(cursor, /^[1-9][0-9]{0,14}$/)) };
      const found = await store.audit.list({ ...before, limit: limit + 1 });
      const items = found.slice(0, limit);
      const last = items.at(-1);
      return found.length <= limit || last === undefined
        ? { items }
        : { items, next: cursorOf(String(last.id)) };
    },
  );
}
