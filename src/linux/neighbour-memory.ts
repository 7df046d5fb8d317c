/**
 * The link-layer addresses of neighbours as the kernel has told them, to know which of its messages are changes: most are about
 * reachability alone (RFC 4861 section 7.3.2), and come all the time.
 *
 * Of the node's own namespace all neighbours are known from the beginning, so one that was not heard of is new, and nothing
 * can have been sent to it. Of others it may be one from before.
 */
import { AF_INET, AF_INET6, type NetNeighbour, readNeighbour } from './rtnetlink-messages.ts';

/** linux/neighbour.h */
const NUD_STALE = 0x04;
const NUD_FAILED = 0x20;
/** Of states in which the kernel sends to the address: reachable, stale, delay, probe, no ARP, permanent. */
const NUD_VALID = 0x02 | 0x04 | 0x08 | 0x10 | 0x40 | 0x80;
/** In struct ndmsg. */
const STATE_AT = 8;

const keyOf = (nsid: number | undefined, { ifindex, address }: NetNeighbour): string =>
  `${nsid ?? ''} ${ifindex} ${address}`;

export class NeighbourMemory {
  readonly #room: number;
  #limit = 0;
  readonly #macs = new Map<string, string>();

  /** `room`: for so many neighbours beside those that are there in the beginning. */
  constructor(room: number) {
    this.#room = room;
  }

  /** More are kept nevertheless: it is time to begin anew. */
  get isFull(): boolean {
    return this.#macs.size >= this.#limit;
  }

  /** Forgets all, and knows those of the node's own namespace. */
  begin(own: readonly NetNeighbour[]): void {
    this.#macs.clear();
    for (const neighbour of own)
      if (neighbour.mac !== '') this.#macs.set(keyOf(undefined, neighbour), neighbour.mac);
    this.#limit = this.#macs.size + this.#room;
  }

  /**
   * Notes what a message about a neighbour says, and answers whether frames to it go elsewhere now, or nowhere. `at` is behind
   * the message's header; `isEnd`: the entry is gone.
   */
  hasChanged(nsid: number | undefined, isEnd: boolean, data: Buffer, at: number, end: number): boolean {
    const family = data[at];
    // The same group tells of the stations of bridges.
    if (family !== AF_INET && family !== AF_INET6) return false;
    const state = data.readUInt16LE(at + STATE_AT);
    // The kernel tidies up what nobody has sent to for a minute: the address is what it was.
    if (isEnd && state === NUD_STALE) return false;
    const neighbour = readNeighbour(data, at, end);
    const key = keyOf(nsid, neighbour);
    const known = this.#macs.get(key);
    if (isEnd || state === NUD_FAILED) {
      this.#macs.delete(key);
      return known !== undefined;
    }
    if ((state & NUD_VALID) === 0 || neighbour.mac === '' || neighbour.mac === known) return false;
    this.#macs.set(key, neighbour.mac);
    return known !== undefined || nsid !== undefined;
  }
}
