/** What the demo's acts have in common: what one plays with, what it answers, and its trials. */
import type { Labs } from './labs.ts';
import type { Narration } from './narration.ts';
import type { Row } from './table.ts';

export interface Company {
  labs: Labs;
  narration: Narration;
  /** Somebody wishes that the demo ends. */
  isStopped: () => boolean;
}

export interface Act {
  title: string;
  /** Examples of NVGRE frames, and what they show. */
  frames: readonly string[];
  rows: readonly Row[];
  /** Commands for another terminal. */
  lookAround: readonly string[];
}

export class Trials {
  readonly rows: Row[] = [];
  readonly #company: Company;

  constructor(company: Company) {
    this.#company = company;
  }

  /**
   * Carries one trial out. One that cannot be becomes a row that is not ok, and the play goes on; rejects only when the
   * demo was stopped meanwhile.
   */
  async try(what: string, work: () => Promise<Row[]>): Promise<void> {
    const { narration, isStopped } = this.#company;
    try {
      this.rows.push(...(await narration.step(what, work)));
    } catch (error) {
      if (isStopped()) throw error;
      const lines = `${error instanceof Error ? error.message : error}`.trimEnd().split('\n');
      narration.say(...lines.map((line) => `    ${line}`));
      this.rows.push({ what, seen: 'could not be carried out, see above', ok: false });
    }
  }
}
