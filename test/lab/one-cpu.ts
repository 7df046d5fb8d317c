/**
 * Keeps a test on one CPU. What it sends over a veth is received by the CPU that sends it, and a flow is fast on the CPU that has
 * learned it.
 */
import koffi from 'koffi';

const libc = koffi.load('libc.so.6');
const getcpu = libc.func('int sched_getcpu()');
const setaffinity = libc.func('int sched_setaffinity(int pid, size_t size, const void *mask)');
const CPU_SET_BYTES = 128;

/** The calling thread, and what it starts from now on. */
export function stayOnThisCpu(): void {
  const cpu = Number(getcpu());
  const mask = Buffer.alloc(CPU_SET_BYTES);
  mask[cpu >> 3] = 1 << (cpu & 7);
  if (setaffinity(0, mask.length, mask) !== 0) throw new Error(`sched_setaffinity: errno ${koffi.errno()}`);
}
