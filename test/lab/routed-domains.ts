/**
 * Tenants on the real gateway that have everything in common inside, and are forwarded without NAT to corporate networks that
 * have, too: only VLANs tell them apart.
 */
import type { BgpPeerState, BgpRoute, BgpState } from '../../src/api/operations.ts';
import { familyOf } from './address.ts';
import { CorporateNetwork, CorporateSwitch } from './corporate-network.ts';
import { startEcho } from './echo.ts';
import { processesIn } from './gateway-remains.ts';
import type { Lab } from './lab.ts';
import { buildManyDomains, type Ipv6Prefixes, type ManyDomains } from './many-domains.ts';
import { reachGateway, SiteDomain } from './site-domains.ts';
import type { Tenant } from './topology.ts';
import { until } from './until.ts';
import type { Vm } from './vm.ts';

/** What both ends of a VLAN have there, whichever it is: the gateway's domain and the corporate router. */
export const LINK = { domain: '172.31.0.254', router: '172.31.0.1', length: 24 } as const;
export const LINK6 = { domain: 'fd00:c::fe', router: 'fd00:c::1', length: 64 } as const;
/** Behind every corporate router. */
export const CORPORATE_SUBNET = '172.16.0.0/24';
export const CORPORATE_SUBNET6 = 'fd00:cc::/64';
/** Of the VMs, where they have IPv6. */
export const VM_SUBNET6 = 'fd00:1::/64';
/** What a corporate host serves (TCP). */
export const FILES_PORT = 445;

/** The endpoint of a corporate host's files. */
export const filesAt = (address: string): string =>
  `tcp:${familyOf(address) === 6 ? `[${address}]` : address}:${FILES_PORT}`;

/** Body of `PUT …/bgp`. */
export interface BgpBody {
  asn: number;
  peers: { name: string; address: string; asn: number; [property: string]: unknown }[];
  [property: string]: unknown;
}

/** A domain whose resources of forwarding and BGP are written and looked at. */
export class RoutedDomain extends SiteDomain {
  readonly #api: ManyDomains['gateway']['api'];

  constructor(gateway: ManyDomains['gateway'], tenant: Pick<Tenant, 'name' | 'rdid'>, vms: Vm[]) {
    super(gateway, tenant, vms);
    this.#api = gateway.api;
  }

  /** Resolves when packets pass. */
  async putForwarding(body: object): Promise<void> {
    await this.#api.put(`${this.base}/forwarding?wait=10s`, body);
  }

  async putBgp(body: BgpBody): Promise<void> {
    await this.#api.put(`${this.base}/bgp?wait=10s`, body);
  }

  async patchBgp(changes: object): Promise<void> {
    await this.#api.patch(`${this.base}/bgp?wait=10s`, changes);
  }

  async delete(what: 'forwarding' | 'bgp' | 'nat'): Promise<void> {
    await this.#api.delete(`${this.base}/${what}?wait=10s`);
  }

  async bgp(): Promise<BgpState> {
    return (await this.#api.get(`${this.base}/bgp/peers`)) as BgpState;
  }

  /** All routes that BGP knows, page after page. */
  async routes(): Promise<BgpRoute[]> {
    const routes: BgpRoute[] = [];
    for (let path = `${this.base}/bgp/routes?limit=1000`; path !== ''; ) {
      const page = (await this.#api.get(path)) as { items: BgpRoute[]; next?: string };
      routes.push(...page.items);
      path =
        page.next === undefined
          ? ''
          : `${this.base}/bgp/routes?limit=1000&cursor=${encodeURIComponent(page.next)}`;
    }
    return routes;
  }

  /** Prefixes that a peer has told and the kernel has. */
  async learned(): Promise<string[]> {
    return (await this.routes()).filter((route) => route.peer && route.installed).map(({ prefix }) => prefix);
  }

  /** Waits until just these prefixes are learned, and in the kernel. */
  async learns(prefixes: readonly string[], timeoutMs = 15_000): Promise<void> {
    let last: string[] = [];
    const what = `${this.tenant.name} has learned ${prefixes.join(' ')}`;
    await until(what, timeoutMs, async () => {
      last = await this.learned();
      return last.toSorted().join(' ') === prefixes.toSorted().join(' ');
    }).catch(async (error: unknown) => {
      const state = JSON.stringify(await this.bgp());
      throw new Error(`${what}: no, ${last.slice(0, 20).join(' ')}; ${state}`, { cause: error });
    });
  }

  /** Waits until a peer is as wanted. */
  async peerIs(
    name: string,
    isWanted: (peer: BgpPeerState) => boolean,
    timeoutMs = 15_000,
  ): Promise<BgpPeerState> {
    let last: BgpPeerState | undefined;
    const what = `${this.tenant.name}'s peer ${name} is as wanted`;
    return until(what, timeoutMs, async () => {
      last = (await this.bgp()).peers.find((peer) => peer.name === name);
      return last !== undefined && isWanted(last) && last;
    }).catch((error: unknown) => {
      throw new Error(`${what}: no, ${JSON.stringify(last)}`, { cause: error });
    });
  }

  async peerIsUp(name = 'corporate'): Promise<BgpPeerState> {
    return this.peerIs(name, ({ state }) => state === 'Established');
  }

  /** Process ids in the context: FRR's daemons, when there is no tunnel. */
  pids(): Promise<number[]> {
    return processesIn(this.netns);
  }
}

export interface RoutedDomains {
  gateway: ManyDomains['gateway'];
  internet: ManyDomains['internet'];
  corporate: CorporateSwitch;
  domains: RoutedDomain[];
}

/** The gateway knows `count` tenants; they have neither NAT nor forwarding yet. Their VMs have been at the gateway. */
export async function buildRoutedDomains(
  lab: Lab,
  count: number,
  prefixes?: Ipv6Prefixes,
): Promise<RoutedDomains> {
  const { gateway, internet, domains } = await buildManyDomains(lab, count, prefixes);
  await reachGateway(domains.flatMap(({ vms }) => vms));
  const corporate = await CorporateSwitch.create(internet.namespace, gateway.namespace);
  return {
    gateway,
    internet,
    corporate,
    domains: domains.map(({ tenant, vms }) => new RoutedDomain(gateway, tenant, vms)),
  };
}

/** A corporate network on a VLAN, alike on all of them, whose host serves files under its own name. */
export async function addCorporate(
  at: CorporateSwitch,
  name: string,
  vlanId: number,
  router: { ipv4: string; ipv6?: string } = { ipv4: LINK.router },
): Promise<CorporateNetwork> {
  const { ipv4, ipv6 } = router;
  const network = await CorporateNetwork.create(at, {
    ...{ name, vlanId },
    addresses: [`${ipv4}/${LINK.length}`, ...(ipv6 === undefined ? [] : [`${ipv6}/${LINK6.length}`])],
    subnets: [CORPORATE_SUBNET, ...(ipv6 === undefined ? [] : [CORPORATE_SUBNET6])],
  });
  const endpoints = network.spec.subnets.map((prefix) => filesAt(network.hostAddress(prefix)));
  await startEcho(network.host, name, endpoints);
  return network;
}
