/** The demo's laboratories: one beside the other, and closed together. */
import { Lab } from '../../test/lab/lab.ts';

export class Labs {
  readonly #labs: Lab[] = [];
  #isClosed = false;

  /** Opens one more (see Lab.create); rejects when close() was called meanwhile. */
  async create(name: string): Promise<Lab> {
    const lab = await Lab.create(name);
    this.#labs.push(lab);
    if (this.#isClosed) {
      await lab.close();
      throw new Error(`the lab '${name}' is not opened: the demo ends`);
    }
    return lab;
  }

  /** Closes all of them; goes on after a failure and reports all of them at the end. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const ends = await Promise.allSettled(this.#labs.map((lab) => lab.close()));
    const failures = ends.flatMap((end) => (end.status === 'rejected' ? [end.reason as unknown] : []));
    if (failures.length > 0) throw new AggregateError(failures, 'not everything was removed');
  }
}
