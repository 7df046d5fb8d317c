/** The host role: VMs of this machine in the virtual subnets that their ports name. */
import type { LearningCounts, SiteConnectionState } from '../api/operations.ts';
import type { HostConfig } from '../config/config.ts';
import type { DomainAttachments } from '../encap/entries.ts';
import { LearnedAddresses } from '../encap/learned-addresses.ts';
import type { Finding } from '../node/drift.ts';
import { type NodeParts, runNode } from '../node/node.ts';
import type { PortTrouble, Role } from '../node/role.ts';
import { compileDomain } from '../policy/compile.ts';
import type { DomainPlan } from '../policy/plan.ts';
import type { DesiredState, DomainState } from '../policy/state.ts';
import { Announcements } from './announcements.ts';
import { Learning } from './learning.ts';
import { HostPorts } from './ports.ts';
import { Publisher } from './publisher.ts';

/** Runs a host node until it is told to stop. Throws HnvError when it cannot start. */
export function runHost(config: HostConfig): Promise<void> {
  return runNode(config, {
    name: 'host',
    watchesAllLinks: true,
    // It makes no tunnels, and forwards nothing outside: which algorithms and interfaces are right is the gateways' to say.
    settings: { uplinks: [], allowsWeakAlgorithms: true },
    create: (parts) => new HostRole(parts, config.learning),
  });
}

class HostRole implements Role {
  readonly name = 'host';
  readonly #parts: NodeParts;
  readonly #ports: HostPorts;
  readonly #announcements: Announcements;
  readonly #publisher: Publisher;
  readonly #learning: Learning;
  readonly #learned: LearnedAddresses;

  constructor(parts: NodeParts, learning: HostConfig['learning']) {
    const { core, store, log } = parts;
    this.#parts = parts;
    this.#ports = new HostPorts({ ...parts, state: store.state });
    this.#announcements = new Announcements((ifindex, frame) => this.#send(ifindex, frame));
    this.#publisher = new Publisher(store, log, learning);
    this.#learning = new Learning({
      ...{ store, log, addressesPerPort: learning.addressesPerPort, ageSeconds: learning.ageSeconds },
      portOf: (event) => this.#ports.portOf(event),
      send: (name, frame) => {
        const port = this.#ports.joined(name);
        if (port !== undefined) this.#send(port.ifindex, frame);
      },
      lastSeen: (domain, address) => this.#learned.lastSeen(domain, address),
      onChange: (record) => this.#publisher.publish(record),
    });
    this.#learned = new LearnedAddresses(core.map('learned'), core.map('sightings'), (events) =>
      this.#learning.take(events),
    );
    for (const record of this.#learning.own()) this.#publisher.remind(record);
  }

  compile(domain: DomainState, state: DesiredState): DomainPlan {
    const { gateway, nat, forwarding, bgp, ...rest } = domain;
    const plan = compileDomain(rest, state);
    // What ports wait for is said of each port.
    plan.pending = [];
    if (gateway !== undefined)
      plan.pending.push('This node is a host: gateways are for nodes that run as gateways.');
    if (nat !== undefined) plan.pending.push('This node is a host: NAT is for nodes that run as gateways.');
    if (forwarding !== undefined)
      plan.pending.push('This node is a host: forwarding is for nodes that run as gateways.');
    if (bgp !== undefined) plan.pending.push('This node is a host: BGP is for nodes that run as gateways.');
    if (domain.siteConnections.size > 0)
      plan.pending.push('This node is a host: site connections are for nodes that run as gateways.');
    return plan;
  }

  async attach(plan: DomainPlan): Promise<DomainAttachments> {
    return { ports: this.#ports.find(plan) };
  }

  async settle(plan: DomainPlan, attachments: DomainAttachments): Promise<void> {
    this.#ports.attach(plan);
    this.#announcements.apply(plan, attachments);
    this.#learning.forgetPortless(plan.rdid);
  }

  fastDomain(): undefined {
    // There is no connection tracking between ports and tunnels to tell what a flow is.
    return undefined;
  }

  inspect(rdid: string): Finding[] {
    return this.#ports.inspect(rdid).map((found) => ({ rdid, kind: 'port', ...found }));
  }

  forget(): void {
    // Ports are looked at each time.
  }

  inspectNode(): Finding[] {
    return [];
  }

  async mendNode(): Promise<void> {
    // Everything of a host belongs to a domain.
  }

  async remove(rdid: string): Promise<void> {
    this.#ports.forget(rdid);
    this.#announcements.forget(rdid);
  }

  async removeOrphans(): Promise<void> {
    this.#ports.detachInherited();
  }

  applyNode(): void {
    this.#ports.detachGone();
  }

  linksChanged(names: ReadonlySet<string>): void {
    const { ports, vsidOwners } = this.#parts.store.state;
    const domains = new Set<string>();
    for (const name of names) {
      const rdid = vsidOwners.get(ports.get(name)?.virtualSubnetId ?? 0);
      if (rdid !== undefined) domains.add(rdid);
    }
    for (const rdid of domains) this.#parts.again(rdid);
  }

  portTrouble(name: string): PortTrouble | undefined {
    return this.#ports.trouble(name);
  }

  contextDrops(): number {
    return 0;
  }

  natUse(): undefined {
    return undefined;
  }

  natSessions(): undefined {
    return undefined;
  }

  siteConnections(): ReadonlyMap<string, SiteConnectionState> {
    return new Map();
  }

  async siteConnection(): Promise<undefined> {
    return undefined;
  }

  bgp(): undefined {
    return undefined;
  }

  bgpRoutes(): undefined {
    return undefined;
  }

  uplinkBgp(): undefined {
    return undefined;
  }

  learningCounts(): LearningCounts {
    return this.#learning.counts;
  }

  warnings(): string[] {
    return this.#publisher.unreachable.map((peer) => `What is learned here does not reach ${peer}.`);
  }

  async close(): Promise<void> {
    this.#ports.close();
    this.#learning.close();
    await this.#learned.close();
    await this.#publisher.close();
  }

  /** What cannot be sent (an interface that is down) is lost: nobody is there. */
  #send(ifindex: number, frame: Uint8Array): void {
    try {
      this.#parts.core.sendFrame(ifindex, frame);
    } catch (error) {
      this.#parts.log.debug({ err: error, ifindex }, 'cannot send to a VM');
    }
  }
}
