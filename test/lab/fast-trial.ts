/**
 * One conversation after the other through all gateways of a comparison: opened, so long that it must be fast, with plain packets
 * that must be fast, with odd ones in between, far on, and to its end.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { CraftedConversation, otherSide, type Side, type Talk, wireOf } from './crafted-conversation.ts';
import { type Crafted, frameBytes, TCP_FLAG } from './crafted-packet.ts';
import type { FastComparison, Sent } from './fast-comparison.ts';
import type { FastTenant } from './fast-policy.ts';
import { isKindFast } from './fast-talks.ts';
import { ODD_PACKETS } from './odd-packets.ts';
import type { RandomNumbers } from './random-nat.ts';

const SIDES = ['inside', 'outside'] as const;
const FAST_MODES = ['native', 'generic'] as const;
/** Packets of each side after which both directions must be fast: eight, and those until a flow has the counter that was another one's. */
const TO_LEARN = 64;
const PLAIN = 8;
const ODD = 8;
/** Conversations that go on for more than a window. */
const LEAPS = 8;
const LEAP_BYTES = 40_000;
/** Congestion experienced (RFC 3168). */
const CONGESTED = 3;
/** Longer than the time for which a domain says no second error, ms (RFC 1812 section 4.3.2.8). */
const BETWEEN_ERRORS = 2;

export interface TrialOptions {
  comparison: FastComparison;
  tenants: readonly FastTenant[];
  numbers: RandomNumbers;
}

export class FastTrial {
  readonly #options: TrialOptions;
  readonly problems: string[] = [];
  /** What was done: packets, of these the fast ones by mode, odd ones by name. */
  readonly counts = { packets: 0, native: 0, generic: 0, odd: new Map<string, number>() };

  constructor(options: TrialOptions) {
    this.#options = options;
  }

  /** One conversation; false when it found problems. */
  async run(talk: Talk): Promise<boolean> {
    const { numbers } = this.#options;
    const conversation = new CraftedConversation(talk, numbers);
    const found = this.problems.length;
    await this.#open(conversation);
    if (this.problems.length === found) await this.#learn(conversation);
    if (this.problems.length === found) await this.#plain(conversation);
    if (this.problems.length === found && talk.protocol === 'tcp' && numbers.chance(50))
      await this.#goFar(conversation);
    for (let count = 0; count < ODD && this.problems.length === found; count++) {
      await this.#odd(conversation);
      for (const side of SIDES) await this.#say(conversation, side, conversation.plain(side), 'behind it');
    }
    if (this.problems.length === found && talk.protocol === 'tcp') await this.#close(conversation);
    return this.problems.length === found;
  }

  async #open(conversation: CraftedConversation): Promise<void> {
    const { talk } = conversation;
    for (const [side, packet] of conversation.opening()) {
      const { frames, outcome } = await this.#say(conversation, side, packet, 'opening');
      const wanted = wireOf(otherSide(side));
      const passed = frames.find(({ wire }) => wire === wanted);
      if (frames.length !== 1 || passed === undefined) {
        this.#fail(conversation, side, 'opening', packet, `came to ${JSON.stringify(outcome)}`);
        return;
      }
      if (talk.seen === undefined) conversation.sawOutside(passed.bytes);
    }
  }

  async #learn(conversation: CraftedConversation): Promise<void> {
    if (!isKindFast(conversation.talk)) return;
    const left = new Set(FAST_MODES.flatMap((mode) => SIDES.map((side) => `${mode} from ${side}`)));
    for (let count = 0; count < TO_LEARN && left.size > 0; count++)
      for (const side of SIDES) {
        const { fast } = await this.#say(conversation, side, conversation.plain(side), 'learning');
        for (const mode of FAST_MODES) if (fast[mode] > 0) left.delete(`${mode} from ${side}`);
      }
    if (left.size > 0) this.problems.push(`${conversation.name}: never fast: ${[...left].join(', ')}`);
  }

  async #plain(conversation: CraftedConversation): Promise<void> {
    const { numbers } = this.#options;
    /** An echo of each flow goes the slow way each second, which may end here. */
    const visited = new Set<string>();
    for (let count = 0; count < PLAIN; count++) {
      const side = numbers.pick(SIDES);
      const packet = conversation.plain(side);
      const { fast } = await this.#say(conversation, side, packet, 'plain');
      for (const mode of FAST_MODES) {
        const isFast = isKindFast(conversation.talk) && isPacketFast(packet, mode);
        if (fast[mode] === Number(isFast)) continue;
        const flow = `${mode} from ${side}`;
        if (conversation.talk.protocol === 'ping' && isFast && !visited.has(flow)) visited.add(flow);
        else this.#fail(conversation, side, 'plain', packet, `${isFast ? 'not fast' : 'fast'}: ${mode}`);
      }
    }
  }

  async #goFar(conversation: CraftedConversation): Promise<void> {
    for (let count = 0; count < LEAPS; count++)
      for (const side of SIDES) {
        conversation.leap(side, LEAP_BYTES);
        await this.#say(conversation, side, conversation.plain(side), 'far on');
      }
  }

  async #odd(conversation: CraftedConversation): Promise<void> {
    const { numbers, tenants } = this.#options;
    const { tenant } = conversation.talk;
    const side = numbers.pick(SIDES);
    const packet = conversation.odd(side);
    const odd = numbers.pick(ODD_PACKETS.filter(({ fits }) => fits?.(packet) ?? true));
    const others = tenants.filter((other) => other !== tenant);
    this.counts.odd.set(odd.name, (this.counts.odd.get(odd.name) ?? 0) + 1);
    await delay(BETWEEN_ERRORS);
    const frames = odd.make(packet, { numbers, tenant, others }) ?? [frameBytes(packet)];
    for (const frame of frames) await this.#sendFrame(conversation, side, frame, odd.name);
  }

  /** From either side, in order; and what comes too late. */
  async #close(conversation: CraftedConversation): Promise<void> {
    const side = this.#options.numbers.pick(SIDES);
    const { fin, ack } = TCP_FLAG;
    for (const [from, flags] of [
      [side, fin | ack],
      [otherSide(side), fin | ack],
      [side, ack],
    ] as const)
      await this.#say(conversation, from, conversation.flagged(from, flags), 'closing');
    for (const late of SIDES) await this.#say(conversation, late, conversation.plain(late), 'too late');
  }

  #say(conversation: CraftedConversation, side: Side, packet: Crafted, what: string): Promise<Sent> {
    return this.#sendFrame(conversation, side, frameBytes(packet), what);
  }

  async #sendFrame(
    conversation: CraftedConversation,
    side: Side,
    frame: Buffer,
    what: string,
  ): Promise<Sent> {
    const sent = await this.#options.comparison.send(wireOf(side), frame);
    this.counts.packets++;
    for (const mode of FAST_MODES) this.counts[mode] += sent.fast[mode];
    for (const problem of sent.problems)
      this.problems.push(`${conversation.name}\n${what}, from ${side}: ${frame.toString('hex')}\n${problem}`);
    return sent;
  }

  #fail(conversation: CraftedConversation, side: Side, what: string, packet: Crafted, why: string): void {
    const frame = frameBytes(packet).toString('hex');
    this.problems.push(`${conversation.name}\n${what}, from ${side}: ${frame}\n${why}`);
  }
}

/** XDP takes away what is behind a packet; TC leaves that to the slow path, and both the mark of a congested tunnel. */
function isPacketFast({ padding, trailer, tunnel }: Crafted, mode: 'native' | 'generic'): boolean {
  if (tunnel !== undefined && (tunnel.tos & CONGESTED) === CONGESTED) return false;
  return mode === 'native' || padding.length + trailer.length === 0;
}
