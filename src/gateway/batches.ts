/**
 * Lists of commands from several callers in one process: those that come while a process is under way go together into
 * the next one. Each caller goes on in a turn of its own.
 */
import { ownTurn } from '../own-turn.ts';

type Command = readonly string[];

interface Waiting {
  commands: readonly Command[];
  done: () => void;
  failed: (error: unknown) => void;
}

export class Batches {
  readonly #run: (commands: readonly Command[]) => Promise<void>;
  readonly #waiting: Waiting[] = [];
  #isRunning = false;

  /** `run` runs commands in order and stops at the first that fails. */
  constructor(run: (commands: readonly Command[]) => Promise<void>) {
    this.#run = run;
  }

  /** Resolves when the commands were run; rejects when a command of that process failed, perhaps another caller's. */
  add(commands: readonly Command[]): Promise<void> {
    return new Promise((done, failed) => {
      this.#waiting.push({ commands, done, failed });
      if (!this.#isRunning) void this.#work();
    });
  }

  async #work(): Promise<void> {
    this.#isRunning = true;
    while (this.#waiting.length > 0) {
      const turn = this.#waiting.splice(0);
      await this.#run(turn.flatMap(({ commands }) => commands)).then(
        () => {
          for (const { done } of turn) void ownTurn().then(done);
        },
        (error: unknown) => {
          for (const { failed } of turn) void ownTurn().then(() => failed(error));
        },
      );
    }
    this.#isRunning = false;
  }
}
