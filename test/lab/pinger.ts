/** Pings without end, a hundred times a second, and tells when answers came: how long something was away. */
import type { Namespace } from './namespace.ts';
import type { LabProcess } from './process.ts';
import { until } from './until.ts';

const INTERVAL_MS = 10;
/** An answer may be as many others behind. */
const UNDER_WAY = 10;
const REPLY = /^\[(\d+\.\d+)\] \d+ bytes from .* icmp_seq=(\d+) /;

export interface PingerResult {
  sent: number;
  received: number;
  /** Numbers, from 1, of those without an answer, the newest ones aside, which may be on their way still. */
  lost: number[];
  /** Longest time between two answers, milliseconds. */
  longestGap: number;
}

export class Pinger {
  readonly address: string;
  readonly #process: LabProcess;
  /** Milliseconds since the epoch at which answers came. */
  readonly #replies: number[] = [];
  readonly #answered = new Set<number>();

  private constructor(address: string, process: LabProcess) {
    this.address = address;
    this.#process = process;
    for (const line of process.lines) this.#take(line);
    process.onLine((line) => this.#take(line));
  }

  static async start(namespace: Namespace, address: string): Promise<Pinger> {
    const args = ['ping', '-n', '-D', '-i', `${INTERVAL_MS / 1_000}`, address];
    return new Pinger(address, await namespace.spawn(args));
  }

  /** Starts it, and waits until it is answered. */
  static async answered(namespace: Namespace, address: string): Promise<Pinger> {
    const pinger = await Pinger.start(namespace, address);
    await pinger.answerAfter(0);
    return pinger;
  }

  /** Waits for an answer that came later than `time` (Date.now()); by how many milliseconds it was later. */
  async answerAfter(time: number, timeoutMs = 10_000): Promise<number> {
    const what = `${this.#process.command} is answered`;
    const reply = await until(what, timeoutMs, () => this.#replies.find((at) => at > time)).catch(
      (error: unknown) => {
        throw new Error(`${what}: no\n${this.#process.tail(5)}`, { cause: error });
      },
    );
    return reply - time;
  }

  /** Ends it. */
  async stop(): Promise<PingerResult> {
    await this.#process.end('SIGINT');
    const summary = /(\d+) packets transmitted, (\d+) received/.exec(this.#process.tail(5));
    if (!summary) throw new Error(`${this.#process.command}: ${this.#process.tail(5)}`);
    let longestGap = 0;
    for (const [index, at] of this.#replies.entries())
      longestGap = Math.max(longestGap, at - (this.#replies[index - 1] ?? at));
    const settled = Math.max(0, ...this.#answered) - UNDER_WAY;
    const lost = Array.from({ length: Math.max(0, settled) }, (_, index) => index + 1).filter(
      (number) => !this.#answered.has(number),
    );
    return {
      ...{ sent: Number(summary[1]), received: Number(summary[2]), lost },
      longestGap: Math.round(longestGap),
    };
  }

  #take(line: string): void {
    const reply = REPLY.exec(line);
    if (!reply) return;
    this.#replies.push(Number(reply[1]) * 1_000);
    this.#answered.add(Number(reply[2]));
  }
}
