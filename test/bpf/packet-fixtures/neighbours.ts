/** ARP and neighbour discovery from a port (RFC 826, 5227, 4861, 4862). */
import { routerMac } from '../../../src/policy/router.ts';
import type { Link } from '../data-plane.ts';
import {
  type Arp,
  arp,
  BROADCAST,
  ETHERTYPE,
  ethernet,
  ipFrame,
  type NeighbourMessage,
  NO_MAC,
  neighbour,
  patched,
  word,
} from '../packets.ts';
import { contoso, SECOND_LEARNED_MAC, VM_MAC, VM_PORTS } from '../two-domains.ts';
import { dropped, type Expectation, type Fixture, redirected } from './fixture.ts';

const { Web, Db, Learn } = VM_PORTS;
const web = '10.1.1.20';
const web6 = 'fd00:1::20';

const fixtures: Fixture[] = [];
function at(on: Link, name: string, frame: Buffer, expected: Expectation, more: Partial<Fixture> = {}): void {
  fixtures.push({ name, place: 'port', on, frame, expected, ...more });
}

// --- ARP
const question: Arp = {
  operation: 1,
  senderMac: Web.mac,
  sender: web,
  targetMac: NO_MAC,
  target: '10.1.1.4',
};
function asked(fields: Partial<Arp> = {}, to = BROADCAST): Buffer {
  const all = { ...question, ...fields };
  return ethernet(to, all.senderMac, ETHERTYPE.arp, arp(all));
}
/** Whose MAC answers. */
function answered(mac: string, fields: Partial<Arp> = {}): Expectation {
  const { senderMac, sender, target } = { ...question, ...fields };
  const reply = arp({ operation: 2, senderMac: mac, sender: target, targetMac: senderMac, target: sender });
  return redirected(ethernet(senderMac, mac, ETHERTYPE.arp, reply));
}
const silent = dropped('neighbour-message');

for (const [what, fields, mac] of [
  ['a peer elsewhere', {}, VM_MAC],
  ['a peer here', { target: '10.1.1.21' }, Db.mac],
  ['a learned peer', { target: '10.1.1.32' }, SECOND_LEARNED_MAC],
  ['the router', { target: '10.1.1.1' }, routerMac],
  ['a peer, by a probe that finds its address taken', { sender: '0.0.0.0', target: '10.1.1.4' }, VM_MAC],
  ['the router, by a probe', { sender: '0.0.0.0', target: '10.1.1.1' }, routerMac],
  ['a peer, whose MAC the asker believes to know', { targetMac: Db.mac }, VM_MAC],
] as const)
  at('contosoWeb', `ARP for ${what}`, asked(fields), answered(mac, fields));
at('contosoWeb', 'ARP for a peer, sent to that peer alone', asked({}, VM_MAC), answered(VM_MAC));
at(
  'contosoWeb',
  'ARP with the padding of a short frame',
  Buffer.concat([asked(), Buffer.alloc(18)]),
  redirected(
    Buffer.concat([
      ethernet(
        Web.mac,
        VM_MAC,
        ETHERTYPE.arp,
        arp({ operation: 2, senderMac: VM_MAC, sender: '10.1.1.4', targetMac: Web.mac, target: web }),
      ),
      Buffer.alloc(18),
    ]),
  ),
);
at(
  'contosoPort',
  'ARP of the gateway for the router',
  asked({ senderMac: contoso.gatewayMac, sender: '10.254.254.2', target: '10.254.254.1' }),
  answered(routerMac, { senderMac: contoso.gatewayMac, sender: '10.254.254.2', target: '10.254.254.1' }),
);
for (const [what, fields] of [
  ['a probe for the own address', { sender: '0.0.0.0', target: web }],
  ['a question for the own address', { target: web, sender: '0.0.0.0' }],
  ['an announcement', { target: web }],
  ['an answer', { operation: 2 }],
  ['an announcement as an answer', { operation: 2, target: web }],
] as const)
  at('contosoWeb', `ARP: ${what} gets no answer`, asked(fields), silent);
for (const [what, target] of [
  ['an address without record', '10.1.1.99'],
  ['a VM of another subnet', '10.1.2.20'],
  ['the router of another subnet', '10.1.2.1'],
  ['an address of the outside', '198.51.100.1'],
] as const)
  at('contosoWeb', `ARP for ${what} stays without answer`, asked({ target }), dropped('neighbour-unknown'));
at(
  'contosoWeb',
  'ARP from an address of another VM',
  asked({ sender: '10.1.1.21' }),
  dropped('port-source-address'),
);
at(
  'contosoWeb',
  'ARP from an address of nobody',
  asked({ sender: '10.1.1.99' }),
  dropped('port-source-address'),
);
const claim = { sender: '10.1.1.21', target: '10.1.1.21' };
at(
  'contosoWeb',
  'ARP that announces another VM’s address: its owner defends it (RFC 5227 section 2.4)',
  asked(claim),
  answered(Db.mac, claim),
);
at(
  'contosoWeb',
  'ARP that announces the router’s address: the router defends it',
  asked({ sender: '10.1.1.1', target: '10.1.1.1' }),
  answered(routerMac, { sender: '10.1.1.1', target: '10.1.1.1' }),
);
for (const [what, frame] of [
  [
    'sender MAC that is not the frame’s',
    ethernet(BROADCAST, Web.mac, ETHERTYPE.arp, arp({ ...question, senderMac: Db.mac })),
  ],
  ['not for Ethernet', patched(asked(), 14, word(6))],
  ['not for IPv4', patched(asked(), 16, word(ETHERTYPE.ipv6))],
  ['MACs of 8 bytes', patched(asked(), 18, Buffer.of(8))],
  ['addresses of 16 bytes', patched(asked(), 19, Buffer.of(16))],
] as const)
  at('contosoWeb', `malformed ARP: ${what}`, frame, dropped('neighbour-malformed'));
at('contosoWeb', 'malformed ARP: cut', asked(), dropped('neighbour-malformed'), { length: 41 });
const learning = { senderMac: Learn.mac, sender: '10.1.1.210' };
at(
  'contosoLearn',
  'ARP from a new address of the port that learns',
  asked(learning),
  answered(VM_MAC, learning),
);
at(
  'contosoLearn',
  'ARP that announces a new address of the port that learns',
  asked({ ...learning, target: '10.1.1.210' }),
  silent,
);
at(
  'contosoLearn',
  'ARP of the port that learns for its own learned address',
  asked({ ...learning, sender: '10.1.1.31', target: '10.1.1.31' }),
  silent,
);
at(
  'contosoLearn',
  'ARP of the port that learns, by a probe for its own learned address',
  asked({ ...learning, sender: '0.0.0.0', target: '10.1.1.31' }),
  silent,
);
at(
  'contosoLearn',
  'ARP of the port that learns that announces an address of policy',
  asked({ ...learning, sender: web, target: web }),
  answered(Web.mac, { ...learning, sender: web, target: web }),
);
at(
  'contosoLearn',
  'ARP of the port that learns from an address of policy',
  asked({ ...learning, sender: web }),
  dropped('port-source-address'),
);
at(
  'contosoLearn',
  'ARP of the port that learns from a group',
  asked({ ...learning, sender: '224.0.0.5' }),
  dropped('port-source-address'),
);

// --- Neighbour discovery
const ROUTER = 0x80000000;
const SOLICITED = 0x40000000;
const OVERRIDE = 0x20000000;
const snm = 'ff02::1:ff00:4';
const solicit: NeighbourMessage = { source: web6, destination: snm, target: 'fd00:1::4', mac: Web.mac };
const groupMac = '33:33:ff:00:00:04';
function solicited(fields: Partial<NeighbourMessage> = {}, to = groupMac, from: string = Web.mac): Buffer {
  return ipFrame(to, from, neighbour(135, { ...solicit, ...fields }));
}
/** The advertisement of `mac`, to the asker or to all nodes. */
function advertised(
  mac: string,
  fields: Partial<NeighbourMessage> = {},
  asker: string = Web.mac,
): Expectation {
  const { source, target } = { ...solicit, ...fields };
  const isProbe = source === '::';
  const flags = (mac === routerMac ? ROUTER : 0) + (isProbe ? 0 : SOLICITED) + OVERRIDE;
  const destination = isProbe ? 'ff02::1' : source;
  return redirected(
    ipFrame(
      isProbe ? '33:33:00:00:00:01' : asker,
      mac,
      neighbour(136, { source: target, destination, target, mac, flags }),
    ),
  );
}
/** Without the source's MAC: from nobody there is none to tell. */
const probe = (target: string): Partial<NeighbourMessage> => ({ source: '::', target });
function solicitedBy(fields: Partial<NeighbourMessage>): Buffer {
  const { mac: _, ...rest } = { ...solicit, ...fields };
  return ipFrame(groupMac, Web.mac, neighbour(135, rest));
}

for (const [what, fields, mac] of [
  ['a peer elsewhere', {}, VM_MAC],
  ['a peer here', { target: 'fd00:1::21' }, Db.mac],
  ['the router', { target: 'fd00:1::1' }, routerMac],
  ['a peer, from an address of the link only', { source: 'fe80::20' }, VM_MAC],
] as const)
  at('contosoWeb', `ND for ${what}`, solicited(fields), advertised(mac, fields));
at(
  'contosoWeb',
  'ND for a peer that is known already (NUD)',
  solicited({ destination: 'fd00:1::4' }, VM_MAC),
  advertised(VM_MAC),
);
for (const [what, target, mac] of [
  ['a peer’s address', 'fd00:1::4', VM_MAC],
  ['the router’s address', 'fd00:1::1', routerMac],
] as const)
  at(
    'contosoWeb',
    `ND, duplicate address detection of ${what}: taken`,
    solicitedBy(probe(target)),
    advertised(mac, probe(target)),
  );
at(
  'contosoWeb',
  'ND, duplicate address detection of the own address: silence',
  solicitedBy(probe(web6)),
  silent,
);
at('contosoWeb', 'ND for the own address gets no answer', solicited({ target: web6 }), silent);
for (const [what, target] of [
  ['an address without record', 'fd00:1::99'],
  ['a VM of another subnet', 'fd00:2::20'],
  ['the router of another subnet', 'fd00:2::1'],
  ['an address of the link only', 'fe80::4'],
] as const)
  at(
    'contosoWeb',
    `ND for ${what} stays without answer`,
    solicited({ target }),
    dropped('neighbour-unknown'),
  );
const advert = { source: web6, destination: 'ff02::1', target: web6, mac: Web.mac, flags: OVERRIDE };
at(
  'contosoWeb',
  'ND, an advertisement goes nowhere',
  ipFrame('33:33:00:00:00:01', Web.mac, neighbour(136, advert)),
  silent,
);
at(
  'contosoWeb',
  'ND, a redirect goes nowhere',
  ipFrame(VM_MAC, Web.mac, neighbour(137, { ...advert, destination: 'fd00:1::4' })),
  silent,
);
at(
  'contosoLearn',
  'ND, an advertisement of a new address at the port that learns',
  ipFrame(
    '33:33:00:00:00:01',
    Learn.mac,
    neighbour(136, { ...advert, source: 'fd00:1::210', target: 'fd00:1::210', mac: Learn.mac }),
  ),
  silent,
);
at(
  'contosoLearn',
  'ND from a new address of the port that learns',
  solicited({ source: 'fd00:1::210', mac: Learn.mac }, groupMac, Learn.mac),
  advertised(VM_MAC, { source: 'fd00:1::210' }, Learn.mac),
);
at(
  'contosoLearn',
  'ND, duplicate address detection of an own learned address: silence',
  ipFrame(groupMac, Learn.mac, neighbour(135, { source: '::', destination: snm, target: 'fd00:1::31' })),
  silent,
);
at(
  'contosoPort',
  'ND of the gateway for the router',
  ipFrame(
    '33:33:ff:00:00:01',
    contoso.gatewayMac,
    neighbour(135, {
      source: 'fd00:fe::2',
      destination: 'ff02::1:ff00:1',
      target: 'fd00:fe::1',
      mac: contoso.gatewayMac,
    }),
  ),
  advertised(routerMac, { source: 'fd00:fe::2', target: 'fd00:fe::1' }, contoso.gatewayMac),
);
for (const [what, fields] of [
  ['from beyond a router', { hopLimit: 254 }],
  ['with a code', { code: 1 }],
  ['for a group', { target: 'ff02::1' }],
] as const)
  at('contosoWeb', `malformed ND: ${what}`, solicited(fields), dropped('neighbour-malformed'));
at(
  'contosoWeb',
  'malformed ND: cut in its target',
  patched(solicited(), 18, word(20)),
  dropped('neighbour-malformed'),
  { length: 74 },
);
at(
  'contosoWeb',
  'ND from an address of another VM',
  solicited({ source: 'fd00:1::21' }),
  dropped('port-source-address'),
);

export const neighbours: readonly Fixture[] = fixtures;
