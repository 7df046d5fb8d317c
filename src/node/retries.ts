/** Tries again what has failed, after a time that doubles with each failure in a row. */
const FIRST_MS = 100;
const LIMIT_MS = 30_000;

export class Retries {
  /** Those that are to come, by what is tried. */
  readonly #timers = new Map<string, NodeJS.Timeout>();
  #count = 0;
  #isStopped = false;

  /** How often something was tried again, since the start. */
  get count(): number {
    return this.#count;
  }

  /** `failures` in a row went before this one. There is one retry of each to come, however often it was tried meanwhile. */
  later(name: string, failures: number, retry: () => void): void {
    if (this.#isStopped) return;
    clearTimeout(this.#timers.get(name));
    const timer = setTimeout(
      () => {
        this.#timers.delete(name);
        this.#count++;
        retry();
      },
      Math.min(FIRST_MS * 2 ** failures, LIMIT_MS),
    );
    this.#timers.set(name, timer);
  }

  /** None comes any more. */
  stop(): void {
    this.#isStopped = true;
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }
}
