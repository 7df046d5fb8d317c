/** The gateway's process is killed while tenants ping at 10 ms, stays away for a second, and is started again. */
import { stat } from 'node:fs/promises';
import { contextNames } from '../../src/gateway/names.ts';
import { FAR_ADDRESS } from '../../test/lab/internet.ts';
import type { LabProcess } from '../../test/lab/process.ts';
import { until } from '../../test/lab/until.ts';
import type { Vm } from '../../test/lab/vm.ts';
import type { Stage } from './stage.ts';
import type { Row } from './table.ts';

const INTERVAL_MS = 10;
/** Answers that each ping must have had before the kill, between kill and start, and after the start. */
const ANSWERS = { before: 30, without: 100, after: 30 };

export async function killGateway({ tenants, gateway }: Stage): Promise<Row[]> {
  const contexts = tenants.map(({ rdid }) => contextNames(gateway.instance, rdid).netns);
  const before = await Promise.all(contexts.map(identity));
  const pings = await Promise.all(tenants.map(({ machines: [vm] }) => SteadyPing.start(vm)));
  const answered = (count: number) => Promise.all(pings.map((ping) => ping.more(count)));
  await answered(ANSWERS.before);
  await gateway.kill('SIGKILL');
  const killed = performance.now();
  await answered(ANSWERS.without);
  const started = performance.now();
  await gateway.start();
  const ready = performance.now();
  await answered(ANSWERS.after);

  const rows: Row[] = [];
  for (const [index, ping] of pings.entries()) {
    const { sent, lost, intervalMs } = await ping.end();
    rows.push({
      what: `SIGKILL to the gateway costs ${tenants[index]?.title} no packet`,
      seen: `${lost} of ${sent} pings lost, one each ${intervalMs.toFixed(0)} ms`,
      ok: lost === 0,
    });
  }
  const after = await Promise.all(contexts.map(identity));
  const same = after.filter((inode, index) => inode === before[index]).length;
  rows.push({
    what: 'The restarted gateway keeps the contexts',
    seen: `${same} of ${contexts.length}, after ${seconds(started - killed)} without it; ready in ${seconds(ready - started)}`,
    ok: same === contexts.length,
  });
  return rows;
}

/** A namespace's inode, which no other one has while it lives. */
async function identity(netns: string): Promise<number> {
  return (await stat(`/run/netns/${netns}`)).ino;
}

/** A ping that runs until it is ended. */
class SteadyPing {
  readonly #process: LabProcess;

  private constructor(process: LabProcess) {
    this.#process = process;
  }

  static async start(vm: Vm): Promise<SteadyPing> {
    const args = ['ping', '-n', '-i', `${INTERVAL_MS / 1000}`, FAR_ADDRESS];
    return new SteadyPing(await vm.namespace.spawn(args));
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
  async end(): Promise<{ sent: number; lost: number; intervalMs: number }> {
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

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
