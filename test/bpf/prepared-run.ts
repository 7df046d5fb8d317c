/** Puts packets through a program of the data plane in states that a plain test run cannot be given. */
import type { Place } from '../../src/encap/core.ts';
import { BpfObject, type BpfProgram } from '../../src/linux/bpf-object.ts';
import type { DataPlane, Outcome, RunOptions } from './data-plane.ts';
import { compileFixture } from './fixtures/compile.ts';

interface Test {
  teardown(fn: () => void): unknown;
}

export interface Preparation {
  /** Byte that stack and headroom are filled with before the program starts. */
  poison?: number;
  /** Length that the packet is cut to; may be shorter than the kernel takes for a test run. */
  length?: number;
  /** VLAN whose tag the NIC has taken off the packet. */
  vlan?: number;
}

export class PreparedRuns {
  readonly #object: BpfObject;
  readonly #dataPlane: DataPlane;

  /** The fixture is compiled and loaded now, and closed with the test. */
  constructor(t: Test, dataPlane: DataPlane) {
    this.#dataPlane = dataPlane;
    this.#object = BpfObject.open(compileFixture(t, 'encap-prepare'));
    t.teardown(() => this.#object.close());
    this.#object.load();
  }

  /** The program that prepares as its control words tell it and then goes on as `target`. */
  programBefore(target: BpfProgram): BpfProgram {
    const fd = Buffer.alloc(4);
    fd.writeInt32LE(target.fd);
    this.#object.map('target').update(Buffer.alloc(4), fd);
    return this.#object.program('test_prepare');
  }

  /** As DataPlane.run(). */
  run(
    place: Place,
    frame: Uint8Array,
    { poison = 0, length = 0, vlan = 0 }: Preparation,
    options: RunOptions = {},
  ): Outcome {
    return this.#dataPlane.run(place, frame, {
      ...options,
      control: [poison, length, vlan],
      program: this.programBefore(this.#dataPlane.object.program(`hnv_${place}`)),
    });
  }
}
