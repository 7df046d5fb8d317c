/** Requests that break the rules of site connections: see rule-breakers.ts. */
import type { ApiClient } from './api-client.ts';
import type { RuleBreaker } from './rule-breakers.ts';
import {
  authorityCertificate,
  otherPrivateKey,
  siteCertificate,
  sitePrivateKey,
} from './site-certificates.ts';

/** What stands beside the tenants, none with a gateway: a domain with a connection, one that shares an address with it, one without NAT. */
export const SITES = '77777777-7777-7777-7777-777777777777';
const SHARER = '88888888-8888-8888-8888-888888888888';
const BARE = '99999999-9999-9999-9999-999999999999';
export const WHOLE = '198.51.100.231';
const SHARED = '198.51.100.232';
const SUBNET = '10.21.0.0/16';
const PEER = '203.0.113.7';
const PEER_OF_SHARER = '203.0.113.8';
export const SITE_PREFIX = '192.168.50.0/24';

const domain = (path = '', rdid = SITES): string => `/v1/routing-domains/${rdid}${path}`;
const newSite = domain('/site-connections/new');
const conflict = { status: 409 } as const;

const psk = (more: object = {}) => ({ method: 'psk', preSharedKey: 'correct horse battery', ...more });
const certificates = (more: object = {}) => ({
  ...{ method: 'certificate', certificate: siteCertificate, privateKey: sitePrivateKey },
  ...{ certificateAuthorities: authorityCertificate, ...more },
});
const site = (more: object = {}) => ({
  ...{ destination: '203.0.113.9', authentication: psk(), subnets: [{ prefix: '192.168.60.0/24' }], ...more },
});
const anyPeer = {
  destination: 'any',
  initiate: 'never',
  authentication: psk({ remoteId: 'branch.example' }),
};

const ofFields: RuleBreaker[] = [
  {
    what: 'an initiation that is none',
    path: newSite,
    body: site({ initiate: 'sometimes' }),
    rule: 'enum',
    pointer: '/initiate',
  },
  {
    what: '"any" in a list of destinations',
    path: newSite,
    body: site({ destination: ['203.0.113.9', 'any'] }),
    rule: 'destination-any',
    pointer: '/destination/1',
  },
  {
    what: 'a destination twice',
    path: newSite,
    body: site({ destination: ['203.0.113.9', '203.0.113.9'] }),
    rule: 'destination-once',
    pointer: '/destination/1',
  },
  {
    what: 'destinations of both families',
    path: newSite,
    body: site({ destination: ['203.0.113.9', '2001:db8::9'] }),
    rule: 'destination-family',
    pointer: '/destination/1',
  },
  {
    what: 'a destination that is not unicast',
    path: newSite,
    body: site({ destination: '224.0.0.1' }),
    rule: 'address-unicast',
    pointer: '/destination',
  },
  {
    what: 'a local address of the other family',
    path: newSite,
    body: site({ localAddress: '2001:db8::1' }),
    rule: 'local-address-family',
    pointer: '/localAddress',
  },
  {
    what: 'a prefix twice',
    path: newSite,
    body: site({ subnets: [{ prefix: '192.168.60.0/24' }, { prefix: '192.168.60.0/24', metric: 5 }] }),
    rule: 'site-prefix-once',
    pointer: '/subnets/1/prefix',
  },
  {
    what: 'a prefix that is not unicast',
    path: newSite,
    body: site({ subnets: [{ prefix: '0.0.0.0/0' }] }),
    rule: 'prefix-unicast',
    pointer: '/subnets/0/prefix',
  },
  {
    what: 'local prefixes of a family that the site has not',
    path: newSite,
    body: site({ localSubnets: [SUBNET, 'fd00:21::/64'] }),
    rule: 'local-subnet-family',
    pointer: '/localSubnets/1',
  },
  {
    what: 'to begin with a peer that may have any address',
    path: newSite,
    body: site({ ...anyPeer, initiate: 'onTraffic' }),
    rule: 'initiate-any',
    pointer: '/initiate',
  },
  {
    what: 'to be taken down when it is idle, and made again at once',
    path: newSite,
    body: site({ idleDisconnectSeconds: 60 }),
    rule: 'idle-disconnect-start',
    pointer: '/idleDisconnectSeconds',
  },
  {
    what: 'algorithms that are broken',
    path: newSite,
    body: site({ quickMode: { encryptionAlgorithms: ['AES256', 'DES3'] } }),
    rule: 'weak-algorithm',
    pointer: '/quickMode/encryptionAlgorithms/1',
  },
];

/** The sharer has so many of them, and one prefix more. */
const MANY = 15;
const manyPrefixes = (nth: number) =>
  site({
    ...{ destination: `203.0.113.${100 + nth}`, initiate: 'never' },
    subnets: Array.from({ length: 64 }, (_, n) => ({ prefix: `172.${16 + nth}.${n}.0/24` })),
  });

const field = (name: string): string => `/authentication/${name}`;
const ofAuthentication: RuleBreaker[] = [
  {
    what: 'a key that is too short, and does not show it',
    path: newSite,
    body: site({ authentication: psk({ preSharedKey: 'secret' }) }),
    rule: 'min-length',
    pointer: field('preSharedKey'),
    names: 'at least 8 characters',
  },
  {
    what: 'a certificate with method psk',
    path: newSite,
    body: site({ authentication: psk({ certificate: siteCertificate }) }),
    rule: 'authentication-method',
    pointer: field('certificate'),
    names: 'method psk',
  },
  {
    what: 'an identity that is everybody’s',
    path: newSite,
    body: site({ authentication: psk({ remoteId: '%any' }) }),
    rule: 'identity',
    pointer: field('remoteId'),
  },
  {
    what: 'a peer with a key that has neither address nor identity',
    path: newSite,
    body: site({ ...anyPeer, authentication: psk() }),
    rule: 'remote-id-required',
    pointer: field('remoteId'),
  },
  {
    what: 'no key',
    path: newSite,
    body: site({ authentication: { method: 'psk' } }),
    rule: 'secret-required',
    pointer: field('preSharedKey'),
  },
  {
    what: 'no certificate authority',
    path: newSite,
    body: site({ authentication: certificates({ certificateAuthorities: undefined }) }),
    rule: 'certificate-required',
    pointer: field('certificateAuthorities'),
  },
  {
    what: 'a private key in place of a certificate, and does not show it',
    path: newSite,
    body: site({ authentication: certificates({ certificate: sitePrivateKey }) }),
    rule: 'pem',
    pointer: field('certificate'),
    names: 'certificates in PEM',
  },
  {
    what: 'a revocation list that is none',
    path: newSite,
    body: site({ authentication: certificates({ revocationLists: authorityCertificate }) }),
    rule: 'pem',
    pointer: field('revocationLists'),
    names: 'revocation lists in PEM',
  },
  {
    what: 'an authority whose certificate is that of a peer',
    path: newSite,
    body: site({ authentication: certificates({ certificateAuthorities: siteCertificate }) }),
    rule: 'certificate-authority',
    pointer: field('certificateAuthorities'),
    names: 'of no certificate authority',
  },
  {
    what: 'a private key of another certificate',
    path: newSite,
    body: site({ authentication: certificates({ privateKey: otherPrivateKey }) }),
    rule: 'private-key-certificate',
    pointer: field('privateKey'),
    names: 'does not belong',
  },
];

const betweenResources: RuleBreaker[] = [
  {
    what: 'a routing domain without NAT',
    path: domain('/site-connections/new', BARE),
    body: site(),
    rule: 'site-needs-nat',
    pointer: '/localAddress',
  },
  {
    what: 'a local address that is not external',
    path: newSite,
    body: site({ localAddress: '198.51.100.200' }),
    rule: 'site-local-address',
    pointer: '/localAddress',
  },
  {
    what: 'a shared local address with a peer that may have any address',
    path: newSite,
    body: site({ ...anyPeer, localAddress: SHARED }),
    rule: 'site-whole-address',
    pointer: '/localAddress',
  },
  {
    what: 'the peer of another connection without another identity',
    path: newSite,
    body: site({ destination: PEER }),
    ...conflict,
    rule: 'site-connection-unique',
    pointer: '/destination',
  },
  {
    what: 'the peer of another tenant at an address that they share',
    path: newSite,
    body: site({ destination: ['203.0.113.9', PEER_OF_SHARER], localAddress: SHARED }),
    ...conflict,
    rule: 'site-peer-unique',
    pointer: '/destination/1',
  },
  {
    what: 'more prefixes than a routing domain may have behind tunnels',
    path: domain('/site-connections/new', SHARER),
    body: manyPrefixes(MANY),
    ...conflict,
    rule: 'site-prefix-count',
    pointer: '/subnets',
    names: '1025',
  },
  {
    what: 'a prefix inside of a virtual subnet',
    path: newSite,
    body: site({ subnets: [{ prefix: '10.21.3.0/24' }] }),
    ...conflict,
    rule: 'site-prefix-subnet',
    pointer: '/subnets/0/prefix',
  },
];

/** Of site connections. */
export const siteBreakers: readonly RuleBreaker[] = [
  ...[...ofFields, ...ofAuthentication, ...betweenResources],
];

/** Of virtual subnets and NAT, which connections need as they are. */
export const siteSubnetBreakers: readonly RuleBreaker[] = [
  {
    what: 'a prefix around one that is behind a tunnel',
    path: domain('/virtual-subnets/7022'),
    body: { addressPrefixes: ['192.168.0.0/16'] },
    ...conflict,
    rule: 'site-prefix-subnet',
    pointer: '/addressPrefixes/0',
  },
];
export const siteNatBreakers: readonly RuleBreaker[] = [
  {
    what: 'to lose the address that a site connection ends at',
    path: domain('/nat'),
    body: {
      externalAddresses: [{ ipAddress: WHOLE }],
      oneToOne: [{ externalIpAddress: WHOLE, internalIpAddress: '10.21.0.9' }],
    },
    ...conflict,
    rule: 'nat-in-use',
    pointer: '/externalAddresses',
    names: 'branch',
  },
  {
    what: 'to be deleted while there is a site connection',
    method: 'DELETE',
    path: domain('/nat'),
    ...conflict,
    rule: 'nat-in-use',
    names: 'branch',
  },
];

/** Writes what they collide with. */
export async function provisionSiteNeighbours(api: Pick<ApiClient, 'put'>): Promise<void> {
  const block = (portStart: number) => ({ ipAddress: SHARED, portStart, portEnd: portStart + 1023 });
  await api.put(domain(), { name: 'sites' });
  await api.put(domain('/virtual-subnets/7021'), { addressPrefixes: [SUBNET] });
  await api.put(domain('/nat'), { externalAddresses: [{ ipAddress: WHOLE }, block(1024)] });
  const branch = site({ destination: PEER, subnets: [{ prefix: SITE_PREFIX }], initiate: 'never' });
  await api.put(domain('/site-connections/branch'), branch);
  await api.put(domain('', SHARER), { name: 'sharer' });
  await api.put(domain('/nat', SHARER), { externalAddresses: [block(2048)] });
  const hq = site({ destination: PEER_OF_SHARER, initiate: 'never' });
  await api.put(domain('/site-connections/hq', SHARER), hq);
  for (let nth = 0; nth < MANY; nth++)
    await api.put(domain(`/site-connections/many-${nth}`, SHARER), manyPrefixes(nth));
  await api.put(`${domain('', BARE)}?wait=10s`, { name: 'bare' });
}
