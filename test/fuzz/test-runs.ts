/**
 * BPF_PROG_TEST_RUN for millions of frames: as src/linux/test-run.ts, without allocating anything for each. The calling
 * thread must be in the namespace of the interface.
 */
import { constants } from 'node:os';
import type { BpfProgram } from '../../src/linux/bpf-object.ts';
import {
  bpf_prog_test_run_opts,
  bpfError,
  type TestRunOptions,
  testRunOptionsSize,
} from '../../src/linux/libbpf.ts';

const { EINTR, EAGAIN, EINVAL } = constants.errno;
/** struct __sk_buff: its size, and where the fields are that a frame arrives with. */
const SKB = { size: 192, mark: 8, ingressIfindex: 36, ifindex: 40, control: 48 } as const;

export interface Arrival {
  ifindex: number;
  mark: number;
  /** Words of skb->cb. */
  control: readonly number[];
}

export class TestRuns {
  readonly #context = Buffer.alloc(SKB.size);
  readonly #options: TestRunOptions = {
    sz: testRunOptionsSize,
    data_in: null,
    data_out: null,
    data_size_in: 0,
    data_size_out: 0,
    ctx_in: this.#context,
    ctx_out: null,
    ctx_size_in: SKB.size,
    ctx_size_out: 0,
    retval: 0,
    repeat: 1,
    duration: 0,
    flags: 0,
    cpu: 0,
    batch_size: 0,
  };

  /** What the program returns for the first `size` bytes; undefined when the kernel does not take them as a frame. */
  run(program: BpfProgram, frame: Buffer, size: number, arrival: Arrival): number | undefined {
    const { ifindex, mark, control } = arrival;
    this.#context.writeUInt32LE(mark, SKB.mark);
    this.#context.writeUInt32LE(ifindex, SKB.ingressIfindex);
    this.#context.writeUInt32LE(ifindex, SKB.ifindex);
    for (let word = 0; word < 4; word++)
      this.#context.writeUInt32LE(control[word] ?? 0, SKB.control + 4 * word);
    const options = this.#options;
    options.data_in = frame;
    options.data_size_in = size;
    for (;;) {
      // What the run before filled in.
      options.data_size_out = options.ctx_size_out = 0;
      const error = bpf_prog_test_run_opts(program.fd, options);
      if (error === -EINTR || error === -EAGAIN) continue;
      if (error === -EINVAL) return undefined;
      if (error < 0) throw bpfError(`test run of program ${program.name}`, error);
      return options.retval | 0;
    }
  }
}
