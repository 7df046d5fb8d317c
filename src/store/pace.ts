/** Long work in slices, so that the event loop has its turn between them. */
import { setImmediate } from 'node:timers/promises';

const sliceMs = 4;

export class Pace {
  #until = performance.now() + sliceMs;

  /** Whether the slice is over, and `rest` is due. */
  get isOver(): boolean {
    return performance.now() > this.#until;
  }

  /** Everybody else's turn. */
  async rest(): Promise<void> {
    await setImmediate();
    this.#until = performance.now() + sliceMs;
  }
}
