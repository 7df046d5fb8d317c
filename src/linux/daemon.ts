/**
 * Processes that go on when this one ends, and are found again by the next. A process id may be given again; with the time of its
 * start it is one process. A note in a file tells which it is.
 */
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { reap } from './child-process.ts';
import { netnsPath } from './netns.ts';

export interface Daemon {
  pid: number;
  /** Clock ticks since boot. */
  startTime: string;
}

/** How long a signal may take. */
const END_MS = 2_000;
const LOOK_MS = 10;

/** Undefined when there is no such process. */
export function daemonOf(pid: number): Daemon | undefined {
  const startTime = statusOf(pid)?.startTime;
  return startTime === undefined ? undefined : { pid, startTime };
}

/** To be called before a start: a note without a process, which a gateway that is killed before noteDaemon() leaves. */
export function noteStart(file: string): void {
  writeFileSync(file, '', { mode: 0o600 });
}

export function noteDaemon(file: string, { pid, startTime }: Daemon): void {
  writeFileSync(file, `${pid} ${startTime}\n`, { mode: 0o600 });
}

/** The one that the note is of, while it lives; when the note is without one, the one that `isIt` of all that there are. */
export function findDaemon(note: string, isIt: (pid: number) => boolean): Daemon | undefined {
  const text = textOf(note);
  if (text === undefined) return undefined;
  const [pid, startTime] = text.trim().split(' ');
  if (pid !== undefined && startTime !== undefined) {
    const noted = { pid: Number(pid), startTime };
    return isAlive(noted) ? noted : undefined;
  }
  const found = readdirSync('/proc').find((name) => /^\d+$/.test(name) && isIt(Number(name)));
  return found === undefined ? undefined : daemonOf(Number(found));
}

/** A child of ours that has ended is taken from the kernel's table. */
export function isAlive({ pid, startTime }: Daemon): boolean {
  const status = statusOf(pid);
  if (status?.startTime !== startTime) return false;
  if (!status.hasEnded) return true;
  reap(pid);
  return false;
}

/** Sends it one signal, and if it lives on for 2 s, the next. Resolves to whether it has ended. */
export async function endDaemon(
  daemon: Daemon,
  signals: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGKILL'],
): Promise<boolean> {
  for (const signal of signals) {
    const latest = performance.now() + END_MS;
    if (isAlive(daemon)) process.kill(daemon.pid, signal);
    while (isAlive(daemon) && performance.now() < latest) await delay(LOOK_MS);
  }
  return !isAlive(daemon);
}

/** Whether it is in that network namespace, of which the name may be of another by now; undefined: the node's own. */
export function isInNetns({ pid }: Daemon, name: string | undefined): boolean {
  const inode = (file: string): bigint | undefined =>
    statSync(file, { bigint: true, throwIfNoEntry: false })?.ino;
  return inode(`/proc/${pid}/ns/net`) === inode(name === undefined ? '/proc/self/ns/net' : netnsPath(name));
}

/** From /proc/PID/stat (proc(5)); undefined when there is no such process. */
function statusOf(pid: number): { startTime: string; hasEnded: boolean } | undefined {
  const stat = textOf(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  // The second field is the program's name, in parentheses and with whatever is in it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, threads, startTime = ''] = [fields[0], fields[17], fields[19]];
  // The first thread may have ended before the others, which still have its links and sockets.
  return { startTime, hasEnded: (state === 'Z' || state === 'X') && Number(threads) <= 1 };
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
