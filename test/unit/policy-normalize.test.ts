/** Canonical form, defaults, and each rule that one resource breaks by itself. */
import t from 'tap';
import { normalize } from '../../src/policy/normalize.ts';
import type {
  ExternalAddress,
  LookupRecord,
  Nat,
  ResourceKind,
  ResourceTypes,
  StaticMapping,
  VmPort,
} from '../../src/policy/resources.ts';
import { natPolicy } from '../lab/nat-policy.ts';
import { record, refusalOf } from './policy-state.ts';

const mapping = (overrides: Partial<StaticMapping> = {}): StaticMapping => ({
  protocol: 'tcp',
  externalIpAddress: '203.0.113.10',
  externalPort: 80,
  internalIpAddress: '10.1.1.4',
  internalPort: 8080,
  ...overrides,
});
const nat = (
  staticMappings: StaticMapping[],
  externalAddresses: ExternalAddress[] = [{ ipAddress: '203.0.113.10' }],
): Nat => ({
  ...natPolicy({ externalAddresses: [{ ipAddress: '203.0.113.10' }] }),
  externalAddresses,
  staticMappings,
});
const route = (overrides: Partial<ResourceTypes['customerRoute']> = {}) => ({
  virtualSubnetId: 5001,
  destinationPrefix: '172.16.0.0/16',
  nextHop: '10.1.1.9',
  metric: 0,
  ...overrides,
});
const gateway = (customerAddresses: string[], macAddress?: string) => ({
  virtualSubnetId: 5099,
  customerAddresses,
  ...(macAddress !== undefined && { macAddress }),
});

const providerRoute = (overrides: Partial<ResourceTypes['providerRoute']> = {}) => ({
  interface: 'pa0',
  destinationPrefix: '198.51.100.0/24',
  nextHop: '192.168.4.254',
  metric: 0,
  ...overrides,
});
const port = ({ macAddress, ...overrides }: PortOverrides = {}): VmPort => ({
  virtualSubnetId: 5001,
  customerAddresses: ['10.1.1.9'],
  ...(macAddress !== undefined && { macAddress }),
  ...overrides,
});
type PortOverrides = Partial<Omit<VmPort, 'macAddress'>> & { macAddress?: string | undefined };

/** rule, kind, value, pointer, what the message must show. */
type Case = { [K in ResourceKind]: [string, K, ResourceTypes[K], string, string] }[ResourceKind];

const cases: Case[] = [
  [
    'ip-prefix',
    'virtualSubnet',
    { addressPrefixes: ['10.1.1.0/24', '10.2/16'] },
    '/addressPrefixes/1',
    '10.2/16',
  ],
  [
    'prefix-host-bits',
    'virtualSubnet',
    { addressPrefixes: ['10.1.1.1/24'] },
    '/addressPrefixes/0',
    '10.1.1.1/24',
  ],
  [
    'prefix-host-bits',
    'virtualSubnet',
    { addressPrefixes: ['2001:db8::1/64'] },
    '/addressPrefixes/0',
    '2001:db8::1/64',
  ],
  ...(
    [
      ['prefix-length', '2000::/15'],
      ['prefix-length', '2001:db8::/127'],
      ['prefix-unicast', '::/64'],
      ['prefix-unicast', 'fe80::/64'],
      ['prefix-unicast', 'ff18::/64'],
      ['ip-prefix', '::ffff:10.0.0.0/120'],
      ['ip-prefix', '2001:db8::/129'],
    ] as const
  ).map(
    ([rule, prefix]): Case => [
      rule,
      'virtualSubnet',
      { addressPrefixes: ['10.1.1.0/24', prefix] },
      '/addressPrefixes/1',
      prefix,
    ],
  ),
  [
    'prefix-overlap',
    'virtualSubnet',
    { addressPrefixes: ['2001:db8::/64', '2001:db8::/56'] },
    '/addressPrefixes/1',
    '2001:db8::/56',
  ],
  ...(
    [
      ['ip-address', 'all'],
      ['address-multicast', '192.168.4.9'],
      ['address-multicast', '224.0.0.9'],
      ['address-multicast', '255.255.255.255'],
      ['address-multicast', '2001:db8::9'],
      ['address-multicast', 'ff02::9'],
      ['address-multicast', 'ff12::9'],
      ['address-multicast', 'ff01::9'],
    ] as const
  ).map(
    ([rule, providerMulticastAddress]): Case => [
      rule,
      'virtualSubnet',
      { addressPrefixes: ['10.1.1.0/24'], providerMulticastAddress },
      '/providerMulticastAddress',
      providerMulticastAddress,
    ],
  ),
  ['prefix-length', 'virtualSubnet', { addressPrefixes: ['10.0.0.0/7'] }, '/addressPrefixes/0', '10.0.0.0/7'],
  [
    'prefix-length',
    'virtualSubnet',
    { addressPrefixes: ['10.0.0.0/31'] },
    '/addressPrefixes/0',
    '10.0.0.0/31',
  ],
  ['prefix-unicast', 'virtualSubnet', { addressPrefixes: ['0.0.0.0/8'] }, '/addressPrefixes/0', '0.0.0.0/8'],
  [
    'prefix-unicast',
    'virtualSubnet',
    { addressPrefixes: ['127.1.0.0/16'] },
    '/addressPrefixes/0',
    '127.1.0.0/16',
  ],
  [
    'prefix-unicast',
    'virtualSubnet',
    { addressPrefixes: ['169.0.0.0/8'] },
    '/addressPrefixes/0',
    '169.254.0.0/16',
  ],
  [
    'prefix-unicast',
    'virtualSubnet',
    { addressPrefixes: ['239.0.0.0/24'] },
    '/addressPrefixes/0',
    '239.0.0.0/24',
  ],
  [
    'prefix-unicast',
    'virtualSubnet',
    { addressPrefixes: ['250.0.0.0/24'] },
    '/addressPrefixes/0',
    '250.0.0.0/24',
  ],
  [
    'prefix-overlap',
    'virtualSubnet',
    { addressPrefixes: ['10.1.1.0/24', '10.1.0.0/16'] },
    '/addressPrefixes/1',
    '10.1.0.0/16',
  ],

  ['ip-address', 'lookupRecord', record({ customerAddress: '10.1.1' }), '/customerAddress', '10.1.1 '],
  [
    'ip-address',
    'lookupRecord',
    record({ customerAddress: '::ffff:10.1.1.4' }),
    '/customerAddress',
    '::ffff:10.1.1.4',
  ],
  [
    'address-unspecified',
    'lookupRecord',
    record({ type: 'l2only', customerAddress: '2001:db8::4' }),
    '/customerAddress',
    '2001:db8::4',
  ],
  ['address-unspecified', 'lookupRecord', record({ type: 'l2only' }), '/customerAddress', '10.1.1.4'],
  [
    'address-unspecified',
    'lookupRecord',
    record({ type: 'gatewayWildcard' }),
    '/customerAddress',
    '10.1.1.4',
  ],
  ['mac-address', 'lookupRecord', record({ macAddress: '00155d000004' }), '/macAddress', '00155d000004'],
  [
    'mac-unicast',
    'lookupRecord',
    record({ macAddress: '01:00:5e:00:00:01' }),
    '/macAddress',
    '01:00:5e:00:00:01',
  ],
  [
    'mac-unicast',
    'lookupRecord',
    record({ macAddress: '00-00-00-00-00-00' }),
    '/macAddress',
    '00-00-00-00-00-00',
  ],
  [
    'mac-reserved',
    'lookupRecord',
    record({ macAddress: '02-48-4E-56-00-01' }),
    '/macAddress',
    '02-48-4E-56-00-01',
  ],
  [
    'ip-address',
    'lookupRecord',
    record({ providerAddress: '0300.168.4.11' }),
    '/providerAddress',
    '0300.168.4.11',
  ],
  ...[
    ...['0.0.0.0', '127.0.0.1', '169.254.4.11', '224.0.0.11', '255.255.255.255'],
    ...['::', '::1', 'fe80::11', 'ff18::11'],
  ].map(
    (providerAddress): Case => [
      'address-unicast',
      'lookupRecord',
      record({ providerAddress }),
      '/providerAddress',
      providerAddress,
    ],
  ),

  ['ip-prefix', 'customerRoute', route({ destinationPrefix: 'default' }), '/destinationPrefix', 'default'],
  [
    'prefix-host-bits',
    'customerRoute',
    route({ destinationPrefix: '172.16.1.0/16' }),
    '/destinationPrefix',
    '172.16.1.0/16',
  ],
  ['route-family', 'customerRoute', route({ destinationPrefix: '::/0' }), '/nextHop', '10.1.1.9'],
  ['ip-address', 'customerRoute', route({ nextHop: 'on-link' }), '/nextHop', 'on-link'],
  ['route-family', 'customerRoute', route({ nextHop: '::' }), '/nextHop', '::'],

  ['ip-address', 'gateway', gateway(['10.254.254']), '/customerAddresses/0', '10.254.254 '],
  [
    'one-address-per-family',
    'gateway',
    gateway(['2001:db8::2', '2001:db8::3']),
    '/customerAddresses/1',
    '2001:db8::3',
  ],
  [
    'one-address-per-family',
    'gateway',
    gateway(['10.254.254.2', '10.254.254.3']),
    '/customerAddresses/1',
    '10.254.254.3',
  ],
  ['address-unicast', 'gateway', gateway(['0.0.0.0']), '/customerAddresses/0', '0.0.0.0'],
  [
    'mac-unicast',
    'gateway',
    gateway(['10.254.254.2'], 'ff:ff:ff:ff:ff:ff'),
    '/macAddress',
    'ff:ff:ff:ff:ff:ff',
  ],
  [
    'mac-reserved',
    'gateway',
    gateway(['10.254.254.2'], '02:48:4e:56:00:01'),
    '/macAddress',
    '02:48:4e:56:00:01',
  ],

  [
    'ip-address',
    'nat',
    nat([], [{ ipAddress: '203.0.113.300' }]),
    '/externalAddresses/0/ipAddress',
    '203.0.113.300',
  ],
  [
    'external-address-once',
    'nat',
    nat([], [{ ipAddress: '2001:db8::1' }, { ipAddress: '2001:DB8:0::1' }]),
    '/externalAddresses/1/ipAddress',
    '2001:db8::1',
  ],
  ...[
    ...['0.0.0.0', '127.0.0.1', '169.254.1.1', '224.0.0.1', '255.255.255.255'],
    ...['::', '::1', 'fe80::1', 'ff0e::1'],
  ].map(
    (ipAddress): Case => [
      'address-unicast',
      'nat',
      nat([], [{ ipAddress }]),
      '/externalAddresses/0/ipAddress',
      ipAddress,
    ],
  ),
  [
    'external-address-once',
    'nat',
    nat([], [{ ipAddress: '203.0.113.10' }, { ipAddress: '203.0.113.10' }]),
    '/externalAddresses/1/ipAddress',
    '203.0.113.10',
  ],
  [
    'port-range-both',
    'nat',
    nat([], [{ ipAddress: '203.0.113.10', portStart: 1024 }]),
    '/externalAddresses/0/portStart',
    '1024',
  ],
  [
    'port-range-both',
    'nat',
    nat([], [{ ipAddress: '203.0.113.10', portEnd: 2047 }]),
    '/externalAddresses/0/portEnd',
    '2047',
  ],
  [
    'port-range-order',
    'nat',
    nat([], [{ ipAddress: '203.0.113.10', portStart: 2048, portEnd: 2047 }]),
    '/externalAddresses/0/portEnd',
    '2047',
  ],
  [
    'mapping-external-address',
    'nat',
    nat([mapping({ externalIpAddress: '203.0.113.11' })]),
    '/staticMappings/0/externalIpAddress',
    '203.0.113.11',
  ],
  [
    'ip-address',
    'nat',
    nat([mapping({ internalIpAddress: 'vm1' })]),
    '/staticMappings/0/internalIpAddress',
    'vm1',
  ],
  [
    'mapping-family',
    'nat',
    nat([mapping({ internalIpAddress: '2001:db8::4' })]),
    '/staticMappings/0/internalIpAddress',
    '2001:db8::4',
  ],
  [
    'mapping-family',
    'nat',
    nat([mapping({ remoteExternalIpAddressPrefix: '2001:db8::/32' })]),
    '/staticMappings/0/remoteExternalIpAddressPrefix',
    '2001:db8::/32',
  ],
  [
    'mapping-family',
    'nat',
    nat(
      [mapping({ externalIpAddress: '2001:db8:f::1', internalIpAddress: '10.1.1.4' })],
      [{ ipAddress: '2001:db8:f::1' }],
    ),
    '/staticMappings/0/internalIpAddress',
    '10.1.1.4',
  ],
  [
    'mapping-unique',
    'nat',
    nat(
      [
        mapping({ externalIpAddress: '2001:db8:f::1', internalIpAddress: '2001:db8::4' }),
        mapping({
          externalIpAddress: '2001:db8:f::1',
          internalIpAddress: '2001:db8::5',
          remoteExternalIpAddressPrefix: '2001:db8:e::/48',
        }),
      ],
      [{ ipAddress: '2001:db8:f::1' }],
    ),
    '/staticMappings/1/externalPort',
    '2001:db8:e::/48',
  ],
  [
    'address-unicast',
    'nat',
    nat([mapping({ internalIpAddress: '127.0.0.1' })]),
    '/staticMappings/0/internalIpAddress',
    '127.0.0.1',
  ],
  [
    'prefix-host-bits',
    'nat',
    nat([mapping({ remoteExternalIpAddressPrefix: '198.51.100.1/24' })]),
    '/staticMappings/0/remoteExternalIpAddressPrefix',
    '198.51.100.1/24',
  ],
  [
    'mapping-unique',
    'nat',
    nat([mapping(), mapping({ internalPort: 81 })]),
    '/staticMappings/1/externalPort',
    '80',
  ],
  [
    'mapping-unique',
    'nat',
    nat([mapping(), mapping({ remoteExternalIpAddressPrefix: '198.51.100.0/24' })]),
    '/staticMappings/1/externalPort',
    '198.51.100.0/24',
  ],
  [
    'mapping-unique',
    'nat',
    nat([
      mapping({ remoteExternalIpAddressPrefix: '198.51.100.128/25' }),
      mapping({ remoteExternalIpAddressPrefix: '192.0.2.0/24' }),
      mapping({ remoteExternalIpAddressPrefix: '198.51.0.0/16' }),
    ]),
    '/staticMappings/2/externalPort',
    '198.51.100.128/25',
  ],

  ...(
    [
      ['mac-unicast', '03:00:00:00:00:01'],
      ['mac-reserved', '02:48:4e:56:00:01'],
    ] as const
  ).map(
    ([rule, macAddress]): Case => [
      rule,
      'providerAddress',
      { interface: 'pa0', prefixLength: 24, macAddress },
      '/macAddress',
      macAddress,
    ],
  ),

  ['ip-prefix', 'providerRoute', providerRoute({ destinationPrefix: 'all' }), '/destinationPrefix', 'all'],
  ['address-unicast', 'providerRoute', providerRoute({ nextHop: '0.0.0.0' }), '/nextHop', '0.0.0.0'],
  ['address-unicast', 'providerRoute', providerRoute({ nextHop: 'fe80::1' }), '/nextHop', 'fe80::1'],
  ['route-family', 'providerRoute', providerRoute({ nextHop: '2001:db8::1' }), '/nextHop', '2001:db8::1'],

  ['port-mac', 'port', port({ macAddress: undefined }), '/macAddress', 'virtualSubnetId 5001'],
  ['mac-unicast', 'port', port({ macAddress: '01:00:5e:00:00:01' }), '/macAddress', '01:00:5e:00:00:01'],
  ['mac-reserved', 'port', port({ macAddress: '02:48:4e:56:00:01' }), '/macAddress', '02:48:4e:56:00:01'],
  ['ip-address', 'port', port({ customerAddresses: ['vm'] }), '/customerAddresses/0', 'vm'],
  ['address-unicast', 'port', port({ customerAddresses: ['10.1.1.9', '::'] }), '/customerAddresses/1', '::'],
  [
    'customer-address-once',
    'port',
    port({ customerAddresses: ['2001:db8::9', '10.1.1.9', '2001:DB8::9'] }),
    '/customerAddresses/2',
    '2001:db8::9',
  ],
  [
    'port-outside',
    'port',
    { macAddress: '02:00:00:00:00:01', customerAddresses: [] },
    '/macAddress',
    '02:00:00:00:00:01',
  ],
  ['port-outside', 'port', { customerAddresses: ['10.1.1.9'] }, '/customerAddresses', '10.1.1.9'],
  ['port-outside', 'port', { customerAddresses: [], learn: true }, '/learn', 'true'],
];

for (const [rule, kind, value, pointer, shown] of cases) {
  t.test(`${kind} with ${shown.trim()} at ${pointer} is refused by ${rule}`, async (t) => {
    const error = refusalOf(() => normalize(kind, value));
    t.equal(error.code, 'HNV_INVALID_FIELD');
    t.equal(error.pointer, pointer);
    t.equal(error.rule, rule);
    t.match(error.message, pointer.slice(1), 'names the field');
    t.ok(error.message.includes(shown), error.message);
  });
}

t.test('addresses and MACs come out canonical, with the rest as it was', async (t) => {
  t.strictSame(normalize('lookupRecord', record({ macAddress: '00-15-5D-00-00-AA', vmName: 'web' })), {
    customerAddress: '10.1.1.4',
    virtualSubnetId: 5001,
    macAddress: '00:15:5d:00:00:aa',
    providerAddress: '192.168.4.11',
    type: 'static',
    vmName: 'web',
  });
  t.strictSame(
    normalize('gateway', gateway(['10.254.254.2'], '02-00-00-00-00-FE')),
    gateway(['10.254.254.2'], '02:00:00:00:00:fe'),
  );
  t.strictSame(normalize('gateway', gateway(['10.254.254.2'])), gateway(['10.254.254.2']));
});

t.test('IPv6 comes out as RFC 5952 writes it, wherever it stands', async (t) => {
  t.match(
    normalize('virtualSubnet', {
      addressPrefixes: ['2001:DB8:0:1::/64', '10.1.1.0/24'],
      providerMulticastAddress: 'FF05:0::8',
    }),
    { addressPrefixes: ['2001:db8:0:1::/64', '10.1.1.0/24'], providerMulticastAddress: 'ff05::8' },
  );
  t.match(
    normalize('lookupRecord', record({ customerAddress: '2001:DB8::4', providerAddress: '2001:DB8:4::B' })),
    {
      customerAddress: '2001:db8::4',
      providerAddress: '2001:db8:4::b',
    },
  );
  t.match(
    normalize('lookupRecord', record({ customerAddress: '2001:DB8::4' })),
    { customerAddress: '2001:db8::4', providerAddress: '192.168.4.11' },
    'the families are independent',
  );
  t.match(normalize('lookupRecord', record({ customerAddress: '0::0', type: 'l2only' })), {
    customerAddress: '::',
  });
  t.match(normalize('customerRoute', route({ destinationPrefix: '::/0', nextHop: '2001:DB8::2' })), {
    nextHop: '2001:db8::2',
  });
  t.match(normalize('customerRoute', route({ destinationPrefix: '2001:DB8::/32', nextHop: '0:0::' })), {
    destinationPrefix: '2001:db8::/32',
    nextHop: '::',
  });
  t.strictSame(normalize('gateway', gateway(['2001:DB8::2', '10.254.254.2'])).customerAddresses, [
    '2001:db8::2',
    '10.254.254.2',
  ]);
  t.match(
    normalize(
      'nat',
      nat(
        [
          mapping({
            externalIpAddress: '2001:DB8:F::1',
            internalIpAddress: '2001:DB8::4',
            remoteExternalIpAddressPrefix: '2001:DB8:E::/48',
          }),
        ],
        [{ ipAddress: '203.0.113.10' }, { ipAddress: '2001:DB8:F::1' }],
      ),
    ),
    {
      externalAddresses: [{}, { ipAddress: '2001:db8:f::1' }],
      staticMappings: [
        {
          externalIpAddress: '2001:db8:f::1',
          internalIpAddress: '2001:db8::4',
          remoteExternalIpAddressPrefix: '2001:db8:e::/48',
        },
      ],
    },
  );
  t.strictSame(
    normalize('port', port({ macAddress: '02-00-00-00-00-0A', customerAddresses: ['2001:DB8::9'] })),
    {
      virtualSubnetId: 5001,
      macAddress: '02:00:00:00:00:0a',
      customerAddresses: ['2001:db8::9'],
      learn: false,
    },
  );
});

t.test('defaults are filled in', async (t) => {
  t.strictSame(normalize('port', {} as VmPort), { customerAddresses: [], learn: false });
  const { metric: ____, ...onInterface } = providerRoute();
  t.equal(normalize('providerRoute', onInterface as ResourceTypes['providerRoute']).metric, 0);
  const { type: _, ...withoutType } = record();
  t.equal(normalize('lookupRecord', withoutType as LookupRecord).type, 'static');
  t.equal(normalize('virtualSubnet', { addressPrefixes: ['10.1.1.0/24'] }).isGatewaySubnet, false);
  const { metric: __, ...withoutMetric } = route();
  t.equal(normalize('customerRoute', withoutMetric as ResourceTypes['customerRoute']).metric, 0);
  const { staticMappings: ___, ...withoutMappings } = nat([]);
  t.strictSame(normalize('nat', withoutMappings as Nat).staticMappings, []);
});

t.test('the argument is left alone and normalizing twice changes nothing', async (t) => {
  const value = Object.freeze(record({ macAddress: '00-15-5D-00-00-04' }));
  const once = normalize('lookupRecord', value);
  t.equal(value.macAddress, '00-15-5D-00-00-04');
  t.strictSame(normalize('lookupRecord', once), once);
});

t.test('values at the edge of a rule are accepted', async (t) => {
  t.doesNotThrow(() => normalize('virtualSubnet', { addressPrefixes: ['2001::/16', '2002:0:0:1::/126'] }));
  for (const providerMulticastAddress of ['224.0.1.0', '239.255.255.255', 'ff03::1', 'ff0e::1', 'ff18::1']) {
    t.doesNotThrow(() =>
      normalize('virtualSubnet', { addressPrefixes: ['10.0.0.0/8'], providerMulticastAddress }),
    );
  }
  t.doesNotThrow(() => normalize('virtualSubnet', { addressPrefixes: ['10.0.0.0/8', '11.0.0.0/30'] }));
  t.doesNotThrow(() => normalize('lookupRecord', record({ type: 'l2only', customerAddress: '0.0.0.0' })));
  t.doesNotThrow(() => normalize('lookupRecord', record({ type: 'dynamic' })));
  t.doesNotThrow(() => normalize('customerRoute', route({ destinationPrefix: '0.0.0.0/0' })));
  t.doesNotThrow(() =>
    normalize(
      'nat',
      nat(
        [
          mapping({ remoteExternalIpAddressPrefix: '198.51.100.0/25' }),
          mapping({ remoteExternalIpAddressPrefix: '198.51.100.128/25' }),
          mapping({ protocol: 'udp' }),
          mapping({ externalPort: 81 }),
          mapping({ externalIpAddress: '10.9.9.9' }),
        ],
        [{ ipAddress: '203.0.113.10', portStart: 80, portEnd: 81 }, { ipAddress: '10.9.9.9' }],
      ),
    ),
  );
});
