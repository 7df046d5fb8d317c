// The FlowID (RFC 7637 section 3.2): one for a flow, whatever its packets look like; spread over different flows.
import t from 'tap';
import { decodeNvgre, type Ipv4Packet } from '../../src/encap/nvgre.ts';
import { DataPlane, LINK_MACS } from './data-plane.ts';
import { echo, ipv4Frame, PROTOCOL, pattern, tcp, udp } from './packets.ts';
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
  // 256 balls in 256 boxes leave 162 boxes with one or more on average.
  for (const [what, count] of spreads) t.ok(count >= 100, `256 ${what}: ${count} FlowIDs`);
});
