/**
 * Work inside another network namespace, synchronously on the calling thread, and what named namespaces there are
 * (/run/netns, as `ip netns` keeps them). Invariant: when inNetns() returns or throws, the thread is back in the
 * namespace of the process; a process that cannot get back is aborted, because it would act on the wrong tenant.
 */

import { closeSync, openSync, readdirSync, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import koffi from 'koffi';
import { HnvError } from '../errors.ts';
import { errnoText } from './libbpf.ts';

const DIRECTORY = '/run/netns';
const CLONE_NEWNET = 0x40000000;
/** statfs(2) type of a namespace file. */
const NSFS_MAGIC = 0x6e736673;

const libc = koffi.load('libc.so.6');
const setns = libc.func('int setns(int fd, int nstype)') as unknown as (fd: number, type: number) => number;
const unshare = libc.func('int unshare(int flags)') as unknown as (flags: number) => number;

/** This thread's own namespace, held open from the start. Each thread has its own instance of this module. */
const home = openSync('/proc/thread-self/ns/net', 'r');
let inside: string | undefined;

/** The file of the named namespace, whether it is there or not. Throws HNV_NETNS when the name is none. */
export function netnsPath(name: string): string {
  if (name === '' || name === '.' || name === '..' || name.includes('/') || name.includes('\0'))
    throw new HnvError('HNV_NETNS', `${JSON.stringify(name)} is not the name of a network namespace.`);
  return join(DIRECTORY, name);
}

/**
 * Runs `fn` with the calling thread in the named namespace and returns what it returns. `fn` must do all its work
 * before it returns: a Promise is refused, because its continuation would run in the process's own namespace. Not
 * to be nested.
 */
export function inNetns<T>(name: string, fn: () => T): T {
  const path = netnsPath(name);
  refuseNesting(name);
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (cause) {
    throw new HnvError('HNV_NETNS', `There is no network namespace ${name}.`, { cause });
  }
  try {
    return within(name, () => setns(fd, CLONE_NEWNET), fn);
  } finally {
    closeSync(fd);
  }
}

/** As inNetns(), in a namespace that has only just been made and is gone, with all that is in it, after `fn`. */
export function inNewNetns<T>(fn: () => T): T {
  refuseNesting('a new namespace');
  return within('a new namespace', () => unshare(CLONE_NEWNET), fn);
}

function refuseNesting(name: string): void {
  if (inside !== undefined)
    throw new HnvError(
      'HNV_NETNS',
      `Cannot enter ${name} from within ${inside}: namespaces do not nest here.`,
    );
}

function within<T>(name: string, enter: () => number, fn: () => T): T {
  if (enter() !== 0) throw new HnvError('HNV_NETNS', `Cannot enter ${name}: ${errnoText(koffi.errno())}`);
  inside = name;
  let result: T;
  try {
    result = fn();
  } finally {
    if (setns(home, CLONE_NEWNET) !== 0) process.abort();
    inside = undefined;
  }
  if (isThenable(result)) {
    // Its rejection, if any, is ours to absorb: the caller gets the error below instead.
    Promise.resolve(result).catch(() => undefined);
    throw new HnvError('HNV_NETNS', `What runs in ${name} must be synchronous.`);
  }
  return result;
}

function isThenable(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}

/** Names of all named namespaces that begin with `prefix`, sorted, with those whose creation was cut short. */
export function netnsNames(prefix: string): string[] {
  try {
    return readdirSync(DIRECTORY)
      .filter((name) => name.startsWith(prefix))
      .sort();
  } catch (error) {
    // `ip netns` makes the directory with the first namespace.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw new HnvError('HNV_NETNS', `Cannot list the network namespaces in ${DIRECTORY}.`, { cause: error });
  }
}

/** Whether there is a namespace of that name; a bare file, left by a creation that was cut short, is none. */
export function netnsExists(name: string): boolean {
  try {
    return statfsSync(netnsPath(name)).type === NSFS_MAGIC;
  } catch (error) {
    if (error instanceof HnvError) throw error;
    return false;
  }
}

/** The inode number that identifies the namespace as long as it lives. */
export function netnsInode(name: string): bigint {
  if (!netnsExists(name)) throw new HnvError('HNV_NETNS', `There is no network namespace ${name}.`);
  return statSync(netnsPath(name), { bigint: true }).ino;
}
