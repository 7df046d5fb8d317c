/** IPv6 prefixes: routed as they are, or translated (NPTv6, RFC 6296). */

import { pattern } from '../packets.ts';
import { contoso, fabrikam } from '../two-domains.ts';
import * as external from './external.ts';
import { datagram, dropped, type Fixture } from './fixture.ts';

const { INWARDS, OUTWARDS, handedTo, toUplink, udpPacket, tcpPacket, icmpPacket, echoRequest } = external;
const { fixtures, at } = external.fixtureList();
const FROM_FABRIKAM = ['context', 'fabrikamOut'] as const;
const outside = external.OUTSIDE[6];
const untranslatable = (domain: number) => dropped('prefix-translation', domain);

/** Inside and outside form of the same address; the first pair is RFC 6296's own example. */
const PAIRS = {
  contoso: [
    ['fd01:203:405:1::1234', '2001:db8:1:d550::1234'],
    ['fd01:203:405:1:ffff:ffff:ffff:ffff', '2001:db8:1:d550:ffff:ffff:ffff:ffff'],
    ['fd01:203:405::1', '2001:db8:1:d54f::1'],
    // What would become all ones becomes zero.
    ['fd01:203:405:2ab0::1', '2001:db8:1::1'],
    ['fd01:203:405:fffe::1', '2001:db8:1:d54e::1'],
  ],
  fabrikam: [
    ['fd01:203:405:ff12::5', '2001:db8:2:ff12:d54e::5'],
    ['fd01:203:405:ffff:0:1:2:3', '2001:db8:2:ffff:d54e:1:2:3'],
    ['fd01:203:405:ff12:ffff::5', '2001:db8:2:ff12:ffff:d54e:0:5'],
    ['fd01:203:405:ff12:ffff:ffff:ffff:1', '2001:db8:2:ff12:ffff:ffff:ffff:d54f'],
    ['fd01:203:405:ff12:2ab1::', '2001:db8:2:ff12::'],
  ],
} as const;

for (const [name, pairs] of Object.entries(PAIRS)) {
  const { handle } = name === 'contoso' ? contoso : fabrikam;
  const out = name === 'contoso' ? OUTWARDS : FROM_FABRIKAM;
  for (const [inner, outer] of pairs)
    for (const [what, make] of [
      ['UDP', (source: string, destination: string) => udpPacket(source, destination, [53, 54])],
      ['TCP', (source: string, destination: string) => tcpPacket(source, destination, [80, 81])],
      ['a ping', (source: string, destination: string) => echoRequest(source, destination, 7)],
      [
        'a later fragment',
        (source: string, destination: string) => external.laterFragment(source, destination),
      ],
    ] as const) {
      at(
        INWARDS,
        `prefix: ${what} to ${outer}`,
        make(outside, outer),
        handedTo(handle, make(outside, inner)),
      );
      at(
        out,
        `prefix: ${what} from ${inner}`,
        make(inner, outside),
        toUplink(make(outer, outside), name === 'contoso' ? 'contoso' : 'fabrikam'),
        { mark: 0x44 },
      );
    }
}

const [[inner, outer], , [inner2, outer2]] = PAIRS.contoso;
for (const [type, what] of Object.entries(external.ICMPV6_ERRORS)) {
  const error = (source: string, destination: string, about: Buffer): Buffer =>
    icmpPacket(source, destination, [Number(type), 0, 1280], about);
  const came = (to: string): Buffer => udpPacket(outside, to, [53, 54]);
  const went = (from: string): Buffer => tcpPacket(from, outside, [80, 81]);
  at(
    INWARDS,
    `prefix: ${what}, about a packet from there`,
    error(outside, outer, went(outer)),
    handedTo(contoso.handle, error(outside, inner, went(inner))),
  );
  at(
    OUTWARDS,
    `prefix: ${what}, from where the packet went`,
    error(inner, outside, came(inner)),
    toUplink(error(outer, outside, came(outer))),
  );
  at(
    OUTWARDS,
    `prefix: ${what}, from a router before that`,
    error(inner2, outside, came(inner)),
    toUplink(error(outer2, outside, came(outer))),
  );
  const foreign = udpPacket(contoso.external6, outside, [53, 54]);
  at(
    INWARDS,
    `prefix: ${what}, about another address`,
    error(outside, outer, foreign),
    handedTo(contoso.handle, error(outside, inner, foreign)),
  );
  const all = 'fd01:203:405:ffff::1';
  at(
    OUTWARDS,
    `prefix: ${what}, about an address that has no outside`,
    error(inner, outside, came(all)),
    untranslatable(contoso.handle),
  );
}

for (const [what, address] of [
  ['of all ones', '2001:db8:1:ffff::1'],
  ['of all ones, in the other domain', '2001:db8:2:ff12:ffff:ffff:ffff:ffff'],
] as const)
  at(INWARDS, `prefix: to a word ${what}`, udpPacket(outside, address, [53, 54]), untranslatable(0));
at(
  OUTWARDS,
  'prefix: from a subnet of all ones',
  udpPacket('fd01:203:405:ffff::1', outside, [53, 54]),
  untranslatable(contoso.handle),
);
at(
  FROM_FABRIKAM,
  'prefix: from an identifier of all ones',
  udpPacket('fd01:203:405:ff12:ffff:ffff:ffff:ffff', outside, [53, 54]),
  untranslatable(fabrikam.handle),
);

for (const [what, address] of [
  ['beside the own inside prefix', 'fd01:203:406::1'],
  ['the own outside prefix', outer],
  ['the other domain’s outside prefix', PAIRS.fabrikam[0][1]],
  ['the other domain’s routed prefix', '2001:db8:b:1::1'],
  ['beside the own routed prefix', '2001:db8:9:ffff::1'],
] as const)
  at(OUTWARDS, `prefix: from ${what}`, udpPacket(address, outside, [53, 54]), dropped('untranslated'));

const routed = '2001:db8:a:ffff:ffff:ffff:ffff:ffff';
const there = udpPacket(outside, routed, [53, 54]);
at(INWARDS, 'prefix: to a routed one', there, handedTo(contoso.handle, there));
const back = udpPacket(routed, outside, [54, 53]);
at(OUTWARDS, 'prefix: from a routed one', back, toUplink(back));
const sctp = (to: string): Buffer => datagram(outside, to, { protocol: 253, payload: pattern(24) });
at(INWARDS, 'prefix: any protocol', sctp(outer), handedTo(contoso.handle, sctp(inner)));

const [across, acrossInner] = [PAIRS.fabrikam[0][1], PAIRS.fabrikam[0][0]];
at(
  OUTWARDS,
  'prefix: from one to the other domain’s',
  udpPacket(inner, across, [53, 54]),
  handedTo(fabrikam.handle, udpPacket(outer, acrossInner, [53, 54])),
);
at(
  OUTWARDS,
  'prefix: from one to itself by its outside form',
  udpPacket(inner, outer2, [53, 54]),
  handedTo(contoso.handle, udpPacket(outer, inner2, [53, 54])),
);
at(
  OUTWARDS,
  'prefix: from a context to a word of all ones',
  udpPacket(routed, '2001:db8:1:ffff::1', [53, 54]),
  untranslatable(contoso.handle),
);
at(
  INWARDS,
  'prefix: cut in its header',
  udpPacket(outside, outer, [53, 54]),
  { verdict: 'pass' },
  { length: 50 },
);

export const prefixes: readonly Fixture[] = fixtures;
