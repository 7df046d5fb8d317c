/** So many a second for each name, and as many at once (a token bucket). */
export class RateLimit {
  readonly #perSecond: number;
  readonly #buckets = new Map<string, { tokens: number; at: number }>();

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  /** Whether one more is within the limit; it is counted then. */
  take(name: string): boolean {
    const now = performance.now();
    const bucket = this.#buckets.get(name) ?? { tokens: this.#perSecond, at: now };
    this.#buckets.set(name, bucket);
    bucket.tokens = Math.min(this.#perSecond, bucket.tokens + ((now - bucket.at) / 1_000) * this.#perSecond);
    bucket.at = now;
    if (bucket.tokens < 1) return false;
    bucket.tokens--;
    return true;
  }
}
