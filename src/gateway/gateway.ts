/** The gateway role: a routing context for each routing domain that has a gateway here. */
import type { GatewayConfig } from '../config/config.ts';
import type { ContextAttachment, DomainAttachments } from '../encap/entries.ts';
import { type NodeParts, runNode } from '../node/node.ts';
import { innerMtu } from '../node/node-links.ts';
import type { PortTrouble, Role } from '../node/role.ts';
import { addressFamily } from '../policy/address.ts';
import { compileDomain } from '../policy/compile.ts';
import type { DomainPlan } from '../policy/plan.ts';
import type { DesiredState, DomainState } from '../policy/state.ts';
import { Contexts } from './contexts.ts';
import { SolicitedGroups } from './solicited-groups.ts';

/** Runs a gateway node until it is told to stop. Throws HnvError when it cannot start. */
export function runGateway(config: GatewayConfig): Promise<void> {
  return runNode(config, {
    name: 'gateway',
    uplink: config.uplink.interface,
    watchesAllLinks: false,
    create: (parts) => new GatewayRole(parts, config),
  });
}

const isIpv6 = (address: string): boolean => addressFamily(address) === 6;

const NO_PORTS = { ports: new Map(), portsByVsid: new Map() } as const;
const WITHOUT_PORTS: DomainAttachments['ports'] = new Map();

/** A context as it was last applied in this process, to skip reading it when only tables change. */
interface Applied {
  request: string;
  attachment: ContextAttachment;
}

class GatewayRole implements Role {
  readonly name = 'gateway';
  readonly #parts: NodeParts;
  readonly #contexts: Contexts;
  readonly #uplinkName: string;
  readonly #solicited: SolicitedGroups;
  readonly #applied = new Map<string, Applied>();

  constructor(parts: NodeParts, config: GatewayConfig) {
    this.#parts = parts;
    this.#contexts = new Contexts(config.instance);
    this.#uplinkName = config.uplink.interface;
    this.#solicited = new SolicitedGroups(this.#uplinkName);
  }

  compile(domain: DomainState, state: DesiredState): DomainPlan {
    return compileDomain(domain, { providerAddresses: state.providerAddresses, ...NO_PORTS });
  }

  async attach(
    plan: DomainPlan,
    fillTables: (attachments: DomainAttachments) => void,
  ): Promise<DomainAttachments> {
    const { rdid, context, nat } = plan;
    if (context === undefined) return { ports: WITHOUT_PORTS };
    const { core, links } = this.#parts;
    const tunnel = links.providerPlace(context.providerAddress);
    const mtu = innerMtu(tunnel, context.providerAddress);
    const { uplink } = links;
    if (uplink === undefined) throw new Error('a gateway has an uplink');
    const request = { rdid, plan: context, nat, mtu: { tenant: mtu, external: uplink.mtu } };
    const text = JSON.stringify({ request, tunnel, uplink });
    const applied = this.#applied.get(rdid);
    if (applied?.request === text) return { context: applied.attachment, ports: WITHOUT_PORTS };
    this.#applied.delete(rdid);
    let attachment: ContextAttachment | undefined;
    await this.#contexts.apply(request, (joined, isNew) => {
      attachment = { ...joined, tunnel, uplinkIfindex: uplink.ifindex, mtu };
      // A context that was there is in use: its tables stand before a program of a new generation looks into them.
      if (!isNew) fillTables({ context: attachment, ports: WITHOUT_PORTS });
      core.attach('port', joined.tenantIfindex);
      core.attach('context', joined.externalIfindex);
    });
    if (attachment === undefined) return { ports: WITHOUT_PORTS };
    this.#applied.set(rdid, { request: text, attachment });
    return { context: attachment, ports: WITHOUT_PORTS };
  }

  async settle({ rdid, context, nat }: DomainPlan): Promise<void> {
    if (context === undefined) await this.remove(rdid);
    else
      await this.#solicited.set(
        rdid,
        nat?.externalAddresses.map(({ address }) => address).filter(isIpv6) ?? [],
      );
  }

  async remove(rdid: string): Promise<void> {
    this.#applied.delete(rdid);
    await this.#solicited.set(rdid, []);
    await this.#contexts.remove(this.#contexts.names(rdid).netns);
  }

  async removeOrphans(state: DesiredState): Promise<void> {
    const names = new Set([...state.domains.keys()].map((rdid) => this.#contexts.names(rdid).netns));
    const orphans = this.#contexts.present().filter((netns) => !names.has(netns));
    await Promise.all(orphans.map((netns) => this.#contexts.remove(netns)));
    await this.#solicited.keepOnly(new Set(state.externalAddressOwners.keys()));
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

  warnings(): string[] {
    return [];
  }

  async close(): Promise<void> {
    // Contexts go on.
  }
}
