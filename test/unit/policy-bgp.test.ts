/** BGP: its normal form, what its peers and networks need of the domain, and what the domain keeps for them. */
import t from 'tap';
import { withKeptPasswords } from '../../src/policy/kept-secret.ts';
import { normalize } from '../../src/policy/normalize.ts';
import type { Bgp, ResourceKind, ResourceTypes } from '../../src/policy/resources.ts';
import { checkDelete, checkPut, checkTenantPut } from '../../src/policy/rules.ts';
import { isSecret, mapSecrets, withoutSecrets } from '../../src/policy/secrets.ts';
import { type BgpInput, bgpPolicy, onVlan } from '../lab/forwarding-policy.ts';
import { natPolicy } from '../lab/nat-policy.ts';
import { type SiteInput, siteInput } from '../lab/site-policy.ts';
import { CONTOSO, type Put, put, refusalOf, stateOf } from './policy-state.ts';

type PeerInput = NonNullable<BgpInput['peers']>[number];
const peer = (more: Partial<PeerInput> = {}): PeerInput => ({
  ...{ name: 'core', address: '192.0.2.1', asn: 65001 },
  ...more,
});
const peers = (...all: Partial<PeerInput>[]): BgpInput => ({ peers: all.map(peer) });
type Policy = Bgp['policies'][number];
const policies = (...all: Partial<Policy>[]): BgpInput => ({
  policies: all.map((each) => ({ name: 'p', type: 'Allow', ...each })),
});

t.test('a resource in its normal form is canonical, has its defaults, and stays as it is', async (t) => {
  const normal = bgpPolicy({
    networks: ['FD00:1::/64', '10.1.1.0/24'],
    ...peers({ address: '2001:DB8::0:1', localAddress: '2001:DB8:0::2', bfd: {} as never }),
    ...policies(
      { matchPrefixes: ['2001:DB8::/32', '0.0.0.0/0'], matchCommunities: ['00001:2', 'no-export'] },
      { name: 'm', type: 'ModifyAttribute', newMed: 0, removeAllCommunities: false },
      {
        name: 'r',
        type: 'ModifyAttribute',
        removeAllCommunities: true,
        matchAsnRanges: [{ from: 1, to: 1 }],
      },
    ),
  });
  t.strictSame(normal, {
    asn: 64512,
    networks: ['fd00:1::/64', '10.1.1.0/24'],
    peers: [
      {
        ...{ name: 'core', address: '2001:db8::1', asn: 65001, localAddress: '2001:db8::2' },
        ...{ holdTimeSeconds: 90, maximumPrefixes: 1000, ingressPolicies: [], egressPolicies: [] },
        bfd: { intervalMilliseconds: 300, multiplier: 3 },
      },
    ],
    hostRoutes: false,
    policies: [
      {
        ...{ name: 'p', type: 'Allow', matchPrefixes: ['2001:db8::/32', '0.0.0.0/0'] },
        matchCommunities: ['1:2', 'no-export'],
      },
      { name: 'm', type: 'ModifyAttribute', newMed: 0 },
      {
        name: 'r',
        type: 'ModifyAttribute',
        removeAllCommunities: true,
        matchAsnRanges: [{ from: 1, to: 1 }],
      },
    ],
    maximumPaths: 8,
    gracefulRestartSeconds: 120,
  });
  t.strictSame(normalize('bgp', normal), normal);
});

const malformed: [what: string, more: BgpInput, rule: string, pointer: string][] = [
  ['AS_TRANS', { asn: 23456 }, 'bgp-asn-reserved', '/asn'],
  ['the last ASN of 16 bits', { asn: 65535 }, 'bgp-asn-reserved', '/asn'],
  ['a peer in AS_TRANS', peers({ asn: 23456 }), 'bgp-asn-reserved', '/peers/0/asn'],
  ['an IPv6 router id', { routerId: '2001:db8::1' }, 'bgp-router-id', '/routerId'],
  ['a router id of zero', { routerId: '0.0.0.0' }, 'bgp-router-id', '/routerId'],
  ['a peer that is none', peers({ address: '192.0.2.300' }), 'ip-address', '/peers/0/address'],
  ['a multicast peer', peers({ address: '224.0.0.1' }), 'address-unicast', '/peers/0/address'],
  ['a name twice', peers({}, { address: '192.0.2.9' }), 'bgp-peer-name', '/peers/1/name'],
  ['an address twice', peers({}, { name: 'b' }), 'bgp-peer-address', '/peers/1/address'],
  [
    'a local address of the other family',
    peers({ localAddress: '2001:db8::2' }),
    'bgp-local-address-family',
    '/peers/0/localAddress',
  ],
  [
    'hops to a peer of the own AS',
    peers({ asn: 64512, multihop: 2 }),
    'bgp-multihop-internal',
    '/peers/0/multihop',
  ],
  [
    'a policy that is not there',
    { ...peers({ ingressPolicies: ['q'] }), ...policies({}) },
    'bgp-policy-exists',
    '/peers/0/ingressPolicies/0',
  ],
  [
    'a policy that is tried twice',
    { ...peers({ egressPolicies: ['p', 'p'] }), ...policies({}) },
    'bgp-policy-once',
    '/peers/0/egressPolicies/1',
  ],
  ['a policy’s name twice', policies({}, {}), 'bgp-policy-name', '/policies/1/name'],
  [
    'a modification of nothing',
    policies({ type: 'ModifyAttribute' }),
    'bgp-policy-attribute',
    '/policies/0/type',
  ],
  [
    'a modification that removes no communities',
    policies({ type: 'ModifyAttribute', removeAllCommunities: false }),
    'bgp-policy-attribute',
    '/policies/0/type',
  ],
  ['an attribute with Allow', policies({ newMed: 5 }), 'bgp-policy-attribute', '/policies/0/newMed'],
  [
    'an attribute with Deny',
    policies({ type: 'Deny', prependAsn: 1 }),
    'bgp-policy-attribute',
    '/policies/0/prependAsn',
  ],
  [
    'a range of ASNs that ends before it begins',
    policies({ matchAsnRanges: [{ from: 5, to: 4 }] }),
    'bgp-asn-range',
    '/policies/0/matchAsnRanges/0/to',
  ],
  [
    'a prefix with host bits to match',
    policies({ matchPrefixes: ['10.0.0.1/8'] }),
    'prefix-host-bits',
    '/policies/0/matchPrefixes/0',
  ],
  [
    'a community that is too large',
    policies({ matchCommunities: ['65536:1'] }),
    'bgp-community',
    '/policies/0/matchCommunities/0',
  ],
  [
    'a community twice',
    policies({ type: 'ModifyAttribute', addCommunities: ['1:2', '01:2'] }),
    'bgp-policy-value-once',
    '/policies/0/addCommunities/1',
  ],
  ['a network twice', { networks: ['10.1.1.0/24', '10.1.1.0/24'] }, 'prefix-once', '/networks/1'],
  ['everything as network', { networks: ['::/0'] }, 'prefix-unicast', '/networks/0'],
];
for (const [what, more, rule, pointer] of malformed) {
  t.test(`${what} is refused by ${rule}`, async (t) => {
    t.match(
      refusalOf(() => bgpPolicy(more)),
      { code: 'HNV_INVALID_FIELD', rule, pointer },
    );
  });
}

const key = { kind: 'bgp', rdid: CONTOSO } as const;
const subnet = (vsid: number, addressPrefixes: string[]) =>
  put('virtualSubnet', CONTOSO, String(vsid), { addressPrefixes });
const gatewayOf = (...customerAddresses: string[]) =>
  put('gateway', CONTOSO, undefined, { virtualSubnetId: 5099, customerAddresses });
const tenant: Put[] = [
  subnet(5001, ['10.1.1.0/24', 'fd00:1::/64']),
  put('virtualSubnet', CONTOSO, '5099', {
    ...{ addressPrefixes: ['10.254.254.0/29', 'fd00:254::/64'], isGatewaySubnet: true },
  }),
];
const withGateway = [...tenant, gatewayOf('10.254.254.2')];
const nat = put(
  'nat',
  CONTOSO,
  undefined,
  natPolicy({ externalAddresses: [{ ipAddress: '203.0.113.10' }, { ipAddress: '2001:db8:f::1' }] }),
);
const siteOf = (more: SiteInput = {}) => [
  nat,
  put(
    'siteConnection',
    CONTOSO,
    'hq',
    siteInput({ subnets: [{ prefix: '172.30.0.0/16' }, { prefix: 'fd00:30::/64' }], ...more }),
  ),
];
const vlan = (...[more]: Parameters<typeof onVlan>) => put('forwarding', CONTOSO, undefined, onVlan(more));
const atSite = peers({ address: '172.30.0.1' });
const narrow = siteOf({ subnets: [{ prefix: '172.30.0.0/16' }], localSubnets: ['10.1.1.0/24'] });

const atOdds: [what: string, puts: Put[], more: BgpInput, rule: string, pointer: string][] = [
  ['a peer without forwarding or sites', withGateway, peers({}), 'bgp-peer-reachable', '/peers/0/address'],
  [
    'a peer outside of what is forwarded',
    [...withGateway, vlan({ destinationPrefixes: ['157.0.0.0/8'] })],
    peers({ address: '158.0.0.1', multihop: 2 }),
    'bgp-peer-reachable',
    '/peers/0/address',
  ],
  [
    'a peer of the other family than its next hops',
    [...withGateway, vlan()],
    peers({ address: '2001:db8::1', multihop: 2 }),
    'bgp-peer-reachable',
    '/peers/0/address',
  ],
  [
    'a peer where NAT has the default route',
    [...withGateway, nat, vlan()],
    peers({ address: '158.0.0.1', multihop: 2 }),
    'bgp-peer-reachable',
    '/peers/0/address',
  ],
  [
    'a peer behind a next hop without multihop',
    [...withGateway, vlan()],
    peers({ address: '158.0.0.1' }),
    'bgp-peer-reachable',
    '/peers/0/multihop',
  ],
  [
    'itself as peer',
    [...withGateway, vlan()],
    peers({ address: '192.0.2.2' }),
    'bgp-peer-own',
    '/peers/0/address',
  ],
  [
    'its gateway as peer',
    withGateway,
    peers({ address: '10.254.254.2' }),
    'bgp-peer-own',
    '/peers/0/address',
  ],
  [
    'a local address of the gateway on the network of forwarding',
    [...withGateway, vlan()],
    peers({ localAddress: '10.254.254.2' }),
    'bgp-local-address',
    '/peers/0/localAddress',
  ],
  [
    'a local address of forwarding through a tunnel',
    [...withGateway, ...siteOf(), vlan()],
    peers({ address: '172.30.0.1', localAddress: '192.0.2.2' }),
    'bgp-local-address',
    '/peers/0/localAddress',
  ],
  [
    'a gateway without an address of the peer’s family',
    [...withGateway, ...siteOf()],
    peers({ address: 'fd00:30::1' }),
    'bgp-local-address',
    '/peers/0/localAddress',
  ],
  [
    'a local address that the site does not know',
    [...withGateway, ...narrow],
    atSite,
    'bgp-local-address',
    '/peers/0/localAddress',
  ],
  [
    'no IPv4 address to be the router id',
    [...tenant, gatewayOf('fd00:254::2'), vlan({ addresses: ['2001:db8::2/64'], nextHops: [] })],
    peers({ address: '2001:db8::1' }),
    'bgp-router-id',
    '/routerId',
  ],
  [
    'a network that is not the tenant’s',
    [...withGateway, ...siteOf()],
    { ...atSite, networks: ['10.1.0.0/16'] },
    'bgp-network-inside',
    '/networks/0',
  ],
  [
    'a network that is not forwarded',
    [...withGateway, vlan({ advertise: ['10.1.1.0/25'] })],
    { ...peers({}), networks: ['10.1.1.0/24'] },
    'bgp-network-inside',
    '/networks/0',
  ],
];
for (const [what, puts, more, rule, pointer] of atOdds) {
  t.test(`${what} is refused by ${rule}`, async (t) => {
    const refusal = refusalOf(() => checkPut(stateOf(puts), key, bgpPolicy(more)));
    t.match(refusal, { code: 'HNV_INVALID_FIELD', rule, pointer });
    t.match(refusal.message, /[^.]\.$/);
  });
}

const fitting: [what: string, puts: Put[], more: BgpInput][] = [
  ['nothing but an ASN', tenant, {}],
  ['a peer on the network of forwarding', [...withGateway, vlan()], peers({ localAddress: '192.0.2.2' })],
  [
    'a peer of its AS behind a next hop',
    [...withGateway, vlan()],
    peers({ address: '158.0.0.1', asn: 64512 }),
  ],
  ['a peer of another AS behind it', [...withGateway, vlan()], peers({ address: '158.0.0.1', multihop: 3 })],
  ['a peer through a tunnel', [...withGateway, ...siteOf()], { ...atSite, networks: ['10.1.1.0/25'] }],
  ['a peer through a tunnel before there is a gateway', [...tenant, ...siteOf()], atSite],
  [
    'networks that are forwarded in part, with peers through tunnels alone',
    [...withGateway, ...siteOf(), vlan({ advertise: [] })],
    { ...atSite, networks: ['10.1.1.0/24'] },
  ],
  [
    'an IPv6 router with an id',
    [...tenant, gatewayOf('fd00:254::2'), vlan({ addresses: ['2001:db8::2/64'], nextHops: [] })],
    { ...peers({ address: '2001:db8::1' }), routerId: '10.0.0.1' },
  ],
];
for (const [what, puts, more] of fitting) {
  t.test(`${what} is fine, for a tenant too`, async () => {
    checkTenantPut(stateOf(puts), key, bgpPolicy(more));
    checkPut(stateOf(puts), key, bgpPolicy(more));
  });
}

function write<K extends ResourceKind>(state: ReturnType<typeof stateOf>, { key, value }: Put<K>): void {
  checkPut(state, key, normalize(key.kind, value as ResourceTypes[K]));
}

t.test('what peers and networks need stays', async (t) => {
  const onNetwork = { ...peers({}), networks: ['10.1.1.0/24'] };
  const local = peers({ address: '172.30.0.1', localAddress: '10.254.254.2' });
  const forwarded = [...withGateway, vlan()];
  const tunnelled = [...withGateway, ...siteOf()];
  const behind = peers({ address: '158.0.0.1', multihop: 2 });
  const changes: [puts: Put[], more: BgpInput, by: Put, pointer: string][] = [
    [forwarded, onNetwork, vlan({ addresses: ['192.0.3.2/24'], nextHops: [] }), '/addresses'],
    [forwarded, onNetwork, vlan({ advertise: ['10.1.1.0/25'] }), '/addresses'],
    [forwarded, behind, nat, '/externalAddresses'],
    [tunnelled, local, gatewayOf('10.254.254.3'), '/customerAddresses'],
    [tunnelled, atSite, siteOf({ subnets: [{ prefix: '172.31.0.0/16' }] })[1] as Put, '/subnets'],
    [
      [...tunnelled, subnet(5002, ['10.2.0.0/16'])],
      { ...atSite, networks: ['10.2.3.0/24'] },
      subnet(5002, ['10.3.0.0/16']),
      '/addressPrefixes',
    ],
  ];
  for (const [puts, more, by, pointer] of changes) {
    const state = stateOf([...puts, put('bgp', CONTOSO, undefined, bgpPolicy(more))]);
    const refusal = refusalOf(() => write(state, by));
    t.match(refusal, { code: 'HNV_IN_USE', rule: 'routing-in-use', pointer });
    t.match(refusal.message, /does not go with BGP of this routing domain: .*[^.]\.$/);
    write(stateOf(puts), by);
  }
  const deletions: [Put[], BgpInput, Put['key']][] = [
    [forwarded, onNetwork, { kind: 'forwarding', rdid: CONTOSO }],
    [tunnelled, local, { kind: 'gateway', rdid: CONTOSO }],
    [tunnelled, atSite, { kind: 'siteConnection', rdid: CONTOSO, id: 'hq' }],
  ];
  for (const [puts, more, gone] of deletions) {
    const state = stateOf([...puts, put('bgp', CONTOSO, undefined, bgpPolicy(more))]);
    const refusal = refusalOf(() => checkDelete(state, gone));
    t.match(refusal, { code: 'HNV_IN_USE', rule: 'routing-in-use' });
    t.match(refusal.message, / is used by BGP \(/);
    checkDelete(state, key);
    checkDelete(stateOf(puts), gone);
  }
});

t.test('passwords are found in each peer, and go nowhere', async (t) => {
  const bgp = bgpPolicy(
    peers(
      { password: 'a' },
      { name: 'b', address: '192.0.2.9' },
      { name: 'c', address: '192.0.2.8', password: 'c' },
    ),
  );
  const seen: string[] = [];
  const sealed = mapSecrets('bgp', bgp, (secret, pointer) => {
    seen.push(`${pointer} ${secret}`);
    return 'sealed';
  });
  t.strictSame(seen, ['/peers/0/password a', '/peers/2/password c']);
  t.strictSame(
    sealed.peers.map(({ password }) => password),
    ['sealed', undefined, 'sealed'],
  );
  t.strictSame(
    withoutSecrets('bgp', bgp),
    bgpPolicy(peers({}, ...bgp.peers.slice(1).map(({ name, address }) => ({ name, address })))),
  );
  t.equal(bgp.peers[0]?.password, 'a', 'it is not changed');
  t.strictSame(
    ['/peers/0/password', '/peers/12/password', '/peers/0/name', '/peers/password', '/peers/0'].map(
      (pointer) => isSecret('bgp', pointer),
    ),
    [true, true, false, false, false],
  );
});

t.test(
  'a password that is left out is the one before of the peer of that name; null takes it away',
  async (t) => {
    const passwords = (value: Bgp, held?: Bgp) =>
      withKeptPasswords(value, held).peers.map(({ name, password }) => [name, password]);
    const held = bgpPolicy(peers({ password: 'a' }, { name: 'b', address: '192.0.2.9', password: 'b' }));
    const given = bgpPolicy(
      peers({ name: 'b' }, { address: '192.0.2.9' }, { name: 'new', address: '192.0.2.8' }),
    );
    t.strictSame(passwords(given, held), [
      ['b', 'b'],
      ['core', 'a'],
      ['new', undefined],
    ]);
    t.strictSame(passwords(given), [
      ['b', undefined],
      ['core', undefined],
      ['new', undefined],
    ]);
    t.strictSame(passwords(bgpPolicy(peers({ password: 'other' })), held), [['core', 'other']]);
    const taken = withKeptPasswords(bgpPolicy(peers({ password: null })), held);
    t.notOk(Object.hasOwn(taken.peers[0] ?? {}, 'password'));
    const unopened = bgpPolicy(peers({ password: null }));
    t.strictSame(passwords(bgpPolicy(peers({})), unopened), [['core', null]], 'still one that is not known');
  },
);
