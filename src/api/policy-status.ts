/** What the kernel has made of a policy document: of all that it names, and of what else it touched. */
import type { Principal } from '../access/principal.ts';
import { resourcePath } from '../store/resource-path.ts';
import type { DocumentEntry, DocumentOutcome, Store } from '../store/store.ts';
import type { Operations, ResourceStatus, SettledStatus, WaitedFor } from './operations.ts';

/** How much is in which state; a routing domain counts as one, with all that belongs to it. */
export interface PolicyStatus {
  ready: number;
  pending: number;
  failed: number;
  /** The first resources that are not ready, those that failed before those that are pending. */
  notReady: { path: string; state: ResourceStatus['state']; reason?: string }[];
}

/** Most resources that are not ready in one answer. */
export const MOST_NOT_READY = 100;

/** Waits until all of it is ready or failed, or the time is over. */
export async function policyStatus(
  { store, operations }: { store: Store; operations: Operations },
  principal: Principal,
  entries: readonly DocumentEntry[],
  outcome: DocumentOutcome,
  timeoutMs: number,
): Promise<PolicyStatus> {
  const subjects = [...domainSubjects(store, entries, outcome), ...nodeSubjects(store, entries)];
  const settled = await operations.allSettled(subjects, outcome.revision, timeoutMs);
  const counts = { ready: 0, pending: 0, failed: 0 };
  for (const { state } of settled) counts[state]++;
  const notReady = ['failed', 'pending'].flatMap((wanted) =>
    settled.filter(({ state }) => state === wanted).flatMap((status) => visible(principal, status)),
  );
  return { ...counts, notReady: notReady.slice(0, MOST_NOT_READY) };
}

/** Ports are the node's, and not for tenants. */
function visible({ role }: Principal, { notReady }: SettledStatus): PolicyStatus['notReady'] {
  return notReady
    .filter(({ key }) => role !== 'tenant' || key.rdid !== undefined)
    .map(({ key, status: { state, reason } }) => ({
      path: resourcePath(key),
      state,
      ...(reason === undefined ? {} : { reason }),
    }));
}

/** A change of the node's own links concerns every domain. */
function domainSubjects(
  store: Store,
  entries: readonly DocumentEntry[],
  { domains, node, revision }: DocumentOutcome,
): WaitedFor[] {
  const rdids = new Set([...domains, ...(node ? store.state.domains.keys() : [])]);
  for (const { entry } of entries) if (entry.kind === 'routingDomain') rdids.add(entry.rdid);
  // What the document left as it was may be in the kernel since long ago.
  return [...rdids].map((rdid) => ({
    key: { kind: 'routingDomain', rdid },
    revision: domains.has(rdid) ? revision : 0,
  }));
}

function nodeSubjects(store: Store, entries: readonly DocumentEntry[]): WaitedFor[] {
  return entries.flatMap(({ entry: { kind, rdid, id } }) =>
    rdid === '' ? [{ key: { kind, id }, revision: store.get({ kind, id })?.revision ?? 0 }] : [],
  );
}
