/** Each rule between resources broken in turn. */
import t, { type Test } from 'tap';
import type { ErrorCode } from '../../src/errors.ts';
import { normalize } from '../../src/policy/normalize.ts';
import type { ProviderAddress, ProviderRoute, VmPort } from '../../src/policy/resources.ts';
import { gatewayMac } from '../../src/policy/router.ts';
import { checkDelete, checkPut } from '../../src/policy/rules.ts';
import type { DesiredState } from '../../src/policy/state.ts';
import type { ResourceKey } from '../../src/store/store.ts';
import { natPolicy } from '../lab/nat-policy.ts';
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
  put(
    'nat',
    rdid,
    undefined,
    natPolicy({
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
    }),
  );
const PORT_MAC = '02:00:00:00:00:21';
const port = (overrides: Partial<VmPort> = {}, name = 'tap0') =>
  put('port', undefined, name, {
    virtualSubnetId: 5001,
    macAddress: PORT_MAC,
    customerAddresses: ['10.1.1.21'],
    ...overrides,
  });
const otherPort = (overrides: Partial<VmPort>) => port({ customerAddresses: [], ...overrides }, 'tap1');
const providerRoute = (overrides: Partial<ProviderRoute> = {}, id = 'new') =>
  put('providerRoute', undefined, id, {
    interface: 'pa0',
    destinationPrefix: '198.51.100.0/24',
    nextHop: '192.168.4.254',
    metric: 0,
    ...overrides,
  });
const providerAddress = (address: string, overrides: Partial<ProviderAddress> = {}) =>
  put('providerAddress', undefined, address, { interface: 'pa0', prefixLength: 24, ...overrides });
/** The subnet of both families, in which IPv6 addresses are tried. */
const subnet6 = subnet(5006, ['10.6.0.0/24', '2001:db8:6::/64']);
/** As many records of VSID 5006, each with a provider address of its own. */
const crowd = (count: number) =>
  Array.from({ length: count }, (_, index) =>
    put(
      'lookupRecord',
      CONTOSO,
      `crowd${index}`,
      record({
        virtualSubnetId: 5006,
        customerAddress: `2001:db8:6::1:${index.toString(16)}`,
        providerAddress: `192.168.${8 + (index >> 8)}.${index & 255}`,
      }),
    ),
  );
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
    rule: 'external-address-available',
    pointer: '/externalAddresses/0/ipAddress',
    shown: '203.0.113.20',
  },
  {
    name: 'an external address that is a provider address',
    put: nat('192.168.4.1'),
    ...conflict,
    rule: 'external-address-available',
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
  ...['::', '::1', 'fe80::1', 'ff02::1', '2001:DB8::1', '::ffff:192.168.4.1'].map(
    (address): Refusal => ({
      name: `${address} as provider address`,
      put: providerAddress(address, { prefixLength: 64 }),
      ...invalid,
      rule: 'provider-address-unicast',
      shown: address,
    }),
  ),
  {
    name: 'a provider address on the interface of a port',
    put: providerAddress('192.168.4.2', { interface: 'tap0' }),
    more: [port()],
    ...conflict,
    rule: 'provider-interface-port',
    pointer: '/interface',
    shown: 'tap0',
  },
  {
    name: 'a provider prefix that leaves a next hop outside',
    put: providerAddress('192.168.4.1', { prefixLength: 30 }),
    more: [providerRoute()],
    ...inUse,
    rule: 'provider-address-in-use',
    pointer: '/prefixLength',
    shown: 'provider route new',
  },
  {
    name: 'a provider address that leaves the interface of a route',
    put: providerAddress('192.168.4.1', { interface: 'pa1' }),
    more: [providerRoute()],
    ...inUse,
    rule: 'provider-address-in-use',
    pointer: '/interface',
    shown: 'provider route new',
  },

  // Provider routes
  {
    name: 'a provider route with a blank in its id',
    put: providerRoute({}, 'a b'),
    ...invalid,
    rule: 'resource-id',
    shown: 'a b',
  },
  {
    name: 'a provider route to no neighbour',
    put: providerRoute({ nextHop: '192.168.5.1' }),
    ...invalid,
    rule: 'provider-route-neighbour',
    ...nextHop,
    shown: '192.168.5.1',
  },
  {
    name: 'a provider route to a neighbour on another interface',
    put: providerRoute({ interface: 'pa1' }),
    ...invalid,
    rule: 'provider-route-neighbour',
    ...nextHop,
    shown: 'pa1',
  },
  {
    name: 'a provider route to this node itself',
    put: providerRoute({ nextHop: '192.168.4.1' }),
    ...invalid,
    rule: 'provider-route-neighbour',
    ...nextHop,
    shown: '192.168.4.1',
  },
  {
    name: 'an IPv6 provider route to no neighbour',
    put: providerRoute({ destinationPrefix: '2001:db8:5::/48', nextHop: '2001:db8:4::1' }),
    ...invalid,
    rule: 'provider-route-neighbour',
    ...nextHop,
    shown: '2001:db8:4::1',
  },
  {
    name: 'a provider destination and metric twice',
    put: providerRoute(),
    more: [providerRoute({ nextHop: '192.168.4.253' }, 'old')],
    ...conflict,
    rule: 'provider-route-unique',
    pointer: '/destinationPrefix',
    shown: 'provider route old',
  },

  // Ports
  ...['a b', 'a/b', 'a:b', '', '.', '..', 'sixteen-letters-', 'tàp'].map(
    (name): Refusal => ({
      name: `a port on interface "${name}"`,
      put: port({}, name),
      ...invalid,
      rule: 'interface-name',
      shown: name,
    }),
  ),
  {
    name: 'a port on the interface of a provider address',
    put: port({}, 'pa0'),
    ...conflict,
    rule: 'port-provider-interface',
    shown: '192.168.4.1',
  },
  {
    name: 'a port in a VSID of nobody',
    put: port({ virtualSubnetId: 7777 }),
    ...invalid,
    rule: 'port-vsid',
    pointer: '/virtualSubnetId',
    shown: '7777',
  },
  {
    name: 'a port with an address outside its subnet',
    put: port({ customerAddresses: ['10.1.1.21', '10.1.2.21'] }),
    ...inPrefix,
    pointer: '/customerAddresses/1',
    shown: '10.1.2.21',
  },
  {
    name: 'a port with the .1',
    put: port({ customerAddresses: ['10.1.1.1'] }),
    ...reserved,
    ...gatewayAddress,
    shown: '10.1.1.1',
  },
  {
    name: 'a port with the IPv6 .1',
    put: port({ virtualSubnetId: 5006, customerAddresses: ['2001:db8:6::1'] }),
    more: [subnet6],
    ...reserved,
    ...gatewayAddress,
    shown: '2001:db8:6::1',
  },
  {
    name: 'a port with the broadcast address',
    put: port({ customerAddresses: ['10.1.1.255'] }),
    ...ofHost,
    ...gatewayAddress,
    shown: '10.1.1.255',
  },
  {
    name: 'a port with the MAC of another one',
    put: otherPort({}),
    more: [port()],
    ...conflict,
    rule: 'port-mac-unique',
    pointer: '/macAddress',
    shown: 'port tap0',
  },
  {
    name: 'a port with the address of another one',
    put: otherPort({ macAddress: '02:00:00:00:00:22', customerAddresses: ['10.1.1.22', '10.1.1.21'] }),
    more: [port()],
    ...conflict,
    rule: 'port-address-unique',
    pointer: '/customerAddresses/1',
    shown: 'port tap0',
  },
  {
    name: "a port with the MAC of this node's gateway",
    put: port({ virtualSubnetId: 5099, macAddress: GATEWAY_MAC, customerAddresses: [] }),
    ...conflict,
    rule: 'port-mac-unique',
    pointer: '/macAddress',
    shown: GATEWAY_MAC,
  },
  {
    name: "a port with the address of this node's gateway",
    put: port({ virtualSubnetId: 5099, customerAddresses: ['10.254.254.2'] }),
    ...conflict,
    rule: 'port-address-unique',
    ...gatewayAddress,
    shown: '10.254.254.2',
  },
  {
    name: 'a gateway with the MAC of a port',
    put: gateway(5099, '10.254.254.2', PORT_MAC),
    more: [
      port({ virtualSubnetId: 5099, customerAddresses: [] }),
      put(
        'lookupRecord',
        CONTOSO,
        'gw',
        record({ customerAddress: '10.254.254.2', virtualSubnetId: 5099, macAddress: PORT_MAC }),
      ),
    ],
    ...conflict,
    rule: 'gateway-port',
    pointer: '/macAddress',
    shown: 'port tap0',
  },
  {
    name: 'a gateway with the address of a port',
    put: gateway(5099, '10.254.254.3'),
    more: [port({ virtualSubnetId: 5099, customerAddresses: ['10.254.254.3'] })],
    ...conflict,
    rule: 'gateway-port',
    ...gatewayAddress,
    shown: 'port tap0',
  },
  {
    name: 'a prefix that leaves a port outside',
    put: subnet(5006, ['10.6.0.0/24', '2001:db8:6::/96']),
    more: [subnet6, port({ virtualSubnetId: 5006, customerAddresses: ['10.6.0.9', '2001:db8:6::1:0:9'] })],
    ...subnetInUse,
    shown: 'customer address 2001:db8:6::1:0:9 of port tap0',
  },

  // IPv6
  {
    name: 'an IPv6 prefix inside one of another subnet',
    put: subnet(5003, ['10.3.0.0/24', '2001:db8:6:0:8000::/65']),
    more: [subnet6],
    ...conflict,
    rule: 'prefix-overlap',
    pointer: '/addressPrefixes/1',
    shown: '2001:db8:6::/64',
  },
  {
    name: 'an IPv6 record outside its subnet',
    put: newRecord({ virtualSubnetId: 5006, customerAddress: '2001:db8:7::4' }),
    more: [subnet6],
    ...inPrefix,
    ...customerAddress,
    shown: '2001:db8:7::4',
  },
  {
    name: 'a record of the anycast address of a subnet’s routers',
    put: newRecord({ virtualSubnetId: 5006, customerAddress: '2001:db8:6::' }),
    more: [subnet6],
    ...ofHost,
    ...customerAddress,
    shown: 'anycast',
  },
  {
    name: 'a record of the IPv6 .1',
    put: newRecord({ virtualSubnetId: 5006, customerAddress: '2001:db8:6::1' }),
    more: [subnet6],
    ...reserved,
    ...customerAddress,
    shown: '2001:db8:6::1',
  },
  {
    name: 'an on-link IPv6 route outside its subnet',
    put: route(5006, '2001:db8:7::/64', '::'),
    more: [subnet6],
    ...invalid,
    rule: 'on-link-in-subnet',
    pointer: '/destinationPrefix',
    shown: '2001:db8:7::/64',
  },
  {
    name: 'an IPv6 next hop outside the subnet',
    put: route(5006, '::/0', '2001:db8:7::9'),
    more: [subnet6],
    ...inPrefix,
    ...nextHop,
    shown: '2001:db8:7::9',
  },
  {
    name: 'a mapping to no IPv6 subnet',
    put: nat('2001:db8:f::1', '2001:db8:7::4'),
    more: [subnet6],
    ...inPrefix,
    ...internal,
    shown: '2001:db8:7::4',
  },
  {
    name: 'a gateway outside the IPv6 prefix of its subnet',
    put: gateway(5099, '2001:db8:99::2'),
    ...inPrefix,
    ...gatewayAddress,
    shown: '2001:db8:99::2',
  },

  // Copies of broadcasts
  {
    name: 'provider address 257 of a subnet',
    put: newRecord({ virtualSubnetId: 5006, customerAddress: '10.6.0.9', providerAddress: '192.168.99.1' }),
    more: [subnet6, ...crowd(256)],
    ...conflict,
    rule: 'subnet-provider-addresses',
    pointer: '/providerAddress',
    shown: '192.168.99.1',
  },
  {
    name: 'a multicast group taken from a subnet of 257 provider addresses',
    put: subnet6,
    more: [
      put('virtualSubnet', CONTOSO, '5006', { ...subnet6.value, providerMulticastAddress: '239.0.0.6' }),
      ...crowd(257),
    ],
    ...inUse,
    rule: 'subnet-provider-addresses',
    pointer: '/providerMulticastAddress',
    shown: '257 provider addresses',
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
    name: 'a port',
    key: { kind: 'virtualSubnet', rdid: CONTOSO, id: '5001' },
    shown: 'port tap0',
    puts: [subnet(5001, ['10.1.1.0/24']), port({ customerAddresses: [] })],
  },
  {
    name: 'a static mapping',
    key: { kind: 'virtualSubnet', rdid: CONTOSO, id: '5001' },
    shown: 'static mapping or oneToOne to 10.1.1.4',
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
    { kind: 'providerRoute', id: 'fabric' },
    { kind: 'port', id: 'tap0' },
  ];
  for (const key of keys) {
    t.equal(refusalOf(() => checkDelete(state, key)).code, 'HNV_NOT_FOUND', JSON.stringify(key));
  }
});

t.test('a routing domain with ports of VMs is not deleted', async (t) => {
  const key = { kind: 'routingDomain', rdid: CONTOSO } as const;
  const puts = [subnet(5001, ['10.1.1.0/24']), port({ customerAddresses: [] })];
  expectRefusal(t, () => checkDelete(stateOf(puts), key), {
    ...inUse,
    rule: 'routing-domain-in-use',
    shown: 'port tap0',
  });
  const foreign = put('virtualSubnet', FABRIKAM, '6001', { addressPrefixes: ['10.1.1.0/24'] });
  const elsewhere = port({ virtualSubnetId: 6001 });
  t.doesNotThrow(() => checkDelete(stateOf([...puts.slice(0, 1), foreign, elsewhere]), key));
});

t.test('a provider address that a provider route needs is not deleted', async (t) => {
  const key = { kind: 'providerAddress', id: '192.168.4.1' } as const;
  const puts = [providerAddress('192.168.4.1'), providerRoute()];
  expectRefusal(t, () => checkDelete(stateOf(puts), key), {
    ...inUse,
    rule: 'provider-address-in-use',
    shown: 'provider route new',
  });
  t.doesNotThrow(() => checkDelete(stateOf([...puts, providerAddress('192.168.4.2')]), key));
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
  accepted.push(
    subnet6,
    providerAddress('2001:db8:4::1', { prefixLength: 64, vlanId: 7, macAddress: '02-00-00-00-00-07' }),
    providerAddress('192.168.4.1', { prefixLength: 23 }),
    providerRoute(),
    port(),
    port({ virtualSubnetId: 6001 }),
    port({ virtualSubnetId: 5099, customerAddresses: ['10.254.254.3'] }),
    put('port', undefined, 'fifteen-letters', { customerAddresses: [] }),
  );
  for (const change of accepted) t.doesNotThrow(() => check(state, change), JSON.stringify(change));
});

t.test('IPv6 is accepted wherever IPv4 is, beside it and alone', async (t) => {
  const gateways = subnet(5099, ['10.254.254.0/29', '2001:db8:99::/126'], true);
  const state = stateOf([
    ...twoTenants(),
    ...[subnet6, gateways, providerAddress('2001:db8:4::1', { prefixLength: 64 })],
    port(),
  ]);
  const in6 = (address: string, overrides: Parameters<typeof record>[0] = {}) =>
    newRecord({ virtualSubnetId: 5006, customerAddress: address, ...overrides });
  const accepted: Put[] = [
    in6('2001:db8:6::2'),
    in6('2001:db8:6::ffff:ffff:ffff:ffff', { providerAddress: '2001:db8:4::11' }),
    in6('10.6.0.9', { providerAddress: '2001:db8:4::11' }),
    in6('::', { type: 'l2only' }),
    in6('::', { type: 'gatewayWildcard', providerAddress: '2001:db8:4::11' }),
    route(5006, '::/0', '2001:db8:6::9'),
    route(5006, '2001:db8:6:0:1::/80', '::'),
    route(5099, '::/0', '2001:db8:99::2', 0, 'default6'),
    put('gateway', CONTOSO, undefined, {
      virtualSubnetId: 5099,
      customerAddresses: ['10.254.254.2', '2001:db8:99::3'],
      macAddress: GATEWAY_MAC,
    }),
    gateway(5099, '2001:db8:99::2'),
    nat('2001:db8:f::1', '2001:db8:6::4'),
    providerRoute({ destinationPrefix: '2001:db8:5::/48', nextHop: '2001:db8:4::fe' }),
    port({ customerAddresses: ['10.1.1.22'], macAddress: '02:00:00:00:00:22' }, 'tap1'),
    otherPort({ virtualSubnetId: 5006, customerAddresses: ['2001:db8:6::21', '10.6.0.21'] }),
    otherPort({ virtualSubnetId: 6001, customerAddresses: ['10.1.1.21'] }),
    put('virtualSubnet', CONTOSO, '5006', { ...subnet6.value, providerMulticastAddress: 'ff18::6' }),
  ];
  for (const change of accepted) t.doesNotThrow(() => check(state, change), JSON.stringify(change));
});

t.test('a subnet has 256 provider addresses, and more with a multicast group', async (t) => {
  const far = { virtualSubnetId: 5006, customerAddress: '10.6.0.9', providerAddress: '192.168.99.1' };
  const full = stateOf([subnet6, ...crowd(256)]);
  t.doesNotThrow(() => check(stateOf([subnet6, ...crowd(255)]), newRecord(far)));
  const known = newRecord({ ...far, providerAddress: '192.168.8.7' });
  t.doesNotThrow(() => check(full, known), 'one more record of one of them');
  const moved = put(
    'lookupRecord',
    CONTOSO,
    'crowd3',
    record({ ...far, customerAddress: '2001:db8:6::1:3' }),
  );
  t.doesNotThrow(() => check(full, moved), 'in the place of one of them');
  const group = { ...subnet6.value, providerMulticastAddress: '239.0.0.6' };
  const withGroup = put('virtualSubnet', CONTOSO, '5006', group);
  t.doesNotThrow(() => check(stateOf([withGroup, ...crowd(256)]), newRecord(far)));
  t.doesNotThrow(() => check(stateOf([withGroup, ...crowd(256)]), subnet6), 'without the group again');
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

t.test('records and routes are checked in the same time in a domain of 50,000', async (t) => {
  const puts: Put[] = [subnet(5001, ['10.0.0.0/8'])];
  for (let index = 0; index < 50_000; index++) {
    const address = `10.${1 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;
    puts.push(put('lookupRecord', CONTOSO, `vm${index}`, record({ customerAddress: address })));
    puts.push(route(5001, `172.16.0.0/16`, '10.1.0.9', index, `r${index}`));
  }
  const state = stateOf(puts);
  const domain = state.domains.get(CONTOSO);
  let scans = 0;
  const watch = <V>(map: ReadonlyMap<string, V>): ReadonlyMap<string, V> =>
    new Proxy(map, {
      get(target, property) {
        if (property !== 'get' && property !== 'has') scans++;
        const member: unknown = Reflect.get(target, property, target);
        return typeof member === 'function' ? member.bind(target) : member;
      },
    });
  if (domain === undefined) throw new Error('no domain');
  const lookupRecords = watch(domain.lookupRecords);
  const customerRoutes = watch(domain.customerRoutes);
  const watched = {
    ...state,
    domains: new Map([[CONTOSO, { ...domain, lookupRecords, customerRoutes }]]),
  };
  t.doesNotThrow(() => check(watched, newRecord({ customerAddress: '10.9.9.9' })));
  const taken = newRecord({ customerAddress: '10.1.0.77' });
  t.equal(refusalOf(() => check(watched, taken)).rule, 'customer-address-unique');
  t.doesNotThrow(() => check(watched, route(5001, '172.16.0.0/16', '10.1.0.9', 60_000)));
  const same = route(5001, '172.16.0.0/16', '10.1.0.8', 40_000);
  t.equal(refusalOf(() => check(watched, same)).rule, 'route-unique');
  t.equal(scans, 0, 'never walks over records or routes');
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
