/**
 * Which routing domains may have fast flows, and which of those that were noted still hold: owns the map `fast_domains`.
 *
 * The data plane notes the domain's generation with each flow, and believes the flow for as long as it is still the domain's
 * (kernel/established.h). So each change that packets of the domain might feel is followed by a new generation, before
 * anybody is told that it is in effect. A generation is never a domain's again, nor of another one with its handle: an entry
 * stays when its domain goes, and a later process goes on from what is pinned.
 */
import { native32 } from '../linux/native.ts';
import type { EncapCore } from './core.ts';
import { decodeFastDomain, type FastDomain as Entry, encodeFastDomain } from './layout.generated.ts';

/** What the data plane must know of a domain whose flows may be fast. */
export interface FastDomain {
  /** By which the node's own namespace knows the context's (nsid). */
  netnsId: number;
  /** How long connection tracking keeps a silent conversation. */
  tcpSeconds: number;
  udpSeconds: number;
  /** How often a packet of each flow goes the slow way; of ICMP echoes one does each second. */
  revisitSeconds: number;
  /** That keeps their sessions. */
  hasEcho: boolean;
}

const NOT_FAST = {
  ...{ isEnabled: 0, netnsId: 0, tcpMs: 0, udpMs: 0, revisitSeconds: 0, hasEcho: 0 },
} as const;
/** Handle of nobody. Its generation is incremented before any other (kernel/established_arrive.h). */
const NOBODY = 0;
const GENERATIONS = 2 ** 32;

export class FastPath {
  /** Wanted, and the kernel has what it takes. */
  readonly isOn: boolean;
  readonly #map: ReturnType<EncapCore['map']>;
  /** By handle; of every domain that ever was fast. */
  readonly #entries = new Map<number, Entry>();
  /** Handles of those that are, by the number of the context's namespace. */
  readonly #byNetns = new Map<number, number>();

  /** What an earlier process let be fast goes on, if it may: from here on changes are this process's to follow. */
  constructor(core: Pick<EncapCore, 'map' | 'hasFastPath'>, isWanted: boolean) {
    this.isOn = isWanted && core.hasFastPath;
    this.#map = core.map('fast_domains');
    for (const [key, value] of this.#map.entries()) {
      const entry = decodeFastDomain(value);
      if (entry.generation === 0) continue;
      const handle = Buffer.from(key).readUInt32LE();
      this.#note(handle, entry);
      if (!this.isOn) this.set(handle, undefined);
    }
  }

  /** Lets flows of the domain be fast, or with undefined no more; flows that were noted before are over either way. */
  set(handle: number, domain: FastDomain | undefined): void {
    if (domain !== undefined && this.isOn)
      this.#write([
        [
          handle,
          {
            ...{ isEnabled: 1, netnsId: domain.netnsId, revisitSeconds: domain.revisitSeconds },
            tcpMs: domain.tcpSeconds * 1000,
            udpMs: domain.udpSeconds * 1000,
            hasEcho: Number(domain.hasEcho),
          },
        ],
      ]);
    else if (this.#isFast(handle)) this.#write([[handle, NOT_FAST]]);
  }

  /** All that was noted of the domain is over. */
  invalidate(handle: number): void {
    const entry = this.#entries.get(handle);
    if (entry?.isEnabled === 1) this.#write([[handle, entry]]);
  }

  /** The same of the domain whose context is the namespace of that number, if any. */
  invalidateNetns(netnsId: number): void {
    const handle = this.#byNetns.get(netnsId);
    if (handle !== undefined) this.invalidate(handle);
  }

  /** The same of all domains, and of what is noted of the node's routes (kernel/next_hop.h), whether any domain is fast or not. */
  invalidateAll(): void {
    this.#write([...this.#entries].filter(([, { isEnabled }]) => isEnabled === 1));
  }

  /** Whether flows of the namespace of that number may be fast. */
  hasNetns(netnsId: number): boolean {
    return this.#byNetns.has(netnsId);
  }

  #isFast(handle: number): boolean {
    return this.#entries.get(handle)?.isEnabled === 1;
  }

  /**
   * Each with the generation that is next. It is taken also when the kernel refuses the entry, and so never again. Nobody's
   * comes first: what is being learned under an old policy is not taken for the new one's.
   */
  #write(wanted: readonly (readonly [handle: number, entry: Omit<Entry, 'generation' | 'pad'>])[]): void {
    this.#map.update(...this.#next(NOBODY, NOT_FAST));
    if (wanted.length === 0) return;
    this.#map.updateBatch(wanted.map(([handle, entry]) => this.#next(handle, entry)));
  }

  #next(handle: number, entry: Omit<Entry, 'generation' | 'pad'>): [key: Uint8Array, value: Uint8Array] {
    const last = this.#entries.get(handle)?.generation ?? 0;
    const next = { ...entry, pad: 0, generation: (last + 1) % GENERATIONS || 1 };
    this.#note(handle, next);
    return [native32(handle), encodeFastDomain(next)];
  }

  #note(handle: number, entry: Entry): void {
    const before = this.#entries.get(handle);
    if (before?.isEnabled === 1 && this.#byNetns.get(before.netnsId) === handle)
      this.#byNetns.delete(before.netnsId);
    this.#entries.set(handle, entry);
    if (entry.isEnabled === 1) this.#byNetns.set(entry.netnsId, handle);
  }
}
