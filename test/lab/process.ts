/** A program that the lab keeps running: its output by line, and its end. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

export interface ProcessExit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

interface Waiter {
  pattern: RegExp;
  resolve: (match: RegExpExecArray) => void;
  reject: (error: Error) => void;
}

export class LabProcess {
  readonly command: string;
  readonly pid: number;
  /** Every line of standard output and standard error so far, in the order of arrival. */
  readonly lines: string[] = [];
  /** Resolves when the process has ended and its output is complete. Never rejects. */
  readonly exited: Promise<ProcessExit>;
  readonly #child: ChildProcess;
  readonly #waiters = new Set<Waiter>();
  readonly #lineListeners = new Set<(line: string) => void>();
  #exit: ProcessExit | undefined;

  private constructor(command: string, child: ChildProcess, pid: number) {
    this.command = command;
    this.pid = pid;
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      if (stream) createInterface({ input: stream }).on('line', (line) => this.#take(line));
    }
    this.exited = new Promise((resolve) => {
      child.once('close', (code, signal) => {
        this.#exit = { code, signal };
        for (const waiter of this.#waiters) waiter.reject(this.#ended(waiter.pattern));
        this.#waiters.clear();
        resolve(this.#exit);
      });
    });
  }

  /**
   * Starts a program. `setpriv` ties its life to ours, so that not even a killed test run leaves it behind. It has a
   * session of its own: a Ctrl-C at our terminal is for us, who end it in order.
   */
  static async start(file: string, args: readonly string[], env?: NodeJS.ProcessEnv): Promise<LabProcess> {
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', file, ...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
      env: env ?? process.env,
    });
    child.stdin?.on('error', () => undefined);
    await once(child, 'spawn');
    if (child.pid === undefined) throw new Error(`${file}: started without a process id`);
    return new LabProcess([file, ...args].join(' '), child, child.pid);
  }

  get running(): boolean {
    return this.#exit === undefined;
  }

  /** Resolves with the first line, past or to come, that matches; rejects when the time is over or the process ends. */
  async waitFor(pattern: RegExp, timeoutMs = 10_000): Promise<RegExpExecArray> {
    for (const line of this.lines) {
      const match = pattern.exec(line);
      if (match) return match;
    }
    if (this.#exit) throw this.#ended(pattern);
    return new Promise((resolve, reject) => {
      const waiter: Waiter = { pattern, resolve, reject };
      const timer = setTimeout(() => {
        this.#waiters.delete(waiter);
        reject(new Error(`${this.command}: no line ${pattern} in ${timeoutMs} ms:\n${this.tail()}`));
      }, timeoutMs);
      waiter.resolve = (match) => {
        clearTimeout(timer);
        resolve(match);
      };
      waiter.reject = (error) => {
        clearTimeout(timer);
        reject(error);
      };
      this.#waiters.add(waiter);
    });
  }

  /** Calls back with every line to come. */
  onLine(listener: (line: string) => void): void {
    this.#lineListeners.add(listener);
  }

  /** Writes a line to the program's standard input. */
  write(line: string): void {
    this.#child.stdin?.write(`${line}\n`);
  }

  /** Sends a signal; nothing happens when the process has ended already. */
  kill(signal: NodeJS.Signals = 'SIGTERM'): void {
    if (this.running) this.#child.kill(signal);
  }

  /** Sends a signal that ends the process, and waits for the end. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<ProcessExit> {
    this.kill(signal);
    return this.exited;
  }

  /** The last lines, for messages. */
  tail(count = 20): string {
    return this.lines.slice(-count).join('\n');
  }

  #take(line: string): void {
    this.lines.push(line);
    for (const listener of this.#lineListeners) listener(line);
    for (const waiter of this.#waiters) {
      const match = waiter.pattern.exec(line);
      if (!match) continue;
      this.#waiters.delete(waiter);
      waiter.resolve(match);
    }
  }

  #ended(pattern: RegExp): Error {
    const { code, signal } = this.#exit ?? { code: null, signal: null };
    return new Error(`${this.command}: ended (${signal ?? code}) without a line ${pattern}:\n${this.tail()}`);
  }
}
