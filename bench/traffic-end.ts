/**
 * The far side of a cable: sends frames of many flows to the NIC at its other end, where they arrive in NAPI, and counts
 * and takes away what comes back by it (kernel/traffic.bpf.c).
 */
import { BpfObject } from '../src/linux/bpf-object.ts';
import { ifindexOf } from '../src/linux/links.ts';
import { inNetns } from '../src/linux/netns.ts';
import { attachTc } from '../src/linux/tc.ts';
import { testRunLive } from '../src/linux/test-run.ts';
import { attachXdp } from '../src/linux/xdp.ts';
import type { Namespace } from '../test/lab/namespace.ts';
import { benchObject } from './bpf-objects.ts';
import { bytesOfAddress, type Mix, type Traffic, templateFrame } from './frames.ts';

const BATCH = 64;
const KEY = new Uint8Array(4);
/** Layout of kernel/traffic.bpf.c. */
const SIZES = 3;
const SEQUENCE = 12;
const HEADERS = 96;
const SEQUENCE_OFFSET = 20;
const CUT_OFFSET = SEQUENCE_OFFSET + SEQUENCE + 4;
const HEADERS_OFFSET = CUT_OFFSET + SIZES * 4;
const SENDING_BYTES = HEADERS_OFFSET + SIZES * HEADERS;
const RECEIVING_BYTES = 16;
const COUNT_BYTES = 16;
export const MOST_CAPTURED = 64;
/** struct xdp_md of Linux: six words; `data_end` and `ingress_ifindex` are the second and the fourth. */
const XDP_MD_SIZE = 24;
const XDP_MD_DATA_END = 4;
const XDP_MD_INGRESS_IFINDEX = 12;

export interface Received {
  /** Datagrams with the expected address. */
  expected: number;
  /** Datagrams with any other. */
  other: number;
}

/** By what the datagrams that arrive are known. */
export interface Expected {
  /** Of the IP header, the outer one of a tunnel. */
  protocol: number;
  /** Of an IPv4 address in the frame. */
  offset: number;
  address: string;
}

export class TrafficEnd {
  readonly namespace: Namespace;
  readonly nic: string;
  readonly #object: BpfObject;
  readonly #ifindex: number;
  #traffic: { form: 'nvgre' | 'vxlan' | 'plain'; data: Buffer; context: Buffer } | undefined;
  #expected: Expected | undefined;

  private constructor(namespace: Namespace, nic: string, object: BpfObject, ifindex: number) {
    this.namespace = namespace;
    this.nic = nic;
    this.#object = object;
    this.#ifindex = ifindex;
  }

  /**
   * Takes hold of a NIC: counts there from now on, in the driver, where frames can be redirected to by XDP, or behind it, where
   * all others come by.
   */
  static attach(namespace: Namespace, nic: string, where: 'driver' | 'stack' = 'driver'): TrafficEnd {
    const object = BpfObject.open(benchObject('traffic'));
    object.load();
    namespace.lab.onClose(() => object.close());
    const ifindex = inNetns(namespace.name, () => {
      const found = ifindexOf(nic);
      if (found === undefined) throw new Error(`${namespace.name} has no interface ${nic}`);
      if (where === 'driver') attachXdp(found, object.program('bench_sink'), 'native');
      else attachTc(found, 'ingress', object.program('bench_tc_sink'));
      return found;
    });
    return new TrafficEnd(namespace, nic, object, ifindex);
  }

  /** Says what it sends from now on. */
  prepare(traffic: Traffic, mix: Mix, flows: number): void {
    const frames = mix.sizes.map((size) => templateFrame(traffic, size));
    const longest = frames.at(-1) ?? Buffer.alloc(0);
    const data = Buffer.concat([Buffer.alloc(traffic.spareHeadroom), longest]);
    const sending = Buffer.alloc(SENDING_BYTES);
    sending.writeUInt32LE(this.#ifindex, 0);
    sending.writeUInt32LE(flows, 4);
    sending.writeUInt32LE(Number(traffic.fromOutside), 8);
    sending.writeUInt32LE(Number(frames.length > 1), 12);
    sending.writeUInt32LE(traffic.spareHeadroom, 16);
    sending.set(mix.sequence, SEQUENCE_OFFSET);
    frames.forEach((frame, size) => {
      sending.writeUInt32LE(longest.length - frame.length, CUT_OFFSET + size * 4);
      sending.set(frame.subarray(0, HEADERS), HEADERS_OFFSET + size * HEADERS);
    });
    this.#object.map('sending').update(KEY, sending);
    const context = Buffer.alloc(XDP_MD_SIZE);
    context.writeUInt32LE(data.length, XDP_MD_DATA_END);
    context.writeUInt32LE(this.#ifindex, XDP_MD_INGRESS_IFINDEX);
    this.#traffic = { form: traffic.tunnel?.form ?? 'plain', data, context };
  }

  /** Says what it counts from now on. */
  expect(expected: Expected): void {
    this.#expected = expected;
    this.#writeReceiving(0);
  }

  /** Sends the next frames of the round of flows; returns when they are on their way. */
  send(frames: number): void {
    const traffic = this.#traffic;
    if (traffic === undefined) throw new Error(`${this.namespace.name} has nothing to send`);
    const { form, data, context } = traffic;
    const program = this.#object.program(`bench_${form}`);
    inNetns(this.namespace.name, () =>
      testRunLive(program, { data, context, repeat: frames, batchSize: BATCH }),
    );
  }

  /** All that came since it was attached. */
  received(): Received {
    const slots = Buffer.from(this.#object.map('counts').lookup(KEY) ?? []);
    const total: Received = { expected: 0, other: 0 };
    for (let offset = 0; offset < slots.length; offset += COUNT_BYTES) {
      total.expected += Number(slots.readBigUInt64LE(offset));
      total.other += Number(slots.readBigUInt64LE(offset + 8));
    }
    return total;
  }

  /** The next frames that arrive are kept, as many as there is room for. */
  startCapture(): void {
    this.#writeReceiving(MOST_CAPTURED);
  }

  /** Frames that were kept since startCapture(). */
  captured(): Buffer[] {
    const left = Buffer.from(this.#object.map('receiving').lookup(KEY) ?? []).readUInt32LE(12);
    this.#writeReceiving(0);
    const frames: Buffer[] = [];
    for (let slot = MOST_CAPTURED - 1; slot >= left; slot--) {
      const key = Buffer.alloc(4);
      key.writeUInt32LE(slot);
      const value = Buffer.from(this.#object.map('captured').lookup(key) ?? []);
      frames.push(value.subarray(4, 4 + value.readUInt32LE(0)));
    }
    return frames;
  }

  #writeReceiving(captures: number): void {
    if (this.#expected === undefined) throw new Error(`${this.namespace.name} expects nothing`);
    const { protocol, offset, address } = this.#expected;
    const receiving = Buffer.alloc(RECEIVING_BYTES);
    receiving.writeUInt32LE(protocol, 0);
    receiving.writeUInt32LE(offset, 4);
    receiving.set(bytesOfAddress(address), 8);
    receiving.writeUInt32LE(captures, 12);
    this.#object.map('receiving').update(KEY, receiving);
  }
}
