/** From a port: what the distributed router itself says, what is too big, and what becomes several. */
import { encodeIpv4, type Ipv4Packet } from '../../../src/encap/nvgre.ts';
import { routerMac } from '../../../src/policy/router.ts';
import { INNER_MTU, INNER_MTU6, type Link, SMALL_MTU } from '../data-plane.ts';
import {
  BROADCAST,
  icmp,
  icmpv6,
  ipFrame,
  ipv4,
  ipv6,
  PROTOCOL,
  patched,
  pattern,
  pseudoSum,
  udp,
  udpBetween,
  word,
} from '../packets.ts';
import {
  contoso,
  FAR_MAC,
  GATEWAY_PA,
  GATEWAY_PA6,
  HOST_PA,
  HOST_PA6,
  SHARED_PA,
  VM_MAC,
  VM_PORTS,
} from '../two-domains.ts';
import {
  datagram,
  dropped,
  type Expectation,
  type Fixture,
  fromVm,
  handle,
  inTunnel,
  MARK,
  redirected,
  refused,
  udpOf,
  viaRouter,
  vsids,
} from './fixture.ts';

const web = '10.1.1.20';
const web6 = 'fd00:1::20';
const { Web, App, Gateway, Six } = VM_PORTS;

const fixtures: Fixture[] = [];
function at(on: Link, name: string, frame: Buffer, expected: Expectation, more: Partial<Fixture> = {}): void {
  fixtures.push({ name, place: 'port', on, frame, expected, ...more });
}

const echoOf = (source: string, destination: string, type: number, code = 0, ttl = 33): Buffer =>
  source.includes(':')
    ? ipv6({
        source,
        destination,
        hopLimit: ttl,
        protocol: PROTOCOL.icmpv6,
        payload: icmpv6(source, destination, [type, code, 0x00070001], pattern(57)),
      })
    : Buffer.from(
        encodeIpv4(
          ipv4({
            source,
            destination,
            ttl,
            protocol: PROTOCOL.icmp,
            payload: icmp([type, code, 0x00070001], pattern(57)),
          }),
        ),
      );

// Pings to a `.1`.
for (const [what, from, router, request, reply] of [
  ['of the own subnet', web, '10.1.1.1', 8, 0],
  ['of another subnet', web, '10.1.2.1', 8, 0],
  ['of the own subnet, IPv6', web6, 'fd00:1::1', 128, 129],
  ['of another subnet, IPv6', web6, 'fd00:2::1', 128, 129],
] as const) {
  at(
    'contosoWeb',
    `a ping to the router ${what}`,
    fromVm('Web', viaRouter, echoOf(from, router, request)),
    redirected(ipFrame(Web.mac, routerMac, echoOf(router, from, reply, 0, 64))),
  );
  at(
    'contosoWeb',
    `an ICMP message that is no ping to the router ${what}`,
    fromVm('Web', viaRouter, echoOf(from, router, reply)),
    dropped('router-destination'),
  );
  at(
    'contosoWeb',
    `a ping with a code to the router ${what}`,
    fromVm('Web', viaRouter, echoOf(from, router, request, 1)),
    dropped('router-destination'),
  );
}

/** The same about IPv4 and IPv6. */
interface Refusal {
  name: string;
  reason: string;
  destinations: readonly [string, string];
  ttl?: number;
  errors: readonly [readonly [number, number, number], readonly [number, number, number]];
}
const refusals: Refusal[] = [
  {
    name: 'no taker at the router',
    reason: 'router-destination',
    destinations: ['10.1.1.1', 'fd00:1::1'],
    errors: [
      [3, 3, 0],
      [1, 4, 0],
    ],
  },
  {
    name: 'TTL of 1',
    reason: 'ttl-exceeded',
    destinations: ['10.1.2.9', 'fd00:2::9'],
    ttl: 1,
    errors: [
      [11, 0, 0],
      [3, 0, 0],
    ],
  },
  {
    name: 'TTL of 0',
    reason: 'ttl-exceeded',
    destinations: ['10.1.2.9', 'fd00:2::9'],
    ttl: 0,
    errors: [
      [11, 0, 0],
      [3, 0, 0],
    ],
  },
  {
    name: 'no route',
    reason: 'no-route',
    destinations: ['192.0.2.1', '2001:db8:1::1'],
    errors: [
      [3, 0, 0],
      [1, 0, 0],
    ],
  },
  {
    name: 'no record',
    reason: 'no-record',
    destinations: ['10.1.2.99', 'fd00:2::99'],
    errors: [
      [3, 1, 0],
      [1, 3, 0],
    ],
  },
];
for (const { name, reason, destinations, ttl = 64, errors } of refusals) {
  for (const [index, [sender, router]] of [
    [web, '10.1.1.1'] as const,
    [web6, 'fd00:1::1'] as const,
  ].entries()) {
    const destination = destinations[index] ?? '';
    const message = errors[index] ?? [0, 0, 0];
    const said = (packet: Buffer): Expectation =>
      refused(reason, packet, Web.mac, { message, router, sender });
    for (const [what, packet] of [
      ['UDP', datagram(sender, destination, { ttl })],
      ['an unknown protocol', datagram(sender, destination, { ttl, protocol: 253, payload: pattern(3) })],
      ['a long packet', datagram(sender, destination, { ttl, payload: udpOf(sender, destination, 1333) })],
    ] as const)
      at(
        'contosoWeb',
        `${name}, ${message[0]}/${message[1]}: ${what}`,
        fromVm('Web', viaRouter, packet),
        said(packet),
      );
  }
}
for (const [sender, router, message] of [
  [web, '10.1.2.1', [3, 3, 0]],
  [web6, 'fd00:2::1', [1, 4, 0]],
] as const) {
  const packet = datagram(sender, router);
  at(
    'contosoWeb',
    `no taker at the router of another subnet, which says so itself: ${router}`,
    fromVm('Web', viaRouter, packet),
    refused('router-destination', packet, Web.mac, { message, router, sender }),
  );
}
const onlyHeader = datagram(web, '192.0.2.1', { protocol: 253, payload: pattern(0) });
at(
  'contosoWeb',
  'no route for a packet of nothing but its header, padded',
  Buffer.concat([fromVm('Web', viaRouter, onlyHeader), Buffer.alloc(26)]),
  refused('no-route', onlyHeader, Web.mac, { message: [3, 0, 0], router: '10.1.1.1', sender: web }),
);

// Never about errors, later fragments, groups.
for (const [what, packet] of [
  ['an ICMP error', echoOf(web, '192.0.2.1', 3)],
  ['an ICMPv6 error', echoOf(web6, '2001:db8:1::1', 1)],
  [
    'a later fragment',
    Buffer.from(encodeIpv4(ipv4({ source: web, destination: '192.0.2.1', fragmentOffset: 3 }))),
  ],
] as const)
  at('contosoWeb', `no ICMP error about ${what}`, fromVm('Web', viaRouter, packet), dropped('no-route'));

const fragment6 = ipv6({
  source: web6,
  destination: '2001:db8:1::1',
  protocol: PROTOCOL.ipv6Fragment,
  payload: Buffer.concat([Buffer.of(17, 0, 0, 9, 0, 0, 0, 1), pattern(40)]),
});
at(
  'contosoWeb',
  'an ICMPv6 error about a fragment',
  fromVm('Web', viaRouter, fragment6),
  refused('no-route', fragment6, Web.mac, { message: [1, 0, 0], router: 'fd00:1::1', sender: web6 }),
);

// Too big, and may not be fragmented.
const large = (
  source: string,
  destination: string,
  size: number,
  fields: Partial<Ipv4Packet> = {},
): Buffer => {
  const isIpv6 = source.includes(':');
  const payload = udpBetween(source, destination, pattern(size - (isIpv6 ? 48 : 28)));
  return isIpv6
    ? ipv6({ source, destination, payload })
    : Buffer.from(encodeIpv4(ipv4({ source, destination, payload, dontFragment: true, ...fields })));
};
for (const [what, on, mac, from, to, limit, router] of [
  ['the tunnel', 'contosoWeb', VM_MAC, web, '10.1.1.4', INNER_MTU, '10.1.1.1'],
  ['the tunnel', 'contosoWeb', VM_MAC, web6, 'fd00:1::4', INNER_MTU, 'fd00:1::1'],
  ['the tunnel over IPv6', 'contosoSix', FAR_MAC, '10.1.1.26', '10.1.1.66', INNER_MTU6, '10.1.1.1'],
  ['the tunnel over IPv6', 'contosoSix', FAR_MAC, 'fd00:1::26', 'fd00:1::66', INNER_MTU6, 'fd00:1::1'],
  ['the port', 'contosoWeb', routerMac, web, '10.1.2.20', SMALL_MTU, '10.1.1.1'],
  ['the port', 'contosoWeb', routerMac, web6, 'fd00:2::20', SMALL_MTU, 'fd00:1::1'],
] as const) {
  const sender = on === 'contosoSix' ? Six : Web;
  const packet = large(from, to, limit + 1);
  const message = from.includes(':') ? ([2, 0, limit] as const) : ([3, 4, limit] as const);
  at(
    on,
    `${from.includes(':') ? 'IPv6' : 'IPv4'}, one byte too big for ${what}`,
    ipFrame(mac, sender.mac, packet),
    refused('too-big', packet, sender.mac, { message, router, sender: from }),
  );
}
const fitting = ipFrame(VM_MAC, Web.mac, large(web, '10.1.1.4', INNER_MTU));
at(
  'contosoWeb',
  'just as large as the tunnel takes',
  fitting,
  redirected(inTunnel({ source: GATEWAY_PA, destination: HOST_PA, vsid: vsids.first, inner: fitting })),
);
const fitting6 = ipFrame(FAR_MAC, Six.mac, large('fd00:1::26', 'fd00:1::66', INNER_MTU6));
at(
  'contosoSix',
  'just as large as the tunnel over IPv6 takes',
  fitting6,
  redirected(inTunnel({ source: GATEWAY_PA6, destination: HOST_PA6, vsid: vsids.first, inner: fitting6 })),
);
at(
  'contosoWeb',
  'too big by what is behind the packet',
  Buffer.concat([fromVm('Web', { mac: VM_MAC }, datagram(web, '10.1.1.4')), Buffer.alloc(INNER_MTU)]),
  dropped('port-malformed'),
);
const superPacket = large(web, '10.1.1.4', 3000);
at(
  'contosoWeb',
  'a super-packet whose segments are too big',
  ipFrame(VM_MAC, Web.mac, superPacket),
  refused('too-big', superPacket, Web.mac, { message: [3, 4, INNER_MTU], router: '10.1.1.1', sender: web }),
  { gsoSize: 1460, gsoSegments: 3 },
);

// Too big, and becomes fragments: each comes back as a copy and is cut then.
const free = { dontFragment: false, id: 0x4711 };
const datagramTo = (destination: string, size: number): Buffer => large(web, destination, size, free);
/** The fragment with the payload from `from` to `to` of a packet without options. */
function fragmentOf(packet: Buffer, from: number, to: number, ttl = 64): Buffer {
  const payload = packet.subarray(20 + from, 20 + to);
  const fields = { ...free, ttl, fragmentOffset: from / 8, moreFragments: 20 + to < packet.length, payload };
  const text = (at: number): string => packet.subarray(at, at + 4).join('.');
  return Buffer.from(encodeIpv4(ipv4({ source: text(12), destination: text(16), ...fields })));
}
const three = datagramTo('10.1.1.4', 20 + 2 * 1432 + 9);
const threeFrame = fromVm('Web', { mac: VM_MAC }, three);
at('contosoWeb', 'too big, but may be fragmented', threeFrame, {
  verdict: 'copies',
  to: [],
  back: [MARK.fragment, MARK.fragment + 1, MARK.fragment + 2],
  frame: threeFrame,
});
for (const [number, from, to] of [
  [0, 0, 1432],
  [1, 1432, 2864],
  [2, 2864, 2873],
] as const)
  at(
    'contosoWeb',
    `fragment ${number} of three, bridged into a tunnel`,
    threeFrame,
    redirected(
      inTunnel({
        source: GATEWAY_PA,
        destination: HOST_PA,
        vsid: vsids.first,
        inner: fromVm('Web', { mac: VM_MAC }, fragmentOf(three, from, to)),
      }),
    ),
    { mark: MARK.fragment + number },
  );
at('contosoWeb', 'a fragment that the packet does not have', threeFrame, dropped('fragment-failed'), {
  mark: MARK.fragment + 3,
});
const two = datagramTo('10.1.2.20', 1500);
at('contosoWeb', 'too big for the port, but may be fragmented', fromVm('Web', viaRouter, two), {
  verdict: 'copies',
  to: [],
  back: [MARK.fragment, MARK.fragment + 1],
  frame: fromVm('Web', viaRouter, two),
});
for (const [number, from, to] of [
  [0, 0, 1376],
  [1, 1376, 1480],
] as const)
  at(
    'contosoWeb',
    `fragment ${number} of two, routed to a port here`,
    fromVm('Web', viaRouter, two),
    redirected(ipFrame(App.mac, routerMac, fragmentOf(two, from, to, 63))),
    { mark: MARK.fragment + number },
  );
const seventh = Buffer.from(
  encodeIpv4(
    ipv4({
      source: web,
      destination: '10.1.1.4',
      id: 0x4711,
      moreFragments: true,
      fragmentOffset: 7,
      payload: pattern(1480),
    }),
  ),
);
at(
  'contosoWeb',
  'a fragment of a fragment: its offset counts on',
  fromVm('Web', { mac: VM_MAC }, seventh),
  redirected(
    inTunnel({
      source: GATEWAY_PA,
      destination: HOST_PA,
      vsid: vsids.first,
      inner: fromVm(
        'Web',
        { mac: VM_MAC },
        Buffer.from(
          encodeIpv4(
            ipv4({
              source: web,
              destination: '10.1.1.4',
              id: 0x4711,
              moreFragments: true,
              fragmentOffset: 7 + 1432 / 8,
              payload: pattern(1480).subarray(1432),
            }),
          ),
        ),
      ),
    }),
  ),
  { mark: MARK.fragment + 1 },
);
at(
  'contosoWeb',
  'a packet with options is not fragmented',
  fromVm(
    'Web',
    { mac: VM_MAC },
    Buffer.from(
      encodeIpv4(
        ipv4({
          source: web,
          destination: '10.1.1.4',
          options: Buffer.of(1, 1, 1, 0),
          payload: udp(1, 2, pattern(1470)),
        }),
      ),
    ),
  ),
  dropped('fragment-failed'),
);
const complete = datagramTo('10.1.1.4', 1500);
const unfinished = patched(complete, 26, word(pseudoSum(web, '10.1.1.4', PROTOCOL.udp, 1480)));
at(
  'contosoWeb',
  'a checksum that the sender left to the NIC is completed before fragments are made',
  fromVm('Web', { mac: VM_MAC }, unfinished),
  {
    verdict: 'copies',
    to: [],
    back: [MARK.fragment, MARK.fragment + 1],
    frame: fromVm('Web', { mac: VM_MAC }, complete),
  },
);
const unsummed = Buffer.from(
  encodeIpv4(ipv4({ source: web, destination: '10.1.1.4', payload: udp(1, 2, pattern(1473)) })),
);
at('contosoWeb', 'UDP without checksum may be fragmented', fromVm('Web', { mac: VM_MAC }, unsummed), {
  verdict: 'copies',
  to: [],
  back: [MARK.fragment, MARK.fragment + 1],
  frame: fromVm('Web', { mac: VM_MAC }, unsummed),
});

// Broadcast and multicast.
const group4 = datagram(web, '255.255.255.255');
const group6 = datagram(web6, 'ff02::fb');
const firstOthers: Link[] = ['contosoDb', 'contosoLearn', 'contosoSix'];
/** The subnet's remotes in their order: two hosts, and one by IPv6. */
const threeRemotes = [MARK.copy, MARK.copy + 1, MARK.copy + 2];
for (const [what, frame] of [
  ['a broadcast', ipFrame(BROADCAST, Web.mac, group4)],
  ['a multicast of IPv6', ipFrame('33:33:00:00:00:fb', Web.mac, group6)],
  [
    'a DHCP discover, from nobody',
    ipFrame(
      BROADCAST,
      Web.mac,
      datagram('0.0.0.0', '255.255.255.255', {
        payload: udpBetween('0.0.0.0', '255.255.255.255', pattern(250), [68, 67]),
      }),
    ),
  ],
  [
    'a report of groups (MLD), from an address of the link only',
    ipFrame(
      '33:33:00:00:00:16',
      Web.mac,
      ipv6({
        source: 'fe80::20',
        destination: 'ff02::16',
        hopLimit: 1,
        protocol: PROTOCOL.icmpv6,
        payload: icmpv6('fe80::20', 'ff02::16', [143, 0, 0], pattern(0)),
      }),
    ),
  ],
] as const)
  at('contosoWeb', `${what}: a copy for each other port and each host of the subnet`, frame, {
    verdict: 'copies',
    to: firstOthers,
    back: threeRemotes,
    frame,
  });
const broadcast = ipFrame(BROADCAST, Web.mac, group4);
for (const [number, host] of [
  [0, HOST_PA],
  [1, SHARED_PA],
] as const)
  at(
    'contosoWeb',
    `the copy for host ${host}`,
    broadcast,
    redirected(inTunnel({ source: GATEWAY_PA, destination: host, vsid: vsids.first, inner: broadcast })),
    { mark: MARK.copy + number },
  );
at(
  'contosoWeb',
  'the copy for a host that only has IPv6, from a port that only has IPv4',
  broadcast,
  dropped('provider-family'),
  { mark: MARK.copy + 2 },
);
const fromSix = ipFrame(BROADCAST, Six.mac, datagram('10.1.1.26', '10.1.1.255'));
at(
  'contosoSix',
  'the copy for a host by IPv6',
  fromSix,
  redirected(inTunnel({ source: GATEWAY_PA6, destination: HOST_PA6, vsid: vsids.first, inner: fromSix })),
  { mark: MARK.copy + 2 },
);
at('contosoWeb', 'a copy for a host that is none any more', broadcast, dropped('no-members'), {
  mark: MARK.copy + 3,
});
const inGroup = ipFrame(BROADCAST, Gateway.mac, datagram('10.1.9.2', '10.1.9.255'));
at('contosoGateway', 'a broadcast in a subnet with a provider multicast address: one copy', inGroup, {
  verdict: 'copies',
  to: [],
  back: [MARK.copy + MARK.group],
  frame: inGroup,
});
at(
  'contosoGateway',
  'the copy for the provider multicast address',
  inGroup,
  redirected(
    inTunnel({ source: GATEWAY_PA, destination: contoso.group, vsid: vsids.routers, inner: inGroup }),
  ),
  { mark: MARK.copy + MARK.group },
);
at(
  'contosoPort',
  'a broadcast where nobody else is',
  ipFrame(BROADCAST, contoso.gatewayMac, datagram('10.254.254.2', '255.255.255.255')),
  dropped('no-members'),
);
at(
  'contosoWeb',
  'a copy in a subnet without members',
  ipFrame(BROADCAST, contoso.gatewayMac, datagram('10.254.254.2', '255.255.255.255')),
  dropped('no-members'),
  { on: 'contosoPort', mark: MARK.copy },
);
at(
  'contosoWeb',
  'a broadcast too big for the tunnel',
  ipFrame(BROADCAST, Web.mac, large(web, '10.1.1.255', INNER_MTU + 1)),
  dropped('too-big'),
);
at(
  'contosoWeb',
  'a broadcast from a spoofed address',
  ipFrame(BROADCAST, Web.mac, datagram('10.1.1.21', '10.1.1.255')),
  dropped('port-source-address', handle),
);

export const router: readonly Fixture[] = fixtures;
