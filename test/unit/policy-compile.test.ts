/** What the compiler makes of a domain, item by item of its plan. */
import t from 'tap';
import { compileNat, withheldOf } from '../../src/policy/compile/nat.ts';
import { compileDomain } from '../../src/policy/compile.ts';
import type { DomainPlan } from '../../src/policy/plan.ts';
import type { StaticMapping, VmPort } from '../../src/policy/resources.ts';
import { gatewayMac, routerMac } from '../../src/policy/router.ts';
import { type NatInput, natPolicy } from '../lab/nat-policy.ts';
import {
  CONTOSO,
  FABRIKAM,
  GATEWAY_MAC,
  type Put,
  put,
  record,
  stateOf,
  twoTenants,
} from './policy-state.ts';

const subnet = (vsid: number, addressPrefixes: string[], isGatewaySubnet = false) =>
  put('virtualSubnet', CONTOSO, String(vsid), { addressPrefixes, isGatewaySubnet });
const route = (id: string, destinationPrefix: string, nextHop: string, metric = 0, virtualSubnetId = 5001) =>
  put('customerRoute', CONTOSO, id, { virtualSubnetId, destinationPrefix, nextHop, metric });
const lookup = (id: string, overrides: Parameters<typeof record>[0]) =>
  put('lookupRecord', CONTOSO, id, record(overrides));
const provider = (address: string) =>
  put('providerAddress', undefined, address, { interface: 'pa0', prefixLength: 24 });
const port = (name: string, overrides: Partial<VmPort> = {}) =>
  put('port', undefined, name, {
    virtualSubnetId: 5001,
    macAddress: '00:15:5d:00:00:04',
    customerAddresses: [],
    ...overrides,
  });
const gateway = (customerAddress: string | string[] = '10.254.254.2', macAddress?: string) =>
  put('gateway', CONTOSO, undefined, {
    virtualSubnetId: 5099,
    customerAddresses: [customerAddress].flat(),
    ...(macAddress !== undefined && { macAddress }),
  });
const gatewaySubnet = subnet(5099, ['10.254.254.0/29'], true);

function compile(puts: readonly Put[], rdid = CONTOSO): DomainPlan {
  const state = stateOf(puts);
  const domain = state.domains.get(rdid);
  if (domain === undefined) throw new Error(`no domain ${rdid}`);
  return compileDomain(domain, state);
}

const contosoPlan: DomainPlan = {
  rdid: CONTOSO,
  handle: 1,
  subnets: [
    { vsid: 5001, routerAddresses: ['10.1.1.1'], remotes: ['192.168.4.11'] },
    { vsid: 5002, routerAddresses: ['10.1.2.1', '10.1.4.1'], remotes: [] },
    { vsid: 5099, routerAddresses: ['10.254.254.1'], remotes: [] },
  ],
  sources: ['192.168.4.11'],
  records: [
    {
      address: '10.1.1.4',
      vsid: 5001,
      mac: '00:15:5d:00:00:04',
      providerAddress: '192.168.4.11',
      isLocal: false,
      isDynamic: false,
    },
    {
      address: '10.254.254.2',
      vsid: 5099,
      mac: GATEWAY_MAC,
      providerAddress: '192.168.4.1',
      isLocal: true,
      isDynamic: false,
    },
  ],
  wildcards: [],
  routes: [
    { prefix: '10.1.1.0/24', vsid: 5001 },
    { prefix: '10.1.2.0/24', vsid: 5002 },
    { prefix: '10.1.4.0/24', vsid: 5002 },
    { prefix: '10.1.4.128/25', vsid: 5002 },
    { prefix: '10.254.254.0/29', vsid: 5099 },
    { prefix: '172.16.0.0/16', vsid: 5002, nextHop: '10.1.2.9' },
  ],
  ports: [],
  siteConnections: [],
  pending: [],
  context: {
    vsid: 5099,
    addresses: ['10.254.254.2'],
    mac: GATEWAY_MAC,
    routerAddresses: ['10.254.254.1'],
    providerAddress: '192.168.4.1',
    tenantPrefixes: [
      '10.1.1.0/24',
      '10.1.2.0/24',
      '10.1.4.0/24',
      '10.1.4.128/25',
      '10.254.254.0/29',
      '172.16.0.0/16',
    ],
  },
  nat: {
    externalAddresses: [{ address: '203.0.113.10' }],
    portMappings: [
      {
        protocol: 'tcp',
        externalAddress: '203.0.113.10',
        externalPort: 80,
        internalAddress: '10.1.1.4',
        internalPort: 8080,
      },
    ],
    prefixes: [],
    oneToOne: [],
    timeouts: { icmp: 60, tcpEstablished: 7440, tcpTransient: 240, udp: 300 },
    filtering: { tcp: 'addressAndPortDependent', udp: 'addressAndPortDependent' },
    hairpinning: 'local',
    algs: [],
    peers: [],
    sitePrefixes: [],
  },
};

t.test('a domain with one of everything compiles to its whole plan', async (t) => {
  t.strictSame(compile(twoTenants()), contosoPlan);
});

t.test('the order in which resources were put does not show, down to the order of keys', async (t) => {
  const puts = [
    ...twoTenants(),
    lookup('vm2', { customerAddress: '10.1.1.10', providerAddress: '192.168.4.9' }),
    lookup('vm3', { customerAddress: '10.1.1.9', providerAddress: '192.168.4.100' }),
    lookup('w1', { type: 'gatewayWildcard', customerAddress: '0.0.0.0', macAddress: '02:00:00:00:00:02' }),
    lookup('w2', { type: 'gatewayWildcard', customerAddress: '0.0.0.0', macAddress: '02:00:00:00:00:01' }),
    route('worse', '172.16.0.0/16', '10.1.1.9', 5),
    route('tie', '172.16.0.0/16', '10.1.1.10'),
    provider('192.168.4.2'),
    provider('2001:db8:4::2'),
    subnet(5003, ['2001:db8:3::/64', '10.3.0.0/16']),
    lookup('v6', {
      customerAddress: '2001:db8:3::4',
      virtualSubnetId: 5003,
      providerAddress: '2001:db8:4::11',
    }),
    lookup('l1', { type: 'l2only', customerAddress: '::', virtualSubnetId: 5003 }),
    lookup('l2', { type: 'l2only', customerAddress: '0.0.0.0', providerAddress: '192.168.4.1' }),
    lookup('l3', { type: 'l2only', customerAddress: '0.0.0.0', providerAddress: '192.168.4.2' }),
    lookup('d1', {
      type: 'dynamic',
      customerAddress: '10.1.1.33',
      providerAddress: '192.168.4.1',
      macAddress: '02:00:00:00:00:33',
      context: 'port tap0',
    }),
    lookup('d2', {
      type: 'dynamic',
      customerAddress: '10.1.1.32',
      providerAddress: '192.168.4.2',
      macAddress: '02:00:00:00:00:32',
      context: 'port tap0',
    }),
    port('tap1', { virtualSubnetId: 5003, customerAddresses: ['2001:db8:3::9', '10.3.0.9'] }),
    port('tap0', { customerAddresses: ['10.1.1.21', '10.1.1.20'] }),
  ];
  const expected = JSON.stringify(compile(puts));
  for (let turn = 1; turn < puts.length; turn++) {
    const rotated = [...puts.slice(turn), ...puts.slice(0, turn)];
    t.equal(JSON.stringify(compile(rotated)), expected, `rotated by ${turn}`);
    t.equal(JSON.stringify(compile(rotated.reverse())), expected, `rotated by ${turn} and reversed`);
  }
});

t.test('records are those with an address, in ascending order', async (t) => {
  const { records } = compile([
    subnet(5001, ['10.1.1.0/24']),
    lookup('a', { customerAddress: '10.1.1.100' }),
    lookup('b', { customerAddress: '10.1.1.20', type: 'dynamic' }),
    lookup('c', { customerAddress: '10.1.1.3', macAddress: '00-15-5D-00-00-AA' }),
    lookup('d', { customerAddress: '0.0.0.0', type: 'l2only' }),
    lookup('e', { customerAddress: '0.0.0.0', type: 'gatewayWildcard' }),
  ]);
  t.strictSame(
    records.map(({ address, mac }) => [address, mac]),
    [
      ['10.1.1.3', '00:15:5d:00:00:aa'],
      ['10.1.1.20', '00:15:5d:00:00:04'],
      ['10.1.1.100', '00:15:5d:00:00:04'],
    ],
  );
});

t.test(
  'wildcards are the records for a MAC, each pair once; a gateway also sends routed packets',
  async (t) => {
    const outside = { scope: 'outside', vsid: 5001 } as const;
    const wildcard = { type: 'gatewayWildcard', customerAddress: '0.0.0.0' } as const;
    const { wildcards } = compile([
      lookup('a', { ...wildcard, providerAddress: '192.168.4.100' }),
      lookup('b', { ...wildcard, providerAddress: '192.168.4.20' }),
      lookup('c', { ...wildcard, providerAddress: '192.168.4.20', virtualSubnetId: 5002 }),
      lookup('d', { ...wildcard, macAddress: '00:00:00:00:00:01', providerAddress: '192.168.4.100' }),
      lookup('e', { customerAddress: '::', type: 'l2only', providerAddress: '192.168.4.77' }),
      lookup('f', { customerAddress: '0.0.0.0', type: 'l2only', providerAddress: '192.168.4.20' }),
    ]);
    t.strictSame(wildcards, [
      { mac: '00:00:00:00:00:01', providerAddress: '192.168.4.100', ...outside },
      { mac: '00:15:5d:00:00:04', providerAddress: '192.168.4.20', ...outside },
      { mac: '00:15:5d:00:00:04', providerAddress: '192.168.4.77', scope: 'subnet', vsid: 5001 },
      { mac: '00:15:5d:00:00:04', providerAddress: '192.168.4.100', ...outside },
      { mac: routerMac, providerAddress: '192.168.4.20', ...outside },
      { mac: routerMac, providerAddress: '192.168.4.100', ...outside },
    ]);
  },
);

t.test('sources are the provider addresses of all records but this node’s own, each once', async (t) => {
  const { sources } = compile([
    provider('192.168.4.1'),
    lookup('a', { customerAddress: '10.1.1.4', providerAddress: '192.168.4.100' }),
    lookup('b', { customerAddress: '10.1.1.5', providerAddress: '192.168.4.100' }),
    lookup('c', { customerAddress: '10.1.1.6', providerAddress: '192.168.4.1' }),
    lookup('d', { customerAddress: '0.0.0.0', providerAddress: '192.168.4.99', type: 'gatewayWildcard' }),
    lookup('e', { customerAddress: '0.0.0.0', providerAddress: '192.168.4.20', type: 'l2only' }),
  ]);
  t.strictSame(sources, ['192.168.4.20', '192.168.4.99', '192.168.4.100']);
});

t.test('the route with the lowest metric wins, then the lowest next hop, then the lowest VSID', async (t) => {
  const winner = (...routes: Put[]) =>
    compile([subnet(5001, ['10.1.1.0/24']), ...routes]).routes.find(
      ({ prefix }) => prefix === '172.16.0.0/16',
    );
  t.strictSame(
    winner(
      route('a', '172.16.0.0/16', '10.1.1.7', 100),
      route('b', '172.16.0.0/16', '10.1.1.9', 9),
      route('c', '172.16.0.0/16', '10.1.1.8', 10),
    ),
    { prefix: '172.16.0.0/16', vsid: 5001, nextHop: '10.1.1.9' },
  );
  t.equal(
    winner(route('a', '172.16.0.0/16', '10.1.1.10'), route('b', '172.16.0.0/16', '10.1.1.9'))?.nextHop,
    '10.1.1.9',
  );
  t.equal(
    winner(
      route('a', '172.16.0.0/16', '10.1.1.9', 0, 10_000),
      route('b', '172.16.0.0/16', '10.1.1.9', 0, 9_999),
    )?.vsid,
    9_999,
  );
});

t.test('a customer route replaces the on-link route of the same prefix', async (t) => {
  t.strictSame(compile([subnet(5001, ['10.1.1.0/24']), route('via', '10.1.1.0/24', '10.1.1.9')]).routes, [
    { prefix: '10.1.1.0/24', vsid: 5001, nextHop: '10.1.1.9' },
  ]);
});

t.test('what the tenant sends to the gateway is not sent back to the tenant', async (t) => {
  const plan = compile([
    provider('192.168.4.1'),
    gatewaySubnet,
    subnet(5001, ['10.1.1.0/24']),
    gateway(),
    route('default', '0.0.0.0/0', '10.254.254.2', 0, 5099),
    route('spare', '0.0.0.0/0', '10.1.1.9', 10),
    route('own', '10.1.1.0/24', '10.254.254.2', 0, 5099),
  ]);
  t.strictSame(plan.routes, [
    { prefix: '10.1.1.0/24', vsid: 5001 },
    { prefix: '10.254.254.0/29', vsid: 5099 },
  ]);
  t.strictSame(plan.context?.tenantPrefixes, ['10.1.1.0/24', '10.254.254.0/29']);
});

t.test('a node that is not the gateway routes to it', async (t) => {
  const { routes } = compile([gatewaySubnet, route('default', '0.0.0.0/0', '10.254.254.2', 0, 5099)]);
  t.strictSame(routes[0], { prefix: '0.0.0.0/0', vsid: 5099, nextHop: '10.254.254.2' });
});

t.test('the context uses the provider address that the tenant hosts were told', async (t) => {
  const own = { customerAddress: '10.254.254.2', virtualSubnetId: 5099 };
  const node = [provider('192.168.4.100'), provider('192.168.4.20'), gatewaySubnet, gateway()];
  const spread = compile(node).context?.providerAddress ?? '';
  t.ok(['192.168.4.20', '192.168.4.100'].includes(spread), 'one of its own without a record');
  const told = lookup('gw', { ...own, providerAddress: '192.168.4.100' });
  t.equal(compile([...node, told]).context?.providerAddress, '192.168.4.100');
  const foreign = lookup('gw', { ...own, providerAddress: '192.168.4.77' });
  t.equal(compile([...node, foreign]).context?.providerAddress, spread, 'the same when told another node');
});

t.test('the router address is the .1 of the prefix that the gateway is in', async (t) => {
  const plan = compile([
    provider('192.168.4.1'),
    subnet(5099, ['10.9.0.0/24', '10.254.254.8/29'], true),
    gateway('10.254.254.10'),
  ]);
  t.strictSame(plan.context?.routerAddresses, ['10.254.254.9']);
});

t.test('a gateway without MAC address gets one from the RDID, the same everywhere', async (t) => {
  const plan = compile([provider('192.168.4.1'), gatewaySubnet, gateway()]);
  t.equal(plan.context?.mac, gatewayMac(CONTOSO));
  t.equal(gatewayMac(CONTOSO), '02:ba:fd:e8:9c:04', 'never changes: tenant hosts were given it');
  t.not(gatewayMac(CONTOSO), gatewayMac(FABRIKAM));
  t.match(routerMac, /^02:/);
  t.equal(
    compile([provider('192.168.4.1'), gatewaySubnet, gateway('10.254.254.2', GATEWAY_MAC)]).context?.mac,
    GATEWAY_MAC,
  );
});

t.test('NAT is sorted, and a mapping for everybody has no remote prefix', async (t) => {
  const mapping = (overrides: Partial<StaticMapping>): StaticMapping => ({
    protocol: 'tcp',
    externalIpAddress: '203.0.113.9',
    externalPort: 80,
    internalIpAddress: '10.1.1.4',
    internalPort: 8080,
    ...overrides,
  });
  const { nat } = compile([
    provider('192.168.4.1'),
    gatewaySubnet,
    gateway(),
    put(
      'nat',
      CONTOSO,
      undefined,
      natPolicy({
        externalAddresses: [
          { ipAddress: '203.0.113.10', portStart: 1024, portEnd: 2047 },
          { ipAddress: '203.0.113.9' },
        ],
        staticMappings: [
          mapping({ externalIpAddress: '203.0.113.10', externalPort: 1080 }),
          mapping({ externalPort: 1000, remoteExternalIpAddressPrefix: '0.0.0.0/0' }),
          mapping({ protocol: 'udp', externalPort: 53 }),
          mapping({ remoteExternalIpAddressPrefix: '198.51.100.0/24' }),
          mapping({ remoteExternalIpAddressPrefix: '192.0.2.0/24' }),
        ],
      }),
    ),
  ]);
  t.strictSame(nat?.externalAddresses, [
    { address: '203.0.113.9' },
    { address: '203.0.113.10', portStart: 1024, portEnd: 2047 },
  ]);
  const common = { internalAddress: '10.1.1.4', internalPort: 8080 };
  const tcp = { protocol: 'tcp', externalAddress: '203.0.113.9', ...common };
  t.strictSame(nat?.portMappings, [
    { ...tcp, externalPort: 80, remotePrefix: '192.0.2.0/24' },
    { ...tcp, externalPort: 80, remotePrefix: '198.51.100.0/24' },
    { ...tcp, externalPort: 1000 },
    { ...tcp, protocol: 'udp', externalPort: 53 },
    { ...tcp, externalAddress: '203.0.113.10', externalPort: 1080 },
  ]);
});

t.test('the whole NAT plan is in order, whatever order it was written in', async (t) => {
  const pairs = [
    { externalIpAddress: '203.0.113.9', internalIpAddress: '10.1.1.5' },
    { externalIpAddress: '203.0.113.10', internalIpAddress: '10.1.1.4' },
  ];
  const addresses = [
    { ipAddress: '203.0.113.9' },
    { ipAddress: '203.0.113.10' },
    { ipAddress: '2001:db8:f::1', portStart: 1024, portEnd: 2047 },
  ];
  const prefixes = [
    { prefix: '2001:DB8:9::/64' },
    { prefix: '2001:db8:a::/64', internalPrefix: 'FD00:a::/64' },
  ];
  const value = (order: <T>(list: T[]) => T[]) =>
    natPolicy({
      externalAddresses: order(addresses),
      oneToOne: order(pairs),
      externalPrefixes: order(prefixes),
      timeouts: { udp: 30 },
      hairpinning: 'external',
      maxSessions: 5000,
    });
  const plans = [value((list) => list), value((list) => list.toReversed())].map((nat) =>
    compileNat(nat, new Map()),
  );
  t.strictSame(plans[0], plans[1]);
  t.strictSame(plans[0], {
    externalAddresses: [
      { address: '203.0.113.9' },
      { address: '203.0.113.10' },
      { address: '2001:db8:f::1', portStart: 1024, portEnd: 2047 },
    ],
    prefixes: [
      { external: '2001:db8:9::/64', internal: '2001:db8:9::/64' },
      { external: '2001:db8:a::/64', internal: 'fd00:a::/64' },
    ],
    portMappings: [],
    oneToOne: [
      { external: '203.0.113.9', internal: '10.1.1.5' },
      { external: '203.0.113.10', internal: '10.1.1.4' },
    ],
    timeouts: { icmp: 60, tcpEstablished: 7440, tcpTransient: 240, udp: 30 },
    filtering: { tcp: 'addressAndPortDependent', udp: 'addressAndPortDependent' },
    hairpinning: 'external',
    algs: [],
    maxSessions: 5000,
  });
  const ofIpv4 = natPolicy({
    externalAddresses: addresses.slice(0, 2),
    filtering: { udp: 'endpointIndependent' },
    algs: ['sip', 'ftp', 'sip'],
  });
  const { algs, filtering } = compileNat(ofIpv4, new Map());
  t.strictSame(algs, ['ftp', 'sip']);
  t.strictSame(filtering, { tcp: 'addressAndPortDependent', udp: 'endpointIndependent' });
});

t.test(
  'what has the node’s own addresses is left out: one-to-one, blocks, an allocated address, prefixes',
  async (t) => {
    const whose = 'an address of this node';
    const left = (given: NatInput, taken: string) => {
      const nat = natPolicy(given);
      const { externalAddresses, oneToOne, prefixes } = compileNat(nat, new Map([[taken, whose]]));
      return {
        left: [externalAddresses.length, oneToOne.length, prefixes.length],
        why: withheldOf(nat, new Map([[taken, whose]])),
      };
    };
    const ipAddress = '203.0.113.9';
    t.strictSame(
      left(
        {
          externalAddresses: [{ ipAddress }, { ipAddress: '203.0.113.10' }],
          oneToOne: [{ externalIpAddress: ipAddress, internalIpAddress: '10.1.1.4' }],
        },
        ipAddress,
      ),
      { left: [1, 0, 0], why: [`${ipAddress} is ${whose}, and cannot be an external address.`] },
    );
    const block = { ipAddress, portStart: 1024, portEnd: 2047 };
    t.strictSame(left({ externalAddresses: [block] }, ipAddress).left, [0, 0, 0]);
    t.strictSame(left({ externalAddresses: 'auto', allocatedAddress: block }, ipAddress).left, [0, 0, 0]);
    t.strictSame(
      left(
        { externalPrefixes: [{ prefix: '2001:db8:9::/64' }, { prefix: '2001:db8:a::/64' }] },
        '2001:db8:9::7',
      ),
      {
        left: [0, 0, 1],
        why: [
          `2001:db8:9::7 is ${whose}, and 2001:db8:9::/64, which it is in, cannot be an external prefix.`,
        ],
      },
    );
  },
);

t.test('an address that is the node’s own is left out of NAT, with its mappings', async (t) => {
  const mapping = {
    protocol: 'tcp',
    externalPort: 80,
    internalIpAddress: '10.1.1.4',
    internalPort: 80,
  } as const;
  const state = stateOf([
    ...[provider('192.168.4.1'), gatewaySubnet, gateway()],
    put(
      'nat',
      CONTOSO,
      undefined,
      natPolicy({
        externalAddresses: [{ ipAddress: '203.0.113.1' }, { ipAddress: '203.0.113.10' }],
        staticMappings: [
          { ...mapping, externalIpAddress: '203.0.113.1' },
          { ...mapping, externalIpAddress: '203.0.113.10' },
        ],
      }),
    ),
  ]);
  const domain = state.domains.get(CONTOSO);
  if (domain === undefined) throw new Error('no Contoso');
  const uplinkAddresses = new Map([['203.0.113.1', 'the next hop of this node’s routes over wan0']]);
  t.match(compileDomain(domain, { ...state, uplinkAddresses }), {
    nat: {
      externalAddresses: [{ address: '203.0.113.10' }],
      portMappings: [{ externalAddress: '203.0.113.10' }],
    },
    withheld: [
      '203.0.113.1 is the next hop of this node’s routes over wan0, and cannot be an external address.',
    ],
    pending: [],
  });
  t.equal(compileDomain(domain, { ...state, uplinkAddresses }).nat?.portMappings.length, 1);
  t.notOk('withheld' in compileDomain(domain, state));
});

t.test('a plan says what is asked for but not there', async (t) => {
  const nat = put(
    'nat',
    CONTOSO,
    undefined,
    natPolicy({
      externalAddresses: [{ ipAddress: '203.0.113.10' }],
      staticMappings: [],
    }),
  );
  const absent = (plan: DomainPlan) => {
    t.notOk('context' in plan);
    t.notOk('nat' in plan);
    return plan.pending;
  };
  t.match(absent(compile([gatewaySubnet, gateway()])), [/provider address/]);
  t.match(absent(compile([gatewaySubnet, gateway(), nat])), [
    /provider address/,
    /NAT waits for the gateway/,
  ]);
  t.match(absent(compile([provider('192.168.4.1'), nat])), [/NAT waits for a gateway/]);
  t.match(absent(compile([provider('192.168.4.1'), gateway()])), [/virtual subnet 5099/]);
  t.strictSame(compile([put('routingDomain', CONTOSO, undefined, { name: 'Contoso' })]), {
    rdid: CONTOSO,
    handle: 1,
    subnets: [],
    sources: [],
    records: [],
    wildcards: [],
    routes: [],
    ports: [],
    siteConnections: [],
    pending: [],
  });
});

t.test('customers are spread over the provider addresses, in the family of the other nodes', async (t) => {
  const own = ['192.168.4.1', '192.168.4.2', '192.168.4.3', '2001:db8:4::1'];
  const rdids = Array.from({ length: 300 }, (_, index) =>
    CONTOSO.replace(/111$/, String(index).padStart(3, '0')),
  );
  const chosen = (addresses: readonly string[], more: Put[] = []) =>
    rdids.map((rdid) => {
      const resources = [gatewaySubnet, gateway(), ...more].map((each) => ({
        ...each,
        key: { ...each.key, rdid },
      }));
      return compile([...addresses.map(provider), ...resources], rdid).context?.providerAddress ?? '';
    });
  const counts = (addresses: readonly string[]) =>
    own.map((each) => addresses.filter((one) => one === each).length);
  const all = chosen(own);
  t.ok(
    counts(all).every((count) => count > 40),
    `about a quarter each: ${counts(all)}`,
  );
  t.strictSame(chosen([...own].reverse()), all, 'the same whatever the order');

  const host = { customerAddress: '10.254.254.3', virtualSubnetId: 5099 };
  const v4 = chosen(own, [lookup('host', { ...host, providerAddress: '192.168.4.11' })]);
  t.equal(counts(v4)[3], 0, 'IPv4 to hosts with IPv4');
  const v6 = chosen(own, [lookup('host', { ...host, providerAddress: '2001:db8:4::11' })]);
  t.ok(
    v6.every((address) => address === '2001:db8:4::1'),
    'IPv6 to hosts with IPv6',
  );
  const fewer = chosen(own.filter((address) => address !== '192.168.4.2'));
  t.ok(
    fewer.every((address, index) => all[index] === '192.168.4.2' || address === all[index]),
    'only those of an address that goes move',
  );
});

t.test('copies go to every other node that has the VSID, or to the multicast group instead', async (t) => {
  const puts = [
    provider('192.168.4.1'),
    subnet(5001, ['10.1.1.0/24', '2001:db8:1::/64']),
    subnet(5002, ['10.1.2.0/24']),
    lookup('a', { customerAddress: '10.1.1.4', providerAddress: '192.168.4.100' }),
    lookup('b', { customerAddress: '2001:db8:1::4', providerAddress: '192.168.4.100' }),
    lookup('c', { customerAddress: '10.1.1.6', providerAddress: '192.168.4.1' }),
    lookup('d', { customerAddress: '10.1.1.7', providerAddress: '2001:db8:4::9', type: 'dynamic' }),
    lookup('e', { customerAddress: '::', providerAddress: '192.168.4.99', type: 'gatewayWildcard' }),
    lookup('f', { customerAddress: '0.0.0.0', providerAddress: '192.168.4.20', type: 'l2only' }),
    lookup('g', { customerAddress: '10.1.2.4', providerAddress: '192.168.4.30', virtualSubnetId: 5002 }),
  ];
  t.strictSame(compile(puts).subnets, [
    {
      vsid: 5001,
      routerAddresses: ['10.1.1.1', '2001:db8:1::1'],
      remotes: ['192.168.4.20', '192.168.4.99', '192.168.4.100', '2001:db8:4::9'],
    },
    { vsid: 5002, routerAddresses: ['10.1.2.1'], remotes: ['192.168.4.30'] },
  ]);
  const group = put('virtualSubnet', CONTOSO, '5002', {
    addressPrefixes: ['10.1.2.0/24'],
    providerMulticastAddress: 'FF18::0:1',
  });
  t.strictSame(compile([...puts, group]).subnets[1], {
    vsid: 5002,
    routerAddresses: ['10.1.2.1'],
    remotes: [],
    providerMulticastAddress: 'ff18::1',
  });
});

t.test('records say what is behind a port here and what was learned', async (t) => {
  const { records } = compile([
    provider('192.168.4.1'),
    subnet(5001, ['10.1.1.0/24', '2001:db8:1::/64']),
    lookup('far', { customerAddress: '10.1.1.4' }),
    lookup('near', { customerAddress: '2001:db8:1::5', providerAddress: '192.168.4.1' }),
    lookup('learned', { customerAddress: '10.1.1.6', type: 'dynamic' }),
    port('tap0', { customerAddresses: ['2001:db8:1::7', '10.1.1.4', '10.1.1.7'] }),
  ]);
  t.strictSame(
    records.map(({ address, providerAddress, isLocal, isDynamic }) => [
      address,
      providerAddress,
      isLocal,
      isDynamic,
    ]),
    [
      ['10.1.1.4', '192.168.4.11', false, false],
      ['10.1.1.6', '192.168.4.11', false, true],
      ['10.1.1.7', '192.168.4.1', true, false],
      ['2001:db8:1::5', '192.168.4.1', true, false],
      ['2001:db8:1::7', '192.168.4.1', true, false],
    ],
    'a port’s address without record is local; with one, the record decides',
  );
});

t.test('ports of the domain’s VSIDs compile to what their VMs may do', async (t) => {
  const { ports, pending } = compile([
    provider('192.168.4.1'),
    subnet(5001, ['10.1.1.0/24', '2001:db8:1::/64']),
    subnet(5002, ['10.1.2.0/24']),
    lookup('learn', { type: 'l2only', customerAddress: '0.0.0.0', macAddress: '02:00:00:00:00:03' }),
    lookup('router', {
      type: 'gatewayWildcard',
      customerAddress: '::',
      macAddress: '02:00:00:00:00:04',
      virtualSubnetId: 5002,
    }),
    ...['02:00:00:00:00:33', '02:00:00:00:00:32', '02:00:00:00:00:03'].map((macAddress, index) =>
      lookup(`learned${index}`, {
        ...{ type: 'dynamic', customerAddress: `10.1.1.${50 + index}`, providerAddress: '192.168.4.1' },
        ...{ macAddress, context: 'port tap3' },
      }),
    ),
    lookup('elsewhere', {
      ...{ type: 'dynamic', customerAddress: '10.1.1.60', macAddress: '02:00:00:00:00:34' },
      ...{ providerAddress: '192.168.4.9', context: 'port tap3' },
    }),
    port('tap4', { virtualSubnetId: 5002, macAddress: '02-00-00-00-00-04' }),
    port('tap3', { macAddress: '02:00:00:00:00:03' }),
    port('tap2', { macAddress: '02:00:00:00:00:04', learn: true }),
    port('tap1', {
      macAddress: '02:00:00:00:00:01',
      customerAddresses: ['2001:DB8:1::21', '10.1.1.21', '10.1.1.3'],
    }),
    put('port', undefined, 'outside', { customerAddresses: [] }),
    put('virtualSubnet', FABRIKAM, '6001', { addressPrefixes: ['10.1.1.0/24'] }),
    port('foreign', { virtualSubnetId: 6001 }),
  ]);
  const plain = {
    ...{ vsid: 5001, addresses: [], learns: false, isGateway: false, learnedMacs: [] },
    providerAddress: '192.168.4.1',
  };
  t.strictSame(pending, []);
  t.same(ports, [
    {
      ...plain,
      interface: 'tap1',
      mac: '02:00:00:00:00:01',
      addresses: ['10.1.1.3', '10.1.1.21', '2001:db8:1::21'],
    },
    { ...plain, interface: 'tap2', mac: '02:00:00:00:00:04', learns: true },
    {
      ...plain,
      interface: 'tap3',
      mac: '02:00:00:00:00:03',
      learns: true,
      learnedMacs: ['02:00:00:00:00:32', '02:00:00:00:00:33'],
    },
    { ...plain, interface: 'tap4', mac: '02:00:00:00:00:04', vsid: 5002, isGateway: true },
  ]);
});

t.test('a port tunnels from the address that a record announces for it', async (t) => {
  const own = ['192.168.4.1', '192.168.4.2', '192.168.4.3'].map(provider);
  const of = (...puts: Put[]) =>
    compile([
      ...own,
      subnet(5001, ['10.1.1.0/24']),
      port('tap0', { customerAddresses: ['10.1.1.21'] }),
      ...puts,
    ]).ports[0]?.providerAddress;
  const spread = of();
  for (const providerAddress of ['192.168.4.1', '192.168.4.2', '192.168.4.3']) {
    t.equal(of(lookup('vm', { customerAddress: '10.1.1.21', providerAddress })), providerAddress);
    const ofMac = lookup('vm', { type: 'l2only', customerAddress: '0.0.0.0', providerAddress });
    t.equal(of(ofMac), providerAddress, 'also by its MAC alone');
  }
  t.equal(of(lookup('vm', { customerAddress: '10.1.1.21' })), spread, 'not from another node’s');
});

t.test('ports wait for a provider address', async (t) => {
  const plan = compile([
    subnet(5001, ['10.1.1.0/24']),
    port('tap1'),
    port('tap0', { customerAddresses: ['10.1.1.9'] }),
  ]);
  t.strictSame([plan.ports, plan.records], [[], []]);
  t.strictSame(plan.pending, [
    'Port tap0 waits for a provider address: this node has none.',
    'Port tap1 waits for a provider address: this node has none.',
  ]);
});

t.test('a gateway of both families routes both, one of one family that one', async (t) => {
  const puts = [
    provider('2001:db8:4::1'),
    subnet(5099, ['2001:db8:99::/64', '10.254.254.0/29'], true),
    subnet(5001, ['10.1.1.0/24', '2001:db8:1::/64']),
    route('branch', '2001:db8:8000::/33', '2001:db8:1::9'),
    route('spare', '2001:db8:8000::/33', '2001:db8:1::8', 5),
    route('onlink', '2001:db8:1:0:8000::/65', '::'),
    route('default', '::/0', '2001:db8:99::2', 0, 5099),
  ];
  const both = compile([...puts, gateway(['2001:DB8:99::2', '10.254.254.2'])]);
  t.match(both.context, {
    addresses: ['10.254.254.2', '2001:db8:99::2'],
    routerAddresses: ['10.254.254.1', '2001:db8:99::1'],
    providerAddress: '2001:db8:4::1',
  });
  const v4 = ['10.1.1.0/24', '10.254.254.0/29'];
  const v6 = ['2001:db8:1::/64', '2001:db8:1:0:8000::/65', '2001:db8:99::/64', '2001:db8:8000::/33'];
  t.strictSame(both.context?.tenantPrefixes, [...v4, ...v6]);
  t.strictSame(
    both.routes.filter(({ prefix }) => prefix.startsWith('2001:db8:8000') || prefix.includes('/65')),
    [
      { prefix: '2001:db8:1:0:8000::/65', vsid: 5001 },
      { prefix: '2001:db8:8000::/33', vsid: 5001, nextHop: '2001:db8:1::9' },
    ],
  );
  t.strictSame(compile([...puts, gateway('10.254.254.2')]).context?.tenantPrefixes, v4);
  const onlyV6 = compile([...puts, gateway('2001:db8:99::2')]);
  t.strictSame(onlyV6.context?.tenantPrefixes, v6);
  t.strictSame(onlyV6.context?.routerAddresses, ['2001:db8:99::1']);
});

t.test('NAT has external addresses and mappings of both families', async (t) => {
  const { nat } = compile([
    provider('192.168.4.1'),
    gatewaySubnet,
    gateway(),
    put(
      'nat',
      CONTOSO,
      undefined,
      natPolicy({
        externalAddresses: [{ ipAddress: '2001:db8:ffff::1' }, { ipAddress: '203.0.113.9' }],
        staticMappings: [
          {
            protocol: 'tcp',
            externalIpAddress: '2001:db8:ffff::1',
            externalPort: 80,
            internalIpAddress: '2001:db8:1::4',
            internalPort: 8080,
            remoteExternalIpAddressPrefix: '::/0',
          },
        ],
      }),
    ),
  ]);
  t.match(nat, {
    externalAddresses: [{ address: '203.0.113.9' }, { address: '2001:db8:ffff::1' }],
    portMappings: [
      {
        protocol: 'tcp',
        externalAddress: '2001:db8:ffff::1',
        externalPort: 80,
        internalAddress: '2001:db8:1::4',
        internalPort: 8080,
      },
    ],
  });
});
