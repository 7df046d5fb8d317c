/**
 * Runs a program to its end, fed from a file in memory and read from others; or starts one that outlives this process. Not by node's
 * spawn(), which forks: to copy the page tables of a process of some hundred megabytes takes longer than `ip` takes for its
 * work. posix_spawn(3) lends the program the memory until it has its own.
 */
import { closeSync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import koffi from 'koffi';
import { HnvError } from '../errors.ts';
import { ownTurn } from '../own-turn.ts';
import { errnoText } from './libbpf.ts';

const libc = koffi.load('libc.so.6');
const posix_spawnp = libc.func(
  'int posix_spawnp(_Out_ int *pid, const char *file, const void *actions, const void *attributes, const char **argv, const char **envp)',
) as unknown as (
  pid: [number],
  file: string,
  actions: Uint8Array,
  attributes: Uint8Array,
  argv: readonly (string | null)[],
  envp: readonly (string | null)[],
) => number;
const memfd_create = libc.func('int memfd_create(const char *name, unsigned int flags)') as unknown as (
  name: string,
  flags: number,
) => number;
const prepare = <F>(prototype: string): F => libc.func(prototype) as unknown as F;
const actionsInit = prepare<(actions: Uint8Array) => number>(
  'int posix_spawn_file_actions_init(void *actions)',
);
const actionsDestroy = prepare<(actions: Uint8Array) => number>(
  'int posix_spawn_file_actions_destroy(void *actions)',
);
const addDup2 = prepare<(actions: Uint8Array, fd: number, as: number) => number>(
  'int posix_spawn_file_actions_adddup2(void *actions, int fd, int as)',
);
/** Of glibc since 2.34. */
const addCloseFrom = prepare<(actions: Uint8Array, first: number) => number>(
  'int posix_spawn_file_actions_addclosefrom_np(void *actions, int first)',
);
const attributesInit = prepare<(attributes: Uint8Array) => number>(
  'int posix_spawnattr_init(void *attributes)',
);
const setFlags = prepare<(attributes: Uint8Array, flags: number) => number>(
  'int posix_spawnattr_setflags(void *attributes, short flags)',
);
const setDefaultSignals = prepare<(attributes: Uint8Array, signals: Uint8Array) => number>(
  'int posix_spawnattr_setsigdefault(void *attributes, const void *signals)',
);
const fcntl = libc.func('int fcntl(int fd, int command, int argument)') as unknown as (
  fd: number,
  command: number,
  argument: number,
) => number;
const waitpid = libc.func('int waitpid(int pid, _Out_ int *status, int options)') as unknown as {
  (pid: number, status: [number], options: number): number;
  async(
    pid: number,
    status: [number],
    options: number,
    done: (error: Error | null, answer: number) => void,
  ): void;
};

const MFD_CLOEXEC = 1;
const POSIX_SPAWN_SETSIGDEF = 4;
const POSIX_SPAWN_SETSIGMASK = 8;
const POSIX_SPAWN_SETSID = 0x80;
const MFD_ALLOW_SEALING = 2;
const F_ADD_SEALS = 1033;
const F_SEAL_GROW = 4;
const WNOHANG = 1;
/** More than glibc's structures have on any architecture. */
const STRUCTURE = 1024;
const SIGNAL_SET = 128;
/** One of libuv's four threads waits for each; one is for the others who need them. */
const AT_ONCE = 3;
/** waitpid() that a signal interrupts is repeated. */
const INTERRUPTIONS = 20;

/** What node leaves otherwise than a program expects it, SIGPIPE above all, is as it should be; no signal is blocked. */
const ownAttributes = spawnAttributes(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
const detachedAttributes = spawnAttributes(
  POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID,
);
/** What is kept of the messages of a program that goes on, bytes. */
const FIRST_WORDS = 16_384;

let running = 0;
const waiting: (() => void)[] = [];

export interface Outcome {
  /** Undefined when a signal has ended it. */
  status: number | undefined;
  stdout: string;
  stderr: string;
}

/**
 * Runs the program and resolves when it has ended; `within` may do what must be true when it begins. Rejects with
 * HNV_INTERNAL when it cannot be started.
 */
export async function runProgram(
  file: string,
  args: readonly string[],
  input: string,
  within: <T>(start: () => T) => T = (start) => start(),
): Promise<Outcome> {
  if (running >= AT_ONCE) await new Promise<void>((resolve) => waiting.push(resolve));
  else running++;
  const files: number[] = [];
  try {
    for (let i = 0; i < 3; i++) files.push(memoryFile());
    const [stdin = -1, stdout = -1, stderr = -1] = files;
    const content = Buffer.from(input);
    // With a position, which leaves that of the descriptor at the beginning.
    for (let at = 0; at < content.length; ) at += writeSync(stdin, content, at, content.length - at, at);
    await ownTurn();
    const status = await ended(within(() => start(file, args, files)));
    return { status, stdout: contentOf(stdout), stderr: contentOf(stderr) };
  } finally {
    for (const fd of files) closeSync(fd);
    const next = waiting.shift();
    if (next === undefined) running--;
    else next();
  }
}

/** A program that goes on when this process ends. */
export interface Detached {
  pid: number;
  /** The first 16 KiB of what it has written to its standard error so far. */
  firstWords(): string;
  /** Ends the reading; nothing changes for the program. */
  release(): void;
}

/**
 * Starts a program in a session of its own, with nothing of this process but the standard error, which goes to a file in
 * memory that cannot grow; throws HNV_INTERNAL when it cannot be started. Who starts it reaps it, see reap().
 */
export function startDetached(
  file: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
  within: <T>(start: () => T) => T,
): Detached {
  const nothing = openSync('/dev/null', 'r+');
  const words = memoryFile(MFD_ALLOW_SEALING);
  try {
    ftruncateSync(words, FIRST_WORDS);
    if (fcntl(words, F_ADD_SEALS, F_SEAL_GROW) !== 0)
      throw new HnvError('HNV_INTERNAL', `fcntl: ${errnoText(koffi.errno())}`);
    const pid = within(() => start(file, args, [nothing, nothing, words], environment, detachedAttributes));
    return {
      pid,
      firstWords: () => contentOf(words).replace(/\0.*/s, ''),
      release: () => closeSync(words),
    };
  } catch (error) {
    closeSync(words);
    throw error;
  } finally {
    closeSync(nothing);
  }
}

/** Takes a child of this process that has ended from the kernel's table; nothing happens when it goes on or is none. */
export function reap(pid: number): void {
  waitpid(pid, [0], WNOHANG);
}

function memoryFile(flags = 0): number {
  const fd = memfd_create('hnvgw', MFD_CLOEXEC | flags);
  if (fd < 0) throw new HnvError('HNV_INTERNAL', `memfd_create: ${errnoText(koffi.errno())}`);
  return fd;
}

function contentOf(fd: number): string {
  const content = Buffer.alloc(fstatSync(fd).size);
  let length = 0;
  while (length < content.length) {
    const read = readSync(fd, content, length, content.length - length, length);
    if (read === 0) break;
    length += read;
  }
  return content.toString('utf8', 0, length);
}

/** Its process id. `files` become its first descriptors, and it has no others. */
function start(
  file: string,
  args: readonly string[],
  files: readonly number[],
  variables: Readonly<Record<string, string | undefined>> = process.env,
  attributes: Uint8Array = ownAttributes,
): number {
  const environment = Object.entries(variables).map(([name, value]) => `${name}=${value}`);
  const actions = Buffer.alloc(STRUCTURE);
  actionsInit(actions);
  try {
    for (const [as, fd] of files.entries()) addDup2(actions, fd, as);
    // Those that this process was given itself, by a shell or systemd, go on to every program.
    addCloseFrom(actions, files.length);
    const pid: [number] = [0];
    const errno = posix_spawnp(pid, file, actions, attributes, [file, ...args, null], [...environment, null]);
    if (errno !== 0)
      throw new HnvError('HNV_INTERNAL', `The program ${file} cannot be started: ${errnoText(errno)}`);
    return pid[0];
  } finally {
    actionsDestroy(actions);
  }
}

function spawnAttributes(flags: number): Uint8Array {
  const attributes = Buffer.alloc(STRUCTURE);
  attributesInit(attributes);
  setDefaultSignals(attributes, Buffer.alloc(SIGNAL_SET, 0xff));
  setFlags(attributes, flags);
  return attributes;
}

/** Its exit status, when it has ended; a thread of the pool waits for that. */
function ended(pid: number): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const status: [number] = [0];
    let tries = INTERRUPTIONS;
    const wait = (): void =>
      waitpid.async(pid, status, 0, (error, answer) => {
        if (answer === pid) resolve((status[0] & 0x7f) === 0 ? (status[0] >> 8) & 0xff : undefined);
        else if (error === null && tries-- > 0) wait();
        else reject(error ?? new HnvError('HNV_INTERNAL', `Process ${pid} cannot be waited for.`));
      });
    wait();
  });
}
