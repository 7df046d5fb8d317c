/**
 * Two tenants on the real gateway that have everything in common inside, and on-premises sites of theirs that do, too: the same
 * prefixes, the same addresses. Only external addresses and keys tell them apart.
 */
import type { SiteConnectionLive } from '../../src/api/operations.ts';
import { contextNames } from '../../src/gateway/names.ts';
import { Capture } from './capture.ts';
import { UPLINK_NIC } from './gateway-node.ts';
import { processesIn } from './gateway-remains.ts';
import type { Lab } from './lab.ts';
import { buildManyDomains, type Ipv6Prefixes, type ManyDomains } from './many-domains.ts';
import { Site, type SiteSpec } from './site.ts';
import type { SiteTunnel } from './site-config.ts';
import { GATEWAY_CUSTOMER_ADDRESS, type Tenant } from './topology.ts';
import { until } from './until.ts';
import type { Vm } from './vm.ts';

/** Behind every site, unless told otherwise. */
export const SITE_SUBNET = '192.168.50.0/24';
/** The VMs'. */
export const VM_SUBNET = '10.1.1.0/24';
/** What is inside of a tunnel, or of a tenant: nothing of it may be seen outside. */
const INSIDE = ['192.168.0.0/16', '10.0.0.0/8', 'fd00::/8'];

/** Body of `PUT …/site-connections/{name}`. */
export interface ConnectionBody {
  destination: string | string[];
  authentication: Record<string, string>;
  subnets: { prefix: string; metric?: number }[];
  [property: string]: unknown;
}

export class SiteDomain {
  readonly tenant: Pick<Tenant, 'name' | 'rdid'>;
  readonly vms: Vm[];
  readonly #gateway: ManyDomains['gateway'];

  constructor(gateway: ManyDomains['gateway'], tenant: SiteDomain['tenant'], vms: Vm[]) {
    this.#gateway = gateway;
    this.tenant = tenant;
    this.vms = vms;
  }

  /** Path of the domain in the API. */
  get base(): string {
    return `/v1/routing-domains/${this.tenant.rdid}`;
  }

  /** Namespace of the routing context. */
  get netns(): string {
    return contextNames(this.#gateway.instance, this.tenant.rdid).netns;
  }

  /** Process id of the IKE daemon in the context; undefined when there is none. */
  async daemonPid(): Promise<number | undefined> {
    const [pid, ...others] = await processesIn(this.netns);
    if (others.length > 0) throw new Error(`${this.tenant.name} has more than one IKE daemon`);
    return pid;
  }

  /** The first VM. */
  get vm(): Vm {
    const [vm] = this.vms;
    if (vm === undefined) throw new Error(`${this.tenant.name} has no VM`);
    return vm;
  }

  async putNat(...externalAddresses: (string | object)[]): Promise<void> {
    const all = externalAddresses.map((one) => (typeof one === 'string' ? { ipAddress: one } : one));
    await this.#gateway.api.put(`${this.base}/nat?wait=10s`, { externalAddresses: all });
  }

  async putConnection(name: string, body: ConnectionBody): Promise<void> {
    await this.#gateway.api.put(`${this.base}/site-connections/${name}?wait=10s`, body);
  }

  async patchConnection(name: string, changes: object): Promise<void> {
    await this.#gateway.api.patch(`${this.base}/site-connections/${name}?wait=10s`, changes);
  }

  async deleteConnection(name: string): Promise<void> {
    await this.#gateway.api.delete(`${this.base}/site-connections/${name}?wait=10s`);
  }

  /** State and SAs. */
  async live(name: string): Promise<SiteConnectionLive> {
    return (await this.#gateway.api.get(`${this.base}/site-connections/${name}/sas`)) as SiteConnectionLive;
  }

  /** Waits until the connection's state is this one, and what is told with it passes. */
  async reaches(
    name: string,
    state: SiteConnectionLive['state'],
    passes: (live: SiteConnectionLive) => boolean = () => true,
    timeoutMs = 10_000,
  ): Promise<SiteConnectionLive> {
    let last: SiteConnectionLive | undefined;
    const what = `${this.tenant.name}'s connection ${name} is ${state}`;
    return until(what, timeoutMs, async () => {
      last = await this.live(name);
      return last.state === state && passes(last) && last;
    }).catch((error: unknown) => {
      throw new Error(`${what}: no, ${JSON.stringify(last)}`, { cause: error });
    });
  }
}

export interface SiteDomains {
  gateway: ManyDomains['gateway'];
  internet: ManyDomains['internet'];
  domains: [SiteDomain, SiteDomain];
}

/** The gateway knows both tenants; they have no NAT yet, and no sites. Their VMs have been at the gateway. */
export async function buildSiteDomains(lab: Lab, prefixes?: Ipv6Prefixes): Promise<SiteDomains> {
  const { gateway, internet, domains } = await buildManyDomains(lab, 2, prefixes);
  await reachGateway(domains.flatMap(({ vms }) => vms));
  const [first, second] = domains.map(({ tenant, vms }) => new SiteDomain(gateway, tenant, vms));
  if (first === undefined || second === undefined) throw new Error('there are no two tenants');
  return { gateway, internet, domains: [first, second] };
}

/** Has VMs at the gateway once: Open vSwitch keeps no packet while it asks for a neighbour. */
export async function reachGateway(vms: readonly Vm[]): Promise<void> {
  await Promise.all(
    vms.map((vm) =>
      until(`${vm.name} reaches the gateway`, 10_000, async () => {
        return (await vm.ping(GATEWAY_CUSTOMER_ADDRESS, 1)).received === 1;
      }),
    ),
  );
}

/** A site on the lab's internet, which has SITE_SUBNET and sends VM_SUBNET through tunnels alone, unless told otherwise. */
export function addSite(
  { internet }: Pick<SiteDomains, 'internet'>,
  spec: Pick<SiteSpec, 'name' | 'addresses'> & Partial<SiteSpec>,
): Promise<Site> {
  const { namespace } = internet;
  return Site.create(namespace.lab, namespace, {
    ...{ subnets: [SITE_SUBNET], remotePrefixes: [VM_SUBNET], ...spec },
  });
}

/** The gateway's side of a tunnel to a site, with a pre-shared key. */
export function connectionTo(site: Site, key: string, more: Partial<ConnectionBody> = {}): ConnectionBody {
  return {
    destination: site.address,
    authentication: { method: 'psk', preSharedKey: key, remoteId: site.spec.name },
    subnets: site.spec.subnets.map((prefix) => ({ prefix })),
    ...more,
  };
}

/**
 * The site's side of it. Without a group in its proposals, which strongSwan has none by default, the first ESP SA would be made,
 * and no other after it: that one's keys are of the IKE SA (RFC 7296 section 1.2).
 */
export function tunnelTo(
  gatewayAddress: string,
  site: Site,
  key: string,
  more: Partial<SiteTunnel> = {},
): SiteTunnel {
  return {
    ...{
      name: 'cloud',
      key,
      localId: site.spec.name,
      remoteAddress: gatewayAddress,
      remoteId: gatewayAddress,
    },
    ...{ local: site.spec.subnets, remote: site.spec.remotePrefixes },
    espProposals: 'aes256gcm16-ecp384',
    ...more,
  };
}

/** Records the uplink while `work` goes on. Answers the capture, and packets in it that show something of the inside. */
export async function whileCapturing(
  { gateway }: Pick<SiteDomains, 'gateway'>,
  work: () => Promise<unknown>,
): Promise<{ capture: Capture; inTheClear: string[][] }> {
  const capture = await Capture.start(gateway.namespace, UPLINK_NIC);
  await work();
  await capture.stop();
  const addresses = INSIDE.map((prefix) => `${prefix.includes(':') ? 'ipv6' : 'ip'}.addr == ${prefix}`);
  const inTheClear = await capture.decode(addresses.join(' || '), ['frame.protocols', '_ws.col.Info']);
  return { capture, inTheClear };
}
