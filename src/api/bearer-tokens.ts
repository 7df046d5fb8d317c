/**
 * Reads the bearer token of a request (RFC 6750). Who shows no valid one is noted in the audit log, and after some failures a
 * minute not listened to for a while: by address, and only about tokens that this process has not verified yet.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Principal } from '../access/principal.ts';
import { RateLimiter } from '../access/rate-limiter.ts';
import { type Refused, TokenCheck } from '../access/token-check.ts';
import { HnvError } from '../errors.ts';
import type { Store } from '../store/store.ts';
import { noteRefusal } from './request-audit.ts';
import { addressName, tooMany } from './request-limit.ts';

/** Why a request is not let in: for the audit log, which may know more than the client. */
type Failure = Refused | { readonly reason: 'token-missing' | 'token-once'; readonly id?: undefined };

const scheme = /^bearer +([^ ]+)$/i;

export class BearerTokens {
  readonly #check: TokenCheck;
  readonly #failures: RateLimiter;
  readonly #store: Store;

  constructor(store: Store, failuresPerMinute: number) {
    this.#store = store;
    this.#check = new TokenCheck(store.tokens);
    this.#failures = new RateLimiter({ perSecond: failuresPerMinute / 60, burst: failuresPerMinute });
  }

  /** Whose token the request brings. Throws or rejects with HNV_UNAUTHENTICATED or HNV_TOO_MANY_REQUESTS. */
  authenticate(request: FastifyRequest, reply: FastifyReply, from: string): Principal | Promise<Principal> {
    const token = readHeader(request);
    const known = typeof token === 'string' ? this.#check.known(token) : token;
    if (known !== undefined && 'role' in known) return known;
    // A client that begins with many requests at once has one token, and one check of it.
    if (typeof token === 'string' && this.#check.isUnderWay(token)) return this.#join(reply, token);
    const name = addressName(from);
    const taken = this.#failures.take(name);
    if (taken !== 'allowed') {
      const seconds = this.#failures.retryAfter(name);
      const refusal = tooMany(reply, seconds, 'Too many requests from your address had no valid token');
      if (taken === 'first') noteRefusal(this.#store.audit, request, refusal);
      throw refusal;
    }
    if (known !== undefined) throw this.#refuse(request, reply, known);
    return this.#verify(request, reply, token as string, name);
  }

  async #verify(
    request: FastifyRequest,
    reply: FastifyReply,
    token: string,
    name: string,
  ): Promise<Principal> {
    if (this.#check.isBusy) throw tooMany(reply, 1, 'Too many tokens are being checked');
    const found = await this.#check.verify(token);
    if ('reason' in found) throw this.#refuse(request, reply, found);
    this.#failures.giveBack(name);
    return found;
  }

  /** Counted and noted is the request that began the check. */
  async #join(reply: FastifyReply, token: string): Promise<Principal> {
    const found = await this.#check.verify(token);
    if ('reason' in found) throw unauthenticated(reply, found);
    return found;
  }

  #refuse(request: FastifyRequest, reply: FastifyReply, failure: Failure): HnvError {
    const { reason, id } = failure;
    const refusal = unauthenticated(reply, failure);
    const actor = id !== undefined && this.#store.tokens.all.has(id) ? { actor: id } : {};
    noteRefusal(this.#store.audit, request, refusal, { ...actor, rule: reason });
    return refusal;
  }
}

function unauthenticated(reply: FastifyReply, { reason }: Failure): HnvError {
  const wasGiven = reason !== 'token-missing';
  reply.header('www-authenticate', `Bearer realm="hnvgw"${wasGiven ? ', error="invalid_token"' : ''}`);
  return new HnvError('HNV_UNAUTHENTICATED', sentences[reason]);
}

const invalid = 'The bearer token is not valid.';

/** Only who has the secret is told that it has expired. */
const sentences: Record<Failure['reason'], string> = {
  'token-missing': 'A bearer token is required here: Authorization: Bearer hnvgw_ID_SECRET.',
  'token-once': 'There is more than one Authorization header.',
  'token-form': invalid,
  'token-unknown': invalid,
  'token-secret': invalid,
  'token-expired': 'The bearer token has expired.',
};

/** The text after the scheme. Node shows the first of several headers only, so they are counted in what came. */
function readHeader({ raw }: FastifyRequest): string | Failure {
  const { authorization } = raw.headers;
  if (authorization === undefined) return { reason: 'token-missing' };
  const names = raw.rawHeaders.filter((text, index) => index % 2 === 0 && text.length === 13);
  if (names.filter((text) => text.toLowerCase() === 'authorization').length > 1)
    return { reason: 'token-once' };
  return scheme.exec(authorization)?.[1] ?? { reason: 'token-form' };
}
