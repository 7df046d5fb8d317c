/**
 * Brings one routing domain's kernel objects to what its plan says, in the order in which they depend on each other:
 * context, programs on its links, NAT, then the tables that open it to traffic; and takes them away in reverse.
 */
import type { EncapCore } from '../encap/core.ts';
import { type Attachment, domainEntries } from '../encap/entries.ts';
import type { DomainTables } from '../encap/tables.ts';
import { compileDomain } from '../policy/compile.ts';
import type { DomainPlan } from '../policy/plan.ts';
import type { DesiredState } from '../policy/state.ts';
import type { Contexts } from './contexts.ts';
import type { NodeLinks } from './node-links.ts';

export interface Reconciled {
  /** Why something that was asked for is not there, though nothing failed. */
  pending: string[];
}

interface Known {
  handle: number;
  /** The context as it was last applied in this process, to skip reading it when only tables change. */
  context?: { request: string; attachment: Attachment };
}

export class Reconciler {
  readonly #core: EncapCore;
  readonly #tables: DomainTables;
  readonly #contexts: Contexts;
  readonly #links: NodeLinks;
  readonly #known = new Map<string, Known>();

  constructor(core: EncapCore, tables: DomainTables, contexts: Contexts, links: NodeLinks) {
    this.#core = core;
    this.#tables = tables;
    this.#contexts = contexts;
    this.#links = links;
  }

  /** Domains that this process has put into the kernel. */
  handleOf(rdid: string): number | undefined {
    return this.#known.get(rdid)?.handle;
  }

  /** Removes what an earlier process left and `state` no longer has. */
  async removeOrphans(state: DesiredState): Promise<void> {
    const handles = new Set([...state.domains.values()].map((domain) => domain.handle));
    const names = new Set([...state.domains.keys()].map((rdid) => this.#contexts.names(rdid).netns));
    for (const handle of this.#tables.domains()) if (!handles.has(handle)) this.#tables.remove(handle);
    const orphans = this.#contexts.present().filter((netns) => !names.has(netns));
    await Promise.all(orphans.map((netns) => this.#contexts.remove(netns)));
  }

  /** Makes the kernel's state of a domain that of the store. May be repeated after an error; throws HnvError. */
  async apply(rdid: string, state: DesiredState): Promise<Reconciled> {
    const domain = state.domains.get(rdid);
    const known = this.#known.get(rdid);
    if (known !== undefined && known.handle !== domain?.handle) await this.#remove(rdid, known.handle);
    if (domain === undefined) return { pending: [] };
    const plan = compileDomain(domain, state);
    const entry: Known = this.#known.get(rdid) ?? { handle: plan.handle };
    this.#known.set(rdid, entry);
    const attachment = plan.context === undefined ? undefined : await this.#applyContext(plan, entry);
    this.#tables.apply(plan.handle, domainEntries(plan, attachment));
    if (attachment === undefined) {
      delete entry.context;
      await this.#contexts.remove(this.#contexts.names(rdid).netns);
    }
    return { pending: plan.pending };
  }

  async #applyContext(plan: DomainPlan, entry: Known): Promise<Attachment | undefined> {
    const { rdid, context, nat } = plan;
    if (context === undefined) return undefined;
    const provider = this.#links.providerPlace(context.providerAddress);
    const uplink = this.#links.uplink;
    const request = { rdid, plan: context, nat, mtu: { tenant: provider.innerMtu, external: uplink.mtu } };
    const text = JSON.stringify({ request, provider, uplink });
    if (entry.context?.request === text) return entry.context.attachment;
    delete entry.context;
    let attachment: Attachment | undefined;
    const { ifindex: providerIfindex, innerMtu: mtu } = provider;
    await this.#contexts.apply(request, (links, isNew) => {
      attachment = { ...links, providerIfindex, uplinkIfindex: uplink.ifindex, mtu };
      // A context that was there is in use: its tables stand before a program of a new generation looks into them.
      if (!isNew) this.#tables.apply(plan.handle, domainEntries(plan, attachment));
      this.#core.attach('port', links.tenantIfindex);
      this.#core.attach('context', links.externalIfindex);
    });
    if (attachment !== undefined) entry.context = { request: text, attachment };
    return attachment;
  }

  async #remove(rdid: string, handle: number): Promise<void> {
    this.#tables.remove(handle);
    await this.#contexts.remove(this.#contexts.names(rdid).netns);
    this.#known.delete(rdid);
  }
}
