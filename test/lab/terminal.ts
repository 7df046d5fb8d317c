/** A terminal: a shell that is typed into, one command after the other, and what it answers. */
import type { LabProcess } from './process.ts';

/** What starts the shell: its standard error is its standard output, so that lines are in the order in which they were written. */
export const SHELL = 'exec bash --norc 2>&1';

const PATIENCE_MS = 60_000;

export class Terminal {
  readonly #shell: LabProcess;
  #commands = 0;

  /** Of SHELL. */
  constructor(shell: LabProcess) {
    this.#shell = shell;
  }

  /** Types a command, and waits for its end; the lines that it wrote, to whatever. */
  async type(command: string): Promise<string[]> {
    const end = `ended-${++this.#commands}-${process.pid}`;
    const from = this.#shell.lines.length;
    // The command must not read what is typed next. Its last line may have no end.
    this.#shell.write(`{ ${command}\n} < /dev/null; printf '\\n${end}\\n'`);
    await this.#shell.waitFor(new RegExp(`^${end}$`), PATIENCE_MS);
    const lines = this.#shell.lines.slice(from, this.#shell.lines.indexOf(end));
    return lines.at(-1) === '' ? lines.slice(0, -1) : lines;
  }
}
