/**
 * What a packet fixture is: a frame at a place of the data plane, and all that must come of it. The list (all.ts) is used
 * three times: as a test, as a benchmark (bench/fixtures.ts), and as what the fuzzer mutates.
 */
import type { Place } from '../../../src/encap/core.ts';
import { encodeIpv4 } from '../../../src/encap/nvgre.ts';
import { routerMac } from '../../../src/policy/router.ts';
import { LINK_MACS, type Link } from '../data-plane.ts';
import {
  icmp,
  icmpv6,
  ipFrame,
  ipv4,
  ipv6,
  PROTOCOL,
  pattern,
  type Tunnelled,
  tunnelled,
  udpBetween,
} from '../packets.ts';
import { contoso, GATEWAY_PA, HOST_PA, VM_PORTS, type VmPortName } from '../two-domains.ts';

/** The frame that a program must leave behind; a function where a part of it is the program's to choose. */
export type ExpectedFrame = Buffer | ((output: Buffer) => Buffer);

export type Expectation =
  /** As it came, but for the mark where one is named. */
  | { verdict: 'pass'; mark?: number }
  | { verdict: 'drop'; reason: string; domain: number }
  /** Each copy: the link beyond whose far end it arrives, or the mark with which it comes back to its port. */
  | { verdict: 'copies'; to: Link[]; back: number[]; frame: Buffer }
  /** `reason` when the frame is the ICMP error that says so. */
  | { verdict: 'redirect'; frame: ExpectedFrame; reason?: string; domain?: number };

export interface Fixture {
  /** Unique. */
  name: string;
  place: Place;
  on: Link;
  frame: Buffer;
  mark?: number;
  gsoSize?: number;
  gsoSegments?: number;
  /** The frame arrives with this VLAN tag, taken off by the NIC. */
  vlan?: number;
  /** Length that the frame is cut to. */
  length?: number;
  expected: Expectation;
}

export const { handle } = contoso;
export const { vsids } = contoso;

/** Marks of what comes back to a port's ingress (src/encap/kernel/port.h). */
export const MARK = { copy: 0x484e0000, fragment: 0x484f0000, group: 0xffff, vlan: 0x48560000 } as const;

export const dropped = (reason: string, domain: number = handle): Expectation => ({
  verdict: 'drop',
  reason,
  domain,
});
export const redirected = (frame: ExpectedFrame): Expectation => ({ verdict: 'redirect', frame });

/** Where the FlowID is in a frame with an outer IPv4 or IPv6 header. */
export const flowIdAt = (frame: Buffer): number => ((frame[14] ?? 0) >> 4 === 6 ? 61 : 41);

/**
 * A tunnelled frame. The FlowID is the program's choice (encap-flow-id.test.ts), and the outer Ethernet header is written
 * behind it, by the kernel.
 */
export function inTunnel(to: Omit<Tunnelled, 'ethernet' | 'flowId'>): ExpectedFrame {
  return (output) => {
    const flowId = output[to.source.includes(':') ? 61 : 41] ?? 0;
    const frame = tunnelled({ ...to, ethernet: { destination: routerMac, source: routerMac }, flowId });
    output.copy(frame, 0, 0, 14);
    return frame;
  };
}

/** Most of a packet that an ICMP error quotes (RFC 1812 4.3.2.3, RFC 4443 2.4 (c)). */
const QUOTES = { 4: 576 - 28, 6: 1280 - 48 } as const;

export interface IcmpError {
  /** Type, code, and the 4 bytes behind the checksum. */
  message: readonly [number, number, number];
  /** The `.1` that says it. */
  router: string;
  sender: string;
}

/** The IP packet of the error about a packet; in place of a quoted TCP or UDP checksum the one of `settled`. */
export function errorPacket(
  about: Uint8Array,
  { message, router, sender }: IcmpError,
  settled?: Buffer,
): Buffer {
  const isIpv6 = router.includes(':');
  const quote = Buffer.from(about.subarray(0, QUOTES[isIpv6 ? 6 : 4]));
  settled?.copy(quote, checksumAt(quote));
  const [source, destination] = [router, sender];
  if (isIpv6)
    return ipv6({
      source,
      destination,
      protocol: PROTOCOL.icmpv6,
      payload: icmpv6(source, destination, message, quote),
    });
  const payload = icmp(message, quote);
  return Buffer.from(
    encodeIpv4(ipv4({ source, destination, tos: 0xc0, id: 0, protocol: PROTOCOL.icmp, payload })),
  );
}

/** Where a packet of TCP or UDP has its checksum; 0 for others. */
function checksumAt(packet: Buffer): number {
  const isIpv6 = (packet[0] ?? 0) >> 4 === 6;
  const protocol = packet[isIpv6 ? 6 : 9];
  const header = isIpv6 ? 40 : ((packet[0] ?? 0) & 0xf) * 4;
  if (protocol === PROTOCOL.udp) return header + 6;
  return protocol === PROTOCOL.tcp ? header + 16 : 0;
}

/** What of a quoted checksum an error has at `quoteAt`: a value that leaves the sum of all as it is (error.h). */
export function settledIn(output: Buffer, quoteAt: number, about: Uint8Array): Buffer | undefined {
  const at = checksumAt(Buffer.from(about));
  return at === 0 ? undefined : Buffer.from(output.subarray(quoteAt + at, quoteAt + at + 2));
}

/** The packet goes no further, and its sender hears why. */
export function refused(reason: string, about: Uint8Array, senderMac: string, error: IcmpError): Expectation {
  const quoteAt = 14 + (error.router.includes(':') ? 48 : 28);
  const frame = (output: Buffer): Buffer =>
    ipFrame(senderMac, routerMac, errorPacket(about, error, settledIn(output, quoteAt, about)));
  return { verdict: 'redirect', frame, reason, domain: handle };
}

/** A frame of one of Contoso's VMs, to a MAC or another VM's. */
export function fromVm(from: VmPortName, to: VmPortName | { mac: string }, packet: Uint8Array): Buffer {
  return ipFrame(typeof to === 'string' ? VM_PORTS[to].mac : to.mac, VM_PORTS[from].mac, packet);
}
export const viaRouter = { mac: routerMac };

/** A packet with an Internet header of either family and UDP with checksum. */
export function datagram(
  source: string,
  destination: string,
  {
    ttl = 64,
    payload,
    protocol,
    tos = 0,
  }: { ttl?: number; payload?: Buffer; protocol?: number; tos?: number } = {},
): Buffer {
  const common = {
    source,
    destination,
    ...(payload && { payload }),
    ...(protocol !== undefined && { protocol }),
  };
  if (source.includes(':')) return ipv6({ ...common, hopLimit: ttl, trafficClass: tos });
  const withDefault = payload ? common : { ...common, payload: udpOf(source, destination, 24) };
  return Buffer.from(encodeIpv4(ipv4({ ...withDefault, ttl, tos })));
}

/** UDP with its checksum and that many bytes of data. */
export function udpOf(source: string, destination: string, length: number): Buffer {
  return udpBetween(source, destination, pattern(length));
}

/** An NVGRE frame as a host of the provider network sends it to this node. */
export function fromHost(frame: Partial<Tunnelled> & Pick<Tunnelled, 'inner'>): Buffer {
  return tunnelled({
    ethernet: { destination: LINK_MACS.provider, source: '02:bb:00:00:00:11' },
    source: HOST_PA,
    destination: GATEWAY_PA,
    vsid: vsids.first,
    flowId: 0x5a,
    ...frame,
  });
}
