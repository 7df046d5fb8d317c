/**
 * Requests that break the rules of the resources, one for each rule at least, with what the refusal must say. They are made
 * to a node that has both tenants of the lab and `provisionNeighbours`; over REST one by one, in a policy document, or from the
 * command line.
 */
import type { ApiClient } from './api-client.ts';
import { bgpBreakers, bgpInUseBreakers } from './bgp-rule-breakers.ts';
import {
  forwardingBreakers,
  providerForwardingBreakers,
  provisionForwardingNeighbours,
  routingInUseBreakers,
} from './forwarding-rule-breakers.ts';
import { PROVIDER_NIC } from './gateway-node.ts';
import { natBreakers, poolBreakers, provisionNatNeighbours } from './nat-rule-breakers.ts';
import {
  provisionSiteNeighbours,
  siteBreakers,
  siteNatBreakers,
  siteSubnetBreakers,
} from './site-rule-breakers.ts';
import { CONTOSO, FABRIKAM, GATEWAY_ADDRESS, HOST_ADDRESSES } from './topology.ts';

export interface RuleBreaker {
  /** Continues "refuses …". */
  what: string;
  /** PUT when absent. */
  method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  path: string;
  body?: unknown;
  /** 400 when absent. */
  status?: number;
  rule: string;
  /** Absent where the resource's name in the path is wrong. */
  pointer?: string;
  /** The rule of policy/ that is broken, where the API has found the same by the schema of the field first. */
  breaks?: string;
  /** What the message must name, where that is not the value at the pointer or the name in the path. */
  names?: string;
  /** The words after `hnvgw` that break it, where that is neither a policy document nor a deletion. */
  words?: readonly string[];
  /** RDID of the tenant whose token it is asked with; root asks when absent. */
  tenant?: string;
}

const domain = (path = '', { rdid } = CONTOSO): string => `/v1/routing-domains/${rdid}${path}`;
const { vsid, gatewayVsid, externalAddress } = CONTOSO;
const [VM1 = { ip: '', mac: '' }] = CONTOSO.vms;
const conflict = { status: 409 } as const;

const subnet = (prefixes: unknown[], more: object = {}) => ({ addressPrefixes: prefixes, ...more });
const record = (more: object) => ({
  ...{ customerAddress: '10.1.1.77', virtualSubnetId: vsid, macAddress: '02:00:00:00:00:77' },
  ...{ providerAddress: HOST_ADDRESSES[0], type: 'static', ...more },
});
const route = (more: object) => ({
  ...{ virtualSubnetId: vsid, destinationPrefix: '172.16.0.0/16', nextHop: '10.1.1.9', metric: 0, ...more },
});
const gateway = (more: object) => ({
  ...{ virtualSubnetId: gatewayVsid, customerAddresses: ['10.254.254.2'], macAddress: CONTOSO.gatewayMac },
  ...more,
});
/** What stands already beside the tenants, for others to collide with. */
const PORT = { virtualSubnetId: vsid, macAddress: '02:00:00:50:01:50', customerAddresses: ['10.1.1.50'] };
const GATEWAY_NEIGHBOUR = {
  ...{ virtualSubnetId: gatewayVsid, macAddress: '02:00:00:50:02:05', customerAddresses: ['10.254.254.5'] },
};
const PROVIDER_ROUTE = {
  ...{ interface: PROVIDER_NIC, destinationPrefix: '192.168.77.0/24', nextHop: '192.168.1.1', metric: 5 },
};
/** A domain whose subnet has as many provider addresses as one without multicast address may have. */
const CROWDED = {
  rdid: '44444444-4444-4444-4444-444444444444',
  vsid: 7004,
  prefix: '10.4.0.0/16',
  hosts: 256,
};

const routingDomains: RuleBreaker[] = [
  {
    what: 'to be deleted while it has a port',
    method: 'DELETE',
    path: domain(),
    ...conflict,
    rule: 'routing-domain-in-use',
  },
  {
    what: 'a name that is no GUID',
    path: '/v1/routing-domains/contoso',
    body: { name: 'x' },
    rule: 'pattern',
    breaks: 'rdid-guid',
  },
  { what: 'no name', path: domain(), body: {}, rule: 'required', pointer: '/name' },
  { what: 'an empty name', path: domain(), body: { name: '' }, rule: 'min-length', pointer: '/name' },
  {
    what: 'a long name',
    path: domain(),
    body: { name: 'x'.repeat(129) },
    rule: 'max-length',
    pointer: '/name',
  },
  {
    what: 'an unknown field',
    path: domain(),
    body: { name: 'x', nam: 'y' },
    rule: 'unknown-field',
    pointer: '/nam',
    names: 'is no known field',
  },
];

const anotherDomain = '33333333-3333-3333-3333-333333333333';
const subnets: RuleBreaker[] = [
  {
    what: 'a domain that is not there',
    path: domain('/virtual-subnets/7001', { ...CONTOSO, rdid: anotherDomain }),
    body: subnet(['10.7.0.0/24']),
    status: 404,
    rule: 'exists',
    names: anotherDomain,
  },
  {
    what: 'a reserved VSID',
    path: domain('/virtual-subnets/4095'),
    body: subnet(['10.7.0.0/24']),
    rule: 'minimum',
    breaks: 'vsid-range',
  },
  {
    what: 'the reserved highest VSID',
    path: domain('/virtual-subnets/16777215'),
    body: subnet(['10.7.0.0/24']),
    rule: 'maximum',
    breaks: 'vsid-range',
  },
  {
    what: 'the VSID of another tenant',
    path: domain(`/virtual-subnets/${FABRIKAM.vsid}`),
    body: subnet(['10.7.0.0/24']),
    ...conflict,
    rule: 'vsid-unique',
  },
  {
    what: 'no prefix',
    path: domain('/virtual-subnets/5003'),
    body: subnet([]),
    rule: 'min-items',
    pointer: '/addressPrefixes',
  },
  {
    what: 'nine prefixes',
    path: domain('/virtual-subnets/5003'),
    body: subnet(Array.from({ length: 9 }, (_, i) => `10.7.${i}.0/24`)),
    rule: 'max-items',
    pointer: '/addressPrefixes',
  },
  {
    what: 'a prefix that is none',
    path: domain('/virtual-subnets/5003'),
    body: subnet(['10.7.0.0/33']),
    rule: 'ip-prefix',
    pointer: '/addressPrefixes/0',
  },
  {
    what: 'a prefix with host bits',
    path: domain('/virtual-subnets/5003'),
    body: subnet(['10.7.0.1/24']),
    rule: 'prefix-host-bits',
    pointer: '/addressPrefixes/0',
  },
  {
    what: 'an IPv6 prefix that is too long',
    path: domain('/virtual-subnets/5003'),
    body: subnet(['10.7.0.0/24', '2001:db8::/127']),
    rule: 'prefix-length',
    pointer: '/addressPrefixes/1',
  },
  {
    what: 'an IPv6 prefix with host bits',
    path: domain('/virtual-subnets/5003'),
    body: subnet(['10.7.0.0/24', '2001:db8::1/64']),
    rule: 'prefix-host-bits',
    pointer: '/addressPrefixes/1',
  },
  {
    what: 'a link-local IPv6 prefix',
    path: domain('/virtual-subnets/5003'),
    body: subnet(['fe80::/64']),
    rule: 'prefix-unicast',
    pointer: '/addressPrefixes/0',
  },
  {
    what: 'a provider multicast address that is none',
    path: domain('/virtual-subnets/5003'),
    body: subnet(['10.7.0.0/24'], { providerMulticastAddress: '192.168.1.1' }),
    rule: 'address-multicast',
    pointer: '/providerMulticastAddress',
  },
  {
    what: 'a prefix that is too long',
    path: domain('/virtual-subnets/5003'),
    body: subnet(['10.7.0.0/31']),
    rule: 'prefix-length',
    pointer: '/addressPrefixes/0',
  },
  {
    what: 'a multicast prefix',
    path: domain('/virtual-subnets/5003'),
    body: subnet(['224.0.0.0/24']),
    rule: 'prefix-unicast',
    pointer: '/addressPrefixes/0',
  },
  {
    what: 'prefixes that overlap',
    path: domain('/virtual-subnets/5003'),
    body: subnet(['10.7.0.0/16', '10.7.1.0/24']),
    rule: 'prefix-overlap',
    pointer: '/addressPrefixes/1',
  },
  {
    what: 'a prefix that overlaps another subnet',
    path: domain('/virtual-subnets/5003'),
    body: subnet(['10.1.0.0/16']),
    ...conflict,
    rule: 'prefix-overlap',
    pointer: '/addressPrefixes/0',
  },
  {
    what: 'a second gateway subnet',
    path: domain('/virtual-subnets/5003'),
    body: subnet(['10.7.0.0/24'], { isGatewaySubnet: true }),
    ...conflict,
    rule: 'one-gateway-subnet',
    pointer: '/isGatewaySubnet',
  },
  {
    what: 'to make the gateway’s subnet an ordinary one',
    path: domain(`/virtual-subnets/${gatewayVsid}`),
    body: subnet(['10.254.254.0/29']),
    ...conflict,
    rule: 'gateway-subnet-in-use',
    pointer: '/isGatewaySubnet',
  },
  {
    what: 'a prefix that leaves VMs outside',
    path: domain(`/virtual-subnets/${vsid}`),
    body: subnet(['10.1.2.0/24']),
    ...conflict,
    rule: 'virtual-subnet-in-use',
    pointer: '/addressPrefixes',
  },
  {
    what: 'to delete a subnet with VMs',
    method: 'DELETE',
    path: domain(`/virtual-subnets/${vsid}`),
    ...conflict,
    rule: 'virtual-subnet-in-use',
  },
  {
    what: 'to delete the gateway’s subnet',
    method: 'DELETE',
    path: domain(`/virtual-subnets/${gatewayVsid}`),
    ...conflict,
    rule: 'virtual-subnet-in-use',
  },
];

const newRecord = domain('/lookup-records/new');
const records: RuleBreaker[] = [
  {
    what: 'a name that is no id',
    path: domain('/lookup-records/-new'),
    body: record({}),
    rule: 'pattern',
    breaks: 'resource-id',
  },
  {
    what: 'the VSID of another tenant',
    path: newRecord,
    body: record({ virtualSubnetId: FABRIKAM.vsid }),
    rule: 'vsid-of-domain',
    pointer: '/virtualSubnetId',
  },
  {
    what: 'an address that is none',
    path: newRecord,
    body: record({ customerAddress: '10.1.1.256' }),
    rule: 'ip-address',
    pointer: '/customerAddress',
  },
  {
    what: 'an address outside its subnet',
    path: newRecord,
    body: record({ customerAddress: '10.1.2.77' }),
    rule: 'address-in-subnet',
    pointer: '/customerAddress',
  },
  {
    what: 'the broadcast address',
    path: newRecord,
    body: record({ customerAddress: '10.1.1.255' }),
    rule: 'address-of-host',
    pointer: '/customerAddress',
  },
  {
    what: 'the distributed router’s address',
    path: newRecord,
    body: record({ customerAddress: '10.1.1.1' }),
    rule: 'address-reserved',
    pointer: '/customerAddress',
  },
  {
    what: 'an address that has a record',
    path: newRecord,
    body: record({ customerAddress: VM1.ip }),
    ...conflict,
    rule: 'customer-address-unique',
    pointer: '/customerAddress',
  },
  {
    what: 'a wildcard with an address',
    path: newRecord,
    body: record({ type: 'gatewayWildcard' }),
    rule: 'address-unspecified',
    pointer: '/customerAddress',
  },
  {
    what: 'a type that is none',
    path: newRecord,
    body: record({ type: 'sticky' }),
    rule: 'enum',
    pointer: '/type',
  },
  {
    what: 'a MAC address that is none',
    path: newRecord,
    body: record({ macAddress: '02:00:00:00:00' }),
    rule: 'pattern',
    pointer: '/macAddress',
    breaks: 'mac-address',
  },
  {
    what: 'a group MAC address',
    path: newRecord,
    body: record({ macAddress: '01:00:5e:00:00:01' }),
    rule: 'mac-unicast',
    pointer: '/macAddress',
  },
  {
    what: 'the distributed router’s MAC address',
    path: newRecord,
    body: record({ macAddress: '02-48-4E-56-00-01' }),
    rule: 'mac-reserved',
    pointer: '/macAddress',
  },
  {
    what: 'a provider address that is not unicast',
    path: newRecord,
    body: record({ providerAddress: '0.0.0.0' }),
    rule: 'address-unicast',
    pointer: '/providerAddress',
  },
  {
    what: 'one provider address too many for copies',
    path: `/v1/routing-domains/${CROWDED.rdid}/lookup-records/new`,
    body: record({
      ...{ customerAddress: '10.4.200.1', virtualSubnetId: CROWDED.vsid, providerAddress: '192.168.200.1' },
    }),
    ...conflict,
    rule: 'subnet-provider-addresses',
    pointer: '/providerAddress',
  },
  {
    what: 'another MAC address for the gateway',
    method: 'PATCH',
    path: domain('/lookup-records/10.254.254.2'),
    body: { macAddress: '02:00:00:00:00:99' },
    ...conflict,
    rule: 'gateway-mac',
    pointer: '/macAddress',
  },
];

const newRoute = domain('/customer-routes/new');
const routes: RuleBreaker[] = [
  {
    what: 'a metric that is no number',
    path: newRoute,
    body: route({ metric: 'low' }),
    rule: 'type',
    pointer: '/metric',
  },
  {
    what: 'a metric that is too large',
    path: newRoute,
    body: route({ metric: 65_536 }),
    rule: 'maximum',
    pointer: '/metric',
  },
  {
    what: 'the VSID of another tenant',
    path: newRoute,
    body: route({ virtualSubnetId: FABRIKAM.vsid }),
    rule: 'vsid-of-domain',
    pointer: '/virtualSubnetId',
  },
  {
    what: 'an on-link destination outside its subnet',
    path: newRoute,
    body: route({ nextHop: '0.0.0.0' }),
    rule: 'on-link-in-subnet',
    pointer: '/destinationPrefix',
  },
  {
    what: 'a next hop outside its subnet',
    path: newRoute,
    body: route({ nextHop: '10.254.254.3' }),
    rule: 'address-in-subnet',
    pointer: '/nextHop',
  },
  {
    what: 'a next hop of the other family',
    path: newRoute,
    body: route({ nextHop: 'fd00:1:1::9' }),
    rule: 'route-family',
    pointer: '/nextHop',
  },
  {
    what: 'a destination that another route has',
    path: newRoute,
    body: route({ destinationPrefix: '0.0.0.0/0' }),
    ...conflict,
    rule: 'route-unique',
    pointer: '/destinationPrefix',
  },
];

const gateways: RuleBreaker[] = [
  {
    what: 'an ordinary subnet',
    path: domain('/gateway'),
    body: gateway({ virtualSubnetId: vsid, customerAddresses: ['10.1.1.2'] }),
    rule: 'gateway-subnet',
    pointer: '/virtualSubnetId',
  },
  {
    what: 'an address outside its subnet',
    path: domain('/gateway'),
    body: gateway({ customerAddresses: ['10.254.254.9'] }),
    rule: 'address-in-subnet',
    pointer: '/customerAddresses/0',
  },
  {
    what: 'two IPv4 addresses',
    path: domain('/gateway'),
    body: gateway({ customerAddresses: ['10.254.254.2', '10.254.254.3'] }),
    rule: 'one-address-per-family',
    pointer: '/customerAddresses/1',
  },
  {
    what: 'the address of a port',
    path: domain('/gateway'),
    body: gateway({ customerAddresses: GATEWAY_NEIGHBOUR.customerAddresses }),
    ...conflict,
    rule: 'gateway-port',
    pointer: '/customerAddresses/0',
  },
  {
    what: 'a MAC address other than its record’s',
    path: domain('/gateway'),
    body: gateway({ macAddress: '02:00:00:00:00:99' }),
    ...conflict,
    rule: 'gateway-mac',
    pointer: '/customerAddresses/0',
  },
];

const provider = { interface: 'pa0', prefixLength: 24 };
const providerAddresses: RuleBreaker[] = [
  {
    what: 'a loopback address',
    path: '/v1/provider-addresses/127.0.0.1',
    body: provider,
    rule: 'provider-address-unicast',
  },
  {
    what: 'an IPv6 address of the link alone',
    path: '/v1/provider-addresses/fe80::1',
    body: provider,
    rule: 'provider-address-unicast',
  },
  {
    what: 'the interface of a port',
    path: '/v1/provider-addresses/192.168.1.99',
    body: { ...provider, interface: 'tap1' },
    ...conflict,
    rule: 'provider-interface-port',
    pointer: '/interface',
  },
  {
    what: 'to be deleted while a route needs it',
    method: 'DELETE',
    path: `/v1/provider-addresses/${GATEWAY_ADDRESS}`,
    ...conflict,
    rule: 'provider-address-in-use',
  },
  {
    what: 'another interface while a route needs it',
    path: `/v1/provider-addresses/${GATEWAY_ADDRESS}`,
    body: { ...provider, interface: 'pa9' },
    ...conflict,
    rule: 'provider-address-in-use',
    pointer: '/interface',
  },
  {
    what: 'an external address',
    path: `/v1/provider-addresses/${externalAddress}`,
    body: provider,
    ...conflict,
    rule: 'provider-address-external',
  },
  {
    what: 'a prefix length over 32',
    path: `/v1/provider-addresses/${GATEWAY_ADDRESS}`,
    body: { ...provider, prefixLength: 33 },
    rule: 'prefix-length',
    pointer: '/prefixLength',
  },
  {
    what: 'an interface name with a slash',
    path: `/v1/provider-addresses/${GATEWAY_ADDRESS}`,
    body: { ...provider, interface: 'a/b' },
    rule: 'pattern',
    pointer: '/interface',
  },
];

const newProviderRoute = '/v1/provider-routes/new';
const providerRoutes: RuleBreaker[] = [
  {
    what: 'a next hop that is nobody’s neighbour',
    path: newProviderRoute,
    body: { ...PROVIDER_ROUTE, nextHop: '192.168.2.1' },
    rule: 'provider-route-neighbour',
    pointer: '/nextHop',
  },
  {
    what: 'this node itself as next hop',
    path: newProviderRoute,
    body: { ...PROVIDER_ROUTE, nextHop: GATEWAY_ADDRESS },
    rule: 'provider-route-neighbour',
    pointer: '/nextHop',
  },
  {
    what: 'a next hop of the other family',
    path: newProviderRoute,
    body: { ...PROVIDER_ROUTE, nextHop: 'fd00:a::1' },
    rule: 'route-family',
    pointer: '/nextHop',
  },
  {
    what: 'a destination that another route has',
    path: newProviderRoute,
    body: { ...PROVIDER_ROUTE, nextHop: '192.168.1.2' },
    ...conflict,
    rule: 'provider-route-unique',
    pointer: '/destinationPrefix',
  },
];

const newPort = '/v1/ports/tap9';
const port = (more: object = {}) => ({
  ...{ virtualSubnetId: vsid, macAddress: '02:00:00:50:01:59', customerAddresses: ['10.1.1.59'] },
  ...more,
});
const ports: RuleBreaker[] = [
  {
    what: 'a name that no interface can have',
    path: '/v1/ports/tap:9',
    body: port(),
    rule: 'pattern',
    breaks: 'interface-name',
  },
  {
    what: 'the interface of a provider address',
    path: `/v1/ports/${PROVIDER_NIC}`,
    body: port(),
    ...conflict,
    rule: 'port-provider-interface',
  },
  {
    what: 'a VSID without MAC address',
    path: newPort,
    body: { virtualSubnetId: vsid },
    rule: 'port-mac',
    pointer: '/macAddress',
  },
  {
    what: 'a MAC address without VSID',
    path: newPort,
    body: { macAddress: '02:00:00:50:01:59' },
    rule: 'port-outside',
    pointer: '/macAddress',
  },
  {
    what: 'the VSID of nobody',
    path: newPort,
    body: port({ virtualSubnetId: 7999 }),
    rule: 'port-vsid',
    pointer: '/virtualSubnetId',
  },
  {
    what: 'an address outside its subnet',
    path: newPort,
    body: port({ customerAddresses: ['10.1.2.59'] }),
    rule: 'address-in-subnet',
    pointer: '/customerAddresses/0',
  },
  {
    what: 'an address twice',
    path: newPort,
    body: port({ customerAddresses: ['10.1.1.59', '10.1.1.59'] }),
    rule: 'customer-address-once',
    pointer: '/customerAddresses/1',
  },
  {
    what: 'the MAC address of another port',
    path: newPort,
    body: port({ macAddress: PORT.macAddress }),
    ...conflict,
    rule: 'port-mac-unique',
    pointer: '/macAddress',
  },
  {
    what: 'the address of another port',
    path: newPort,
    body: port({ customerAddresses: PORT.customerAddresses }),
    ...conflict,
    rule: 'port-address-unique',
    pointer: '/customerAddresses/0',
  },
  {
    what: 'the address of the gateway',
    path: newPort,
    body: port({ virtualSubnetId: gatewayVsid, customerAddresses: ['10.254.254.2'] }),
    ...conflict,
    rule: 'port-address-unique',
    pointer: '/customerAddresses/0',
  },
];

/** By what they are about: a sentence goes "a virtual subnet refuses …". */
export const ruleBreakers: Readonly<Record<string, readonly RuleBreaker[]>> = {
  'a routing domain': routingDomains,
  'a virtual subnet': [...subnets, ...siteSubnetBreakers, ...routingInUseBreakers],
  'a lookup record': records,
  'a customer route': routes,
  'a gateway': gateways,
  NAT: [...natBreakers, ...siteNatBreakers],
  forwarding: [...forwardingBreakers, ...bgpInUseBreakers],
  BGP: bgpBreakers,
  'a site connection': siteBreakers,
  'an external address pool': poolBreakers,
  'a provider address': [...providerAddresses, ...providerForwardingBreakers],
  'a provider route': providerRoutes,
  'a port': ports,
};

/** Writes what stands beside the tenants. */
export async function provisionNeighbours(api: Pick<ApiClient, 'put'>): Promise<void> {
  await api.put('/v1/provider-routes/away', PROVIDER_ROUTE);
  await api.put('/v1/ports/tap1', PORT);
  await api.put('/v1/ports/tap2', GATEWAY_NEIGHBOUR);
  await provisionNatNeighbours(api);
  await provisionSiteNeighbours(api);
  await provisionForwardingNeighbours(api);
  const base = `/v1/routing-domains/${CROWDED.rdid}`;
  await api.put(base, { name: 'crowded' });
  await api.put(`${base}/virtual-subnets/${CROWDED.vsid}`, subnet([CROWDED.prefix]));
  for (let host = 0; host < CROWDED.hosts; host++) {
    const more = { customerAddress: `10.4.100.${host}`, providerAddress: `192.168.100.${host}` };
    const last = host === CROWDED.hosts - 1 ? '?wait=10s' : '';
    const body = record({ ...more, virtualSubnetId: CROWDED.vsid });
    await api.put(`${base}/lookup-records/${host}${last}`, body);
  }
}
