/**
 * Random resources out of small universes of RDIDs, VSIDs and addresses, so that they meet, collide and refer to each
 * other all the time. Most fit together; the rest breaks some rule.
 */
import fc from 'fast-check';

type Arb = fc.Arbitrary<unknown>;

/** A domain's name with what its resources mostly have: its VMs' VSID, the one of its gateway subnet. */
const DOMAINS = [
  { rdid: '11111111-1111-4111-8111-111111111111', vsid: 5001, gatewayVsid: 5002 },
  { rdid: '22222222-2222-4222-8222-222222222222', vsid: 5003, gatewayVsid: 5004 },
  { rdid: '33333333-3333-4333-8333-333333333333', vsid: 5005, gatewayVsid: 5006 },
] as const;
type Domain = (typeof DOMAINS)[number];

/** Provider NICs of a node: one that is always there, and one that comes and goes. */
export const PROVIDER_NICS = ['pa0', 'pa1'] as const;
/** Addresses that the NICs have, as ip writes them. */
export const NIC_ADDRESSES = {
  pa0: ['192.168.1.20/24', '2001:db8:1::20/64'],
  pa1: ['192.168.2.20/24'],
} as const;
/** Interfaces of VMs on a host; they come and go. */
export const VM_INTERFACES = ['vm1', 'vm2', 'vm3'] as const;

/** Weighted choice: the first value as often as all the others together. */
function mostly<T>(usual: T, ...others: T[]): fc.Arbitrary<T> {
  return fc.oneof(
    { weight: others.length * 2, arbitrary: fc.constant(usual) },
    { weight: others.length, arbitrary: fc.constantFrom(...others) },
  );
}

/** One of the first, and one time in ten one of the others, which break a rule. */
function usually<T>(good: readonly T[], bad: readonly T[]): fc.Arbitrary<T> {
  return fc.oneof(
    { weight: 9, arbitrary: fc.constantFrom(...good) },
    { weight: 1, arbitrary: fc.constantFrom(...bad) },
  );
}

/** Leaves a field out in one of two cases. */
const sometimes = (arb: Arb): Arb => fc.option(arb, { nil: undefined });
const rarely = (arb: Arb): Arb => fc.option(arb, { nil: undefined, freq: 1 });

/** Without fields that are undefined, as JSON would write it. */
function body(fields: Record<string, Arb>): Arb {
  return fc.record(fields).map((value) => JSON.parse(JSON.stringify(value)));
}

const MACS = ['02:00:00:00:00:01', '02-00-00-00-00-02', '02:00:00:00:00:FE'] as const;
const mac = usually<string>(MACS, ['02:48:4e:56:00:01', '01:00:00:00:00:01']);
const HOSTS = [
  ...['192.168.1.10', '192.168.1.11', '192.168.1.20', '192.168.2.20', '192.168.1.21'],
  ...['2001:db8:1::10', '2001:db8:1::20'],
] as const;
const OUTSIDE = [
  ...['198.51.100.101', '198.51.100.102', '203.0.113.5', '2001:db8:100::101', '2001:db8:100::102'],
] as const;
const outside = usually<string>(OUTSIDE, ['192.168.1.20', '198.51.100.300', '224.0.0.1']);
const VM_ADDRESSES = ['10.1.1.11', '10.1.1.12', '10.1.1.13', '2001:db8:a::11', '2001:db8:a::12'] as const;
const vmAddress = usually<string>(VM_ADDRESSES, ['10.1.1.1', '10.1.1.0', '10.1.2.11', '2001:db8:a::']);
const GATEWAY_ADDRESSES = ['10.254.254.2', '2001:db8:fe::2', '10.254.254.3'] as const;
const gatewayAddress = usually<string>(GATEWAY_ADDRESSES, ['10.254.254.1', '10.1.1.11']);

const routingDomain = body({
  name: fc.oneof({ weight: 9, arbitrary: fc.constantFrom('Contoso', 'Fabrikam') }, fc.constantFrom('', 7)),
  description: rarely(fc.constant('a tenant')),
  labels: rarely(fc.constantFrom({ tier: 'gold' }, { 'no blank': '' })),
});

const prefixesOfVms = usually<readonly string[]>(
  [['10.1.1.0/24', '2001:db8:a::/64'], ['10.1.1.0/24'], ['10.1.1.0/24', '10.1.2.0/24'], ['10.1.0.0/16']],
  [['10.1.1.1/24'], ['224.0.0.0/24'], []],
);
const prefixesOfGateway = usually<readonly string[]>(
  [['10.254.254.0/29', '2001:db8:fe::/64'], ['10.254.254.0/29'], ['10.254.0.0/16', '2001:db8:fe::/64']],
  [['10.1.1.128/29'], ['10.254.254.0/31']],
);

const virtualSubnet = (isGatewaySubnet: boolean): Arb =>
  body({
    addressPrefixes: isGatewaySubnet ? prefixesOfGateway : prefixesOfVms,
    isGatewaySubnet: usually([isGatewaySubnet], [!isGatewaySubnet, undefined]),
    providerMulticastAddress: rarely(usually<string>(['239.1.1.1', 'ff05::1:1'], ['224.0.0.9'])),
  });

function lookupRecord(domain: Domain): Arb {
  const place = (type: fc.Arbitrary<string | undefined>, vsid: number, customerAddress: Arb): Arb =>
    body({
      ...{ type, customerAddress, macAddress: mac },
      virtualSubnetId: usually([vsid], [domain.vsid, domain.gatewayVsid, 4095]),
      providerAddress: usually<string>(HOSTS, ['127.0.0.1']),
      vmName: rarely(fc.constantFrom('db', 'web')),
    });
  const placing = mostly<string | undefined>('static', 'dynamic', undefined);
  const unspecified = usually<string>(['0.0.0.0', '::'], ['10.1.1.11']);
  return fc.oneof(
    { weight: 5, arbitrary: place(placing, domain.vsid, vmAddress) },
    { weight: 2, arbitrary: place(fc.constant('static'), domain.gatewayVsid, gatewayAddress) },
    { weight: 2, arbitrary: place(fc.constantFrom('l2only', 'gatewayWildcard'), domain.vsid, unspecified) },
  );
}

function customerRoute(domain: Domain): Arb {
  const route = (vsid: number, destinations: readonly string[], hops: readonly string[]): Arb =>
    body({
      virtualSubnetId: usually([vsid], [domain.vsid, domain.gatewayVsid]),
      destinationPrefix: usually(destinations, ['10.1.1.1/24', '2001:db8::/200']),
      nextHop: usually(hops, ['10.1.1.1', '0.0.0.0', '::']),
      metric: sometimes(usually([0, 1], [65536])),
    });
  return fc.oneof(
    // To the gateway; by a VM, sometimes around the router itself or over a subnet; a part of the subnet.
    route(domain.gatewayVsid, ['0.0.0.0/0', '172.16.0.0/16'], ['10.254.254.2', '10.254.254.3']),
    route(domain.gatewayVsid, ['::/0', '2001:db8:b::/48'], ['2001:db8:fe::2']),
    route(
      domain.vsid,
      ['172.16.0.0/16', '172.16.1.0/24', '10.1.1.0/24', '10.254.254.1/32', '0.0.0.0/0'],
      ['10.1.1.11', '10.1.1.12'],
    ),
    route(domain.vsid, ['2001:db8:b::/48', '2001:db8:fe::1/128'], ['2001:db8:a::11']),
    route(domain.vsid, ['10.1.1.128/25', '10.1.1.0/24'], ['0.0.0.0']),
    route(domain.vsid, ['2001:db8:a::80/121'], ['::']),
  );
}

const gateway = (domain: Domain): Arb =>
  body({
    virtualSubnetId: usually([domain.gatewayVsid], [domain.vsid]),
    customerAddresses: usually<readonly string[]>(
      [['10.254.254.2', '2001:db8:fe::2'], ['10.254.254.2'], ['10.254.254.3'], ['2001:db8:fe::2']],
      [['10.254.254.2', '10.254.254.3'], ['10.254.254.1']],
    ),
    macAddress: sometimes(usually<string>(['02:00:00:00:00:fe', '02:00:00:00:fe:03'], ['02:48:4e:56:00:01'])),
  });

interface External {
  ipAddress: string;
  portStart?: number;
}

/** Whole, or one of a few blocks, of which some overlap. */
const externalAddress = fc.oneof(
  { weight: 3, arbitrary: body({ ipAddress: outside }) },
  body({
    ipAddress: outside,
    portStart: fc.constantFrom(1024, 17152),
    portEnd: usually<number | undefined>([17151, 33279], [1000, undefined]),
  }),
  body({ ipAddress: outside, portStart: fc.constant(33280), portEnd: fc.constantFrom(40000, 65535) }),
) as fc.Arbitrary<External>;

/** To an inside address of the family. */
const staticMapping = ({ ipAddress: external, portStart }: External): Arb =>
  body({
    protocol: fc.constantFrom('tcp', 'udp'),
    externalIpAddress: usually([external], OUTSIDE),
    externalPort: usually(portStart === undefined ? [80, 443] : [portStart, portStart + 1], [0, 80]),
    internalIpAddress: usually(
      VM_ADDRESSES.filter((address) => address.includes(':') === external.includes(':')),
      ['10.1.1.1', '2001:db8:a::11'],
    ),
    internalPort: fc.constantFrom(80, 8080),
    remoteExternalIpAddressPrefix: rarely(
      external.includes(':')
        ? fc.constant('2001:db8:900::/64')
        : fc.constantFrom('198.51.100.1/32', '0.0.0.0/0'),
    ),
  });

/** Routed, or translated; the inside is a subnet of the VMs when that has IPv6. */
const externalPrefixes = usually<readonly object[]>(
  [
    [{ prefix: '2001:db8:a::/64' }],
    [{ prefix: '2001:db8:200::/64', internalPrefix: '2001:db8:a::/64' }],
    [{ prefix: '2001:db8:200::/48', internalPrefix: '2001:db8:a::/48' }],
    [{ prefix: '2001:db8:201::/64', internalPrefix: '2001:db8:a::/64' }],
  ],
  [
    [{ prefix: '2001:db8:100::/64', internalPrefix: '2001:db8:a::/64' }],
    [{ prefix: '2001:db8:200::/64', internalPrefix: '2001:db8:a::/56' }],
    [{ prefix: '10.1.1.0/24' }],
  ],
);

const oneToOne = ({ ipAddress }: External): Arb =>
  body({
    externalIpAddress: usually([ipAddress], OUTSIDE),
    internalIpAddress: usually(
      VM_ADDRESSES.filter((address) => address.includes(':') === ipAddress.includes(':')),
      ['10.1.1.1', '2001:db8:a::11'],
    ),
  });

/** What goes with any addresses. */
const natBehaviour = {
  timeouts: rarely(usually<object>([{ udp: 30 }, {}], [{ udp: 0 }])),
  filtering: rarely(fc.constantFrom({ udp: 'endpointIndependent' }, { tcp: 'addressDependent' })),
  hairpinning: rarely(fc.constantFrom('external', 'local')),
  algs: rarely(fc.constantFrom(['ftp'], ['sip', 'ftp'])),
  maxSessions: rarely(usually([1000, 5000], [0])),
};

const explicitNat: Arb = fc
  .uniqueArray(externalAddress, {
    ...{ minLength: 1, maxLength: 3, size: 'max' },
    selector: ({ ipAddress }) => ipAddress,
  })
  .chain((externalAddresses) => {
    const [first] = externalAddresses;
    const one = fc.constantFrom(...externalAddresses);
    return body({
      externalAddresses: usually<readonly unknown[]>([externalAddresses], [[], [first, first]]),
      staticMappings: sometimes(fc.array(one.chain(staticMapping), { maxLength: 3, size: 'max' })),
      oneToOne: rarely(fc.array(one.chain(oneToOne), { minLength: 1, maxLength: 2 })),
      externalPrefixes: rarely(externalPrefixes),
      ...natBehaviour,
    });
  });

const POOLS = ['shared', 'whole'] as const;
const autoNat: Arb = body({
  externalAddresses: fc.constant('auto'),
  pool: sometimes(usually<string>(POOLS, ['none'])),
  allocatedAddress: rarely(
    fc.constantFrom(
      { ipAddress: '198.51.100.104' },
      { ipAddress: '203.0.113.5', portStart: 17152, portEnd: 33279 },
      { ipAddress: '203.0.113.5', portStart: 17152, portEnd: 17151 },
    ),
  ),
  externalPrefixes: rarely(externalPrefixes),
  ...natBehaviour,
});
const nat: Arb = fc.oneof(
  { weight: 4, arbitrary: explicitNat },
  { weight: 2, arbitrary: autoNat },
  body({ externalPrefixes, ...natBehaviour }),
);

/** Of one address in four blocks, which tenants name too; of two addresses for three tenants. */
const pools: readonly [name: (typeof POOLS)[number], body: Arb][] = [
  [
    'shared',
    body({
      prefixes: usually<readonly string[]>(
        [['203.0.113.5/32'], ['203.0.113.5/32', '203.0.113.8/31']],
        [['198.51.100.104/32'], ['203.0.113.5/24']],
      ),
      portBlockSize: usually<number | undefined>([16128], [undefined, 63]),
    }),
  ],
  [
    'whole',
    body({
      prefixes: usually<readonly string[]>(
        [['198.51.100.104/31'], ['198.51.100.102/32', '198.51.100.104/32'], ['2001:db8:100::102/127']],
        [[]],
      ),
    }),
  ],
];

const providerAddress = (address: string): Arb => {
  const nic = address.startsWith('192.168.2.') ? 'pa1' : 'pa0';
  // Those that the NICs do not have get a link of their own, or fail.
  const ownLink = ['192.168.1.21', '192.168.2.22'].includes(address);
  return body({
    interface: mostly(nic, 'pa0', 'pa1', 'vm3'),
    prefixLength: mostly(address.includes(':') ? 64 : 24, 32, 129),
    vlanId: ownLink ? mostly<number | undefined>(100, 200, undefined) : rarely(fc.constant(0)),
    // Two links of one MAC address cannot be over one interface.
    macAddress: ownLink
      ? sometimes(fc.constant(address.endsWith('1') ? MACS[0] : MACS[1]))
      : fc.constant(undefined),
  });
};

const providerRoute = body({
  interface: mostly('pa0', 'pa1', 'vm3'),
  destinationPrefix: fc.constantFrom('10.200.0.0/16', '172.31.0.0/16', '2001:db8:9::/48', '10.200.0.1/16'),
  nextHop: fc.constantFrom(
    '192.168.1.254',
    '192.168.2.254',
    '192.168.1.253',
    '2001:db8:1::fe',
    '192.168.1.20',
  ),
  metric: sometimes(fc.constantFrom(0, 5)),
});

const port = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.constantFrom(...DOMAINS).chain(({ vsid, gatewayVsid }) =>
      body({
        virtualSubnetId: usually([vsid], [gatewayVsid, 5999]),
        macAddress: usually<string | undefined>(MACS, [undefined, '02:48:4e:56:00:01']),
        customerAddresses: sometimes(fc.uniqueArray(vmAddress, { maxLength: 2 })),
        learn: rarely(fc.boolean()),
      }),
    ),
  },
  fc.constantFrom({}, { customerAddresses: ['10.1.1.11'] }),
);

/** Where a resource is, and what it might be. */
export interface Place {
  readonly path: string;
  readonly body: Arb;
}

const places: readonly Place[] = [
  ...DOMAINS.flatMap((domain) => {
    const base = `/v1/routing-domains/${domain.rdid}`;
    const at = (path: string, value: Arb): Place => ({ path: `${base}${path}`, body: value });
    const [other = domain] = DOMAINS.filter(({ rdid }) => rdid !== domain.rdid);
    return [
      ...[at('', routingDomain), at('', routingDomain)],
      ...[
        at(`/virtual-subnets/${domain.vsid}`, virtualSubnet(false)),
        at(`/virtual-subnets/${domain.vsid}`, virtualSubnet(false)),
      ],
      ...[
        at(`/virtual-subnets/${domain.gatewayVsid}`, virtualSubnet(true)),
        at(`/virtual-subnets/${domain.gatewayVsid}`, virtualSubnet(true)),
      ],
      at(`/virtual-subnets/${other.vsid}`, virtualSubnet(false)),
      ...['a', 'b', 'c', 'd'].map((id) => at(`/lookup-records/${id}`, lookupRecord(domain))),
      ...['r1', 'r2', 'r3'].map((id) => at(`/customer-routes/${id}`, customerRoute(domain))),
      ...[at('/gateway', gateway(domain)), at('/gateway', gateway(domain))],
      ...[at('/nat', nat), at('/nat', nat)],
    ];
  }),
  ...[
    '192.168.1.20',
    '192.168.1.20',
    '2001:db8:1::20',
    '192.168.2.20',
    '192.168.1.21',
    '192.168.2.22',
    '192.168.1.99',
  ].map((address): Place => ({ path: `/v1/provider-addresses/${address}`, body: providerAddress(address) })),
  ...[...pools, ...pools].map(
    ([name, value]): Place => ({
      path: `/v1/external-address-pools/${name}`,
      body: value,
    }),
  ),
  ...['p1', 'p2'].map((id): Place => ({ path: `/v1/provider-routes/${id}`, body: providerRoute })),
  ...[...VM_INTERFACES, ...VM_INTERFACES].map((name): Place => ({ path: `/v1/ports/${name}`, body: port })),
  // Names that nothing can have, and a domain that nobody makes.
  { path: '/v1/routing-domains/44444444-4444-4444-8444-44444444444g', body: routingDomain },
  { path: `/v1/routing-domains/${DOMAINS[0].rdid}/virtual-subnets/4095`, body: virtualSubnet(false) },
  { path: '/v1/routing-domains/44444444-4444-4444-8444-444444444444/nat', body: nat },
  { path: '/v1/provider-addresses/127.0.0.1', body: providerAddress('127.0.0.1') },
];

/** One of the places, with a body for it. */
export const placed: fc.Arbitrary<{ path: string; body: unknown }> = fc
  .constantFrom(...places)
  .chain(({ path, body }) => body.map((value) => ({ path, body: value })));

/** What the sequences begin with, in an order that can be put: without it, most of them would fail for want of a domain. */
export const opening: readonly { path: string; body: unknown }[] = [
  { path: '/v1/provider-addresses/192.168.1.20', body: { interface: PROVIDER_NICS[0], prefixLength: 24 } },
  {
    path: '/v1/external-address-pools/shared',
    body: { prefixes: ['203.0.113.5/32'], portBlockSize: 16128 },
  },
  { path: '/v1/external-address-pools/whole', body: { prefixes: ['198.51.100.104/31'] } },
  ...DOMAINS.flatMap(({ rdid, vsid, gatewayVsid }) => {
    const base = `/v1/routing-domains/${rdid}`;
    return [
      { path: base, body: { name: 'Contoso' } },
      {
        path: `${base}/virtual-subnets/${vsid}`,
        body: { addressPrefixes: ['10.1.1.0/24', '2001:db8:a::/64'] },
      },
      {
        path: `${base}/virtual-subnets/${gatewayVsid}`,
        body: { addressPrefixes: ['10.254.254.0/29', '2001:db8:fe::/64'], isGatewaySubnet: true },
      },
      {
        path: `${base}/gateway`,
        body: { virtualSubnetId: gatewayVsid, customerAddresses: ['10.254.254.2', '2001:db8:fe::2'] },
      },
    ];
  }),
];
