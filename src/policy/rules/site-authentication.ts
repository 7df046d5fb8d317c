/**
 * Rules of how the sides of a site connection prove who they are: what belongs to the method, and certificates, keys and revocation
 * lists that can be read. Whether the secret is there is known when it is written (kept-secret.ts). No refusal shows what it is about.
 */
import type { X509Certificate } from 'node:crypto';
import {
  pemForms,
  readCertificates,
  readPrivateKey,
  readRevocationLists,
  writeCertificates,
  writePrivateKey,
  writeRevocationLists,
} from '../pem.ts';
import type { SiteAuthentication, SiteConnection } from '../resources.ts';
import { invalid } from './refusal.ts';

const pointerOf = (field: keyof SiteAuthentication): string => `/authentication/${field}`;

const fieldsOfMethod = {
  psk: ['preSharedKey'],
  certificate: ['certificate', 'privateKey', 'certificateAuthorities', 'revocationLists'],
} as const;

export function normalizeAuthentication(
  given: SiteAuthentication,
  destination: SiteConnection['destination'],
): SiteAuthentication {
  const { method } = given;
  const other = method === 'psk' ? 'certificate' : 'psk';
  for (const field of fieldsOfMethod[other]) {
    if (given[field] === undefined) continue;
    const why = `is there with method ${method}, and belongs to method ${other}`;
    throw invalid('authentication-method', pointerOf(field), undefined, why);
  }
  for (const field of ['localId', 'remoteId'] as const) requireIdentity(field, given[field]);
  if (method === 'certificate') return normalizeCertificates(given);
  if (destination === 'any' && given.remoteId === undefined) {
    const why =
      'must be given: with method psk and destination "any", the site is known by nothing else before it has proved itself';
    throw invalid('remote-id-required', pointerOf('remoteId'), undefined, why);
  }
  return given;
}

/** What strongSwan takes for the identity of everybody, or for one whose type is given by its number. */
const nobodyInParticular = /^(%any6?|\*|0\.0\.0\.0|0?::0?|\{.*)$/s;

function requireIdentity(field: 'localId' | 'remoteId', identity: string | undefined): void {
  if (identity === undefined || (/^\P{Cc}+$/u.test(identity) && !nobodyInParticular.test(identity))) return;
  const why =
    'is no identity of one side: an address, a DNS name, a mail address or a distinguished name, without control characters';
  throw invalid('identity', pointerOf(field), JSON.stringify(identity), why);
}

function normalizeCertificates(given: SiteAuthentication): SiteAuthentication {
  const own = certificatesField(given, 'certificate');
  const authorities = certificatesField(given, 'certificateAuthorities');
  requireAuthorities('certificate', own.slice(1), 2);
  requireAuthorities('certificateAuthorities', authorities, 1);
  const normal: SiteAuthentication = {
    ...given,
    certificate: writeCertificates(own),
    certificateAuthorities: writeCertificates(authorities),
  };
  if (given.privateKey !== undefined) normal.privateKey = keyField(given.privateKey, own);
  if (given.revocationLists !== undefined) {
    const lists = readRevocationLists(given.revocationLists);
    if (lists === undefined) throw unreadable('revocationLists', pemForms.revocationLists);
    normal.revocationLists = writeRevocationLists(lists);
  }
  return normal;
}

function certificatesField(
  given: SiteAuthentication,
  field: 'certificate' | 'certificateAuthorities',
): X509Certificate[] {
  const text = given[field];
  if (text === undefined) {
    const why = 'is missing: method certificate has certificate and certificateAuthorities';
    throw invalid('certificate-required', pointerOf(field), undefined, why);
  }
  const certificates = readCertificates(text);
  if (certificates === undefined) throw unreadable(field, pemForms.certificates);
  return certificates;
}

/** `first`: the number of the first of them in the field. */
function requireAuthorities(
  field: 'certificate' | 'certificateAuthorities',
  certificates: readonly X509Certificate[],
  first: number,
): void {
  const index = certificates.findIndex(({ ca }) => !ca);
  if (index < 0) return;
  const why = `has as its certificate ${index + first} one that is of no certificate authority: basicConstraints does not say CA`;
  throw invalid('certificate-authority', pointerOf(field), undefined, why);
}

function keyField(text: string, [certificate]: readonly X509Certificate[]): string {
  const key = readPrivateKey(text);
  if (key === undefined) throw unreadable('privateKey', pemForms.privateKey);
  if (!certificate?.checkPrivateKey(key)) {
    const why = 'does not belong to the first certificate of authentication.certificate';
    throw invalid('private-key-certificate', pointerOf('privateKey'), undefined, why);
  }
  return writePrivateKey(key);
}

function unreadable(field: keyof SiteAuthentication, form: string) {
  return invalid('pem', pointerOf(field), undefined, `is not ${form}`);
}
