/**
 * Packets of a conversation that are not as its other ones: ends, errors, fragments, options, and what is broken or forged. Each
 * is made of a plain one.
 */
import {
  type Crafted,
  type CraftedIcmp,
  DONT_FRAGMENT,
  frameBytes,
  MORE_FRAGMENTS,
  packetBytes,
  TCP_FLAG,
  words,
} from './crafted-packet.ts';
import type { FastTenant } from './fast-policy.ts';
import type { RandomNumbers } from './random-nat.ts';
import { HOSTS } from './wired-gateway.ts';

export interface Odd {
  name: string;
  /** Undefined: with all packets. */
  fits?: (packet: Crafted) => boolean;
  /** Changes the packet; may answer frames to be sent in its place. */
  make: (packet: Crafted, context: OddContext) => Buffer[] | undefined;
}
export interface OddContext {
  numbers: RandomNumbers;
  tenant: FastTenant;
  others: readonly FastTenant[];
}

const NIC_MTU = 1500;
const ETHERNET = 14;

const isV4 = ({ ip }: Crafted): boolean => ip.source.includes('.');
const isV6 = (packet: Crafted): boolean => !isV4(packet);
const isTcp = ({ transport }: Crafted): boolean => transport.kind === 'tcp';
const isUdp = ({ transport }: Crafted): boolean => transport.kind === 'udp';
const isIcmp = ({ transport }: Crafted): boolean => transport.kind === 'icmp';
const isTagged = ({ link }: Crafted): boolean => link.tags.length > 0;
const isTunnelled = ({ tunnel }: Crafted): boolean => tunnel !== undefined;
const isOverV4 = ({ tunnel }: Crafted): boolean => tunnel?.from.includes('.') ?? false;
/** Nothing to change but what `change` does. */
const odd = (
  name: string,
  change: (packet: Crafted, context: OddContext) => void,
  fits?: Odd['fits'],
): Odd => ({
  name,
  ...(fits && { fits }),
  make: (packet, context) => {
    change(packet, context);
    return undefined;
  },
});
const tcp = (name: string, flags: number): Odd =>
  odd(
    name,
    ({ transport }) => {
      if (transport.kind === 'tcp') transport.flags = flags;
    },
    isTcp,
  );
const icmp = (name: string, change: Partial<CraftedIcmp>): Odd =>
  odd(name, ({ transport }) => void Object.assign(transport, change), isIcmp);
const tunnel = (name: string, change: Partial<Crafted['tunnel'] & object>, fits = isTunnelled): Odd =>
  odd(name, (packet) => void Object.assign(packet.tunnel ?? {}, change), fits);
const ip = (name: string, change: Partial<Crafted['ip']>, fits?: Odd['fits']): Odd =>
  odd(name, (packet) => void Object.assign(packet.ip, change), fits);
const link = (name: string, change: Partial<Crafted['link']>, fits?: Odd['fits']): Odd =>
  odd(name, (packet) => void Object.assign(packet.link, change), fits);
const extension = (name: string, number: number, bytes: string): Odd =>
  odd(name, ({ ip }) => void ip.extensions.push({ number, bytes: Buffer.from(bytes, 'hex') }), isV6);

/** A packet that is so long. */
const lengthen = ({ transport }: Crafted, length: number): void => {
  transport.data = Buffer.alloc(length, 0x42);
};

/** As many bytes of data as make the frame that long, without its Ethernet header. */
function fill(packet: Crafted, length: number): void {
  packet.trailer = packet.padding = Buffer.alloc(0);
  lengthen(packet, 0);
  lengthen(packet, length + ETHERNET + 4 * packet.link.tags.length - frameBytes(packet).length);
}

/** Of such frames from a host the NIC takes some bytes too many; those of the uplink are too big for the tunnel alone. */
function tooMuch({ tunnel: t }: Crafted): [least: number, most: number] {
  return t === undefined ? [NIC_MTU - 41, NIC_MTU] : [NIC_MTU + 1, NIC_MTU + 4];
}

/** The packet in two fragments; of the first one `bytes` are behind the IP header, a multiple of 8. */
function fragments(packet: Crafted, bytes: number): Buffer[] {
  lengthen(packet, 100);
  packet.trailer = packet.padding = Buffer.alloc(0);
  const header = isV4(packet) ? 20 : 40;
  const whole = packetBytes(packet).subarray(header);
  const protocol = packetBytes(packet)[isV4(packet) ? 9 : 6] ?? 0;
  return [
    piece(packet, whole.subarray(0, bytes), protocol, 0, false),
    piece(packet, whole.subarray(bytes), protocol, bytes / 8, true),
  ];
}

/** One fragment: its bytes stand where the message would. `offset` is in units of 8 bytes. */
function piece(packet: Crafted, data: Buffer, protocol: number, offset: number, isLast: boolean): Buffer {
  const transport = { kind: 'bytes' as const, protocol, wrong: undefined, data };
  if (isV4(packet)) {
    const ip = { ...packet.ip, fragment: offset | (isLast ? 0 : MORE_FRAGMENTS) };
    return frameBytes({ ...packet, transport, ip });
  }
  const bytes = Buffer.concat([
    Buffer.from([0]),
    words((offset << 3) | (isLast ? 0 : 1), 0x1234, packet.ip.id),
  ]);
  return frameBytes({ ...packet, transport, ip: { ...packet.ip, extensions: [{ number: 44, bytes }] } });
}

export const ODD_PACKETS: readonly Odd[] = [
  // What a conversation may do beside sending data.
  tcp('FIN', TCP_FLAG.fin | TCP_FLAG.ack),
  tcp('RST', TCP_FLAG.rst),
  tcp('SYN', TCP_FLAG.syn),
  tcp('SYN and ACK', TCP_FLAG.syn | TCP_FLAG.ack),
  tcp('no flags', 0),
  tcp('all flags', 0xff),
  tcp('URG', TCP_FLAG.urg | TCP_FLAG.ack),
  ip('a TTL of 0', { ttl: 0 }),
  ip('a TTL of 1', { ttl: 1 }),
  ip('a TTL of 2', { ttl: 2 }),
  ip('no-operation options', { options: Buffer.alloc(8, 1) }, isV4),
  ip('a router alert', { options: Buffer.from('94040000', 'hex') }, isV4),
  extension('hop-by-hop options', 0, '00010400000000'),
  extension('destination options', 60, '00010400000000'),
  extension('a fragment header that fragments nothing', 44, '00000012345678'),
  ip('a reserved flag', { fragment: 0x8000 }, isV4),
  { name: 'fragments', make: (packet, { numbers }) => fragments(packet, numbers.pick([8, 24, 64])) },
  { name: 'a first fragment alone', make: (packet) => fragments(packet, 48).slice(0, 1) },
  { name: 'a later fragment alone', make: (packet) => fragments(packet, 48).slice(1) },
  odd('as much as ever fits', (packet) => fill(packet, NIC_MTU)),
  odd('more than fits, not to be cut', (packet, { numbers }) => {
    packet.ip.fragment = DONT_FRAGMENT;
    fill(packet, numbers.between(...tooMuch(packet)));
  }),
  odd(
    'more than fits, which may be cut',
    (packet, { numbers }) => {
      packet.ip.fragment = 0;
      fill(packet, numbers.between(...tooMuch(packet)));
    },
    isV4,
  ),
  odd('a broken transport header', ({ transport }) => {
    if (transport.kind === 'tcp') transport.options = Buffer.from('0303', 'hex');
    transport.data = Buffer.alloc(0);
  }),
  odd(
    'a UDP length that is too large',
    ({ transport }) => {
      if (transport.kind === 'udp') transport.excess = 4;
    },
    isUdp,
  ),
  odd(
    'a UDP length that is too small',
    ({ transport }) => {
      transport.data = Buffer.alloc(20, 7);
      if (transport.kind === 'udp') transport.excess = -6;
    },
    isUdp,
  ),
  icmp('another ICMP code', { code: 1 }),
  odd(
    'another ICMP type',
    (packet, { numbers }) => {
      const types = isV4(packet) ? [3, 4, 5, 9, 13, 14, 17] : [1, 2, 3, 4, 100, 127];
      Object.assign(packet.transport, { type: numbers.pick(types) });
    },
    isIcmp,
  ),
  odd('a wrong transport checksum', ({ transport }) => void Object.assign(transport, { wrong: 3 })),
  odd('no UDP checksum', ({ transport }) => void Object.assign(transport, { wrong: undefined }), isUdp),
  // Wrong IP headers.
  ip('a wrong IP checksum', { wrong: 1 }, isV4),
  ip('an IP length beyond its end', { excess: 40 }),
  odd('an IP length short of its end', (packet) => {
    lengthen(packet, 30);
    packet.ip.excess = -10;
  }),
  odd('the type of the other family', (packet) => {
    (packet.tunnel ?? packet.link).type = isV4(packet) ? 0x86dd : 0x0800;
  }),
  odd('a type that is no IP', ({ link, tunnel: t }) => void Object.assign(t ?? link, { type: 0x88b5 })),
  // The frame.
  odd(
    'a priority tag',
    ({ link }) => void link.tags.unshift(0xe000),
    (packet) => !isTagged(packet),
  ),
  odd('a VLAN tag', ({ link }) => void link.tags.unshift(77)),
  link('another VLAN', { tags: [77] }, isTagged),
  odd(
    'a priority in its tag',
    ({ link }) => {
      link.tags = link.tags.map((tag) => 0xa000 | tag);
    },
    isTagged,
  ),
  link('the MAC of another station', { destinationMac: '02:9a:99:99:99:99' }),
  link('the broadcast MAC', { destinationMac: 'ff:ff:ff:ff:ff:ff' }),
  link('another sender’s MAC', { sourceMac: '02:9a:99:99:99:98' }),
  { name: 'bytes missing', make: (packet, { numbers }) => [cut(packet, numbers)] },
  odd('a long trailer', (packet) => {
    lengthen(packet, 10);
    packet.padding = Buffer.alloc(200, 0xee);
  }),
  odd('a long inner trailer', (packet) => {
    lengthen(packet, 10);
    packet.trailer = Buffer.alloc(200, 0xdd);
  }),
  // The tunnel.
  odd('congestion that the flow knows', markCongested(2), isTunnelled),
  odd('congestion that the flow does not know', markCongested(0), isTunnelled),
  odd('congestion on both', markCongested(3), isTunnelled),
  odd(
    'the other host’s provider address',
    (packet, { tenant }) => {
      const { tunnel: t } = packet;
      const other = HOSTS.map(({ addresses }) => addresses[tenant.providerFamily]).find(
        (address) => address !== t?.from,
      );
      if (t) t.from = other ?? '';
    },
    isTunnelled,
  ),
  tunnel('a provider address of nobody', { from: '192.168.1.66' }, isOverV4),
  tunnel('another inner sender', { sourceMac: '02:9a:99:00:00:01' }),
  odd(
    'the other VM’s inner MAC',
    ({ tunnel: t }, { tenant }) => {
      if (t) t.sourceMac = tenant.vms.find(({ mac }) => mac !== t.sourceMac)?.mac ?? '';
    },
    isTunnelled,
  ),
  tunnel('another inner destination', { destinationMac: '02:9a:99:00:00:02' }),
  tunnel('an inner broadcast', { destinationMac: 'ff:ff:ff:ff:ff:ff' }),
  odd(
    'the other VSID of the tenant',
    ({ tunnel: t }, { tenant }) => {
      if (t) t.vsid = t.vsid === tenant.vsid ? tenant.gatewayVsid : tenant.vsid;
    },
    isTunnelled,
  ),
  odd(
    'the VSID of another tenant',
    ({ tunnel: t }, { numbers, others }) => {
      if (t) t.vsid = numbers.pick(others)?.vsid ?? 0;
    },
    isTunnelled,
  ),
  tunnel('a VSID of nobody', { vsid: 0xabcdef }),
  tunnel('a reserved VSID', { vsid: 0xfff }),
  tunnel('an inner VLAN tag', { tags: [5] }),
  tunnel('a GRE checksum', { flags: 0xa000, more: Buffer.alloc(4) }),
  tunnel('a GRE sequence number', { flags: 0x3000, more: Buffer.alloc(4) }),
  tunnel('no GRE key', { flags: 0 }),
  tunnel('GRE version 1', { flags: 0x2001 }),
  tunnel('another GRE protocol', { protocol: 0x0800 }),
  tunnel('a fragmented tunnel', { fragment: 0x2000 }, isOverV4),
  tunnel('a later fragment of a tunnel', { fragment: 4 }, isOverV4),
  tunnel('a wrong outer checksum', { wrong: 7 }, isOverV4),
  // Not from inside, where another one of a block is drawn for it by each kernel.
  odd(
    'another port',
    ({ transport }) => {
      if (transport.kind === 'icmp') transport.rest[0] ^= 0x15;
      else if (transport.kind !== 'bytes') transport.ports[1] ^= 0x15;
    },
    ({ tunnel: t }) => t === undefined,
  ),
];

function markCongested(inner: number): (packet: Crafted) => void {
  return ({ ip, tunnel: t }) => {
    ip.tos = (ip.tos & 0xfc) | inner;
    if (t) t.tos |= 3;
  };
}

function cut(packet: Crafted, numbers: RandomNumbers): Buffer {
  const frame = frameBytes(packet);
  return frame.subarray(
    0,
    numbers.between(15, frame.length - packet.padding.length - packet.trailer.length - 1),
  );
}
