/**
 * Two routing domains on one gateway node with the same customer addresses and MACs, as users would write them; what
 * differs is VSIDs, provider addresses, the gateway's MAC, one route each, and the public addresses.
 */
import type { NvgreFrame } from '../../src/encap/nvgre.ts';
import { compileDomain } from '../../src/policy/compile.ts';
import type { DomainPlan } from '../../src/policy/plan.ts';
import { CONTOSO, FABRIKAM, put, record, stateOf } from '../unit/policy-state.ts';
import { ipv4 } from './packets.ts';

/** This node's provider address. */
export const GATEWAY_PA = '192.168.4.1';
/** A host that only Contoso has VMs on, one of both, one that only Fabrikam has VMs on. */
export const HOST_PA = '192.168.4.11';
export const SHARED_PA = '192.168.4.12';
export const FOREIGN_PA = '192.168.4.21';
/** Where Contoso has a gateway of its own (GatewayWildcard). */
export const WILDCARD_PA = '192.168.4.13';
export const WILDCARD_MAC = '00:15:5d:00:00:aa';

export const VM_MAC = '00:15:5d:00:00:04';
export const BRANCH_MAC = '00:15:5d:00:00:09';

export interface Domain {
  handle: number;
  /** Of the subnets 10.1.1.0/24, 10.1.2.0/24 and the gateway's. */
  vsids: { first: number; second: number; gateway: number };
  gatewayMac: string;
  external: string;
}

export const contoso: Domain = {
  handle: 1,
  vsids: { first: 5001, second: 5002, gateway: 5099 },
  gatewayMac: '02:00:00:00:00:fe',
  external: '203.0.113.10',
};
export const fabrikam: Domain = {
  handle: 2,
  vsids: { first: 6001, second: 6002, gateway: 6099 },
  gatewayMac: '02:00:00:00:00:fd',
  external: '203.0.113.20',
};

function resources(rdid: string, { vsids, gatewayMac, external }: Domain, hostPa: string) {
  const subnet = (vsid: number, prefix: string) =>
    put('virtualSubnet', rdid, String(vsid), {
      addressPrefixes: [prefix],
      isGatewaySubnet: vsid === vsids.gateway,
    });
  const route = (id: string, virtualSubnetId: number, destinationPrefix: string, nextHop: string) =>
    put('customerRoute', rdid, id, { virtualSubnetId, destinationPrefix, nextHop, metric: 0 });
  return [
    put('routingDomain', rdid, undefined, { name: rdid }),
    subnet(vsids.first, '10.1.1.0/24'),
    subnet(vsids.second, '10.1.2.0/24'),
    subnet(vsids.gateway, '10.254.254.0/29'),
    put('lookupRecord', rdid, 'vm', record({ virtualSubnetId: vsids.first, providerAddress: hostPa })),
    put(
      'lookupRecord',
      rdid,
      'branch',
      record({
        customerAddress: '10.1.2.9',
        virtualSubnetId: vsids.second,
        macAddress: BRANCH_MAC,
        providerAddress: SHARED_PA,
      }),
    ),
    put(
      'lookupRecord',
      rdid,
      'gateway',
      record({
        customerAddress: '10.254.254.2',
        virtualSubnetId: vsids.gateway,
        macAddress: gatewayMac,
        providerAddress: GATEWAY_PA,
      }),
    ),
    route('default', vsids.gateway, '0.0.0.0/0', '10.254.254.2'),
    route('branch', vsids.second, '172.16.0.0/16', '10.1.2.9'),
    put('gateway', rdid, undefined, {
      virtualSubnetId: vsids.gateway,
      customerAddresses: ['10.254.254.2'],
      macAddress: gatewayMac,
    }),
    put('nat', rdid, undefined, { externalAddresses: [{ ipAddress: external }], staticMappings: [] }),
  ];
}

const state = stateOf([
  put('providerAddress', undefined, GATEWAY_PA, { interface: 'pa', prefixLength: 24 }),
  ...resources(CONTOSO, contoso, HOST_PA),
  // Inside 172.16.0.0/16: longer prefixes to another next hop, on-link, and to a next hop without record.
  put('customerRoute', CONTOSO, 'closer', {
    virtualSubnetId: contoso.vsids.first,
    destinationPrefix: '172.16.5.0/24',
    nextHop: '10.1.1.4',
    metric: 0,
  }),
  put('customerRoute', CONTOSO, 'on-link', {
    virtualSubnetId: contoso.vsids.second,
    destinationPrefix: '172.16.6.0/24',
    nextHop: '0.0.0.0',
    metric: 0,
  }),
  put('customerRoute', CONTOSO, 'astray', {
    virtualSubnetId: contoso.vsids.second,
    destinationPrefix: '172.16.7.0/24',
    nextHop: '10.1.2.77',
    metric: 0,
  }),
  put(
    'lookupRecord',
    CONTOSO,
    'on-link-host',
    record({
      customerAddress: '172.16.6.6',
      virtualSubnetId: contoso.vsids.second,
      macAddress: '00:15:5d:00:06:06',
      providerAddress: SHARED_PA,
    }),
  ),
  put(
    'lookupRecord',
    CONTOSO,
    'wildcard',
    record({
      customerAddress: '0.0.0.0',
      virtualSubnetId: contoso.vsids.gateway,
      macAddress: WILDCARD_MAC,
      providerAddress: WILDCARD_PA,
      type: 'gatewayWildcard',
    }),
  ),
  ...resources(FABRIKAM, fabrikam, FOREIGN_PA),
  put('customerRoute', FABRIKAM, 'own', {
    virtualSubnetId: fabrikam.vsids.second,
    destinationPrefix: '172.20.0.0/16',
    nextHop: '10.1.2.9',
    metric: 0,
  }),
]);

/** What the compiler makes of the two: Contoso, Fabrikam. */
export function plans(): DomainPlan[] {
  return [CONTOSO, FABRIKAM].map((rdid) => {
    const domain = state.domains.get(rdid);
    if (domain === undefined) throw new Error(`no domain ${rdid}`);
    return compileDomain(domain, state);
  });
}

/** A frame of Contoso's VM to the outside, as its host sends it to this node's provider link with the MAC `to`. */
export function tenantFrame(to: string, changes: Partial<NvgreFrame> = {}): NvgreFrame {
  return {
    ethernet: { destination: to, source: '02:bb:00:00:00:11' },
    outer: {
      tos: 0,
      id: 0,
      dontFragment: true,
      ttl: 64,
      source: HOST_PA,
      destination: GATEWAY_PA,
    },
    vsid: contoso.vsids.gateway,
    flowId: 0x5a,
    innerEthernet: { destination: contoso.gatewayMac, source: VM_MAC },
    inner: ipv4(),
    ...changes,
  };
}
