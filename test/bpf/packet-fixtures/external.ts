/** What the fixtures of public addresses are made of. */
import type { Place } from '../../../src/encap/core.ts';
import { encodeIpv4 } from '../../../src/encap/nvgre.ts';
import { routerMac } from '../../../src/policy/router.ts';
import { CONTEXT_MACS, LINK_MACS, type Link } from '../data-plane.ts';
import {
  icmp,
  icmpv6,
  ipFrame,
  ipv4,
  ipv6,
  PROTOCOL,
  pattern,
  tcpBetween,
  udpBetween,
  word,
} from '../packets.ts';
import { type DomainName, domains } from '../two-domains.ts';
import { datagram, type Expectation, type Fixture, redirected } from './fixture.ts';

export const ROUTER = '02:ee:00:00:00:01';
export const OUTSIDE = { 4: '198.51.100.7', 6: '2001:db8::7' } as const;
export type Ports = readonly [source: number, destination: number];

/** A list to add fixtures to, and how. */
export function fixtureList() {
  const fixtures: Fixture[] = [];
  const at = (
    [place, on]: readonly [Place, Link],
    name: string,
    packet: Buffer,
    expected: Expectation,
    more: Partial<Fixture> = {},
  ): void => {
    const frame =
      place === 'context'
        ? ipFrame(routerMac, CONTEXT_MACS[on === 'contosoOut' ? 'contoso' : 'fabrikam'], packet)
        : ipFrame(LINK_MACS[on], ROUTER, packet);
    fixtures.push({ name, place, on, frame, expected, ...more });
  };
  return { fixtures, at };
}
export const ICMPV6_ERRORS = {
  1: 'unreachable',
  2: 'too big',
  3: 'time exceeded',
  4: 'parameter problem',
} as const;
export const INWARDS = ['uplink', 'uplink'] as const;
export const OUTWARDS = ['context', 'contosoOut'] as const;
export const SORTED = ['sorter', 'sorter'] as const;

const handles: Record<number, DomainName> = {
  [domains.contoso.handle]: 'contoso',
  [domains.fabrikam.handle]: 'fabrikam',
};

/** To the context of the domain, as that packet. */
export function handedTo(handle: number, packet: Buffer): Expectation {
  return redirected(ipFrame(CONTEXT_MACS[handles[handle] ?? 'contoso'], routerMac, packet));
}
/** To the uplink, as that packet, from Contoso's context. */
export function toUplink(packet: Buffer, from: DomainName = 'contoso'): Expectation {
  return redirected(ipFrame(routerMac, CONTEXT_MACS[from], packet));
}

export function udpPacket(source: string, destination: string, ports: Ports): Buffer {
  return datagram(source, destination, { payload: udpBetween(source, destination, pattern(24), ports) });
}
export function tcpPacket(source: string, destination: string, ports: Ports): Buffer {
  const payload = tcpBetween(source, destination, pattern(24), ports);
  return datagram(source, destination, { payload, protocol: PROTOCOL.tcp });
}
/** ESP as it is on the wire: SPI, sequence number, and what only the peers can read. */
export function espPacket(source: string, destination: string): Buffer {
  return datagram(source, destination, { payload: pattern(40), protocol: PROTOCOL.esp });
}
/** An ICMP message of the family of the addresses. */
export function icmpPacket(
  source: string,
  destination: string,
  message: readonly [number, number, number],
  body: Uint8Array = pattern(24),
): Buffer {
  const isIpv6 = source.includes(':');
  return datagram(source, destination, {
    payload: isIpv6 ? icmpv6(source, destination, message, body) : icmp(message, body),
    protocol: isIpv6 ? PROTOCOL.icmpv6 : PROTOCOL.icmp,
  });
}
const typeOf = (source: string, v4: number, v6: number): number => (source.includes(':') ? v6 : v4);
export function echoRequest(source: string, destination: string, id: number): Buffer {
  return icmpPacket(source, destination, [typeOf(source, 8, 128), 0, id * 65_536 + 1]);
}
export function echoReply(source: string, destination: string, id: number): Buffer {
  return icmpPacket(source, destination, [typeOf(source, 0, 129), 0, id * 65_536 + 1]);
}

export interface Fragment {
  /** Bytes. */
  offset: number;
  more: boolean;
  data: Uint8Array;
  ttl?: number;
  id?: number;
  protocol?: number;
}

/** One fragment of a packet, of UDP when nothing else is said, which has `data` of it from byte `offset` on. */
export function fragmentPacket(
  source: string,
  destination: string,
  { offset, more, data, ttl = 64, id = 0x1234, protocol = PROTOCOL.udp }: Fragment,
): Buffer {
  if (!source.includes(':')) {
    const fields = {
      source,
      destination,
      protocol,
      fragmentOffset: offset / 8,
      moreFragments: more,
      payload: data,
      ttl,
      id,
    };
    return Buffer.from(encodeIpv4(ipv4(fields)));
  }
  const header = Buffer.concat([
    Buffer.of(protocol, 0),
    word(offset | (more ? 1 : 0)),
    Buffer.of(0, 0),
    word(id),
  ]);
  const payload = Buffer.concat([header, data]);
  return ipv6({ source, destination, protocol: PROTOCOL.ipv6Fragment, payload, hopLimit: ttl });
}
/** The first of several, with the ports. */
export function firstFragment(source: string, destination: string, ports: Ports, ttl = 64): Buffer {
  const data = udpBetween(source, destination, pattern(24), ports);
  return fragmentPacket(source, destination, { offset: 0, more: true, data, ttl });
}
export function laterFragment(source: string, destination: string, more = false, ttl = 64): Buffer {
  return fragmentPacket(source, destination, { offset: 32, more, data: pattern(16), ttl });
}

export const withMacs = (destination: string, source: string, packet: Buffer): Expectation =>
  redirected(ipFrame(destination, source, packet));
