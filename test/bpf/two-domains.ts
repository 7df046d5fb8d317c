/**
 * Two routing domains on one node, gateway and host in one, with the same customer addresses and MACs in both, as users
 * would write them; what differs is VSIDs, provider addresses, the gateway's MAC, one route each, and the public addresses.
 */
import type { NvgreFrame } from '../../src/encap/nvgre.ts';
import { learnedContext } from '../../src/policy/compile/record-index.ts';
import { compileDomain } from '../../src/policy/compile.ts';
import type { DomainPlan, ForwardingPlan, NatPlan } from '../../src/policy/plan.ts';
import type { LookupRecord } from '../../src/policy/resources.ts';
import { natPlan } from '../lab/nat-plan.ts';
import { CONTOSO, FABRIKAM, put, record, stateOf } from '../unit/policy-state.ts';
import { ipv4 } from './packets.ts';

/** This node's provider addresses. */
export const GATEWAY_PA = '192.168.4.1';
export const GATEWAY_PA6 = 'fd11::1';
/** The one on the link that stands for a VLAN. */
export const VLAN_PA = '192.168.7.1';
/** A host that only Contoso has VMs on, one of both, one that only Fabrikam has VMs on. */
export const HOST_PA = '192.168.4.11';
export const SHARED_PA = '192.168.4.12';
export const FOREIGN_PA = '192.168.4.21';
/** The same by their IPv6 addresses. */
export const HOST_PA6 = 'fd11::11';
export const SHARED_PA6 = 'fd11::12';
export const FOREIGN_PA6 = 'fd11::21';
/** Where Contoso has a gateway of its own (GatewayWildcard). */
export const WILDCARD_PA = '192.168.4.13';
export const WILDCARD_MAC = '00:15:5d:00:00:aa';

export const VM_MAC = '00:15:5d:00:00:04';
export const BRANCH_MAC = '00:15:5d:00:00:09';
/** VM of the first subnet behind a host's IPv6 address. */
export const FAR_MAC = '00:15:5d:00:00:66';
/** L2Only record in the first subnet, on the shared host. */
export const STATION_MAC = '00:15:5d:00:00:a2';
/** Learned addresses: one elsewhere, one with a MAC of its own at the port that learns. */
export const LEARNED_MAC = '00:15:5d:00:00:77';
export const SECOND_LEARNED_MAC = '00:15:5d:00:01:32';

/** The VMs of each domain on this node, by the end of their interfaces' names. */
export const VM_PORTS = {
  /** Two in the first subnet; the second one is a tap, the others are veths. */
  Web: { subnet: 'first', mac: '00:15:5d:00:01:20', addresses: ['10.1.1.20', 'fd00:1::20'] },
  Db: { subnet: 'first', mac: '00:15:5d:00:01:21', addresses: ['10.1.1.21', 'fd00:1::21'] },
  /** In the second subnet, with a small MTU. */
  App: { subnet: 'second', mac: '00:15:5d:00:02:20', addresses: ['10.1.2.20', 'fd00:2::20'] },
  /** Learns; 10.1.1.31 and 10.1.1.32 were learned there. */
  Learn: { subnet: 'first', mac: '00:15:5d:00:01:30', addresses: [] },
  /** The next hop to 172.31.0.0/16 and fd00:31::/48. */
  Router: { subnet: 'second', mac: '00:15:5d:00:02:30', addresses: ['10.1.2.30', 'fd00:2::30'] },
  /** A GatewayWildcard record has its MAC; next hop to 198.18.0.0/15 and fd00:18::/32. */
  Gateway: { subnet: 'routers', mac: '00:15:5d:00:09:02', addresses: ['10.1.9.2', 'fd00:9::2'] },
  /** Tunnels from the node's IPv6 address. */
  Six: { subnet: 'first', mac: '00:15:5d:00:01:26', addresses: ['10.1.1.26', 'fd00:1::26'] },
} as const;
export type VmPortName = keyof typeof VM_PORTS;
export const vmPortNames = Object.keys(VM_PORTS) as VmPortName[];

/** Both domains have a block of them, Fabrikam's with port 4500; nobody has the ports below 1024 and from 5000 on. */
export const SHARED = '203.0.113.99';
export const SHARED6 = '2001:db8:f::99';

export type DomainName = 'contoso' | 'fabrikam';

export interface Domain {
  handle: number;
  /** Of the subnets 10.1.1.0/24, 10.1.2.0/24, 10.1.9.0/24 (with a provider multicast address) and the gateway's. */
  vsids: { first: number; second: number; routers: number; gateway: number };
  /** Provider multicast address of the subnet `routers`. */
  group: string;
  gatewayMac: string;
  external: string;
  external6: string;
  /** Ports and identifiers that it has of the shared addresses, first and last. */
  block: readonly [number, number];
  /** IKE peers at the shared addresses: one elsewhere of each family, and the other domain's whole address. */
  peers: readonly [string, string, string];
  /** IPv6 prefix outside, and what it stands for inside. */
  prefix: { external: string; internal: string };
  /** IPv6 prefix that is routed as it is. */
  routed: string;
  /** MAC and addresses of its context on the uplink's network, and what of the tenant's is routed there. */
  station: { mac: string; addresses: readonly [string, string]; advertise: readonly string[] };
  /** A host that only this domain has VMs on, by both its provider addresses. */
  hostPa: string;
  hostPa6: string;
}

export const contoso: Domain = {
  handle: 1,
  vsids: { first: 5001, second: 5002, routers: 5003, gateway: 5099 },
  group: '239.1.1.1',
  gatewayMac: '02:00:00:00:00:fe',
  external: '203.0.113.10',
  external6: '2001:db8:f::10',
  block: [1024, 2499],
  peers: ['198.51.100.50', '2001:db8::50', '203.0.113.20'],
  prefix: { external: '2001:db8:1::/48', internal: 'fd01:203:405::/48' }, // RFC 6296's own example
  routed: '2001:db8:a::/48',
  station: {
    mac: '02:cd:00:00:00:01',
    addresses: ['203.0.113.51', '2001:db8:f::51'],
    advertise: ['10.1.1.0/24', 'fd00:1::/64'],
  },
  hostPa: HOST_PA,
  hostPa6: HOST_PA6,
};
export const fabrikam: Domain = {
  handle: 2,
  vsids: { first: 6001, second: 6002, routers: 6003, gateway: 6099 },
  group: '239.1.1.2',
  gatewayMac: '02:00:00:00:00:fd',
  external: '203.0.113.20',
  external6: '2001:db8:f::20',
  block: [2500, 4999],
  peers: ['198.51.100.60', '2001:db8::60', '203.0.113.10'],
  prefix: { external: '2001:db8:2:ff00::/56', internal: 'fd01:203:405:ff00::/56' },
  routed: '2001:db8:b:1::/64',
  station: {
    mac: '02:cd:00:00:00:02',
    addresses: ['203.0.113.52', '2001:db8:f::52'],
    advertise: ['10.1.2.0/24', 'fd00:2::/64'],
  },
  hostPa: FOREIGN_PA,
  hostPa6: FOREIGN_PA6,
};
export const domains: Record<DomainName, Domain> = { contoso, fabrikam };

function resources(name: DomainName, rdid: string) {
  const { vsids, gatewayMac, group, hostPa, hostPa6 } = domains[name];
  const subnet = (vsid: number, addressPrefixes: string[]) =>
    put('virtualSubnet', rdid, String(vsid), {
      addressPrefixes,
      isGatewaySubnet: vsid === vsids.gateway,
      ...(vsid === vsids.routers && { providerMulticastAddress: group }),
    });
  const route = (id: string, virtualSubnetId: number, destinationPrefix: string, nextHop: string) =>
    put('customerRoute', rdid, id, { virtualSubnetId, destinationPrefix, nextHop, metric: 0 });
  const lookup = (id: string, overrides: Partial<LookupRecord>) =>
    put('lookupRecord', rdid, id, record({ virtualSubnetId: vsids.first, ...overrides }));
  const vm = { macAddress: VM_MAC, providerAddress: hostPa };
  const branch = { virtualSubnetId: vsids.second, macAddress: BRANCH_MAC, providerAddress: SHARED_PA };
  const gateway = {
    virtualSubnetId: vsids.gateway,
    macAddress: gatewayMac,
    providerAddress: GATEWAY_PA,
  };
  const far = { macAddress: FAR_MAC, providerAddress: hostPa6 };
  const six = { macAddress: VM_PORTS.Six.mac, providerAddress: GATEWAY_PA6 };
  const learned = {
    type: 'dynamic' as const,
    providerAddress: GATEWAY_PA,
    context: learnedContext(`${name}Learn`),
  };
  return [
    put('routingDomain', rdid, undefined, { name: rdid }),
    subnet(vsids.first, ['10.1.1.0/24', 'fd00:1::/64']),
    subnet(vsids.second, ['10.1.2.0/24', 'fd00:2::/64']),
    subnet(vsids.routers, ['10.1.9.0/24', 'fd00:9::/64']),
    subnet(vsids.gateway, ['10.254.254.0/29', 'fd00:fe::/64']),
    lookup('vm', vm),
    lookup('vm6', { ...vm, customerAddress: 'fd00:1::4' }),
    lookup('branch', { ...branch, customerAddress: '10.1.2.9' }),
    lookup('branch6', { ...branch, customerAddress: 'fd00:2::9' }),
    lookup('gateway', { ...gateway, customerAddress: '10.254.254.2' }),
    lookup('gateway6', { ...gateway, customerAddress: 'fd00:fe::2' }),
    lookup('far', { ...far, customerAddress: '10.1.1.66' }),
    lookup('far6', { ...far, customerAddress: 'fd00:1::66' }),
    lookup('six', { ...six, customerAddress: '10.1.1.26' }),
    lookup('six6', { ...six, customerAddress: 'fd00:1::26' }),
    lookup('station', {
      customerAddress: '0.0.0.0',
      macAddress: STATION_MAC,
      providerAddress: SHARED_PA,
      type: 'l2only',
    }),
    lookup('learning', {
      customerAddress: '0.0.0.0',
      macAddress: VM_PORTS.Learn.mac,
      providerAddress: GATEWAY_PA,
      type: 'l2only',
    }),
    lookup('learned', { ...learned, customerAddress: '10.1.1.31', macAddress: VM_PORTS.Learn.mac }),
    lookup('learned2', { ...learned, customerAddress: '10.1.1.32', macAddress: SECOND_LEARNED_MAC }),
    lookup('learned6', { ...learned, customerAddress: 'fd00:1::31', macAddress: VM_PORTS.Learn.mac }),
    lookup('learned-elsewhere', {
      type: 'dynamic',
      customerAddress: '10.1.1.77',
      macAddress: LEARNED_MAC,
      providerAddress: hostPa,
    }),
    lookup('no-port', {
      customerAddress: '10.1.1.150',
      macAddress: '00:15:5d:00:01:96',
      providerAddress: GATEWAY_PA,
    }),
    lookup('gateway-vm', {
      virtualSubnetId: vsids.routers,
      customerAddress: '0.0.0.0',
      macAddress: VM_PORTS.Gateway.mac,
      providerAddress: GATEWAY_PA,
      type: 'gatewayWildcard',
    }),
    route('default', vsids.gateway, '0.0.0.0/0', '10.254.254.2'),
    route('default6', vsids.gateway, '::/0', 'fd00:fe::2'),
    route('branch', vsids.second, '172.16.0.0/16', '10.1.2.9'),
    route('branch6', vsids.second, 'fd00:16::/32', 'fd00:2::9'),
    route('router', vsids.second, '172.31.0.0/16', '10.1.2.30'),
    route('router6', vsids.second, 'fd00:31::/48', 'fd00:2::30'),
    route('gateway-vm', vsids.routers, '198.18.0.0/15', '10.1.9.2'),
    route('gateway-vm6', vsids.routers, 'fd00:18::/32', 'fd00:9::2'),
    put('gateway', rdid, undefined, {
      virtualSubnetId: vsids.gateway,
      customerAddresses: ['10.254.254.2', 'fd00:fe::2'],
      macAddress: gatewayMac,
    }),
    ...vmPortNames.map((port) => {
      const { subnet: of, mac, addresses } = VM_PORTS[port];
      return put('port', undefined, `${name}${port}`, {
        virtualSubnetId: vsids[of],
        macAddress: mac,
        customerAddresses: [...addresses],
        learn: port === 'Learn',
      });
    }),
  ];
}

const state = stateOf([
  put('providerAddress', undefined, GATEWAY_PA, { interface: 'pa', prefixLength: 24 }),
  put('providerAddress', undefined, GATEWAY_PA6, { interface: 'pa', prefixLength: 64 }),
  ...resources('contoso', CONTOSO),
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
  ...resources('fabrikam', FABRIKAM),
  put('customerRoute', FABRIKAM, 'own', {
    virtualSubnetId: fabrikam.vsids.second,
    destinationPrefix: '172.20.0.0/16',
    nextHop: '10.1.2.9',
    metric: 0,
  }),
]);

/** A whole address of each family, a block of the shared ones, both kinds of prefixes, and peers of both kinds of addresses. */
export function natOf({ external, external6, block, peers, prefix, routed }: Domain): NatPlan {
  const [portStart, portEnd] = block;
  return natPlan({
    externalAddresses: [
      { address: external },
      { address: SHARED, portStart, portEnd },
      { address: external6 },
      { address: SHARED6, portStart, portEnd },
    ],
    prefixes: [prefix, { external: routed, internal: routed }],
    peers: [
      { localAddress: external },
      ...peers.map((remoteAddress) => ({
        localAddress: remoteAddress.includes(':') ? SHARED6 : SHARED,
        remoteAddress,
      })),
      { localAddress: external6, remoteAddress: peers[1] },
    ],
  });
}

/** On the untagged network, which both share. */
export function forwardingOf({ station }: Domain): ForwardingPlan {
  const { mac, addresses, advertise } = station;
  return {
    uplink: 'uplink',
    mac,
    addresses: addresses.map((address) => `${address}/${address.includes(':') ? 64 : 24}`),
    routes: [],
    advertise: [...advertise],
  };
}

/** The VLANs of the domains where each has its own. */
export const VLANS: Record<DomainName, number> = { contoso: 30, fabrikam: 40 };

/** In VLANs of their own, with the same addresses and prefixes. */
export function taggedForwardingOf(name: DomainName): ForwardingPlan {
  const { addresses, advertise } = forwardingOf(contoso);
  return { ...forwardingOf(domains[name]), addresses, advertise, vlanId: VLANS[name] };
}

/**
 * What the compiler makes of the two, Contoso and Fabrikam, with their NAT and their networks without it: `inVlans`, or the
 * untagged one.
 */
export function plans(inVlans = false): DomainPlan[] {
  return (
    [
      [CONTOSO, 'contoso'],
      [FABRIKAM, 'fabrikam'],
    ] as const
  ).map(([rdid, name]) => {
    const domain = state.domains.get(rdid);
    if (domain === undefined) throw new Error(`no domain ${rdid}`);
    const forwarding = inVlans ? taggedForwardingOf(name) : forwardingOf(domains[name]);
    return { ...compileDomain(domain, state), nat: natOf(domains[name]), forwarding };
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
