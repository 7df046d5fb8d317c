/** From a port: the guard of sources, bridged and routed packets, to ports here and by tunnels. */
import { encodeIpv4, type Ipv4Packet } from '../../../src/encap/nvgre.ts';
import { routerMac } from '../../../src/policy/router.ts';
import { LINK_MACS, type Link } from '../data-plane.ts';
import {
  BROADCAST,
  ETHERTYPE,
  ethernet,
  ipFrame,
  ipv4,
  ipv6,
  PROTOCOL,
  patched,
  pattern,
  tcpBetween,
  udpBetween,
  word,
} from '../packets.ts';
import {
  BRANCH_MAC,
  contoso,
  FAR_MAC,
  GATEWAY_PA,
  GATEWAY_PA6,
  HOST_PA,
  HOST_PA6,
  SECOND_LEARNED_MAC,
  SHARED_PA,
  STATION_MAC,
  VM_MAC,
  VM_PORTS,
} from '../two-domains.ts';
import {
  datagram,
  dropped,
  type Expectation,
  type Fixture,
  fromVm,
  inTunnel,
  redirected,
  viaRouter,
  vsids,
} from './fixture.ts';

const web = '10.1.1.20';
const web6 = 'fd00:1::20';
const { Web, Db, App, Router, Gateway, Six, Learn } = VM_PORTS;
const outside = '198.51.100.7';
const outside6 = '2001:db8::7';

const fixtures: Fixture[] = [];
function at(on: Link, name: string, frame: Buffer, expected: Expectation, more: Partial<Fixture> = {}): void {
  fixtures.push({ name, place: 'port', on, frame, expected, ...more });
}

/** The router's part of the way: other MACs, one less TTL. */
const routed = (mac: string, packet: Buffer): Buffer => ipFrame(mac, routerMac, packet);

for (const [family, from, vm, branch] of [
  ['IPv4', web, '10.1.1.4', '10.1.2.9'],
  ['IPv6', web6, 'fd00:1::4', 'fd00:2::9'],
] as const) {
  const bridged = fromVm('Web', { mac: VM_MAC }, datagram(from, vm, { tos: 0x28 }));
  at(
    'contosoWeb',
    `${family}, same subnet, elsewhere: bridged`,
    bridged,
    redirected(
      inTunnel({ source: GATEWAY_PA, destination: HOST_PA, vsid: vsids.first, tos: 0x28, inner: bridged }),
    ),
  );
  at(
    'contosoWeb',
    `${family}, other subnet, elsewhere: routed`,
    fromVm('Web', viaRouter, datagram(from, branch)),
    redirected(
      inTunnel({
        source: GATEWAY_PA,
        destination: SHARED_PA,
        vsid: vsids.second,
        inner: routed(BRANCH_MAC, datagram(from, branch, { ttl: 63 })),
      }),
    ),
  );
}

// Ports of this node, each pair of families.
for (const [family, from, db, app, six] of [
  ['IPv4', web, '10.1.1.21', '10.1.2.20', '10.1.1.26'],
  ['IPv6', web6, 'fd00:1::21', 'fd00:2::20', 'fd00:1::26'],
] as const) {
  const toDb = fromVm('Web', 'Db', datagram(from, db, { ttl: 1 }));
  at('contosoWeb', `${family}, same subnet, here, with TTL 1: bridged`, toDb, redirected(toDb));
  const toWeb = fromVm('Db', 'Web', datagram(db, from));
  at('contosoDb', `${family}, same subnet, to a veth: bridged`, toWeb, redirected(toWeb));
  at(
    'contosoWeb',
    `${family}, other subnet, here: routed`,
    fromVm('Web', viaRouter, datagram(from, app)),
    redirected(routed(App.mac, datagram(from, app, { ttl: 63 }))),
  );
  const toSix = fromVm('Web', 'Six', datagram(from, six));
  at('contosoWeb', `${family}, between ports of different provider addresses`, toSix, redirected(toSix));
}

// The tunnel's family is the provider addresses'.
for (const [family, from, far] of [
  ['IPv4', '10.1.1.26', '10.1.1.66'],
  ['IPv6', 'fd00:1::26', 'fd00:1::66'],
] as const) {
  const frame = fromVm('Six', { mac: FAR_MAC }, datagram(from, far, { tos: 0xb9 }));
  at(
    'contosoSix',
    `${family} in a tunnel over IPv6`,
    frame,
    redirected(
      inTunnel({ source: GATEWAY_PA6, destination: HOST_PA6, vsid: vsids.first, tos: 0xb9, inner: frame }),
    ),
  );
}
at(
  'contosoSix',
  'a tunnel cannot begin at IPv6 and end at IPv4',
  fromVm('Six', { mac: VM_MAC }, datagram('10.1.1.26', '10.1.1.4')),
  dropped('provider-family'),
);
at(
  'contosoPort',
  'nor the other way round',
  ipFrame(routerMac, contoso.gatewayMac, datagram(outside, '10.1.1.66')),
  dropped('provider-family'),
);

// Next hops: a VM as router, one elsewhere, a gateway VM.
for (const [family, from, behind, next, gatewayed, branched] of [
  ['IPv4', web, '172.31.1.1', '10.1.2.30', '198.18.0.1', '172.16.1.1'],
  ['IPv6', web6, 'fd00:31::1', 'fd00:2::30', 'fd00:18::1', 'fd00:16::1'],
] as const) {
  const gatewaySelf = family === 'IPv4' ? '10.1.9.2' : 'fd00:9::2';
  at(
    'contosoWeb',
    `${family}, behind a VM that is a router`,
    fromVm('Web', viaRouter, datagram(from, behind)),
    redirected(routed(Router.mac, datagram(from, behind, { ttl: 63 }))),
  );
  at(
    'contosoRouter',
    `${family}, what the router VM passes on`,
    fromVm('Router', viaRouter, datagram(behind, from)),
    redirected(routed(Web.mac, datagram(behind, from, { ttl: 63 }))),
  );
  at(
    'contosoRouter',
    `${family}, the router VM sends from what is not behind it`,
    fromVm('Router', viaRouter, datagram(branched, from)),
    dropped('port-source-address'),
  );
  at(
    'contosoRouter',
    `${family}, from the next hop to itself`,
    fromVm('Router', viaRouter, datagram(next, behind)),
    dropped('loop'),
  );
  at(
    'contosoWeb',
    `${family}, behind a gateway VM`,
    fromVm('Web', viaRouter, datagram(from, gatewayed)),
    redirected(routed(Gateway.mac, datagram(from, gatewayed, { ttl: 63 }))),
  );
  at(
    'contosoGateway',
    `${family}, a gateway VM sends from anywhere`,
    fromVm('Gateway', viaRouter, datagram(family === 'IPv4' ? outside : outside6, from)),
    redirected(routed(Web.mac, datagram(family === 'IPv4' ? outside : outside6, from, { ttl: 63 }))),
  );
  at(
    'contosoGateway',
    `${family}, but not from an address that a record has`,
    fromVm('Gateway', viaRouter, datagram(from, gatewaySelf)),
    dropped('port-source-address'),
  );
  at(
    'contosoWeb',
    `${family}, behind a next hop elsewhere`,
    fromVm('Web', viaRouter, datagram(from, branched)),
    redirected(
      inTunnel({
        source: GATEWAY_PA,
        destination: SHARED_PA,
        vsid: vsids.second,
        inner: routed(BRANCH_MAC, datagram(from, branched, { ttl: 63 })),
      }),
    ),
  );
}

// By MAC alone.
const toStation = fromVm('Web', { mac: STATION_MAC }, datagram(web, '10.1.1.200'));
at(
  'contosoWeb',
  'to a station elsewhere, by its MAC',
  toStation,
  redirected(inTunnel({ source: GATEWAY_PA, destination: SHARED_PA, vsid: vsids.first, inner: toStation })),
);
const toLearning = fromVm('Web', 'Learn', datagram(web, '10.1.1.201'));
at('contosoWeb', 'to the port that learns, by its MAC', toLearning, redirected(toLearning));
const toLearned = fromVm('Web', { mac: SECOND_LEARNED_MAC }, datagram(web, '10.1.1.32'));
at('contosoWeb', 'to a learned address and MAC', toLearned, redirected(toLearned));
for (const [what, source] of [
  ['a learned address', '10.1.1.31'],
  ['an address that nobody has', '10.1.1.210'],
] as const)
  at(
    'contosoLearn',
    `the port that learns sends from ${what}`,
    fromVm('Learn', viaRouter, datagram(source, '10.1.2.20')),
    redirected(routed(App.mac, datagram(source, '10.1.2.20', { ttl: 63 }))),
  );
for (const [what, source] of [
  ['an address of policy', web],
  ['an address learned elsewhere', '10.1.1.77'],
  ['the router’s address', '10.1.1.1'],
] as const)
  at(
    'contosoLearn',
    `the port that learns sends from ${what}`,
    fromVm('Learn', viaRouter, datagram(source, '10.1.2.20')),
    dropped('port-source-address'),
  );
// What has several MACs may use the wrong one of them: other hosts know one for each address.
at(
  'contosoLearn',
  'a learned address with another MAC of the port, to a VM elsewhere: goes on with its own',
  ipFrame(VM_MAC, SECOND_LEARNED_MAC, datagram('10.1.1.31', '10.1.1.4')),
  redirected(
    inTunnel({
      source: GATEWAY_PA,
      destination: HOST_PA,
      vsid: vsids.first,
      inner: ipFrame(VM_MAC, Learn.mac, datagram('10.1.1.31', '10.1.1.4')),
    }),
  ),
);

// The guard.
const toVm = datagram(web, '10.1.1.4');
for (const [what, mac] of [
  ['another VM’s', Db.mac],
  ['a group', '03:15:5d:00:01:20'],
  ['broadcast', BROADCAST],
  ['the router’s', routerMac],
] as const)
  at('contosoWeb', `source MAC: ${what}`, ipFrame(VM_MAC, mac, toVm), dropped('port-source-mac'));
at(
  'contosoLearn',
  'source MAC: the router’s, at the port that learns',
  ipFrame(VM_MAC, routerMac, datagram('10.1.1.31', web)),
  dropped('port-source-mac'),
);
for (const [what, source] of [
  ['another VM’s', '10.1.1.21'],
  ['nobody’s', '10.1.1.222'],
  ['the router’s', '10.1.1.1'],
  ['of the outside', outside],
  ['none', '0.0.0.0'],
  ['a group', '224.0.0.9'],
  ['broadcast', '255.255.255.255'],
  ['another VM’s, of IPv6', 'fd00:1::21'],
  ['of IPv6, none', '::'],
  ['a group of IPv6', 'ff02::1'],
  ['of the link only, without being ICMP', 'fe80::1'],
] as const)
  at(
    'contosoWeb',
    `source address: ${what}`,
    fromVm('Web', { mac: VM_MAC }, datagram(source, source.includes(':') ? 'fd00:1::4' : '10.1.1.4')),
    dropped('port-source-address'),
  );
at(
  'contosoWeb',
  'an IPv4 address in an IPv6 header',
  fromVm('Web', viaRouter, datagram('::ffff:10.1.1.20', 'fd00:1::4')),
  dropped('port-malformed'),
);
at(
  'contosoWeb',
  'an IPv4 address as the destination in an IPv6 header',
  fromVm('Web', viaRouter, datagram(web6, '::ffff:10.1.1.4')),
  dropped('port-malformed'),
);

// What cannot be forwarded at all.
at(
  'contosoWeb',
  'to an address that is here without a port',
  fromVm('Web', viaRouter, datagram(web, '10.1.1.150')),
  dropped('no-port'),
);
for (const [what, frame] of [
  ['a group by the router’s MAC', fromVm('Web', viaRouter, datagram(web, '224.0.0.251'))],
  ['a group of IPv6 by the router’s MAC', fromVm('Web', viaRouter, datagram(web6, 'ff02::fb'))],
  ['an address of the link only', fromVm('Web', { mac: VM_MAC }, datagram(web6, 'fe80::4'))],
  ['from an address of the link only', fromVm('Web', viaRouter, datagram('fe80::1', 'fe80::4'))],
] as const)
  at('contosoWeb', `${what} is not routed`, frame, dropped('link-local'));
at(
  'contosoWeb',
  'neither IP nor ARP',
  ethernet(BROADCAST, Web.mac, 0x88cc, pattern(50)),
  dropped('port-ethertype'),
);
const whole = fromVm('Web', viaRouter, toVm);
const whole6 = fromVm('Web', viaRouter, datagram(web6, 'fd00:1::4'));
for (const [what, frame] of [
  ['version 6 in an IPv4 frame', patched(whole, 14, Buffer.of(0x65))],
  ['version 4 in an IPv6 frame', patched(whole6, 14, Buffer.of(0x45))],
  ['a header of 16 bytes', patched(whole, 14, Buffer.of(0x44))],
  ['a header longer than the packet', patched(whole, 14, Buffer.of(0x4f, 0, 0, 40))],
  ['a total length less than the header', patched(whole, 16, word(19))],
  ['a total length beyond the frame', patched(whole, 16, word(1500))],
  ['a payload length beyond the frame', patched(whole6, 18, word(1500))],
] as const)
  at('contosoWeb', `malformed: ${what}`, frame, dropped('port-malformed'));
at('contosoWeb', 'malformed: cut in the IPv4 header', whole, dropped('port-malformed'), { length: 33 });
at('contosoWeb', 'malformed: cut in the IPv6 header', whole6, dropped('port-malformed'), { length: 53 });
at('spare', 'a link that is no port', whole, dropped('port-unknown', 0));
at(
  'contosoWeb',
  'a VLAN tag is taken off',
  fromVm('Web', 'Db', datagram(web, '10.1.1.21')),
  redirected(fromVm('Web', 'Db', datagram(web, '10.1.1.21'))),
  { vlan: 100 },
);
at(
  'contosoWeb',
  'of two VLAN tags one is left',
  ethernet(Db.mac, Web.mac, ETHERTYPE.vlan, Buffer.concat([word(9), whole.subarray(12)])),
  dropped('port-ethertype'),
  { vlan: 100 },
);

// A context's port: every packet of its kernel, to the tenant.
const fromContext = (fields: Partial<Ipv4Packet> = {}): Buffer =>
  ethernet(
    LINK_MACS.contosoPort,
    contoso.gatewayMac,
    ETHERTYPE.ipv4,
    encodeIpv4(ipv4({ source: outside, destination: '10.1.1.4', ...fields })),
  );
at(
  'contosoPort',
  'from the gateway, to a VM elsewhere',
  fromContext({ ttl: 9 }),
  redirected(
    inTunnel({
      source: GATEWAY_PA,
      destination: HOST_PA,
      vsid: vsids.first,
      inner: routed(
        VM_MAC,
        Buffer.from(encodeIpv4(ipv4({ source: outside, destination: '10.1.1.4', ttl: 8 }))),
      ),
    }),
  ),
  { mark: 0x77 },
);
at(
  'contosoPort',
  'from the gateway, to a VM here',
  ipFrame(routerMac, contoso.gatewayMac, datagram(outside6, web6)),
  redirected(routed(Web.mac, datagram(outside6, web6, { ttl: 63 }))),
);
at(
  'contosoWeb',
  'to the gateway’s own address',
  fromVm('Web', viaRouter, datagram(web, '10.254.254.2')),
  redirected(routed(contoso.gatewayMac, datagram(web, '10.254.254.2', { ttl: 63 }))),
);
at(
  'contosoPort',
  'a super-packet of no kind cannot be encapsulated',
  fromContext(),
  dropped('encap-failed'),
  { gsoSize: 1000, gsoSegments: 2 },
);
const tcp = datagram(outside, web, {
  protocol: PROTOCOL.tcp,
  payload: tcpBetween(outside, web, pattern(3000)),
});
at(
  'contosoPort',
  'a super-packet of TCP whose segments fit, to a VM here',
  ipFrame(routerMac, contoso.gatewayMac, tcp),
  redirected(
    routed(
      Web.mac,
      datagram(outside, web, {
        protocol: PROTOCOL.tcp,
        payload: tcpBetween(outside, web, pattern(3000)),
        ttl: 63,
      }),
    ),
  ),
  { gsoSize: 1460, gsoSegments: 3 },
);
const toStation6 = ipv6({
  source: web6,
  destination: 'fd00:1::200',
  payload: udpBetween(web6, 'fd00:1::200', pattern(9)),
});
at(
  'contosoWeb',
  'IPv6 to a station elsewhere, by its MAC',
  fromVm('Web', { mac: STATION_MAC }, toStation6),
  redirected(
    inTunnel({
      source: GATEWAY_PA,
      destination: SHARED_PA,
      vsid: vsids.first,
      inner: fromVm('Web', { mac: STATION_MAC }, toStation6),
    }),
  ),
);
at(
  'contosoWeb',
  'bytes behind the packet go with it',
  Buffer.concat([fromVm('Web', 'Six', datagram(web, '10.1.1.26')), pattern(7)]),
  redirected(Buffer.concat([fromVm('Web', 'Six', datagram(web, '10.1.1.26')), pattern(7)])),
);
at(
  'contosoSix',
  'from a port of another provider address',
  fromVm('Six', viaRouter, datagram('10.1.1.26', web)),
  redirected(routed(Web.mac, datagram('10.1.1.26', web, { ttl: 63 }))),
);
at(
  'contosoLearn',
  'from the port that learns to a VM elsewhere',
  ipFrame(VM_MAC, Learn.mac, datagram('10.1.1.31', '10.1.1.4')),
  redirected(
    inTunnel({
      source: GATEWAY_PA,
      destination: HOST_PA,
      vsid: vsids.first,
      inner: ipFrame(VM_MAC, Learn.mac, datagram('10.1.1.31', '10.1.1.4')),
    }),
  ),
);
at(
  'contosoSix',
  'IPv6 from a port of another provider address',
  ipFrame(App.mac, Six.mac, datagram('fd00:1::26', 'fd00:2::20')),
  redirected(routed(App.mac, datagram('fd00:1::26', 'fd00:2::20', { ttl: 63 }))),
);

export const forwarding: readonly Fixture[] = fixtures;
