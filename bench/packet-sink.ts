/** Counts what comes out of a packet-rate path, and takes it away (kernel/sink.bpf.c). */
import { BpfObject } from '../src/linux/bpf-object.ts';
import { ifindexOf } from '../src/linux/links.ts';
import { inNetns } from '../src/linux/netns.ts';
import { attachTc } from '../src/linux/tc.ts';
import type { Namespace } from '../test/lab/namespace.ts';
import { benchObject } from './bpf-objects.ts';

const KEY = new Uint8Array(4);
const COUNT_SIZE = 16;

export interface SinkCount {
  /** Datagrams with the expected source address. */
  expected: number;
  /** Datagrams of the generator with any other. */
  other: number;
}

export class PacketSink {
  readonly #object: BpfObject;

  private constructor(object: BpfObject) {
    this.#object = object;
  }

  /** Puts a sink on an interface; `source` is the IPv4 address that packets must arrive from: behind NAT, one that they got on their way. */
  static attach(namespace: Namespace, nic: string, source: string): PacketSink {
    const object = BpfObject.open(benchObject('sink'));
    object.load();
    namespace.lab.onClose(() => object.close());
    object.map('expected').update(KEY, Uint8Array.from(source.split('.').map(Number)));
    inNetns(namespace.name, () => attachTc(ifindexOf(nic) ?? 0, 'ingress', object.program('bench_sink')));
    return new PacketSink(object);
  }

  /** All that came since it was attached. */
  read(): SinkCount {
    const slots = Buffer.from(this.#object.map('counts').lookup(KEY) ?? []);
    const total: SinkCount = { expected: 0, other: 0 };
    for (let offset = 0; offset < slots.length; offset += COUNT_SIZE) {
      total.expected += Number(slots.readBigUInt64LE(offset));
      total.other += Number(slots.readBigUInt64LE(offset + 8));
    }
    return total;
  }
}
