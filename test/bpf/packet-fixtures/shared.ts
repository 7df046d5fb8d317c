/** Addresses that domains share by blocks of ports: what comes, what goes, and what is neither's. Both families. */

import { routerMac } from '../../../src/policy/router.ts';
import { CONTEXT_MACS, LINK_MACS } from '../data-plane.ts';
import {
  arp,
  BROADCAST,
  ETHERTYPE,
  ethernet,
  ipFrame,
  NO_MAC,
  neighbour,
  PROTOCOL,
  patched,
  pattern,
  word,
} from '../packets.ts';
import { contoso, fabrikam, SHARED, SHARED6 } from '../two-domains.ts';
import * as external from './external.ts';
import { datagram, dropped, type Fixture, redirected } from './fixture.ts';

const { INWARDS, OUTWARDS, SORTED, ROUTER, OUTSIDE, handedTo, toUplink, withMacs } = external;
const { udpPacket, tcpPacket, icmpPacket, echoRequest, echoReply, firstFragment, laterFragment } = external;
const { fixtures, at } = external.fixtureList();

/** Types of ICMP errors: unreachable, time exceeded, parameter problem, and too big. */
const ERRORS = {
  4: { unreachable: [3, 1], 'too big': [3, 4], 'time exceeded': [11, 0], 'parameter problem': [12, 0] },
  6: { unreachable: [1, 3], 'too big': [2, 0], 'time exceeded': [3, 0], 'parameter problem': [4, 0] },
} as const;
const NOBODYS = [0, 1023, 5000, 65_535];
const both = [contoso, fabrikam];

for (const family of [4, 6] as const) {
  const [shared, outside] = [family === 4 ? SHARED : SHARED6, OUTSIDE[family]];
  const [own, other] = [
    family === 4 ? contoso.external : contoso.external6,
    family === 4 ? fabrikam.external : fabrikam.external6,
  ];
  const name = (what: string): string => `IPv${family} shared: ${what}`;
  const errorAbout = (to: string, about: Buffer, kind: keyof (typeof ERRORS)[4] = 'unreachable'): Buffer => {
    const [type, code] = ERRORS[family][kind];
    return icmpPacket(outside, to, [type, code, kind === 'too big' ? 1400 : 0], about);
  };
  const errorFrom = (about: Buffer): Buffer =>
    icmpPacket(shared, outside, [...ERRORS[family].unreachable, 0], about);
  const nobody = (reason: string, domain = 0) => dropped(reason, domain);

  for (const { handle, block } of both)
    for (const port of block) {
      for (const [what, packet] of [
        ['UDP to port', udpPacket(outside, shared, [53, port])],
        ['TCP to port', tcpPacket(outside, shared, [443, port])],
        ['answer to the ping', echoReply(outside, shared, port)],
      ] as const)
        at(INWARDS, name(`${what} ${port}`), packet, handedTo(handle, packet), { mark: 0x33 });
      for (const kind of ['unreachable', 'too big', 'time exceeded', 'parameter problem'] as const)
        for (const [what, about] of [
          ['UDP', udpPacket(shared, outside, [port, 53])],
          ['TCP', tcpPacket(shared, outside, [port, 443])],
          ['a ping', echoRequest(shared, outside, port)],
          ['a first fragment', firstFragment(shared, outside, [port, 53])],
        ] as const) {
          const packet = errorAbout(shared, about, kind);
          at(INWARDS, name(`${kind} about ${what} of ${port}`), packet, handedTo(handle, packet));
        }
    }
  for (const port of NOBODYS) {
    at(
      INWARDS,
      name(`UDP to nobody’s port ${port}`),
      udpPacket(outside, shared, [53, port]),
      nobody('external-port'),
    );
    at(
      INWARDS,
      name(`TCP to nobody’s port ${port}`),
      tcpPacket(outside, shared, [443, port]),
      nobody('external-port'),
    );
    at(
      INWARDS,
      name(`answer to nobody’s ping ${port}`),
      echoReply(outside, shared, port),
      nobody('external-port'),
    );
    const about = udpPacket(shared, outside, [port, 53]);
    at(
      INWARDS,
      name(`an error about nobody’s port ${port}`),
      errorAbout(shared, about),
      nobody('external-port'),
    );
  }
  const ping = (source: string): Buffer => echoRequest(source, shared, contoso.block[0]);
  const pong = (to: string): Buffer => echoReply(shared, to, contoso.block[0]);
  at(
    INWARDS,
    name('a ping is answered on the spot'),
    ping(outside),
    withMacs(ROUTER, LINK_MACS.uplink, pong(outside)),
  );
  at(
    OUTWARDS,
    name('a ping from a context too'),
    ping(own),
    withMacs(CONTEXT_MACS.contoso, routerMac, pong(own)),
  );
  const badCode = icmpPacket(outside, shared, [family === 4 ? 8 : 128, 1, 1]);
  at(INWARDS, name('a ping with a code'), badCode, nobody('external-protocol'));
  for (const protocol of [PROTOCOL.sctp, PROTOCOL.gre, 51, 0])
    at(
      INWARDS,
      name(`protocol ${protocol}`),
      datagram(outside, shared, { protocol, payload: pattern(40) }),
      nobody('external-protocol'),
    );
  for (const [what, message] of [
    ['redirect', [family === 4 ? 5 : 137, 0, 0]],
    ['unknown message', [200, 0, 0]],
  ] as const)
    at(INWARDS, name(`ICMP, a ${what}`), icmpPacket(outside, shared, message), nobody('external-protocol'));

  for (const protocol of [PROTOCOL.udp, PROTOCOL.tcp, family === 4 ? PROTOCOL.icmp : PROTOCOL.icmpv6]) {
    const cut = datagram(outside, shared, { protocol, payload: Buffer.of(0, 0, 4) });
    at(INWARDS, name(`protocol ${protocol}, cut in its ports`), cut, nobody('external-malformed'));
    // The port that the padding of a short frame makes up is none.
    const padded = Buffer.concat([cut, Buffer.of(0, 0, 0, 0, 4, 0, 4, 0)]);
    at(INWARDS, name(`protocol ${protocol}, ports in the padding`), padded, nobody('external-malformed'));
  }
  const own1 = udpPacket(shared, outside, [contoso.block[0], 53]);
  const header = family === 4 ? 20 : 40;
  for (const [what, about] of [
    ['of another address', udpPacket(own, outside, [contoso.block[0], 53])],
    ['that came in', udpPacket(outside, shared, [53, contoso.block[0]])],
    ['cut in its ports', own1.subarray(0, header + 3)],
    ['cut in its header', own1.subarray(0, header - 1)],
    ['of another version', patched(own1, 0, Buffer.of(family === 4 ? 0x65 : 0x45))],
    ['an answer to a ping', echoReply(shared, outside, contoso.block[0])],
    ['an error', errorAbout(shared, own1)],
    ['a later fragment', laterFragment(shared, outside)],
    ['of another protocol', datagram(shared, outside, { protocol: PROTOCOL.sctp, payload: pattern(24) })],
    ['nothing', Buffer.alloc(0)],
  ] as const)
    at(
      INWARDS,
      name(`an error that quotes a packet ${what}`),
      errorAbout(shared, about),
      nobody('external-quote'),
    );
  const mine = udpPacket(outside, shared, [53, contoso.block[0]]);
  at(INWARDS, name('in a VLAN'), mine, { verdict: 'pass' }, { vlan: 5 });
  at(
    INWARDS,
    name('by another MAC'),
    mine,
    { verdict: 'pass' },
    { frame: ipFrame('02:77:00:00:00:01', ROUTER, mine) },
  );

  for (const port of contoso.block)
    for (const [what, packet] of [
      ['UDP', udpPacket(shared, outside, [port, 53])],
      ['TCP', tcpPacket(shared, outside, [port, 443])],
      ['a ping', echoRequest(shared, outside, port)],
      ['a first fragment', firstFragment(shared, outside, [port, 53])],
      ['an error about UDP', errorFrom(udpPacket(outside, shared, [53, port]))],
      ['an error about a pong', errorFrom(echoReply(outside, shared, port))],
    ] as const)
      at(OUTWARDS, name(`${what} from the own port ${port}`), packet, toUplink(packet));
  const later = laterFragment(shared, outside);
  at(OUTWARDS, name('a later fragment'), later, toUplink(later));
  for (const port of [...fabrikam.block, ...NOBODYS])
    for (const [what, packet] of [
      ['UDP', udpPacket(shared, outside, [port, contoso.block[0]])],
      ['TCP', tcpPacket(shared, outside, [port, contoso.block[0]])],
      ['a ping', echoRequest(shared, outside, port)],
      ['a first fragment', firstFragment(shared, outside, [port, contoso.block[0]])],
      ['an error about UDP', errorFrom(udpPacket(outside, shared, [contoso.block[0], port]))],
    ] as const)
      at(OUTWARDS, name(`${what} from the foreign port ${port}`), packet, dropped('untranslated'));
  for (const [what, packet] of [
    ['an answer to a ping', echoReply(shared, outside, contoso.block[0])],
    ['SCTP', datagram(shared, outside, { protocol: PROTOCOL.sctp, payload: pattern(40) })],
    ['UDP, cut', datagram(shared, outside, { protocol: PROTOCOL.udp, payload: Buffer.of(4) })],
    ['an error about another address', errorFrom(udpPacket(outside, own, [53, contoso.block[0]]))],
    ['an error about its own packet', errorFrom(own1)],
    ['an error about little', errorFrom(own1.subarray(0, header + 2))],
  ] as const)
    at(OUTWARDS, name(`${what} from a context`), packet, dropped('untranslated'));

  for (const [from, source] of [
    ['a whole address', own],
    ['the same address', shared],
  ] as const)
    for (const { handle, block } of both) {
      const packet = udpPacket(source, shared, [contoso.block[1], block[1]]);
      at(OUTWARDS, name(`from ${from} to port ${block[1]} here`), packet, handedTo(handle, packet));
    }
  const astray = udpPacket(own, shared, [1, 5000]);
  at(OUTWARDS, name('from a context to nobody’s port'), astray, nobody('external-port', contoso.handle));
  const across = udpPacket(shared, other, [contoso.block[0], 53]);
  at(OUTWARDS, name('from a block to a whole address here'), across, handedTo(fabrikam.handle, across));

  for (const [what, make] of [
    ['a first fragment', (ttl: number) => firstFragment(outside, shared, [53, contoso.block[0]], ttl)],
    ['a later fragment', (ttl: number) => laterFragment(outside, shared, true, ttl)],
  ] as const) {
    const [frame, sorted] = [make(64), make(65)];
    at(
      INWARDS,
      name(`${what} goes to the sorter, one hop younger`),
      frame,
      withMacs(LINK_MACS.uplink, ROUTER, sorted),
    );
    at(INWARDS, name(`${what} of 255 hops`), make(255), withMacs(LINK_MACS.uplink, ROUTER, make(255)));
  }
  const out = (ttl: number): Buffer => laterFragment(own, shared, false, ttl);
  at(OUTWARDS, name('a fragment from a context, too'), out(64), toUplink(out(65)));

  const firsts = both.map(
    ({ handle, block }) => [handle, firstFragment(outside, shared, [53, block[1]])] as const,
  );
  for (const [handle, first] of firsts) {
    at(SORTED, name(`sorted: a first fragment for domain ${handle}`), first, handedTo(handle, first));
    const more = laterFragment(outside, shared, true);
    at(SORTED, name(`sorted: a later one for domain ${handle}`), more, handedTo(handle, more));
  }
  const whole = udpPacket(outside, shared, [53, contoso.block[0]]);
  at(SORTED, name('sorted: a whole packet'), whole, handedTo(contoso.handle, whole));
  at(
    SORTED,
    name('sorted: a first fragment for nobody'),
    firstFragment(outside, shared, [53, 1023]),
    nobody('external-port'),
  );
  at(
    SORTED,
    name('sorted: a later one of it'),
    laterFragment(outside, shared, true),
    nobody('external-fragment'),
  );
  at(
    SORTED,
    name('sorted: for an address that is not shared'),
    udpPacket(outside, own, [53, 53]),
    nobody('external-fragment'),
  );
  at(SORTED, name('sorted: a ping'), ping(outside), nobody('external-protocol'));
}
at(SORTED, 'shared: ARP in the sorter', Buffer.alloc(0), dropped('external-fragment', 0), {
  frame: ethernet(BROADCAST, ROUTER, ETHERTYPE.arp, pattern(46)),
});

const timestampReply = icmpPacket(OUTSIDE[4], SHARED, [14, 0, contoso.block[0] * 65_536 + 1]);
at(INWARDS, 'shared: a timestamp', timestampReply, handedTo(contoso.handle, timestampReply));
at(
  INWARDS,
  'shared: a timestamp that is asked for',
  icmpPacket(OUTSIDE[4], SHARED, [13, 0, contoso.block[0] * 65_536]),
  dropped('external-protocol', 0),
);
const options = Buffer.concat([word(0), Buffer.of(5, 2, 0, 0, 1, 0)]);
options[0] = PROTOCOL.udp;
at(
  INWARDS,
  'shared: UDP behind hop-by-hop options',
  datagram(OUTSIDE[6], SHARED6, { protocol: 0, payload: Buffer.concat([options, pattern(24)]) }),
  dropped('external-protocol', 0),
);

const { uplink } = LINK_MACS;
const ask = { senderMac: ROUTER, sender: '203.0.113.1', targetMac: NO_MAC, target: SHARED };
const told = { senderMac: uplink, sender: SHARED, targetMac: ROUTER, target: '203.0.113.1' };
at(
  INWARDS,
  'shared: ARP',
  Buffer.alloc(0),
  redirected(ethernet(ROUTER, uplink, ETHERTYPE.arp, arp({ operation: 2, ...told }))),
  {
    frame: ethernet(BROADCAST, ROUTER, ETHERTYPE.arp, arp({ operation: 1, ...ask })),
  },
);
const solicitation = neighbour(135, {
  source: 'fe80::1',
  destination: 'ff02::1:ff00:99',
  target: SHARED6,
  mac: ROUTER,
});
const advertisement = neighbour(136, {
  source: SHARED6,
  destination: 'fe80::1',
  target: SHARED6,
  mac: uplink,
  flags: 0x60000000,
});
at(INWARDS, 'shared: ND', Buffer.alloc(0), redirected(ipFrame(ROUTER, uplink, advertisement)), {
  frame: ipFrame('33:33:ff:00:00:99', ROUTER, solicitation),
});

export const sharedAddresses: readonly Fixture[] = fixtures;
