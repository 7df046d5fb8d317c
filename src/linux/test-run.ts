/** Runs a loaded eBPF program on a packet of the caller's (BPF_PROG_TEST_RUN), without any interface. */
import { constants } from 'node:os';
import type { BpfProgram } from './bpf-program.ts';
import { bpf_prog_test_run_opts, bpfError, type TestRunOptions, testRunOptionsSize } from './libbpf.ts';

const { EINTR } = constants.errno;
const BPF_F_TEST_XDP_LIVE_FRAMES = 2;
/** Live packets of one system call: what a signal that interrupts it can make us send twice. */
const LIVE_SLICE = 65536;
/** Room for what a program may make of a packet: the longest IP packet and its frame header. */
const OUTPUT_BYTES = 65536 + 64;

export interface TestRunInput {
  /** The packet, from its Ethernet header; at least 14 bytes. */
  data: Uint8Array;
  /** struct __sk_buff or struct xdp_md as the program finds it; for XDP `data_end` must be the packet's length. */
  context?: Uint8Array;
  /** How many times (or more, see run()), each on the packet that the run before left; 1 when undefined. */
  repeat?: number;
}

export interface TestRunResult {
  /** What the program returned, as the C int that it is: TC_ACT_UNSPEC is -1. */
  retval: number;
  /** The packet after the last run. */
  data: Uint8Array;
  /** The context after the last run, when one was given. */
  context?: Uint8Array;
  /** Average of one run in nanoseconds. */
  durationNs: number;
}

/** Runs the program on the calling thread. HNV_BPF when the kernel refuses the input. */
export function testRun(program: BpfProgram, input: TestRunInput): TestRunResult {
  const output = Buffer.allocUnsafeSlow(OUTPUT_BYTES);
  const contextOutput = input.context && new Uint8Array(input.context.length);
  const options: TestRunOptions = {
    ...optionsOf(input, input.repeat ?? 1),
    data_out: output,
    data_size_out: output.length,
    ctx_out: contextOutput ?? null,
    ctx_size_out: contextOutput?.length ?? 0,
  };
  run(program, options);
  return {
    retval: options.retval | 0,
    data: Uint8Array.from(output.subarray(0, options.data_size_out)),
    ...(contextOutput && { context: contextOutput.subarray(0, options.ctx_size_out) }),
    durationNs: options.duration,
  };
}

export interface LiveRunInput extends TestRunInput {
  /** How many packets. */
  repeat: number;
  /** Packets that go on their way together; 64 when undefined. */
  batchSize?: number;
}

/**
 * Runs an XDP program on `repeat` live packets: redirected ones are really sent, passed ones enter the stack as if they
 * had come in on the context's ingress_ifindex. Returns when all are sent, and blocks the thread as long; a signal meanwhile makes it send up to 65,536 more. Packets are
 * reused as they were left, so the program must write all that it means to send.
 */
export function testRunLive(program: BpfProgram, input: LiveRunInput): void {
  for (let left = input.repeat; left > 0; left -= LIVE_SLICE) {
    run(program, {
      ...optionsOf(input, Math.min(left, LIVE_SLICE)),
      flags: BPF_F_TEST_XDP_LIVE_FRAMES,
      batch_size: input.batchSize ?? 0,
    });
  }
}

function optionsOf(input: TestRunInput, repeat: number): TestRunOptions {
  return {
    sz: testRunOptionsSize,
    data_in: input.data,
    data_out: null,
    data_size_in: input.data.length,
    data_size_out: 0,
    ctx_in: input.context ?? null,
    ctx_out: null,
    ctx_size_in: input.context?.length ?? 0,
    ctx_size_out: 0,
    retval: 0,
    repeat,
    duration: 0,
    flags: 0,
    cpu: 0,
    batch_size: 0,
  };
}

/**
 * The kernel gives a repeated run up when a signal arrives, without saying how far it came, so it is started again:
 * programs may run more often than asked, never less.
 */
function run(program: BpfProgram, options: TestRunOptions): void {
  for (;;) {
    const attempt = { ...options };
    const error = bpf_prog_test_run_opts(program.fd, attempt);
    if (error === -EINTR) continue;
    if (error < 0) throw bpfError(`test run of program ${program.name}`, error);
    Object.assign(options, attempt);
    return;
  }
}
