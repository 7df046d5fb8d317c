/**
 * The numbered steps that bring a store file from any older schema to the newest one. A released step is never
 * changed; a new schema is a new step at the end.
 */
import type { DatabaseSync } from 'node:sqlite';

/** SQLite's application_id of a store file ("hnvg"), so that no foreign database is ever taken for one. */
export const applicationId = 0x686e7667;

const schemaSteps: readonly string[] = [
  `CREATE TABLE meta (
     only INTEGER PRIMARY KEY CHECK (only = 1),
     schema INTEGER NOT NULL,
     revision INTEGER NOT NULL,
     last_handle INTEGER NOT NULL
   );
   INSERT INTO meta VALUES (1, 0, 0, 0);
   CREATE TABLE resources (
     key TEXT PRIMARY KEY,
     value TEXT NOT NULL,
     revision INTEGER NOT NULL,
     modified TEXT NOT NULL
   ) WITHOUT ROWID;
   CREATE TABLE handles (
     rdid TEXT PRIMARY KEY,
     handle INTEGER NOT NULL UNIQUE
   ) WITHOUT ROWID;
   PRAGMA application_id = ${applicationId};`,

  `ALTER TABLE meta ADD COLUMN token_revision INTEGER NOT NULL DEFAULT 0;
   CREATE TABLE tokens (
     id TEXT PRIMARY KEY,
     value TEXT NOT NULL
   ) WITHOUT ROWID;
   CREATE TABLE audit (
     id INTEGER PRIMARY KEY AUTOINCREMENT,
     at TEXT NOT NULL,
     actor TEXT NOT NULL,
     source TEXT NOT NULL,
     method TEXT NOT NULL,
     path TEXT NOT NULL,
     status INTEGER NOT NULL,
     code TEXT,
     rule TEXT,
     revision INTEGER
   );`,

  // NAT policies have their defaults in them, as all resources do. The key of a domain's only NAT has no id behind the kind.
  `UPDATE resources SET value = json_patch(
     '{"externalPrefixes":[],"oneToOne":[],
       "timeouts":{"icmp":60,"tcpEstablished":7440,"tcpTransient":240,"udp":300},
       "filtering":{"tcp":"addressAndPortDependent","udp":"addressAndPortDependent"},
       "hairpinning":"local","algs":[]}',
     value)
   WHERE key GLOB '/resources/????????-????-????-????-????????????/nat';`,
];

/** The schema that this program reads and writes. */
export const newestSchema = schemaSteps.length;

/** Runs the steps above `current` (0: the file is new). To be called inside a transaction. */
export function upgradeSchema(database: DatabaseSync, current: number): void {
  for (const step of schemaSteps.slice(current)) database.exec(step);
  database.prepare('UPDATE meta SET schema = ?').run(newestSchema);
}
