/** From the provider network: checks of the tunnel, admission, delivery to ports, and what goes back. */
import { encodeIpv4 } from '../../../src/encap/nvgre.ts';
import { macBytes } from '../../../src/policy/address.ts';
import { routerMac } from '../../../src/policy/router.ts';
import { INNER_MTU, LINK_MACS, type Link, SMALL_MTU, VLAN } from '../data-plane.ts';
import {
  BROADCAST,
  ETHERTYPE,
  ethernet,
  icmp,
  ipFrame,
  ipv4,
  ipv6,
  PROTOCOL,
  patched,
  pattern,
  type Tunnelled,
  tcpBetween,
  udpBetween,
  withChecksum,
  word,
} from '../packets.ts';
import {
  BRANCH_MAC,
  contoso,
  FAR_MAC,
  FOREIGN_PA,
  FOREIGN_PA6,
  fabrikam,
  GATEWAY_PA,
  GATEWAY_PA6,
  HOST_PA,
  HOST_PA6,
  SHARED_PA,
  STATION_MAC,
  VLAN_PA,
  VM_MAC,
  VM_PORTS,
  WILDCARD_MAC,
  WILDCARD_PA,
} from '../two-domains.ts';
import {
  datagram,
  dropped,
  type Expectation,
  errorPacket,
  type Fixture,
  fromHost,
  handle,
  inTunnel,
  MARK,
  redirected,
  settledIn,
  udpOf,
  vsids,
} from './fixture.ts';

const { Web, App, Six, Db } = VM_PORTS;
const web = '10.1.1.20';
const web6 = 'fd00:1::20';
const over6 = { source: HOST_PA6, destination: GATEWAY_PA6 };

const fixtures: Fixture[] = [];
function at(name: string, frame: Buffer, expected: Expectation, more: Partial<Fixture> = {}): void {
  fixtures.push({ name, place: 'provider', on: 'provider', frame, expected, ...more });
}

/** Taken in, the inner frame goes on as it is. */
function admitted(
  name: string,
  inner: Buffer,
  way: Partial<Tunnelled> = {},
  more: Partial<Fixture> = {},
): void {
  at(name, fromHost({ ...way, inner }), redirected(inner), more);
}

// The outer header's family and the inner packet's.
for (const [outer, way, mac, from4, from6] of [
  ['IPv4', {}, VM_MAC, '10.1.1.4', 'fd00:1::4'],
  ['IPv6', over6, FAR_MAC, '10.1.1.66', 'fd00:1::66'],
] as const)
  for (const [inner, from, to] of [
    ['IPv4', from4, web],
    ['IPv6', from6, web6],
  ] as const) {
    admitted(`${inner} over ${outer}`, ipFrame(Web.mac, mac, datagram(from, to, { ttl: 1 })), way);
    admitted(`${inner} over ${outer}, for a tap`, ipFrame(Db.mac, mac, datagram(from, to)), way);
    admitted(
      `${inner} over ${outer}, for the gateway`,
      ipFrame(contoso.gatewayMac, mac, datagram(from, inner === 'IPv4' ? '198.51.100.7' : '2001:db8::7')),
      { ...way, vsid: vsids.gateway },
    );
    const ect = (tos: number): Buffer => ipFrame(Web.mac, mac, datagram(from, to, { tos }));
    at(
      `${inner} over ${outer}, congestion in the fabric`,
      fromHost({ ...way, tos: 3, inner: ect(0x2a) }),
      redirected(ect(0x2b)),
    );
    at(
      `${inner} over ${outer}, congestion in the fabric on a flow that knows none`,
      fromHost({ ...way, tos: 3, inner: ect(0) }),
      dropped('ecn'),
    );
  }

// Who may send what.
const fromVm = ipFrame(Web.mac, VM_MAC, datagram('10.1.1.4', web));
admitted('another VSID of the domain', fromVm, { vsid: vsids.second });
admitted('the router’s MAC as the source', ipFrame(App.mac, routerMac, datagram('10.1.1.4', '10.1.2.20')), {
  vsid: vsids.second,
});
for (const [what, packet, mac] of [
  ['with its MAC', datagram('172.16.3.3', web), BRANCH_MAC],
  ['with the router’s MAC', datagram('172.16.3.3', web), routerMac],
  ['of IPv6', datagram('fd00:16::3', web6), BRANCH_MAC],
] as const)
  admitted(`from behind a next hop, ${what}`, ipFrame(Web.mac, mac, packet), { source: SHARED_PA });
at(
  'from behind a next hop, from another host',
  fromHost({ inner: ipFrame(Web.mac, BRANCH_MAC, datagram('172.16.3.3', web)) }),
  dropped('inner-source-address'),
);
at(
  'from behind a next hop, with another MAC',
  fromHost({ source: SHARED_PA, inner: ipFrame(Web.mac, VM_MAC, datagram('172.16.3.3', web)) }),
  dropped('inner-source-address'),
);
admitted(
  'an outside address of a wildcard gateway',
  ipFrame(Web.mac, WILDCARD_MAC, datagram('198.51.100.9', web)),
  {
    source: WILDCARD_PA,
  },
);
admitted(
  'an outside address of a wildcard gateway, of IPv6',
  ipFrame(Web.mac, WILDCARD_MAC, datagram('2001:db8::9', web6)),
  {
    source: WILDCARD_PA,
  },
);
admitted('the same with the router’s MAC', ipFrame(Web.mac, routerMac, datagram('198.51.100.9', web)), {
  source: WILDCARD_PA,
});
at(
  'a wildcard gateway with the address of a VM',
  fromHost({ source: WILDCARD_PA, inner: ipFrame(Web.mac, WILDCARD_MAC, datagram('10.1.1.4', web)) }),
  dropped('inner-source-address'),
);
admitted(
  'an address of its subnet of an L2Only station',
  ipFrame(Web.mac, STATION_MAC, datagram('10.1.1.200', web)),
  {
    source: SHARED_PA,
  },
);
admitted(
  'an address of its subnet of an L2Only station, of IPv6',
  ipFrame(Web.mac, STATION_MAC, datagram('fd00:1::200', web6)),
  {
    source: SHARED_PA,
  },
);
for (const [what, source] of [
  ['of another subnet', '10.1.2.200'],
  ['of the outside', '198.51.100.9'],
  ['of a VM', '10.1.1.4'],
] as const)
  at(
    `an L2Only station with an address ${what}`,
    fromHost({ source: SHARED_PA, inner: ipFrame(Web.mac, STATION_MAC, datagram(source, web)) }),
    dropped('inner-source-address'),
  );
admitted(
  'an ICMP error of another host’s router',
  ipFrame(
    Web.mac,
    routerMac,
    Buffer.from(
      encodeIpv4(
        ipv4({
          source: '10.1.1.1',
          destination: web,
          protocol: PROTOCOL.icmp,
          payload: icmp([11, 0, 0], pattern(28)),
        }),
      ),
    ),
  ),
);
at(
  'the router’s address with another MAC',
  fromHost({ inner: ipFrame(Web.mac, VM_MAC, datagram('10.1.1.1', web)) }),
  dropped('inner-source-address'),
);
for (const [what, source] of [
  ['without record', '10.1.1.5'],
  ['of a VM elsewhere', '10.1.2.9'],
  ['of a VM here', web],
  ['that is none', '0.0.0.0'],
] as const)
  at(
    `an inner source address ${what}`,
    fromHost({ inner: ipFrame(Db.mac, VM_MAC, datagram(source, '10.1.1.21')) }),
    dropped('inner-source-address'),
  );
at(
  'an inner source MAC that is not the record’s',
  fromHost({ inner: ipFrame(Web.mac, BRANCH_MAC, datagram('10.1.1.4', web)) }),
  dropped('inner-source-mac'),
);
at(
  'a provider address that the domain has nobody at',
  fromHost({ source: FOREIGN_PA, inner: fromVm }),
  dropped('source-provider-address'),
);
at(
  'a provider address that the domain has nobody at, of IPv6',
  fromHost({ source: FOREIGN_PA6, destination: GATEWAY_PA6, inner: fromVm }),
  dropped('source-provider-address'),
);
at(
  'this node’s own provider address as the source',
  fromHost({ source: GATEWAY_PA, inner: fromVm }),
  dropped('source-provider-address'),
);
at(
  'the MAC of another domain’s gateway',
  fromHost({ inner: ipFrame(fabrikam.gatewayMac, VM_MAC, datagram('10.1.1.4', web)) }),
  dropped('inner-destination-foreign'),
);
at(
  'the MAC of nobody',
  fromHost({ inner: ipFrame('00:15:5d:00:77:77', VM_MAC, datagram('10.1.1.4', web)) }),
  dropped('inner-destination-unknown'),
);

// The tunnel's form, over both families.
for (const [family, way, gre] of [
  ['IPv4', {}, 34],
  ['IPv6', over6, 54],
] as const) {
  const whole = fromHost({
    ...way,
    inner: ipFrame(
      Web.mac,
      family === 'IPv4' ? VM_MAC : FAR_MAC,
      datagram(family === 'IPv4' ? '10.1.1.4' : '10.1.1.66', web),
    ),
  });
  const inner = gre + 8;
  const resummed = (frame: Buffer): Buffer => (family === 'IPv4' ? withChecksum(frame) : frame);
  /** The frame up to there, with its outer length to match. */
  const endingAt = (end: number): Buffer => {
    const length = family === 'IPv4' ? end - 14 : end - 54;
    return resummed(patched(whole, family === 'IPv4' ? 16 : 18, word(length))).subarray(0, end);
  };
  for (const [what, frame, reason, domain] of [
    ['GRE flags', patched(whole, gre, word(0xa000)), 'gre-flags', 0],
    ['GRE version', patched(whole, gre, word(0x2001)), 'gre-flags', 0],
    ['GRE protocol', patched(whole, gre + 2, word(0x0800)), 'gre-protocol', 0],
    ['reserved VSID', patched(whole, gre + 4, Buffer.of(0, 0x0f, 0xff)), 'vsid-reserved', 0],
    ['last VSID', patched(whole, gre + 4, Buffer.of(0xff, 0xff, 0xff)), 'vsid-reserved', 0],
    ['unknown VSID', patched(whole, gre + 4, Buffer.of(0xff, 0xff, 0xfe)), 'vsid-unknown', 0],
    ['VLAN tag', patched(whole, inner + 12, word(ETHERTYPE.vlan)), 'inner-vlan', handle],
    ['provider VLAN tag', patched(whole, inner + 12, word(ETHERTYPE.providerVlan)), 'inner-vlan', handle],
    ['ARP', patched(whole, inner + 12, word(ETHERTYPE.arp)), 'inner-ethertype', handle],
    ['inner version', patched(whole, inner + 14, Buffer.of(0x65)), 'inner-malformed', handle],
    ['inner header length', patched(whole, inner + 14, Buffer.of(0x44)), 'inner-malformed', handle],
    ['inner total length', patched(whole, inner + 16, word(1000)), 'inner-malformed', handle],
    ['end in the GRE header', endingAt(gre + 7), 'outer-truncated', 0],
    ['end in the inner Ethernet header', endingAt(inner + 13), 'inner-truncated', handle],
    ['end in the inner IP header', endingAt(inner + 14 + 19), 'inner-truncated', handle],
    [
      'outer length beyond the frame',
      resummed(patched(whole, family === 'IPv4' ? 16 : 18, word(1500))),
      'outer-truncated',
      0,
    ],
  ] as const)
    at(`over ${family}, wrong: ${what}`, frame, dropped(reason, domain));
  const v6 = fromHost({ ...way, inner: ipFrame(Web.mac, VM_MAC, datagram('::ffff:10.1.1.4', web6)) });
  at(`over ${family}, wrong: an IPv4 address in an inner IPv6 header`, v6, dropped('inner-malformed'));
  const short6 = patched(
    v6,
    family === 'IPv4' ? 16 : 18,
    word(inner + 14 + 39 - (family === 'IPv4' ? 14 : 54)),
  );
  at(
    `over ${family}, wrong: end in the inner IPv6 header`,
    resummed(short6).subarray(0, inner + 14 + 39),
    dropped('inner-truncated'),
  );
}
const whole4 = fromHost({ inner: fromVm });
at('outer options', patched(whole4, 14, Buffer.of(0x46)), dropped('outer-options', 0));
at('outer version', patched(whole4, 14, Buffer.of(0x65)), dropped('outer-options', 0));
at('outer checksum', patched(whole4, 24, word(0xdead)), dropped('outer-checksum', 0));
at(
  'outer fragment, the first',
  withChecksum(patched(whole4, 20, word(0x2000))),
  dropped('outer-fragment', 0),
);
at('outer fragment, the last', withChecksum(patched(whole4, 20, word(0x0010))), dropped('outer-fragment', 0));
at('cut in the outer IPv4 header', whole4, dropped('outer-truncated', 0), { length: 33 });
const whole6 = fromHost({ ...over6, inner: ipFrame(Web.mac, FAR_MAC, datagram('10.1.1.66', web)) });
at('outer version, of IPv6', patched(whole6, 14, Buffer.of(0x45)), dropped('outer-options', 0));
at(
  'outer fragment of IPv6',
  ipFrame(
    LINK_MACS.provider,
    '02:bb:00:00:00:11',
    ipv6({
      ...over6,
      protocol: PROTOCOL.ipv6Fragment,
      payload: Buffer.concat([Buffer.of(PROTOCOL.gre, 0, 0, 1, 0, 0, 0, 9), whole6.subarray(54)]),
    }),
  ),
  dropped('outer-fragment', 0),
);
at(
  'options before GRE in IPv6',
  ipFrame(
    LINK_MACS.provider,
    '02:bb:00:00:00:11',
    ipv6({
      ...over6,
      protocol: 0,
      payload: Buffer.concat([Buffer.of(PROTOCOL.gre, 0, 1, 4, 0, 0, 0, 0), whole6.subarray(54)]),
    }),
  ),
  dropped('outer-options', 0),
);
at(
  'an IPv4 provider address in an IPv6 header',
  fromHost({ ...over6, source: `::ffff:${HOST_PA}`, inner: fromVm }),
  dropped('source-provider-address', 0),
);
at('cut in the outer IPv6 header', whole6, dropped('outer-truncated', 0), { length: 53 });
at('a super-packet of no kind cannot be decapsulated', whole4, dropped('decap-failed'), {
  gsoSize: 500,
  gsoSegments: 2,
});

// What is none of the data plane's business.
const host = '02:bb:00:00:00:11';
for (const [what, frame] of [
  ['UDP to the provider address', ipFrame(LINK_MACS.provider, host, datagram(HOST_PA, GATEWAY_PA))],
  ['UDP to the provider address of IPv6', ipFrame(LINK_MACS.provider, host, datagram(HOST_PA6, GATEWAY_PA6))],
  [
    'IPv6 of nothing but its header',
    ipFrame(LINK_MACS.provider, host, ipv6({ ...over6, protocol: 59, payload: pattern(0) })),
  ],
  [
    'a fragment of UDP over IPv6',
    ipFrame(
      LINK_MACS.provider,
      host,
      ipv6({
        ...over6,
        protocol: PROTOCOL.ipv6Fragment,
        payload: Buffer.concat([Buffer.of(17, 0, 0, 1, 0, 0, 0, 9), pattern(40)]),
      }),
    ),
  ],
  ['NVGRE to another address', fromHost({ destination: '192.168.4.2', inner: fromVm })],
  ['NVGRE to another address of IPv6', fromHost({ ...over6, destination: 'fd11::2', inner: fromVm })],
  [
    'NVGRE to the provider address in an IPv6 header',
    fromHost({ source: `::ffff:${HOST_PA}`, destination: `::ffff:${GATEWAY_PA}`, inner: fromVm }),
  ],
  ['NVGRE to another MAC', patched(whole4, 0, Buffer.of(0x02, 0x77))],
  ['NVGRE to one station in a group’s frame', patched(whole4, 0, Buffer.of(0x01))],
  ['NVGRE in a broadcast', patched(whole4, 0, Buffer.alloc(6, 0xff))],
  ['neither IPv4 nor IPv6', ethernet(LINK_MACS.provider, host, 0x88cc, pattern(50))],
] as const)
  at(`${what} is the kernel’s`, frame, { verdict: 'pass' }, { mark: 0x77 });

// Groups: a copy to each port that lives at the provider address which the frame came to.
const shout = ipFrame(BROADCAST, VM_MAC, datagram('10.1.1.4', '255.255.255.255'));
const at4: Link[] = ['contosoDb', 'contosoLearn', 'contosoWeb'];
const copies = (to: Link[], frame: Buffer): Expectation => ({ verdict: 'copies', to, back: [], frame });
at('a broadcast, to the ports at the provider address', fromHost({ inner: shout }), copies(at4, shout));
const shout6 = ipFrame('33:33:00:00:00:fb', FAR_MAC, datagram('fd00:1::66', 'ff02::fb'));
at(
  'a multicast of IPv6 over IPv6, to the port at that provider address',
  fromHost({ ...over6, inner: shout6 }),
  copies(['contosoSix'], shout6),
);
for (const [what, source, mac] of [
  ['from nobody', '0.0.0.0', '00:15:5d:00:33:33'],
  ['of IPv6, from an address of the link only', 'fe80::77', '00:15:5d:00:33:33'],
] as const) {
  const frame = ipFrame(
    BROADCAST,
    mac,
    datagram(source, source.includes(':') ? 'ff02::2' : '255.255.255.255'),
  );
  at(`a broadcast ${what}`, fromHost({ inner: frame }), copies(at4, frame));
}
at(
  'a broadcast with congestion in the fabric',
  fromHost({ tos: 3, inner: ipFrame(BROADCAST, VM_MAC, datagram('10.1.1.4', '10.1.1.255', { tos: 1 })) }),
  copies(at4, ipFrame(BROADCAST, VM_MAC, datagram('10.1.1.4', '10.1.1.255', { tos: 3 }))),
);
at(
  'a broadcast with congestion on a flow that knows none',
  fromHost({ tos: 3, inner: shout }),
  dropped('ecn'),
);
at(
  'a broadcast from an address of another host',
  fromHost({ inner: ipFrame(BROADCAST, VM_MAC, datagram('10.1.2.9', '10.1.1.255')) }),
  dropped('inner-source-address'),
);
at(
  'a broadcast from another subnet than it is in',
  fromHost({ vsid: vsids.second, inner: shout }),
  dropped('inner-source-address'),
);
at(
  'a broadcast with the router’s MAC',
  fromHost({ inner: ipFrame(BROADCAST, routerMac, datagram('10.1.1.4', '10.1.1.255')) }),
  dropped('inner-source-mac'),
);
const fromNobody = ipFrame(BROADCAST, '00:15:5d:00:33:33', datagram('0.0.0.0', '255.255.255.255'));
at(
  'a broadcast in a subnet without ports',
  fromHost({ vsid: vsids.gateway, inner: fromNobody }),
  dropped('no-members'),
);
at(
  'a broadcast in a subnet whose ports live at another provider address',
  fromHost({ ...over6, vsid: vsids.second, inner: fromNobody }),
  dropped('no-members'),
);
at(
  'a broadcast by the provider multicast address',
  fromHost({
    ethernet: { destination: '01:00:5e:01:01:01', source: host },
    destination: contoso.group,
    vsid: vsids.routers,
    inner: fromNobody,
  }),
  copies(['contosoGateway'], fromNobody),
);

// Too big for the port: the sender hears so, by the tunnel.
interface TooBig {
  name: string;
  packet: Buffer;
  to: string;
  limit: number;
  way?: Partial<Tunnelled>;
  /** Of the answer: between which provider addresses, in which VSID, from which router, for which MAC. */
  back: { from: string; to: string; vsid: number; router: string; mac: string };
}
const large = (source: string, destination: string, size: number): Buffer =>
  source.includes(':')
    ? ipv6({ source, destination, payload: udpBetween(source, destination, pattern(size - 48)) })
    : Buffer.from(
        encodeIpv4(
          ipv4({
            source,
            destination,
            dontFragment: true,
            payload: udpBetween(source, destination, pattern(size - 28)),
          }),
        ),
      );
const toHost = { from: GATEWAY_PA, to: HOST_PA, mac: VM_MAC };
const tooBig: TooBig[] = [
  {
    name: 'IPv4 over IPv4, for a VM',
    packet: large('10.1.1.4', '10.1.2.20', SMALL_MTU + 1),
    to: App.mac,
    limit: SMALL_MTU,
    back: { ...toHost, vsid: vsids.first, router: '10.1.1.1' },
  },
  {
    name: 'IPv4 that may be fragmented, but not here',
    packet: datagram('10.1.1.4', '10.1.2.20', { payload: udpOf('10.1.1.4', '10.1.2.20', SMALL_MTU) }),
    to: App.mac,
    limit: SMALL_MTU,
    back: { ...toHost, vsid: vsids.first, router: '10.1.1.1' },
  },
  {
    name: 'IPv6 over IPv4, for a VM',
    packet: large('fd00:1::4', 'fd00:2::20', SMALL_MTU + 1),
    to: App.mac,
    limit: SMALL_MTU,
    back: { ...toHost, vsid: vsids.first, router: 'fd00:1::1' },
  },
  {
    name: 'IPv4 over IPv4, for the gateway',
    packet: large('10.1.1.4', '198.51.100.7', INNER_MTU + 1),
    to: contoso.gatewayMac,
    limit: INNER_MTU,
    back: { ...toHost, vsid: vsids.first, router: '10.1.1.1' },
  },
  {
    name: 'IPv4 over IPv6, for a VM',
    packet: large('10.1.1.66', '10.1.1.26', 1501),
    to: Six.mac,
    limit: 1500,
    way: over6,
    back: { from: GATEWAY_PA6, to: HOST_PA6, mac: FAR_MAC, vsid: vsids.first, router: '10.1.1.1' },
  },
  {
    name: 'IPv6 over IPv6, for a VM',
    packet: large('fd00:1::66', 'fd00:1::26', 1501),
    to: Six.mac,
    limit: 1500,
    way: over6,
    back: { from: GATEWAY_PA6, to: HOST_PA6, mac: FAR_MAC, vsid: vsids.first, router: 'fd00:1::1' },
  },
];
for (const { name, packet, to, limit, way = {}, back } of tooBig) {
  const sourceMac = back.mac;
  const isIpv6 = back.router.includes(':');
  const sender =
    back.router === '10.1.1.1'
      ? packet.subarray(12, 16).join('.')
      : back.mac === VM_MAC
        ? 'fd00:1::4'
        : 'fd00:1::66';
  const quoteAt = 14 + (back.from.includes(':') ? 62 : 42) + (isIpv6 ? 48 : 28);
  const frame = (output: Buffer): Buffer => {
    const message = isIpv6 ? ([2, 0, limit] as const) : ([3, 4, limit] as const);
    const error = errorPacket(
      packet,
      { message, router: back.router, sender },
      settledIn(output, quoteAt, packet),
    );
    const inner = ipFrame(sourceMac, routerMac, error);
    const tos = isIpv6 ? 0 : 0xc0;
    const sent = inTunnel({ source: back.from, destination: back.to, vsid: back.vsid, tos, inner });
    return typeof sent === 'function' ? sent(output) : sent;
  };
  at(`too big: ${name}`, fromHost({ ...way, inner: ipFrame(to, sourceMac, packet) }), {
    verdict: 'redirect',
    frame,
    reason: 'inner-too-big',
    domain: handle,
  });
}
at(
  'too big, from a host whose provider address is not of the port’s family',
  fromHost({ ...over6, inner: ipFrame(App.mac, FAR_MAC, large('10.1.1.66', '10.1.2.20', SMALL_MTU + 1)) }),
  dropped('inner-too-big'),
);
const segments = (size: number): Buffer =>
  datagram('10.1.1.4', '10.1.2.20', {
    protocol: PROTOCOL.tcp,
    payload: tcpBetween('10.1.1.4', '10.1.2.20', pattern(size)),
  });
at(
  'a super-packet whose segments are too big for the port',
  fromHost({ inner: ipFrame(App.mac, VM_MAC, segments(3000)) }),
  dropped('inner-too-big'),
  { gsoSize: 1400, gsoSegments: 3 },
);

// Links that stand for a VLAN.
const inVlan: Partial<Fixture> = { place: 'vlan', on: 'tagged' };
const byVlan = fromHost({
  ethernet: { destination: LINK_MACS.tagged, source: host },
  destination: VLAN_PA,
  inner: fromVm,
});
at('a tunnel by a VLAN of the NIC', byVlan, redirected(fromVm), { ...inVlan, mark: MARK.vlan | VLAN });
at(
  'a tunnel by a VLAN to a provider address outside of it',
  patched(whole4, 0, macBytes(LINK_MACS.tagged)),
  dropped('provider-vlan', 0),
  { ...inVlan, mark: MARK.vlan | VLAN },
);
at(
  'a tunnel by a VLAN to a group that is taken on another link',
  fromHost({
    ethernet: { destination: '01:00:5e:01:01:01', source: host },
    destination: contoso.group,
    inner: fromNobody,
  }),
  { verdict: 'pass', mark: 0 },
  { ...inVlan, mark: MARK.vlan | VLAN },
);
at(
  'a tunnel outside of the VLAN to a provider address in it',
  fromHost({ destination: VLAN_PA, inner: fromVm }),
  dropped('provider-vlan', 0),
);
at('what came without the tag of the link', byVlan, dropped('provider-vlan', 0), inVlan);
at('what came with another tag', byVlan, dropped('provider-vlan', 0), { ...inVlan, mark: MARK.vlan | 8 });
at('a link that stands for no VLAN', byVlan, dropped('provider-vlan', 0), {
  ...inVlan,
  on: 'spare',
  mark: MARK.vlan | VLAN,
});
at(
  'the NIC passes what is tagged for a link of ours',
  whole4,
  { verdict: 'pass', mark: MARK.vlan | VLAN },
  { on: 'nic', vlan: VLAN },
);
at('the NIC passes what is tagged otherwise', whole4, { verdict: 'pass' }, { on: 'nic', vlan: 8 });
at('to the NIC with the tag of the link', whole4, { verdict: 'pass' }, { place: 'tag', on: 'tagged' });
at('to the NIC from a link that stands for no VLAN', byVlan, dropped('provider-vlan', 0), {
  place: 'tag',
  on: 'spare',
});

export const provider: readonly Fixture[] = fixtures;
