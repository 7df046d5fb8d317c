/** Between the contexts and the uplink, both families. */
import type { Place } from '../../../src/encap/core.ts';
import { macBytes } from '../../../src/policy/address.ts';
import { routerMac } from '../../../src/policy/router.ts';
import { CONTEXT_MACS, LINK_MACS, type Link } from '../data-plane.ts';
import {
  arp,
  BROADCAST,
  ETHERTYPE,
  ethernet,
  icmpv6,
  ipFrame,
  ipv6,
  NO_MAC,
  neighbour,
  PROTOCOL,
  patched,
  pattern,
} from '../packets.ts';
import { contoso, fabrikam } from '../two-domains.ts';
import { datagram, dropped, type Expectation, type Fixture, handle, redirected } from './fixture.ts';

const fixtures: Fixture[] = [];
function at(place: Place, on: Link, name: string, frame: Buffer, expected: Expectation, more = {}): void {
  fixtures.push({ name, place, on, frame, expected, ...more });
}
const ROUTER = '02:ee:00:00:00:01';
const pass: Expectation = { verdict: 'pass' };
/** What arrived with other MACs: the context's own, from the node's router. */
const handedTo = (mac: string, frame: Buffer): Expectation =>
  redirected(Buffer.concat([macBytes(mac), macBytes(routerMac), frame.subarray(12)]));
const toUplink = (packet: Buffer): Buffer => ipFrame(LINK_MACS.uplink, ROUTER, packet);
const fromContext = (packet: Buffer): Buffer => ipFrame(LINK_MACS.contosoOut, CONTEXT_MACS.contoso, packet);

for (const [family, outside, own, other, nobody, tenant] of [
  ['IPv4', '198.51.100.7', contoso.external, fabrikam.external, '203.0.113.77', '10.1.1.20'],
  ['IPv6', '2001:db8::7', contoso.external6, fabrikam.external6, '2001:db8:f::77', 'fd00:1::20'],
] as const) {
  const inbound = toUplink(datagram(outside, own));
  at('uplink', 'uplink', `${family} to an owned address`, inbound, handedTo(CONTEXT_MACS.contoso, inbound), {
    mark: 0x33,
  });
  const foreign = toUplink(datagram(outside, other, { ttl: 1 }));
  at(
    'uplink',
    'uplink',
    `${family} to the other domain’s`,
    foreign,
    handedTo(CONTEXT_MACS.fabrikam, foreign),
  );
  at('uplink', 'uplink', `${family} to an owned address, in a VLAN`, inbound, pass, { vlan: 5 });
  at('uplink', 'uplink', `${family} to nobody’s address`, toUplink(datagram(outside, nobody)), pass);
  at('uplink', 'uplink', `${family} to a tenant’s address`, toUplink(datagram(outside, tenant)), pass);
  at(
    'uplink',
    'uplink',
    `${family} to an owned address, by another MAC`,
    patched(inbound, 0, Buffer.of(0x02, 0x77)),
    pass,
  );
  at(
    'uplink',
    'uplink',
    `${family} to an owned address, by a broadcast`,
    patched(inbound, 0, macBytes(BROADCAST)),
    pass,
  );
  const out = fromContext(datagram(own, outside));
  at('context', 'contosoOut', `${family}, translated`, out, redirected(out), { mark: 0x44 });
  at('context', 'contosoOut', `${family}, translated, in a VLAN`, out, dropped('external-ethertype'), {
    vlan: 5,
  });
  const across = fromContext(datagram(own, other));
  at(
    'context',
    'contosoOut',
    `${family}, translated, to the other domain’s address`,
    across,
    handedTo(CONTEXT_MACS.fabrikam, across),
  );
  for (const [what, source] of [
    ['a tenant’s address', tenant],
    ['the other domain’s address', other],
    ['nobody’s address', nobody],
  ] as const)
    at(
      'context',
      'contosoOut',
      `${family} from ${what}`,
      fromContext(datagram(source, outside)),
      dropped('untranslated'),
    );
  at('context', 'spare', `${family} from a link that is no context’s`, out, dropped('port-unknown', 0));
  at(
    'context',
    'contosoOut',
    `${family} of another version`,
    patched(out, 14, Buffer.of(family === 'IPv4' ? 0x65 : 0x45)),
    dropped('external-malformed'),
  );
  at('context', 'contosoOut', `${family}, cut in its header`, out, dropped('external-malformed'), {
    length: family === 'IPv4' ? 33 : 53,
  });
  at('uplink', 'uplink', `${family}, cut in its header`, inbound, pass, {
    length: family === 'IPv4' ? 33 : 53,
  });
}
at(
  'context',
  'contosoOut',
  'ARP from a context',
  ethernet(BROADCAST, CONTEXT_MACS.contoso, ETHERTYPE.arp, pattern(46)),
  dropped('external-ethertype', handle),
);
at(
  'context',
  'contosoOut',
  'an IPv4 address in an IPv6 header, from a context',
  fromContext(datagram(`::ffff:${contoso.external}`, '2001:db8::7')),
  dropped('external-malformed'),
);
at(
  'uplink',
  'uplink',
  'an IPv4 address in an IPv6 header',
  toUplink(datagram('2001:db8::7', `::ffff:${contoso.external}`)),
  pass,
);
at('uplink', 'uplink', 'neither IP nor ARP', ethernet(LINK_MACS.uplink, ROUTER, 0x88cc, pattern(50)), pass);

const question = {
  operation: 1,
  senderMac: ROUTER,
  sender: '203.0.113.1',
  targetMac: NO_MAC,
  target: contoso.external,
};
const asked = (fields: Partial<typeof question> = {}): Buffer =>
  ethernet(BROADCAST, ROUTER, ETHERTYPE.arp, arp({ ...question, ...fields }));
const { uplink } = LINK_MACS;
const answer = (sender: string, target: string): Expectation =>
  redirected(
    ethernet(
      ROUTER,
      uplink,
      ETHERTYPE.arp,
      arp({ operation: 2, senderMac: uplink, sender: target, targetMac: ROUTER, target: sender }),
    ),
  );
at('uplink', 'uplink', 'ARP for an owned address', asked(), answer('203.0.113.1', contoso.external));
at(
  'uplink',
  'uplink',
  'ARP, a probe for an owned address',
  asked({ sender: '0.0.0.0' }),
  answer('0.0.0.0', contoso.external),
);
for (const [what, fields] of [
  ['nobody’s address', { target: '203.0.113.77' }],
  ['an announcement', { sender: contoso.external }],
  ['an answer', { operation: 2 }],
] as const)
  at('uplink', 'uplink', `ARP: ${what} is the kernel’s`, asked(fields), pass);
at('uplink', 'uplink', 'ARP in a VLAN', asked(), pass, { vlan: 5 });
at('uplink', 'spare', 'ARP on a link that is no uplink', asked(), pass);
at('uplink', 'uplink', 'ARP, cut', asked(), pass, { length: 40 });

const solicit = {
  source: 'fe80::1',
  destination: 'ff02::1:ff00:10',
  target: contoso.external6,
  mac: ROUTER,
};
const solicited = (
  fields: Partial<typeof solicit> & { hopLimit?: number; code?: number } = {},
  to = '33:33:ff:00:00:10',
) => ipFrame(to, ROUTER, neighbour(135, { ...solicit, ...fields }));
const advert = (destination: string, mac: string, flags: number): Expectation =>
  redirected(
    ipFrame(
      mac,
      uplink,
      neighbour(136, {
        source: contoso.external6,
        destination,
        target: contoso.external6,
        mac: uplink,
        flags,
      }),
    ),
  );
const SOLICITED = 0x40000000;
const OVERRIDE = 0x20000000;
at(
  'uplink',
  'uplink',
  'ND for an owned address',
  solicited(),
  advert('fe80::1', ROUTER, SOLICITED + OVERRIDE),
);
at(
  'uplink',
  'uplink',
  'ND for an owned address that is known already',
  solicited({ destination: contoso.external6 }, uplink),
  advert('fe80::1', ROUTER, SOLICITED + OVERRIDE),
);
const { mac: _, ...unnamed } = solicit;
at(
  'uplink',
  'uplink',
  'ND, duplicate address detection of an owned address',
  ipFrame('33:33:ff:00:00:10', ROUTER, neighbour(135, { ...unnamed, source: '::' })),
  advert('ff02::1', '33:33:00:00:00:01', OVERRIDE),
);
for (const [what, fields] of [
  ['for nobody’s address', { target: '2001:db8:f::77' }],
  ['from beyond a router', { hopLimit: 254 }],
  ['with a code', { code: 1 }],
] as const)
  at('uplink', 'uplink', `ND ${what} is the kernel’s`, solicited(fields), pass);
at('uplink', 'spare', 'ND on a link that is no uplink', solicited(), pass);
const ping = toUplink(
  ipv6({
    source: '2001:db8::7',
    destination: contoso.external6,
    protocol: PROTOCOL.icmpv6,
    payload: icmpv6('2001:db8::7', contoso.external6, [128, 0, 1], pattern(30)),
  }),
);
at('uplink', 'uplink', 'a ping of IPv6 to an owned address', ping, handedTo(CONTEXT_MACS.contoso, ping));

export const uplinks: readonly Fixture[] = fixtures;
