/** Reads the records that eBPF programs write to a ring buffer, off the main thread. */
import { closeSync } from 'node:fs';
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { HnvError } from '../errors.ts';
import type { BpfMap } from './bpf-map.ts';
import { bpf_map_get_fd_by_id, bpfError } from './libbpf.ts';
import type { RingBufferWorkerData, RingBufferWorkerMessage } from './ring-buffer-worker.ts';

const BPF_MAP_TYPE_RINGBUF = 27;

export class RingBufferReader {
  readonly #worker: Worker;
  readonly #exited: Promise<void>;

  /**
   * Starts to read; `onRecords` gets the records in the order of the buffer, each in memory of its own. While
   * it runs no others are read. The reader alone does not keep the process alive. `map` may be closed meanwhile.
   */
  constructor(map: BpfMap, onRecords: (records: Uint8Array[]) => void) {
    if (map.type !== BPF_MAP_TYPE_RINGBUF)
      throw new HnvError('HNV_BPF', `Map ${map.name} is not a ring buffer.`);
    const fd = bpf_map_get_fd_by_id(map.id);
    if (fd < 0) throw bpfError(`open the ring buffer ${map.name}`, fd);
    // Source (.ts) and build (.js) keep the two files side by side.
    const file = new URL(`./ring-buffer-worker${extname(import.meta.url)}`, import.meta.url);
    const workerData: RingBufferWorkerData = { fd };
    this.#worker = new Worker(file, { workerData, name: `ring ${map.name}` });
    this.#worker.on('message', (records: Uint8Array[]) => {
      try {
        onRecords(records);
      } finally {
        this.#tell('next');
      }
    });
    this.#exited = new Promise((resolve) => {
      this.#worker.once('exit', () => {
        closeSync(fd);
        resolve();
      });
    });
    this.#worker.unref();
  }

  /** Stops reading; records that were read before are still delivered. Settles when the thread has ended. */
  async close(): Promise<void> {
    this.#worker.ref();
    this.#tell('close');
    await this.#exited;
  }

  #tell(message: RingBufferWorkerMessage): void {
    this.#worker.postMessage(message);
  }
}
