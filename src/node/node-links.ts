/**
 * The node's own interfaces: which of them carry provider addresses, and which lead outside (uplinks.ts). Owns the maps
 * `providers` and `vlans`, the programs on those interfaces, the links of provider addresses that have one of their own, the provider
 * routes and the multicast groups of provider links; says between which the fast path is (fast-links.ts). Interfaces themselves are
 * the operator's and are not changed.
 */
import type { EncapCore } from '../encap/core.ts';
import { HnvError } from '../errors.ts';
import { ip, ipBatch } from '../linux/iproute2.ts';
import { linkName } from '../linux/links.ts';
import type { ProviderAddress, ProviderRoute } from '../policy/resources.ts';
import type { FastLinks } from './fast-links.ts';
import { type Interface, readInterfaces } from './interfaces.ts';
import { joinCommands } from './multicast-joins.ts';
import { inspectLinks, type LinkFindings } from './node-links-inspection.ts';
import {
  type Absence,
  type Carrier,
  carrierOf,
  isAbsence,
  mtuWarnings,
  type ProviderPlace,
} from './provider-carriers.ts';
import type { GroupMembership } from './provider-groups.ts';
import { applyOwnLink, type OwnLink, orphanLinks, ownLink } from './provider-links.ts';
import { applyRoutes, type Route, wantedRoutes } from './provider-routes.ts';
import { ProviderTables } from './provider-tables.ts';
import { Uplinks } from './uplinks.ts';

/** What of the encap core is used here. */
export type LinkCore = Pick<EncapCore, 'map' | 'attach' | 'detach' | 'detachTag' | 'isAttached'>;

export class NodeLinks {
  /** Interfaces to the outside. */
  readonly uplinks: Uplinks;
  readonly #core: LinkCore;
  readonly #fast: Pick<FastLinks, 'set' | 'inspect' | 'warnings'>;
  readonly #tables: ProviderTables;
  readonly #instance: string;
  /** Links of the node's own, by provider address. */
  #ownLinks: ReadonlyMap<string, OwnLink> = new Map();
  /** By id of the provider route. */
  #routes: ReadonlyMap<string, Route> = new Map();
  /** By provider address. */
  #carriers = new Map<string, Carrier | Absence>();
  /** By id of the provider route. */
  #routeFailures = new Map<string, string>();
  #groups: readonly GroupMembership[] = [];
  /** Whether the groups are known: until then those of an earlier process stay. */
  #hasGroups = false;
  /** Those that the links are members of; none while that changes. */
  #members: readonly GroupMembership[] = [];
  /** Groups of the map `providers`, with their interfaces. */
  #joined: ReadonlyMap<string, number> = new Map();
  #attached = new Set<number>();
  /** Whether attach() was called. */
  #isAttached = false;
  /** Names of interfaces that had something of ours in this process's time. */
  readonly #touched = new Set<string>();

  /** @param uplinks names, the uplink first; none in a role that has none. */
  constructor(
    core: LinkCore,
    instance: string,
    fast: Pick<FastLinks, 'set' | 'inspect' | 'warnings'>,
    uplinks: readonly string[] = [],
  ) {
    this.#core = core;
    this.#fast = fast;
    this.#tables = new ProviderTables((name) => core.map(name));
    this.#instance = instance;
    this.uplinks = new Uplinks(core, instance, uplinks);
  }

  /**
   * Makes links, addresses, the maps and the routes those of the given resources: the map `providers` has the addresses
   * that really are on their interfaces. What fails is told by providerFailure() and routeFailure(). Throws only when
   * the machine's state cannot be read or written at all.
   */
  async applyProviders(
    addresses: ReadonlyMap<string, ProviderAddress>,
    routes: ReadonlyMap<string, ProviderRoute>,
  ): Promise<void> {
    this.#rememberAttached();
    const before = await readInterfaces();
    const links = new Map<string, OwnLink>();
    for (const [address, value] of addresses) {
      const link = ownLink(this.#instance, address, value);
      if (link !== undefined) links.set(address, link);
    }
    const failures = await this.#applyOwnLinks(links, before);
    const interfaces = links.size === 0 ? before : await readInterfaces();
    this.#carriers = new Map(
      [...addresses].map(([address, value]) => {
        const reason = failures.get(address);
        const found: Carrier | Absence =
          reason === undefined
            ? carrierOf(address, links.get(address)?.name ?? value.interface, value, interfaces, this.uplinks)
            : { reason, isPassing: false };
        return [address, found];
      }),
    );
    this.#tables.setAddresses(
      new Map(
        [...this.#carriers].flatMap(([address, found]) =>
          isAbsence(found) ? [] : [[address, found.place.ifindex]],
        ),
      ),
    );
    await this.#removeOrphans(links, interfaces);
    const routesWanted = wantedRoutes(this.#instance, routes, addresses);
    for (const { link } of routesWanted.values()) this.#touched.add(link);
    for (const carrier of this.#carriers.values()) if (!isAbsence(carrier)) this.#touched.add(carrier.name);
    this.#routeFailures = await applyRoutes(routesWanted, this.#touched);
    this.uplinks.read();
    await this.uplinks.promiscuous.mend();
    [this.#ownLinks, this.#routes] = [links, routesWanted];
    if (this.#hasGroups) await this.#join();
  }

  /** Compares what there is with what applyProviders(), applyGroups() and attach() have made. Quick; changes nothing. */
  inspect(): LinkFindings {
    return inspectLinks(this.#core, this.#tables, {
      ...{ carriers: this.#carriers, ownLinks: this.#ownLinks, routes: this.#routes },
      ...{ routeFailures: this.#routeFailures, members: this.#members, joined: this.#joined },
      ...{ touched: this.#touched, isAttached: this.#isAttached },
      ...{ uplinks: this.uplinks, fast: this.#fast },
    });
  }

  /**
   * Makes the provider links members of these groups and of no others. Throws HNV_NETNS when a provider address has no
   * place, after all others have joined.
   */
  async applyGroups(groups: readonly GroupMembership[]): Promise<void> {
    this.#groups = groups;
    this.#hasGroups = true;
    await this.#join();
    for (const { providerAddress } of groups) this.providerPlace(providerAddress);
  }

  /** Puts the programs on uplink and provider interfaces, and takes them off interfaces that are none any more. */
  attach(): void {
    const wanted = new Map<number, 'provider' | 'vlan'>();
    for (const carrier of this.#carriers.values())
      if (!isAbsence(carrier)) for (const [ifindex, place] of carrier.inbound) wanted.set(ifindex, place);
    this.uplinks.attach();
    for (const [ifindex, place] of wanted) this.#core.attach(place, ifindex);
    for (const ifindex of this.#attached) {
      const name = linkName(ifindex);
      const isOurs = wanted.has(ifindex) || (name !== undefined && this.uplinks.has(name));
      if (!isOurs && name !== undefined) this.#core.detach(ifindex);
    }
    this.#attached = new Set(wanted.keys());
    this.#fast.set([...this.#plainNics(), ...this.uplinks.ifindexes]);
    this.#isAttached = true;
  }

  /** Interfaces of the operator's that provider addresses are on: not the links of the node's own. */
  #plainNics(): number[] {
    return [...this.#carriers].flatMap(([address, found]) =>
      isAbsence(found) || this.#ownLinks.has(address) ? [] : found.place.ifindex,
    );
  }

  /** The place of a provider address; throws HNV_NETNS with the reason when it has none. */
  providerPlace(address: string): ProviderPlace {
    const found = this.#carriers.get(address);
    if (found === undefined)
      throw new HnvError('HNV_NETNS', `${address} is not a provider address of this node.`);
    if (isAbsence(found)) throw new HnvError('HNV_NETNS', found.reason);
    return found.place;
  }

  /** Throws HNV_NETNS when a provider address has no place or a route is not there, so that the caller tries again. */
  requireProviders(): void {
    for (const address of this.#carriers.keys()) this.providerPlace(address);
    for (const [id, reason] of this.#routeFailures)
      throw new HnvError('HNV_NETNS', `Provider route ${id}: ${reason}`);
  }

  /** Whether the address was found on its interface. */
  hasProvider(address: string): boolean {
    const found = this.#carriers.get(address);
    return found !== undefined && !isAbsence(found);
  }

  /** Why a provider address cannot be used; undefined when it can, or will without anybody's help. */
  providerFailure(address: string): string | undefined {
    const found = this.#carriers.get(address);
    return isAbsence(found) && !found.isPassing ? found.reason : undefined;
  }

  /** Why a provider route is not there; undefined when it is. */
  routeFailure(id: string): string | undefined {
    return this.#routeFailures.get(id);
  }

  /** A sentence for each provider address behind which VMs cannot have the usual MTU, and each NIC that is not as configured. */
  warnings(): string[] {
    return [...mtuWarnings(this.#carriers), ...this.#fast.warnings()];
  }

  /** The reasons of those that could not be made, by address. */
  async #applyOwnLinks(
    links: ReadonlyMap<string, OwnLink>,
    interfaces: ReadonlyMap<string, Interface>,
  ): Promise<Map<string, string>> {
    const failures = new Map<string, string>();
    for (const [address, link] of links) {
      try {
        this.#requireNotUplink(link.parent);
        await applyOwnLink(link, interfaces, ({ vlanId }, ifindex, parentIfindex) => {
          if (vlanId === undefined) {
            // The link may have had a tag before.
            this.#core.detachTag(ifindex);
            return;
          }
          this.#tables.addTag({ ifindex, parentIfindex, vlanId });
          this.#core.attach('tag', ifindex);
        });
      } catch (error) {
        if (!(error instanceof HnvError)) throw error;
        failures.set(address, error.message);
      }
    }
    return failures;
  }

  #requireNotUplink(name: string): void {
    if (this.uplinks.has(name))
      throw new HnvError(
        'HNV_NETNS',
        `${name} is an uplink; provider and uplink programs cannot share an interface.`,
      );
  }

  /** Interfaces of the map are ones that an earlier process may have attached programs to. */
  #rememberAttached(): void {
    for (const ifindex of this.#tables.interfaces()) this.#remember(ifindex);
  }

  #remember(ifindex: number): void {
    this.#attached.add(ifindex);
    const name = linkName(ifindex);
    if (name !== undefined) this.#touched.add(name);
  }

  /** Ends links that no provider address asks for any more, and the tags that no link has any more. */
  async #removeOrphans(
    links: ReadonlyMap<string, OwnLink>,
    interfaces: ReadonlyMap<string, Interface>,
  ): Promise<void> {
    const wanted = new Map([...links.values()].map(({ name, parent }) => [name, parent]));
    for (const { name, parent = '' } of orphanLinks(this.#instance, wanted, interfaces)) {
      const below = interfaces.get(parent);
      if (below !== undefined) this.#remember(below.ifindex);
      await ip(['link', 'delete', 'dev', name]);
    }
    this.#tables.keepTags(
      [...links.values()].flatMap(({ name, parent, vlanId }) => {
        const [link, below] = [interfaces.get(name), interfaces.get(parent)];
        if (vlanId === undefined || link === undefined || below === undefined) return [];
        return { ifindex: link.ifindex, parentIfindex: below.ifindex, vlanId };
      }),
    );
  }

  async #join(): Promise<void> {
    const wanted = new Map<string, Set<string>>();
    const entries = new Map<string, number>();
    for (const { group, providerAddress } of this.#groups) {
      const carrier = this.#carriers.get(providerAddress);
      if (carrier === undefined || isAbsence(carrier)) continue;
      wanted.set(carrier.name, (wanted.get(carrier.name) ?? new Set()).add(group));
      entries.set(group, carrier.place.ifindex);
      this.#touched.add(carrier.name);
    }
    this.#rememberAttached();
    this.#members = [];
    const groups = this.#groups;
    const commands = joinCommands(wanted, await readInterfaces(), this.#touched);
    await ipBatch(commands);
    this.#members = groups;
    this.#tables.setGroups(entries);
    this.#joined = entries;
  }
}
