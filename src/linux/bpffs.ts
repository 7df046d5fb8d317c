/** The file system that pins live in. */
import { execFileSync } from 'node:child_process';
import { statfsSync } from 'node:fs';
import { HnvError } from '../errors.ts';

export const BPFFS = '/sys/fs/bpf';
/** statfs(2) type of bpffs. */
const BPF_FS_MAGIC = 0xcafe4a11;

/** Whether bpffs is mounted at its usual place. */
export function bpffsMounted(): boolean {
  try {
    return statfsSync(BPFFS).type === BPF_FS_MAGIC;
  } catch {
    return false;
  }
}

/** Mounts bpffs on /sys/fs/bpf, unless it is there. Needs root. */
export function ensureBpffs(): void {
  if (bpffsMounted()) return;
  try {
    execFileSync('mount', ['-t', 'bpf', '-o', 'nosuid,nodev,noexec,mode=700', 'bpf', BPFFS], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
  } catch (cause) {
    throw new HnvError('HNV_KERNEL_FEATURE', `bpffs cannot be mounted on ${BPFFS}.`, { cause });
  }
}
