/** A certificate authority for IPsec peers, as an administrator has one with openssl: it issues, revokes, and says what it has revoked. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { MadePair } from './certificates.ts';

const DAY_MS = 86_400_000;

const config = (dir: string) => `
[ca]
default_ca = this
[this]
database = ${dir}/index.txt
serial = ${dir}/serial
crlnumber = ${dir}/crlnumber
new_certs_dir = ${dir}
certificate = ${dir}/ca.crt
private_key = ${dir}/ca.key
default_md = sha256
default_days = 2
default_crl_days = 2
policy = any
copy_extensions = copy
unique_subject = no
crl_extensions = list
[list]
authorityKeyIdentifier = keyid:always
[any]
commonName = supplied
[req]
distinguished_name = name
x509_extensions = authority
[name]
[authority]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
`;

export class SiteAuthority {
  readonly #dir: string;
  /** Its own certificate in PEM. */
  readonly certificate: string;

  /** Works in `folder`, which it makes. */
  constructor(folder: string, name: string) {
    this.#dir = folder;
    mkdirSync(folder);
    writeFileSync(join(folder, 'ca.conf'), config(folder));
    writeFileSync(join(folder, 'index.txt'), '');
    for (const file of ['serial', 'crlnumber']) writeFileSync(join(folder, file), '01\n');
    this.#openssl('req', '-x509', ...newKey('ca'), '-out', 'ca.crt', '-days', '2', '-subj', `/CN=${name}`);
    this.certificate = this.#read('ca.crt');
  }

  /** A key and a certificate for it, of a peer that is called `name` in DNS; valid from yesterday on, or until yesterday. */
  issue(name: string, options: { hasExpired?: boolean } = {}): MadePair {
    this.#openssl(
      'req',
      ...newKey(name),
      '-out',
      `${name}.csr`,
      '-subj',
      `/CN=${name}`,
      '-addext',
      `subjectAltName=DNS:${name}`,
    );
    const [start, end] = options.hasExpired ? [-2, -1] : [-1, 1];
    const times = ['-startdate', dateAt(start), '-enddate', dateAt(end)];
    this.#openssl('ca', '-batch', '-notext', ...times, '-in', `${name}.csr`, '-out', `${name}.crt`);
    return { cert: this.#read(`${name}.crt`), key: this.#read(`${name}.key`) };
  }

  /** Takes back what was issued to `name`. */
  revoke(name: string): void {
    this.#openssl('ca', '-revoke', `${name}.crt`);
  }

  /** The list of what is revoked now, in PEM; valid for two days. */
  revocationList(): string {
    this.#openssl('ca', '-gencrl', '-out', 'ca.crl');
    return this.#read('ca.crl');
  }

  #openssl(command: string, ...args: string[]): void {
    execFileSync('openssl', [command, '-config', 'ca.conf', ...args], { cwd: this.#dir, stdio: 'pipe' });
  }

  #read(file: string): string {
    return readFileSync(join(this.#dir, file), 'utf8');
  }
}

const newKey = (name: string): string[] => [
  ...['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', `${name}.key`],
];

/** So many days from now, as openssl takes it: YYYYMMDDHHMMSSZ. */
function dateAt(days: number): string {
  return `${new Date(Date.now() + days * DAY_MS).toISOString().replace(/\D/g, '').slice(0, 14)}Z`;
}
