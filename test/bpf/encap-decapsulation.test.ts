// What an admitted frame becomes: the inner frame, as it was, for the context's port.
import t from 'tap';
import {
  decodeIpv4,
  encodeIpv4,
  encodeNvgre,
  type Ipv4Packet,
  type NvgreFrame,
} from '../../src/encap/nvgre.ts';
import { DataPlane, LINK_MACS } from './data-plane.ts';
import {
  ETHERNET,
  ETHERTYPE,
  echo,
  ethernet,
  ipv4,
  PROTOCOL,
  patched,
  pattern,
  tcp,
  udp,
  word,
} from './packets.ts';
import { contoso, tenantFrame, VM_MAC } from './two-domains.ts';

const dataPlane = DataPlane.open(t);

function decapsulate(changes: Partial<NvgreFrame>) {
  return dataPlane.run('provider', encodeNvgre(tenantFrame(LINK_MACS.provider, changes)), { mark: 0x99 });
}

t.test('the inner frame comes out byte for byte', async (t) => {
  const packets: [string, Partial<Ipv4Packet>][] = [
    ['UDP', {}],
    ['empty UDP', { payload: udp(1, 2, pattern(0)) }],
    ['TCP', { protocol: PROTOCOL.tcp, payload: tcp(1024, 443, pattern(101)), dontFragment: true }],
    ['ICMP', { protocol: PROTOCOL.icmp, payload: echo(7, 1, pattern(56)) }],
    ['first fragment', { moreFragments: true, payload: pattern(1400) }],
    ['last fragment', { fragmentOffset: 175, payload: pattern(9) }],
    ['options', { options: Buffer.of(7, 7, 4, 0, 0, 0, 0, 0) }],
    ['header only', { payload: pattern(0) }],
    ['TTL 1, DSCP', { ttl: 1, tos: 0xb8 }],
  ];
  for (const [what, fields] of packets) {
    const inner = ipv4(fields);
    const packet = encodeIpv4(inner);
    const { verdict, frame, mark, counted } = decapsulate({ inner });
    t.equal(verdict, 'redirect', what);
    t.same(frame, ethernet(contoso.gatewayMac, VM_MAC, ETHERTYPE.ipv4, packet), `${what}: the frame`);
    t.equal(mark, 0, `${what}: no mark of the provider side`);
    t.same(
      counted,
      [{ domain: contoso.handle, decapsulated: { packets: 1, bytes: packet.length } }],
      `${what}: counted`,
    );
  }
});

t.test(
  'an inner packet with a wrong header checksum goes on as it is: the context’s kernel judges it',
  async (t) => {
    const whole = encodeNvgre(tenantFrame(LINK_MACS.provider));
    const wrong = patched(whole, 56 + 10, word(0xbeef));
    t.same(dataPlane.run('provider', wrong).frame.subarray(ETHERNET), wrong.subarray(56));
  },
);

t.test('congestion marked by the fabric goes on to the flow (RFC 6040)', async (t) => {
  const NOT_ECT = 0;
  const ECT1 = 1;
  const ECT0 = 2;
  const CE = 3;
  const dscp = 0xb8;
  for (const outer of [NOT_ECT, ECT1, ECT0, CE]) {
    for (const inner of [NOT_ECT, ECT1, ECT0, CE]) {
      const packet = ipv4({ tos: dscp | inner, options: Buffer.of(1, 1, 1, 0) });
      const { verdict, frame, drop } = decapsulate({
        outer: { ...tenantFrame('').outer, tos: outer },
        inner: packet,
      });
      const what = `outer ${outer}, inner ${inner}`;
      if (outer === CE && inner === NOT_ECT) {
        t.same(drop, { reason: 'ecn', domain: contoso.handle }, what);
        continue;
      }
      t.equal(verdict, 'redirect', what);
      // decodeIpv4 refuses a wrong header checksum.
      t.same(
        decodeIpv4(frame.subarray(ETHERNET)),
        { ...packet, tos: dscp | (outer === CE ? CE : inner) },
        `${what}: the packet`,
      );
    }
  }
});

t.test('the outer header’s DSCP, TTL and id leave no trace in the packet', async (t) => {
  const expected = decapsulate({}).frame;
  for (const fields of [{ tos: 0xb8 }, { ttl: 1 }, { ttl: 255 }, { id: 0xffff }, { dontFragment: false }])
    t.same(
      decapsulate({ outer: { ...tenantFrame('').outer, ...fields } }).frame,
      expected,
      JSON.stringify(fields),
    );
});
