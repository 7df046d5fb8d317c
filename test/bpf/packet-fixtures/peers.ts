/** IKE and ESP of addresses that domains share: the peer tells whose they are, and what is nobody's goes nowhere. Both families. */
import { LINK_MACS } from '../data-plane.ts';
import { PROTOCOL, pattern, udpBetween } from '../packets.ts';
import { contoso, type DomainName, domains, fabrikam, SHARED, SHARED6 } from '../two-domains.ts';
import * as external from './external.ts';
import { datagram, dropped, type Expectation, type Fixture } from './fixture.ts';

const { INWARDS, OUTWARDS, SORTED, ROUTER, OUTSIDE, handedTo, toUplink, withMacs } = external;
const { udpPacket, tcpPacket, espPacket, icmpPacket, fragmentPacket } = external;
const { fixtures, at } = external.fixtureList();
const OUTWARDS_OF = { contoso: OUTWARDS, fabrikam: ['context', 'fabrikamOut'] } as const;

const ERRORS = { 4: [3, 4, 1400], 6: [2, 0, 1400] } as const;
/** Our port and the peer's, which is behind a NAT in the last case. */
const PORTS = [
  [500, 500],
  [4500, 4500],
  [4500, 61_000],
] as const;
const names = Object.keys(domains) as DomainName[];

for (const family of [4, 6] as const) {
  const [shared, outside] = [family === 4 ? SHARED : SHARED6, OUTSIDE[family]];
  const name = (what: string): string => `IPv${family} peers: ${what}`;
  const peerOf = (domain: DomainName): string => domains[domain].peers[family === 4 ? 0 : 1];
  const nobody = (reason: string, domain = 0): Expectation => dropped(reason, domain);
  /** A router says something of a packet that went out of the shared address. */
  const errorIn = (about: Buffer): Buffer => icmpPacket(outside, shared, ERRORS[family], about);
  /** A context says something of a packet that came in. */
  const errorOut = (about: Buffer, to: string): Buffer => icmpPacket(shared, to, ERRORS[family], about);
  const firstOf = (source: string, destination: string, protocol: number): Buffer =>
    fragmentPacket(source, destination, {
      ...{ offset: 0, more: true, protocol },
      data:
        protocol === PROTOCOL.esp ? pattern(32) : udpBetween(source, destination, pattern(24), [500, 500]),
    });
  const laterOf = (source: string, destination: string, protocol: number): Buffer =>
    fragmentPacket(source, destination, { offset: 32, more: true, data: pattern(16), protocol });

  for (const domain of names) {
    const { handle } = domains[domain];
    const [other] = names.filter((one) => one !== domain);
    const peer = peerOf(domain);
    const own = OUTWARDS_OF[domain];
    for (const [ours, theirs] of PORTS) {
      const [came, sent] = [udpPacket(peer, shared, [theirs, ours]), udpPacket(shared, peer, [ours, theirs])];
      const what = `UDP between port ${ours} and the peer’s ${theirs} of ${domain}`;
      at(INWARDS, name(`${what}, in`), came, handedTo(handle, came), { mark: 0x33 });
      at(own, name(`${what}, out`), sent, toUplink(sent, domain));
      at(INWARDS, name(`${what}, an error about it`), errorIn(sent), handedTo(handle, errorIn(sent)));
      const error = errorOut(came, peer);
      at(own, name(`${what}, an error of the context about it`), error, toUplink(error, domain));
      for (const [packet, direction] of [
        [udpPacket(shared, peerOf(other ?? domain), [ours, theirs]), 'to the other domain’s peer'],
        [
          errorOut(udpPacket(peerOf(other ?? domain), shared, [theirs, ours]), outside),
          'an error about that',
        ],
      ] as const)
        at(own, name(`${what}, ${direction}`), packet, dropped('untranslated', handle));
    }
    const [came, sent] = [espPacket(peer, shared), espPacket(shared, peer)];
    at(INWARDS, name(`ESP of ${domain}, in`), came, handedTo(handle, came), { mark: 0x33 });
    at(own, name(`ESP of ${domain}, out`), sent, toUplink(sent, domain));
    at(INWARDS, name(`ESP of ${domain}, an error about it`), errorIn(sent), handedTo(handle, errorIn(sent)));
    const error = errorOut(came, peer);
    at(own, name(`ESP of ${domain}, an error of the context about it`), error, toUplink(error, domain));
    for (const [what, packet] of [
      ['the other domain’s peer', espPacket(shared, peerOf(other ?? domain))],
      ['nobody', espPacket(shared, outside)],
    ] as const)
      at(own, name(`ESP of ${domain} to ${what}`), packet, dropped('untranslated', handle));

    for (const [what, protocol] of [
      ['IKE', PROTOCOL.udp],
      ['ESP', PROTOCOL.esp],
    ] as const) {
      const [first, later] = [firstOf(peer, shared, protocol), laterOf(peer, shared, protocol)];
      at(SORTED, name(`sorted: a first fragment of ${what} of ${domain}`), first, handedTo(handle, first));
      at(SORTED, name(`sorted: a later one of ${what} of ${domain}`), later, handedTo(handle, later));
      for (const [which, packet] of [
        ['first', firstOf(shared, peer, protocol)],
        ['later', laterOf(shared, peer, protocol)],
      ] as const)
        at(own, name(`a ${which} fragment of ${what} of ${domain}, out`), packet, toUplink(packet, domain));
    }
  }

  at(
    INWARDS,
    name('UDP to port 500 from nobody'),
    udpPacket(outside, shared, [500, 500]),
    nobody('external-peer'),
  );
  at(INWARDS, name('ESP from nobody'), espPacket(outside, shared), nobody('external-peer'));
  for (const [what, about] of [
    ['UDP from port 500', udpPacket(shared, outside, [500, 500])],
    ['ESP', espPacket(shared, outside)],
  ] as const)
    at(INWARDS, name(`an error about ${what} to nobody`), errorIn(about), nobody('external-peer'));
  at(
    OUTWARDS,
    name('UDP from port 500 to nobody'),
    udpPacket(shared, outside, [500, 500]),
    dropped('untranslated'),
  );

  // Port 4500 is in Fabrikam's block: a session of whoever is no peer.
  const blocked = udpPacket(outside, shared, [4500, 4500]);
  at(INWARDS, name('UDP to port 4500 of a block'), blocked, handedTo(fabrikam.handle, blocked));
  const left = udpPacket(shared, outside, [4500, 4500]);
  at(
    INWARDS,
    name('an error about UDP from port 4500 of a block'),
    errorIn(left),
    handedTo(fabrikam.handle, errorIn(left)),
  );
  at(OUTWARDS_OF.fabrikam, name('UDP from port 4500 of the block'), left, toUplink(left, 'fabrikam'));
  at(OUTWARDS, name('UDP from port 4500 of another’s block'), left, dropped('untranslated'));

  // A peer is one for IKE and ESP alone.
  for (const [what, packet] of [
    ['UDP to a port', udpPacket(peerOf('contoso'), shared, [500, fabrikam.block[0]])],
    ['TCP to port 4500', tcpPacket(peerOf('contoso'), shared, [500, 4500])],
  ] as const)
    at(INWARDS, name(`${what} of another’s block, from a peer`), packet, handedTo(fabrikam.handle, packet));
  at(
    INWARDS,
    name('TCP to port 500'),
    tcpPacket(peerOf('contoso'), shared, [500, 500]),
    nobody('external-port'),
  );
  at(
    INWARDS,
    name('AH from a peer'),
    datagram(peerOf('contoso'), shared, { protocol: 51, payload: pattern(40) }),
    nobody('external-protocol'),
  );
  for (const [what, about] of [
    ['of another address', espPacket(outside, peerOf('contoso'))],
    ['that came in', espPacket(peerOf('contoso'), shared)],
    ['that is a later fragment', laterOf(shared, peerOf('contoso'), PROTOCOL.esp)],
  ] as const)
    at(INWARDS, name(`an error about ESP ${what}`), errorIn(about), nobody('external-quote'));

  const [whole, ttl] = [family === 4 ? 20 : 40, family === 4 ? 8 : 7];
  for (const [what, protocol, length] of [
    ['UDP of a peer, cut in its ports', PROTOCOL.udp, 3],
    ['ESP of a peer, cut in its header', PROTOCOL.esp, 7],
  ] as const) {
    const cut = datagram(peerOf('contoso'), shared, { protocol, payload: pattern(length) });
    at(INWARDS, name(what), cut, nobody('external-malformed'));
  }
  at(
    INWARDS,
    name('an error about UDP of a peer, cut in its ports'),
    errorIn(udpPacket(shared, peerOf('contoso'), [500, 500]).subarray(0, whole + 3)),
    nobody('external-quote'),
  );
  for (const protocol of [PROTOCOL.udp, PROTOCOL.esp]) {
    const first = firstOf(peerOf('contoso'), shared, protocol);
    const older = Buffer.from(first);
    older[ttl] = (older[ttl] ?? 0) + 1;
    if (family === 4) older.writeUInt16BE(older.readUInt16BE(10) - 0x100, 10);
    at(
      INWARDS,
      name(`a first fragment of protocol ${protocol} goes to the sorter`),
      first,
      withMacs(LINK_MACS.uplink, ROUTER, older),
    );
    at(
      SORTED,
      name(`sorted: a first fragment of protocol ${protocol} from nobody`),
      firstOf(outside, shared, protocol),
      nobody('external-peer'),
    );
    at(
      SORTED,
      name(`sorted: a later one of it, of protocol ${protocol}`),
      laterOf(outside, shared, protocol),
      nobody('external-fragment'),
    );
  }
}

// Both ends on this node: Contoso's at the shared address, Fabrikam's at its own.
for (const [what, out, back] of [
  ['IKE', udpPacket(SHARED, fabrikam.external, [500, 500]), udpPacket(fabrikam.external, SHARED, [500, 500])],
  ['ESP', espPacket(SHARED, fabrikam.external), espPacket(fabrikam.external, SHARED)],
] as const) {
  at(OUTWARDS, `peers: ${what} to another domain’s address here`, out, handedTo(fabrikam.handle, out));
  at(OUTWARDS_OF.fabrikam, `peers: ${what} from there`, back, handedTo(contoso.handle, back));
}
const astray = espPacket(contoso.external6, SHARED6);
at(OUTWARDS, 'peers: ESP from a context to whom it is no peer of', astray, dropped('external-peer'));

export const peers: readonly Fixture[] = fixtures;
