/**
 * CPUs that NVGRE frames are spread over by their inner flows (kernel/spread.h), for NICs that hash outer addresses alone. Owns
 * the maps `spread_over` and `spread_cpus`; the kernel has a thread for each entry of the latter, and keeps its program.
 */
import { HnvError } from '../errors.ts';
import type { BpfProgram } from '../linux/bpf-program.ts';
import { onlineCpus } from '../linux/cpus.ts';
import { native32 } from '../linux/native.ts';
import type { EncapCore } from './core.ts';
import { decodeSpreadCpu, encodeSpread, encodeSpreadCpu } from './layout.generated.ts';

/** Of struct hnv_spread. */
const MOST_CPUS = 64;
/** Frames that may wait for a CPU: what two bursts of a NIC's largest queue bring. */
const FRAMES = 2048;

export class Spread {
  readonly #core: Pick<EncapCore, 'map'>;
  /** Undefined without a fast path. */
  readonly #program: BpfProgram | undefined;
  readonly #cpus: readonly number[];

  /** @param cpus none: frames stay where their NIC has put them. HNV_CONFIG when one is not there. */
  constructor(core: Pick<EncapCore, 'map' | 'program' | 'hasFastPath'>, cpus: readonly number[]) {
    const online = onlineCpus();
    const missing = cpus.find((cpu) => !online.includes(cpu));
    if (missing !== undefined)
      throw new HnvError(
        'HNV_CONFIG',
        `dataplane.spreadOver: there is no CPU ${missing} on this machine, which has ${online.join(', ')}.`,
      );
    this.#core = core;
    this.#program = core.hasFastPath ? core.program('spread_cpu') : undefined;
    this.#cpus = core.hasFastPath ? cpus : [];
  }

  /** Makes the maps as the configuration has them, whatever an earlier process has left; what is right is left alone. */
  apply(): void {
    const strange = this.#strange();
    const map = this.#core.map('spread_cpus');
    for (const cpu of this.#cpus)
      if (strange.has(cpu))
        map.update(native32(cpu), encodeSpreadCpu({ frames: FRAMES, program: this.#program?.fd ?? 0 }));
    if (!this.#isOver()) this.#core.map('spread_over').update(native32(0), this.#over());
    for (const cpu of strange) if (!this.#cpus.includes(cpu)) map.delete(native32(cpu));
  }

  /** Whether the maps are as apply() makes them. */
  get isWhole(): boolean {
    return this.#isOver() && this.#strange().size === 0;
  }

  #over(): Uint8Array {
    const cpus = Uint32Array.from({ length: MOST_CPUS }, (_, index) => this.#cpus[index] ?? 0);
    return encodeSpread({ count: this.#cpus.length, cpus });
  }

  #isOver(): boolean {
    return (
      Buffer.compare(this.#core.map('spread_over').lookup(native32(0)) ?? native32(0), this.#over()) === 0
    );
  }

  /** CPUs whose entry is missing, another one, or not wanted. */
  #strange(): Set<number> {
    const strange = new Set(this.#cpus);
    for (const [key, value] of this.#core.map('spread_cpus').entries()) {
      const cpu = Buffer.from(key).readUInt32LE();
      const { frames, program } = decodeSpreadCpu(value);
      const isOurs = frames === FRAMES && program === this.#program?.id;
      if (!strange.delete(cpu) || !isOurs) strange.add(cpu);
    }
    return strange;
  }
}
