/**
 * Opens the store's SQLite file: alone (an exclusive lock, held until it is closed), durable (WAL, every commit
 * synchronised), with the newest schema. Whatever stands against that is an HNV_STORE that says what to do.
 */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { HnvError } from '../errors.ts';
import { applicationId, newestSchema, upgradeSchema } from './schema-steps.ts';

/** Opens or creates the file at `path`; its folder is created when it is missing. */
export function openDatabase(path: string): DatabaseSync {
  let database: DatabaseSync | undefined;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    database = new DatabaseSync(path);
    // Before the first access: SQLite then keeps the lock, and the WAL index in its own memory.
    database.exec('PRAGMA locking_mode = EXCLUSIVE');
    const schema = readSchema(database, path);
    database.exec('PRAGMA journal_mode = WAL');
    database.exec('PRAGMA synchronous = FULL');
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

/** The schema of the file, 0 for an empty one. Changes nothing, so that a file that is not ours stays as it is. */
function readSchema(database: DatabaseSync, path: string): number {
  const id = database.prepare('PRAGMA application_id').get()?.application_id;
  if (id !== applicationId) {
    const objects = Number(database.prepare('SELECT count(*) AS count FROM sqlite_schema').get()?.count);
    if (id === 0 && objects === 0) return 0;
    throw notAStore(path);
  }
  const schema = Number(database.prepare('SELECT schema FROM meta').get()?.schema);
  if (schema > newestSchema) {
    throw new HnvError(
      'HNV_STORE',
      `The store ${path} was written by a newer hnvgw (schema ${schema}; this version knows up to ${newestSchema}). ` +
        'Start that version, or put back a copy of the file from before the upgrade.',
    );
  }
  return schema;
}

function notAStore(path: string, cause?: unknown): HnvError {
  return new HnvError(
    'HNV_STORE',
    `The file ${path} is not an hnvgw store. Set store.path to another file, or move this one away.`,
    { cause },
  );
}

/** SQLite's primary result codes that an operator can do something about. */
const sqliteCodes = { busy: 5, locked: 6, corrupt: 11, notADatabase: 26 } as const;

function unusable(path: string, error: unknown): HnvError {
  const extended = error instanceof Error && 'errcode' in error ? Number(error.errcode) : 0;
  const code = extended & 0xff;
  if (code === sqliteCodes.notADatabase) return notAStore(path, error);
  const reason = error instanceof Error ? error.message : String(error);
  let advice = reason;
  if (code === sqliteCodes.busy || code === sqliteCodes.locked) {
    advice = 'another process has it open. Stop that one first, or give this one another store.path';
  } else if (code === sqliteCodes.corrupt) {
    advice = `it is damaged (${reason}). Put back a copy of the file`;
  }
  return new HnvError('HNV_STORE', `The store ${path} cannot be opened: ${advice}.`, { cause: error });
}
