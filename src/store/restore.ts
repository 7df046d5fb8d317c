/**
 * Puts a backup in the place of a store that no node has open. The file that was there stays beside it; at every moment
 * there is either the old store or the new one.
 */
import { constants, copyFileSync, existsSync, linkSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { HnvError } from '../errors.ts';
import { findDamage, notAStore, readSchema, reasonOf, troubleOf } from './database.ts';
import { newestSchema, upgradeSchema } from './schema-steps.ts';
import { syncFile } from './sync-file.ts';

/** What a restore has done. */
export interface Restored {
  /** Of the store from now on: above all that the old file has ever had. */
  readonly revision: number;
  readonly routingDomains: number;
  /** All resources, the routing domains included. */
  readonly resources: number;
  /** Where the file is that was there before. */
  readonly kept?: string;
}

/** Numbers that the restored store must go on from, so that none is given a second time. */
interface Counters {
  readonly revision: number;
  readonly tokenRevision: number;
  readonly lastHandle: number;
  readonly auditId: number;
}

/** The store that is there; as long as this is open no node can open it. */
interface OldStore extends Disposable {
  /** Undefined when they cannot be read. */
  readonly counters: Counters | undefined;
  /** Has everything in the one file, still locked. */
  settle(): void;
}

/**
 * Restores `storePath` from a file that Store.backup has written, or from a store's file that was kept. Throws HNV_STORE,
 * with everything as it was, when a node has the store open or the backup is not whole.
 */
export function restoreStore(backupFile: string, storePath: string): Restored {
  if (resolve(backupFile) === resolve(storePath)) {
    throw new HnvError('HNV_STORE', `The backup ${backupFile} is the store itself: name another file.`);
  }
  const folder = dirname(storePath);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const copy = `${storePath}.restore`;
  using old = openOld(storePath);
  removeFile(copy);
  try {
    copyBackup(backupFile, copy);
    const restored = prepare(copy, backupFile, old?.counters);
    syncFile(copy);
    old?.settle();
    const kept = old && keep(storePath);
    renameSync(copy, storePath);
    syncFile(folder);
    return kept === undefined ? restored : { ...restored, kept };
  } catch (error) {
    throw error instanceof HnvError ? error : notRestored(backupFile, reasonOf(error), error);
  } finally {
    removeFile(copy);
  }
}

function openOld(path: string): OldStore | undefined {
  if (!existsSync(path)) return undefined;
  if (isDamaged(path)) {
    // No node opens it: it needs no lock, and stays as it is with its log.
    return { counters: undefined, settle: () => {}, [Symbol.dispose]: () => {} };
  }
  const database = new DatabaseSync(path);
  const locking = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      throw troubleOf(error) === 'busy' ? isOpen(path, error) : error;
    }
  };
  try {
    const counters = locking(() => {
      database.exec('BEGIN IMMEDIATE');
      return readCounters(database);
    });
    const settle = () =>
      locking(() => database.exec('ROLLBACK; PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE'));
    return { counters, settle, [Symbol.dispose]: () => database.close() };
  } catch (error) {
    database.close();
    throw error;
  }
}

/** Throws when the file is no store, or open. Changes nothing. */
function isDamaged(path: string): boolean {
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    if (readSchema(database) === undefined) throw notAStore(path);
    return findDamage(database) !== undefined;
  } catch (error) {
    const trouble = troubleOf(error);
    if (trouble === 'busy') throw isOpen(path, error);
    if (trouble === 'notADatabase') throw notAStore(path, error);
    if (trouble === 'corrupt') return true;
    throw error;
  } finally {
    database.close();
  }
}

function isOpen(path: string, cause: unknown): HnvError {
  return new HnvError(
    'HNV_STORE',
    `The store ${path} is open in another process: stop the node before its store is restored.`,
    { cause },
  );
}

/** A newer or older schema may have other names for them, or none. */
function readCounters(database: DatabaseSync): Counters | undefined {
  if (readSchema(database) !== newestSchema) return undefined;
  const row = database
    .prepare(
      `SELECT revision, token_revision AS tokenRevision, last_handle AS lastHandle,
              (SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'audit') AS auditId FROM meta`,
    )
    .get();
  return row as unknown as Counters;
}

/** With its write-ahead log, which the file of a store has that was not closed. */
function copyBackup(from: string, to: string): void {
  if (!existsSync(from)) throw new HnvError('HNV_STORE', `There is no backup ${from}.`);
  for (const part of ['', '-wal']) {
    if (existsSync(from + part)) copyFileSync(from + part, to + part, constants.COPYFILE_FICLONE);
  }
}

/** Checks the copy and makes it the store that is to be; what it answers is in the one file. */
function prepare(copy: string, backupFile: string, old: Counters | undefined): Restored {
  const database = new DatabaseSync(copy);
  try {
    const schema = readSchema(database);
    if (schema === undefined || schema === 0)
      throw notRestored(backupFile, 'it is not a backup of an hnvgw store');
    if (schema > newestSchema) {
      const why = `a newer hnvgw has written it (schema ${schema}; this version knows up to ${newestSchema}): restore it with that version`;
      throw notRestored(backupFile, why);
    }
    const damage = findDamage(database);
    if (damage !== undefined) throw notRestored(backupFile, `it is damaged (${damage})`);
    database.exec('PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL; BEGIN IMMEDIATE');
    upgradeSchema(database, schema);
    const revision = goOn(database, old);
    database.exec('COMMIT');
    const counts = database
      .prepare(
        'SELECT (SELECT count(*) FROM resources) AS resources, (SELECT count(*) FROM handles) AS routingDomains',
      )
      .get();
    return { revision, resources: Number(counts?.resources), routingDomains: Number(counts?.routingDomains) };
  } catch (error) {
    const trouble = troubleOf(error);
    if (trouble === 'notADatabase') throw notRestored(backupFile, 'it is not a backup of an hnvgw store');
    if (trouble === 'corrupt') throw notRestored(backupFile, `it is damaged (${reasonOf(error)})`, error);
    throw error;
  } finally {
    database.close();
  }
}

/**
 * Revisions are entity tags: everything gets one that nothing had before, for whatever a client has read of the old store
 * says nothing about this one. Without the old store, that is the time in milliseconds, more than any store has had writes.
 */
function goOn(database: DatabaseSync, old: Counters | undefined): number {
  const own = readCounters(database) ?? { revision: 0, tokenRevision: 0, lastHandle: 0, auditId: 0 };
  const floor = old ?? { ...own, revision: Date.now(), tokenRevision: Date.now() };
  const revision = Math.max(floor.revision, own.revision) + 1;
  const tokenRevision = Math.max(floor.tokenRevision, own.tokenRevision) + 1;
  database
    .prepare('UPDATE meta SET revision = ?, token_revision = ?, last_handle = ?')
    .run(revision, tokenRevision, floor.lastHandle);
  database.prepare('UPDATE resources SET revision = ?').run(revision);
  database.prepare("UPDATE tokens SET value = json_set(value, '$.revision', ?)").run(tokenRevision);
  database.prepare("DELETE FROM sqlite_sequence WHERE name = 'audit'").run();
  database
    .prepare("INSERT INTO sqlite_sequence (name, seq) VALUES ('audit', ?)")
    .run(Math.max(floor.auditId, own.auditId));
  return revision;
}

/** Gives the old file a second name, which it keeps when the first is the new one's. */
function keep(path: string): string {
  const kept = `${path}.before-restore-${new Date().toISOString().replaceAll(/[:.]/g, '-')}`;
  linkSync(path, kept);
  // A damaged store may have it still. It must not be taken for the new file's.
  if (existsSync(`${path}-wal`)) renameSync(`${path}-wal`, `${kept}-wal`);
  rmSync(`${path}-shm`, { force: true });
  return kept;
}

function removeFile(path: string): void {
  for (const part of ['', '-wal', '-shm', '-journal']) rmSync(path + part, { force: true });
}

function notRestored(backupFile: string, why: string, cause?: unknown): HnvError {
  return new HnvError(
    'HNV_STORE',
    `The backup ${backupFile} cannot be restored: ${why}. Nothing has changed: name another backup.`,
    { cause },
  );
}
