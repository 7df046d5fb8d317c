/** The gateway role: a routing context for each routing domain that has a gateway here. */
import type { GatewayConfig } from '../config/config.ts';
import type { ContextAttachment, DomainAttachments } from '../encap/entries.ts';
import { HnvError } from '../errors.ts';
import { netnsExists } from '../linux/netns.ts';
import { contextDrops } from '../nat/context-drops.ts';
import type { Finding } from '../node/drift.ts';
import { type NodeParts, runNode } from '../node/node.ts';
import { innerMtu } from '../node/provider-carriers.ts';
import type { Trouble } from '../node/reconciler.ts';
import type { PortTrouble, Role } from '../node/role.ts';
import { addressFamily } from '../policy/address.ts';
import { compileDomain } from '../policy/compile.ts';
import type { ContextPlan, DomainPlan } from '../policy/plan.ts';
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
    const { uplinkAddresses } = this.#parts.links;
    return compileDomain(domain, {
      ...{ providerAddresses: state.providerAddresses, uplinkAddresses, ...NO_PORTS },
    });
  }

  async attach(
    plan: DomainPlan,
    fillTables: (attachments: DomainAttachments) => void,
    troubles: Trouble[],
  ): Promise<DomainAttachments> {
    if (plan.withheld !== undefined)
      troubles.push({ kind: 'nat', error: new HnvError('HNV_CONFLICT', plan.withheld.join(' ')) });
    if (plan.context === undefined) return { ports: WITHOUT_PORTS };
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
      attachment = { ...joined, tunnel, uplinkIfindex: uplink.ifindex, mtu };
      // A context that was there is in use: its tables stand before a program of a new generation looks into them.
      if (!isNew) join(attachment);
      core.attach('port', joined.tenantIfindex);
      core.attach('context', joined.externalIfindex);
    });
    // Without a policy the ruleset lets nothing through, and is the gateway's.
    if (natFailure !== undefined)
      troubles.push({ kind: nat === undefined ? 'gateway' : 'nat', error: natFailure });
    else if (attachment !== undefined) this.#applied.set(rdid, { request: text, attachment });
    return attachment;
  }

  async settle(
    { rdid, context, nat }: DomainPlan,
    _attachments: DomainAttachments,
    troubles: Trouble[],
  ): Promise<void> {
    try {
      if (context === undefined) await this.remove(rdid);
      else
        await this.#solicited.set(
          rdid,
          nat?.externalAddresses.map(({ address }) => address).filter(isIpv6) ?? [],
        );
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
    ];
  }

  forget(rdid: string): void {
    this.#applied.delete(rdid);
    this.#contexts.forget(rdid);
  }

  inspectNode(): Finding[] {
    return this.#solicited.inspect().map(({ rdid, text }) => ({
      ...(rdid === undefined ? {} : { rdid, kind: 'nat' as const }),
      text,
    }));
  }

  async mendNode(): Promise<void> {
    await this.#solicited.restore();
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

  contextDrops(rdid: string): number {
    const { netns } = this.#contexts.names(rdid);
    return netnsExists(netns) ? contextDrops(netns) : 0;
  }

  learningCounts(): undefined {
    return undefined;
  }

  warnings(): string[] {
    return [];
  }

  async close(): Promise<void> {
    // Contexts go on.
  }
}
