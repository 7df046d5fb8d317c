/**
 * A document of many resources is put together aside, in a state of its own that nobody else sees, with the same checks
 * as single writes. Resources that do not change stay the same objects with the same version.
 */
import { HnvError } from '../errors.ts';
import { Reserved, withAllocation } from '../policy/allocate.ts';
import { refusalInDocument } from '../policy/document-refusal.ts';
import { externalAddressesOf } from '../policy/external-addresses.ts';
import { isWhole } from '../policy/external-shares.ts';
import { withKeptPasswords, withKeptSecret } from '../policy/kept-secret.ts';
import { type ExternalAddress, type ExternalPrefix, type Nat, singleKinds } from '../policy/resources.ts';
import { isForwardingTaken } from '../policy/rules/forwarding-owners.ts';
import { ownerOf } from '../policy/rules/nat-addresses.ts';
import { ownerOfPrefix } from '../policy/rules/nat-prefixes.ts';
import { checkPut, checkTenantPut } from '../policy/rules.ts';
import { checkCapacity, type StoreCapacity } from './capacity.ts';
import { type DomainMemory, resourcesOf } from './domain-memory.ts';
import { externalCount } from './external-owners.ts';
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
  readonly byTenant: boolean;
}

/** The state with the entries written one after another. Rejects with the first refusal. */
export async function stageAll(base: StagingBase, entries: readonly DocumentEntry[]): Promise<MemoryState> {
  const staged = base.memory.fork();
  const reserved = await reserve(base, entries);
  for (const given of entries) {
    if (base.pace.isOver) await base.pace.rest();
    const { entry, pointer } = completed(staged, base, given, reserved);
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
  const staged = new MemoryState(base.memory);
  const changed = new Set<string>();
  const reserved = await reserve(base, entries);
  for (let at = 0; at < entries.length; ) {
    const begin = at;
    at = endOfDomain(entries, begin);
    const own = entries.slice(begin, at).map((entry) => completed(staged, base, entry, reserved));
    if (await adoptSame(staged, base, own)) continue;
    for (const { entry, pointer } of own) {
      if (base.pace.isOver) await base.pace.rest();
      const held = getHeld(base.memory, keyOf(entry));
      await staged.own(entry.rdid, base.pace);
      if (held !== undefined && isSameValue(held.value, entry.value)) {
        const same = { ...entry, value: held.value } as Entry;
        within({ entry, pointer }, () => putStaged(staged, base, same, held.version));
      } else {
        within({ entry, pointer }, () => putStaged(staged, base, entry, base.version));
        if (!isNodeKind(entry.kind)) changed.add(entry.rdid);
      }
    }
  }
  for (const domain of staged.domains.values()) {
    const before = base.memory.domains.get(domain.rdid);
    if (before === undefined || before === domain) continue;
    await keepDynamicRecords(staged, base, before);
    // What has as many resources, none of them new, is the same.
    if (!changed.has(domain.rdid) && sizes(domain) === sizes(before)) staged.domains.set(domain.rdid, before);
  }
  return staged;
}

/** Where the entries end that are of the same domain as the one at `at`. */
function endOfDomain(entries: readonly DocumentEntry[], at: number): number {
  const rdid = entries[at]?.entry.rdid;
  let end = at + 1;
  while (entries[end]?.entry.rdid === rdid) end++;
  return end;
}

/** What the NAT policies of the document ask for, and what those with "auto" have now. */
async function reserve({ memory, pace }: StagingBase, entries: readonly DocumentEntry[]): Promise<Reserved> {
  const reserved = new Reserved();
  for (const each of [(nat: Nat) => nat, (nat: Nat, rdid: string) => heldBy(memory, nat, rdid)]) {
    for (const { entry } of entries) {
      if (pace.isOver) await pace.rest();
      if (entry.kind !== 'nat') continue;
      const nat = each(entry.value, entry.rdid);
      if (nat !== undefined) reserved.add(entry.rdid, externalAddressesOf(nat));
    }
  }
  return reserved;
}

function heldBy(memory: MemoryState, nat: Nat, rdid: string): Nat | undefined {
  return nat.externalAddresses === 'auto' ? memory.domains.get(rdid)?.nat : undefined;
}

/**
 * A NAT policy with "auto" with the address that it gets, a site connection or BGP with the secrets that it leaves out and has;
 * anything else as it is.
 */
function completed(
  staged: MemoryState,
  { memory, byTenant }: StagingBase,
  given: DocumentEntry,
  reserved: Reserved,
): DocumentEntry {
  const { entry, pointer } = given;
  if (entry.kind === 'siteConnection') {
    const held = memory.domains.get(entry.rdid)?.siteConnections.get(entry.id);
    return within(given, () => ({ entry: { ...entry, value: withKeptSecret(entry.value, held) }, pointer }));
  }
  if (entry.kind === 'bgp') {
    const value = withKeptPasswords(entry.value, memory.domains.get(entry.rdid)?.bgp);
    return { entry: { ...entry, value }, pointer };
  }
  if (entry.kind !== 'nat') return given;
  return within(given, () => {
    // Before anything is said of pools, which are no tenant's to know of.
    if (byTenant) checkTenantPut(memory, keyOf(entry), entry.value);
    const held = memory.domains.get(entry.rdid)?.nat;
    const value = withAllocation(staged, entry.rdid, entry.value, held, reserved);
    return { entry: { ...entry, value }, pointer };
  });
}

/**
 * Takes over a domain that the entries, all of it, leave as it is: a policy that is put again then takes next to no memory.
 * Answers whether it did; where anything else could stand against the domain, the rules are to decide.
 */
async function adoptSame(
  staged: MemoryState,
  { memory, capacity, pace }: StagingBase,
  entries: readonly DocumentEntry[],
): Promise<boolean> {
  const rdid = entries[0]?.entry.rdid ?? '';
  const domain = memory.domains.get(rdid);
  const version = memory.versions.routingDomain.get(rdid);
  if (domain === undefined || version === undefined || resourcesOf(domain) !== entries.length) return false;
  const values = new Set<unknown>();
  for (const { entry } of entries) {
    if (pace.isOver) await pace.rest();
    const held = getHeld(memory, keyOf(entry));
    if (held === undefined || !isSameValue(held.value, entry.value)) return false;
    values.add(held.value);
  }
  // None is named twice in place of another.
  if (values.size !== entries.length || clashes(staged, domain)) return false;
  if (exceeds(capacity, staged, domain)) return false;
  staged.adopt(domain, version);
  return true;
}

function clashes(staged: MemoryState, domain: DomainMemory): boolean {
  const { rdid, virtualSubnets, nat, forwarding, siteConnections } = domain;
  if (staged.domains.has(rdid)) return true;
  if (forwarding !== undefined && isForwardingTaken(staged, rdid, forwarding)) return true;
  // Of an address that is shared, two domains may not have the same peer.
  const isShared = nat !== undefined && externalAddressesOf(nat).some((address) => !isWhole(address));
  if (isShared && siteConnections.size > 0) return true;
  for (const vsid of virtualSubnets.keys())
    if (staged.vsidOwners.has(vsid) || staged.portsByVsid.has(vsid)) return true;
  if (nat === undefined) return false;
  const isTaken = (address: ExternalAddress): boolean => ownerOf(staged, rdid, address) !== undefined;
  const overlaps = ({ prefix }: ExternalPrefix): boolean => ownerOfPrefix(staged, rdid, prefix) !== undefined;
  return externalAddressesOf(nat).some(isTaken) || nat.externalPrefixes.some(overlaps);
}

function exceeds(capacity: StoreCapacity, staged: MemoryState, domain: DomainMemory): boolean {
  return (
    staged.domains.size >= capacity.routingDomains ||
    staged.lookupRecordCount + domain.lookupRecords.size > capacity.lookupRecords ||
    staged.customerRouteCount + domain.customerRoutes.size > capacity.customerRoutes ||
    staged.siteConnectionCount + domain.siteConnections.size > capacity.siteConnections ||
    staged.externals.count + externalCount(domain.nat) > capacity.externalAddresses
  );
}

function putStaged(staged: MemoryState, base: StagingBase, entry: Entry, version: Version): void {
  if (base.byTenant) checkTenantPut(staged, keyOf(entry), entry.value);
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

function sizes(domain: DomainMemory): string {
  const { virtualSubnets, lookupRecords, customerRoutes, siteConnections } = domain;
  const singles = singleKinds.map((kind) => domain[kind] !== undefined);
  return [
    virtualSubnets.size,
    lookupRecords.size,
    customerRoutes.size,
    siteConnections.size,
    ...singles,
  ].join();
}

/** A refusal says which resource of the document it is about, and where that is. */
function within<T>({ entry, pointer }: DocumentEntry, write: () => T): T {
  try {
    return write();
  } catch (error) {
    throw error instanceof HnvError ? refusalInDocument(keyOf(entry), pointer, error) : error;
  }
}
