/** What the compiler makes of site connections. */
import t from 'tap';
import { compileDomain } from '../../src/policy/compile.ts';
import type { DesiredState } from '../../src/policy/state.ts';
import { natPolicy } from '../lab/nat-policy.ts';
import {
  anyPeer,
  branch,
  certificates,
  hq,
  psk,
  type SiteInput,
  site,
  siteInput,
} from '../lab/site-policy.ts';
import { CONTOSO, type Put, put, stateOf } from './policy-state.ts';

const ipAddress = '203.0.113.10';
const second = '203.0.113.11';
const subnet = (vsid: number, addressPrefixes: string[]) =>
  put('virtualSubnet', CONTOSO, String(vsid), { addressPrefixes });
const siteOf = (name: string, more: SiteInput = {}) => put('siteConnection', CONTOSO, name, siteInput(more));
const both = put(
  'nat',
  CONTOSO,
  undefined,
  natPolicy({ externalAddresses: [{ ipAddress: second, portStart: 1, portEnd: 2047 }, { ipAddress }] }),
);

function compile(
  puts: readonly Put[],
  node: Partial<DesiredState> & { uplinkAddresses?: Map<string, string> } = {},
) {
  const state = stateOf(puts);
  const domain = state.domains.get(CONTOSO);
  if (domain === undefined) throw new Error('no Contoso');
  return compileDomain(domain, { ...state, ...node });
}

const gateway: Put[] = [
  put('providerAddress', undefined, '192.168.4.1', { interface: 'pa0', prefixLength: 24 }),
  put('virtualSubnet', CONTOSO, '5099', { addressPrefixes: ['10.254.254.0/29'], isGatewaySubnet: true }),
  put('gateway', CONTOSO, undefined, { virtualSubnetId: 5099, customerAddresses: ['10.254.254.2'] }),
];

t.test('connections compile to plans in order, with every default', async (t) => {
  const { nat, siteConnections, pending } = compile([
    ...gateway,
    subnet(5001, ['10.1.1.0/24', 'fd00:1::/64']),
    both,
    siteOf('b', {
      ...{ destination: [branch, hq], localAddress: second, localSubnets: ['10.1.1.0/25', '10.1.0.0/16'] },
      ...{
        authentication: certificates({ remoteId: 'CN=*' }),
        txBandwidthKbps: 8,
        idleDisconnectSeconds: 60,
      },
      ...{
        initiate: 'onTraffic',
        subnets: [{ prefix: '192.168.50.0/24', metric: 9 }, { prefix: '10.7.0.0/16' }],
      },
    }),
    siteOf('a', { subnets: [{ prefix: '192.168.50.0/24' }, { prefix: '192.168.48.0/21' }] }),
    siteOf('c', { destination: branch, mobike: true }),
    siteOf('d', anyPeer()),
    siteOf('e', { destination: [hq, branch], localAddress: second, authentication: psk({ localId: 'us' }) }),
  ]);
  t.strictSame(pending, []);
  t.strictSame(
    siteConnections.map(({ name }) => name),
    ['a', 'b', 'c', 'd', 'e'],
  );
  const { mainMode, quickMode } = site();
  const [a, b, c, d, e] = siteConnections;
  t.strictSame(a, {
    name: 'a',
    localAddress: ipAddress,
    destinations: [hq],
    authentication: psk({ localId: ipAddress, remoteId: hq }),
    localPrefixes: ['10.1.1.0/24', '10.254.254.0/29'],
    subnets: [
      { prefix: '192.168.48.0/21', metric: 0 },
      { prefix: '192.168.50.0/24', metric: 0 },
    ],
    ...{ mainMode, quickMode, initiate: 'start', mobike: false },
  });
  t.strictSame(b, {
    name: 'b',
    localAddress: second,
    destinations: [branch, hq],
    authentication: { ...certificates({ remoteId: 'CN=*' }), localId: undefined },
    localPrefixes: ['10.1.0.0/16', '10.1.1.0/25'],
    subnets: [
      { prefix: '10.7.0.0/16', metric: 0 },
      { prefix: '192.168.50.0/24', metric: 9 },
    ],
    ...{ mainMode, quickMode, initiate: 'onTraffic', mobike: false },
    ...{ idleDisconnectSeconds: 60, txBandwidthKbps: 8 },
  });
  t.match(c, { mobike: true, destinations: [branch] });
  t.match(d, { destinations: [], authentication: { localId: ipAddress, remoteId: 'branch.example' } });
  t.match(e, { authentication: { localId: 'us', remoteId: undefined } });
  t.strictSame(nat?.peers, [
    { localAddress: ipAddress },
    { localAddress: ipAddress, remoteAddress: hq },
    { localAddress: second, remoteAddress: hq },
    { localAddress: second, remoteAddress: branch },
  ]);
  t.strictSame(nat?.sitePrefixes, ['10.7.0.0/16', '192.168.48.0/21']);
});

t.test('what a connection waits for is said, and its prefixes stay behind tunnels', async (t) => {
  const ready = [
    subnet(5001, ['10.1.1.0/24']),
    both,
    siteOf('hq'),
    siteOf('v6', { subnets: [{ prefix: 'fd00:9::/64' }], destination: branch }),
  ];
  const absent = compile(ready);
  t.strictSame(absent.siteConnections, []);
  t.strictSame(absent.pending, [
    'NAT and site connections wait for a gateway: the routing domain has none on this node.',
  ]);
  t.match(compile([...gateway.slice(1), ...ready]).pending, [
    /provider address/,
    /NAT and site connections wait for the gateway/,
  ]);

  const there = compile([...gateway, ...ready]);
  t.strictSame(
    there.siteConnections.map(({ name }) => name),
    ['hq'],
  );
  t.strictSame(there.pending, [
    'Site connection v6 waits for a virtual subnet of the family of its prefixes.',
  ]);
  t.strictSame(there.nat?.peers, [{ localAddress: ipAddress, remoteAddress: hq }]);
  t.strictSame(there.nat?.sitePrefixes, ['192.168.50.0/24', 'fd00:9::/64']);

  const withheld = compile([...gateway, ...ready], {
    uplinkAddresses: new Map([[ipAddress, 'the router’s']]),
  });
  t.strictSame(withheld.siteConnections, []);
  t.match(withheld.pending, [
    'Site connection hq waits for another local address: 203.0.113.10 is the router’s.',
  ]);
  t.strictSame(withheld.nat?.peers, []);

  const sealed = siteOf('hq', { authentication: { method: 'psk' } });
  t.match(compile([...gateway, ...ready.slice(0, 2), sealed]), {
    siteConnections: [],
    pending: [/^Site connection hq waits for its secret: .*this node’s key.*write it again\.$/],
  });

  const weak = [
    ...gateway,
    ...ready.slice(0, 2),
    siteOf('old', { quickMode: { encryptionAlgorithms: ['DES3'] } }),
  ];
  t.match(compile(weak), {
    siteConnections: [],
    pending: [/^Site connection old waits .*allowWeakAlgorithms.* DES3 is\.$/],
  });
  t.match(compile(weak, { allowsWeakAlgorithms: true }), { siteConnections: [{ name: 'old' }], pending: [] });
});
