/**
 * The thread that reads one eBPF ring buffer for RingBufferReader. It sends a batch of records and waits until the main
 * thread asks for the next, so that a busy main thread leaves the records in the kernel's buffer, which is bounded.
 */

import { parentPort, workerData } from 'node:worker_threads';
import koffi from 'koffi';
import {
  bpfError,
  type Pointer,
  ring_buffer__consume,
  ring_buffer__epoll_fd,
  ring_buffer__free,
  ring_buffer__new,
} from './libbpf.ts';

/** What the worker is started with; `fd`, of the ring buffer map, must stay open until the worker has ended. */
export interface RingBufferWorkerData {
  fd: number;
}

/** What the worker is told: the batch is done with, or stop. */
export type RingBufferWorkerMessage = 'next' | 'close';

const BATCH_RECORDS = 1024;
/** Any negative number ends a consume; the record that it is returned for counts as read. */
const BATCH_IS_FULL = -1;

if (parentPort === null) throw new Error('ring-buffer-worker runs as a worker thread only.');
const port = parentPort;
const { fd } = workerData as RingBufferWorkerData;

let batch: Uint8Array[] = [];
const onSample = koffi.register((_context: null, data: Pointer, size: number | bigint): number => {
  // A copy: the record is the kernel's again when this returns.
  batch.push(new Uint8Array(koffi.view(data, Number(size))).slice());
  return batch.length < BATCH_RECORDS ? 0 : BATCH_IS_FULL;
}, 'ring_buffer_sample_fn *');
const ring = ring_buffer__new(fd, onSample, null, null);
if (ring === null) throw bpfError('open a ring buffer', koffi.errno());

function onReadable(): void {
  ring_buffer__consume(ring as Pointer);
  if (batch.length === 0) return;
  poll.stop();
  port.postMessage(
    batch,
    batch.map((record) => record.buffer as ArrayBuffer),
  );
  batch = [];
}

const poll = koffi.node.poll(ring_buffer__epoll_fd(ring), { readable: true }, onReadable);

port.on('message', (message: RingBufferWorkerMessage) => {
  if (message === 'next') {
    poll.start({ readable: true }, onReadable);
    return;
  }
  poll.close();
  ring_buffer__free(ring);
  koffi.unregister(onSample);
  port.close();
});
