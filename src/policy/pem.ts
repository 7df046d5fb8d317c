/**
 * Certificates, private keys and revocation lists as text (PEM, RFC 7468), each in one canonical form: the blocks alone, so that
 * nothing else that stood in the text is kept.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';

/** What a text must be so that it is read; continues "is not …". */
export const pemForms = {
  certificates: 'one or more certificates in PEM: blocks of BEGIN CERTIFICATE, and no others',
  privateKey: 'a private key in PEM, of RSA, ECDSA, Ed25519 or Ed448, without pass phrase',
  revocationLists: 'one or more revocation lists in PEM: blocks of BEGIN X509 CRL, and no others',
} as const;

/** The certificates, in their order; undefined when the text is anything else. */
export function readCertificates(text: string): X509Certificate[] | undefined {
  return attempt(() => blocks(text, 'CERTIFICATE')?.map((der) => new X509Certificate(der)));
}

export function writeCertificates(certificates: readonly X509Certificate[]): string {
  return certificates.map((certificate) => certificate.toString()).join('');
}

const keyTypes: readonly unknown[] = ['rsa', 'ec', 'ed25519', 'ed448'];

/** The key; undefined when the text is none, or of a type that IKE has no signatures for. */
export function readPrivateKey(text: string): KeyObject | undefined {
  const key = attempt(() => createPrivateKey(text));
  return keyTypes.includes(key?.asymmetricKeyType) ? key : undefined;
}

/** PKCS #8. */
export function writePrivateKey(key: KeyObject): string {
  return String(key.export({ type: 'pkcs8', format: 'pem' }));
}

/** The revocation lists (DER), in their order; undefined when the text is anything else. */
export function readRevocationLists(text: string): Uint8Array[] | undefined {
  const lists = blocks(text, REVOCATION_LIST);
  return lists?.every(isRevocationList) ? lists : undefined;
}

export function writeRevocationLists(lists: readonly Uint8Array[]): string {
  return lists.map((der) => writeBlock(REVOCATION_LIST, der)).join('');
}

const REVOCATION_LIST = 'X509 CRL';

/** What the blocks of the text have inside; undefined when there is none, or one with another label. */
function blocks(text: string, label: string): Uint8Array[] | undefined {
  const found = [...text.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----([A-Za-z0-9+/=\s]*)-----END \1-----/g)];
  const begun = text.split('-----BEGIN').length - 1;
  if (begun === 0 || found.length !== begun || found.some(([, each]) => each !== label)) return undefined;
  return found.map(([, , base64 = '']) => Buffer.from(base64, 'base64'));
}

function writeBlock(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n');
}

const [SEQUENCE, BIT_STRING, INTEGER, UTC_TIME, GENERALIZED_TIME] = [0x30, 0x03, 0x02, 0x17, 0x18];

/** The outline of CertificateList (RFC 5280 section 5.1); what a certificate has is otherwise inside. */
function isRevocationList(der: Uint8Array): boolean {
  const [whole, ...behind] = elements(der) ?? [];
  if (whole?.tag !== SEQUENCE || behind.length > 0) return false;
  const parts = elements(whole.content) ?? [];
  if (parts.map(({ tag }) => tag).join() !== [SEQUENCE, SEQUENCE, BIT_STRING].join()) return false;
  const tags = (elements(parts[0]?.content ?? new Uint8Array()) ?? []).map(({ tag }) => tag);
  if (tags[0] === INTEGER) tags.shift();
  const [signature, issuer, thisUpdate = 0] = tags;
  return signature === SEQUENCE && issuer === SEQUENCE && [UTC_TIME, GENERALIZED_TIME].includes(thisUpdate);
}

/** The elements of DER that stand one behind another; undefined when they are not whole. */
function elements(der: Uint8Array): { tag: number; content: Uint8Array }[] | undefined {
  const found: { tag: number; content: Uint8Array }[] = [];
  for (let at = 0; at < der.length; ) {
    const [tag = 0, first = 0] = der.subarray(at, at + 2);
    const lengthBytes = first < 0x80 ? 0 : first & 0x7f;
    const begin = at + 2 + lengthBytes;
    if (first === 0x80 || lengthBytes > 4 || begin > der.length) return undefined;
    const length = lengthBytes === 0 ? first : Buffer.from(der).readUIntBE(at + 2, lengthBytes);
    if (begin + length > der.length) return undefined;
    found.push({ tag, content: der.subarray(begin, begin + length) });
    at = begin + length;
  }
  return found;
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
