/**
 * Opens the store's SQLite file: alone (an exclusive lock, held until it is closed), durable (WAL, every commit
 * synchronised), with the newest schema. Whatever stands against that is an HNV_STORE that says what to do.
 */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { HnvError } from '../errors.ts';
import { applicationId, newestSchema, upgradeSchema } from './schema-steps.ts';

const walBytes = 16 * 1024 * 1024;

/** Opens or creates the file at `path`; its folder is created when it is missing. */
export function openDatabase(path: string): DatabaseSync {
  let database: DatabaseSync | undefined;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    database = new DatabaseSync(path);
    // Before the first access: SQLite then keeps the lock, and the WAL index in its own memory.
    database.exec('PRAGMA locking_mode = EXCLUSIVE');
    const schema = checkFile(database, path);
    database.exec('PRAGMA journal_mode = WAL');
    database.exec('PRAGMA synchronous = FULL');
    // What a large document has written to the WAL does not stay on the disk.
    database.exec(`PRAGMA journal_size_limit = ${walBytes}`);
    // A write transaction even when there is nothing to upgrade: it takes the lock now, not at the first write.
    database.exec('BEGIN IMMEDIATE');
    upgradeSchema(database, schema);
    database.exec('COMMIT');
    return database;
  } catch (error) {
    database?.close();
    throw error instanceof HnvError ? error : unusable(path, error);
  }
}

/** Throws when the file is not ours, of a newer hnvgw, or damaged; changes nothing, so that it stays as it is. */
function checkFile(database: DatabaseSync, path: string): number {
  const schema = readSchema(database);
  if (schema === undefined) throw notAStore(path);
  if (schema > newestSchema) {
    throw new HnvError(
      'HNV_STORE',
      `The store ${path} was written by a newer hnvgw (schema ${schema}; this version knows up to ${newestSchema}). ` +
        'Start that version, or put back a backup from before the upgrade with `hnvgw restore`.',
    );
  }
  const damage = findDamage(database);
  if (damage !== undefined) throw damaged(path, damage);
  return schema;
}

/** The schema of the file, 0 for an empty one; undefined when it is no store. */
export function readSchema(database: DatabaseSync): number | undefined {
  const id = database.prepare('PRAGMA application_id').get()?.application_id;
  if (id === applicationId) return Number(database.prepare('SELECT schema FROM meta').get()?.schema);
  const objects = Number(database.prepare('SELECT count(*) AS count FROM sqlite_schema').get()?.count);
  return id === 0 && objects === 0 ? 0 : undefined;
}

/** What SQLite finds wrong with the file. */
export function findDamage(database: DatabaseSync): string | undefined {
  const [first] = database.prepare('PRAGMA quick_check(1)').all();
  const result = String(first?.quick_check);
  return result === 'ok' ? undefined : result;
}

function damaged(path: string, reason: string, cause?: unknown): HnvError {
  return new HnvError(
    'HNV_STORE',
    `The store ${path} cannot be opened: it is damaged (${reason}). Put back a backup with \`hnvgw restore\`.`,
    { cause },
  );
}

export function notAStore(path: string, cause?: unknown): HnvError {
  return new HnvError(
    'HNV_STORE',
    `The file ${path} is not an hnvgw store. Set store.path to another file, or move this one away.`,
    { cause },
  );
}

/** What an operator can do something about. */
export type FileTrouble = 'busy' | 'corrupt' | 'notADatabase';

/** SQLite's primary result codes: BUSY, LOCKED, CORRUPT, NOTADB. */
const troubles = new Map<number, FileTrouble>([
  [5, 'busy'],
  [6, 'busy'],
  [11, 'corrupt'],
  [26, 'notADatabase'],
]);

/** What an error of SQLite says about its file. */
export function troubleOf(error: unknown): FileTrouble | undefined {
  const extended = error instanceof Error && 'errcode' in error ? Number(error.errcode) : 0;
  return troubles.get(extended & 0xff);
}

function unusable(path: string, error: unknown): HnvError {
  const trouble = troubleOf(error);
  if (trouble === 'notADatabase') return notAStore(path, error);
  if (trouble === 'corrupt') return damaged(path, reasonOf(error), error);
  const advice =
    trouble === 'busy'
      ? 'another process has it open. Stop that one first, or give this one another store.path'
      : reasonOf(error);
  return new HnvError('HNV_STORE', `The store ${path} cannot be opened: ${advice}.`, { cause: error });
}

export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
