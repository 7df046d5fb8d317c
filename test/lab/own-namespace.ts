/**
 * Imported first, puts the thread that imports it, and all that it starts from then on, into a network namespace of its
 * own: for tests of code that works in the namespace of its process. The namespace ends with the process.
 */
import koffi from 'koffi';

const CLONE_NEWNET = 0x40000000;

const unshare = koffi.load('libc.so.6').func('int unshare(int flags)') as unknown as (
  flags: number,
) => number;
if (unshare(CLONE_NEWNET) !== 0) throw new Error(`unshare: errno ${koffi.errno()}`);
