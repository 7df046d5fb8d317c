/** A ping that runs until it is ended: what a trial does meanwhile must cost it nothing. */
import type { Namespace } from '../../test/lab/namespace.ts';
import type { LabProcess } from '../../test/lab/process.ts';
import { until } from '../../test/lab/until.ts';

const INTERVAL_MS = 10;
/** Answers that show that a ping goes on. */
const ENOUGH = 5;

export interface PingLoss {
  sent: number;
  lost: number;
  /** Between two requests, as it really was. */
  intervalMs: number;
}

export class SteadyPing {
  readonly #process: LabProcess;

  private constructor(process: LabProcess) {
    this.#process = process;
  }

  static async start(namespace: Namespace, address: string): Promise<SteadyPing> {
    return new SteadyPing(await namespace.spawn(['ping', '-n', '-i', `${INTERVAL_MS / 1000}`, address]));
  }

  /** Waits for the answer to a request that is at least `count` after the last one answered. */
  async more(count: number): Promise<void> {
    const target = this.#lastAnswered() + count;
    await until(`answer ${target} of a ping`, 10_000, () => {
      if (!this.#process.running) throw new Error(`ping ended:\n${this.#process.tail()}`);
      return this.#lastAnswered() >= target;
    });
  }

  /** Ends the ping. What was sent last may have had no time for its answer, and is not counted. */
  async end(): Promise<PingLoss> {
    await this.#process.end('SIGINT');
    const answers = new Set(this.#answers());
    const sent = this.#lastAnswered();
    // The kernel's timer makes a ping slower than it was told to be.
    const [, count, ms] = await this.#process.waitFor(/^(\d+) packets transmitted.* time (\d+)ms/);
    return { sent, lost: sent - answers.size, intervalMs: Number(ms) / (Number(count) - 1) };
  }

  #lastAnswered(): number {
    return Math.max(0, ...this.#answers());
  }

  #answers(): number[] {
    return this.#process.lines.flatMap((line) => {
      const match = /^\d+ bytes from .* icmp_seq=(\d+) /.exec(line);
      return match ? [Number(match[1])] : [];
    });
  }
}

/** What a ping loses while `work` goes on: it has had answers before, and has some afterwards. */
export async function lossDuring<T>(
  namespace: Namespace,
  address: string,
  work: () => Promise<T>,
): Promise<[T, PingLoss]> {
  const ping = await SteadyPing.start(namespace, address);
  await ping.more(ENOUGH);
  const result = await work();
  await ping.more(ENOUGH);
  return [result, await ping.end()];
}

/** How many were lost, in words. */
export function lossText({ sent, lost, intervalMs }: PingLoss): string {
  return `${lost} of ${sent} pings lost, one each ${intervalMs.toFixed(0)} ms`;
}
