/** The SQL of the store. */
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';

/** Statements that transactions consist of. */
const writeSql = {
  /** Parameters: revision, last handle, revision of the tokens. */
  setMeta: 'UPDATE meta SET revision = ?, last_handle = ?, token_revision = ?',
  /** Key, value as JSON, revision, modified. */
  put: `INSERT INTO resources (key, value, revision, modified) VALUES (?, ?, ?, ?) ON CONFLICT (key) DO UPDATE
        SET value = excluded.value, revision = excluded.revision, modified = excluded.modified`,
  /** Key. */
  delete: 'DELETE FROM resources WHERE key = ?',
  /** Bounds of the keys, both excluded. */
  deleteRange: 'DELETE FROM resources WHERE key > ? AND key < ?',
  /** RDID, handle. */
  putHandle: 'INSERT INTO handles (rdid, handle) VALUES (?, ?)',
  /** RDID. */
  deleteHandle: 'DELETE FROM handles WHERE rdid = ?',
  /** Id, token as JSON. */
  putToken:
    'INSERT INTO tokens (id, value) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET value = excluded.value',
  /** Id. */
  deleteToken: 'DELETE FROM tokens WHERE id = ?',
  /** At, actor, from, method, path, status, code, rule, revision. */
  addAudit: `INSERT INTO audit (at, actor, source, method, path, status, code, rule, revision)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
} as const;

/** One statement of a transaction with its parameters. */
export type Statement = [name: keyof typeof writeSql, ...parameters: SQLInputValue[]];

const readSql = {
  meta: 'SELECT revision, last_handle AS lastHandle, token_revision AS tokenRevision FROM meta',
  handles: 'SELECT rdid, handle FROM handles',
  tokens: 'SELECT value FROM tokens',
  /** Key to go on after, how many. */
  resources: 'SELECT key, value, revision, modified FROM resources WHERE key > ? ORDER BY key LIMIT ?',
  /** Id to go on before, how many. */
  audit: `SELECT id, at, actor, source AS "from", method, path, status, code, rule, revision FROM audit
          WHERE id < ? ORDER BY id DESC LIMIT ?`,
} as const;

const pruneSql = {
  countAudit: 'SELECT count(*) AS count FROM audit',
  /** How many of the oldest. */
  pruneAudit: 'DELETE FROM audit WHERE id IN (SELECT id FROM audit ORDER BY id LIMIT ?)',
  /** How many of the oldest to look at, the time of the oldest that may stay: ids ascend in time. */
  expireAudit: `DELETE FROM audit WHERE id IN (
                  SELECT id FROM (SELECT id, at FROM audit ORDER BY id LIMIT ?) WHERE at < ?)`,
} as const;

const sql = { ...writeSql, ...readSql, ...pruneSql };

export type Statements = Record<keyof typeof sql, StatementSync>;

export function prepareStatements(database: DatabaseSync): Statements {
  const prepared = Object.entries(sql).map(([name, text]) => [name, database.prepare(text)]);
  return Object.fromEntries(prepared) as Statements;
}
