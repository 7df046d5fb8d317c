/** Requests that break the rules of NAT and of external address pools: see rule-breakers.ts. */
import type { ApiClient } from './api-client.ts';
import type { RuleBreaker } from './rule-breakers.ts';
import { CONTOSO, FABRIKAM, GATEWAY_ADDRESS } from './topology.ts';

const domain = (path = '', { rdid } = CONTOSO): string => `/v1/routing-domains/${rdid}${path}`;
const { externalAddress } = CONTOSO;
const [VM1 = { ip: '', mac: '' }] = CONTOSO.vms;
const conflict = { status: 409 } as const;

/** What stands beside the tenants: IPv6 of Contoso's, and a domain that has the one address of a pool. */
const SUBNET6 = 'fd00:1:9::/64';
const HOLDER = '55555555-5555-5555-5555-555555555555';
const GIVEN = '198.51.100.240';
const HELD_PREFIX = '2001:db8:5::/64';
const POOL = { prefixes: [`${GIVEN}/32`] };
const SHARED = { prefixes: ['198.51.100.248/31'], portBlockSize: 1024 };
const BLOCK = { ipAddress: '198.51.100.230', portStart: 2048, portEnd: 4095 };

const nat = (addresses: object[], ...staticMappings: object[]) => ({
  externalAddresses: addresses,
  staticMappings,
});
const external = (more: object = {}) => ({ ipAddress: externalAddress, ...more });
const mapping = (more: object = {}) => ({
  ...{ protocol: 'tcp', externalIpAddress: externalAddress, externalPort: 81 },
  ...{ internalIpAddress: VM1.ip, internalPort: 81, ...more },
});
const natPath = domain('/nat');
const firstExternal = '/externalAddresses/0';
const firstMapping = '/staticMappings/0';
const addresses: RuleBreaker[] = [
  {
    what: 'an external address of another tenant',
    path: natPath,
    body: nat([{ ipAddress: FABRIKAM.externalAddress }]),
    ...conflict,
    rule: 'external-address-available',
    pointer: `${firstExternal}/ipAddress`,
  },
  {
    what: 'a provider address',
    path: natPath,
    body: nat([{ ipAddress: GATEWAY_ADDRESS }]),
    ...conflict,
    rule: 'external-address-available',
    pointer: `${firstExternal}/ipAddress`,
  },
  {
    what: 'an external address that no operator gave to the tenant',
    path: natPath,
    body: nat([external(), { ipAddress: '198.51.100.200' }]),
    rule: 'external-address-given',
    pointer: '/externalAddresses/1/ipAddress',
    tenant: CONTOSO.rdid,
  },
  {
    what: 'more ports of an external address than an operator gave to the tenant',
    path: natPath,
    body: nat([external({ portStart: 1024, portEnd: 65535 })]),
    rule: 'external-address-given',
    pointer: `${firstExternal}/ipAddress`,
    tenant: CONTOSO.rdid,
  },
  {
    what: 'an external address twice',
    path: natPath,
    body: nat([external(), external()]),
    rule: 'external-address-once',
    pointer: '/externalAddresses/1/ipAddress',
  },
  {
    what: 'an external address that is not unicast',
    path: natPath,
    body: nat([{ ipAddress: '224.0.0.1' }]),
    rule: 'address-unicast',
    pointer: `${firstExternal}/ipAddress`,
  },
  {
    what: 'half a port range',
    path: natPath,
    body: nat([external({ portStart: 5 })]),
    rule: 'port-range-both',
    pointer: `${firstExternal}/portStart`,
  },
  {
    what: 'a port range that ends before it begins',
    path: natPath,
    body: nat([external({ portStart: 5, portEnd: 4 })]),
    rule: 'port-range-order',
    pointer: `${firstExternal}/portEnd`,
  },
  {
    what: 'a protocol without ports',
    path: natPath,
    body: nat([external()], mapping({ protocol: 'icmp' })),
    rule: 'enum',
    pointer: `${firstMapping}/protocol`,
  },
  {
    what: 'port 0',
    path: natPath,
    body: nat([external()], mapping({ externalPort: 0 })),
    rule: 'minimum',
    pointer: `${firstMapping}/externalPort`,
  },
  {
    what: 'a mapping of an address that is not external',
    path: natPath,
    body: nat([external()], mapping({ externalIpAddress: '198.51.100.200' })),
    rule: 'mapping-external-address',
    pointer: `${firstMapping}/externalIpAddress`,
  },
  {
    what: 'a mapping to outside the tenant',
    path: natPath,
    body: nat([external()], mapping({ internalIpAddress: '10.9.9.9' })),
    rule: 'address-in-subnet',
    pointer: `${firstMapping}/internalIpAddress`,
  },
  {
    what: 'a mapping to the other family',
    path: natPath,
    body: nat([external()], mapping({ internalIpAddress: 'fd00:1:1::11' })),
    rule: 'mapping-family',
    pointer: `${firstMapping}/internalIpAddress`,
  },
  {
    what: 'a port that is mapped twice',
    path: natPath,
    body: nat([external()], mapping(), mapping({ internalPort: 82 })),
    rule: 'mapping-unique',
    pointer: '/staticMappings/1/externalPort',
  },
  {
    what: 'remote prefixes that overlap',
    path: natPath,
    body: nat(
      [external()],
      mapping({ remoteExternalIpAddressPrefix: '203.0.113.0/24' }),
      mapping({ remoteExternalIpAddressPrefix: '203.0.113.64/26' }),
    ),
    rule: 'mapping-unique',
    pointer: '/staticMappings/1/externalPort',
  },
  {
    what: 'a remote prefix that is none',
    path: natPath,
    body: nat([external()], mapping({ remoteExternalIpAddressPrefix: 'everybody' })),
    rule: 'ip-prefix',
    pointer: `${firstMapping}/remoteExternalIpAddressPrefix`,
  },
  {
    what: 'a patch that takes the addresses away',
    method: 'PATCH',
    path: natPath,
    body: { externalAddresses: null },
    rule: 'external-required',
    pointer: '/externalAddresses',
  },
  {
    what: 'neither addresses nor prefixes',
    path: natPath,
    body: nat([]),
    rule: 'external-required',
    pointer: firstExternal.slice(0, -2),
    names: 'has nothing in it',
  },
  {
    what: 'a block that another tenant has ports of',
    path: natPath,
    body: nat([{ ...BLOCK, portStart: 4000, portEnd: 5000 }]),
    ...conflict,
    rule: 'external-address-available',
    pointer: `${firstExternal}/ipAddress`,
  },
  {
    what: 'the whole of an address that another tenant has a block of',
    path: natPath,
    body: nat([{ ipAddress: BLOCK.ipAddress }]),
    ...conflict,
    rule: 'external-address-available',
    pointer: `${firstExternal}/ipAddress`,
  },
  {
    what: 'an address in the external prefix of another tenant',
    path: natPath,
    body: nat([{ ipAddress: '2001:db8:5::7' }]),
    ...conflict,
    rule: 'external-address-available',
    pointer: `${firstExternal}/ipAddress`,
  },
  {
    what: 'a mapping of a port outside its block',
    path: natPath,
    body: nat([external({ portStart: 1024, portEnd: 2047 })], mapping()),
    rule: 'mapping-port-block',
    pointer: `${firstMapping}/externalPort`,
  },
  {
    what: 'ALGs with a block of ports',
    path: natPath,
    body: { ...nat([external({ portStart: 1024, portEnd: 2047 })]), algs: ['ftp'] },
    rule: 'alg-whole-address',
    pointer: '/algs',
  },
  {
    what: 'endpoint-independent filtering with an IPv6 address',
    path: natPath,
    body: {
      ...nat([external(), external({ ipAddress: '2001:db8:100::101' })]),
      filtering: { udp: 'endpointIndependent' },
    },
    rule: 'filtering-ipv4',
    pointer: '/filtering/udp',
  },
];

const pairOf = (more: object = {}) => ({
  externalIpAddress: externalAddress,
  internalIpAddress: VM1.ip,
  ...more,
});
const pairs = (list: object[], addressesOf = [external()]) => ({ ...nat(addressesOf), oneToOne: list });
const oneToOne: RuleBreaker[] = [
  {
    what: 'one-to-one of an address that is not external',
    path: natPath,
    body: pairs([pairOf({ externalIpAddress: '198.51.100.200' })]),
    rule: 'one-to-one-external',
    pointer: '/oneToOne/0/externalIpAddress',
  },
  {
    what: 'one-to-one of a block of ports',
    path: natPath,
    body: pairs([pairOf()], [external({ portStart: 1024, portEnd: 2047 })]),
    rule: 'one-to-one-external',
    pointer: '/oneToOne/0/externalIpAddress',
  },
  {
    what: 'one-to-one of an address with a static mapping',
    path: natPath,
    body: { ...pairs([pairOf()]), staticMappings: [mapping()] },
    rule: 'one-to-one-mapping',
    pointer: '/oneToOne/0/externalIpAddress',
  },
  {
    what: 'one-to-one of an address twice',
    path: natPath,
    body: pairs([pairOf(), pairOf({ internalIpAddress: '10.1.1.12' })]),
    rule: 'one-to-one-once',
    pointer: '/oneToOne/1/externalIpAddress',
  },
  {
    what: 'one-to-one to an inside address twice',
    path: natPath,
    body: pairs(
      [pairOf(), pairOf({ externalIpAddress: '198.51.100.201' })],
      [external(), { ipAddress: '198.51.100.201' }],
    ),
    rule: 'one-to-one-once',
    pointer: '/oneToOne/1/internalIpAddress',
  },
  {
    what: 'one-to-one to the other family',
    path: natPath,
    body: pairs([pairOf({ internalIpAddress: 'fd00:1:9::11' })]),
    rule: 'one-to-one-family',
    pointer: '/oneToOne/0/internalIpAddress',
  },
  {
    what: 'one-to-one to the distributed router',
    path: natPath,
    body: pairs([pairOf({ internalIpAddress: '10.1.1.1' })]),
    rule: 'address-reserved',
    pointer: '/oneToOne/0/internalIpAddress',
  },
];

const prefixed = (...externalPrefixes: object[]) => ({ externalPrefixes });
const firstPrefix = '/externalPrefixes/0/prefix';
const firstInternal = '/externalPrefixes/0/internalPrefix';
const prefixes: RuleBreaker[] = [
  {
    what: 'an external prefix of IPv4',
    path: natPath,
    body: prefixed({ prefix: '10.1.1.0/24' }),
    rule: 'prefix-ipv6',
    pointer: firstPrefix,
  },
  {
    what: 'a prefix to translate that is longer than 64',
    path: natPath,
    body: prefixed({ prefix: '2001:db8:1:9::/80', internalPrefix: 'fd00:1:9::/80' }),
    rule: 'prefix-length',
    pointer: firstPrefix,
  },
  {
    what: 'an inside prefix of another length',
    path: natPath,
    body: prefixed({ prefix: '2001:db8:1:9::/64', internalPrefix: 'fd00:1:9::/56' }),
    rule: 'prefix-same-length',
    pointer: firstInternal,
  },
  {
    what: 'an external prefix that is not unicast',
    path: natPath,
    body: prefixed({ prefix: 'ff0e::/64', internalPrefix: SUBNET6 }),
    rule: 'prefix-unicast',
    pointer: firstPrefix,
  },
  {
    what: 'external prefixes that overlap',
    path: natPath,
    body: prefixed({ prefix: 'fd00:1:9::/64' }, { prefix: 'fd00:1::/32' }),
    rule: 'prefix-overlap',
    pointer: '/externalPrefixes/1/prefix',
  },
  {
    what: 'a routed prefix that no virtual subnet is in',
    path: natPath,
    body: prefixed({ prefix: '2001:db8:1:9::/64' }),
    rule: 'external-prefix-inside',
    pointer: firstPrefix,
  },
  {
    what: 'an inside prefix that no virtual subnet is in',
    path: natPath,
    body: prefixed({ prefix: '2001:db8:1:9::/64', internalPrefix: 'fd00:9::/64' }),
    rule: 'external-prefix-inside',
    pointer: firstInternal,
  },
  {
    what: 'an external prefix around an external address of its own',
    path: natPath,
    body: { ...nat([{ ipAddress: 'fd00:1:9::77' }]), ...prefixed({ prefix: SUBNET6 }) },
    rule: 'external-prefix-address',
    pointer: firstPrefix,
  },
  {
    what: 'an external prefix of another tenant',
    path: natPath,
    body: prefixed({ prefix: HELD_PREFIX, internalPrefix: SUBNET6 }),
    ...conflict,
    rule: 'external-prefix-available',
    pointer: firstPrefix,
  },
  {
    what: 'an external prefix that no operator gave to the tenant',
    path: natPath,
    body: { ...nat([external()]), ...prefixed({ prefix: SUBNET6 }) },
    rule: 'external-prefix-given',
    pointer: firstPrefix,
    tenant: CONTOSO.rdid,
  },
  {
    what: 'a limit of sessions that a tenant sets',
    path: natPath,
    body: { ...nat([external()]), maxSessions: 1000 },
    rule: 'max-sessions-given',
    pointer: '/maxSessions',
    tenant: CONTOSO.rdid,
  },
];

const auto = (more: object = {}) => ({ externalAddresses: 'auto', ...more });
const allocation: RuleBreaker[] = [
  {
    what: 'a pool with addresses that it names',
    path: natPath,
    body: { ...nat([external()]), pool: 'one' },
    rule: 'auto-only',
    pointer: '/pool',
  },
  {
    what: 'a pool that is not there',
    path: natPath,
    body: auto({ pool: 'two' }),
    rule: 'pool-exists',
    pointer: '/pool',
  },
  {
    what: 'a pool without a free address',
    path: natPath,
    body: auto({ pool: 'one' }),
    ...conflict,
    rule: 'pool-room',
    pointer: '/externalAddresses',
  },
  {
    what: 'ALGs with a block of a pool',
    path: natPath,
    body: auto({ pool: 'shared', algs: ['sip'] }),
    rule: 'alg-whole-address',
    pointer: '/algs',
  },
  {
    what: 'an address of a pool for a tenant that an operator gave another',
    path: natPath,
    body: auto(),
    rule: 'external-address-given',
    pointer: '/externalAddresses',
    tenant: CONTOSO.rdid,
  },
];

const poolPath = '/v1/external-address-pools/new';
const pool = (prefixesOf: string[], more: object = {}) => ({ prefixes: prefixesOf, ...more });
/** Of external address pools. */
export const poolBreakers: readonly RuleBreaker[] = [
  {
    what: 'no prefix',
    path: poolPath,
    body: pool([]),
    rule: 'min-items',
    pointer: '/prefixes',
  },
  {
    what: 'blocks that are too small',
    path: poolPath,
    body: pool(['198.51.100.244/32'], { portBlockSize: 63 }),
    rule: 'minimum',
    pointer: '/portBlockSize',
  },
  {
    what: 'a prefix with host bits',
    path: poolPath,
    body: pool(['198.51.100.245/31']),
    rule: 'prefix-host-bits',
    pointer: '/prefixes/0',
  },
  {
    what: 'a prefix that is not unicast',
    path: poolPath,
    body: pool(['224.0.0.0/24']),
    rule: 'prefix-unicast',
    pointer: '/prefixes/0',
  },
  {
    what: 'prefixes that overlap',
    path: poolPath,
    body: pool(['198.51.100.244/31', '198.51.100.245/32']),
    rule: 'prefix-overlap',
    pointer: '/prefixes/1',
  },
  {
    what: 'more addresses than a pool may have',
    path: poolPath,
    body: pool(['198.18.0.0/16', '198.19.0.0/32']),
    rule: 'pool-size',
    pointer: '/prefixes/1',
  },
  {
    what: 'addresses of another pool',
    path: poolPath,
    body: pool(['198.51.100.240/28']),
    ...conflict,
    rule: 'pool-overlap',
    pointer: '/prefixes/0',
  },
  {
    what: 'to be deleted while a routing domain has an address from it',
    method: 'DELETE',
    path: '/v1/external-address-pools/one',
    ...conflict,
    rule: 'pool-in-use',
  },
  {
    what: 'to lose the address that a routing domain has from it',
    path: '/v1/external-address-pools/one',
    body: pool(['198.51.100.241/32']),
    ...conflict,
    rule: 'pool-in-use',
    pointer: '/prefixes',
  },
  {
    what: 'to give out blocks while a routing domain has a whole address from it',
    path: '/v1/external-address-pools/one',
    body: pool([`${GIVEN}/32`], { portBlockSize: 1024 }),
    ...conflict,
    rule: 'pool-in-use',
    pointer: '/portBlockSize',
  },
];

/** Of NAT. */
export const natBreakers: readonly RuleBreaker[] = [
  ...[...addresses, ...oneToOne, ...prefixes, ...allocation],
];

/** Writes what they collide with, beside the tenants. */
export async function provisionNatNeighbours(api: Pick<ApiClient, 'put'>): Promise<void> {
  await api.put(domain('/virtual-subnets/5019'), { addressPrefixes: [SUBNET6] });
  await api.put('/v1/external-address-pools/one', POOL);
  await api.put('/v1/external-address-pools/shared', SHARED);
  const base = `/v1/routing-domains/${HOLDER}`;
  await api.put(base, { name: 'holder' });
  await api.put(`${base}/virtual-subnets/7019`, { addressPrefixes: ['fd00:5::/64'] });
  await api.put(`${base}/nat`, {
    ...auto({ pool: 'one' }),
    ...prefixed({ prefix: HELD_PREFIX, internalPrefix: 'fd00:5::/64' }),
  });
  const other = '66666666-6666-6666-6666-666666666666';
  await api.put(`/v1/routing-domains/${other}`, { name: 'block holder' });
  await api.put(`/v1/routing-domains/${other}/nat?wait=10s`, nat([BLOCK]));
}
