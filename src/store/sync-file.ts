/** Waits for the disk. */
import { closeSync, fsyncSync, openSync } from 'node:fs';

/** Returns when what a file has, or which files a folder has, stays whatever happens to the machine. */
export function syncFile(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
