/**
 * The secret of a site connection is never shown, so that whoever changes the connection may leave it out: then the one that is
 * there stays.
 */
import { readCertificates, readPrivateKey } from './pem.ts';
import type { SiteConnection } from './resources.ts';
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
