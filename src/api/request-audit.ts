/**
 * Requests in the audit log. Accepted writes are noted by the store, in the transaction of the write, of what auditOf() says;
 * refused ones here, and refused tokens and floods by whoever refuses them.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { nobody } from '../access/principal.ts';
import type { ErrorCode, HnvError } from '../errors.ts';
import type { AuditLog, AuditRequest } from '../store/audit.ts';
import { originOf } from './origin.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** What the request was refused with. */
    refusal: { code: ErrorCode; rule?: string } | undefined;
  }
}

const writes = new Set(['PUT', 'PATCH', 'POST', 'DELETE']);

/** Refused where the log is told already. */
const toldAlready: ReadonlySet<ErrorCode> = new Set(['HNV_UNAUTHENTICATED', 'HNV_TOO_MANY_REQUESTS']);

/** As long as any path of this API; what a client makes up may be longer. */
const LONGEST_PATH = 256;

/** Who asks for what, for the audit log. */
export function auditOf(request: FastifyRequest): AuditRequest {
  const path = request.url.split('?', 1)[0] ?? '';
  return {
    actor: request.principal.id,
    from: originOf(request),
    method: request.method,
    path: path.slice(0, LONGEST_PATH),
  };
}

/** Notes every refused write of a known principal. */
export function auditRefusals(app: FastifyInstance, audit: AuditLog): void {
  app.decorateRequest('refusal');
  app.addHook('onResponse', async (request, reply) => {
    const { principal, refusal } = request;
    if (refusal === undefined || !writes.has(request.method) || principal === nobody) return;
    if (toldAlready.has(refusal.code)) return;
    audit.note({ ...auditOf(request), at: new Date().toISOString(), status: reply.statusCode, ...refusal });
  });
}

/** Notes a refusal that comes before it is known who asks; `known` replaces what is known better. */
export function noteRefusal(
  audit: AuditLog,
  request: FastifyRequest,
  { code, status }: HnvError,
  known: { actor?: string; rule?: string } = {},
): void {
  audit.note({ ...auditOf(request), at: new Date().toISOString(), status, code, ...known });
}
