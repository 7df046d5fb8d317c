/**
 * Kernel settings under /proc/sys. Those under `net/` are the current namespace's of the calling thread, so that they
 * can be used inside inNetns(); everything is synchronous for the same reason.
 */
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { HnvError } from '../errors.ts';

function pathOf(path: string): string {
  if (!/^[a-z0-9_-]+(\/[A-Za-z0-9_.@:-]+)+$/.test(path) || path.split('/').includes('..'))
    throw new HnvError('HNV_INTERNAL', `${JSON.stringify(path)} is not a sysctl path.`);
  return `/proc/sys/${path}`;
}

/** The value without its line end. `path` has slashes: `net/ipv4/ip_forward`. HNV_KERNEL_FEATURE when it is missing. */
export function readSysctl(path: string): string {
  try {
    return readFileSync(pathOf(path), 'utf8').replace(/\n$/, '');
  } catch (cause) {
    throw sysctlError(`read the kernel setting ${path}`, cause);
  }
}

/** Sets a value; as readSysctl(). */
export function writeSysctl(path: string, value: string): void {
  try {
    writeFileSync(pathOf(path), value);
  } catch (cause) {
    throw sysctlError(`set the kernel setting ${path} to ${value}`, cause);
  }
}

/** Settings of one folder by their names. */
export interface SettingFolder {
  read(name: string): string;
  write(name: string, value: string): void;
}

/**
 * Runs `use` with the settings of a folder, `net/ipv4/conf/eth0`, whose way the kernel looks up only once. Throws as
 * readSysctl().
 */
export function inFolder<T>(path: string, use: (folder: SettingFolder) => T): T {
  let fd: number;
  try {
    fd = openSync(pathOf(path), 'r');
  } catch (cause) {
    throw sysctlError(`open the kernel settings ${path}`, cause);
  }
  const file = (name: string): string => `/proc/self/fd/${fd}/${name}`;
  try {
    return use({
      read(name) {
        try {
          return readFileSync(file(name), 'utf8').replace(/\n$/, '');
        } catch (cause) {
          throw sysctlError(`read the kernel setting ${path}/${name}`, cause);
        }
      },
      write(name, value) {
        try {
          writeFileSync(file(name), value);
        } catch (cause) {
          throw sysctlError(`set the kernel setting ${path}/${name} to ${value}`, cause);
        }
      },
    });
  } finally {
    closeSync(fd);
  }
}

function sysctlError(operation: string, cause: unknown): HnvError {
  if (cause instanceof HnvError) return cause;
  const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
  const message = `Cannot ${operation}: ${(cause as Error).message}`;
  return new HnvError(missing ? 'HNV_KERNEL_FEATURE' : 'HNV_INTERNAL', message, { cause });
}
