/**
 * Which multicast groups of the provider network this node listens to: those of the subnets that have a port here, on
 * the provider addresses of these ports.
 */
import type { DomainAttachments } from '../encap/entries.ts';
import type { DomainPlan } from '../policy/plan.ts';

/** A group, and the provider address of this node that is in it. */
export interface GroupMembership {
  group: string;
  providerAddress: string;
}

/** The memberships that a domain needs, each once. */
export function groupsOf(plan: DomainPlan, attachments: DomainAttachments): GroupMembership[] {
  const found = new Map<string, GroupMembership>();
  for (const { vsid, providerMulticastAddress: group } of plan.subnets) {
    if (group === undefined) continue;
    for (const { interface: name, vsid: of, providerAddress } of plan.ports)
      if (of === vsid && attachments.ports.has(name))
        found.set(`${group} ${providerAddress}`, { group, providerAddress });
  }
  return [...found.values()];
}

export class ProviderGroups {
  readonly #apply: (groups: readonly GroupMembership[]) => Promise<void>;
  readonly #ofDomain = new Map<string, readonly GroupMembership[]>();
  /** The newest call of `apply`: one at a time, in order. */
  #turn: Promise<void> = Promise.resolve();

  /** `apply` makes the node a member of these groups and of no others. */
  constructor(apply: (groups: readonly GroupMembership[]) => Promise<void>) {
    this.#apply = apply;
  }

  /** Sets what one domain needs; resolves when the node has it. */
  async set(rdid: string, groups: readonly GroupMembership[]): Promise<void> {
    if (groups.length === 0 && !this.#ofDomain.has(rdid)) return;
    if (groups.length === 0) this.#ofDomain.delete(rdid);
    else this.#ofDomain.set(rdid, groups);
    const all = new Map<string, GroupMembership>();
    for (const membership of [...this.#ofDomain.values()].flat())
      all.set(`${membership.group} ${membership.providerAddress}`, membership);
    const turn = this.#turn.then(() => this.#apply([...all.values()]));
    this.#turn = turn.catch(() => undefined);
    await turn;
  }
}
