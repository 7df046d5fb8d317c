/** What the compiler makes of a domain, item by item of its plan. */
import t from 'tap';
import { compileDomain } from '../../src/policy/compile.ts';
import type { DomainPlan } from '../../src/policy/plan.ts';
import type { StaticMapping } from '../../src/policy/resources.ts';
import { gatewayMac, routerMac } from '../../src/policy/router.ts';
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
const gateway = (customerAddress = '10.254.254.2', macAddress?: string) =>
  put('gateway', CONTOSO, undefined, {
    virtualSubnetId: 5099,
    customerAddresses: [customerAddress],
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
  vsids: [5001, 5002, 5099],
  sources: ['192.168.4.11'],
  records: [
    { address: '10.1.1.4', vsid: 5001, mac: '00:15:5d:00:00:04', providerAddress: '192.168.4.11' },
    { address: '10.254.254.2', vsid: 5099, mac: GATEWAY_MAC, providerAddress: '192.168.4.1' },
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
  pending: [],
  context: {
    vsid: 5099,
    address: '10.254.254.2',
    mac: GATEWAY_MAC,
    routerAddress: '10.254.254.1',
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

t.test('wildcards are the gatewayWildcard records, each pair once', async (t) => {
  const wildcard = { type: 'gatewayWildcard', customerAddress: '0.0.0.0' } as const;
  const { wildcards } = compile([
    lookup('a', { ...wildcard, providerAddress: '192.168.4.100' }),
    lookup('b', { ...wildcard, providerAddress: '192.168.4.20' }),
    lookup('c', { ...wildcard, providerAddress: '192.168.4.20', virtualSubnetId: 5002 }),
    lookup('d', { ...wildcard, macAddress: '00:00:00:00:00:01', providerAddress: '192.168.4.100' }),
    lookup('e', { customerAddress: '0.0.0.0', type: 'l2only' }),
  ]);
  t.strictSame(wildcards, [
    { mac: '00:00:00:00:00:01', providerAddress: '192.168.4.100' },
    { mac: '00:15:5d:00:00:04', providerAddress: '192.168.4.20' },
    { mac: '00:15:5d:00:00:04', providerAddress: '192.168.4.100' },
  ]);
});

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
  t.equal(compile(node).context?.providerAddress, '192.168.4.20', 'the lowest without a record');
  const told = lookup('gw', { ...own, providerAddress: '192.168.4.100' });
  t.equal(compile([...node, told]).context?.providerAddress, '192.168.4.100');
  const foreign = lookup('gw', { ...own, providerAddress: '192.168.4.77' });
  t.equal(
    compile([...node, foreign]).context?.providerAddress,
    '192.168.4.20',
    'the lowest when told another node',
  );
});

t.test('the router address is the .1 of the prefix that the gateway is in', async (t) => {
  const plan = compile([
    provider('192.168.4.1'),
    subnet(5099, ['10.9.0.0/24', '10.254.254.8/29'], true),
    gateway('10.254.254.10'),
  ]);
  t.equal(plan.context?.routerAddress, '10.254.254.9');
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
    put('nat', CONTOSO, undefined, {
      externalAddresses: [
        { ipAddress: '203.0.113.10', portStart: 1024, portEnd: 2047 },
        { ipAddress: '203.0.113.9' },
      ],
      staticMappings: [
        mapping({ externalIpAddress: '203.0.113.10' }),
        mapping({ externalPort: 1000, remoteExternalIpAddressPrefix: '0.0.0.0/0' }),
        mapping({ protocol: 'udp', externalPort: 53 }),
        mapping({ remoteExternalIpAddressPrefix: '198.51.100.0/24' }),
        mapping({ remoteExternalIpAddressPrefix: '192.0.2.0/24' }),
      ],
    }),
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
    { ...tcp, externalAddress: '203.0.113.10', externalPort: 80 },
  ]);
});

t.test('a plan says what is asked for but not there', async (t) => {
  const nat = put('nat', CONTOSO, undefined, {
    externalAddresses: [{ ipAddress: '203.0.113.10' }],
    staticMappings: [],
  });
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
    vsids: [],
    sources: [],
    records: [],
    wildcards: [],
    routes: [],
    pending: [],
  });
});
