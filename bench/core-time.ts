/**
 * What a packet path costs: time of one core. The thread that sends is on it, and with it all softirqs that it raises; what
 * the kernel's own thread for softirqs, or a switch in user space, does for the path is added. What others do on the core
 * meanwhile is none of the path's. Where a kernel accounts for interrupts apart (CONFIG_IRQ_TIME_ACCOUNTING), a thread's time lacks
 * its softirqs: there the figures are wrong.
 */
import { readdirSync, readFileSync } from 'node:fs';
import koffi from 'koffi';

/** The core that packet rates are measured on. */
export const CORE = 1;

const libc = koffi.load('libc.so.6');
const sched_getaffinity = libc.func(
  'int sched_getaffinity(int pid, size_t size, _Out_ uint8_t *mask)',
) as unknown as (pid: number, size: number, mask: Uint8Array) => number;
const sched_setaffinity = libc.func(
  'int sched_setaffinity(int pid, size_t size, const uint8_t *mask)',
) as unknown as (pid: number, size: number, mask: Uint8Array) => number;
const sched_setscheduler = libc.func(
  'int sched_setscheduler(int pid, int policy, const int *priority)',
) as unknown as (pid: number, policy: number, priority: Int32Array) => number;
const [SCHED_OTHER, SCHED_FIFO] = [0, 1];
/** cpu_set_t of glibc. */
const MASK_BYTES = 128;

/** Runs `work` with the calling thread on the core. */
export function onCore<T>(work: () => T): T {
  const before = new Uint8Array(MASK_BYTES);
  const core = new Uint8Array(MASK_BYTES);
  core[CORE >> 3] = 1 << (CORE & 7);
  // The kernel answers how many bytes it has written.
  if (sched_getaffinity(0, MASK_BYTES, before) < 0) throw new Error('the affinity cannot be read');
  if (sched_setaffinity(0, MASK_BYTES, core) !== 0) throw new Error(`there is no core ${CORE}`);
  try {
    return work();
  } finally {
    sched_setaffinity(0, MASK_BYTES, before);
  }
}

/** Runs `work`, for less than a second, with nobody but the kernel taking the core from the calling thread. */
export function atFront<T>(work: () => T): T {
  const schedule = (policy: number, priority: number): void => {
    if (sched_setscheduler(0, policy, new Int32Array([priority])) !== 0)
      throw new Error('the thread may not choose how it is scheduled');
  };
  schedule(SCHED_FIFO, 1);
  try {
    return work();
  } finally {
    schedule(SCHED_OTHER, 0);
  }
}

/** Adds up time of the calling thread, the core's thread for softirqs, and all threads of other processes. */
export class CoreTime {
  readonly #others: readonly string[];

  constructor(pids: readonly number[]) {
    const processes = [softirqThread(), ...pids];
    this.#others = processes.flatMap((pid) =>
      readdirSync(`/proc/${pid}/task`).map((task) => `/proc/${pid}/task/${task}/schedstat`),
    );
  }

  /** Seconds since whenever. */
  read(): number {
    const { user, system } = process.threadCpuUsage();
    // The first figure of schedstat: nanoseconds on a core.
    const others = this.#others.map((path) => Number.parseInt(readFileSync(path, 'utf8'), 10));
    return (user + system) / 1e6 + others.reduce((sum, nanoseconds) => sum + nanoseconds, 0) / 1e9;
  }
}

function softirqThread(): number {
  const name = `ksoftirqd/${CORE}`;
  const pid = readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .find((entry) => commandOf(entry) === name);
  if (pid === undefined) throw new Error(`there is no ${name}`);
  return Number(pid);
}

/** Undefined when the process has just ended. */
function commandOf(pid: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return undefined;
  }
}
