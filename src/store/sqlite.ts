/**
 * The embedded store: SQLite holds keys, revisions and handles; the desired state is in memory beside it.
 *
 * Writes are queued and committed together, once per turn of the event loop. A batch runs from BEGIN to COMMIT without
 * giving the event loop away, so nobody can see its changes in memory before they are on disk.
 */
import type { DatabaseSync } from 'node:sqlite';
import { HnvError } from '../errors.ts';
import type { ResourceKind, ResourceTypes } from '../policy/resources.ts';
import { checkDelete, checkPut } from '../policy/rules.ts';
import type { DesiredState } from '../policy/state.ts';
import { checkCapacity, type StoreCapacity } from './capacity.ts';
import { openDatabase } from './database.ts';
import { Handles } from './handles.ts';
import { decodeKey, domainRange, encodeId, encodeKey, isNodeKind, keyRange } from './keys.ts';
import { entryOf, MemoryState, type UndoLog } from './memory-state.ts';
import { sentenceName } from './resource-name.ts';
import { prepareStatements, type Row, type Statements } from './statements.ts';
import type { ResourceKey, Store, StoreChange, StoredResource, WriteOptions } from './store.ts';

export interface StoreOptions {
  /** The file; made when it is missing, together with its folder. */
  path: string;
  capacity: StoreCapacity;
}

/** Opens the store. Throws HNV_STORE when the file cannot be used, HNV_CONFIG when it holds more than `capacity`. */
export function openStore(options: StoreOptions): Store {
  const database = openDatabase(options.path);
  try {
    return new SqliteStore(database, options.capacity);
  } catch (error) {
    database.close();
    throw error;
  }
}

/** Most writes in one transaction, so that a flood of them does not hold up the event loop. */
const maxBatch = 512;

/** What one accepted write leaves for the time after the commit. */
type Outcome = () => void;

interface QueuedWrite {
  /** Checks and carries out the write inside the transaction. Throws when it is refused. */
  run: (batch: Batch) => Outcome;
  reject: (error: unknown) => void;
}

/** What the writes of one transaction have done so far. */
interface Batch {
  revision: number;
  readonly modified: string;
  readonly undo: UndoLog;
  readonly domains: Set<string>;
  node: boolean;
}

class SqliteStore implements Store {
  readonly #database: DatabaseSync;
  readonly #capacity: StoreCapacity;
  readonly #statements: Statements;
  readonly #memory = new MemoryState();
  readonly #handles: Handles;
  readonly #listeners = new Set<(change: StoreChange) => void>();
  #revision: number;
  #queue: QueuedWrite[] = [];
  #closed = false;

  constructor(database: DatabaseSync, capacity: StoreCapacity) {
    this.#database = database;
    this.#capacity = capacity;
    this.#statements = prepareStatements(database);
    const meta = this.#statements.meta.get();
    this.#revision = Number(meta?.revision);
    this.#handles = new Handles(capacity.routingDomains, Number(meta?.last_handle));
    this.#load();
  }

  get state(): DesiredState {
    return this.#memory;
  }

  get revision(): number {
    return this.#revision;
  }

  get<K extends ResourceKind>(key: ResourceKey<K>): StoredResource<K> | undefined {
    const row = this.#row(encodeKey(key));
    return row && stored(key, row);
  }

  list<K extends ResourceKind>(
    kind: K,
    options: { rdid?: string; after?: string; limit: number },
  ): StoredResource<K>[] {
    const { prefix, end } = keyRange(kind, options.rdid);
    const after = options.after === undefined ? prefix : prefix + encodeId(kind, options.after);
    const rows = this.#statements.list.all(after, end, options.limit) as unknown as Row[];
    return rows.map((row) => stored(decodeKey(row.key) as ResourceKey<K>, row));
  }

  put<K extends ResourceKind>(
    key: ResourceKey<K>,
    value: ResourceTypes[K],
    options: WriteOptions = {},
  ): Promise<{ resource: StoredResource<K>; created: boolean }> {
    return this.#enqueue((batch) => {
      const text = encodeKey(key);
      const before = this.#row(text);
      checkRevision(key, before, options);
      checkPut(this.#memory, key, value);
      const entry = entryOf(key, value);
      checkCapacity(this.#capacity, this.#memory, entry);
      const isNewDomain = entry.kind === 'routingDomain' && before === undefined;
      const handle = isNewDomain ? this.#handles.allocate(batch.undo) : undefined;

      // Refusals end here: what fails from now on is the store itself, and fails the whole batch.
      const revision = batch.revision + 1;
      this.#touch(batch, key);
      inStore(() => {
        if (entry.kind === 'routingDomain' && handle !== undefined) {
          this.#statements.insertHandle.run(entry.rdid, handle);
          this.#memory.addDomain(entry.rdid, handle, entry.value, batch.undo);
        } else {
          this.#memory.put(entry, batch.undo);
        }
        this.#statements.upsert.run(text, JSON.stringify(value), revision, batch.modified);
      });
      batch.revision = revision;
      this.#touch(batch, key);
      return { resource: { key, value, revision, modified: batch.modified }, created: before === undefined };
    });
  }

  delete(key: ResourceKey, options: WriteOptions = {}): Promise<{ revision: number }> {
    return this.#enqueue((batch) => {
      const text = encodeKey(key);
      const before = this.#row(text);
      checkDelete(this.#memory, key);
      checkRevision(key, before, options);

      const revision = batch.revision + 1;
      this.#touch(batch, key);
      inStore(() => {
        if (key.kind === 'routingDomain') this.#deleteDomain(key.rdid ?? '', batch.undo);
        this.#memory.delete(key, batch.undo);
        this.#statements.deleteOne.run(text);
      });
      batch.revision = revision;
      return { revision };
    });
  }

  subscribe(listener: (change: StoreChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    if (this.#closed) return;
    while (this.#queue.length > 0) this.#commit(this.#queue.splice(0, maxBatch));
    this.#closed = true;
    this.#database.close();
  }

  /** Fills the memory from the file. Domains come first in key order, so what belongs to them finds them there. */
  #load(): void {
    const undo: UndoLog = [];
    const handles = new Map<string, number>();
    for (const row of this.#statements.allHandles.iterate()) {
      handles.set(String(row.rdid), Number(row.handle));
      this.#handles.adopt(Number(row.handle));
    }
    for (const row of this.#statements.all.iterate()) {
      const entry = entryOf(decodeKey(String(row.key)), JSON.parse(String(row.value)));
      const handle = handles.get(entry.rdid);
      if (entry.kind === 'routingDomain' && handle !== undefined) {
        this.#memory.addDomain(entry.rdid, handle, entry.value, undo);
      } else {
        this.#memory.put(entry, undo);
      }
      undo.length = 0;
    }
  }

  #row(text: string): Row | undefined {
    return this.#statements.one.get(text) as unknown as Row | undefined;
  }

  #deleteDomain(rdid: string, undo: UndoLog): void {
    const { prefix, end } = domainRange(rdid);
    this.#statements.deleteRange.run(prefix, end);
    this.#statements.deleteHandle.run(rdid);
    const handle = this.#memory.domains.get(rdid)?.handle;
    if (handle !== undefined) this.#handles.release(handle, undo);
  }

  /** Notes what the resource, as it is at this moment, concerns. */
  #touch(batch: Batch, key: ResourceKey): void {
    if (!isNodeKind(key.kind)) {
      batch.domains.add(key.rdid ?? '');
      return;
    }
    if (key.kind !== 'port') {
      batch.node = true;
      return;
    }
    const port = this.#memory.ports.get(key.id ?? '');
    if (port === undefined) return;
    const rdid = this.#memory.vsidOwners.get(port.virtualSubnetId ?? 0);
    if (rdid === undefined) batch.node = true;
    else batch.domains.add(rdid);
  }

  #enqueue<T>(write: (batch: Batch) => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#closed) {
        reject(new HnvError('HNV_STORE', 'The store is closed: the node is shutting down.'));
        return;
      }
      const run = (batch: Batch): Outcome => {
        const result = write(batch);
        return () => resolve(result);
      };
      this.#queue.push({ run, reject });
      if (this.#queue.length === 1) setImmediate(() => this.#flush());
    });
  }

  #flush(): void {
    const batch = this.#queue.splice(0, maxBatch);
    if (this.#queue.length > 0) setImmediate(() => this.#flush());
    if (batch.length > 0) this.#commit(batch);
  }

  #commit(writes: readonly QueuedWrite[]): void {
    const batch: Batch = {
      revision: this.#revision,
      modified: new Date().toISOString(),
      undo: [],
      domains: new Set(),
      node: false,
    };
    const outcomes: Outcome[] = [];
    try {
      this.#database.exec('BEGIN IMMEDIATE');
      for (const write of writes) outcomes.push(this.#attempt(write, batch));
      if (batch.revision === this.#revision) {
        this.#database.exec('ROLLBACK');
      } else {
        this.#statements.updateMeta.run(batch.revision, this.#handles.last);
        this.#database.exec('COMMIT');
      }
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      for (const takeBack of batch.undo.reverse()) takeBack();
      const failure = new HnvError('HNV_STORE', `The store could not be written: ${reasonOf(error)}.`, {
        cause: error,
      });
      for (const write of writes) write.reject(failure);
      return;
    }
    const changed = batch.revision !== this.#revision;
    this.#revision = batch.revision;
    for (const settle of outcomes) settle();
    if (!changed) return;
    const { revision, domains, node } = batch;
    for (const listener of this.#listeners) listener({ revision, domains, node });
  }

  /** Carries out one write; a refusal is its own outcome and concerns no other. */
  #attempt(write: QueuedWrite, batch: Batch): Outcome {
    const undoFrom = batch.undo.length;
    try {
      return write.run(batch);
    } catch (error) {
      if (error instanceof BatchFailure) throw error.cause;
      for (const takeBack of batch.undo.splice(undoFrom).reverse()) takeBack();
      return () => write.reject(error);
    }
  }
}

/** Wraps what fails after the checks, to tell it from a refusal. */
class BatchFailure extends Error {}

function inStore(write: () => void): void {
  try {
    write();
  } catch (error) {
    throw new BatchFailure('the batch failed', { cause: error });
  }
}

function stored<K extends ResourceKind>(key: ResourceKey<K>, row: Row): StoredResource<K> {
  return { key, value: JSON.parse(row.value), revision: row.revision, modified: row.modified };
}

function checkRevision(key: ResourceKey, row: Row | undefined, options: WriteOptions): void {
  const { ifRevision } = options;
  if (ifRevision === undefined || ifRevision === (row?.revision ?? 0)) return;
  const is = row === undefined ? 'does not exist' : `is at revision ${row.revision}`;
  const wanted = ifRevision === 0 ? 'that it does not exist' : `revision ${ifRevision}`;
  throw new HnvError(
    'HNV_PRECONDITION_FAILED',
    `${sentenceName(key)} ${is}; the request requires ${wanted}.`,
  );
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
