/**
 * Secrets are never shown, so that whoever changes a site connection or the peers of BGP may leave them out: then those that are
 * there stay.
 */
import { readCertificates, readPrivateKey } from './pem.ts';
import type { Bgp, SiteConnection } from './resources.ts';
import { invalid } from './rules/refusal.ts';

/**
 * The connection with its secret: that which it has, else that of `held`, which is stored under its name. Throws
 * HNV_INVALID_FIELD when there is none of its method, or a private key that does not belong to its certificate.
 */
export function withKeptSecret(value: SiteConnection, held: SiteConnection | undefined): SiteConnection {
  if (hasSecret(value)) return value;
  const { authentication } = value;
  const field = secretField(value);
  const pointer = `/authentication/${field}`;
  const kept = held?.authentication[field];
  if (kept === undefined) {
    const why = 'is missing, and there is none of before that could stay';
    throw invalid('secret-required', pointer, undefined, why);
  }
  if (field === 'privateKey' && !isKeyOf(authentication.certificate ?? '', kept)) {
    const why = 'is missing, and that of before does not belong to the new certificate';
    throw invalid('secret-required', pointer, undefined, why);
  }
  return { ...value, authentication: { ...authentication, [field]: kept } };
}

/**
 * The BGP with its passwords: of a peer without one that which the peer of its name has in `held`. Null, which takes it away, does not
 * stay; in `held` it is one that was stored and could not be opened, and stays.
 */
export function withKeptPasswords(value: Bgp, held: Bgp | undefined): Bgp {
  const kept = new Map(held?.peers.map(({ name, password }) => [name, password]));
  const peers = value.peers.map(({ password, ...peer }) => {
    const own = password === undefined ? kept.get(peer.name) : (password ?? undefined);
    return own === undefined ? peer : { ...peer, password: own };
  });
  return { ...value, peers };
}

/** False of one whose secret was stored and could not be opened. */
export function hasSecret(value: SiteConnection): boolean {
  return value.authentication[secretField(value)] !== undefined;
}

function secretField({ authentication }: SiteConnection): 'preSharedKey' | 'privateKey' {
  return authentication.method === 'psk' ? 'preSharedKey' : 'privateKey';
}

/** Both in PEM; of the certificates the first is meant. */
function isKeyOf(certificates: string, privateKey: string): boolean {
  const [certificate] = readCertificates(certificates) ?? [];
  const key = readPrivateKey(privateKey);
  return certificate !== undefined && key !== undefined && certificate.checkPrivateKey(key);
}
