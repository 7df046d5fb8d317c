/** The gateway role: a routing context for each routing domain that has a gateway here. */
import type {
  BgpRoute,
  BgpState,
  NatSession,
  NatSessionFilter,
  NatUse,
  SiteConnectionLive,
  SiteConnectionState,
} from '../api/operations.ts';
import type { GatewayConfig } from '../config/config.ts';
import type { ContextAttachment, DomainAttachments } from '../encap/entries.ts';
import type { FastDomain } from '../encap/fast-path.ts';
import { FlowAmounts } from '../encap/flow-amounts.ts';
import { flowsOf } from '../encap/flow-table.ts';
import { heldExternals } from '../encap/held-externals.ts';
import type { Flow } from '../encap/layout.generated.ts';
import { HnvError } from '../errors.ts';
import { BgpSessions } from '../forwarding/bgp-sessions.ts';
import { frrPlace } from '../forwarding/frr.ts';
import { endSpeaker } from '../forwarding/speaker-end.ts';
import { announcementsOf } from '../forwarding/uplink-announcements.ts';
import { type DomainAnnouncements, UplinkBgp } from '../forwarding/uplink-bgp.ts';
import { netnsId } from '../linux/namespace-id.ts';
import { netnsExists } from '../linux/netns.ts';
import { contextDrops } from '../nat/context-drops.ts';
import { endUncoveredSessions } from '../nat/ending.ts';
import { NatLog } from '../nat/log/nat-log.ts';
import { natUse } from '../nat/refusals.ts';
import { SessionLists } from '../nat/sessions.ts';
import type { Finding } from '../node/drift.ts';
import { type NodeParts, runNode } from '../node/node.ts';
import type { Reconciled, Trouble } from '../node/reconciler.ts';
import type { PortTrouble, Role } from '../node/role.ts';
import { addressFamily } from '../policy/address.ts';
import { compileDomain } from '../policy/compile.ts';
import { externalAddressesOf } from '../policy/external-addresses.ts';
import { isWhole } from '../policy/external-shares.ts';
import { uplinkOf } from '../policy/forwarding-index.ts';
import type { DomainPlan } from '../policy/plan.ts';
import type { DesiredState, DomainState } from '../policy/state.ts';
import { SiteTunnels } from '../s2s/site-tunnels.ts';
import { resourcePath } from '../store/resource-path.ts';
import { Contexts } from './contexts.ts';
import { ExternalLeases, type Externals } from './external-leases.ts';
import { fastDomain } from './fast-domain.ts';
import { FragmentSorter } from './fragment-sorter.ts';
import { JoinedContexts } from './joined-contexts.ts';
import { SolicitedGroups } from './solicited-groups.ts';

/** Runs a gateway node until it is told to stop. Throws HnvError when it cannot start. */
export function runGateway(config: GatewayConfig): Promise<void> {
  return runNode(config, {
    name: 'gateway',
    watchesAllLinks: false,
    settings: {
      uplinks: [config.uplink.interface, ...config.forwarding.interfaces],
      allowsWeakAlgorithms: config.ipsec.allowWeakAlgorithms,
    },
    dataplane: config.dataplane,
    create: (parts) => new GatewayRole(parts, config),
  });
}

const isIpv6 = (address: string): boolean => addressFamily(address) === 6;

const NO_EXTERNALS: Externals = { externalAddresses: [], prefixes: [] };
const NO_PORTS = { ports: new Map(), portsByVsid: new Map() } as const;
const WITHOUT_PORTS: DomainAttachments['ports'] = new Map();

class GatewayRole implements Role {
  readonly name = 'gateway';
  readonly #parts: NodeParts;
  readonly #contexts: Contexts;
  readonly #joined: JoinedContexts;
  readonly #uplinkName: string;
  readonly #solicited: SolicitedGroups;
  readonly #sorter: FragmentSorter;
  readonly #natLog: NatLog | undefined;
  readonly #leases: ExternalLeases;
  readonly #tunnels: SiteTunnels;
  readonly #bgp: BgpSessions;
  readonly #instance: string;
  /** Undefined when it is not configured. */
  readonly #uplinkBgp: UplinkBgp | undefined;
  readonly #sessionLists = new SessionLists();

  constructor(parts: NodeParts, config: GatewayConfig) {
    this.#parts = parts;
    this.#contexts = new Contexts(config.instance, parts.fast.isOn);
    this.#joined = new JoinedContexts(this.#contexts, parts);
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
    this.#bgp = new BgpSessions(
      config.instance,
      (rdid, peer, what, reason) =>
        parts.events.add({
          ...{ type: 'bgpPeer', routingDomainId: rdid, what, reason: `${peer}: ${reason}` },
          path: resourcePath({ kind: 'bgp', rdid }),
        }),
      (rdid) => this.#endMisrouted(rdid),
    );
    this.#instance = config.instance;
    this.#uplinkBgp = this.#makeUplinkBgp(config);
  }

  #makeUplinkBgp({ instance, uplink }: GatewayConfig): UplinkBgp | undefined {
    if (uplink.bgp === undefined) return undefined;
    const { events, ready } = this.#parts;
    const made = new UplinkBgp({
      ...{ instance, uplink: uplink.interface, config: uplink.bgp },
      tell: (peer, what, reason) => events.add({ type: 'bgpPeer', what, reason: `${peer}: ${reason}` }),
    });
    void ready.then(() => made.begin());
    return made;
  }

  compile(domain: DomainState, state: DesiredState): DomainPlan {
    const { providerAddresses, forwardings, uplinks, allowsWeakAlgorithms } = state;
    const uplinkAddresses = this.#parts.links.uplinks.addresses;
    const ofState = { providerAddresses, forwardings, uplinks, allowsWeakAlgorithms };
    return compileDomain(domain, { ...ofState, uplinkAddresses, ...NO_PORTS });
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
      attachment = await this.#joined.apply(plan, plan.context, troubles, (joined, isNew) => {
        this.#natLog?.watch(plan.rdid, this.#contexts.names(plan.rdid).netns);
        attachment = joined;
        // A context that was there is in use: its tables stand before a program of a new generation looks into them.
        if (!isNew) fillTables({ context: joined, ports: WITHOUT_PORTS });
      });
    } catch (error) {
      troubles.push({ kind: 'gateway', error });
      if (plan.nat !== undefined) troubles.push({ kind: 'nat', error });
      if (plan.forwarding !== undefined) troubles.push({ kind: 'forwarding', error });
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

  async settle(plan: DomainPlan, attachments: DomainAttachments, troubles: Trouble[]): Promise<void> {
    await this.#complete(plan, troubles);
    this.#uplinkBgp?.set(plan.rdid, this.#announced(plan, attachments, troubles));
  }

  /** What of the domain passes packets now. */
  #announced(
    { rdid, nat, forwarding }: DomainPlan,
    { context }: DomainAttachments,
    troubles: readonly Trouble[],
  ): DomainAnnouncements | undefined {
    // What another domain has is not in the plan: the rest works.
    const isFailure = ({ error }: Trouble): boolean =>
      !(error instanceof HnvError && error.code === 'HNV_CONFLICT');
    const failed = new Set(troubles.filter(isFailure).map(({ kind }) => kind));
    if (context === undefined || failed.has('gateway') || !this.#joined.has(rdid)) return undefined;
    const inEffect = {
      nat: failed.has('nat') ? undefined : nat,
      forwarding: failed.has('forwarding') ? undefined : forwarding,
    };
    return {
      announcements: announcementsOf(inEffect, this.#uplinkName),
      providerIfindex: context.tunnel.ifindex,
    };
  }

  async #complete(
    { rdid, context, nat, forwarding, bgp, siteConnections: plans }: DomainPlan,
    troubles: Trouble[],
  ): Promise<void> {
    if (context !== undefined && this.#joined.has(rdid)) {
      try {
        const { netns } = this.#contexts.names(rdid);
        const { addresses } = context;
        const externalMtu = this.#parts.links.uplinks.first?.mtu ?? 0;
        troubles.push(...(await this.#tunnels.apply(rdid, { netns, plans, externalMtu, addresses })));
      } catch (error) {
        troubles.push({ kind: 'siteConnection', error });
      }
      troubles.push(...(await this.#bgp.apply(rdid, { netns: this.#contexts.names(rdid).netns, plan: bgp })));
    }
    try {
      await this.#parts.links.uplinks.promiscuous.use(rdid, forwarding?.uplink);
    } catch (error) {
      troubles.push({ kind: 'forwarding', error });
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
        if (this.#joined.has(rdid)) this.#leases.keepOnly(rdid, nat ?? NO_EXTERNALS);
      }
    } catch (error) {
      troubles.push({ kind: context === undefined ? 'gateway' : 'nat', error });
    }
  }

  fastDomain({ rdid, context, nat }: DomainPlan): FastDomain | undefined {
    if (context === undefined || !this.#joined.has(rdid)) return undefined;
    const { netns } = this.#contexts.names(rdid);
    const id = netnsExists(netns) ? netnsId(netns) : undefined;
    return id === undefined ? undefined : fastDomain(id, nat);
  }

  inspect(rdid: string): Finding[] {
    if (!this.#joined.has(rdid)) return [];
    const { context, forwarding, nat } = this.#joined.inspect(rdid);
    const { netns } = this.#contexts.names(rdid);
    return [
      ...context.map((text) => ({ rdid, kind: 'gateway', text: `${netns}: ${text}` }) as const),
      ...forwarding.map((text) => ({ rdid, kind: 'forwarding', text: `${netns}: ${text}` }) as const),
      ...nat.map((text) => ({ rdid, kind: 'nat', text: `${netns}: ${text}` }) as const),
      ...this.#tunnels
        .inspect(rdid)
        .map((text) => ({ rdid, kind: 'siteConnection', text: `${netns}: ${text}` }) as const),
      ...this.#bgp.inspect(rdid).map((text) => ({ rdid, kind: 'bgp', text: `${netns}: ${text}` }) as const),
    ];
  }

  /** A session that began by NAT must not wait for its end when its remote has come to be behind `fwd`, nor the other way. */
  #endMisrouted(rdid: string): void {
    const rules = this.#joined.rules(rdid);
    if (rules === undefined) return;
    // The namespace may go meanwhile, and its sessions with it.
    endUncoveredSessions(this.#contexts.names(rdid).netns, rules).catch(() => undefined);
  }

  forget(rdid: string): void {
    this.#joined.forget(rdid);
  }

  inspectNode(): Finding[] {
    return [
      ...this.#solicited.inspect().map(({ rdid, text }) => ({
        ...(rdid === undefined ? {} : { rdid, kind: 'nat' as const }),
        text,
      })),
      ...this.#sorter.inspect().map((text) => ({ text })),
      ...(this.#uplinkBgp?.inspect() ?? []).map((text) => ({ text: `uplink: ${text}` })),
    ];
  }

  async mendNode(): Promise<void> {
    this.#uplinkBgp?.restore();
    await Promise.all([this.#solicited.restore(), this.#sorter.restore()]);
  }

  async remove(rdid: string): Promise<void> {
    this.#joined.forget(rdid);
    this.#uplinkBgp?.set(rdid, undefined);
    await this.#solicited.set(rdid, []);
    await this.#sorter.set(rdid, false);
    await this.#parts.links.uplinks.promiscuous.use(rdid, undefined);
    await this.#natLog?.end(rdid);
    const { netns } = this.#contexts.names(rdid);
    await this.#bgp.remove(rdid, netns);
    await this.#tunnels.remove(rdid, netns);
    await this.#removeContext(netns);
    this.#leases.keepOnly(rdid, NO_EXTERNALS);
  }

  async #removeContext(netns: string): Promise<void> {
    await this.#sessionLists.without(netns, () => this.#contexts.remove(netns));
  }

  async removeOrphans(state: DesiredState): Promise<void> {
    const names = new Set([...state.domains.keys()].map((rdid) => this.#contexts.names(rdid).netns));
    if (this.#uplinkBgp === undefined) await endSpeaker(frrPlace(this.#instance, undefined));
    await this.#bgp.keepOnly(names);
    await this.#tunnels.keepOnly(names);
    const orphans = this.#contexts.present().filter((netns) => !names.has(netns));
    await Promise.all(orphans.map((netns) => this.#removeContext(netns)));
    await this.#adoptPromiscuous(state);
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

  /** What an earlier process has turned on stays until each domain has been looked at. */
  #adoptPromiscuous({ domains, uplinks }: DesiredState): Promise<void> {
    const users = [...domains.values()].flatMap(({ rdid, forwarding }): [string, string][] =>
      forwarding === undefined ? [] : [[rdid, uplinkOf(forwarding, uplinks)]],
    );
    return this.#parts.links.uplinks.promiscuous.keepOnly(new Map(users));
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
    return this.#sessionLists.of(netns, this.#joined.rules(rdid)?.nat, filter, this.#flowAmounts(rdid));
  }

  #flowAmounts(rdid: string): FlowAmounts | undefined {
    const { store, core, links } = this.#parts;
    const { handle, gateway } = store.state.domains.get(rdid) ?? {};
    const uplinkIfindex = links.uplinks.first?.ifindex;
    if (handle === undefined || gateway === undefined || uplinkIfindex === undefined) return undefined;
    const flows = (key: Uint8Array): Flow[] => flowsOf((name) => core.map(name), key);
    return new FlowAmounts(
      { flows, records: core.map('records') },
      {
        ...{ domain: handle, gatewayVsid: gateway.virtualSubnetId, uplinkIfindex },
        prefixes: this.#joined.rules(rdid)?.nat?.prefixes ?? [],
      },
    );
  }

  siteConnections(rdid: string): ReadonlyMap<string, SiteConnectionState> {
    return this.#tunnels.states(rdid);
  }

  siteConnection(rdid: string, name: string): Promise<SiteConnectionLive | undefined> {
    return this.#tunnels.live(rdid, name);
  }

  bgp(rdid: string): BgpState | undefined {
    return this.#bgp.state(rdid);
  }

  bgpRoutes(rdid: string): AsyncIterable<BgpRoute[]> | undefined {
    return this.#bgp.routes(rdid);
  }

  uplinkBgp(): BgpState | undefined {
    return this.#uplinkBgp?.state();
  }

  learningCounts(): undefined {
    return undefined;
  }

  warnings(): string[] {
    return [...(this.#natLog?.warnings() ?? [])];
  }

  async close(): Promise<void> {
    // Contexts go on, tunnels and BGP sessions.
    this.#tunnels.close();
    this.#bgp.close();
    this.#uplinkBgp?.close();
    await this.#natLog?.close();
  }
}
