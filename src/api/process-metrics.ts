/** What the process itself takes: memory, time, files; and how long its event loop keeps others waiting. */
import { readdir, readFile } from 'node:fs/promises';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { family } from './exposition.ts';

const RESOLUTION_MS = 10;

export class ProcessMetrics {
  readonly #loop = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  readonly #started = Date.now() / 1000 - process.uptime();

  constructor() {
    this.#loop.enable();
  }

  close(): void {
    this.#loop.disable();
  }

  /** The delay of the event loop is of the time since text() was called before. */
  async text(): Promise<string> {
    const [files, limits] = await Promise.all([
      readdir('/proc/self/fd'),
      readFile('/proc/self/limits', 'utf8'),
    ]);
    const { user, system } = process.cpuUsage();
    const delay = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e9 - RESOLUTION_MS / 1e3);
    const isMeasured = this.#loop.count > 0;
    const delays: [name: string, help: string, value: number][] = [
      ['p99', '99th percentile of', isMeasured ? delay(this.#loop.percentile(99)) : 0],
      ['max', 'The longest', isMeasured ? delay(this.#loop.max) : 0],
    ];
    this.#loop.reset();
    const gauge = (name: string, help: string, value: number): string =>
      family(name, 'gauge', help, [[{}, value]]);
    return [
      family('process_cpu_seconds_total', 'counter', 'CPU time of the process.', [
        [{}, (user + system) / 1e6],
      ]),
      gauge('process_start_time_seconds', 'When the process began, Unix time.', this.#started),
      gauge('process_resident_memory_bytes', 'Resident memory of the process.', process.memoryUsage.rss()),
      gauge('process_open_fds', 'Open file descriptors.', files.length),
      gauge('process_max_fds', 'Most file descriptors that may be open.', mostFiles(limits)),
      ...delays.map(([name, help, value]) =>
        gauge(
          `nodejs_eventloop_lag_${name}_seconds`,
          `${help} delay of the event loop since the scrape before.`,
          value,
        ),
      ),
    ].join('');
  }
}

function mostFiles(limits: string): number {
  return Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? Number.NaN);
}
