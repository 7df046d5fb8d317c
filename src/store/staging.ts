/**
 * A document of many resources is put together aside, in a state of its own that nobody else sees, with the same checks
 * as single writes. Resources that do not change stay the same objects with the same version.
 */
import { HnvError } from '../errors.ts';
import { refusalInDocument } from '../policy/document-refusal.ts';
import { checkPut } from '../policy/rules.ts';
import { checkCapacity, type StoreCapacity } from './capacity.ts';
import type { DomainMemory } from './domain-memory.ts';
import { tooManyDomains } from './handles.ts';
import { getHeld } from './held.ts';
import { isNodeKind } from './keys.ts';
import { entryOf, keyOf, MemoryState } from './memory-state.ts';
import type { Version } from './ordered.ts';
import type { Pace } from './pace.ts';
import { isSameValue } from './same-value.ts';
import type { DocumentEntry, Entry } from './store.ts';
import { forGood } from './undo.ts';

/** What a document is staged over; it must not change meanwhile. */
export interface StagingBase {
  readonly memory: MemoryState;
  readonly capacity: StoreCapacity;
  /** Of everything that is new or changes. */
  readonly version: Version;
  readonly pace: Pace;
}

/** The state with the entries written one after another. Rejects with the first refusal. */
export async function stageAll(base: StagingBase, entries: readonly DocumentEntry[]): Promise<MemoryState> {
  const staged = base.memory.fork();
  for (const { entry, pointer } of entries) {
    if (base.pace.isOver) await base.pace.rest();
    const held = getHeld(base.memory, keyOf(entry));
    if (held !== undefined && isSameValue(held.value, entry.value)) continue;
    await staged.own(entry.rdid, base.pace);
    within({ entry, pointer }, () => putStaged(staged, base, entry, base.version));
  }
  return staged;
}

/**
 * The state with the entries alone, and with the dynamic lookup records that there are where they keep the rules. Domains
 * that do not change stay the same objects.
 */
export async function stageWhole(base: StagingBase, entries: readonly DocumentEntry[]): Promise<MemoryState> {
  const staged = new MemoryState();
  const changed = new Set<string>();
  for (const { entry, pointer } of entries) {
    if (base.pace.isOver) await base.pace.rest();
    const held = getHeld(base.memory, keyOf(entry));
    if (held !== undefined && isSameValue(held.value, entry.value)) {
      const same = { ...entry, value: held.value } as Entry;
      within({ entry, pointer }, () => putStaged(staged, base, same, held.version));
    } else {
      within({ entry, pointer }, () => putStaged(staged, base, entry, base.version));
      if (!isNodeKind(entry.kind)) changed.add(entry.rdid);
    }
  }
  for (const domain of staged.domains.values()) {
    const before = base.memory.domains.get(domain.rdid);
    if (before === undefined) continue;
    await keepDynamicRecords(staged, base, before);
    // What has as many resources, none of them new, is the same.
    if (!changed.has(domain.rdid) && sizes(domain) === sizes(before)) staged.domains.set(domain.rdid, before);
  }
  return staged;
}

function putStaged(staged: MemoryState, base: StagingBase, entry: Entry, version: Version): void {
  checkPut(staged, keyOf(entry), entry.value);
  checkCapacity(base.capacity, staged, entry);
  if (entry.kind !== 'routingDomain' || staged.domains.has(entry.rdid)) {
    staged.put(entry, version, forGood);
    return;
  }
  const { routingDomains } = base.capacity;
  if (staged.domains.size >= routingDomains) throw tooManyDomains(routingDomains);
  const handle = base.memory.domains.get(entry.rdid)?.handle ?? 0;
  staged.addDomain(entry, handle, version, forGood);
}

async function keepDynamicRecords(
  staged: MemoryState,
  base: StagingBase,
  before: DomainMemory,
): Promise<void> {
  const { rdid } = before;
  for (const [id, value] of before.lookupRecords) {
    if (base.pace.isOver) await base.pace.rest();
    if (value.type !== 'dynamic' || staged.domains.get(rdid)?.lookupRecords.has(id)) continue;
    const key = { kind: 'lookupRecord', rdid, id } as const;
    const held = getHeld(base.memory, key);
    if (held === undefined) continue;
    try {
      putStaged(staged, base, entryOf(key, value), held.version);
    } catch (error) {
      // The new policy has no place for it: it goes, as it will be learned again where it is right.
      if (!(error instanceof HnvError)) throw error;
    }
  }
}

function sizes({ virtualSubnets, lookupRecords, customerRoutes, gateway, nat }: DomainMemory): string {
  const only = [gateway, nat].map((value) => value !== undefined);
  return [virtualSubnets.size, lookupRecords.size, customerRoutes.size, ...only].join();
}

/** A refusal says which resource of the document it is about, and where that is. */
function within({ entry, pointer }: DocumentEntry, write: () => void): void {
  try {
    write();
  } catch (error) {
    throw error instanceof HnvError ? refusalInDocument(keyOf(entry), pointer, error) : error;
  }
}
