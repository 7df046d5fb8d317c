/**
 * The certificate of the API, read again when its files change. What cannot be used (the key is not the certificate's, a file is
 * half written) leaves the one before in use, until the files are right.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync, unwatchFile, watchFile } from 'node:fs';
import { createSecureContext } from 'node:tls';
import type { FastifyBaseLogger } from 'fastify';
import type { TlsFiles } from '../config/config.ts';
import { HnvError } from '../errors.ts';

/** By looking, not inotify: a link in the path may be what changes, as where certificates are put by orchestrators. */
const LOOK_EVERY_MS = 2_000;

export interface KeyPair {
  readonly cert: string;
  readonly key: string;
  readonly minVersion: 'TLSv1.2';
}

export class Certificate {
  readonly #files: TlsFiles;
  readonly #log: FastifyBaseLogger;
  readonly #look = (): void => this.#reload();
  readonly #listeners: ((pair: KeyPair) => void)[] = [];
  #pair: KeyPair;
  #trouble: string | undefined;

  /** Throws HNV_CONFIG when the files cannot be used. */
  constructor(files: TlsFiles, log: FastifyBaseLogger, lookEveryMs = LOOK_EVERY_MS) {
    this.#files = files;
    this.#log = log;
    this.#pair = readPair(files);
    for (const file of [files.certificateFile, files.keyFile])
      watchFile(file, { interval: lookEveryMs, persistent: false }, this.#look);
  }

  get pair(): KeyPair {
    return this.#pair;
  }

  /** What is wrong with the files as they are now, for an operator. */
  get warning(): string | undefined {
    return this.#trouble;
  }

  /** Calls back with each new pair. */
  onChange(listener: (pair: KeyPair) => void): void {
    this.#listeners.push(listener);
  }

  close(): void {
    unwatchFile(this.#files.certificateFile, this.#look);
    unwatchFile(this.#files.keyFile, this.#look);
  }

  #reload(): void {
    let pair: KeyPair;
    try {
      pair = readPair(this.#files);
    } catch (error) {
      if (!(error instanceof HnvError)) throw error;
      this.#trouble = `${error.message} The API goes on with the certificate that it had.`;
      this.#log.warn({ err: error }, this.#trouble);
      return;
    }
    this.#trouble = undefined;
    if (pair.cert === this.#pair.cert && pair.key === this.#pair.key) return;
    this.#pair = pair;
    for (const listener of this.#listeners) listener(pair);
    this.#log.info({ file: this.#files.certificateFile }, 'the API has a new certificate');
  }
}

function readPair({ certificateFile, keyFile }: TlsFiles): KeyPair {
  const cert = readText('certificateFile', certificateFile);
  const key = readText('keyFile', keyFile);
  const certificate = using('certificateFile', certificateFile, 'has no certificate in PEM', () => {
    createSecureContext({ cert });
    return new X509Certificate(cert);
  });
  const privateKey = using('keyFile', keyFile, 'has no private key in PEM without passphrase', () =>
    createPrivateKey(key),
  );
  if (!certificate.checkPrivateKey(privateKey)) {
    const reason = `is ${keyFile}, whose key is not that of the certificate in ${certificateFile}`;
    throw refusal('keyFile', reason, 'tls-pair');
  }
  // What else a server needs of them, such as a key that is long enough.
  using('certificateFile', certificateFile, 'cannot be used', () => createSecureContext({ cert, key }));
  return { cert, key, minVersion: 'TLSv1.2' };
}

function readText(field: keyof TlsFiles, file: string): string {
  return using(field, file, 'cannot be read', () => readFileSync(file, 'utf8'));
}

function using<T>(field: keyof TlsFiles, file: string, what: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw refusal(field, `is ${file}, which ${what}: ${why}`, 'tls-file', error);
  }
}

function refusal(field: keyof TlsFiles, reason: string, rule: string, cause?: unknown): HnvError {
  return new HnvError('HNV_CONFIG', `api.tls.${field} ${reason}.`, {
    pointer: `/api/tls/${field}`,
    rule,
    cause,
  });
}
