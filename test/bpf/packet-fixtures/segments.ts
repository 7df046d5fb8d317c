/** Between contexts and the untagged network that both are on without NAT, both families. Tags: encap-segment.test.ts. */
import { addressBytes } from '../../../src/policy/address.ts';
import { linkLocalAddress, routerMac } from '../../../src/policy/router.ts';
import { CONTEXT_MACS, LINK_MACS } from '../data-plane.ts';
import {
  type Arp,
  arp,
  BROADCAST,
  ETHERTYPE,
  ethernet,
  icmpv6,
  ipFrame,
  ipv6,
  type NeighbourMessage,
  NO_MAC,
  neighbour,
  PROTOCOL,
  patched,
  pattern,
} from '../packets.ts';
import { contoso, fabrikam, SHARED, SHARED6 } from '../two-domains.ts';
import { laterFragment, OUTSIDE, ROUTER, udpPacket, withMacs } from './external.ts';
import { datagram, dropped, type Expectation, type Fixture, redirected } from './fixture.ts';

const fixtures: Fixture[] = [];
/** From the network. */
function inwards(name: string, frame: Buffer, expected: Expectation, more: Partial<Fixture> = {}): void {
  fixtures.push({ name: `segment: ${name}`, place: 'uplink', on: 'uplink', frame, expected, ...more });
}
/** From Contoso's context. */
function outwards(name: string, frame: Buffer, expected: Expectation, more: Partial<Fixture> = {}): void {
  fixtures.push({ name, place: 'segment', on: 'contosoFwd', frame, expected, ...more });
}
const pass: Expectation = { verdict: 'pass' };
const { mac: ours } = contoso.station;
const { mac: theirs } = fabrikam.station;
const { uplink } = LINK_MACS;
const [own, own6] = contoso.station.addresses;
const [other, other6] = fabrikam.station.addresses;
const local6 = linkLocalAddress(ours);
const ALL_NODES = '33:33:00:00:00:01';
const SOLICITED_NODE = '33:33:ff:00:00:51';
const to = (mac: string, packet: Buffer): Buffer => ipFrame(mac, ROUTER, packet);
const from = (packet: Buffer, mac: string = ROUTER): Buffer => ipFrame(mac, ours, packet);

for (const family of [4, 6] as const) {
  const outside = OUTSIDE[family];
  const [self, neighbours] = family === 4 ? [own, other] : [own6, other6];
  const [tenant, foreign] = family === 4 ? ['10.1.1.4', '10.1.2.9'] : ['fd00:1::4', 'fd00:2::9'];
  const ip = `IPv${family}`;

  for (const [what, address] of [
    ['a prefix that is routed', tenant],
    ['the context itself', self],
  ] as const) {
    const frame = to(ours, datagram(outside, address));
    inwards(`${ip} to ${what}`, frame, redirected(frame), { mark: 0x33 });
    inwards(`${ip} to ${what}, with a priority`, frame, redirected(frame), { vlan: 0x6000 });
    inwards(`${ip} to ${what}, in a VLAN`, frame, pass, { vlan: 5 });
  }
  const theirFrame = to(theirs, datagram(outside, foreign, { ttl: 1 }));
  inwards(`${ip} to the other domain`, theirFrame, redirected(theirFrame));
  const fragment = to(ours, laterFragment(outside, tenant));
  inwards(`${ip}, a later fragment`, fragment, redirected(fragment));
  for (const [what, address] of [
    ['the other domain’s prefix', foreign],
    ['the other context’s address', neighbours],
    ['a public address of the domain', family === 4 ? contoso.external : contoso.external6],
    ['nobody', family === 4 ? '198.18.0.9' : '2001:db8:18::9'],
    ['a group', family === 4 ? '224.0.0.5' : 'ff02::5'],
  ] as const)
    inwards(
      `${ip} to the context’s MAC and ${what}`,
      to(ours, datagram(outside, address)),
      dropped('segment-destination'),
    );
  inwards(`${ip} to all`, to(BROADCAST, datagram(outside, tenant)), pass);
  inwards(`${ip} to a group`, to('33:33:00:00:00:01', datagram(outside, tenant)), pass);
  inwards(`${ip}, cut in its header`, to(ours, datagram(outside, tenant)), dropped('segment-malformed'), {
    length: family === 4 ? 33 : 53,
  });

  for (const [what, address] of [
    ['a prefix that is routed', tenant],
    ['the context itself', self],
  ] as const) {
    const frame = from(datagram(address, outside));
    outwards(`${ip} from ${what}`, frame, redirected(frame), { mark: 0x44 });
    const across = from(datagram(address, foreign), theirs);
    outwards(`${ip} from ${what} to the other domain’s prefix`, across, redirected(across));
    const near = from(datagram(address, neighbours), theirs);
    outwards(`${ip} from ${what} to the other context`, near, redirected(near));
    outwards(`${ip} from ${what}, in a VLAN`, frame, dropped('segment-ethertype'), { vlan: 5 });
  }
  const later = from(laterFragment(tenant, outside));
  outwards(`${ip}, a later fragment`, later, redirected(later));
  for (const [what, address] of [
    ['the other domain’s prefix', foreign],
    ['the other context’s address', neighbours],
    ['a public address of the domain', family === 4 ? contoso.external : contoso.external6],
    ['nobody', family === 4 ? '198.18.0.9' : '2001:db8:18::9'],
    ['no address', family === 4 ? '0.0.0.0' : '::'],
  ] as const)
    outwards(`${ip} from ${what}`, from(datagram(address, outside)), dropped('segment-source-address'));
  outwards(
    `${ip} to the other context’s MAC and an address that is not routed there`,
    from(datagram(tenant, outside), theirs),
    dropped('segment-destination'),
  );
  outwards(
    `${ip} to a group`,
    from(datagram(self, family === 4 ? '224.0.0.5' : 'ff02::5')),
    dropped('segment-destination'),
  );
  outwards(`${ip} to all`, from(datagram(self, outside), BROADCAST), dropped('segment-destination'));
  outwards(
    `${ip} from another MAC`,
    ipFrame(ROUTER, theirs, datagram(tenant, outside)),
    dropped('segment-source-mac'),
  );
  outwards(`${ip}, cut in its header`, from(datagram(tenant, outside)), dropped('segment-malformed'), {
    length: family === 4 ? 33 : 53,
  });
  outwards(
    `${ip} from a link that is no context’s`,
    from(datagram(tenant, outside)),
    dropped('port-unknown', 0),
    { on: 'spare' },
  );

  // Public addresses of this node, which the NIC answers for.
  for (const [name, { external, external6 }] of Object.entries({ contoso, fabrikam })) {
    const packet = datagram(tenant, family === 4 ? external : external6);
    outwards(
      `${ip} to a public address of ${name}’s`,
      from(packet, uplink),
      withMacs(CONTEXT_MACS[name as keyof typeof CONTEXT_MACS], routerMac, packet),
    );
  }
  const shared = udpPacket(tenant, family === 4 ? SHARED : SHARED6, [40_000, 2500]);
  outwards(
    `${ip} to a shared address`,
    from(shared, uplink),
    withMacs(CONTEXT_MACS.fabrikam, routerMac, shared),
  );
  outwards(
    `${ip} to the node itself`,
    from(datagram(tenant, outside), uplink),
    dropped('segment-destination'),
  );
}

for (const [mac, expected] of [
  [ours, dropped('segment-malformed')],
  [BROADCAST, pass],
] as const) {
  const mapped = to(mac, datagram('2001:db8::7', '::ffff:10.1.1.4'));
  inwards(`an IPv4 address in an IPv6 header, to ${mac}`, mapped, expected);
}
outwards(
  'an IPv4 address in an IPv6 header',
  from(datagram('::ffff:10.1.1.4', '2001:db8::7')),
  dropped('segment-malformed'),
);
for (const [what, type] of [
  ['neither IP nor ARP', 0x88cc],
  ['a second tag', ETHERTYPE.vlan],
  ['a tag of a provider', ETHERTYPE.providerVlan],
] as const) {
  inwards(what, ethernet(ours, ROUTER, type, pattern(50)), dropped('segment-ethertype'));
  inwards(`${what}, to all`, ethernet(BROADCAST, ROUTER, type, pattern(50)), pass);
  outwards(what, ethernet(ROUTER, ours, type, pattern(50)), dropped('segment-ethertype'));
}

const question: Arp = {
  operation: 1,
  senderMac: ROUTER,
  sender: '203.0.113.1',
  targetMac: NO_MAC,
  target: own,
};
const asked = (fields: Partial<Arp> = {}, mac = BROADCAST): Buffer =>
  ethernet(mac, ROUTER, ETHERTYPE.arp, arp({ ...question, ...fields }));
for (const [what, frame] of [
  ['a request for the context’s address', asked()],
  ['a request to its MAC', asked({}, ours)],
  ['a probe', asked({ sender: '0.0.0.0' })],
  ['somebody else’s announcement of its address', asked({ sender: own })],
  ['an answer', asked({ operation: 2, targetMac: ours }, ours)],
  ['a request for the other’s address', asked({ target: other })],
] as const)
  inwards(`ARP, ${what}`, frame, redirected(frame));
inwards('ARP for nobody', asked({ target: '203.0.113.77' }), pass);
inwards('ARP for a tenant', asked({ target: '10.1.1.4' }), pass);
inwards('ARP in a VLAN', asked(), pass, { vlan: 5 });
inwards('ARP with a priority', asked(), redirected(asked()), { vlan: 0x6000 });
inwards('ARP, cut', asked({}, ours), dropped('segment-malformed'), { length: 40 });
inwards('ARP to all, cut', asked(), pass, { length: 40 });
inwards(
  'ARP of another network',
  patched(asked({}, ours), 14, Buffer.of(0, 6)),
  dropped('segment-malformed'),
);

const asking: Arp = { operation: 1, senderMac: ours, sender: own, targetMac: NO_MAC, target: '203.0.113.1' };
const asks = (fields: Partial<Arp> = {}, mac = BROADCAST): Buffer =>
  ethernet(mac, ours, ETHERTYPE.arp, arp({ ...asking, ...fields }));
for (const [what, frame] of [
  ['a request', asks()],
  ['a request to a MAC', asks({}, ROUTER)],
  ['an answer', asks({ operation: 2, targetMac: ROUTER }, ROUTER)],
  ['an announcement', asks({ target: own })],
  ['a request for the other context', asks({ target: other })],
  ['an answer to the other context', asks({ operation: 2, targetMac: theirs, target: other }, theirs)],
] as const)
  outwards(`ARP, ${what}`, frame, redirected(frame));
outwards('ARP from the other’s address', asks({ sender: other }), dropped('segment-source-address'));
outwards('ARP from a tenant’s address', asks({ sender: '10.1.1.4' }), dropped('segment-source-address'));
outwards('ARP, a probe', asks({ sender: '0.0.0.0' }), dropped('segment-source-address'));
outwards('ARP with another MAC', asks({ senderMac: theirs }), dropped('segment-source-mac'));
outwards('ARP, cut', asks(), dropped('segment-malformed'), { length: 40 });
for (const [what, target] of [
  ['a public address', fabrikam.external],
  ['a shared address', SHARED],
] as const)
  outwards(
    `ARP for ${what} of this node`,
    asks({ target }),
    redirected(
      ethernet(
        ours,
        uplink,
        ETHERTYPE.arp,
        arp({ operation: 2, senderMac: uplink, sender: target, targetMac: ours, target: own }),
      ),
    ),
  );

const solicit: NeighbourMessage = {
  source: 'fe80::1',
  destination: 'ff02::1:ff00:51',
  target: own6,
  mac: ROUTER,
};
const { mac: _, ...unnamed } = solicit;
for (const [what, frame] of [
  ['solicitation', to(SOLICITED_NODE, neighbour(135, solicit))],
  [
    'solicitation of the link-local address',
    to(SOLICITED_NODE, neighbour(135, { ...solicit, target: local6 })),
  ],
  ['solicitation to its MAC', to(ours, neighbour(135, { ...solicit, destination: own6 }))],
  ['solicitation to its MAC and a group', to(ours, neighbour(135, solicit))],
  ['duplicate address detection', to(SOLICITED_NODE, neighbour(135, { ...unnamed, source: '::' }))],
  [
    'advertisement',
    to(ours, neighbour(136, { source: 'fe80::1', destination: own6, target: 'fe80::1', mac: ROUTER })),
  ],
  ['solicitation of the other', to(SOLICITED_NODE, neighbour(135, { ...solicit, target: other6 }))],
] as const)
  inwards(`ND, ${what}`, frame, redirected(frame));
for (const [what, frame, expected] of [
  [
    'solicitation of nobody',
    to(SOLICITED_NODE, neighbour(135, { ...solicit, target: '2001:db8:f::77' })),
    pass,
  ],
  [
    'advertisement to all',
    to(
      ALL_NODES,
      neighbour(136, { source: 'fe80::1', destination: 'ff02::1', target: 'fe80::1', mac: ROUTER }),
    ),
    pass,
  ],
  [
    'solicitation to its MAC and a tenant',
    to(ours, neighbour(135, { ...solicit, destination: 'fd00:1::4' })),
    dropped('segment-destination'),
  ],
  [
    'solicitation of an IPv4 address',
    to(ours, neighbour(135, { ...solicit, target: '203.0.113.51' })),
    dropped('segment-malformed'),
  ],
  [
    'redirect',
    to(ours, neighbour(137, { source: 'fe80::1', destination: own6, target: 'fe80::1' })),
    dropped('segment-router-message'),
  ],
] as const)
  inwards(`ND, ${what}`, frame, expected);

const routers = (type: number, source: string, destination: string): Buffer =>
  ipv6({
    ...{ source, destination, hopLimit: 255, protocol: PROTOCOL.icmpv6 },
    payload: icmpv6(source, destination, [type, 0, 0], Buffer.alloc(8)),
  });
inwards('router advertisement', to(ours, routers(134, 'fe80::1', own6)), dropped('segment-router-message'));
inwards('router advertisement to all', to(ALL_NODES, routers(134, 'fe80::1', 'ff02::1')), pass);
outwards(
  'router solicitation',
  from(routers(133, local6, 'ff02::2'), '33:33:00:00:00:02'),
  dropped('segment-router-message'),
);

const seek: NeighbourMessage = {
  source: local6,
  destination: 'ff02::1:ff00:1',
  target: '2001:db8:f::1',
  mac: ours,
};
const seeks = (fields: Partial<NeighbourMessage> = {}): Buffer =>
  from(neighbour(135, { ...seek, ...fields }), '33:33:ff:00:00:01');
const advert: NeighbourMessage = { source: own6, destination: 'fe80::1', target: own6, mac: ours };
for (const [what, frame] of [
  ['solicitation', seeks()],
  ['solicitation from its address', seeks({ source: own6 })],
  ['solicitation of the other context', seeks({ target: other6 })],
  ['advertisement', from(neighbour(136, advert))],
  ['advertisement to all', from(neighbour(136, { ...advert, destination: 'ff02::1' }), ALL_NODES)],
  ['advertisement to the other context', from(neighbour(136, { ...advert, destination: other6 }), theirs)],
] as const)
  outwards(`ND, ${what}`, frame, redirected(frame));
for (const [what, frame] of [
  ['solicitation from a tenant', seeks({ source: 'fd00:1::4' })],
  ['solicitation from the other context', seeks({ source: other6 })],
  ['duplicate address detection', from(neighbour(135, { ...seek, source: '::', target: own6 }))],
  ['advertisement from a tenant', from(neighbour(136, { ...advert, source: 'fd00:1::4' }))],
  ['advertisement of the other context', from(neighbour(136, { ...advert, target: other6 }))],
  ['advertisement of the router', from(neighbour(136, { ...advert, target: '2001:db8:f::1' }))],
] as const)
  outwards(`ND, ${what}`, frame, dropped('segment-source-address'));
outwards(
  'ND, solicitation of a public address of this node',
  seeks({ target: fabrikam.external6 }),
  redirected(
    ipFrame(
      ours,
      uplink,
      neighbour(136, {
        ...{ source: fabrikam.external6, destination: local6, target: fabrikam.external6 },
        mac: uplink,
        flags: 0x60000000,
      }),
    ),
  ),
);

/** Behind a router alert (RFC 3810 section 5). */
function listeners(source: string, destination: string, message: Buffer): Buffer {
  const payload = Buffer.concat([Buffer.of(PROTOCOL.icmpv6, 0, 5, 2, 0, 0, 1, 0), message]);
  return ipv6({ source, destination, hopLimit: 1, protocol: 0, payload });
}
/** That somebody listens to ff02::1:ff00:51. */
function report(source: string): Buffer {
  const group = Buffer.from(addressBytes('ff02::1:ff00:51'));
  const message = icmpv6(source, 'ff02::16', [143, 0, 1], Buffer.concat([Buffer.of(4, 0, 0, 0), group]));
  return from(listeners(source, 'ff02::16', message), '33:33:00:00:00:16');
}
const query = (mac: string, destination: string): Buffer =>
  to(
    mac,
    listeners('fe80::1', destination, icmpv6('fe80::1', destination, [130, 0, 0x03e80000], Buffer.alloc(20))),
  );
for (const source of ['::', local6, own6])
  outwards(`MLD, a report from ${source}`, report(source), redirected(report(source)));
for (const source of ['fd00:1::4', linkLocalAddress(theirs)])
  outwards(`MLD, a report from ${source}`, report(source), dropped('segment-source-address'));
inwards('MLD, a query', query(ALL_NODES, 'ff02::1'), pass);
inwards('MLD, a query to its address', query(ours, own6), redirected(query(ours, own6)));

const prefixed = datagram('fd00:1::4', '2001:db8:1:d550::1234');
outwards(
  'IPv6 to a public prefix of this node',
  from(prefixed, uplink),
  withMacs(CONTEXT_MACS.contoso, routerMac, datagram('fd00:1::4', 'fd01:203:405:1::1234')),
);

export const segments: readonly Fixture[] = fixtures;
