/** The newest dropped packets, as the data plane samples them: what an operator looks at when a counter grows. */
import type { BpfMap } from '../linux/bpf-map.ts';
import { RingBufferReader } from '../linux/ring-buffer.ts';
import { dropReasonName } from './drop-reasons.ts';
import { decodeDropSample } from './layout.generated.ts';

export interface SampledDrop {
  at: Date;
  reason: string;
  /** Domain handle; 0 when the packet could not be given to a domain. */
  domain: number;
  ifindex: number;
  /** Bytes of the whole packet, as it arrived. */
  length: number;
  /** The beginning of the packet. */
  head: Uint8Array;
}

const KEPT = 64;

/** Time of day of a CLOCK_MONOTONIC stamp. */
function dateOf(monotonicNs: bigint): Date {
  const age = Number(process.hrtime.bigint() - monotonicNs) / 1e6;
  return new Date(Date.now() - age);
}

export class DropSamples {
  readonly #reader: RingBufferReader;
  #recent: SampledDrop[] = [];

  /** Begins to follow the ring buffer `drop_samples`. */
  constructor(ring: BpfMap) {
    this.#reader = new RingBufferReader(ring, (records) => {
      const fresh = records.slice(-KEPT).map((record): SampledDrop => {
        const sample = decodeDropSample(record);
        return {
          at: dateOf(sample.timeNs),
          reason: dropReasonName(sample.reason),
          domain: sample.domain,
          ifindex: sample.ifindex,
          length: sample.length,
          head: sample.head.slice(0, sample.captured),
        };
      });
      this.#recent = [...this.#recent, ...fresh].slice(-KEPT);
    });
  }

  /** The last 64 samples, oldest first. */
  recent(): readonly SampledDrop[] {
    return this.#recent;
  }

  close(): Promise<void> {
    return this.#reader.close();
  }
}
