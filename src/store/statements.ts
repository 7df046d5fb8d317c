/** The SQL of the store. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';

/** A row of the table of resources. */
export interface Row {
  key: string;
  value: string;
  revision: number;
  modified: string;
}

export type Statements = Record<
  | 'meta'
  | 'updateMeta'
  | 'all'
  | 'allHandles'
  | 'one'
  | 'list'
  | 'upsert'
  | 'deleteOne'
  | 'deleteRange'
  | 'insertHandle'
  | 'deleteHandle',
  StatementSync
>;

export function prepareStatements(database: DatabaseSync): Statements {
  const columns = 'key, value, revision, modified';
  return {
    meta: database.prepare('SELECT revision, last_handle FROM meta'),
    updateMeta: database.prepare('UPDATE meta SET revision = ?, last_handle = ?'),
    all: database.prepare('SELECT key, value FROM resources ORDER BY key'),
    allHandles: database.prepare('SELECT rdid, handle FROM handles'),
    one: database.prepare(`SELECT ${columns} FROM resources WHERE key = ?`),
    list: database.prepare(`SELECT ${columns} FROM resources WHERE key > ? AND key < ? ORDER BY key LIMIT ?`),
    upsert: database.prepare(
      `INSERT INTO resources (${columns}) VALUES (?, ?, ?, ?) ON CONFLICT (key) DO UPDATE
       SET value = excluded.value, revision = excluded.revision, modified = excluded.modified`,
    ),
    deleteOne: database.prepare('DELETE FROM resources WHERE key = ?'),
    deleteRange: database.prepare('DELETE FROM resources WHERE key > ? AND key < ?'),
    insertHandle: database.prepare('INSERT INTO handles (rdid, handle) VALUES (?, ?)'),
    deleteHandle: database.prepare('DELETE FROM handles WHERE rdid = ?'),
  };
}
