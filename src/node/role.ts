/** What a node does beside the encap core: the one thing in which a gateway and a host differ. */
import type {
  BgpRoute,
  BgpState,
  LearningCounts,
  NatSession,
  NatSessionFilter,
  NatUse,
  SiteConnectionLive,
  SiteConnectionState,
} from '../api/operations.ts';
import type { RoleName } from '../config/config.ts';
import type { DomainAttachments } from '../encap/entries.ts';
import type { FastDomain } from '../encap/fast-path.ts';
import type { DomainPlan } from '../policy/plan.ts';
import type { DesiredState, DomainState } from '../policy/state.ts';
import type { Finding } from './drift.ts';
import type { Reconciled, Trouble } from './reconciler.ts';

/** Why a port of the store is not in the data plane. */
export interface PortTrouble {
  state: 'pending' | 'failed';
  reason: string;
}

export interface Role {
  readonly name: RoleName;

  /** The plan of what this role does of the domain; `pending` also says what it leaves to nodes of the other role. */
  compile(domain: DomainState, state: DesiredState): DomainPlan;

  /**
   * Makes what stands behind the core, or finds it, and says where the domain is joined to this node. Calls `fillTables`
   * before a program that may be of a new generation takes packets of what was there before. What cannot be made goes
   * into the outcome, and is left out of the answer when nothing can be joined to it. What is another domain's still is
   * taken out of the plan.
   */
  attach(
    plan: DomainPlan,
    fillTables: (attachments: DomainAttachments) => void,
    outcome: Reconciled,
  ): Promise<DomainAttachments>;

  /** Completes attach() when the tables have what the plan says: opens what is new, ends what the plan has no more. */
  settle(plan: DomainPlan, attachments: DomainAttachments, troubles: Trouble[]): Promise<void>;

  /**
   * What the data plane must know to have flows of the domain take the fast path; undefined while it must not, because what stands
   * behind the core is not as the plan says.
   */
  fastDomain(plan: DomainPlan): FastDomain | undefined;

  /**
   * What the kernel has of the domain otherwise than this process has made it, the tables apart. Nothing when that is not
   * known, because it could not be made. Quick, and changes nothing.
   */
  inspect(rdid: string): Finding[];

  /** Forgets what is known of the kernel's state of a domain: the next attach() looks at everything. */
  forget(rdid: string): void;

  /** As inspect(), of what the domains share. */
  inspectNode(): Finding[];

  /** Puts right what inspectNode() finds. */
  mendNode(): Promise<void>;

  /** Ends what there is of a domain that the tables have no more. */
  remove(rdid: string): Promise<void>;

  /** Removes what an earlier process left and `state` has no more. */
  removeOrphans(state: DesiredState): Promise<void>;

  /** Brings what belongs to no domain to what `state` says; called when the node's own resources have changed. */
  applyNode(state: DesiredState): void;

  /** Interfaces of the machine have come, gone or changed. */
  linksChanged(names: ReadonlySet<string>): void;

  /** Undefined when the port works as it should. */
  portTrouble(name: string): PortTrouble | undefined;

  /** Packets that the routing context of the domain dropped; 0 when the role has none. */
  contextDrops(rdid: string): number;

  /** Undefined when the role has no context of the domain. Quick. */
  natUse(rdid: string): NatUse | undefined;

  /** As Operations.natSessions(). */
  natSessions(rdid: string, filter: NatSessionFilter): AsyncIterable<NatSession[]> | undefined;

  /** As Operations.siteConnections(); none for a role without routing contexts. */
  siteConnections(rdid: string): ReadonlyMap<string, SiteConnectionState>;

  /** As Operations.siteConnection(). */
  siteConnection(rdid: string, name: string): Promise<SiteConnectionLive | undefined>;

  /** As Operations.bgp(). */
  bgp(rdid: string): BgpState | undefined;

  /** As Operations.bgpRoutes(). */
  bgpRoutes(rdid: string): AsyncIterable<BgpRoute[]> | undefined;

  /** As Operations.uplinkBgp(); undefined for a role without an uplink. */
  uplinkBgp(): BgpState | undefined;

  /** What became of learned addresses; undefined for a role that learns none. */
  learningCounts(): LearningCounts | undefined;

  /** What an operator should know about this role. */
  warnings(): string[];

  /** Ends what the role does in this process; the data plane goes on. */
  close(): Promise<void>;
}
