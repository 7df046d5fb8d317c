// The FlowID (RFC 7637 section 3.2): one for a flow, whatever its packets look like; spread over different flows.
import t from 'tap';
import { decodeNvgre, type Ipv4Packet } from '../../src/encap/nvgre.ts';
import { DataPlane, LINK_MACS } from './data-plane.ts';
import { echo, type Ipv6Packet, ipFrame, ipv4Frame, ipv6, PROTOCOL, pattern, tcp, udp } from './packets.ts';
import { contoso } from './two-domains.ts';

const dataPlane = DataPlane.open(t);

function flowIdOf(fields: Partial<Ipv4Packet>): number {
  const { frame } = dataPlane.run(
    'port',
    ipv4Frame(LINK_MACS.contosoPort, contoso.gatewayMac, {
      source: '198.51.100.7',
      destination: '10.1.1.4',
      ...fields,
    }),
  );
  return decodeNvgre(frame).flowId;
}

t.test('all packets of a flow have one FlowID', async (t) => {
  const expected = flowIdOf({ protocol: PROTOCOL.tcp, payload: tcp(443, 50_000, pattern(0)) });
  const variants: [string, Partial<Ipv4Packet>][] = [
    ['longer', { payload: tcp(443, 50_000, pattern(1000)) }],
    ['other bytes', { payload: tcp(443, 50_000, pattern(1000, 99)) }],
    ['other TTL', { ttl: 9 }],
    ['other id', { id: 0xbeef }],
    ['other TOS', { tos: 0xb8 }],
    ['DF', { dontFragment: true }],
    ['options', { options: Buffer.of(1, 1, 1, 0) }],
  ];
  for (const [what, fields] of variants)
    t.equal(
      flowIdOf({ protocol: PROTOCOL.tcp, payload: tcp(443, 50_000, pattern(0)), ...fields }),
      expected,
      what,
    );
});

t.test('all fragments of a datagram have one FlowID, though only the first has ports', async (t) => {
  for (let id = 1; id <= 16; id++) {
    const fragments = [
      flowIdOf({ id, moreFragments: true, payload: udp(id, 53, pattern(800)) }),
      flowIdOf({ id, moreFragments: true, fragmentOffset: 101, payload: pattern(800, id) }),
      flowIdOf({ id, fragmentOffset: 201, payload: pattern(5, id) }),
    ];
    t.equal(new Set(fragments).size, 1, `datagram ${id}`);
  }
});

/** The FlowID of a packet in a tunnel over IPv4. */
function flowIdOf6(fields: Partial<Ipv6Packet>): number {
  const packet = ipv6({ source: '2001:db8::7', destination: 'fd00:1::4', ...fields });
  const { frame } = dataPlane.run('port', ipFrame(LINK_MACS.contosoPort, contoso.gatewayMac, packet));
  return frame.readUInt8(41);
}

t.test('all packets of a flow of IPv6 have one FlowID', async (t) => {
  const payload = tcp(443, 50_000, pattern(0));
  const expected = flowIdOf6({ protocol: PROTOCOL.tcp, payload });
  const variants: [string, Partial<Ipv6Packet>][] = [
    ['longer', { payload: tcp(443, 50_000, pattern(1000)) }],
    ['other hop limit', { hopLimit: 9 }],
    ['other flow label', { flowLabel: 0xbeef }],
    ['other traffic class', { trafficClass: 0xb8 }],
  ];
  for (const [what, fields] of variants)
    t.equal(flowIdOf6({ protocol: PROTOCOL.tcp, payload, ...fields }), expected, what);
});

t.test('all fragments of a datagram of IPv6 have one FlowID', async (t) => {
  const fragment = (offset: number, more: boolean, id: number): number => {
    const header = Buffer.of(PROTOCOL.udp, 0, 0, 0, 0, 0, 0, id);
    header.writeUInt16BE(offset * 8 + (more ? 1 : 0), 2);
    return flowIdOf6({
      protocol: PROTOCOL.ipv6Fragment,
      payload: Buffer.concat([header, udp(id, 53, pattern(80, offset))]),
    });
  };
  for (let id = 1; id <= 16; id++)
    t.equal(new Set([fragment(0, true, id), fragment(11, true, id), fragment(22, false, id)]).size, 1);
});

t.test('an ICMP exchange has one FlowID, and so has what has no ports', async (t) => {
  const icmp = (sequence: number) => ({ protocol: PROTOCOL.icmp, payload: echo(1, sequence, pattern(56)) });
  t.equal(flowIdOf(icmp(1)), flowIdOf(icmp(2)));
  const esp = (first: number) => ({ protocol: 50, payload: pattern(64, first) });
  t.equal(flowIdOf(esp(1)), flowIdOf(esp(2)));
});

t.test('flows that differ in one thing only are spread over the FlowIDs', async (t) => {
  const flows = Array.from({ length: 256 }, (_, index) => index);
  const distinct = (fields: (index: number) => Partial<Ipv4Packet>): number =>
    new Set(flows.map((index) => flowIdOf(fields(index)))).size;
  const spreads: [string, number][] = [
    ['source ports', distinct((index) => ({ payload: udp(1024 + index, 53, pattern(8)) }))],
    ['destination ports', distinct((index) => ({ payload: udp(53, 40_000 + index, pattern(8)) }))],
    ['TCP ports', distinct((index) => ({ protocol: 6, payload: tcp(443, 50_000 + index, pattern(0)) }))],
    ['source addresses', distinct((index) => ({ source: `198.51.100.${index}` }))],
    ['source networks', distinct((index) => ({ source: `198.${index}.100.7` }))],
  ];
  const distinct6 = (fields: (index: number) => Partial<Ipv6Packet>): number =>
    new Set(flows.map((index) => flowIdOf6(fields(index)))).size;
  spreads.push(
    ['source ports of IPv6', distinct6((index) => ({ payload: udp(1024 + index, 53, pattern(8)) }))],
    ['addresses of IPv6', distinct6((index) => ({ source: `2001:db8::${index.toString(16)}` }))],
    ['networks of IPv6', distinct6((index) => ({ source: `2001:db8:${index.toString(16)}::1` }))],
  );
  // 256 balls in 256 boxes leave 162 boxes with one or more on average.
  for (const [what, count] of spreads) t.ok(count >= 100, `256 ${what}: ${count} FlowIDs`);
});
