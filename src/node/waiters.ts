/** Those who wait until something about a name is so, and ask again each time that something has happened to it. */
export class Waiters {
  readonly #checks = new Map<string, Set<() => void>>();

  /** Resolves when `isOver` is true, at once or after a wake(), or after `timeoutMs`. */
  wait(name: string, timeoutMs: number, isOver: () => boolean): Promise<void> {
    if (isOver()) return Promise.resolve();
    return new Promise((resolve) => {
      const checks = this.#checks.get(name) ?? new Set();
      this.#checks.set(name, checks);
      const done = (): void => {
        clearTimeout(timer);
        checks.delete(check);
        if (checks.size === 0) this.#checks.delete(name);
        resolve();
      };
      const check = (): void => {
        if (isOver()) done();
      };
      const timer = setTimeout(done, timeoutMs);
      checks.add(check);
    });
  }

  wake(name: string): void {
    for (const check of [...(this.#checks.get(name) ?? [])]) check();
  }
}
