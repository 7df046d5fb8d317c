/** So many a second for each name, and so many at once (a token bucket); of a bounded number of names. */

/** What became of a request: `first` is the first refused one since the last that was allowed. */
export type Taken = 'allowed' | 'first' | 'refused';

/** How much the API takes, unless the configuration says otherwise. */
export const defaultLimits: ApiLimits = { requestsPerSecond: 10_000, failedLoginsPerMinute: 30 };

export interface ApiLimits {
  /** Of one principal; on routes for anyone, of one address. */
  readonly requestsPerSecond: number;
  /** Requests of one address that have no valid token. */
  readonly failedLoginsPerMinute: number;
}

interface Bucket {
  tokens: number;
  at: number;
  refusing: boolean;
}

/** Names that are remembered; one that is forgotten begins with a full bucket again. */
const MOST_NAMES = 10_000;

export class RateLimiter {
  readonly #perSecond: number;
  readonly #burst: number;
  readonly #now: () => number;
  /** The one that was used last comes last. */
  readonly #buckets = new Map<string, Bucket>();

  /** `now` is in seconds. */
  constructor(limit: { perSecond: number; burst: number }, now = () => performance.now() / 1000) {
    this.#perSecond = limit.perSecond;
    this.#burst = limit.burst;
    this.#now = now;
  }

  get size(): number {
    return this.#buckets.size;
  }

  /** Counts one more, if it is within the limit. */
  take(name: string): Taken {
    const bucket = this.#bucket(name);
    if (bucket.tokens >= 1) {
      bucket.tokens--;
      bucket.refusing = false;
      return 'allowed';
    }
    const taken = bucket.refusing ? 'refused' : 'first';
    bucket.refusing = true;
    return taken;
  }

  /** Takes back one that has been counted. */
  giveBack(name: string): void {
    const bucket = this.#bucket(name);
    bucket.tokens = Math.min(this.#burst, bucket.tokens + 1);
  }

  /** Whole seconds until one more is allowed, at least 1. */
  retryAfter(name: string): number {
    return Math.max(1, Math.ceil((1 - this.#bucket(name).tokens) / this.#perSecond));
  }

  #bucket(name: string): Bucket {
    const now = this.#now();
    const bucket = this.#buckets.get(name) ?? { tokens: this.#burst, at: now, refusing: false };
    bucket.tokens = Math.min(this.#burst, bucket.tokens + (now - bucket.at) * this.#perSecond);
    bucket.at = now;
    this.#buckets.delete(name);
    this.#buckets.set(name, bucket);
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size > MOST_NAMES && oldest !== undefined) this.#buckets.delete(oldest);
    return bucket;
  }
}
