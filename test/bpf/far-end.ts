/**
 * Catches what the data plane sends as copies: at the far ends of its links, and where copies come back to their ports.
 * With it on the ports, a copy that comes back is looked at and goes no further.
 */
import { BpfObject, type BpfProgram } from '../../src/linux/bpf-object.ts';
import { inNetns } from '../../src/linux/netns.ts';
import { attachTc } from '../../src/linux/tc.ts';
import { type DataPlane, type Link, links } from './data-plane.ts';
import { compileFixture } from './fixtures/compile.ts';

interface Test {
  teardown(fn: () => void): unknown;
}

export interface Caught {
  link: Link;
  /** Beyond the node; else it came back to its port. */
  isFar: boolean;
  mark: number;
  vlan: number;
  frame: Buffer;
}

/** struct hnv_caught of fixtures/encap-far-end.bpf.c. */
const CAUGHT = { ifindex: 0, far: 4, mark: 8, vlan: 12, captured: 20, frame: 24 } as const;
const FIRST = Buffer.alloc(4);
/** How long copies may take that the kernel left to its own thread. */
const PATIENCE_MS = 2000;

export class FarEnd {
  readonly #object: BpfObject;
  readonly #near = new Map<number, Link>();
  readonly #far = new Map<number, Link>();

  /** Attaches now; all of it ends with the namespaces of the data plane. `near` are the links where copies come back. */
  constructor(t: Test, dataPlane: DataPlane, near: readonly Link[]) {
    this.#object = BpfObject.open(compileFixture(t, 'encap-far-end'));
    t.teardown(() => this.#object.close());
    this.#object.load();
    for (const link of links) {
      this.#near.set(dataPlane.ifindex(link), link);
      this.#far.set(dataPlane.farIfindex(link), link);
    }
    inNetns(dataPlane.farNamespace, () => {
      for (const ifindex of this.#far.keys()) attachTc(ifindex, 'ingress', this.#object.program('far_catch'));
    });
    inNetns(dataPlane.namespace, () => {
      for (const link of near)
        attachTc(dataPlane.ifindex(link), 'ingress', this.#object.program('near_catch'));
    });
  }

  /** Puts its frame in as if it came in on the interface that control word 3 names. */
  get injector(): BpfProgram {
    return this.#object.program('far_inject');
  }

  /** What was caught since the last call, once it is at least `count`, in the order in which it came. */
  take(count: number): Caught[] {
    const end = performance.now() + PATIENCE_MS;
    let there = this.#count();
    while (there < count && performance.now() < end) there = this.#count();
    const caught = Array.from({ length: there }, (_, index) => this.#read(index));
    this.#object.map('caught_count').update(FIRST, Buffer.alloc(4));
    return caught;
  }

  #count(): number {
    return Buffer.from(this.#object.map('caught_count').lookup(FIRST) ?? FIRST).readUInt32LE(0);
  }

  #read(index: number): Caught {
    const key = Buffer.alloc(4);
    key.writeUInt32LE(index);
    const slot = Buffer.from(this.#object.map('caught').lookup(key) ?? []);
    const isFar = slot.readUInt32LE(CAUGHT.far) === 1;
    const ifindex = slot.readUInt32LE(CAUGHT.ifindex);
    const link = (isFar ? this.#far : this.#near).get(ifindex);
    if (link === undefined) throw new Error(`caught something on unknown interface ${ifindex}`);
    const end = CAUGHT.frame + slot.readUInt32LE(CAUGHT.captured);
    return {
      link,
      isFar,
      mark: slot.readUInt32LE(CAUGHT.mark),
      vlan: slot.readUInt32LE(CAUGHT.vlan),
      frame: slot.subarray(CAUGHT.frame, end),
    };
  }
}
