/**
 * Brings one routing domain's kernel objects to what its plan says, in the order in which they depend on each other:
 * what stands behind the core with its programs, then the tables that open it to traffic; and takes them away in
 * reverse. What fails is noted as the trouble of the object whose it is, and the rest is done nevertheless.
 */
import { type DomainAttachments, domainEntries } from '../encap/entries.ts';
import type { FastDomain, FastPath } from '../encap/fast-path.ts';
import type { DomainTables, Refusal } from '../encap/tables.ts';
import type { DomainPlan } from '../policy/plan.ts';
import type { ResourceKind } from '../policy/resources.ts';
import type { DesiredState, DomainState } from '../policy/state.ts';
import { entryOwner } from './entry-owner.ts';
import { groupsOf, type ProviderGroups } from './provider-groups.ts';
import type { Role } from './role.ts';

/** Why an object of the domain is not in the kernel as it should be: it is tried again. */
export interface Trouble {
  /** `routingDomain`: all of the domain. */
  kind: ResourceKind;
  /** Absent when it concerns all of the kind in the domain. */
  id?: string;
  error: unknown;
}

/** How far a try at a domain came. */
export interface Reconciled {
  /** Why something that was asked for is not there, though nothing failed. */
  pending: string[];
  troubles: Trouble[];
  /** Resolves when it is worth another try: something is still another domain's. */
  blockedUntil?: Promise<void>;
}

/** What of a role is used here. */
export type DomainRole = Pick<
  Role,
  'compile' | 'attach' | 'settle' | 'fastDomain' | 'remove' | 'removeOrphans'
>;
/** The same of the fast path. */
export type DomainFastPath = Pick<FastPath, 'set'>;

export class Reconciler {
  readonly #tables: DomainTables;
  readonly #role: DomainRole;
  readonly #fast: DomainFastPath;
  readonly #groups: ProviderGroups;
  /** Handles of the domains that this process has put into the kernel. */
  readonly #handles = new Map<string, number>();
  /** Whose entries the tables have under a handle: the store gives one again while its last owner is still being removed. */
  readonly #owners = new Map<number, string>();

  constructor(tables: DomainTables, role: DomainRole, groups: ProviderGroups, fast: DomainFastPath) {
    this.#tables = tables;
    this.#role = role;
    this.#groups = groups;
    this.#fast = fast;
  }

  /** Removes what an earlier process left and `state` no longer has. */
  async removeOrphans(state: DesiredState): Promise<void> {
    const handles = new Set([...state.domains.values()].map((domain) => domain.handle));
    for (const handle of this.#tables.domains()) if (!handles.has(handle)) this.#empty(handle);
    await this.#role.removeOrphans(state);
  }

  /** Makes the kernel's state of a domain that of the store. May be repeated. Throws when nothing could be tried. */
  async apply(rdid: string, state: DesiredState): Promise<Reconciled> {
    const domain = state.domains.get(rdid);
    const known = this.#handles.get(rdid);
    if (known !== undefined && known !== domain?.handle) await this.#remove(rdid, known);
    if (domain === undefined) return { pending: [], troubles: [] };
    const plan = this.#role.compile(domain, state);
    this.#own(rdid, plan.handle);
    // What is not whole, or has to go, is nothing for fast flows.
    if (this.#role.fastDomain(plan) === undefined) this.#setFast(rdid, plan.handle, undefined);
    try {
      return await this.#make(domain, plan);
    } finally {
      // Whatever became of it, flows that were noted before are over.
      this.#setFast(rdid, plan.handle, this.#role.fastDomain(plan));
    }
  }

  async #make(domain: DomainState, plan: DomainPlan): Promise<Reconciled> {
    const { rdid } = domain;
    let refusals: Refusal[] = [];
    const fill = (attachments: DomainAttachments): void => {
      if (this.#owners.get(plan.handle) === rdid)
        refusals = this.#tables.apply(plan.handle, domainEntries(plan, attachments));
    };
    const outcome: Reconciled = { pending: plan.pending, troubles: [] };
    const { troubles } = outcome;
    const attachments = await this.#role.attach(plan, fill, outcome);
    fill(attachments);
    troubles.push(...tableTroubles(domain, refusals));
    await this.#role.settle(plan, attachments, troubles);
    try {
      await this.#groups.set(rdid, groupsOf(plan, attachments));
    } catch (error) {
      for (const [vsid, { providerMulticastAddress }] of domain.virtualSubnets)
        if (providerMulticastAddress !== undefined)
          troubles.push({ kind: 'virtualSubnet', id: String(vsid), error });
    }
    return outcome;
  }

  #setFast(rdid: string, handle: number, fast: FastDomain | undefined): void {
    if (this.#owners.get(handle) === rdid) this.#fast.set(handle, fast);
  }

  /** Nothing of the last owner's is left to the new one, its counters neither. */
  #own(rdid: string, handle: number): void {
    const last = this.#owners.get(handle);
    if (last !== undefined && last !== rdid) this.#empty(handle);
    this.#owners.set(handle, rdid);
    this.#handles.set(rdid, handle);
  }

  async #remove(rdid: string, handle: number): Promise<void> {
    if (this.#owners.get(handle) === rdid) {
      this.#empty(handle);
      this.#owners.delete(handle);
    }
    await this.#role.remove(rdid);
    await this.#groups.set(rdid, []);
    this.#handles.delete(rdid);
  }

  #empty(handle: number): void {
    this.#fast.set(handle, undefined);
    this.#tables.remove(handle);
  }
}

/** A full map is the trouble of those whose entries it did not take. */
function tableTroubles(domain: DomainState, refusals: readonly Refusal[]): Trouble[] {
  return refusals.flatMap(({ map, keys, error }) =>
    keys.map(([key, value]) => ({ ...entryOwner(domain, map, key, value), error })),
  );
}
