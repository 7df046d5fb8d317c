/** Forwarding: its normal form, what it needs of its domain, what it leaves to others, and what these keep for it. */
import t from 'tap';
import { normalize } from '../../src/policy/normalize.ts';
import type { Forwarding, ResourceKind, ResourceTypes } from '../../src/policy/resources.ts';
import { checkDelete, checkPut, checkTenantPut } from '../../src/policy/rules.ts';
import { type ForwardingInput, onVlan, untagged } from '../lab/forwarding-policy.ts';
import { natPolicy } from '../lab/nat-policy.ts';
import { siteInput } from '../lab/site-policy.ts';
import { CONTOSO, type Put, put, refusalOf, stateOf } from './policy-state.ts';

t.test('a policy in its normal form is canonical, has its defaults, and stays as it is', async (t) => {
  const normal = onVlan({
    addresses: ['192.0.2.2/24', '2001:DB8:0:0::2/64', '198.51.100.1/31'],
    nextHops: ['2001:db8::0:1', '198.51.100.0'],
    destinationPrefixes: ['::/0', '157.0.0.0/8', '0.0.0.0/0', '2001:DB8:1::/48'],
    advertise: ['FD00:1::/64', '10.1.1.0/24', '10.1.1.0/25'],
  });
  t.strictSame(normal, {
    vlanId: 100,
    addresses: ['192.0.2.2/24', '2001:db8::2/64', '198.51.100.1/31'],
    nextHops: ['2001:db8::1', '198.51.100.0'],
    destinationPrefixes: ['::/0', '157.0.0.0/8', '0.0.0.0/0', '2001:db8:1::/48'],
    advertise: ['fd00:1::/64', '10.1.1.0/24', '10.1.1.0/25'],
  });
  t.strictSame(normalize('forwarding', normal), normal);
  t.strictSame(onVlan({ nextHops: [] }).nextHops, []);
});

const subnet2 = '192.0.2.0/24';
const malformed: [what: string, more: ForwardingInput, rule: string, pointer: string][] = [
  ['an address without length', { addresses: ['192.0.2.2'] }, 'forwarding-address', '/addresses/0'],
  ['no unicast address', { addresses: ['224.0.0.5/24'] }, 'address-unicast', '/addresses/0'],
  ['a subnet of one', { addresses: ['192.0.2.2/32'] }, 'prefix-length', '/addresses/0'],
  ['an IPv6 subnet of one', { addresses: ['2001:db8::2/128'] }, 'prefix-length', '/addresses/0'],
  ['too large a subnet', { addresses: ['20.0.0.1/7'] }, 'prefix-length', '/addresses/0'],
  ['the network address', { addresses: [subnet2] }, 'address-of-host', '/addresses/0'],
  ['the broadcast address', { addresses: ['192.0.2.255/24'] }, 'address-of-host', '/addresses/0'],
  ['the anycast address', { addresses: ['2001:db8::/64'] }, 'address-of-host', '/addresses/0'],
  [
    'two addresses of a subnet',
    { addresses: ['192.0.2.2/24', '192.0.2.130/25'] },
    'forwarding-subnet-overlap',
    '/addresses/1',
  ],
  ['a next hop elsewhere', { nextHops: ['192.0.3.1'] }, 'next-hop-in-subnet', '/nextHops/0'],
  ['a next hop that is none', { nextHops: ['192.0.2.256'] }, 'ip-address', '/nextHops/0'],
  ['a link-local next hop', { nextHops: ['fe80::1'] }, 'address-unicast', '/nextHops/0'],
  ['a broadcast as next hop', { nextHops: ['192.0.2.255'] }, 'address-of-host', '/nextHops/0'],
  ['itself as next hop', { nextHops: ['192.0.2.2'] }, 'next-hop-own', '/nextHops/0'],
  ['a next hop twice', { nextHops: ['192.0.2.1', '192.0.2.1'] }, 'next-hop-once', '/nextHops/1'],
  [
    'a destination without next hop',
    { destinationPrefixes: ['157.0.0.0/8', '2001:db8:1::/48'] },
    'destination-next-hop',
    '/destinationPrefixes/1',
  ],
  [
    'a destination on the network itself',
    { destinationPrefixes: ['192.0.2.128/25'] },
    'destination-on-link',
    '/destinationPrefixes/0',
  ],
  [
    'a destination twice',
    { destinationPrefixes: ['157.0.0.0/8', '157.0.0.0/8'] },
    'prefix-once',
    '/destinationPrefixes/1',
  ],
  [
    'a destination with host bits',
    { destinationPrefixes: ['157.0.0.1/8'] },
    'prefix-host-bits',
    '/destinationPrefixes/0',
  ],
  [
    'a multicast destination',
    { destinationPrefixes: ['224.0.0.0/8'] },
    'prefix-unicast',
    '/destinationPrefixes/0',
  ],
  ['a default route told', { advertise: ['0.0.0.0/0'] }, 'prefix-unicast', '/advertise/0'],
  ['a prefix told twice', { advertise: ['10.1.1.0/24', '10.1.1.0/24'] }, 'prefix-once', '/advertise/1'],
];
for (const [what, more, rule, pointer] of malformed) {
  t.test(`${what} is refused by ${rule}`, async (t) => {
    t.match(
      refusalOf(() => onVlan(more)),
      { code: 'HNV_INVALID_FIELD', rule, pointer },
    );
  });
}
t.test('without VLAN, prefixes that are routed are named', async (t) => {
  const { advertise: _, ...value } = untagged();
  t.match(
    refusalOf(() => normalize('forwarding', value)),
    { rule: 'forwarding-advertise-required', pointer: '/advertise' },
  );
  t.strictSame(untagged({ advertise: [] }).advertise, []);
});

const key = { kind: 'forwarding', rdid: CONTOSO } as const;
const subnet = (vsid: number, addressPrefixes: string[], rdid = CONTOSO) =>
  put('virtualSubnet', rdid, String(vsid), { addressPrefixes });
const route = (id: string, destinationPrefix: string, nextHop = '10.1.1.9') =>
  put('customerRoute', CONTOSO, id, { virtualSubnetId: 5001, destinationPrefix, nextHop, metric: 0 });
const site = put('siteConnection', CONTOSO, 'hq', siteInput({ subnets: [{ prefix: '172.30.0.0/16' }] }));
const natOf = (ipAddress: string, rdid = CONTOSO) =>
  put('nat', rdid, undefined, natPolicy({ externalAddresses: [{ ipAddress }] }));
const gateway = put('gateway', CONTOSO, undefined, {
  virtualSubnetId: 5099,
  customerAddresses: ['10.254.254.2'],
});
const tenant: Put[] = [
  subnet(5001, ['10.1.1.0/24', 'fd00:1::/64']),
  put('virtualSubnet', CONTOSO, '5099', { addressPrefixes: ['10.254.254.0/29'], isGatewaySubnet: true }),
  gateway,
];
const prefixed = put(
  'nat',
  CONTOSO,
  undefined,
  natPolicy({ externalPrefixes: [{ prefix: '2001:db8:5::/64', internalPrefix: 'fd00:1::/64' }] }),
);

/** With whose writing the same is refused, and at which field of it. */
type Other = [other: Put, pointer: string];
const atOdds: [
  what: string,
  others: Put[],
  more: ForwardingInput,
  rule: string,
  pointer: string,
  by?: Other,
][] = [
  [
    'a subnet over a virtual subnet',
    [],
    { addresses: ['10.1.1.2/24'], nextHops: [] },
    'forwarding-prefix-tenant',
    '/addresses/0',
  ],
  [
    'a subnet around a virtual subnet',
    [subnet(5002, ['192.0.2.64/26'])],
    {},
    'forwarding-prefix-tenant',
    '/addresses/0',
    [subnet(5002, ['192.0.2.64/26']), '/addressPrefixes'],
  ],
  [
    'a subnet that a customer route is to',
    [route('r', '192.0.2.0/25')],
    {},
    'forwarding-prefix-tenant',
    '/addresses/0',
    [route('r', '192.0.2.0/25'), '/destinationPrefix'],
  ],
  [
    'a subnet behind a tunnel',
    [site],
    { addresses: ['172.30.1.2/24'], nextHops: [] },
    'forwarding-prefix-site',
    '/addresses/0',
    [site, '/subnets'],
  ],
  [
    'an address of its own NAT',
    [natOf('192.0.2.2')],
    {},
    'forwarding-address-external',
    '/addresses/0',
    [natOf('192.0.2.2'), '/externalAddresses'],
  ],
  [
    'an address in an external prefix of its own',
    [prefixed],
    { addresses: ['2001:db8:5::2/64'], nextHops: [] },
    'forwarding-address-external',
    '/addresses/0',
    [prefixed, '/externalAddresses'],
  ],
  [
    'a destination in a virtual subnet',
    [],
    { destinationPrefixes: ['10.1.1.128/25'] },
    'forwarding-prefix-tenant',
    '/destinationPrefixes/0',
  ],
  [
    'a destination that a customer route has',
    [route('r', '10.9.0.0/16')],
    { destinationPrefixes: ['10.9.0.0/16'] },
    'forwarding-prefix-tenant',
    '/destinationPrefixes/0',
    [route('r', '10.9.0.0/16'), '/destinationPrefix'],
  ],
  [
    'a destination behind a tunnel',
    [site],
    { destinationPrefixes: ['172.30.0.0/16'] },
    'forwarding-prefix-site',
    '/destinationPrefixes/0',
    [site, '/subnets'],
  ],
  [
    'a prefix that is not the tenant’s',
    [],
    { advertise: ['10.1.1.0/25', '10.2.0.0/16'] },
    'forwarding-advertise-inside',
    '/advertise/1',
  ],
  [
    'a prefix around the tenant’s',
    [],
    { advertise: ['10.1.0.0/16'] },
    'forwarding-advertise-inside',
    '/advertise/0',
  ],
  [
    'a prefix that only a default route leads to',
    [route('r', '0.0.0.0/0')],
    { advertise: ['10.2.0.0/16'] },
    'forwarding-advertise-inside',
    '/advertise/0',
  ],
  [
    'a prefix of a route that leads back to the gateway',
    [route('r', '10.2.0.0/16', '10.254.254.2')],
    { advertise: ['10.2.0.0/16'] },
    'forwarding-advertise-inside',
    '/advertise/0',
  ],
  ['an interface that is not given', [], { uplink: 'eth9' }, 'forwarding-uplink', '/uplink'],
];
for (const [what, others, more, rule, pointer, by] of atOdds) {
  t.test(`${what} is refused by ${rule}, whichever is written last`, async (t) => {
    const value = onVlan(more);
    const refusal = refusalOf(() => checkPut(stateOf([...tenant, ...others]), key, value));
    t.match(refusal, { rule, pointer });
    if (by === undefined) return;
    const [other, field] = by;
    const state = stateOf([...tenant, natOf('203.0.113.77'), put('forwarding', CONTOSO, undefined, value)]);
    const reverse = refusalOf(() => write(state, other));
    t.match(reverse, { code: 'HNV_IN_USE', rule: 'routing-in-use', pointer: field });
    t.match(reverse.message, /does not go with forwarding of this routing domain: .*[^.]\.$/);
  });
}

function write<K extends ResourceKind>(state: ReturnType<typeof stateOf>, { key, value }: Put<K>): void {
  checkPut(state, key, normalize(key.kind, value as ResourceTypes[K]));
}

const fitting: [what: string, others: Put[], value: Forwarding][] = [
  [
    'destinations around what is the tenant’s',
    [],
    onVlan({ destinationPrefixes: ['10.0.0.0/8', '0.0.0.0/0'] }),
  ],
  ['a destination around a site’s prefix', [site], onVlan({ destinationPrefixes: ['172.16.0.0/12'] })],
  ['a prefix behind a customer route', [route('r', '10.2.0.0/16')], onVlan({ advertise: ['10.2.3.0/24'] })],
  ['the gateway subnet', [], onVlan({ advertise: ['10.254.254.0/29'] })],
  ['the second interface', [], onVlan({ uplink: 'eth1' })],
  ['NAT beside it', [natOf('192.0.2.3')], untagged()],
];
for (const [what, others, value] of fitting)
  t.test(`${what} is fine`, async () => checkPut(stateOf([...tenant, ...others]), key, value));

t.test('what a prefix is within stays, unless something else has it', async (t) => {
  const advertised = put('forwarding', CONTOSO, undefined, onVlan({ advertise: ['10.2.3.0/24'] }));
  const needed: [Put, Put, string][] = [
    [subnet(5002, ['10.2.0.0/16']), subnet(5002, ['10.3.0.0/16']), 'Virtual subnet 5002'],
    [route('r', '10.2.0.0/16'), route('r', '10.3.0.0/16'), 'Customer route r'],
  ];
  for (const [own, changed, what] of needed) {
    const state = stateOf([...tenant, own, advertised]);
    t.match(
      refusalOf(() => write(state, changed)),
      { code: 'HNV_IN_USE', rule: 'routing-in-use' },
    );
    const refusal = refusalOf(() => checkDelete(state, own.key));
    t.match(refusal, { code: 'HNV_IN_USE', rule: 'routing-in-use' });
    t.match(refusal.message, `${what} is used by forwarding (advertise/0: 10.2.3.0/24 must be within`);
    checkDelete(stateOf([...tenant, own, route('other', '10.2.3.0/24'), advertised]), own.key);
    checkDelete(stateOf([...tenant, own, put('forwarding', CONTOSO, undefined, onVlan())]), own.key);
  }
  const back = put('gateway', CONTOSO, undefined, {
    virtualSubnetId: 5099,
    customerAddresses: ['10.254.254.3'],
  });
  const behind = put('customerRoute', CONTOSO, 'r', {
    ...{ virtualSubnetId: 5099, destinationPrefix: '10.2.0.0/16', nextHop: '10.254.254.3', metric: 0 },
  });
  const refusal = refusalOf(() => write(stateOf([...tenant, behind, advertised]), back));
  t.match(refusal, { rule: 'routing-in-use', pointer: '/customerAddresses' });
});

t.test('a tenant keeps its forwarding as it is, or drops it', async (t) => {
  const state = stateOf([...tenant, put('forwarding', CONTOSO, undefined, onVlan())]);
  checkTenantPut(state, key, onVlan());
  checkDelete(state, key);
  const changes: [Forwarding, string][] = [
    [onVlan({ vlanId: 101 }), '/vlanId'],
    [onVlan({ advertise: ['10.1.1.0/24'] }), '/advertise'],
    [{ addresses: ['192.0.2.2/24'], nextHops: ['192.0.2.1'] }, '/vlanId'],
  ];
  for (const [value, pointer] of changes)
    t.match(
      refusalOf(() => checkTenantPut(state, key, value)),
      { rule: 'forwarding-given', pointer },
    );
  t.match(
    refusalOf(() => checkTenantPut(stateOf(tenant), key, onVlan())),
    { rule: 'forwarding-given' },
  );
  t.match(
    refusalOf(() => checkDelete(stateOf(tenant), key)),
    { code: 'HNV_NOT_FOUND' },
  );
});
