/**
 * Secrets on disk: each is sealed (AES-256-GCM) under a key in a file of its own beside the store, so that the database, its
 * log and its backups have none of them in clear. A seal is of one field of one resource and opens in no other place.
 */
import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { HnvError } from '../errors.ts';
import { mapSecrets } from '../policy/secrets.ts';
import { reasonOf } from './database.ts';
import { encodeKey } from './keys.ts';
import type { ResourceKey } from './store.ts';
import { syncFile } from './sync-file.ts';

const keyBytes = 32;
const nonceBytes = 12;
const tagBytes = 16;
const cipher = 'aes-256-gcm';

export class Seal {
  readonly #key: KeyObject;

  /** Reads the key of the store, or makes one. Throws HNV_STORE. The store's lock must be held. */
  static open(storePath: string): Seal {
    const path = `${storePath}.key`;
    try {
      if (!existsSync(path)) makeKey(path);
      const key = readFileSync(path);
      if (key.length !== keyBytes) throw new Error(`it has ${key.length} bytes and not ${keyBytes}`);
      return new Seal(createSecretKey(key));
    } catch (error) {
      throw new HnvError(
        'HNV_STORE',
        `The key ${path}, which the store’s secrets are sealed with, cannot be used: ${reasonOf(error)}. Put back the right one, ` +
          'or move it away: a new one is made, and what it cannot open must be written again.',
        { cause: error },
      );
    }
  }

  private constructor(key: KeyObject) {
    this.#key = key;
  }

  /** The value as JSON for the file. */
  encode(key: ResourceKey, value: unknown): string {
    const sealed = mapSecrets(key.kind, value, (secret, pointer) =>
      secret === null
        ? null
        : { sealed: this.#close(String(secret), placeOf(key, pointer)).toString('base64') },
    );
    return JSON.stringify(sealed);
  }

  /** The value of a file; secrets that this key does not open are left out, or null where there may be none. */
  decode<V>(key: ResourceKey, value: V): V {
    const unknown = key.kind === 'bgp' ? null : undefined;
    return mapSecrets(
      key.kind,
      value,
      (secret, pointer) => this.#open(secret, placeOf(key, pointer)) ?? unknown,
    );
  }

  #close(secret: string, place: Buffer): Buffer {
    const nonce = randomBytes(nonceBytes);
    const sealing = createCipheriv(cipher, this.#key, nonce).setAAD(place);
    const text = [sealing.update(secret, 'utf8'), sealing.final()];
    return Buffer.concat([nonce, ...text, sealing.getAuthTag()]);
  }

  #open(secret: unknown, place: Buffer): string | undefined {
    try {
      const bytes = Buffer.from((secret as { sealed: string }).sealed, 'base64');
      const opening = createDecipheriv(cipher, this.#key, bytes.subarray(0, nonceBytes), {
        authTagLength: tagBytes,
      });
      opening.setAAD(place).setAuthTag(bytes.subarray(-tagBytes));
      const text = opening.update(bytes.subarray(nonceBytes, -tagBytes), undefined, 'utf8');
      return text + opening.final('utf8');
    } catch {
      return undefined;
    }
  }
}

function placeOf(key: ResourceKey, pointer: string): Buffer {
  return Buffer.from(encodeKey(key) + pointer);
}

/** There is either none or a whole one, at every moment. */
function makeKey(path: string): void {
  const draft = `${path}.new`;
  writeFileSync(draft, randomBytes(keyBytes), { mode: 0o600 });
  syncFile(draft);
  renameSync(draft, path);
  syncFile(dirname(path));
}
