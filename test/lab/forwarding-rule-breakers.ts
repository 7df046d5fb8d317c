/** Requests that break the rules of forwarding: see rule-breakers.ts. */
import type { ApiClient } from './api-client.ts';
import { PROVIDER_NIC, UPLINK_NIC } from './gateway-node.ts';
import type { RuleBreaker } from './rule-breakers.ts';
import { SITE_PREFIX, SITES, WHOLE } from './site-rule-breakers.ts';

/** What stands beside the tenants, none with a gateway: a domain on a VLAN with BGP, and one on the untagged network. */
export const ROUTED = 'aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa';
const SHARING = 'bbbbbbbb-bbbb-bbbb-bbbb-bbbbbbbbbbbb';
const VLAN = 310;
export const ROUTER = '192.0.2.1';
const SHARED_ADDRESS = '203.0.113.203';
export const ROUTED_PREFIX = '10.31.0.0/16';
const SHARED_PREFIX = '10.32.0.0/16';
const PROVIDER_ADDRESS = '192.168.79.1';

const domain = (path = '', rdid = ROUTED): string => `/v1/routing-domains/${rdid}${path}`;
const path = domain('/forwarding');
const conflict = { status: 409 } as const;

const policy = (more: object = {}) => ({
  ...{ vlanId: VLAN, addresses: ['192.0.2.2/24'], nextHops: [ROUTER], ...more },
});
const untagged = (more: object = {}) => ({
  ...{ addresses: ['203.0.113.204/24'], advertise: [ROUTED_PREFIX], ...more },
});

const ofFields: RuleBreaker[] = [
  {
    what: 'an address without length',
    path,
    body: policy({ addresses: ['192.0.2.2'] }),
    rule: 'forwarding-address',
    pointer: '/addresses/0',
  },
  {
    what: 'two addresses of a subnet',
    path,
    body: policy({ addresses: ['192.0.2.2/24', '192.0.2.130/25'] }),
    rule: 'forwarding-subnet-overlap',
    pointer: '/addresses/1',
  },
  {
    what: 'a broadcast address',
    path,
    body: policy({ addresses: ['192.0.2.255/24'] }),
    rule: 'address-of-host',
    pointer: '/addresses/0',
  },
  {
    what: 'a subnet of one',
    path,
    body: policy({ addresses: ['192.0.2.2/32'] }),
    rule: 'prefix-length',
    pointer: '/addresses/0',
  },
  {
    what: 'a VLAN that is none',
    path,
    body: policy({ vlanId: 4095 }),
    rule: 'maximum',
    pointer: '/vlanId',
  },
  {
    what: 'a next hop elsewhere',
    path,
    body: policy({ nextHops: ['192.0.3.1'] }),
    rule: 'next-hop-in-subnet',
    pointer: '/nextHops/0',
  },
  {
    what: 'itself as next hop',
    path,
    body: policy({ nextHops: ['192.0.2.2'] }),
    rule: 'next-hop-own',
    pointer: '/nextHops/0',
  },
  {
    what: 'a next hop twice',
    path,
    body: policy({ nextHops: [ROUTER, ROUTER] }),
    rule: 'next-hop-once',
    pointer: '/nextHops/1',
  },
  {
    what: 'a destination of a family without next hop',
    path,
    body: policy({ destinationPrefixes: ['2001:db8:1::/48'] }),
    rule: 'destination-next-hop',
    pointer: '/destinationPrefixes/0',
  },
  {
    what: 'a destination on the network itself',
    path,
    body: policy({ destinationPrefixes: ['192.0.2.128/25'] }),
    rule: 'destination-on-link',
    pointer: '/destinationPrefixes/0',
  },
  {
    what: 'a destination twice',
    path,
    body: policy({ destinationPrefixes: ['157.0.0.0/8', '157.0.0.0/8'] }),
    rule: 'prefix-once',
    pointer: '/destinationPrefixes/1',
  },
  {
    what: 'to advertise everything',
    path,
    body: policy({ advertise: ['0.0.0.0/0'] }),
    rule: 'prefix-unicast',
    pointer: '/advertise/0',
  },
  {
    what: 'the untagged network without prefixes',
    path,
    body: { addresses: ['203.0.113.204/24'] },
    rule: 'forwarding-advertise-required',
    pointer: '/advertise',
  },
];

const ofDomain: RuleBreaker[] = [
  {
    what: 'an interface that is not given to forwarding',
    path,
    body: policy({ uplink: PROVIDER_NIC }),
    rule: 'forwarding-uplink',
    pointer: '/uplink',
  },
  {
    what: 'a subnet that overlaps a virtual subnet',
    path,
    body: policy({ addresses: ['10.31.0.2/24'], nextHops: [] }),
    ...conflict,
    rule: 'forwarding-prefix-tenant',
    pointer: '/addresses/0',
  },
  {
    what: 'a destination in a virtual subnet',
    path,
    body: policy({ destinationPrefixes: ['10.31.7.0/24'] }),
    ...conflict,
    rule: 'forwarding-prefix-tenant',
    pointer: '/destinationPrefixes/0',
  },
  {
    what: 'a destination behind a tunnel',
    path: domain('/forwarding', SITES),
    body: policy({ vlanId: VLAN + 1, destinationPrefixes: [SITE_PREFIX] }),
    ...conflict,
    rule: 'forwarding-prefix-site',
    pointer: '/destinationPrefixes/0',
  },
  {
    what: 'an external address of its own',
    path: domain('/forwarding', SITES),
    body: policy({ vlanId: VLAN + 1, addresses: [`${WHOLE}/24`], nextHops: [] }),
    ...conflict,
    rule: 'forwarding-address-external',
    pointer: '/addresses/0',
  },
  {
    what: 'to advertise what is not the tenant’s',
    path,
    body: policy({ advertise: ['10.33.0.0/16'] }),
    rule: 'forwarding-advertise-inside',
    pointer: '/advertise/0',
  },
  {
    what: 'another VLAN than an operator gave to the tenant',
    path,
    body: policy({ vlanId: VLAN + 1 }),
    rule: 'forwarding-given',
    pointer: '/vlanId',
    tenant: ROUTED,
  },
];

const ofOthers: RuleBreaker[] = [
  {
    what: 'the VLAN of another tenant',
    path: domain('/forwarding', SHARING),
    body: policy({ uplink: UPLINK_NIC }),
    ...conflict,
    rule: 'forwarding-vlan-unique',
    pointer: '/vlanId',
  },
  {
    what: 'an address of another tenant on the untagged network',
    path,
    body: untagged({ addresses: [`${SHARED_ADDRESS}/24`] }),
    ...conflict,
    rule: 'forwarding-address-available',
    pointer: '/addresses/0',
  },
  {
    what: 'to advertise a prefix that another tenant has on the untagged network',
    path: domain('/forwarding', SITES),
    body: untagged({ advertise: ['10.21.7.0/24'] }),
    ...conflict,
    rule: 'forwarding-advertise-available',
    pointer: '/advertise/0',
  },
];
export const forwardingBreakers = [...ofFields, ...ofDomain, ...ofOthers];

/** Of what stands beside forwarding. */
export const routingInUseBreakers: RuleBreaker[] = [
  {
    what: 'to be deleted while its prefix is forwarded',
    method: 'DELETE',
    path: domain('/virtual-subnets/7032', SHARING),
    ...conflict,
    rule: 'routing-in-use',
  },
  {
    what: 'a prefix that forwarding has as its network',
    path: domain('/virtual-subnets/7033'),
    body: { addressPrefixes: ['192.0.2.0/26'] },
    ...conflict,
    rule: 'routing-in-use',
    pointer: '/addressPrefixes',
  },
];

export const providerForwardingBreakers: RuleBreaker[] = [
  {
    what: 'an address of forwarding',
    path: `/v1/provider-addresses/${SHARED_ADDRESS}`,
    body: { interface: PROVIDER_NIC, prefixLength: 24 },
    ...conflict,
    rule: 'provider-address-forwarding',
  },
  {
    what: 'the VLAN of a forwarding',
    path: `/v1/provider-addresses/${PROVIDER_ADDRESS}`,
    body: { interface: UPLINK_NIC, prefixLength: 24, vlanId: VLAN },
    ...conflict,
    rule: 'provider-vlan-forwarding',
    pointer: '/vlanId',
  },
];

export async function provisionForwardingNeighbours(api: Pick<ApiClient, 'put'>): Promise<void> {
  await api.put(domain(), { name: 'routed' });
  await api.put(domain('/virtual-subnets/7031'), { addressPrefixes: [ROUTED_PREFIX] });
  await api.put(path, policy());
  await api.put(domain('/bgp'), {
    asn: 64512,
    peers: [{ name: 'router', address: ROUTER, asn: 65001 }],
  });
  await api.put(domain('', SHARING), { name: 'sharing' });
  await api.put(domain('/virtual-subnets/7032', SHARING), {
    addressPrefixes: [SHARED_PREFIX, '10.21.0.0/16'],
  });
  await api.put(`${domain('/forwarding', SHARING)}?wait=10s`, {
    ...{ addresses: [`${SHARED_ADDRESS}/24`], advertise: [SHARED_PREFIX, '10.21.0.0/16'] },
  });
}
