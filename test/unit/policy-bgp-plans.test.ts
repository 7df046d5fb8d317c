/** What the compiler makes of forwarding and BGP. */
import t from 'tap';
import { maxHostRoutes } from '../../src/policy/compile/bgp.ts';
import { compileDomain } from '../../src/policy/compile.ts';
import type { Bgp, Forwarding } from '../../src/policy/resources.ts';
import { derivedMac } from '../../src/policy/router.ts';
import type { DesiredState } from '../../src/policy/state.ts';
import { type BgpInput, bgpPolicy, onVlan, untagged } from '../lab/forwarding-policy.ts';
import { natPolicy } from '../lab/nat-policy.ts';
import { siteInput } from '../lab/site-policy.ts';
import { CONTOSO, FABRIKAM, type Put, put, record, stateOf } from './policy-state.ts';

function compile(
  puts: readonly Put[],
  node: Partial<DesiredState> & { uplinkAddresses?: Map<string, string> } = {},
) {
  const state = stateOf(puts);
  const domain = state.domains.get(CONTOSO);
  if (domain === undefined) throw new Error('no Contoso');
  return compileDomain(domain, { ...state, ...node });
}

const subnet = (vsid: number, addressPrefixes: string[]) =>
  put('virtualSubnet', CONTOSO, String(vsid), { addressPrefixes });
const gatewayOf = (...customerAddresses: string[]) =>
  put('gateway', CONTOSO, undefined, { virtualSubnetId: 5099, customerAddresses });
const forwardingOf = (value: Forwarding) => put('forwarding', CONTOSO, undefined, value);
const bgpOf = (more: BgpInput = {}) => put('bgp', CONTOSO, undefined, bgpPolicy(more));
const route = (id: string, destinationPrefix: string, nextHop = '10.1.1.9') =>
  put('customerRoute', CONTOSO, id, { virtualSubnetId: 5001, destinationPrefix, nextHop, metric: 0 });
const natOf = (...addresses: string[]) =>
  put(
    'nat',
    CONTOSO,
    undefined,
    natPolicy({ externalAddresses: addresses.map((ipAddress) => ({ ipAddress })) }),
  );
const siteOf = (name: string, prefix: string) =>
  put('siteConnection', CONTOSO, name, siteInput({ subnets: [{ prefix }] }));
const tenant: Put[] = [
  put('providerAddress', undefined, '192.168.4.1', { interface: 'pa0', prefixLength: 24 }),
  subnet(5001, ['10.1.1.0/24', 'fd00:1::/64']),
  put('virtualSubnet', CONTOSO, '5099', {
    ...{ addressPrefixes: ['10.254.254.0/29', 'fd00:254::/64'], isGatewaySubnet: true },
  }),
];
const base = [...tenant, gatewayOf('fd00:254::2', '10.254.254.2')];
const dual = {
  addresses: ['2001:db8::2/64', '192.0.2.2/24', '198.18.0.2/24'],
  nextHops: ['2001:db8::9', '198.18.0.1', '192.0.2.1', '2001:db8::1'],
};

t.test('forwarding compiles to a plan in order, with every default', async (t) => {
  const { forwarding, nat, pending } = compile([...base, forwardingOf(onVlan(dual))]);
  t.strictSame(pending, []);
  t.equal(nat, undefined);
  t.strictSame(forwarding, {
    uplink: 'eth0',
    vlanId: 100,
    mac: derivedMac(`forwarding ${CONTOSO}`),
    addresses: ['192.0.2.2/24', '198.18.0.2/24', '2001:db8::2/64'],
    routes: [
      { prefix: '::/0', nextHops: ['2001:db8::1', '2001:db8::9'] },
      { prefix: '0.0.0.0/0', nextHops: ['192.0.2.1', '198.18.0.1'] },
    ],
    advertise: ['10.1.1.0/24', 'fd00:1::/64'],
  });
  const { forwarding: plain } = compile([...base, forwardingOf(untagged({ uplink: 'eth1' }))]);
  t.match(plain, { uplink: 'eth1', advertise: ['10.1.1.0/24'] });
  t.notOk(plain !== undefined && 'vlanId' in plain);
});

t.test('by default, everything is routed that NAT and the tenant leave', async (t) => {
  const routes = (...puts: Put[]) =>
    compile([...base, ...puts, forwardingOf(onVlan(dual))]).forwarding?.routes.map(({ prefix }) => prefix);
  t.strictSame(routes(natOf('203.0.113.10')), ['::/0']);
  t.strictSame(routes(natOf('2001:db8:f::1')), ['0.0.0.0/0']);
  t.strictSame(routes(natOf('203.0.113.10', '2001:db8:f::1')), []);
  const externalPrefixes = [{ prefix: '2001:db8:5::/64', internalPrefix: 'fd00:1::/64' }];
  t.strictSame(routes(put('nat', CONTOSO, undefined, natPolicy({ externalPrefixes }))), ['0.0.0.0/0']);
  t.strictSame(routes(route('default', '0.0.0.0/0')), ['::/0']);
  t.strictSame(routes(route('back', '0.0.0.0/0', '10.254.254.2')), ['::/0', '0.0.0.0/0']);
  const named = onVlan({ ...dual, destinationPrefixes: ['2001:db8:7::/48', '157.0.0.0/8'] });
  t.strictSame(compile([...base, natOf('203.0.113.10'), forwardingOf(named)]).forwarding?.routes, [
    { prefix: '157.0.0.0/8', nextHops: ['192.0.2.1', '198.18.0.1'] },
    { prefix: '2001:db8:7::/48', nextHops: ['2001:db8::1', '2001:db8::9'] },
  ]);
});

t.test('prefixes within others are told once, and those of a family without gateway wait', async (t) => {
  const value = onVlan({ advertise: ['fd00:1::/64', '10.1.1.128/25', '10.1.1.0/24'] });
  const all = compile([...base, forwardingOf(value)]);
  t.strictSame(all.forwarding?.advertise, ['10.1.1.0/24', 'fd00:1::/64']);
  const only4 = [...tenant, gatewayOf('10.254.254.2')];
  const { forwarding, pending } = compile([...only4, forwardingOf(value)]);
  t.strictSame(forwarding?.advertise, ['10.1.1.0/24']);
  t.strictSame(pending, ['Forwarding of fd00:1::/64 waits for an IPv6 address of the gateway.']);
  const byDefault = compile([...only4, forwardingOf(onVlan())]);
  t.strictSame([byDefault.forwarding?.advertise, byDefault.pending], [['10.1.1.0/24'], []]);
});

t.test('what cannot be on this node waits', async (t) => {
  const waits = (value: Forwarding, node: Parameters<typeof compile>[1], ...puts: Put[]) => {
    const { forwarding, pending } = compile([...base, forwardingOf(value), ...puts], node);
    return [forwarding?.advertise, pending];
  };
  const uplinkAddresses = new Map([
    ['192.0.2.2', 'an address of this node'],
    ['10.1.1.7', 'the router of the uplink'],
    ['10.1.1.5', 'the other router of the uplink'],
  ]);
  t.strictSame(waits(untagged(), { uplinkAddresses }), [
    undefined,
    ['Forwarding waits for another address: 192.0.2.2 is an address of this node.'],
  ]);
  const elsewhere = untagged({ addresses: ['192.0.2.3/24'], advertise: ['10.1.1.0/24', 'fd00:1::/64'] });
  t.strictSame(waits(elsewhere, { uplinkAddresses }), [
    ['fd00:1::/64'],
    [
      'Forwarding of 10.1.1.0/24 waits for another prefix: 10.1.1.5, which is in it, is the other router of the uplink.',
    ],
  ]);
  t.strictSame(waits(onVlan(), { uplinkAddresses }), [['10.1.1.0/24', 'fd00:1::/64'], []]);
  t.strictSame(waits(onVlan({ uplink: 'eth1' }), { uplinks: ['eth0'] }), [
    undefined,
    [
      'Forwarding waits for interface eth1, which the configuration of this node does not give to forwarding.',
    ],
  ]);
  t.match(waits(onVlan(), { uplinks: [] }), [undefined, [/waits for an uplink/]]);
  t.match(waits(onVlan(), {}, put('forwarding', FABRIKAM, undefined, onVlan())), [
    undefined,
    ['Forwarding waits for VLAN 100 of eth0, which another routing domain has.'],
  ]);
});

t.test('without gateway, all that needs it waits in one sentence', async (t) => {
  const pending = (...puts: Put[]) => compile([...tenant, ...puts]).pending;
  const forwarding = forwardingOf(onVlan());
  const why = 'for a gateway: the routing domain has none on this node.';
  t.strictSame(pending(forwarding), [`Forwarding waits ${why}`]);
  t.strictSame(pending(bgpOf()), [`BGP waits ${why}`]);
  t.strictSame(pending(forwarding, bgpOf()), [`Forwarding and BGP wait ${why}`]);
  t.strictSame(pending(bgpOf(), natOf('203.0.113.10'), siteOf('hq', '172.30.0.0/16'), forwarding), [
    `NAT, site connections, forwarding and BGP wait ${why}`,
  ]);
  const { plan } = { plan: compile([...tenant, forwarding, bgpOf()]) };
  t.strictSame([plan.forwarding, plan.bgp], [undefined, undefined]);
});

const core = { name: 'core', address: '192.0.2.1', asn: 65001 };
const full: Put[] = [
  ...base,
  subnet(5002, ['10.2.0.0/16']),
  route('behind', '10.3.0.0/16'),
  route('default', '0.0.0.0/0', '10.254.254.2'),
  natOf('203.0.113.10'),
  siteOf('hq', '172.30.0.0/16'),
  siteOf('branch', '172.31.0.0/16'),
  forwardingOf(onVlan({ ...dual, destinationPrefixes: ['157.0.0.0/8', '2001:db8:7::/48'] })),
];
const speaker: BgpInput = {
  peers: [
    {
      ...core,
      password: 'secret',
      bfd: { intervalMilliseconds: 50, multiplier: 2 },
      ingressPolicies: ['b', 'a'],
    },
    { name: 'behind', address: '157.1.0.1', asn: 65002, multihop: 4, localAddress: '198.18.0.2' },
    { name: 'six', address: '2001:db8::9', asn: 64512 },
    { name: 'at-hq', address: '172.30.0.1', asn: 65003, holdTimeSeconds: 9 },
    { name: 'inside', address: '172.31.0.1', asn: 64512 },
  ],
  policies: [
    { name: 'b', type: 'Deny', matchPrefixes: ['10.0.0.0/8'] },
    { name: 'a', type: 'Allow' },
  ],
};

t.test('BGP compiles to a plan in order, with every default', async (t) => {
  const { bgp, pending } = compile([...full, bgpOf(speaker)]);
  t.strictSame(pending, []);
  const more = {
    ...{ holdTimeSeconds: 90, maximumPrefixes: 1000, ingressPolicies: [], egressPolicies: [] },
  };
  t.strictSame(bgp, {
    asn: 64512,
    routerId: '192.0.2.2',
    peers: [
      {
        ...{ ...more, name: 'at-hq', address: '172.30.0.1', asn: 65003, holdTimeSeconds: 9 },
        ...{ localAddress: '10.254.254.2', multihop: 2, by: 'tunnel' },
      },
      {
        ...{ ...more, name: 'behind', address: '157.1.0.1', asn: 65002, multihop: 4 },
        ...{ localAddress: '198.18.0.2', by: 'forwarding' },
      },
      {
        ...{ ...more, ...core, localAddress: '192.0.2.2', by: 'forwarding', password: 'secret' },
        ...{ ingressPolicies: ['b', 'a'], bfd: { intervalMilliseconds: 50, multiplier: 2 } },
      },
      {
        ...{ ...more, name: 'inside', address: '172.31.0.1', asn: 64512 },
        ...{ localAddress: '10.254.254.2', by: 'tunnel' },
      },
      {
        ...{ ...more, name: 'six', address: '2001:db8::9', asn: 64512 },
        ...{ localAddress: '2001:db8::2', by: 'forwarding' },
      },
    ],
    networks: ['10.1.1.0/24', '10.2.0.0/16', 'fd00:1::/64'],
    policies: [
      { name: 'a', type: 'Allow' },
      { name: 'b', type: 'Deny', matchPrefixes: ['10.0.0.0/8'] },
    ],
    maximumPaths: 8,
    gracefulRestartSeconds: 120,
    own: [
      ...['10.1.1.0/24', '10.2.0.0/16', '10.3.0.0/16', '10.254.254.0/29', '192.0.2.0/24', '198.18.0.0/24'],
      ...['2001:db8::/64', 'fd00:1::/64', 'fd00:254::/64'],
    ],
    taken: ['0.0.0.0/0', '157.0.0.0/8', '172.30.0.0/16', '172.31.0.0/16', '2001:db8:7::/48'],
  });
});

t.test('the order in which things were written does not show', async (t) => {
  const puts = [
    ...full,
    bgpOf({ ...speaker, hostRoutes: true }),
    lookup('a', '10.1.1.7'),
    lookup('b', '10.1.1.6'),
  ];
  const plan = JSON.stringify(compile(puts));
  t.equal(JSON.stringify(compile(puts.toReversed())), plan);
  const rotated = puts.map((_, index) => puts[(index * 5 + 3) % puts.length] as Put);
  t.equal(new Set(rotated).size, puts.length, 'each is in it');
  t.equal(JSON.stringify(compile(rotated)), plan);
});

function lookup(id: string, customerAddress: string): Put {
  return put('lookupRecord', CONTOSO, id, record({ customerAddress }));
}

t.test('the router id is the first IPv4 address', async (t) => {
  const idOf = (...puts: Put[]) => compile(puts).bgp?.routerId;
  t.equal(idOf(...base, bgpOf()), '10.254.254.2');
  t.equal(idOf(...base, forwardingOf(onVlan()), bgpOf()), '192.0.2.2');
  t.equal(idOf(...base, forwardingOf(onVlan()), bgpOf({ routerId: '1.2.3.4' })), '1.2.3.4');
  const { bgp, pending } = compile([...tenant, gatewayOf('fd00:254::2'), bgpOf()]);
  t.equal(bgp, undefined);
  t.match(pending, [/^BGP waits for an IPv4 address .*\.$/]);
});

t.test('networks are those that are named, forwarded, or the tenant’s own', async (t) => {
  const networks = (bgp: BgpInput, ...puts: Put[]) => compile([...base, ...puts, bgpOf(bgp)]).bgp?.networks;
  const peers = [core];
  const part = forwardingOf(onVlan({ advertise: ['10.1.1.0/25'] }));
  t.strictSame(networks({}), ['10.1.1.0/24', 'fd00:1::/64']);
  t.strictSame(networks({ networks: ['fd00:1::/64', '10.1.1.64/26'] }), ['10.1.1.64/26', 'fd00:1::/64']);
  t.strictSame(networks({ networks: [] }), []);
  t.strictSame(networks({ peers }, part), ['10.1.1.0/25']);
  t.strictSame(networks({ peers, networks: ['10.1.1.64/26'] }, part), ['10.1.1.64/26']);
});

t.test('host routes are the lookup records’ within networks, up to a limit', async (t) => {
  const own = [lookup('a', '10.1.1.7'), lookup('b', '10.1.1.200'), lookup('c', 'fd00:1::7')];
  const bgp = bgpOf({ hostRoutes: true, networks: ['10.1.1.0/25', 'fd00:1::/64'] });
  t.strictSame(compile([...base, ...own, bgp]).bgp?.networks, [
    ...['10.1.1.0/25', '10.1.1.7/32', 'fd00:1::/64', 'fd00:1::7/128'],
  ]);
  const many = Array.from({ length: maxHostRoutes + 1 }, (_, at) =>
    lookup(`${at}`, `10.2.${at >> 8}.${at & 255}`),
  );
  const { bgp: plan, pending } = compile([
    ...base,
    subnet(5002, ['10.2.0.0/16']),
    ...many,
    bgpOf({ hostRoutes: true, networks: ['10.2.0.0/16'] }),
  ]);
  t.equal(plan?.networks.length, maxHostRoutes + 1);
  t.match(pending, [`BGP tells the first ${maxHostRoutes} of ${maxHostRoutes + 1} host routes`]);
});

t.test('peers and networks that cannot be yet wait', async (t) => {
  const unopened: Bgp = bgpPolicy({ peers: [{ ...core, password: null }] });
  const { bgp, pending } = compile([
    ...base,
    forwardingOf(onVlan()),
    put('bgp', CONTOSO, undefined, unopened),
  ]);
  t.strictSame(bgp?.peers, []);
  t.match(pending, [/^BGP peer core waits for its password: .* write it again\.$/]);

  const taken = { uplinkAddresses: new Map([['192.0.2.2', 'an address of this node']]) };
  const withheld = compile([...base, forwardingOf(untagged()), bgpOf({ peers: [core] })], taken);
  t.strictSame(withheld.bgp?.peers, []);
  t.match(withheld.pending, [/^Forwarding waits/, 'BGP peer core waits for forwarding.']);

  const only4 = [...tenant, gatewayOf('10.254.254.2')];
  const six = { networks: ['fd00:1::/64'], peers: [core] };
  const { bgp: four, pending: why } = compile([...only4, forwardingOf(onVlan()), bgpOf(six)]);
  t.strictSame(four?.networks, []);
  t.strictSame(why, ['BGP network fd00:1::/64 waits for an IPv6 address of the gateway.']);
});
