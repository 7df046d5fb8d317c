/** Requests that break the rules of BGP: see rule-breakers.ts. */
import { ROUTED, ROUTED_PREFIX, ROUTER } from './forwarding-rule-breakers.ts';
import type { RuleBreaker } from './rule-breakers.ts';
import { SITES } from './site-rule-breakers.ts';

const domain = (path: string, rdid = ROUTED): string => `/v1/routing-domains/${rdid}${path}`;
const path = domain('/bgp');

const peer = (more: object = {}) => ({ name: 'router', address: ROUTER, asn: 65001, ...more });
const speaker = (more: object = {}) => ({ asn: 64512, peers: [peer()], ...more });
const withPeer = (more: object) => speaker({ peers: [peer(more)] });
const withPolicy = (more: object) => speaker({ policies: [{ name: 'p', type: 'Allow', ...more }] });

const ofFields: RuleBreaker[] = [
  { what: 'AS_TRANS', path, body: speaker({ asn: 23456 }), rule: 'bgp-asn-reserved', pointer: '/asn' },
  {
    what: 'a router id that is none',
    path,
    body: speaker({ routerId: '0.0.0.0' }),
    rule: 'bgp-router-id',
    pointer: '/routerId',
  },
  {
    what: 'a password with blanks',
    path,
    body: withPeer({ password: 'correct horse' }),
    rule: 'enum',
    pointer: '/peers/0/password',
    names: 'a key, null',
  },
  {
    what: 'a peer’s name twice',
    path,
    body: speaker({ peers: [peer(), peer({ address: '192.0.2.9' })] }),
    rule: 'bgp-peer-name',
    pointer: '/peers/1/name',
  },
  {
    what: 'a peer’s address twice',
    path,
    body: speaker({ peers: [peer(), peer({ name: 'other' })] }),
    rule: 'bgp-peer-address',
    pointer: '/peers/1/address',
  },
  {
    what: 'a local address of the other family',
    path,
    body: withPeer({ localAddress: '2001:db8::2' }),
    rule: 'bgp-local-address-family',
    pointer: '/peers/0/localAddress',
  },
  {
    what: 'hops to a peer of its own AS',
    path,
    body: withPeer({ asn: 64512, multihop: 2 }),
    rule: 'bgp-multihop-internal',
    pointer: '/peers/0/multihop',
  },
  {
    what: 'a policy that is not there',
    path,
    body: withPeer({ ingressPolicies: ['q'] }),
    rule: 'bgp-policy-exists',
    pointer: '/peers/0/ingressPolicies/0',
  },
  {
    what: 'a policy that is tried twice',
    path,
    body: {
      ...withPolicy({}),
      peers: [peer({ egressPolicies: ['p', 'p'] })],
    },
    rule: 'bgp-policy-once',
    pointer: '/peers/0/egressPolicies/1',
  },
  {
    what: 'a policy’s name twice',
    path,
    body: speaker({
      policies: [
        { name: 'p', type: 'Allow' },
        { name: 'p', type: 'Deny' },
      ],
    }),
    rule: 'bgp-policy-name',
    pointer: '/policies/1/name',
  },
  {
    what: 'a modification of nothing',
    path,
    body: withPolicy({ type: 'ModifyAttribute' }),
    rule: 'bgp-policy-attribute',
    pointer: '/policies/0/type',
  },
  {
    what: 'a range of ASNs that ends before it begins',
    path,
    body: withPolicy({ matchAsnRanges: [{ from: 5, to: 4 }] }),
    rule: 'bgp-asn-range',
    pointer: '/policies/0/matchAsnRanges/0/to',
  },
  {
    what: 'a community that is too large',
    path,
    body: withPolicy({ matchCommunities: ['65536:1'] }),
    rule: 'bgp-community',
    pointer: '/policies/0/matchCommunities/0',
  },
  {
    what: 'a community twice',
    path,
    body: withPolicy({ matchCommunities: ['1:2', '1:2'] }),
    rule: 'bgp-policy-value-once',
    pointer: '/policies/0/matchCommunities/1',
  },
];

const ofDomain: RuleBreaker[] = [
  {
    what: 'a peer that cannot be reached',
    path: domain('/bgp', SITES),
    body: speaker(),
    rule: 'bgp-peer-reachable',
    pointer: '/peers/0/address',
  },
  {
    what: 'itself as peer',
    path,
    body: withPeer({ address: '192.0.2.2' }),
    rule: 'bgp-peer-own',
    pointer: '/peers/0/address',
  },
  {
    what: 'a local address that it has not',
    path,
    body: withPeer({ localAddress: '192.0.2.3' }),
    rule: 'bgp-local-address',
    pointer: '/peers/0/localAddress',
  },
  {
    what: 'a network that is not the tenant’s',
    path,
    body: speaker({ networks: ['10.33.0.0/16'] }),
    rule: 'bgp-network-inside',
    pointer: '/networks/0',
  },
];
export const bgpBreakers = [...ofFields, ...ofDomain];

/** Of what stands beside BGP. */
export const bgpInUseBreakers: RuleBreaker[] = [
  {
    what: 'to be deleted while a peer is on its network',
    method: 'DELETE',
    path: domain('/forwarding'),
    status: 409,
    rule: 'routing-in-use',
  },
  {
    what: 'other addresses while a peer is on its network',
    path: domain('/forwarding'),
    body: { vlanId: 310, addresses: ['192.0.3.2/24'], advertise: [ROUTED_PREFIX] },
    status: 409,
    rule: 'routing-in-use',
    pointer: '/addresses',
  },
];
