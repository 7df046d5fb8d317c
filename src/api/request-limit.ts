/** How many requests a second one principal may make; of routes for anyone, one address. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { nobody } from '../access/principal.ts';
import { RateLimiter } from '../access/rate-limiter.ts';
import { HnvError } from '../errors.ts';
import { prefixAround } from '../policy/address.ts';
import type { AuditLog } from '../store/audit.ts';
import { originOf } from './origin.ts';
import { noteRefusal } from './request-audit.ts';

export class RequestLimit {
  readonly #limiter: RateLimiter;
  readonly #audit: AuditLog;

  constructor(audit: AuditLog, perSecond: number) {
    this.#limiter = new RateLimiter({ perSecond, burst: perSecond });
    this.#audit = audit;
  }

  /** Throws HNV_TOO_MANY_REQUESTS above the limit; the first of a row of refusals is noted in the audit log. */
  check(request: FastifyRequest, reply: FastifyReply): void {
    const { principal } = request;
    const isKnown = principal !== nobody;
    const name = isKnown ? `token ${principal.id}` : addressName(originOf(request));
    const taken = this.#limiter.take(name);
    if (taken === 'allowed') return;
    const refusal = tooMany(
      reply,
      this.#limiter.retryAfter(name),
      'You make more requests a second than this node takes',
    );
    if (taken === 'first' && isKnown) noteRefusal(this.#audit, request, refusal);
    throw refusal;
  }
}

/** What stands for whoever is behind an address: in IPv6 that is a /64, of which one machine may have all addresses. */
export function addressName(address: string): string {
  return address.includes(':') ? prefixAround(address, 64) : address;
}

/** The refusal with its header; `why` becomes a sentence. */
export function tooMany(reply: FastifyReply, seconds: number, why: string): HnvError {
  reply.header('retry-after', seconds);
  return new HnvError('HNV_TOO_MANY_REQUESTS', `${why}: try again in ${seconds} s.`);
}
