// What a packet from a context's port becomes: every field of the NVGRE frame, with lengths and checksums worked out here.
import t from 'tap';
import { encodeIpv4, type Ipv4Packet, internetChecksum } from '../../src/encap/nvgre.ts';
import { macBytes } from '../../src/policy/address.ts';
import { routerMac } from '../../src/policy/router.ts';
import { DataPlane, INNER_MTU, LINK_MACS } from './data-plane.ts';
import {
  ETHERTYPE,
  echo,
  ethernet,
  GRE,
  INNER,
  ipv4,
  OUTER,
  PROTOCOL,
  pattern,
  tcp,
  udp,
} from './packets.ts';
import { BRANCH_MAC, contoso, GATEWAY_PA, HOST_PA, SHARED_PA, VM_MAC } from './two-domains.ts';

const dataPlane = DataPlane.open(t);

const address = (text: string): Buffer => Buffer.from(text.split('.').map(Number));
const bytes = (frame: Buffer, at: number, length: number): Buffer => frame.subarray(at, at + length);

const packets: [string, Partial<Ipv4Packet>][] = [
  ['UDP', {}],
  ['empty UDP', { payload: udp(1, 2, pattern(0)) }],
  ['TCP', { protocol: PROTOCOL.tcp, payload: tcp(443, 1024, pattern(333)), dontFragment: true, tos: 0xb9 }],
  ['ICMP', { protocol: PROTOCOL.icmp, payload: echo(3, 9, pattern(56)), ttl: 2 }],
  ['first fragment', { moreFragments: true, payload: pattern(800), tos: 0xff }],
  ['last fragment', { fragmentOffset: 100, payload: pattern(9) }],
  ['options', { options: Buffer.of(7, 7, 4, 0, 0, 0, 0, 0), ttl: 255 }],
  ['header only, of an unknown protocol', { protocol: 253, payload: pattern(0) }],
  ['as large as the MTU', { payload: pattern(INNER_MTU - 20) }],
  ['a TTL whose decrement carries into the checksum', { id: 0xffff, ttl: 128, payload: pattern(77) }],
];

const destinations = [
  { to: '10.1.1.4', vsid: contoso.vsids.first, mac: VM_MAC, pa: HOST_PA },
  { to: '10.1.2.9', vsid: contoso.vsids.second, mac: BRANCH_MAC, pa: SHARED_PA },
];

for (const { to, vsid, mac, pa } of destinations) {
  for (const [what, fields] of packets) {
    t.test(`${what} to ${to}: every header field`, async (t) => {
      const packet = ipv4({ source: '198.51.100.7', destination: to, ...fields });
      const inner = encodeIpv4(packet);
      const input = ethernet(LINK_MACS.contosoPort, contoso.gatewayMac, ETHERTYPE.ipv4, inner);
      const { verdict, frame, mark, counted } = dataPlane.run('port', input, { mark: 0x55 });

      t.equal(verdict, 'redirect');
      t.equal(mark, 0, 'no mark of the context');
      t.equal(frame.length, input.length + 42, 'length');
      t.equal(frame.readUInt16BE(12), ETHERTYPE.ipv4, 'outer ethertype');
      const ip = bytes(frame, OUTER.ip, 20);
      t.equal(ip[0], 0x45, 'outer version and header length');
      t.equal(ip[1], packet.tos, 'outer TOS: the inner DSCP and ECN');
      t.equal(ip.readUInt16BE(2), 20 + 8 + 14 + inner.length, 'outer total length');
      t.equal(ip.readUInt16BE(4), 0, 'outer id: none needed with DF (RFC 6864)');
      t.equal(ip.readUInt16BE(6), 0x4000, 'outer DF, no fragment');
      t.equal(ip[8], 64, 'outer TTL');
      t.equal(ip[9], 47, 'outer protocol');
      t.equal(internetChecksum(ip), 0, 'outer checksum');
      t.same(bytes(ip, 12, 4), address(GATEWAY_PA), 'outer source');
      t.same(bytes(ip, 16, 4), address(pa), 'outer destination');
      t.equal(frame.readUInt16BE(GRE.flags), 0x2000, 'GRE flags');
      t.equal(frame.readUInt16BE(GRE.protocol), 0x6558, 'GRE protocol');
      t.equal(frame.readUInt32BE(GRE.key) >>> 8, vsid, 'VSID: the destination’s');
      t.same(bytes(frame, INNER.destinationMac, 6), Buffer.from(macBytes(mac)), 'inner destination MAC');
      t.same(
        bytes(frame, INNER.sourceMac, 6),
        Buffer.from(macBytes(routerMac)),
        'inner source MAC: the router',
      );
      t.equal(frame.readUInt16BE(INNER.etherType), ETHERTYPE.ipv4, 'inner ethertype');
      t.same(
        frame.subarray(INNER.ip),
        Buffer.from(encodeIpv4({ ...packet, ttl: packet.ttl - 1 })),
        'the inner packet: TTL one less, checksum to match, the rest as it was',
      );
      t.same(counted, [{ domain: contoso.handle, encapsulated: { packets: 1, bytes: inner.length } }]);
    });
  }
}

t.test(
  'the TTL of an inner packet counts down with a right checksum, whatever the header’s other bytes',
  async (t) => {
    for (let id = 0; id < 0x10000; id += 0x0101) {
      const packet = ipv4({ source: '198.51.100.7', destination: '10.1.1.4', id, ttl: 2 + (id % 254) });
      const { frame } = dataPlane.run(
        'port',
        ethernet(LINK_MACS.contosoPort, contoso.gatewayMac, ETHERTYPE.ipv4, encodeIpv4(packet)),
      );
      t.equal(internetChecksum(bytes(frame, INNER.ip, 20)), 0, `id ${id}`);
    }
  },
);
