/** The gateway role: a routing context for each routing domain that has a gateway here. */
import type {
  NatSession,
  NatSessionFilter,
  NatUse,
  SiteConnectionLive,
  SiteConnectionState,
} from '../api/operations.ts';
import type { GatewayConfig } from '../config/config.ts';
import type { ContextAttachment, DomainAttachments } from '../encap/entries.ts';
import { heldExternals } from '../encap/held-externals.ts';
import { HnvError } from '../errors.ts';
import { netnsExists } from '../linux/netns.ts';
import { contextDrops } from '../nat/context-drops.ts';
import { NatLog } from '../nat/log/nat-log.ts';
import { natUse } from '../nat/refusals.ts';
import { SessionLists } from '../nat/sessions.ts';
import type { Finding } from '../node/drift.ts';
import { type NodeParts, runNode } from '../node/node.ts';
import { innerMtu } from '../node/provider-carriers.ts';
import type { Reconciled, Trouble } from '../node/reconciler.ts';
import type { PortTrouble, Role } from '../node/role.ts';
import { addressFamily } from '../policy/address.ts';
import { compileDomain } from '../policy/compile.ts';
import { externalAddressesOf } from '../policy/external-addresses.ts';
import { isWhole } from '../policy/external-shares.ts';
import type { ContextPlan, DomainPlan, NatPlan } from '../policy/plan.ts';
import type { DesiredState, DomainState } from '../policy/state.ts';
import { SiteTunnels } from '../s2s/site-tunnels.ts';
import { resourcePath } from '../store/resource-path.ts';
import { Contexts } from './contexts.ts';
import { ExternalLeases, type Externals } from './external-leases.ts';
import { FragmentSorter } from './fragment-sorter.ts';
import { SolicitedGroups } from './solicited-groups.ts';

/** Runs a gateway node until it is told to stop. Throws HnvError when it cannot start. */
export function runGateway(config: GatewayConfig): Promise<void> {
  return runNode(config, {
    name: 'gateway',
    uplink: config.uplink.interface,
    watchesAllLinks: false,
    allowsWeakAlgorithms: config.ipsec.allowWeakAlgorithms,
    create: (parts) => new GatewayRole(parts, config),
  });
}

const isIpv6 = (address: string): boolean => addressFamily(address) === 6;

const NO_EXTERNALS: Externals = { externalAddresses: [], prefixes: [] };
const NO_PORTS = { ports: new Map(), portsByVsid: new Map() } as const;
const WITHOUT_PORTS: DomainAttachments['ports'] = new Map();

/** A context as it was last applied in this process, to skip reading it when only tables change. */
interface Applied {
  request: string;
  nat: NatPlan | undefined;
  attachment: ContextAttachment;
}

class GatewayRole implements Role {
  readonly name = 'gateway';
  readonly #parts: NodeParts;
  readonly #contexts: Contexts;
  readonly #uplinkName: string;
  readonly #solicited: SolicitedGroups;
  readonly #sorter: FragmentSorter;
  readonly #natLog: NatLog | undefined;
  readonly #leases: ExternalLeases;
  readonly #tunnels: SiteTunnels;
  readonly #sessionLists = new SessionLists();
  readonly #applied = new Map<string, Applied>();

  constructor(parts: NodeParts, config: GatewayConfig) {
    this.#parts = parts;
    this.#contexts = new Contexts(config.instance);
    this.#uplinkName = config.uplink.interface;
    this.#solicited = new SolicitedGroups(this.#uplinkName);
    this.#sorter = new FragmentSorter(config.instance, parts.core);
    this.#natLog = config.natLog === undefined ? undefined : new NatLog(config.natLog);
    this.#leases = new ExternalLeases(this.#natLog);
    this.#tunnels = new SiteTunnels(config.instance, (rdid, name, what, reason) =>
      parts.events.add({
        ...{ type: 'siteConnection', routingDomainId: rdid, what, reason },
        path: resourcePath({ kind: 'siteConnection', rdid, id: name }),
      }),
    );
  }

  compile(domain: DomainState, state: DesiredState): DomainPlan {
    const { providerAddresses, allowsWeakAlgorithms } = state;
    const { uplinkAddresses } = this.#parts.links;
    return compileDomain(domain, { providerAddresses, allowsWeakAlgorithms, uplinkAddresses, ...NO_PORTS });
  }

  async attach(
    plan: DomainPlan,
    fillTables: (attachments: DomainAttachments) => void,
    outcome: Reconciled,
  ): Promise<DomainAttachments> {
    const { troubles } = outcome;
    if (plan.withheld !== undefined)
      troubles.push({ kind: 'nat', error: new HnvError('HNV_CONFLICT', plan.withheld.join(' ')) });
    if (plan.context === undefined) return { ports: WITHOUT_PORTS };
    this.#claimExternals(plan, outcome);
    let attachment: ContextAttachment | undefined;
    try {
      attachment = await this.#attachContext(plan, plan.context, troubles, (joined) => {
        attachment = joined;
        fillTables({ context: joined, ports: WITHOUT_PORTS });
      });
    } catch (error) {
      troubles.push({ kind: 'gateway', error });
      if (plan.nat !== undefined) troubles.push({ kind: 'nat', error });
    }
    return attachment === undefined
      ? { ports: WITHOUT_PORTS }
      : { context: attachment, ports: WITHOUT_PORTS };
  }

  /** What another domain still has of the plan's external addresses is left out of it until that one has given it up. */
  #claimExternals(plan: DomainPlan, outcome: Reconciled): void {
    if (plan.nat === undefined) return;
    const { plan: nat, blockedUntil } = this.#leases.claim(plan.rdid, plan.nat);
    plan.nat = nat;
    if (blockedUntil === undefined) return;
    const granted = new Set(nat.externalAddresses.map(({ address }) => address));
    plan.siteConnections = plan.siteConnections.filter(({ localAddress }) => granted.has(localAddress));
    outcome.pending.push(
      'NAT waits until sessions of the last owner of an external address have been ended.',
    );
    outcome.blockedUntil = blockedUntil;
  }

  /** `join` gets the place of a context that was there before its programs look into the tables. */
  async #attachContext(
    { rdid, nat }: DomainPlan,
    context: ContextPlan,
    troubles: Trouble[],
    join: (attachment: ContextAttachment) => void,
  ): Promise<ContextAttachment | undefined> {
    const { core, links } = this.#parts;
    const tunnel = links.providerPlace(context.providerAddress);
    const mtu = innerMtu(tunnel, context.providerAddress);
    const { uplink } = links;
    if (uplink === undefined) throw new Error('a gateway has an uplink');
    const request = { rdid, plan: context, nat, mtu: { tenant: mtu, external: uplink.mtu } };
    const text = JSON.stringify({ request, tunnel, uplink });
    const applied = this.#applied.get(rdid);
    if (applied?.request === text) return applied.attachment;
    this.#applied.delete(rdid);
    let attachment: ContextAttachment | undefined;
    const natFailure = await this.#contexts.apply(request, (joined, isNew) => {
      this.#natLog?.watch(rdid, this.#contexts.names(rdid).netns);
      attachment = { ...joined, tunnel, uplinkIfindex: uplink.ifindex, mtu };
      // A context that was there is in use: its tables stand before a program of a new generation looks into them.
      if (!isNew) join(attachment);
      core.attach('port', joined.tenantIfindex);
      core.attach('context', joined.externalIfindex);
    });
    // Without a policy the ruleset lets nothing through, and is the gateway's.
    if (natFailure !== undefined)
      troubles.push({ kind: nat === undefined ? 'gateway' : 'nat', error: natFailure });
    else if (attachment !== undefined) this.#applied.set(rdid, { request: text, nat, attachment });
    return attachment;
  }

  async settle(
    { rdid, context, nat, siteConnections: plans }: DomainPlan,
    _attachments: DomainAttachments,
    troubles: Trouble[],
  ): Promise<void> {
    if (context !== undefined && this.#applied.has(rdid)) {
      try {
        const { netns } = this.#contexts.names(rdid);
        const { addresses } = context;
        const externalMtu = this.#parts.links.uplink?.mtu ?? 0;
        troubles.push(...(await this.#tunnels.apply(rdid, { netns, plans, externalMtu, addresses })));
      } catch (error) {
        troubles.push({ kind: 'siteConnection', error });
      }
    }
    try {
      if (context === undefined) await this.remove(rdid);
      else {
        await this.#solicited.set(
          rdid,
          nat?.externalAddresses.map(({ address }) => address).filter(isIpv6) ?? [],
        );
        await this.#sorter.set(
          rdid,
          nat?.externalAddresses.some(({ portStart }) => portStart !== undefined) ?? false,
        );
        // A context that could not be applied may have its old sessions.
        if (this.#applied.has(rdid)) this.#leases.keepOnly(rdid, nat ?? NO_EXTERNALS);
      }
    } catch (error) {
      troubles.push({ kind: context === undefined ? 'gateway' : 'nat', error });
    }
  }

  inspect(rdid: string): Finding[] {
    const attachment = this.#applied.get(rdid)?.attachment;
    if (attachment === undefined) return [];
    const { context, nat } = this.#contexts.inspect(rdid);
    const { core } = this.#parts;
    // Of links that have gone, nothing more is to be said.
    if (context.length === 0) {
      if (!core.isAttached('port', attachment.tenantIfindex)) context.push('the program of hnv was missing');
      if (!core.isAttached('context', attachment.externalIfindex))
        context.push('the program of ext was missing');
    }
    const { netns } = this.#contexts.names(rdid);
    return [
      ...context.map((text) => ({ rdid, kind: 'gateway', text: `${netns}: ${text}` }) as const),
      ...nat.map((text) => ({ rdid, kind: 'nat', text: `${netns}: ${text}` }) as const),
      ...this.#tunnels
        .inspect(rdid)
        .map((text) => ({ rdid, kind: 'siteConnection', text: `${netns}: ${text}` }) as const),
    ];
  }

  forget(rdid: string): void {
    this.#applied.delete(rdid);
    this.#contexts.forget(rdid);
  }

  inspectNode(): Finding[] {
    return [
      ...this.#solicited.inspect().map(({ rdid, text }) => ({
        ...(rdid === undefined ? {} : { rdid, kind: 'nat' as const }),
        text,
      })),
      ...this.#sorter.inspect().map((text) => ({ text })),
    ];
  }

  async mendNode(): Promise<void> {
    await Promise.all([this.#solicited.restore(), this.#sorter.restore()]);
  }

  async remove(rdid: string): Promise<void> {
    this.#applied.delete(rdid);
    await this.#solicited.set(rdid, []);
    await this.#sorter.set(rdid, false);
    await this.#natLog?.end(rdid);
    const { netns } = this.#contexts.names(rdid);
    await this.#tunnels.remove(rdid, netns);
    await this.#removeContext(netns);
    this.#leases.keepOnly(rdid, NO_EXTERNALS);
  }

  async #removeContext(netns: string): Promise<void> {
    await this.#sessionLists.without(netns, () => this.#contexts.remove(netns));
  }

  async removeOrphans(state: DesiredState): Promise<void> {
    const names = new Set([...state.domains.keys()].map((rdid) => this.#contexts.names(rdid).netns));
    await this.#tunnels.keepOnly(names);
    const orphans = this.#contexts.present().filter((netns) => !names.has(netns));
    await Promise.all(orphans.map((netns) => this.#removeContext(netns)));
    this.#adoptExternals(state);
    this.#natLog?.start(
      [...state.domains.keys()]
        .map((rdid): [string, string] => [rdid, this.#contexts.names(rdid).netns])
        .filter(([, netns]) => netnsExists(netns)),
    );
    await this.#solicited.keepOnly(new Set(state.externals.addresses.keys()));
    const sharing = [...state.domains.values()].filter(
      ({ nat }) => nat !== undefined && !externalAddressesOf(nat).every(isWhole),
    );
    await this.#sorter.keepOnly(new Set(sharing.map(({ rdid }) => rdid)));
  }

  /** What a domain had under an earlier process it has until its sessions have been looked through. */
  #adoptExternals(state: DesiredState): void {
    const held = heldExternals((name) => this.#parts.core.map(name));
    for (const { rdid, handle } of state.domains.values()) {
      const { addresses, prefixes } = held.get(handle) ?? { addresses: [], prefixes: [] };
      this.#leases.keepOnly(rdid, {
        externalAddresses: addresses,
        prefixes: prefixes.map((external) => ({ external, internal: external })),
      });
    }
  }

  applyNode(): void {
    // Everything of a gateway belongs to a domain.
  }

  linksChanged(names: ReadonlySet<string>): void {
    // A context's links are nobody else's; with a change of the uplink every domain is applied again.
    if (names.has(this.#uplinkName)) this.#solicited.forget();
  }

  portTrouble(): PortTrouble {
    return { state: 'pending', reason: 'This node is a gateway: ports are for nodes that run as hosts.' };
  }

  contextDrops(rdid: string): number {
    const { netns } = this.#contexts.names(rdid);
    return netnsExists(netns) ? contextDrops(netns) : 0;
  }

  natUse(rdid: string): NatUse | undefined {
    const { netns } = this.#contexts.names(rdid);
    return netnsExists(netns) ? natUse(netns) : undefined;
  }

  natSessions(rdid: string, filter: NatSessionFilter): AsyncIterable<NatSession[]> | undefined {
    const { netns } = this.#contexts.names(rdid);
    if (!netnsExists(netns)) return undefined;
    return this.#sessionLists.of(netns, this.#applied.get(rdid)?.nat, filter);
  }

  siteConnections(rdid: string): ReadonlyMap<string, SiteConnectionState> {
    return this.#tunnels.states(rdid);
  }

  siteConnection(rdid: string, name: string): Promise<SiteConnectionLive | undefined> {
    return this.#tunnels.live(rdid, name);
  }

  learningCounts(): undefined {
    return undefined;
  }

  warnings(): string[] {
    return [...(this.#natLog?.warnings() ?? [])];
  }

  async close(): Promise<void> {
    // Contexts go on, and tunnels.
    this.#tunnels.close();
    await this.#natLog?.close();
  }
}
