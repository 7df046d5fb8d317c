/** Each rule between resources broken in turn. */
import t, { type Test } from 'tap';
import type { ErrorCode } from '../../src/errors.ts';
import { normalize } from '../../src/policy/normalize.ts';
import { gatewayMac } from '../../src/policy/router.ts';
import { checkDelete, checkPut } from '../../src/policy/rules.ts';
import type { DesiredState } from '../../src/policy/state.ts';
import type { ResourceKey } from '../../src/store/store.ts';
import {
  CONTOSO,
  FABRIKAM,
  GATEWAY_MAC,
  type Put,
  put,
  record,
  refusalOf,
  stateOf,
  twoTenants,
} from './policy-state.ts';

const UNKNOWN = '33333333-3333-3333-3333-333333333333';

interface Refusal {
  name: string;
  put: Put;
  code: ErrorCode;
  rule: string;
  pointer?: string;
  /** What the message must show. */
  shown: string;
  /** Puts after those of `twoTenants`. */
  more?: Put[];
}

function check(state: DesiredState, { key, value }: Put): void {
  checkPut(state, key, normalize(key.kind, value));
}

const subnet = (vsid: number, addressPrefixes: string[], isGatewaySubnet = false) =>
  put('virtualSubnet', CONTOSO, String(vsid), { addressPrefixes, isGatewaySubnet });
const route = (virtualSubnetId: number, destinationPrefix: string, nextHop: string, metric = 0, id = 'new') =>
  put('customerRoute', CONTOSO, id, { virtualSubnetId, destinationPrefix, nextHop, metric });
const gateway = (virtualSubnetId: number, address: string, macAddress = GATEWAY_MAC) =>
  put('gateway', CONTOSO, undefined, { virtualSubnetId, customerAddresses: [address], macAddress });
const nat = (ipAddress: string, internalIpAddress = '10.1.1.4', rdid = CONTOSO) =>
  put('nat', rdid, undefined, {
    externalAddresses: [{ ipAddress }],
    staticMappings: [
      {
        protocol: 'tcp',
        externalIpAddress: ipAddress,
        externalPort: 80,
        internalIpAddress,
        internalPort: 80,
      },
    ],
  });
const newRecord = (overrides: Parameters<typeof record>[0]) =>
  put('lookupRecord', CONTOSO, 'new', record({ customerAddress: '10.1.1.77', ...overrides }));

const invalid = { code: 'HNV_INVALID_FIELD' } as const;
const conflict = { code: 'HNV_CONFLICT' } as const;
const inUse = { code: 'HNV_IN_USE' } as const;
const notFound = { code: 'HNV_NOT_FOUND', rule: 'exists', shown: UNKNOWN } as const;

const subnetInUse = { ...inUse, rule: 'virtual-subnet-in-use', pointer: '/addressPrefixes' } as const;
const inPrefix = { ...invalid, rule: 'address-in-subnet' } as const;
const ofHost = { ...invalid, rule: 'address-of-host' } as const;
const reserved = { ...invalid, rule: 'address-reserved' } as const;
const customerAddress = { pointer: '/customerAddress' } as const;
const nextHop = { pointer: '/nextHop' } as const;
const gatewayAddress = { pointer: '/customerAddresses/0' } as const;
const internal = { pointer: '/staticMappings/0/internalIpAddress' } as const;
const foreignVsid = {
  ...invalid,
  rule: 'vsid-of-domain',
  pointer: '/virtualSubnetId',
  shown: '6001',
} as const;

const refusals: Refusal[] = [
  // Names
  {
    name: 'a routing domain whose id is no GUID',
    put: put('routingDomain', 'contoso', undefined, { name: 'x' }),
    ...invalid,
    rule: 'rdid-guid',
    shown: 'contoso',
  },
  {
    name: 'a routing domain in upper case',
    put: put('routingDomain', 'AAAAAAAA-1111-1111-1111-111111111111', undefined, { name: 'x' }),
    ...invalid,
    rule: 'rdid-guid',
    shown: 'AAAAAAAA',
  },
  {
    name: 'a reserved VSID',
    put: subnet(4095, ['10.7.0.0/24']),
    ...invalid,
    rule: 'vsid-range',
    shown: '4095',
  },
  {
    name: 'the highest VSID, which is reserved',
    put: subnet(16777215, ['10.7.0.0/24']),
    ...invalid,
    rule: 'vsid-range',
    shown: '16777215',
  },
  {
    name: 'a VSID with a leading zero',
    put: put('virtualSubnet', CONTOSO, '05001', { addressPrefixes: ['10.7.0.0/24'] }),
    ...invalid,
    rule: 'vsid-range',
    shown: '05001',
  },
  {
    name: 'a record id with a slash',
    put: put('lookupRecord', CONTOSO, 'a/b', record({ customerAddress: '10.1.1.77' })),
    ...invalid,
    rule: 'resource-id',
    shown: 'a/b',
  },
  {
    name: 'a route id with a blank',
    put: route(5001, '172.17.0.0/16', '10.1.1.9', 0, 'a b'),
    ...invalid,
    rule: 'resource-id',
    shown: 'a b',
  },

  // Parents
  {
    name: 'a subnet of an unknown domain',
    put: put('virtualSubnet', UNKNOWN, '7001', { addressPrefixes: ['10.1.1.0/24'] }),
    ...notFound,
  },
  { name: 'a record of an unknown domain', put: put('lookupRecord', UNKNOWN, 'vm1', record()), ...notFound },
  {
    name: 'a route of an unknown domain',
    put: {
      ...route(5001, '172.17.0.0/16', '10.1.1.9'),
      key: { kind: 'customerRoute', rdid: UNKNOWN, id: 'r' },
    },
    ...notFound,
  },
  {
    name: 'a gateway of an unknown domain',
    put: { ...gateway(5099, '10.254.254.2'), key: { kind: 'gateway', rdid: UNKNOWN } },
    ...notFound,
  },
  { name: 'nat of an unknown domain', put: nat('203.0.113.30', '10.1.1.4', UNKNOWN), ...notFound },

  // Virtual subnets
  {
    name: 'a VSID of another domain',
    put: subnet(6001, ['10.7.0.0/24']),
    ...conflict,
    rule: 'vsid-unique',
    shown: '6001',
  },
  {
    name: 'a prefix around one of another subnet',
    put: subnet(5003, ['10.9.0.0/24', '10.1.0.0/16']),
    ...conflict,
    rule: 'prefix-overlap',
    pointer: '/addressPrefixes/1',
    shown: '10.1.0.0/16',
  },
  {
    name: 'a prefix inside one of another subnet',
    put: subnet(5003, ['10.1.4.64/26']),
    ...conflict,
    rule: 'prefix-overlap',
    pointer: '/addressPrefixes/0',
    shown: '10.1.4.64/26',
  },
  {
    name: 'a second gateway subnet',
    put: subnet(5003, ['10.9.0.0/24'], true),
    ...conflict,
    rule: 'one-gateway-subnet',
    pointer: '/isGatewaySubnet',
    shown: '5099',
  },
  {
    name: 'a prefix that leaves a record outside',
    put: subnet(5001, ['10.1.1.128/25']),
    ...subnetInUse,
    shown: 'lookup record vm1',
  },
  {
    name: 'a prefix whose network address is the address of a record',
    put: subnet(5001, ['10.1.1.4/30']),
    ...subnetInUse,
    shown: 'lookup record vm1',
  },
  {
    name: 'a prefix whose .1 is the address of a record',
    put: subnet(5003, ['10.3.3.4/30']),
    more: [subnet(5003, ['10.3.3.0/24']), newRecord({ virtualSubnetId: 5003, customerAddress: '10.3.3.5' })],
    ...subnetInUse,
    shown: 'lookup record new',
  },
  {
    name: 'a prefix that leaves the gateway outside',
    put: subnet(5099, ['10.254.0.0/29'], true),
    ...subnetInUse,
    shown: "the gateway's address 10.254.254.2",
  },
  {
    name: 'the gateway subnet no longer being it',
    put: subnet(5099, ['10.254.254.0/29'], false),
    ...inUse,
    rule: 'gateway-subnet-in-use',
    pointer: '/isGatewaySubnet',
    shown: 'false',
  },
  {
    name: 'a prefix that leaves an on-link route outside',
    put: subnet(5002, ['10.1.2.0/24']),
    ...subnetInUse,
    shown: 'customer route onlink',
  },
  {
    name: 'a prefix that leaves a next hop outside',
    put: subnet(5002, ['10.1.4.0/24']),
    ...subnetInUse,
    shown: 'customer route branch',
  },
  {
    name: 'a prefix that leaves a static mapping outside',
    put: subnet(5003, ['10.3.4.0/24']),
    more: [subnet(5003, ['10.3.3.0/24']), nat('203.0.113.10', '10.3.3.9')],
    ...subnetInUse,
    shown: 'internalIpAddress 10.3.3.9',
  },

  // Lookup records
  { name: 'a record in a VSID of another domain', put: newRecord({ virtualSubnetId: 6001 }), ...foreignVsid },
  {
    name: 'a record in a VSID of nobody',
    put: newRecord({ virtualSubnetId: 7777 }),
    ...foreignVsid,
    shown: '7777',
  },
  {
    name: 'a layer-2 record in a VSID of another domain',
    put: newRecord({ virtualSubnetId: 6001, type: 'l2only', customerAddress: '0.0.0.0' }),
    ...foreignVsid,
  },
  {
    name: 'a record outside its subnet',
    put: newRecord({ customerAddress: '10.1.2.4' }),
    ...inPrefix,
    ...customerAddress,
    shown: '10.1.2.4',
  },
  {
    name: 'a static record without address',
    put: newRecord({ customerAddress: '0.0.0.0' }),
    ...inPrefix,
    ...customerAddress,
    shown: '0.0.0.0',
  },
  {
    name: 'a record of the network address',
    put: newRecord({ customerAddress: '10.1.1.0' }),
    ...ofHost,
    ...customerAddress,
    shown: '10.1.1.0',
  },
  {
    name: 'a record of the broadcast address',
    put: newRecord({ customerAddress: '10.1.1.255' }),
    ...ofHost,
    ...customerAddress,
    shown: '10.1.1.255',
  },
  {
    name: 'a record of the .1',
    put: newRecord({ customerAddress: '10.1.1.1' }),
    ...reserved,
    ...customerAddress,
    shown: '10.1.1.1',
  },
  {
    name: 'a record of the .1 of a second prefix',
    put: newRecord({ virtualSubnetId: 5002, customerAddress: '10.1.4.1' }),
    ...reserved,
    ...customerAddress,
    shown: '10.1.4.1',
  },
  {
    name: 'a second record of an address',
    put: newRecord({ customerAddress: '10.1.1.4' }),
    ...conflict,
    rule: 'customer-address-unique',
    ...customerAddress,
    shown: '10.1.1.4',
  },
  {
    name: 'a second record of an address by learning',
    put: newRecord({ customerAddress: '10.1.1.4', type: 'dynamic' }),
    ...conflict,
    rule: 'customer-address-unique',
    ...customerAddress,
    shown: 'vm1',
  },
  {
    name: "the gateway's record with another MAC",
    put: put(
      'lookupRecord',
      CONTOSO,
      'gw',
      record({ customerAddress: '10.254.254.2', virtualSubnetId: 5099, macAddress: '02:00:00:00:00:01' }),
    ),
    ...conflict,
    rule: 'gateway-mac',
    pointer: '/macAddress',
    shown: '02:00:00:00:00:01',
  },

  // Customer routes
  {
    name: 'a route in a VSID of another domain',
    put: route(6001, '172.17.0.0/16', '10.1.1.9'),
    ...foreignVsid,
  },
  {
    name: 'an on-link route outside its subnet',
    put: route(5001, '10.1.2.0/24', '0.0.0.0'),
    ...invalid,
    rule: 'on-link-in-subnet',
    pointer: '/destinationPrefix',
    shown: '10.1.2.0/24',
  },
  {
    name: 'an on-link route wider than its subnet',
    put: route(5001, '10.1.0.0/16', '0.0.0.0'),
    ...invalid,
    rule: 'on-link-in-subnet',
    pointer: '/destinationPrefix',
    shown: '10.1.0.0/16',
  },
  {
    name: 'a next hop outside the subnet',
    put: route(5001, '172.17.0.0/16', '10.1.2.9'),
    ...inPrefix,
    ...nextHop,
    shown: '10.1.2.9',
  },
  {
    name: 'a next hop that is the .1',
    put: route(5001, '172.17.0.0/16', '10.1.1.1'),
    ...reserved,
    ...nextHop,
    shown: '10.1.1.1',
  },
  {
    name: 'a next hop that is the broadcast address',
    put: route(5001, '172.17.0.0/16', '10.1.1.255'),
    ...ofHost,
    ...nextHop,
    shown: '10.1.1.255',
  },
  {
    name: 'a destination and metric twice',
    put: route(5001, '172.16.0.0/16', '10.1.1.9'),
    ...conflict,
    rule: 'route-unique',
    pointer: '/destinationPrefix',
    shown: '172.16.0.0/16',
  },

  // Gateway
  { name: 'a gateway in a VSID of another domain', put: gateway(6001, '10.1.1.2'), ...foreignVsid },
  {
    name: 'a gateway in an ordinary subnet',
    put: gateway(5001, '10.1.1.2'),
    ...invalid,
    rule: 'gateway-subnet',
    pointer: '/virtualSubnetId',
    shown: '5001',
  },
  {
    name: 'a gateway outside its subnet',
    put: gateway(5099, '10.254.254.9'),
    ...inPrefix,
    ...gatewayAddress,
    shown: '10.254.254.9',
  },
  {
    name: 'a gateway at the .1',
    put: gateway(5099, '10.254.254.1'),
    ...reserved,
    ...gatewayAddress,
    shown: '10.254.254.1',
  },
  {
    name: 'a gateway at the network address',
    put: gateway(5099, '10.254.254.0'),
    ...ofHost,
    ...gatewayAddress,
    shown: '10.254.254.0',
  },
  {
    name: 'a gateway at the broadcast address',
    put: gateway(5099, '10.254.254.7'),
    ...ofHost,
    ...gatewayAddress,
    shown: '10.254.254.7',
  },
  {
    name: "a gateway whose address has another MAC's record",
    put: gateway(5099, '10.254.254.2', '02:00:00:00:00:01'),
    ...conflict,
    rule: 'gateway-mac',
    ...gatewayAddress,
    shown: '10.254.254.2',
  },

  // NAT
  {
    name: 'an external address of another domain',
    put: nat('203.0.113.20'),
    ...conflict,
    rule: 'external-address-owned',
    pointer: '/externalAddresses/0/ipAddress',
    shown: '203.0.113.20',
  },
  {
    name: 'an external address that is a provider address',
    put: nat('192.168.4.1'),
    ...conflict,
    rule: 'external-address-provider',
    pointer: '/externalAddresses/0/ipAddress',
    shown: '192.168.4.1',
  },
  {
    name: 'a mapping to no subnet',
    put: nat('203.0.113.10', '10.1.3.4'),
    ...inPrefix,
    ...internal,
    shown: '10.1.3.4',
  },
  {
    name: 'a mapping to a .1',
    put: nat('203.0.113.10', '10.1.4.1'),
    ...reserved,
    ...internal,
    shown: '10.1.4.1',
  },
  {
    name: 'a mapping to a broadcast address',
    put: nat('203.0.113.10', '10.1.4.255'),
    ...ofHost,
    ...internal,
    shown: '10.1.4.255',
  },

  // Provider addresses
  ...[
    '192.168.4.256',
    '0.0.0.0',
    '127.0.0.1',
    '224.0.0.1',
    '169.254.1.1',
    '255.255.255.255',
    '192.168.04.1',
  ].map(
    (address): Refusal => ({
      name: `${address} as provider address`,
      put: put('providerAddress', undefined, address, { interface: 'pa0', prefixLength: 24 }),
      ...invalid,
      rule: 'provider-address-unicast',
      shown: address,
    }),
  ),
  {
    name: 'an IPv6 provider address',
    put: put('providerAddress', undefined, '2001:db8::1', { interface: 'pa0', prefixLength: 64 }),
    ...invalid,
    rule: 'ipv6-not-supported',
    shown: '2001:db8::1',
  },
  {
    name: 'an IPv4 prefix length over 32',
    put: put('providerAddress', undefined, '192.168.4.2', { interface: 'pa0', prefixLength: 33 }),
    ...invalid,
    rule: 'prefix-length',
    pointer: '/prefixLength',
    shown: '33',
  },
  {
    name: 'a provider address that is external',
    put: put('providerAddress', undefined, '203.0.113.20', { interface: 'pa0', prefixLength: 24 }),
    ...conflict,
    rule: 'provider-address-external',
    shown: '203.0.113.20',
  },
];

for (const refusal of refusals) {
  t.test(`${refusal.name} is refused by ${refusal.rule}`, async (t) => {
    const state = stateOf([...twoTenants(), ...(refusal.more ?? [])]);
    expectRefusal(t, () => check(state, refusal.put), refusal);
  });
}

const deletions: { name: string; key: ResourceKey; shown: string; puts: Put[] }[] = [
  {
    name: 'the gateway',
    key: { kind: 'virtualSubnet', rdid: CONTOSO, id: '5099' },
    shown: 'the gateway',
    puts: [subnet(5099, ['10.254.254.0/29'], true), gateway(5099, '10.254.254.2')],
  },
  {
    name: 'a record',
    key: { kind: 'virtualSubnet', rdid: CONTOSO, id: '5001' },
    shown: 'lookup record new',
    puts: [subnet(5001, ['10.1.1.0/24']), newRecord({})],
  },
  {
    name: 'a layer-2 record',
    key: { kind: 'virtualSubnet', rdid: CONTOSO, id: '5001' },
    shown: 'lookup record new',
    puts: [subnet(5001, ['10.1.1.0/24']), newRecord({ type: 'l2only', customerAddress: '0.0.0.0' })],
  },
  {
    name: 'a route',
    key: { kind: 'virtualSubnet', rdid: CONTOSO, id: '5001' },
    shown: 'customer route new',
    puts: [subnet(5001, ['10.1.1.0/24']), route(5001, '172.16.0.0/16', '10.1.1.9')],
  },
  {
    name: 'a static mapping',
    key: { kind: 'virtualSubnet', rdid: CONTOSO, id: '5001' },
    shown: 'static mapping to 10.1.1.4',
    puts: [subnet(5001, ['10.1.1.0/24']), nat('203.0.113.10')],
  },
];
for (const { name, key, shown, puts } of deletions) {
  t.test(`deleting a virtual subnet that ${name} uses is refused`, async (t) => {
    expectRefusal(t, () => checkDelete(stateOf(puts), key), {
      ...inUse,
      rule: 'virtual-subnet-in-use',
      shown,
    });
    const [subnetOnly] = puts;
    if (subnetOnly !== undefined) t.doesNotThrow(() => checkDelete(stateOf([subnetOnly]), key));
  });
}

t.test('deleting what is not there is refused as not found', async (t) => {
  const state = stateOf([...twoTenants().filter(({ key }) => key.kind !== 'gateway' && key.kind !== 'nat')]);
  const keys: ResourceKey[] = [
    { kind: 'routingDomain', rdid: UNKNOWN },
    { kind: 'virtualSubnet', rdid: CONTOSO, id: '6001' },
    { kind: 'lookupRecord', rdid: CONTOSO, id: 'vm9' },
    { kind: 'customerRoute', rdid: FABRIKAM, id: 'default' },
    { kind: 'gateway', rdid: CONTOSO },
    { kind: 'nat', rdid: CONTOSO },
    { kind: 'gateway', rdid: UNKNOWN },
    { kind: 'providerAddress', id: '192.168.4.2' },
  ];
  for (const key of keys) {
    t.equal(refusalOf(() => checkDelete(state, key)).code, 'HNV_NOT_FOUND', JSON.stringify(key));
  }
});

t.test('everything that nothing depends on can be deleted, a domain with all that it owns', async (t) => {
  const state = stateOf(twoTenants());
  for (const { key } of twoTenants()) {
    if (key.kind !== 'virtualSubnet') t.doesNotThrow(() => checkDelete(state, key), JSON.stringify(key));
  }
});

t.test('two tenants with the same addresses are accepted, put by put and again', async (t) => {
  const puts = twoTenants();
  for (const [index, next] of puts.entries()) {
    const before = stateOf(puts.slice(0, index));
    t.doesNotThrow(() => check(before, next), JSON.stringify(next.key));
  }
  for (const again of puts) t.doesNotThrow(() => check(stateOf(puts), again), JSON.stringify(again.key));
});

t.test('changes that keep the rules are accepted', async (t) => {
  const state = stateOf(twoTenants());
  const accepted: Put[] = [
    subnet(5001, ['10.1.0.0/23']),
    subnet(5001, ['10.1.1.0/29', '10.77.0.0/24']),
    subnet(16777214, ['10.88.0.0/24']),
    route(5001, '172.16.0.0/16', '10.1.1.9', 1),
    route(5001, '172.16.0.0/16', '10.1.1.9', 0, 'branch'),
    newRecord({ type: 'l2only', customerAddress: '0.0.0.0' }),
    newRecord({ type: 'gatewayWildcard', customerAddress: '0.0.0.0' }),
    put('lookupRecord', CONTOSO, 'vm1', record({ providerAddress: '192.168.4.12' })),
    nat('203.0.113.11'),
    put('providerAddress', undefined, '10.1.1.4', { interface: 'pa0', prefixLength: 32 }),
  ];
  for (const change of accepted) t.doesNotThrow(() => check(state, change), JSON.stringify(change));
});

t.test(
  "a gateway without a MAC address of its own has the RDID's, which its record must carry",
  async (t) => {
    const withoutMac = put('gateway', CONTOSO, undefined, {
      virtualSubnetId: 5099,
      customerAddresses: ['10.254.254.2'],
    });
    const own = { customerAddress: '10.254.254.2', virtualSubnetId: 5099 };
    const subnetOnly = [subnet(5099, ['10.254.254.0/29'], true)];
    const other = stateOf([...subnetOnly, newRecord({ ...own, macAddress: GATEWAY_MAC })]);
    t.equal(refusalOf(() => check(other, withoutMac)).rule, 'gateway-mac');
    const record = newRecord({ ...own, macAddress: gatewayMac(CONTOSO) });
    t.doesNotThrow(() => check(stateOf([...subnetOnly, record]), withoutMac));
    t.doesNotThrow(() => check(stateOf([...subnetOnly, withoutMac]), record));
  },
);

t.test("no refusal tells of another tenant's name or RDID", async (t) => {
  const state = stateOf(twoTenants());
  for (const refusal of refusals) {
    if (refusal.more !== undefined) continue;
    const { message } = refusalOf(() => check(state, refusal.put));
    t.notMatch(message, /Fabrikam|2222/, refusal.name);
  }
});

t.test('a lookup record is checked in the same time in a domain of 50,000', async (t) => {
  const puts: Put[] = [subnet(5001, ['10.0.0.0/8'])];
  for (let index = 0; index < 50_000; index++) {
    const address = `10.${1 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;
    puts.push(put('lookupRecord', CONTOSO, `vm${index}`, record({ customerAddress: address })));
  }
  const state = stateOf(puts);
  const domain = state.domains.get(CONTOSO);
  let scans = 0;
  const lookupRecords = new Proxy(domain?.lookupRecords ?? new Map(), {
    get(target, property) {
      if (property !== 'get' && property !== 'has') scans++;
      const member: unknown = Reflect.get(target, property, target);
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
  if (domain === undefined) throw new Error('no domain');
  const watched = { ...state, domains: new Map([[CONTOSO, { ...domain, lookupRecords }]]) };
  t.doesNotThrow(() => check(watched, newRecord({ customerAddress: '10.9.9.9' })));
  const taken = newRecord({ customerAddress: '10.1.0.77' });
  t.equal(refusalOf(() => check(watched, taken)).rule, 'customer-address-unique');
  t.equal(scans, 0, 'never walks over the records');
});

function expectRefusal(
  t: Test,
  run: () => void,
  expected: { code: ErrorCode; rule: string; pointer?: string; shown: string },
): void {
  const error = refusalOf(run);
  t.equal(error.code, expected.code);
  t.equal(error.rule, expected.rule);
  t.equal(error.pointer, expected.pointer);
  t.ok(error.message.includes(expected.shown), error.message);
  if (expected.pointer !== undefined) t.ok(error.message.startsWith(`${expected.pointer.slice(1)}: `));
}
