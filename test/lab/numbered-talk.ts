/**
 * A conversation through a gateway on the test's own wires (wired-gateway.ts) whose packets are numbered: so it is told of each that
 * arrives before or behind which moment it was sent.
 */
import { randomInt } from 'node:crypto';
import ipaddr from 'ipaddr.js';
import type { Side } from './crafted-conversation.ts';
import {
  type Crafted,
  type CraftedTransport,
  DONT_FRAGMENT,
  frameBytes,
  PROTOCOL,
  TCP_FLAG,
} from './crafted-packet.ts';
import { NICS, ROUTER, type Station, type WireName } from './wired-gateway.ts';

const GRE_KEY = 0x2000;
const ETHERNET = 0x6558;
const [ARP_LENGTH, VLAN, IPV4] = [42, 0x8100, 0x0800];
const [TCP, UDP, GRE] = [6, 17, 47];
/** By protocol: types of an echo's request and reply. */
const ECHO: Readonly<Record<number, readonly [request: number, reply: number]>> = {
  [PROTOCOL.icmp]: [8, 0],
  [PROTOCOL.icmpv6]: [128, 129],
};
const MARK = Buffer.from('hnvT');
/** Mark, talk, number. */
const NUMBERED = 12;

export interface TalkEnd {
  address: string;
  port: number;
}

export interface TalkSpec {
  /** Of a ping, begun inside, both ends have the identifier as their port. */
  protocol: 'tcp' | 'udp' | 'ping';
  inside: TalkEnd;
  outside: TalkEnd;
  /** The VM's MAC, host, and the VSID that this one writes; the gateway's inner MAC. */
  mac: string;
  host: Station;
  vsid: number;
  gatewayMac: string;
  /** The provider address of the gateway that frames go to, if not its first. */
  to?: string;
  /** What the outside sends to, where it begins. */
  reached?: TalkEnd;
  /** Of frames to and from the network without NAT: the context's MAC, its router, the VLAN or 0. */
  network?: { mac: string; router: Station; vlan: number };
  /** Bytes behind the number. */
  more?: number;
}

/** A packet as it came out of the gateway. */
export interface Seen {
  /** 0: it has no number, as what begins a TCP connection. */
  talk: number;
  number: number;
  at: WireName;
  destinationMac: string;
  sourceMac: string;
  vlan: number;
  tunnel?: { from: string; to: string; vsid: number; destinationMac: string; sourceMac: string };
  source: string;
  destination: string;
  sourcePort: number;
  destinationPort: number;
  ttl: number;
}

let talks = 0;

export class NumberedTalk {
  readonly id = ++talks;
  readonly spec: TalkSpec;
  /** Of the packets to come. */
  number = 1;
  /** What the VM is outside: undefined until it has said something. */
  reached: TalkEnd | undefined;
  /** All that has arrived since it was emptied. */
  heard: Seen[] = [];
  readonly #first: Record<Side, number> = { inside: randomInt(2 ** 31), outside: randomInt(2 ** 31) };
  readonly #next = { ...this.#first };

  constructor(spec: TalkSpec) {
    this.spec = spec;
    this.reached = spec.reached ?? (spec.network === undefined ? undefined : spec.inside);
  }

  /** The next frame of the side; with flags of TCP, one without data, else with the next number. */
  frame(side: Side, flags?: number): Buffer {
    const { protocol, inside, outside, more = 0 } = this.spec;
    const data = Buffer.alloc(flags === undefined ? NUMBERED + more : 0);
    if (flags === undefined) {
      MARK.copy(data);
      data.writeUInt32BE(this.id, 4);
      data.writeUInt32BE(this.number++, 8);
    }
    if (flags !== undefined && flags & TCP_FLAG.syn) this.#first[side] = this.#next[side];
    const reached = this.reached ?? inside;
    const [source, destination] = side === 'inside' ? [inside, outside] : [outside, reached];
    const ports: [number, number] = [source.port, destination.port];
    const transport: CraftedTransport =
      protocol === 'udp'
        ? { kind: 'udp', ports, excess: 0, wrong: 0, data }
        : protocol === 'ping'
          ? { ...this.#echo(side), data }
          : { ...this.#segment(side, flags ?? TCP_FLAG.ack | TCP_FLAG.psh), ports, data };
    if (transport.kind === 'tcp')
      this.#next[side] += data.length + ((flags ?? 0) & (TCP_FLAG.syn | TCP_FLAG.fin) ? 1 : 0);
    return frameBytes({
      ...{ link: this.#link(side), tunnel: side === 'inside' ? this.#tunnel() : undefined },
      ip: {
        ...{ source: source.address, destination: destination.address, tos: 0, ttl: 64, id: 0 },
        ...{
          fragment: DONT_FRAGMENT,
          options: Buffer.alloc(0),
          label: 0,
          extensions: [],
          excess: 0,
          wrong: 0,
        },
      },
      ...{ transport, trailer: Buffer.alloc(0), padding: Buffer.alloc(0) },
    });
  }

  /** Bytes of a numbered packet from its IP header on. */
  get packetBytes(): number {
    const { protocol, inside, more = 0 } = this.spec;
    return (inside.address.includes(':') ? 40 : 20) + (protocol === 'tcp' ? 20 : 8) + NUMBERED + more;
  }

  #echo(side: Side) {
    const { inside } = this.spec;
    const [request, reply] = ECHO[inside.address.includes(':') ? PROTOCOL.icmpv6 : PROTOCOL.icmp] ?? [0, 0];
    const [type, id] = side === 'inside' ? [request, inside.port] : [reply, this.reached?.port ?? 0];
    return {
      kind: 'icmp' as const,
      type,
      code: 0,
      rest: [id, this.number & 0xffff] as [number, number],
      wrong: 0,
    };
  }

  #segment(side: Side, flags: number) {
    const other = side === 'inside' ? 'outside' : 'inside';
    // Nobody has seen all that was sent: what is lost shall not make what comes behind it invalid.
    const ack = flags & TCP_FLAG.ack ? this.#first[other] + 1 : 0;
    return {
      ...{ kind: 'tcp' as const, seq: this.#next[side], ack, flags, window: 0xffff },
      ...{ options: Buffer.alloc(0), wrong: 0 },
    };
  }

  #link(side: Side): Crafted['link'] {
    const { host, network } = this.spec;
    if (side === 'inside') return { destinationMac: NICS.provider.mac, sourceMac: host.mac, tags: [] };
    if (network === undefined) return { destinationMac: NICS.uplink.mac, sourceMac: ROUTER.mac, tags: [] };
    const { mac, router, vlan } = network;
    return { destinationMac: mac, sourceMac: router.mac, tags: vlan === 0 ? [] : [vlan] };
  }

  #tunnel(): NonNullable<Crafted['tunnel']> {
    const { mac, host, vsid, gatewayMac, to = NICS.provider.addresses[4] } = this.spec;
    return {
      ...{ destinationMac: gatewayMac, sourceMac: mac, tags: [], from: host.addresses[4] },
      ...{ to, tos: 0, ttl: 64, fragment: DONT_FRAGMENT, flags: GRE_KEY },
      ...{ more: Buffer.alloc(0), protocol: ETHERNET, wrong: 0, vsid, flowId: 7 },
    };
  }
}

const macText = (bytes: Buffer): string => (bytes.toString('hex').match(/../g) ?? []).join(':');
const addressText = (bytes: Buffer): string => {
  const address = ipaddr.fromByteArray([...bytes]);
  return address instanceof ipaddr.IPv6 ? address.toRFC5952String() : address.toString();
};

interface IpHead {
  source: string;
  destination: string;
  protocol: number;
  ttl: number;
  payload: Buffer;
}

function readIp(bytes: Buffer): IpHead {
  const isIpv4 = (bytes[0] ?? 0) >> 4 === 4;
  const [from, size, head] = isIpv4 ? [12, 4, 20] : [8, 16, 40];
  const length = isIpv4 ? bytes.readUInt16BE(2) : 40 + bytes.readUInt16BE(4);
  return {
    source: addressText(bytes.subarray(from, from + size)),
    destination: addressText(bytes.subarray(from + size, from + 2 * size)),
    protocol: bytes[isIpv4 ? 9 : 6] ?? 0,
    ttl: bytes[isIpv4 ? 8 : 7] ?? 0,
    payload: bytes.subarray(head, length),
  };
}

/** Reads a frame from a wire; undefined when it is neither TCP nor UDP nor an echo. */
export function readSeen(frame: Buffer, at: WireName): Seen | undefined {
  const isTagged = frame.readUInt16BE(12) === VLAN;
  const ethernet = isTagged ? 18 : 14;
  const type = frame.readUInt16BE(ethernet - 2);
  if ((type !== IPV4 && type !== 0x86dd) || frame.length < ARP_LENGTH) return undefined;
  let packet = readIp(frame.subarray(ethernet));
  let tunnel: Seen['tunnel'];
  if (packet.protocol === GRE) {
    const { payload, source: from, destination: to } = packet;
    const [destinationMac, sourceMac] = [macText(payload.subarray(8, 14)), macText(payload.subarray(14, 20))];
    tunnel = { from, to, vsid: payload.readUInt32BE(4) >>> 8, destinationMac, sourceMac };
    packet = readIp(payload.subarray(22));
  }
  const { payload, source, destination, ttl, protocol } = packet;
  const isEcho = ECHO[protocol]?.includes(payload[0] ?? 0) ?? false;
  if (protocol !== TCP && protocol !== UDP && !isEcho) return undefined;
  const data = payload.subarray(protocol === TCP ? 4 * ((payload[12] ?? 0) >> 4) : 8);
  const isNumbered = data.length >= NUMBERED && data.subarray(0, 4).equals(MARK);
  return {
    ...{ talk: isNumbered ? data.readUInt32BE(4) : 0, number: isNumbered ? data.readUInt32BE(8) : 0, at },
    ...{ destinationMac: macText(frame.subarray(0, 6)), sourceMac: macText(frame.subarray(6, 12)) },
    ...{ vlan: isTagged ? frame.readUInt16BE(14) & 0xfff : 0, ...(tunnel && { tunnel }) },
    ...{ source, destination, ttl },
    ...{
      sourcePort: payload.readUInt16BE(isEcho ? 4 : 0),
      destinationPort: payload.readUInt16BE(isEcho ? 4 : 2),
    },
  };
}
