/**
 * Brings one routing domain's kernel objects to what its plan says, in the order in which they depend on each other:
 * what stands behind the core with its programs, then the tables that open it to traffic; and takes them away in
 * reverse.
 */
import { type DomainAttachments, domainEntries } from '../encap/entries.ts';
import type { DomainTables } from '../encap/tables.ts';
import type { DesiredState } from '../policy/state.ts';
import { groupsOf, type ProviderGroups } from './provider-groups.ts';
import type { Role } from './role.ts';

export interface Reconciled {
  /** Why something that was asked for is not there, though nothing failed. */
  pending: string[];
}

export class Reconciler {
  readonly #tables: DomainTables;
  readonly #role: Role;
  readonly #groups: ProviderGroups;
  /** Handles of the domains that this process has put into the kernel. */
  readonly #handles = new Map<string, number>();

  constructor(tables: DomainTables, role: Role, groups: ProviderGroups) {
    this.#tables = tables;
    this.#role = role;
    this.#groups = groups;
  }

  /** Removes what an earlier process left and `state` no longer has. */
  async removeOrphans(state: DesiredState): Promise<void> {
    const handles = new Set([...state.domains.values()].map((domain) => domain.handle));
    for (const handle of this.#tables.domains()) if (!handles.has(handle)) this.#tables.remove(handle);
    await this.#role.removeOrphans(state);
  }

  /** Makes the kernel's state of a domain that of the store. May be repeated after an error; throws HnvError. */
  async apply(rdid: string, state: DesiredState): Promise<Reconciled> {
    const domain = state.domains.get(rdid);
    const known = this.#handles.get(rdid);
    if (known !== undefined && known !== domain?.handle) await this.#remove(rdid, known);
    if (domain === undefined) return { pending: [] };
    const plan = this.#role.compile(domain, state);
    this.#handles.set(rdid, plan.handle);
    const fill = (attachments: DomainAttachments): void =>
      this.#tables.apply(plan.handle, domainEntries(plan, attachments));
    const attachments = await this.#role.attach(plan, fill);
    fill(attachments);
    await this.#role.settle(plan, attachments);
    await this.#groups.set(rdid, groupsOf(plan, attachments));
    return { pending: plan.pending };
  }

  async #remove(rdid: string, handle: number): Promise<void> {
    this.#tables.remove(handle);
    await this.#role.remove(rdid);
    await this.#groups.set(rdid, []);
    this.#handles.delete(rdid);
  }
}
