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
  interface FastifyContextConfig {
    /** A read that is noted as writes are, since it hands out everything. The route notes its success itself. */
    isAudited?: true;
  }
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

/** Who writes, for the store. */
export function asWriter(request: FastifyRequest): { audit: AuditRequest; byTenant: boolean } {
  return { audit: auditOf(request), byTenant: request.principal.role === 'tenant' };
}

/** Notes every refused write of a known principal, and refused reads that hand out everything. */
export function auditRefusals(app: FastifyInstance, audit: AuditLog): void {
  app.decorateRequest('refusal');
  app.addHook('onResponse', async (request, reply) => {
    const { principal, refusal } = request;
    const isAudited = writes.has(request.method) || request.routeOptions.config?.isAudited === true;
    if (refusal === undefined || !isAudited || principal === nobody) return;
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
