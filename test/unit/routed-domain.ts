/** Forwarding and BGP for the tests of store, API and command line, and the password that must never be seen again. */
import type { BgpRoute, BgpState } from '../../src/api/operations.ts';

/** Nothing else in a test has it in it. */
export const password = 'walrus-4Kj!\\<basalt-16180';

/** As somebody writes it, with all that has a default left out. */
export const forwardingBody = {
  vlanId: 312,
  addresses: ['10.40.0.2/29'],
  nextHops: ['10.40.0.1'],
  destinationPrefixes: ['172.16.0.0/12'],
};

const peer = { name: 'corporate', address: '10.40.0.1', asn: 65010, password };
const second = { name: 'second', address: '10.40.0.3', asn: 65010 };
export const bgpBody = { asn: 4_200_000_001, peers: [peer, second] };

/** What the speaker of that is doing. */
export const speaker: BgpState = {
  peers: [
    {
      ...{ name: 'corporate', address: '10.40.0.1', asn: 65010 },
      ...{ state: 'Established', since: '2026-01-01T00:00:00.000Z', bfd: 'up' },
      ...{ prefixesReceived: 12, prefixesAccepted: 10, prefixesSent: 3 },
    },
    {
      ...{ name: 'second', address: '10.40.0.3', asn: 65010, state: 'Active' },
      ...{ prefixesReceived: 0, prefixesAccepted: 0, prefixesSent: 0 },
      lastError: 'The peer does not answer.',
    },
  ],
  memoryBytes: 12 * 1024 * 1024,
};

const learned = (prefix: string, from: string, more: Partial<BgpRoute> = {}): BgpRoute => ({
  ...{ prefix, peer: from, nextHops: ['10.40.0.1'], asPath: [65010, 4_200_000_100], origin: 'IGP' },
  ...{ med: 7, communities: ['65010:1', 'no-export'], best: true, installed: true },
  ...more,
});

/** Ascending by prefix, and what is to one prefix in whatever order. */
export const knownRoutes: BgpRoute[] = [
  {
    ...{ prefix: '10.1.1.0/24', nextHops: [], asPath: [], origin: 'IGP', communities: [] },
    ...{ best: true, installed: false },
  },
  learned('172.16.0.0/12', 'corporate'),
  learned('172.16.9.0/24', 'second', { best: false, installed: false }),
  learned('172.16.9.0/24', 'corporate'),
  learned('172.17.0.0/16', 'corporate', { localPreference: 200 }),
  learned('192.0.2.0/24', 'second'),
  learned('2001:db8:7::/48', 'corporate', { nextHops: ['2001:db8:40::1'] }),
];
