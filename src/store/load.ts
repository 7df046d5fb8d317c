/** Fills the memory from the file. */
import { HnvError } from '../errors.ts';
import type { StoredMeta, StoredRows } from './database-calls.ts';
import type { DatabaseThread } from './database-thread.ts';
import { decodeKey } from './keys.ts';
import { entryOf, type MemoryState } from './memory-state.ts';
import type { Version } from './ordered.ts';
import type { Seal } from './seal.ts';
import { forGood } from './undo.ts';

const pageLength = 500;

/** Puts all resources into the memory, checked by nobody: they were before they were written. */
export async function loadResources(
  memory: MemoryState,
  thread: DatabaseThread,
  meta: StoredMeta,
  seal: Seal,
): Promise<void> {
  const handles = new Map(meta.handles);
  const versions = new Map<number, Version>();
  let coming = thread.call('resources', '', pageLength);
  for (;;) {
    const rows = await coming;
    const last = rows.keys.at(-1);
    if (last === undefined) return;
    // The thread reads the next page while this one goes into the memory.
    coming = thread.call('resources', last, pageLength);
    coming.catch(() => {});
    addRows(memory, rows, { handles, versions, seal });
  }
}

interface Known {
  readonly handles: ReadonlyMap<string, number>;
  /** By revision. */
  readonly versions: Map<number, Version>;
  readonly seal: Seal;
}

/** Domains come first in key order, so what belongs to them finds them there. */
function addRows(memory: MemoryState, rows: StoredRows, { handles, versions, seal }: Known): void {
  const values = JSON.parse(rows.values);
  for (const [index, text] of rows.keys.entries()) {
    const key = decodeKey(text);
    const entry = entryOf(key, seal.decode(key, values[index]));
    const revision = rows.revisions[index] ?? 0;
    const version = versions.get(revision) ?? { revision, modified: rows.modified[index] ?? '' };
    versions.set(revision, version);
    if (entry.kind !== 'routingDomain') {
      memory.put(entry, version, forGood);
      continue;
    }
    const handle = handles.get(entry.rdid);
    if (handle === undefined) throw new HnvError('HNV_STORE', `The store has no handle for ${entry.rdid}.`);
    memory.addDomain(entry, handle, version, forGood);
  }
}
