/**
 * The secret part of a bearer token, `hnvgw_<id>_<secret>`: 32 random bytes, of which only a scrypt hash is kept. The hash
 * says how it was made, so that another cost can be chosen later: `scrypt$N$r$p$salt$key`.
 */
import { randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from 'node:crypto';

const SECRET_BYTES = 32;
const SALT_BYTES = 16;
const KEY_BYTES = 32;
/** 16 MiB and some 40 ms. A secret that cannot be guessed needs no more; this one cannot be. */
const cost = { N: 16_384, r: 8, p: 1 } as const;

/** The secret has a fixed length, so that the id may have any of its characters too. */
const tokenForm = /^hnvgw_([A-Za-z0-9][A-Za-z0-9._-]{0,63})_([A-Za-z0-9_-]{43})$/;

export interface TokenParts {
  readonly id: string;
  readonly secret: string;
}

/** A new secret, base64url. */
export function newSecret(): string {
  return randomBytes(SECRET_BYTES).toString('base64url');
}

export function writeToken({ id, secret }: TokenParts): string {
  return `hnvgw_${id}_${secret}`;
}

/** Undefined for what is no token of this program, whatever its length. */
export function readToken(text: string): TokenParts | undefined {
  const [, id, secret] = tokenForm.exec(text) ?? [];
  return id === undefined || secret === undefined ? undefined : { id, secret };
}

/** What is kept of a secret. */
export async function hashSecret(secret: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES);
  const key = await derive(secret, salt, KEY_BYTES, cost);
  const { N, r, p } = cost;
  return ['scrypt', N, r, p, salt.toString('base64url'), key.toString('base64url')].join('$');
}

/** Whether the hash was made of the secret; of a hash that cannot be read nothing was. */
export async function matchesHash(secret: string, hash: string): Promise<boolean> {
  const [name, N, r, p, salt = '', key = ''] = hash.split('$');
  const expected = Buffer.from(key, 'base64url');
  if (name !== 'scrypt' || expected.length < KEY_BYTES) return false;
  const options = { N: Number(N), r: Number(r), p: Number(p) };
  const derived = await derive(secret, Buffer.from(salt, 'base64url'), expected.length, options);
  return timingSafeEqual(derived, expected);
}

function derive(secret: string, salt: Buffer, length: number, options: ScryptOptions): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(secret, salt, length, options, (error, key) => (error === null ? resolve(key) : reject(error)));
  });
}
