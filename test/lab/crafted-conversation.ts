/**
 * A conversation of a VM with somebody outside, both played by the test: what each side would put on the wire next, with everything
 * that a flow may vary from packet to packet varied.
 */
import ipaddr from 'ipaddr.js';
import { derivedMac } from '../../src/policy/router.ts';
import {
  type Crafted,
  type CraftedIp,
  type CraftedLink,
  type CraftedTransport,
  type CraftedTunnel,
  DONT_FRAGMENT,
  TCP_FLAG,
} from './crafted-packet.ts';
import type { FastTenant, FastVm } from './fast-policy.ts';
import { ROUTER_MAC } from './hnv-flows.ts';
import type { RandomNumbers } from './random-nat.ts';
import { NICS, ROUTER, type WireName } from './wired-gateway.ts';

export type Side = 'inside' | 'outside';
export interface End {
  address: string;
  /** Or the identifier of a ping, which both ends have. */
  port: number;
}
export interface Talk {
  tenant: FastTenant;
  vm: FastVm;
  family: 4 | 6;
  protocol: 'tcp' | 'udp' | 'ping';
  /** By the network without NAT. */
  isForwarded: boolean;
  opener: Side;
  inside: End;
  outside: End;
  /** The VM as it is seen outside; undefined until it has said something. */
  seen: End | undefined;
}

/** To and from where each side's packets go. */
export const otherSide = (side: Side): Side => (side === 'inside' ? 'outside' : 'inside');
export const wireOf = (side: Side): WireName => (side === 'inside' ? 'provider' : 'uplink');

const GRE_KEY = 0x2000;
const ETHERNET = 0x6558;
const WINDOW = 0xffff;
/** NOP, NOP, and a timestamp that nobody compares. */
const TIMESTAMP = Buffer.from('0101080a0000000100000002', 'hex');

export class CraftedConversation {
  readonly talk: Talk;
  readonly #numbers: RandomNumbers;
  readonly #next: Record<Side, number>;
  /** What a host does alike for all of a flow. */
  readonly #vsid: number;
  readonly #sourceMac: string;

  constructor(talk: Talk, numbers: RandomNumbers) {
    this.talk = talk;
    this.#numbers = numbers;
    this.#next = { inside: numbers.below(0x7fff0000), outside: numbers.below(0x7fff0000) };
    this.#vsid = numbers.pick([talk.tenant.vsid, talk.tenant.gatewayVsid]);
    this.#sourceMac = numbers.pick([talk.vm.mac, ROUTER_MAC]);
  }

  get name(): string {
    const { tenant, protocol, opener, inside, outside, isForwarded } = this.talk;
    const end = ({ address, port }: End) => `${address} ${port}`;
    const by = isForwarded ? 'forwarded' : 'NAT';
    return `${tenant.name} ${protocol} ${by} ${end(inside)} - ${end(outside)} opened from ${opener}`;
  }

  /** What the conversation begins with, in order. */
  *opening(): Generator<[side: Side, packet: Crafted]> {
    const { opener, protocol } = this.talk;
    const answerer = otherSide(opener);
    if (protocol === 'tcp') {
      yield [opener, this.#flagged(opener, TCP_FLAG.syn)];
      yield [answerer, this.#flagged(answerer, TCP_FLAG.syn | TCP_FLAG.ack)];
      yield [opener, this.#flagged(opener, TCP_FLAG.ack)];
      return;
    }
    for (const side of [opener, answerer, opener]) yield [side, this.plain(side)];
  }

  /** Reads as what the VM is seen outside, from the frame that the gateway has made of its first one. */
  sawOutside(frame: Buffer): void {
    const at = frame.readUInt16BE(12) === 0x8100 ? 18 : 14;
    const [size, first] = this.talk.family === 4 ? [4, 12] : [16, 8];
    const text = ipaddr.fromByteArray([...frame.subarray(at + first, at + first + size)]);
    const transport = at + (this.talk.family === 4 ? 20 : 40);
    this.talk.seen = {
      address: text instanceof ipaddr.IPv6 ? text.toRFC5952String() : text.toString(),
      port: frame.readUInt16BE(transport + (this.talk.protocol === 'ping' ? 4 : 0)),
    };
  }

  /** The next packet of the side, as any stack might send it. */
  plain(side: Side): Crafted {
    const { protocol } = this.talk;
    const packet = this.#packet(side, this.#data());
    const numbers = this.#numbers;
    const { transport, ip } = packet;
    if (transport.kind === 'tcp') {
      this.#next[side] = (this.#next[side] + transport.data.length) >>> 0;
      if (numbers.chance(30)) transport.flags |= TCP_FLAG.psh;
      if (numbers.chance(10)) transport.flags |= numbers.pick([TCP_FLAG.ece, TCP_FLAG.cwr]);
      if (numbers.chance(40)) transport.options = TIMESTAMP;
    }
    if (protocol === 'udp' && ip.source.includes('.') && numbers.chance(30)) transport.wrong = undefined;
    return packet;
  }

  /** What an odd packet is made of: as the next plain one, which is still to come. */
  odd(side: Side): Crafted {
    return this.#packet(side, this.#data());
  }

  /** A bare TCP segment with these flags. */
  flagged(side: Side, flags: number): Crafted {
    return this.#flagged(side, flags);
  }

  /** The side's sequence numbers go on as if it had sent so much, and been heard. */
  leap(side: Side, bytes: number): void {
    this.#next[side] = (this.#next[side] + bytes) >>> 0;
  }

  #flagged(side: Side, flags: number): Crafted {
    const packet = this.#packet(side, Buffer.alloc(0));
    if (packet.transport.kind !== 'tcp') throw new Error('only TCP has flags');
    packet.transport.flags = flags;
    if (!(flags & TCP_FLAG.ack)) packet.transport.ack = 0;
    if (flags & TCP_FLAG.syn) packet.transport.options = Buffer.from('020405b4', 'hex');
    if (flags & (TCP_FLAG.syn | TCP_FLAG.fin)) this.leap(side, 1);
    return packet;
  }

  #data(): Buffer {
    const numbers = this.#numbers;
    const length = numbers.pick([0, 1, numbers.below(40), numbers.below(200), numbers.below(1300)]);
    return Buffer.from(Array.from({ length }, () => numbers.below(256)));
  }

  #packet(side: Side, data: Buffer): Crafted {
    const numbers = this.#numbers;
    const ip = this.#ip(side);
    const packet: Crafted = {
      ...{ link: this.#link(side), tunnel: side === 'inside' ? this.#tunnel(ip) : undefined },
      ...{ ip, transport: this.#transport(side, data), trailer: Buffer.alloc(0), padding: Buffer.alloc(0) },
    };
    // Behind a short packet there is what fills the frame; an encapsulated one may have brought such bytes along.
    if (numbers.chance(30) && data.length < 40) packet.padding = Buffer.alloc(numbers.between(1, 18), 0xa5);
    if (numbers.chance(15) && data.length < 40) packet.trailer = Buffer.alloc(numbers.between(1, 18), 0x5a);
    return packet;
  }

  #link(side: Side): CraftedLink {
    const { tenant, vm, isForwarded } = this.talk;
    if (side === 'inside') return { destinationMac: NICS.provider.mac, sourceMac: vm.host.mac, tags: [] };
    if (!isForwarded || tenant.network === undefined)
      return { destinationMac: NICS.uplink.mac, sourceMac: ROUTER.mac, tags: [] };
    const { vlan, router } = tenant.network;
    const destinationMac = derivedMac(`forwarding ${tenant.rdid}`);
    return { destinationMac, sourceMac: router.mac, tags: vlan === 0 ? [] : [vlan] };
  }

  #tunnel({ tos }: CraftedIp): CraftedTunnel {
    const numbers = this.#numbers;
    const { tenant, vm } = this.talk;
    return {
      ...{ destinationMac: tenant.gatewayMac, sourceMac: this.#sourceMac, tags: [] },
      from: vm.host.addresses[tenant.providerFamily],
      to: NICS.provider.addresses[tenant.providerFamily],
      // The flow's ECN; DSCP may be of the fabric's own.
      tos: numbers.chance(80) ? tos : (numbers.below(64) << 2) | (tos & 3),
      ttl: numbers.between(1, 255),
      fragment: numbers.chance(80) ? DONT_FRAGMENT : 0,
      ...{ flags: GRE_KEY, more: Buffer.alloc(0), protocol: ETHERNET, wrong: 0 },
      ...{ vsid: this.#vsid, flowId: numbers.below(256) },
    };
  }

  #ip(side: Side): CraftedIp {
    const numbers = this.#numbers;
    const { inside, outside, seen } = this.talk;
    if (side === 'outside' && seen === undefined) throw new Error(`${this.name}: nobody is there yet`);
    return {
      source: side === 'inside' ? inside.address : outside.address,
      destination: side === 'inside' ? outside.address : (seen?.address ?? ''),
      tos: numbers.chance(50) ? 0 : numbers.below(256),
      // The context and, towards the VM, the distributed router take one each.
      ttl: numbers.pick([64, 128, 255, 3, numbers.between(3, 255)]),
      ...{ id: numbers.below(0x10000), fragment: numbers.chance(70) ? DONT_FRAGMENT : 0 },
      ...{ options: Buffer.alloc(0), label: numbers.chance(50) ? 0 : numbers.below(0x100000) },
      ...{ extensions: [], excess: 0, wrong: 0 },
    };
  }

  #transport(side: Side, data: Buffer): CraftedTransport {
    const { inside, outside, seen = inside, protocol, opener, family } = this.talk;
    const numbers = this.#numbers;
    if (protocol === 'ping') {
      const isReply = side !== opener;
      const type = family === 4 ? (isReply ? 0 : 8) : isReply ? 129 : 128;
      const id = side === 'inside' ? inside.port : seen.port;
      return { kind: 'icmp', type, code: 0, rest: [id, numbers.below(0x10000)], wrong: 0, data };
    }
    const ports: [number, number] =
      side === 'inside' ? [inside.port, outside.port] : [outside.port, seen.port];
    if (protocol === 'udp') return { kind: 'udp', ports, excess: 0, wrong: 0, data };
    return {
      ...{ kind: 'tcp', ports, seq: this.#next[side], ack: this.#next[otherSide(side)], wrong: 0, data },
      ...{ flags: TCP_FLAG.ack, window: WINDOW, options: Buffer.alloc(0) },
    };
  }
}
