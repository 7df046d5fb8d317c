/**
 * The policy of the site connections' bench: a hundred routing domains, alike inside, with 250 site connections among them,
 * from sixteen shared public addresses to sites with fifty addresses in all.
 */
import type { SiteTunnel } from '../test/lab/site-config.ts';
import { ADDRESSES, blockDomain, blockPolicy } from './port-blocks-policy.ts';

export const DOMAINS = 100;
export const CONNECTIONS = 250;
export const SITES = 5;
const ADDRESSES_PER_SITE = 10;
const KEY = 'a key that all of them have';

/** Of site `site`. */
export function siteAddresses(site: number): string[] {
  return Array.from({ length: ADDRESSES_PER_SITE }, (_, index) => `203.0.113.${1 + site + SITES * index}`);
}

interface Connection {
  domain: number;
  name: string;
  site: number;
  destination: string;
  localAddress: string;
  prefix: string;
}

/** Two of each domain, and a third one of the first fifty; no two have both addresses in common. */
function connections(): Connection[] {
  return Array.from({ length: CONNECTIONS }, (_, index) => {
    const [domain, round] = [index % DOMAINS, Math.floor(index / DOMAINS)];
    const place = 3 * Math.floor(domain / ADDRESSES) + round;
    const site = place % SITES;
    return {
      ...{ domain, site, name: `site${round}` },
      destination: siteAddresses(site)[Math.floor(place / SITES)] ?? '',
      localAddress: blockDomain(domain).block.ipAddress,
      prefix: `172.${16 + Math.floor(index / 256)}.${index % 256}.0/24`,
    };
  });
}

const idOf = ({ domain, name }: Connection): string => `${name}.d${domain}.example`;
const proposals = { encryptionAlgorithms: ['GCMAES128'], integrityAlgorithms: ['SHA256'] };

/** The whole document. */
export function sitePolicy() {
  const domains = Array.from({ length: DOMAINS }, (_, number) => blockDomain(number));
  const all = connections();
  const policy = blockPolicy(domains, { nat: true });
  return {
    ...policy,
    routingDomains: policy.routingDomains.map((domain, number) => ({
      ...domain,
      siteConnections: all
        .filter((connection) => connection.domain === number)
        .map((connection) => ({
          name: connection.name,
          destination: connection.destination,
          authentication: { method: 'psk', preSharedKey: KEY, remoteId: idOf(connection) },
          subnets: [{ prefix: connection.prefix }],
          mainMode: { ...proposals, diffieHellmanGroups: ['Curve25519'] },
          quickMode: { ...proposals, perfectForwardSecrecy: ['Curve25519'] },
        })),
    })),
  };
}

/** What the site's own strongSwan is told. */
export function siteTunnels(site: number): SiteTunnel[] {
  return connections()
    .filter((connection) => connection.site === site)
    .map((connection) => ({
      name: `${connection.name}-d${connection.domain}`,
      remoteAddress: connection.localAddress,
      localAddress: connection.destination,
      localId: idOf(connection),
      remoteId: connection.localAddress,
      key: KEY,
      espProposals: 'aes128gcm16-curve25519',
      local: [connection.prefix],
      remote: ['10.1.1.0/24'],
    }));
}
