/**
 * The embedded store: the desired state is in memory, where everything is read; SQLite keeps it in a file, in a thread of
 * its own. Writes are queued; those that come while a transaction is on its way to the disk share the next one.
 */
import { HnvError } from '../errors.ts';
import { withAllocation } from '../policy/allocate.ts';
import { withKeptPasswords, withKeptSecret } from '../policy/kept-secret.ts';
import {
  type Bgp,
  isSingleKind,
  type Nat,
  type ResourceKind,
  type ResourceTypes,
  type SiteConnection,
} from '../policy/resources.ts';
import { checkDelete, checkPut, checkTenantPut } from '../policy/rules.ts';
import type { DesiredState } from '../policy/state.ts';
import { type AuditRetention, defaultRetention } from './audit.ts';
import { AuditTrail } from './audit-trail.ts';
import { Batch } from './batch.ts';
import { checkCapacity, type StoreCapacity } from './capacity.ts';
import type { StoredMeta } from './database-calls.ts';
import { DatabaseThread } from './database-thread.ts';
import { writeDocument } from './document-writer.ts';
import { Handles } from './handles.ts';
import { getHeld, type Held, listHeld } from './held.ts';
import { domainRange, encodeKey } from './keys.ts';
import { loadResources } from './load.ts';
import { entryOf, MemoryState, type NodeSettings } from './memory-state.ts';
import { sentenceName } from './resource-name.ts';
import { Seal } from './seal.ts';
import type { Statement } from './statements.ts';
import type {
  DocumentEntry,
  DocumentOptions,
  DocumentOutcome,
  ResourceKey,
  Store,
  StoreChange,
  StoredResource,
  WriteOptions,
} from './store.ts';
import { TokenMemory } from './token-memory.ts';
import type { StoredToken } from './tokens.ts';
import { touch } from './touched.ts';
import { type QueuedWrite, WriteQueue } from './write-queue.ts';

export interface StoreOptions {
  /** The file; made when it is missing, together with its folder. */
  path: string;
  capacity: StoreCapacity;
  audit?: AuditRetention;
  /** Of a node without uplinks, where site connections have no broken algorithms, when absent. */
  settings?: NodeSettings;
}

const noSettings: NodeSettings = { uplinks: [], allowsWeakAlgorithms: false };

/** Opens the store. Rejects with HNV_STORE when the file cannot be used, HNV_CONFIG when it holds more than `capacity`. */
export async function openStore(options: StoreOptions): Promise<Store> {
  const thread = await DatabaseThread.open(options.path, options.audit ?? defaultRetention);
  try {
    const meta = await thread.call('meta');
    const handles = new Handles(options.capacity.routingDomains, meta.lastHandle);
    for (const [, handle] of meta.handles) handles.adopt(handle);
    const seal = Seal.open(options.path);
    const memory = new MemoryState(options.settings ?? noSettings);
    await loadResources(memory, thread, meta, seal);
    return new SqliteStore({ thread, memory, handles, seal, capacity: options.capacity }, meta);
  } catch (error) {
    await thread.close();
    throw error;
  }
}

interface StoreParts {
  readonly thread: DatabaseThread;
  readonly memory: MemoryState;
  readonly handles: Handles;
  readonly capacity: StoreCapacity;
  readonly seal: Seal;
}

class SqliteStore implements Store {
  readonly tokens: TokenMemory;
  readonly audit: AuditTrail;
  readonly #parts: StoreParts;
  readonly #queue = new WriteQueue((writes) => this.#commitBatch(writes));
  readonly #listeners = new Set<(change: StoreChange) => void>();
  #revision: number;
  #closed: Promise<void> | undefined;

  constructor(parts: StoreParts, meta: StoredMeta) {
    this.#parts = parts;
    this.#revision = meta.revision;
    const tokens = meta.tokens.map((text): StoredToken => JSON.parse(text));
    this.tokens = new TokenMemory(tokens, meta.tokenRevision, (write) => this.#queue.write(write));
    this.audit = new AuditTrail(parts.thread, () => this.#queue.write(() => {}));
  }

  get #memory(): MemoryState {
    return this.#parts.memory;
  }

  get state(): DesiredState {
    return this.#memory;
  }

  get revision(): number {
    return this.#revision;
  }

  get<K extends ResourceKind>(key: ResourceKey<K>): StoredResource<K> | undefined {
    const held = getHeld(this.#memory, key);
    return held && stored(key, held);
  }

  list<K extends ResourceKind>(
    kind: K,
    options: { rdid?: string; after?: string; limit: number },
  ): StoredResource<K>[] {
    if (isSingleKind(kind)) throw new Error(`a domain has one ${kind} at most`);
    const page = listHeld(this.#memory, kind, options);
    return page.map(([key, held]) => stored(key as ResourceKey<K>, held));
  }

  put<K extends ResourceKind>(
    key: ResourceKey<K>,
    given: ResourceTypes[K],
    options: WriteOptions = {},
  ): Promise<{ resource: StoredResource<K>; created: boolean }> {
    return this.#queue.write((batch) => {
      const before = getHeld(this.#memory, key);
      checkRevision(key, before, options);
      if (options.byTenant) checkTenantPut(this.#memory, key, given);
      const value = this.#complete(key, given);
      checkPut(this.#memory, key, value);
      const entry = entryOf(key, value);
      checkCapacity(this.#parts.capacity, this.#memory, entry);
      const version = batch.nextVersion();
      const { revision, modified } = version;
      const created = before === undefined;
      touch(batch, this.#memory, key);
      if (entry.kind === 'routingDomain' && created) {
        const handle = this.#parts.handles.next();
        batch.apply((undo) => {
          this.#parts.handles.take(handle, undo);
          this.#memory.addDomain(entry, handle, version, undo);
        });
        batch.statements.push(['putHandle', entry.rdid, handle]);
      } else {
        batch.apply((undo) => this.#memory.put(entry, version, undo));
      }
      touch(batch, this.#memory, key);
      batch.statements.push(['put', encodeKey(key), this.#parts.seal.encode(key, value), revision, modified]);
      batch.accept(key, created ? 'created' : 'changed', options.audit);
      return { resource: { key, value, revision, modified }, created };
    });
  }

  /** What is written: with the address that "auto" gives, and with the secrets that were left out because they stay. */
  #complete<K extends ResourceKind>(
    { kind, rdid = '', id = '' }: ResourceKey<K>,
    value: ResourceTypes[K],
  ): ResourceTypes[K] {
    const domain = this.#memory.domains.get(rdid);
    if (domain === undefined) return value;
    if (kind === 'siteConnection')
      return withKeptSecret(value as SiteConnection, domain.siteConnections.get(id)) as ResourceTypes[K];
    if (kind === 'bgp') return withKeptPasswords(value as Bgp, domain.bgp) as ResourceTypes[K];
    if (kind !== 'nat') return value;
    return withAllocation(this.#memory, rdid, value as Nat, domain.nat) as ResourceTypes[K];
  }

  delete(key: ResourceKey, options: WriteOptions = {}): Promise<{ revision: number }> {
    return this.#queue.write((batch) => {
      checkDelete(this.#memory, key);
      checkRevision(key, getHeld(this.#memory, key), options);
      touch(batch, this.#memory, key);
      const handle =
        key.kind === 'routingDomain' ? this.#memory.domains.get(key.rdid ?? '')?.handle : undefined;
      batch.apply((undo) => {
        if (handle !== undefined) this.#parts.handles.release(handle, undo);
        this.#memory.delete(key, undo);
      });
      batch.statements.push(['delete', encodeKey(key)]);
      if (key.kind === 'routingDomain') {
        const { prefix, end } = domainRange(key.rdid ?? '');
        batch.statements.push(['deleteRange', prefix, end], ['deleteHandle', key.rdid ?? '']);
      }
      batch.accept(key, 'deleted', options.audit);
      return { revision: batch.revision };
    });
  }

  putAll(entries: readonly DocumentEntry[], options: DocumentOptions = {}): Promise<DocumentOutcome> {
    return this.#queue.alone(() => this.#takeDocument(entries, 'part', options));
  }

  replace(entries: readonly DocumentEntry[], options: DocumentOptions = {}): Promise<DocumentOutcome> {
    return this.#queue.alone(() => this.#takeDocument(entries, 'whole', options));
  }

  subscribe(listener: (change: StoreChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  backup(path: string): Promise<void> {
    return this.#parts.thread.call('backup', path);
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    const lastNotes = this.audit.flush();
    await this.#queue.close();
    await lastNotes;
    this.audit.close();
    await this.#parts.thread.close();
  }

  async #commitBatch(writes: Iterable<QueuedWrite>): Promise<void> {
    const batch = new Batch(this.#revision);
    const taken: QueuedWrite[] = [];
    const outcomes: (() => void)[] = [];
    for (const write of writes) {
      taken.push(write);
      try {
        outcomes.push(write.run(batch));
      } catch (refusal) {
        // It comes before the first change that the write would make.
        outcomes.push(() => write.reject(refusal));
      }
    }
    const notes = this.audit.take();
    const statements = [...notes, ...batch.statements];
    if (batch.statements.length > 0) statements.push(this.#meta(batch.revision));
    batch.takeBack();
    try {
      if (statements.length > 0) await this.#parts.thread.call('transaction', statements);
    } catch (failure) {
      this.audit.giveBack(notes);
      for (const write of taken) write.reject(failure);
      return;
    }
    batch.applyAgain();
    const changed = batch.revision !== this.#revision;
    this.#revision = batch.revision;
    for (const settle of outcomes) settle();
    if (!changed) return;
    const { revision, domains, node, resources } = batch;
    this.#announce({ revision, domains, node, resources });
  }

  async #takeDocument(
    entries: readonly DocumentEntry[],
    extent: 'part' | 'whole',
    { ifRevision, dryRun = false, audit, byTenant = false }: DocumentOptions,
  ): Promise<DocumentOutcome> {
    if (ifRevision !== undefined && ifRevision !== this.#revision) {
      throw new HnvError(
        'HNV_PRECONDITION_FAILED',
        `The policy is at revision ${this.#revision}; the request requires revision ${ifRevision}.`,
      );
    }
    const target = { ...this.#parts, revision: this.#revision, trail: this.audit, meta: this.#meta };
    const { outcome, effect } = await writeDocument(target, { entries, extent, dryRun, audit, byTenant });
    if (effect !== undefined) {
      this.#memory.become(effect.staged);
      this.#revision = outcome.revision;
      this.#announce(effect.change);
    }
    return outcome;
  }

  readonly #meta = (revision: number): Statement => [
    'setMeta',
    revision,
    this.#parts.handles.last,
    this.tokens.revision,
  ];

  #announce(change: StoreChange): void {
    for (const listener of this.#listeners) listener(change);
  }
}

function stored<K extends ResourceKind>(key: ResourceKey<K>, { value, version }: Held): StoredResource<K> {
  return { key, value: value as ResourceTypes[K], revision: version.revision, modified: version.modified };
}

function checkRevision(key: ResourceKey, held: Held | undefined, { ifRevision }: WriteOptions): void {
  if (ifRevision === undefined || ifRevision === (held?.version.revision ?? 0)) return;
  const is = held === undefined ? 'does not exist' : `is at revision ${held.version.revision}`;
  const wanted = ifRevision === 0 ? 'that it does not exist' : `revision ${ifRevision}`;
  throw new HnvError(
    'HNV_PRECONDITION_FAILED',
    `${sentenceName(key)} ${is}; the request requires ${wanted}.`,
  );
}
