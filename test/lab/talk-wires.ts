/**
 * Numbered conversations on the wires of one gateway: makes them fast, changes something while they go on, and tells what became of
 * the packets that were sent behind the change.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { DomainCounters, NatSession } from '../../src/api/operations.ts';
import { type Side, wireOf } from './crafted-conversation.ts';
import { TCP_FLAG } from './crafted-packet.ts';
import { NumberedTalk, readSeen, type Seen, type TalkSpec } from './numbered-talk.ts';
import { until } from './until.ts';
import type { WiredGateway, WireName } from './wired-gateway.ts';

/** Packets of each side that are looked at. */
export const COUNT = 16;
const SIDES: readonly Side[] = ['inside', 'outside'];
/** More than the data plane needs to learn a flow. */
const MOST_ROUNDS = 40;

/** A conversation, and the routing domain whose counters it is in. */
export interface Running {
  talk: NumberedTalk;
  rdid: string;
}

/** Packets of each side that were sent behind a change and arrived. */
export type Behind = Readonly<Record<Side, Seen[]>>;

export class TalkWires {
  readonly gateway: WiredGateway;
  readonly #running = new Map<number, Running>();
  #control: Running | undefined;

  constructor(gateway: WiredGateway) {
    this.gateway = gateway;
  }

  /** Opens a conversation and has it fast in both directions, where there is a fast path. */
  async open(rdid: string, spec: TalkSpec, opener: Side = 'inside'): Promise<Running> {
    const running = { talk: new NumberedTalk(spec), rdid };
    this.#running.set(running.talk.id, running);
    await this.begin(running, opener);
    await this.warm(running);
    return running;
  }

  /** What comes first: a handshake, or a packet there and back. */
  async begin({ talk }: Running, opener: Side = 'inside'): Promise<void> {
    const answerer = opener === 'inside' ? 'outside' : 'inside';
    const { protocol } = talk.spec;
    const flags = (...names: (keyof typeof TCP_FLAG)[]): number | undefined =>
      protocol === 'tcp' ? names.reduce((sum, name) => sum | TCP_FLAG[name], 0) : undefined;
    this.#send(talk, opener, flags('syn'));
    await this.arrives('the first packet is translated', () => talk.reached !== undefined);
    this.#send(talk, answerer, flags('syn', 'ack'));
    this.#send(talk, opener, flags('ack'));
  }

  /** Its packets are carried by the fast path: exactly as many as it has. */
  async warm(running: Running): Promise<void> {
    for (let round = 0; round < MOST_ROUNDS; round++) {
      const before = await this.fastPackets(running.rdid);
      await this.exchange(running);
      if (this.gateway.mode === 'off') return;
      if ((await this.fastPackets(running.rdid)) - before === 2 * COUNT) return;
    }
    throw new Error(`not fast in ${MOST_ROUNDS * COUNT} packets: ${JSON.stringify(running.talk.spec)}`);
  }

  /** So many packets of each side there and back, all of which arrive. */
  async exchange({ talk, rdid }: Running, count = COUNT): Promise<void> {
    const first = talk.number;
    const heard = () => talk.heard.filter(({ number }) => number >= first);
    talk.heard = [];
    for (let packet = 0; packet < count; packet++) for (const side of SIDES) this.#send(talk, side);
    const all = SIDES.length * count;
    await this.arrives(`${all} packets`, () => heard().length === all).catch(async (error: unknown) => {
      const at = (wire: WireName) => heard().filter((seen) => seen.at === wire).length;
      const counters = await this.counters(rdid);
      const what = `of ${count} each, ${at('uplink')} came from inside, ${at('provider')} from outside; ${JSON.stringify(counters)}`;
      throw new Error(what, { cause: error });
    });
  }

  /** So many packets of one side, all of which arrive. */
  async exchangeFrom({ talk }: Running, side: Side, count: number): Promise<void> {
    const first = talk.number;
    for (let packet = 0; packet < count; packet++) this.#send(talk, side);
    const heard = () => talk.heard.filter(({ number }) => number >= first).length;
    await this.arrives(`${count} packets from ${side}`, () => heard() === count);
  }

  /** Frames of a side, numbered unless they are TCP's with these flags. */
  say({ talk }: Running, side: Side, flags?: number): void {
    this.#send(talk, side, flags);
  }

  /** Another tenant's conversation, which shall notice nothing of any change. */
  async openControl(rdid: string, spec: TalkSpec): Promise<void> {
    this.#control = await this.open(rdid, spec);
  }

  /**
   * Goes on talking while something is changed, and then for a while. Answers what arrived of what was said when `change` had
   * ended; all of it has been through the gateway.
   */
  async during(
    { talk }: Running,
    change: () => Promise<unknown>,
    sides: readonly Side[] = SIDES,
  ): Promise<Behind> {
    const going = { on: true };
    const pump = (async () => {
      for (; going.on; await delay(1)) for (const side of sides) this.#send(talk, side);
    })();
    try {
      await change();
    } finally {
      going.on = false;
    }
    // Nothing is said between here and the first that counts: `pump` waits.
    const first = talk.number;
    for (let packet = 0; packet < COUNT; packet++) for (const side of sides) this.#send(talk, side);
    await pump;
    return this.#behind(talk, first);
  }

  /** Repeats what a side says until `fits` what arrives; then for a while longer. For what no answer of the API tells. */
  async whenever(
    running: Running,
    side: Side,
    what: string,
    fits: (behind: Behind) => boolean,
  ): Promise<Behind> {
    const burst = () => this.during(running, async () => undefined, [side]);
    await until(what, 5_000, async () => fits(await burst()));
    return burst();
  }

  async fastPackets(rdid: string): Promise<number> {
    return (await this.counters(rdid)).fast.packets;
  }

  async counters(rdid: string): Promise<DomainCounters> {
    return (await this.gateway.api.get(`/v1/routing-domains/${rdid}/counters`)) as DomainCounters;
  }

  /** The session of a conversation, as the API lists it; undefined when there is none. */
  async session({ talk, rdid }: Running): Promise<NatSession | undefined> {
    const { protocol, inside } = talk.spec;
    const icmp = inside.address.includes(':') ? 'icmpv6' : 'icmp';
    const name = protocol === 'ping' ? icmp : protocol;
    const filter = `protocol=${name}&internalAddress=${inside.address}&internalPort=${inside.port}`;
    const { items } = (await this.gateway.api.get(`/v1/routing-domains/${rdid}/nat/sessions?${filter}`)) as {
      items: NatSession[];
    };
    return items[0];
  }

  /** Waits for what the wires bring. */
  async arrives(what: string, isThere: () => boolean): Promise<void> {
    const look = (): boolean => {
      this.#listen();
      return isThere();
    };
    for (let turn = 0; turn < 20; turn++) {
      if (look()) return;
      await delay(1);
    }
    await until(what, 5_000, look);
  }

  /** All that was said has been dropped or has arrived when the other tenant's later packets have. */
  async #behind(talk: NumberedTalk, first: number): Promise<Behind> {
    if (this.#control === undefined) throw new Error('there is no other tenant');
    await this.exchange(this.#control);
    const seen = talk.heard.filter(({ number }) => number >= first);
    const at = (wire: WireName): Seen[] => seen.filter((each) => each.at === wire);
    // What one side says comes out at the other.
    return { inside: at('uplink'), outside: at('provider') };
  }

  #send(talk: NumberedTalk, side: Side, flags?: number): void {
    this.gateway.ends[wireOf(side)].send(talk.frame(side, flags));
  }

  #listen(): void {
    for (const at of ['provider', 'uplink'] as const)
      for (const frame of this.gateway.ends[at].take()) {
        const seen = readSeen(frame, at);
        if (seen === undefined) continue;
        if (at === 'uplink') this.#learn(seen);
        this.#running.get(seen.talk)?.talk.heard.push(seen);
      }
  }

  /** What the VM is outside. Each conversation has an outside port of its own. */
  #learn({ destination, destinationPort, source, sourcePort }: Seen): void {
    for (const { talk } of this.#running.values()) {
      const { address, port } = talk.spec.outside;
      if (address === destination && port === destinationPort)
        talk.reached ??= { address: source, port: sourcePort };
    }
  }
}
