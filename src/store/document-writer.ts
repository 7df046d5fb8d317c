/** A document of many resources on its way into the file: staged, compared with what there is, and written. */
import type { AuditRequest } from './audit.ts';
import { type AuditTrail, auditStatement } from './audit-trail.ts';
import type { StoreCapacity } from './capacity.ts';
import type { DatabaseThread } from './database-thread.ts';
import { type Compared, compare } from './difference.ts';
import { DocumentTally } from './document-tally.ts';
import type { Handles } from './handles.ts';
import { encodeKey } from './keys.ts';
import { LongTransaction } from './long-transaction.ts';
import type { MemoryState } from './memory-state.ts';
import { Pace } from './pace.ts';
import type { Seal } from './seal.ts';
import { stageAll, stageWhole } from './staging.ts';
import type { Statement } from './statements.ts';
import type { DocumentEntry, DocumentOutcome, StoreChange } from './store.ts';
import type { UndoLog } from './undo.ts';

/** What a document is written into; nothing else is meanwhile. */
export interface DocumentTarget {
  readonly thread: DatabaseThread;
  readonly memory: MemoryState;
  readonly handles: Handles;
  readonly capacity: StoreCapacity;
  readonly seal: Seal;
  /** Of the store at this moment. */
  readonly revision: number;
  readonly trail: AuditTrail;
  /** The statement that writes what is neither resource nor token. */
  readonly meta: (revision: number) => Statement;
}

export interface Document {
  readonly entries: readonly DocumentEntry[];
  /** Whether it is the whole desired state, or leaves the rest as it is. */
  readonly extent: 'part' | 'whole';
  readonly dryRun: boolean;
  readonly audit: AuditRequest | undefined;
  readonly byTenant: boolean;
}

export interface WrittenDocument {
  readonly outcome: DocumentOutcome;
  /** What the memory must become now, and what followers hear; absent when nothing has changed. */
  readonly effect?: { readonly staged: MemoryState; readonly change: StoreChange };
}

/** Resolves when the document is on disk; the memory is as before. Rejects with the first refusal, or HNV_STORE. */
export async function writeDocument(target: DocumentTarget, document: Document): Promise<WrittenDocument> {
  const { memory, revision } = target;
  const named = document.entries.length;
  const version = { revision: revision + 1, modified: new Date().toISOString() };
  const pace = new Pace();
  const stage = document.extent === 'whole' ? stageWhole : stageAll;
  const { capacity } = target;
  const staged = await stage(
    { memory, capacity, version, pace, byTenant: document.byTenant },
    document.entries,
  );
  if (document.dryRun) {
    const tally = new DocumentTally(memory, staged, revision, document.extent);
    for (const compared of compare(memory, staged)) {
      if (pace.isOver) await pace.rest();
      tally.add(compared);
    }
    return { outcome: tally.outcome(revision, named) };
  }

  const tally = new DocumentTally(memory, staged, version.revision, document.extent);
  const transaction = new LongTransaction(target.thread);
  const undo: (() => void)[] = [];
  const notes = target.trail.take();
  try {
    for (const statement of giveHandles(target, staged, undo)) await transaction.add(statement);
    for (const compared of compare(memory, staged)) {
      if (pace.isOver) await pace.rest();
      if (tally.add(compared)) await transaction.add(statementOf(compared, target.seal));
    }
    const after = tally.isEmpty ? revision : version.revision;
    const records = [...notes];
    if (document.audit !== undefined) {
      records.push(auditStatement({ ...document.audit, at: version.modified, status: 200, revision: after }));
    }
    await transaction.commit([...records, target.meta(after)], records.length);
  } catch (error) {
    for (const takeBack of undo.reverse()) takeBack();
    target.trail.giveBack(notes);
    await transaction.rollback();
    throw error;
  }
  if (tally.isEmpty) return { outcome: tally.outcome(revision, named) };
  return {
    outcome: tally.outcome(version.revision, named),
    effect: { staged, change: tally.change() },
  };
}

function statementOf({ key, after }: Compared, seal: Seal): Statement {
  if (after === undefined) return ['delete', encodeKey(key)];
  const { revision, modified } = after.version;
  return ['put', encodeKey(key), seal.encode(key, after.value), revision, modified];
}

/** New domains get handles; those of domains that go are given again only when there are no others. */
function giveHandles({ memory, handles }: DocumentTarget, staged: MemoryState, undo: UndoLog): Statement[] {
  const statements: Statement[] = [];
  const created = [...staged.domains.values()].filter(({ handle }) => handle === 0);
  const gone = [...memory.domains.values()].filter(({ rdid }) => !staged.domains.has(rdid));
  const release = () => {
    for (const { handle } of gone) handles.release(handle, undo);
  };
  for (const { rdid } of gone) statements.push(['deleteHandle', rdid]);
  const mustReuse = handles.free < created.length;
  if (mustReuse) release();
  for (const domain of created) {
    domain.handle = handles.next();
    handles.take(domain.handle, undo);
    statements.push(['putHandle', domain.rdid, domain.handle]);
  }
  if (!mustReuse) release();
  return statements;
}
