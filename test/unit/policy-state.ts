/**
 * Desired states for the tests of rules and compiler: resources are put in as a user would write them, normalized, and
 * indexed as the store does it, without checking any rule between resources.
 */
import { HnvError } from '../../src/errors.ts';
import { normalize } from '../../src/policy/normalize.ts';
import type {
  Bgp,
  CustomerRoute,
  ExternalAddressPool,
  Forwarding,
  Gateway,
  LookupRecord,
  Nat,
  ProviderAddress,
  ProviderRoute,
  ResourceKind,
  ResourceTypes,
  RoutingDomain,
  SiteConnection,
  VirtualSubnet,
  VmPort,
} from '../../src/policy/resources.ts';
import { destinationKey } from '../../src/policy/rules/customer-route.ts';
import { hasCustomerAddress } from '../../src/policy/rules/lookup-record.ts';
import type { DesiredState, DomainState } from '../../src/policy/state.ts';
import { ExternalOwners } from '../../src/store/external-owners.ts';
import { ForwardingOwners } from '../../src/store/forwarding-owners.ts';
import type { ResourceKey } from '../../src/store/store.ts';
import { forGood } from '../../src/store/undo.ts';
import { natPolicy } from '../lab/nat-policy.ts';

export const CONTOSO = '11111111-1111-1111-1111-111111111111';
export const FABRIKAM = '22222222-2222-2222-2222-222222222222';

export interface Put<K extends ResourceKind = ResourceKind> {
  key: ResourceKey<K>;
  value: ResourceTypes[K];
}

/** Keeps kind and value together, which a literal in an array of puts would not. */
export function put<K extends ResourceKind>(
  kind: K,
  rdid: string | undefined,
  id: string | undefined,
  value: ResourceTypes[K],
): Put<K> {
  return {
    key: { kind, ...(rdid !== undefined && { rdid }), ...(id !== undefined && { id }) },
    value,
  };
}

interface MutableDomain extends DomainState {
  domain: RoutingDomain;
  virtualSubnets: Map<number, VirtualSubnet>;
  lookupRecords: Map<string, LookupRecord>;
  recordByAddress: Map<string, string>;
  providerAddressUse: Map<number, Map<string, number>>;
  customerRoutes: Map<string, CustomerRoute>;
  routeByDestination: Map<string, string>;
  gateway?: Gateway;
  nat?: Nat;
  forwarding?: Forwarding;
  bgp?: Bgp;
  siteConnections: Map<string, SiteConnection>;
}

/** Interfaces for forwarding of the states here. */
export const UPLINKS = ['eth0', 'eth1'];

/** The state after all puts; a domain comes into being with the first resource that is put into it. */
export function stateOf(puts: readonly Put[]): DesiredState {
  const domains = new Map<string, MutableDomain>();
  const providerAddresses = new Map<string, ProviderAddress>();
  const providerRoutes = new Map<string, ProviderRoute>();
  const ports = new Map<string, VmPort>();
  const portsByVsid = new Map<number, Set<string>>();
  const vsidOwners = new Map<number, string>();
  const externals = new ExternalOwners();
  const forwardings = new ForwardingOwners(UPLINKS);
  const externalAddressPools = new Map<string, ExternalAddressPool>();

  for (const { key, value } of puts) {
    const id = key.id ?? '';
    if (key.kind === 'providerAddress') {
      providerAddresses.set(id, normalize('providerAddress', value as ProviderAddress));
      continue;
    }
    if (key.kind === 'providerRoute') {
      providerRoutes.set(id, normalize('providerRoute', value as ProviderRoute));
      continue;
    }
    if (key.kind === 'externalAddressPool') {
      externalAddressPools.set(id, normalize('externalAddressPool', value as ExternalAddressPool));
      continue;
    }
    if (key.kind === 'port') {
      const port = normalize('port', value as VmPort);
      ports.set(id, port);
      const vsid = port.virtualSubnetId;
      if (vsid !== undefined) portsByVsid.set(vsid, (portsByVsid.get(vsid) ?? new Set()).add(id));
      continue;
    }
    const rdid = key.rdid ?? '';
    const domain = domains.get(rdid) ?? emptyDomain(rdid);
    domains.set(rdid, domain);
    switch (key.kind) {
      case 'routingDomain':
        domain.domain = normalize('routingDomain', value as RoutingDomain);
        break;
      case 'virtualSubnet':
        domain.virtualSubnets.set(Number(id), normalize('virtualSubnet', value as VirtualSubnet));
        vsidOwners.set(Number(id), rdid);
        break;
      case 'lookupRecord': {
        const record = normalize('lookupRecord', value as LookupRecord);
        domain.lookupRecords.set(id, record);
        if (hasCustomerAddress(record.type)) domain.recordByAddress.set(record.customerAddress, id);
        const use = domain.providerAddressUse.get(record.virtualSubnetId) ?? new Map<string, number>();
        domain.providerAddressUse.set(record.virtualSubnetId, use);
        use.set(record.providerAddress, (use.get(record.providerAddress) ?? 0) + 1);
        break;
      }
      case 'customerRoute': {
        const route = normalize('customerRoute', value as CustomerRoute);
        domain.customerRoutes.set(id, route);
        domain.routeByDestination.set(destinationKey(route), id);
        break;
      }
      case 'gateway':
        domain.gateway = normalize('gateway', value as Gateway);
        break;
      case 'nat':
        domain.nat = normalize('nat', value as Nat);
        externals.take(rdid, domain.nat, externalAddressPools, forGood);
        break;
      case 'forwarding':
        domain.forwarding = normalize('forwarding', value as Forwarding);
        forwardings.take(rdid, domain.forwarding, forGood);
        break;
      case 'bgp':
        domain.bgp = normalize('bgp', value as Bgp);
        break;
      case 'siteConnection':
        domain.siteConnections.set(id, normalize('siteConnection', value as SiteConnection));
        break;
    }
  }
  return {
    ...{ domains, providerAddresses, providerRoutes, ports, portsByVsid },
    ...{ vsidOwners, externals, externalAddressPools, forwardings, uplinks: UPLINKS },
    allowsWeakAlgorithms: false,
  };
}

function emptyDomain(rdid: string): MutableDomain {
  return {
    rdid,
    handle: rdid === CONTOSO ? 1 : 2,
    domain: { name: rdid },
    virtualSubnets: new Map(),
    lookupRecords: new Map(),
    recordByAddress: new Map(),
    providerAddressUse: new Map(),
    customerRoutes: new Map(),
    routeByDestination: new Map(),
    siteConnections: new Map(),
  };
}

/** A record of a VM with the address in VSID 5001, for tests to vary. */
export function record(overrides: Partial<LookupRecord> = {}): LookupRecord {
  return {
    customerAddress: '10.1.1.4',
    virtualSubnetId: 5001,
    macAddress: '00:15:5d:00:00:04',
    providerAddress: '192.168.4.11',
    type: 'static',
    ...overrides,
  };
}

export const GATEWAY_MAC = '02:00:00:00:00:fe';

/** Two tenants with the same addresses; Contoso has one of everything. */
export function twoTenants(): Put[] {
  return [
    put('providerAddress', undefined, '192.168.4.1', { interface: 'pa0', prefixLength: 24 }),
    put('routingDomain', CONTOSO, undefined, { name: 'Contoso' }),
    put('virtualSubnet', CONTOSO, '5001', { addressPrefixes: ['10.1.1.0/24'] }),
    put('virtualSubnet', CONTOSO, '5002', { addressPrefixes: ['10.1.2.0/24', '10.1.4.0/24'] }),
    put('virtualSubnet', CONTOSO, '5099', { addressPrefixes: ['10.254.254.0/29'], isGatewaySubnet: true }),
    put('lookupRecord', CONTOSO, 'vm1', record()),
    put(
      'lookupRecord',
      CONTOSO,
      'gw',
      record({
        customerAddress: '10.254.254.2',
        virtualSubnetId: 5099,
        macAddress: GATEWAY_MAC,
        providerAddress: '192.168.4.1',
      }),
    ),
    put('customerRoute', CONTOSO, 'default', {
      virtualSubnetId: 5099,
      destinationPrefix: '0.0.0.0/0',
      nextHop: '10.254.254.2',
      metric: 0,
    }),
    put('customerRoute', CONTOSO, 'branch', {
      virtualSubnetId: 5002,
      destinationPrefix: '172.16.0.0/16',
      nextHop: '10.1.2.9',
      metric: 0,
    }),
    put('customerRoute', CONTOSO, 'onlink', {
      virtualSubnetId: 5002,
      destinationPrefix: '10.1.4.128/25',
      nextHop: '0.0.0.0',
      metric: 0,
    }),
    put('gateway', CONTOSO, undefined, {
      virtualSubnetId: 5099,
      customerAddresses: ['10.254.254.2'],
      macAddress: GATEWAY_MAC,
    }),
    put(
      'nat',
      CONTOSO,
      undefined,
      natPolicy({
        externalAddresses: [{ ipAddress: '203.0.113.10' }],
        staticMappings: [
          {
            protocol: 'tcp',
            externalIpAddress: '203.0.113.10',
            externalPort: 80,
            internalIpAddress: '10.1.1.4',
            internalPort: 8080,
          },
        ],
      }),
    ),
    put('routingDomain', FABRIKAM, undefined, { name: 'Fabrikam' }),
    put('virtualSubnet', FABRIKAM, '6001', { addressPrefixes: ['10.1.1.0/24'] }),
    put('lookupRecord', FABRIKAM, 'vm1', record({ virtualSubnetId: 6001 })),
    put(
      'nat',
      FABRIKAM,
      undefined,
      natPolicy({
        externalAddresses: [{ ipAddress: '203.0.113.20' }],
        staticMappings: [],
      }),
    ),
  ];
}

/** The refusal that `run` ends in; anything else is an error of the test. */
export function refusalOf(run: () => void): HnvError {
  try {
    run();
  } catch (error) {
    if (error instanceof HnvError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}
