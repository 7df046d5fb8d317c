/**
 * The same frames to several gateways that differ in how they carry established flows alone, and what comes of each frame: all that
 * leaves either NIC, byte by byte, and what the data plane has counted.
 */
import { setImmediate } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { type Crafted, frameBytes, PROTOCOL } from './crafted-packet.ts';
import { TENANTS } from './fast-policy.ts';
import { settledFrames, type WireFrame } from './settled-frames.ts';
import type { FastMode, WiredGateway, WireName } from './wired-gateway.ts';

/** What a frame has come to. */
export interface Outcome {
  /** The wire, and the frame in hexadecimal. */
  frames: string[];
  /** Counters that have grown, by domain; those of the fast path are not among them. */
  counted: Record<string, number>;
}
export interface Sent {
  /** What the first gateway has made of it. */
  outcome: Outcome;
  frames: WireFrame[];
  /** Packets that took the fast path, by gateway. */
  fast: Record<FastMode, number>;
  /** Empty, or in what way gateways differ. */
  problems: string[];
}

const WIRES = ['provider', 'uplink'] as const;
const ARP = 0x0806;
/** Far more often than anything needs that is on its way. */
const LOOKS = 20_000;

export class FastComparison {
  readonly #gateways: readonly WiredGateway[];
  readonly #marker: Crafted;
  readonly #before = new Map<WiredGateway, Record<string, number>>();
  #markers = 0;

  /** `marker`: a UDP datagram from inside that leaves by the uplink, and never is fast. It tells when all before it is done. */
  constructor(gateways: readonly WiredGateway[], marker: Crafted) {
    this.#gateways = gateways;
    this.#marker = marker;
    for (const gateway of gateways) this.#before.set(gateway, countersOf(gateway));
  }

  /** Sends the frame to all, in the same state, and compares what they make of it with what the first one does. */
  async send(wire: WireName, frame: Buffer): Promise<Sent> {
    for (const { ends } of this.#gateways) ends[wire].send(frame);
    const heard = new Map(this.#gateways.map((gateway) => [gateway, take(gateway)]));
    if ([...heard.values()].some((frames) => frames.length === 0)) await this.#settle(heard);
    const fast: Record<FastMode, number> = { off: 0, native: 0, generic: 0 };
    const outcomes = this.#gateways.map((gateway) => {
      const counted = this.#counted(gateway);
      fast[gateway.mode] = counted.fast ?? 0;
      const { fast: _, ...rest } = counted;
      const frames = settledFrames(heard.get(gateway) ?? []);
      return { frames, counted: rest };
    });
    const [outcome = { frames: [], counted: {} }] = outcomes;
    const problems = outcomes.flatMap((other, index) =>
      isDeepStrictEqual(other, outcome)
        ? []
        : `${this.#gateways[index]?.mode}: ${JSON.stringify(other)}\ninstead of ${JSON.stringify(outcome)}`,
    );
    const [first] = this.#gateways;
    return { outcome, frames: (first && heard.get(first)) ?? [], fast, problems };
  }

  /** All is done that was on its way, when two markers have arrived one after the other. */
  async #settle(heard: Map<WiredGateway, WireFrame[]>): Promise<void> {
    for (let round = 0; round < 2; round++) {
      const sign = Buffer.from(`marker ${++this.#markers}.`);
      this.#marker.transport.data = sign;
      const frame = frameBytes(this.#marker);
      for (const gateway of this.#gateways) {
        gateway.ends.provider.send(frame);
        for (let look = 0; ; look++) {
          const frames = take(gateway);
          const at = frames.findIndex(({ bytes }) => bytes.includes(sign));
          heard.get(gateway)?.push(...frames.filter((_, index) => index !== at));
          if (at >= 0) break;
          if (look === LOOKS) throw new Error(`${gateway.mode}: ${sign} is lost`);
          await setImmediate();
        }
      }
    }
  }

  #counted(gateway: WiredGateway): Record<string, number> {
    const before = this.#before.get(gateway) ?? {};
    const now = countersOf(gateway);
    this.#before.set(gateway, now);
    const grown = Object.entries(now).map(([name, count]) => [name, count - (before[name] ?? 0)] as const);
    return Object.fromEntries(grown.filter(([, count]) => count !== 0));
  }
}

/** Of all domains, by name; `fast` is the sum of those of the fast path. */
function countersOf(gateway: WiredGateway): Record<string, number> {
  const all: Record<string, number> = { fast: 0 };
  for (let domain = 0; domain <= TENANTS; domain++) {
    const { decapsulated, encapsulated, fast, drops } = gateway.statsOf(domain);
    all.fast = (all.fast ?? 0) + fast.packets;
    for (const [direction, { packets, bytes }] of Object.entries({ decapsulated, encapsulated })) {
      all[`${domain} ${direction} packets`] = packets;
      all[`${domain} ${direction} bytes`] = bytes;
    }
    for (const [reason, count] of Object.entries(drops)) all[`${domain} ${reason}`] = count;
  }
  return all;
}

function take(gateway: WiredGateway): WireFrame[] {
  return WIRES.flatMap((wire) =>
    gateway.ends[wire]
      .take()
      .filter((bytes) => !isHousekeeping(bytes))
      .map((bytes) => ({ wire, bytes })),
  );
}

/** What a kernel says for itself: ARP, neighbour and router discovery, multicast listener reports. */
function isHousekeeping(frame: Buffer): boolean {
  const type = frame.readUInt16BE(12);
  if (type === ARP) return true;
  if (type !== 0x86dd) return false;
  const next = frame[20];
  const at = next === 0 ? 54 + 8 : 54;
  const kind = frame[at] ?? 0;
  return (
    (next === PROTOCOL.icmpv6 || frame[54] === PROTOCOL.icmpv6) &&
    ((kind >= 130 && kind <= 137) || kind === 143)
  );
}
