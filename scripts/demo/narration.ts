/** The live list: one line for each thing that the demo does, with the seconds that it took. */
import { styleText } from 'node:util';

/** Column at which a step's time stands. */
const TIME_COLUMN = 74;

/** Green or red on a terminal, plain everywhere else. */
export function verdict(ok: boolean): string {
  return ok ? styleText('green', 'ok') : styleText('red', 'FAILED');
}

/** A time as the demo tells it. */
export function secondsText(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

export class Narration {
  readonly #begin = performance.now();
  /** True while a step's line waits for its end. */
  #lineOpen = false;

  /** Seconds since the demo began. */
  get seconds(): number {
    return (performance.now() - this.#begin) / 1000;
  }

  /** Prints lines between steps. */
  say(...lines: string[]): void {
    if (this.#lineOpen) process.stdout.write('\n');
    this.#lineOpen = false;
    process.stdout.write(`${lines.join('\n')}\n`);
  }

  /** Does one thing and prints its line: what it is before it begins, its time when it has ended. */
  async step<T>(what: string, work: () => Promise<T>): Promise<T> {
    this.#open(what);
    const begin = performance.now();
    try {
      const result = await work();
      this.#end(what, begin, '');
      return result;
    } catch (error) {
      this.#end(what, begin, '  not done');
      throw error;
    }
  }

  #open(what: string): void {
    process.stdout.write(`  ${what}`);
    this.#lineOpen = true;
  }

  #end(what: string, begin: number, note: string): void {
    // Something else was said meanwhile: the line begins anew.
    if (!this.#lineOpen) this.#open(what);
    const time = secondsText(performance.now() - begin);
    process.stdout.write(`${' '.repeat(Math.max(1, TIME_COLUMN - what.length))}${time.padStart(6)}${note}\n`);
    this.#lineOpen = false;
  }
}
