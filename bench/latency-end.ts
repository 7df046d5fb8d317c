/**
 * Measures what packets of one direction of a path need, under a load of its own (kernel/latency.bpf.c). Takes the place of the
 * traffic ends' sink at the far end, for good: what is counted with that comes before.
 */
import { BpfObject } from '../src/linux/bpf-object.ts';
import { ifindexOf } from '../src/linux/links.ts';
import { inNetns } from '../src/linux/netns.ts';
import { testRunLive } from '../src/linux/test-run.ts';
import { attachXdp } from '../src/linux/xdp.ts';
import { benchObject } from './bpf-objects.ts';
import { atFront, onCore } from './core-time.ts';
import { outerBytes, SMALLEST, templateFrame } from './frames.ts';
import type { Way } from './rate-path.ts';

/** Frames that the kernel makes at once, and so the most packets that are sent together. */
const BATCH = 8;
/** Frames of one system call, which takes some milliseconds before the first and behind the last. */
const SLICE = 65_536;
/** Those of them that are sent before anything is measured: a call begins with pages and caches that are cold. */
const UNMEASURED = 4_096;
/** Layout of kernel/latency.bpf.c. */
const KEY = new Uint8Array(4);
const UNCOUNTED_AT = 32;
const BEGAN_AT = 40;
const ENDED_AT = 48;
const SENT_AT = 56;
const HEADER_BYTES = 64;
const FRAME_BYTES = 112;
const GAPS = 1024;
const PAYLOAD_IN_FRAME = 42;
const STAMP_BYTES = 12;
const MAGIC = Buffer.from('686e764c', 'hex');
const SAMPLES = 1 << 18;
const SAMPLES_AT = 8;
/** More than this share of the packets lost, and nothing can be said of the others. */
const LOSS_LIMIT = 0.01;
/** struct xdp_md of Linux: six words; `data_end` and `ingress_ifindex` are the second and the fourth. */
const XDP_MD_SIZE = 24;
const XDP_MD_DATA_END = 4;
const XDP_MD_INGRESS_IFINDEX = 12;

/** Nanoseconds below which so much of a hundred packets was. */
export interface Latencies {
  p50: number;
  p99: number;
  p999: number;
  /** Median of the p99 of each millisecond: most of them, the machine is not away for a while. */
  quiet99: number;
}

/** What is sent. */
export interface LatencyJob {
  flows: number;
  /** Tenants that flows take turns with: the VSIDs of the next one are 2 more, and its public address is the next one; 1 when undefined. */
  tenants?: number;
}

interface Sent {
  sent: number;
  arrived: number;
  /** Nanoseconds that packets needed, in the order of their arrival; not more than there is room for. */
  took: Uint32Array;
  /** Of sending. */
  seconds: number;
}

export class LatencyEnd {
  readonly #object: BpfObject;
  readonly #way: Way;
  readonly #job: LatencyJob;
  readonly #ifindex: number;
  readonly #frame: Buffer;
  #packets = 0;

  /** Measures the way from now on. */
  constructor(way: Way, job: LatencyJob) {
    this.#way = way;
    this.#job = job;
    const { from, to, traffic, arriving } = way;
    const object = BpfObject.open(benchObject('latency'));
    object.load();
    from.namespace.lab.onClose(() => object.close());
    this.#object = object;
    this.#ifindex = inNetns(from.namespace.name, () => ifindexOf(from.nic) ?? 0);
    const frame = stampedFrame(templateFrame(traffic, SMALLEST.sizes[0] ?? 0));
    this.#frame = Buffer.concat([Buffer.alloc(traffic.spareHeadroom), frame]);
    const receiving = Buffer.alloc(4);
    receiving.writeUInt32LE(outerBytes(arriving.tunnel?.form ?? 'plain') + PAYLOAD_IN_FRAME);
    object.map('receiving').update(KEY, receiving);
    inNetns(to.namespace.name, () =>
      attachXdp(ifindexOf(to.nic) ?? 0, object.program('bench_sink'), 'native'),
    );
  }

  /** Packets that it has sent so far, those that nothing was measured of too. */
  get packets(): number {
    return this.#packets;
  }

  /** Sends a packet of each flow, or some more, whether they arrive or not. */
  sendRound(): void {
    const end = this.#packets + this.#job.flows;
    while (this.#packets < end) this.#run(0, 1);
  }

  /** Packets per second that get through when one is always due. */
  most(milliseconds: number): number {
    const { arrived, seconds } = this.#measure(0, milliseconds);
    return arrived / seconds;
  }

  /** What packets need when so many a second are due. */
  at(perSecond: number, milliseconds: number): Latencies {
    const { took } = this.#measure(1e9 / perSecond, milliseconds);
    const window = Math.round(perSecond / 1000);
    const windows = Array.from({ length: Math.floor(took.length / window) }, (_, index) =>
      quantile(took.subarray(index * window, (index + 1) * window), 0.99),
    );
    return {
      p50: quantile(took, 0.5),
      p99: quantile(took, 0.99),
      p999: quantile(took, 0.999),
      quiet99: quantile(windows, 0.5),
    };
  }

  /** As #run(). Throws when packets got lost. */
  #measure(gapNs: number, milliseconds: number): Sent {
    const sent = this.#run(gapNs, milliseconds);
    if (sent.arrived < sent.sent * (1 - LOSS_LIMIT))
      throw new Error(`${this.#way.to.namespace.name} got ${sent.arrived} of ${sent.sent} packets`);
    return sent;
  }

  /** Sends for so long. */
  #run(gapNs: number, milliseconds: number): Sent {
    const { from, traffic } = this.#way;
    const program = this.#object.program(`latency_${traffic.tunnel?.form ?? 'plain'}`);
    const [found, sending] = [this.#object.map('found'), this.#object.map('sending')];
    found.update(KEY, new Uint8Array(SAMPLES_AT + SAMPLES * 4));
    const begin = this.#sending(gapNs);
    let [nanoseconds, sent] = [0, 0];
    const sendAll = (): void =>
      inNetns(from.namespace.name, () => {
        while (nanoseconds < milliseconds * 1e6) {
          // What is due begins anew: between two calls nobody sends.
          sending.update(KEY, begin);
          testRunLive(program, {
            data: this.#frame,
            context: this.#context(),
            repeat: SLICE,
            batchSize: BATCH,
          });
          const done = Buffer.from(sending.lookup(KEY) ?? []);
          nanoseconds += Number(done.readBigUInt64LE(ENDED_AT) - done.readBigUInt64LE(BEGAN_AT));
          const counted = Number(done.readBigUInt64LE(SENT_AT));
          sent += counted;
          this.#packets += counted + done.readUInt32LE(UNCOUNTED_AT);
        }
      });
    onCore(() => atFront(sendAll));
    const bytes = found.lookup(KEY) ?? new Uint8Array(SAMPLES_AT);
    const arrived = Number(new BigUint64Array(bytes.buffer, 0, 1)[0]);
    const took = new Uint32Array(bytes.buffer, SAMPLES_AT, Math.min(arrived, SAMPLES));
    return { sent, arrived, took, seconds: nanoseconds / 1e9 };
  }

  #context(): Buffer {
    const context = Buffer.alloc(XDP_MD_SIZE);
    context.writeUInt32LE(this.#frame.length, XDP_MD_DATA_END);
    context.writeUInt32LE(this.#ifindex, XDP_MD_INGRESS_IFINDEX);
    return context;
  }

  #sending(gapNs: number): Buffer {
    const sending = Buffer.alloc(HEADER_BYTES + FRAME_BYTES + GAPS * 4);
    const { fromOutside, spareHeadroom } = this.#way.traffic;
    const { flows, tenants = 1 } = this.#job;
    const words = [this.#ifindex, flows, tenants, Number(fromOutside), BATCH, UNMEASURED, 0, spareHeadroom];
    words.forEach((word, index) => {
      sending.writeUInt32LE(word, index * 4);
    });
    sending.set(this.#frame.subarray(spareHeadroom), HEADER_BYTES);
    // Senders that know nothing of each other: gaps are distributed exponentially.
    for (let gap = 0; gap < GAPS; gap++)
      sending.writeUInt32LE(
        Math.round(-Math.log((gap + 0.5) / GAPS) * gapNs),
        HEADER_BYTES + FRAME_BYTES + gap * 4,
      );
    return sending;
  }
}

/** The template with time 0 and the mark in its payload, and the checksum of that. */
function stampedFrame(template: Buffer): Buffer {
  const frame = Buffer.from(template);
  const payload = frame.subarray(frame.length - (60 - PAYLOAD_IN_FRAME));
  const before = stampSum(payload);
  payload.fill(0, 0, STAMP_BYTES - MAGIC.length);
  payload.set(MAGIC, STAMP_BYTES - MAGIC.length);
  const checksumAt = frame.length - 60 + 40;
  // RFC 1624 equation 3.
  const complement = (value: number): number => ~value & 0xffff;
  const after = onesSum([complement(frame.readUInt16BE(checksumAt)), complement(before), stampSum(payload)]);
  frame.writeUInt16BE(complement(after), checksumAt);
  return frame;
}

function stampSum(payload: Buffer): number {
  return onesSum(Array.from({ length: STAMP_BYTES / 2 }, (_, word) => payload.readUInt16BE(word * 2)));
}

/** One's complement sum of 16-bit words. */
function onesSum(words: readonly number[]): number {
  return words.reduce((total, word) => {
    const next = total + word;
    return (next & 0xffff) + (next >> 16);
  }, 0);
}

/** Of values in any order. */
function quantile(values: Uint32Array | readonly number[], share: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.max(Math.ceil(sorted.length * share) - 1, 0)] ?? Number.NaN;
}
