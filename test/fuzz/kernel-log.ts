/** What the kernel complains of while something runs (/dev/kmsg). */
import { closeSync, constants, openSync, readSync } from 'node:fs';

const RECORD_BYTES = 8192;
/** KERN_WARNING. Above are notices and less. */
const WARNING = 4;
const FACILITY_BITS = 3;

export class KernelLog {
  readonly #fd = openSync('/dev/kmsg', constants.O_RDONLY | constants.O_NONBLOCK);
  readonly #record = Buffer.alloc(RECORD_BYTES);

  /** From now on. */
  constructor() {
    this.#read();
  }

  /** The kernel's own warnings and worse since the last call. */
  warnings(): string[] {
    return this.#read().flatMap((record) => {
      const [, priority = '0', text = ''] = /^(\d+),[^;]*;(.*)/.exec(record) ?? [];
      const isKernel = Number(priority) >> FACILITY_BITS === 0;
      return isKernel && Number(priority) <= WARNING ? [text] : [];
    });
  }

  close(): void {
    closeSync(this.#fd);
  }

  #read(): string[] {
    const records: string[] = [];
    for (;;) {
      try {
        const length = readSync(this.#fd, this.#record);
        records.push(this.#record.toString('utf8', 0, length));
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === 'EAGAIN') return records;
        // EPIPE: records were overwritten before they were read.
        if (code !== 'EPIPE') throw error;
      }
    }
  }
}
