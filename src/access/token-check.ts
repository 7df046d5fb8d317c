/**
 * Whether a token is valid, and whose. The slow hash is computed once for each token and process; from then on a keyed digest
 * of the token in memory answers. What the store says of the token is looked up each time, so that a change or a
 * removal holds from the next request on.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { StoredToken, TokenTable } from '../store/tokens.ts';
import { localPrincipal, type Principal } from './principal.ts';
import { matchesHash, readToken, type TokenParts } from './secret.ts';

/** A refused token: why, for the audit log, and the id that it claims when it looks like a token at all. */
export interface Refused {
  readonly reason: 'token-form' | 'token-unknown' | 'token-secret' | 'token-expired';
  readonly id?: string;
}

/** Hashes that are computed at a time: half of libuv's threads, so that files and names are still read meanwhile. */
const MOST_AT_ONCE = 2;
/** Checks that wait for those; more are refused. */
const MOST_WAITING = 64;

interface Verified {
  digest: Buffer;
  hash: string;
}

export class TokenCheck {
  readonly #tokens: TokenTable;
  readonly #key = randomBytes(32);
  /** By id: a token has one secret, so this is bounded by the number of tokens. */
  readonly #verified = new Map<string, Verified>();
  /** First checks that are under way, by digest and hash. */
  readonly #underWay = new Map<string, Promise<boolean>>();
  readonly #principals = new WeakMap<StoredToken, Principal>();
  #computing = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(tokens: TokenTable) {
    this.#tokens = tokens;
    tokens.subscribe((id) => {
      if (tokens.all.get(id)?.hash !== this.#verified.get(id)?.hash) this.#verified.delete(id);
    });
  }

  /** Whether more first checks wait than are taken. */
  get isBusy(): boolean {
    return this.#waiting.length >= MOST_WAITING;
  }

  /** Whether the slow check of this very token is under way. */
  isUnderWay(text: string): boolean {
    const parts = readToken(text);
    if (parts === undefined || this.#underWay.size === 0) return false;
    return this.#underWay.has(checkName(this.#digest(parts), this.#tokens.all.get(parts.id)?.hash ?? ''));
  }

  /** The principal of a token that was verified before; undefined when that takes the slow check. */
  known(text: string): Principal | Refused | undefined {
    const parts = readToken(text);
    if (parts === undefined) return { reason: 'token-form' };
    const { id } = parts;
    const token = this.#tokens.all.get(id);
    if (token === undefined) return { reason: 'token-unknown', id };
    const verified = this.#verified.get(id);
    if (verified?.hash !== token.hash || !timingSafeEqual(verified.digest, this.#digest(parts)))
      return undefined;
    return this.#principalOf(token);
  }

  /** As known(), but computes the hash; checks of the same token that come together share that. */
  async verify(text: string): Promise<Principal | Refused> {
    const known = this.known(text);
    if (known !== undefined) return known;
    const parts = readToken(text) as TokenParts;
    const { id, secret } = parts;
    const hash = this.#tokens.all.get(id)?.hash ?? '';
    const digest = this.#digest(parts);
    const name = checkName(digest, hash);
    let matches = this.#underWay.get(name);
    if (matches === undefined) {
      matches = this.#compute(secret, hash).finally(() => this.#underWay.delete(name));
      this.#underWay.set(name, matches);
    }
    if (!(await matches)) return { reason: 'token-secret', id };
    // Meanwhile it may have been changed or removed.
    const token = this.#tokens.all.get(id);
    if (token?.hash !== hash) return { reason: 'token-unknown', id };
    this.#verified.set(id, { digest, hash });
    return this.#principalOf(token);
  }

  #principalOf(token: StoredToken): Principal | Refused {
    const { id, role, routingDomains, expires } = token;
    if (expires !== undefined && Date.parse(expires) <= Date.now()) return { reason: 'token-expired', id };
    let principal = this.#principals.get(token);
    if (principal === undefined) {
      principal = role === 'tenant' ? { id, role, routingDomains: new Set(routingDomains) } : { id, role };
      this.#principals.set(token, principal);
    }
    return principal;
  }

  #digest({ id, secret }: TokenParts): Buffer {
    return createHmac('sha256', this.#key).update(`${id} ${secret}`).digest();
  }

  async #compute(secret: string, hash: string): Promise<boolean> {
    if (this.#computing < MOST_AT_ONCE) this.#computing++;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await matchesHash(secret, hash);
    } finally {
      // Whoever waits takes over the place.
      const next = this.#waiting.shift();
      if (next === undefined) this.#computing--;
      else next();
    }
  }
}

/** One check is the same as another when it is about the same token and the same hash. */
function checkName(digest: Buffer, hash: string): string {
  return `${digest.toString('base64')} ${hash}`;
}

/** Longest that a timer can wait. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * Calls back once when the principal's token is changed, removed or expires: answers that go on for long end then. Returns
 * the function that ends the watch.
 */
export function onRevoked(tokens: TokenTable, principal: Principal, end: () => void): () => void {
  if (principal.id === localPrincipal.id) return () => {};
  let timer: NodeJS.Timeout | undefined;
  const stop = (): void => {
    unsubscribe();
    clearTimeout(timer);
  };
  const revoke = (): void => {
    stop();
    end();
  };
  const wait = (): void => {
    const token = tokens.all.get(principal.id);
    const left = token?.expires === undefined ? LONGEST_TIMER_MS : Date.parse(token.expires) - Date.now();
    if (token === undefined || left <= 0) revoke();
    else timer = setTimeout(wait, Math.min(left, LONGEST_TIMER_MS)).unref();
  };
  const unsubscribe = tokens.subscribe((id) => {
    if (id === principal.id) revoke();
  });
  wait();
  return stop;
}
