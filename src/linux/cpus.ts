/** The CPUs that the kernel has at work. */
import { readFileSync } from 'node:fs';

const ONLINE = '/sys/devices/system/cpu/online';

/** Their numbers, of which some may be missing in between. */
export function onlineCpus(): number[] {
  return parseCpuList(readFileSync(ONLINE, 'utf8'));
}

/** Of the kernel's list of CPUs, as `0-3,8`. */
export function parseCpuList(list: string): number[] {
  return list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}
