/**
 * The fast path in drivers of NICs. A NIC that takes VLAN tags off frames would hide them from it, so it is told to leave
 * them; that, as the program, stays when this process ends. Under /run it is noted where the program was put, and whose
 * setting was changed for it: an operator's own choice is left alone, and what no process asks for any more is found.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { EncapCore } from '../encap/core.ts';
import { HnvError } from '../errors.ts';
import { letTakeTagsOff, takesTagsOff } from '../linux/ethtool.ts';
import { linkName } from '../linux/links.ts';
import type { NetLink } from '../linux/rtnetlink-messages.ts';

export type NativeCore = Pick<EncapCore, 'attachFast' | 'detachFast' | 'isFastAttached' | 'strangerAtFast'>;

type Nic = Pick<NetLink, 'ifindex' | 'name' | 'mtu'>;

export class NativeXdp {
  readonly #core: NativeCore;
  /** A file for each NIC, by ifindex; in it the name of the NIC if its setting was changed. */
  readonly #notes: string;
  /** What a driver has refused, and with which MTU: it is not asked again for the same. */
  readonly #refusals = new Map<number, { mtu: number; reason: string }>();

  constructor(core: NativeCore, instance: string) {
    this.#core = core;
    this.#notes = join('/run/hnvgw', instance, 'xdp');
  }

  /** Where the program was put, by whatever process. */
  noted(): number[] {
    return existsSync(this.#notes) ? readdirSync(this.#notes).map(Number) : [];
  }

  /** Puts the program into the driver, and keeps tags in the frames. Answers why that cannot be; undefined when it is so. */
  attach(nic: Nic): string | undefined {
    const { ifindex, mtu } = nic;
    const stranger = this.#core.strangerAtFast(ifindex);
    if (stranger !== undefined) {
      this.release(ifindex);
      return `it has ${stranger}`;
    }
    const refusal = this.#refusals.get(ifindex);
    if (refusal?.mtu === mtu) return refusal.reason;
    try {
      this.#keepTags(nic);
      this.#core.attachFast(ifindex);
      return undefined;
    } catch (error) {
      if (!(error instanceof HnvError)) throw error;
      this.release(ifindex);
      const reason = `its driver refuses: ${error.message}`;
      this.#refusals.set(ifindex, { mtu, reason });
      return reason;
    }
  }

  /** What is otherwise than attach() made it, as parts of a sentence. */
  inspect({ ifindex, name }: Omit<Nic, 'mtu'>): string[] {
    return [
      ...(this.#core.isFastAttached(ifindex) ? [] : [`${name}: the program fast was missing`]),
      ...(takesTagsOff(name) ? [`${name}: rx-vlan-offload was on`] : []),
    ];
  }

  /** Takes the program out of the driver, and gives the setting back. */
  release(ifindex: number): void {
    const note = join(this.#notes, String(ifindex));
    if (!existsSync(note)) return;
    const name = linkName(ifindex);
    if (name !== undefined) {
      this.#core.detachFast(ifindex);
      if (readFileSync(note, 'utf8') === name) letTakeTagsOff(name, true);
    }
    rmSync(note);
  }

  /** It is noted before it is done. */
  #keepTags({ ifindex, name }: Nic): void {
    const note = join(this.#notes, String(ifindex));
    const hides = takesTagsOff(name);
    mkdirSync(this.#notes, { recursive: true });
    if (hides || !existsSync(note)) writeFileSync(note, hides ? name : '');
    if (hides) letTakeTagsOff(name, false);
  }
}
