/** What a token may be: its name, its role and what belongs to that. */
import { type Static, Type } from 'typebox';
import { HnvError } from '../errors.ts';
import { Guid } from '../policy/resources.ts';
import { localPrincipal } from './principal.ts';

/** Only characters that a bearer token may have (RFC 6750). */
export const TokenId = Type.String({
  pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$',
  description: '1 to 64 of A-Z a-z 0-9 . _ -, beginning with a letter or digit',
});

const mostDomains = 1000;

const rdids = Type.Array(Guid, {
  maxItems: mostDomains,
  description: 'RDIDs of a tenant, which must have one at least; none for the other roles',
});

/** The body of a token. */
export const TokenValue = Type.Object(
  {
    role: Type.Union([Type.Literal('admin'), Type.Literal('operator'), Type.Literal('tenant')], {
      description:
        'admin: all; operator: all but tokens and the secrets of others; tenant: its routing domains',
    }),
    routingDomains: Type.Optional(rdids),
    expires: Type.Optional(
      Type.String({ format: 'date-time', description: 'when it ends, RFC 3339; never when absent' }),
    ),
  },
  { additionalProperties: false },
);
export type TokenValue = Static<typeof TokenValue>;

/** The value as it is stored: RDIDs ascending and once, the time in UTC. Throws HNV_INVALID_FIELD. */
export function normalizeToken(value: TokenValue, now: Date): TokenValue & { routingDomains: string[] } {
  const { role, routingDomains = [], expires } = value;
  if (role === 'tenant' && routingDomains.length === 0) {
    const why = 'must name a routing domain at least: a tenant has nothing else';
    throw refuse('token-domains-tenant', '/routingDomains', why);
  }
  if (role !== 'tenant' && routingDomains.length > 0) {
    const why = `is for tenants only: the role ${role} has all routing domains`;
    throw refuse('token-domains-role', '/routingDomains', why);
  }
  const sorted = [...new Set(routingDomains)].sort();
  if (expires === undefined) return { role, routingDomains: sorted };
  const at = new Date(expires);
  if (Number.isNaN(at.getTime())) {
    throw refuse('date-time', '/expires', `is ${expires}, which is no date and time`);
  }
  if (at <= now) {
    const why = `is ${expires}, but must be in the future: delete the token to end it now`;
    throw refuse('token-expires-future', '/expires', why);
  }
  return { role, routingDomains: sorted, expires: at.toISOString() };
}

/** Throws HNV_INVALID_FIELD for a name that stands for something else in the audit log. */
export function checkTokenId(id: string): void {
  if (id !== localPrincipal.id) return;
  const sentence = `The name of a token cannot be ${id}: in the audit log that is who uses the unix socket.`;
  throw new HnvError('HNV_INVALID_FIELD', sentence, { rule: 'token-id-reserved' });
}

function refuse(rule: string, pointer: string, why: string): HnvError {
  return new HnvError('HNV_INVALID_FIELD', `${pointer.slice(1)} ${why}.`, { rule, pointer });
}
