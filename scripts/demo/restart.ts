/** The gateway's process is killed while tenants ping at 10 ms, stays away for a second, and is started again. */
import { FAR_ADDRESS } from '../../test/lab/internet.ts';
import type { LabProcess } from '../../test/lab/process.ts';
import type { Vm } from '../../test/lab/vm.ts';
import type { Stage } from './stage.ts';
import type { Row } from './table.ts';

const INTERVAL_MS = 10;
/** Answers that each ping must have had before the kill, between kill and start, and after the start. */
const ANSWERS = { before: 30, without: 100, after: 30 };

export async function killGateway({ tenants, gateway }: Stage): Promise<Row[]> {
  const pings = await Promise.all(tenants.map(({ machines: [vm] }) => SteadyPing.start(vm)));
  const answered = (count: number) => Promise.all(pings.map((ping) => ping.more(count)));
  await answered(ANSWERS.before);
  await gateway.kill('SIGKILL');
  const killed = performance.now();
  await answered(ANSWERS.without);
  const away = performance.now() - killed;
  await gateway.start();
  const startup = performance.now() - killed - away;
  await answered(ANSWERS.after);
  const rows: Row[] = [];
  for (const [index, ping] of pings.entries()) {
    const { sent, lost } = await ping.end();
    rows.push({
      what: `SIGKILL to the gateway costs ${tenants[index]?.title} no packet`,
      seen: `${lost} of ${sent} pings at ${INTERVAL_MS} ms lost`,
      ok: lost === 0,
    });
  }
  rows.push({
    what: 'The gateway comes back and finds its kernel state',
    seen: `${seconds(away)} without it; ready again ${seconds(startup)} after its start`,
    ok: true,
  });
  return rows;
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

  /** Waits for an answer to the request that comes `count` after the last one answered. */
  async more(count: number): Promise<void> {
    const target = Math.max(0, ...this.#answers()) + count;
    await this.#process.waitFor(new RegExp(`icmp_seq=${target} `));
  }

  /** Ends the ping. What was sent last may have had no time for its answer, and is not counted. */
  async end(): Promise<{ sent: number; lost: number }> {
    await this.#process.end('SIGINT');
    const answers = new Set(this.#answers());
    const sent = Math.max(0, ...answers);
    return { sent, lost: sent - answers.size };
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
