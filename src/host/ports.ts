/**
 * VM ports: finds the interfaces that hypervisor and operator have made for VMs, puts the program for ports on them, and
 * takes it off when a port goes. The interfaces stay theirs; only IPv6 of the host itself is turned off on them, so that
 * the host says nothing to the VM.
 *
 * A port with a VSID always has the program, if need be without table entries: its packets are dropped then, and never
 * reach the host's own network.
 */
import type { Logger } from 'pino';
import type { EncapCore } from '../encap/core.ts';
import type { PortAttachment } from '../encap/entries.ts';
import { decodeInterfaceKey } from '../encap/layout.generated.ts';
import type { LearnedAddress } from '../encap/learned-addresses.ts';
import { HnvError } from '../errors.ts';
import { ifindexOf, linkName } from '../linux/links.ts';
import { readSysctl, writeSysctl } from '../linux/sysctl.ts';
import type { LinkDetails, LinkWatch } from '../node/link-watch.ts';
import type { NodeLinks } from '../node/node-links.ts';
import type { PortTrouble } from '../node/role.ts';
import type { DomainPlan, PortPlan } from '../policy/plan.ts';
import type { DesiredState } from '../policy/state.ts';

/** How long after a failure a port is tried again. */
const RETRY_MS = 1_000;

export interface HostPortsParts {
  readonly core: EncapCore;
  readonly links: NodeLinks;
  readonly watch: LinkWatch;
  readonly log: Logger;
  readonly again: (rdid: string) => void;
  readonly state: DesiredState;
}

/** A port that the data plane knows. */
export interface JoinedPort {
  readonly rdid: string;
  /** Of the domain, as the data plane knows it. */
  readonly handle: number;
  readonly ifindex: number;
  readonly plan: PortPlan;
}

export class HostPorts {
  readonly #parts: HostPortsParts;
  /** Interfaces that carried ports when this process began. */
  readonly #inherited: number[];
  /** By ifindex. */
  readonly #joined = new Map<number, JoinedPort>();
  /** Interfaces with the program, by name. */
  readonly #attached = new Map<string, number>();
  readonly #troubles = new Map<string, PortTrouble>();
  /** Why interfaces that are there have no program, by name. */
  readonly #refusals = new Map<string, string>();
  readonly #retries = new Map<string, NodeJS.Timeout>();

  constructor(parts: HostPortsParts) {
    this.#parts = parts;
    const entries = parts.core.map('ports_by_link').entries();
    this.#inherited = entries.map(([key]) => decodeInterfaceKey(key).ifindex);
  }

  /** The domain's ports that have an interface; what the others wait for is in trouble(). */
  find(plan: DomainPlan): Map<string, PortAttachment> {
    this.detachGone();
    this.#forgetDomain(plan.rdid);
    const found = new Map<string, PortAttachment>();
    const planned = new Map(plan.ports.map((port) => [port.interface, port]));
    for (const name of this.#portsOf(plan)) {
      const port = planned.get(name);
      const place = port === undefined ? WAITS_FOR_PROVIDER : this.#place(port);
      if ('reason' in place) {
        this.#troubles.set(name, place);
        continue;
      }
      this.#troubles.delete(name);
      found.set(name, place);
      if (port !== undefined)
        this.#joined.set(place.ifindex, {
          ...{ rdid: plan.rdid, handle: plan.handle, ifindex: place.ifindex },
          plan: port,
        });
    }
    return found;
  }

  /** Puts the program on all ports of the domain whose interface is there, also on those that wait for something else. */
  attach(plan: DomainPlan): void {
    for (const name of this.#portsOf(plan))
      if (!this.#attach(name) && !this.#retries.has(plan.rdid))
        this.#retries.set(
          plan.rdid,
          setTimeout(() => {
            this.#retries.delete(plan.rdid);
            this.#parts.again(plan.rdid);
          }, RETRY_MS),
        );
  }

  /** Takes the program off interfaces that are ports with a VSID no more. */
  detachGone(): void {
    const { ports } = this.#parts.state;
    for (const troubles of [this.#troubles, this.#refusals])
      for (const name of troubles.keys())
        if (ports.get(name)?.virtualSubnetId === undefined) troubles.delete(name);
    for (const [name, ifindex] of this.#attached) {
      const isPort = ports.get(name)?.virtualSubnetId !== undefined;
      if (isPort && ifindexOf(name) === ifindex) continue;
      this.#detach(ifindex);
      this.#attached.delete(name);
    }
  }

  /** Takes the program off interfaces that an earlier process had as ports and the state has not. */
  detachInherited(): void {
    const { ports } = this.#parts.state;
    for (const ifindex of this.#inherited) {
      const name = linkName(ifindex);
      if (name !== undefined && ports.get(name)?.virtualSubnetId === undefined) this.#detach(ifindex);
    }
  }

  /** The domain has gone, and its ports before it. */
  forget(rdid: string): void {
    this.#forgetDomain(rdid);
    clearTimeout(this.#retries.get(rdid));
    this.#retries.delete(rdid);
  }

  /** Ports of the domain that are otherwise than attach() made them, with what they have otherwise. */
  inspect(rdid: string): { id: string; text: string }[] {
    const { core, state, watch } = this.#parts;
    const vsids = state.domains.get(rdid)?.virtualSubnets.keys() ?? [];
    return [...vsids].flatMap((vsid) =>
      [...(state.portsByVsid.get(vsid) ?? [])].flatMap((id) => {
        const ifindex = this.#attached.get(id);
        // What comes and goes is the hypervisor's, and the watch tells of it.
        const link = watch.link(id);
        if (ifindex === undefined || link?.ifindex !== ifindex || !isCurrent(id, link)) return [];
        const found: { id: string; text: string }[] = [];
        if (!core.isAttached('port', ifindex)) found.push({ id, text: `${id}: its program was missing` });
        if (!isSilent(id)) found.push({ id, text: `${id}: IPv6 of the host was on` });
        return found;
      }),
    );
  }

  /** The port of that interface, when it is in the data plane. */
  joined(name: string): JoinedPort | undefined {
    return [...this.#joined.values()].find(({ plan }) => plan.interface === name);
  }

  /** The port that the data plane's event is about; one of DHCP says only whose MAC it was. */
  portOf({ ifindex, domain, vsid, mac }: LearnedAddress): JoinedPort | undefined {
    const isThere = ({ handle, plan }: JoinedPort): boolean => handle === domain && plan.vsid === vsid;
    const named = this.#joined.get(ifindex);
    if (named !== undefined) return isThere(named) ? named : undefined;
    return [...this.#joined.values()].find(
      (port) => isThere(port) && (port.plan.mac === mac || port.plan.learnedMacs.includes(mac)),
    );
  }

  trouble(name: string): PortTrouble | undefined {
    const reason = this.#refusals.get(name);
    return reason === undefined ? this.#troubles.get(name) : { state: 'failed', reason };
  }

  close(): void {
    for (const timer of this.#retries.values()) clearTimeout(timer);
  }

  #portsOf({ subnets }: DomainPlan): string[] {
    return subnets.flatMap(({ vsid }) => [...(this.#parts.state.portsByVsid.get(vsid) ?? [])]);
  }

  #place(port: PortPlan): PortAttachment | PortTrouble {
    const { interface: name, providerAddress } = port;
    const { links, watch } = this.#parts;
    const link = watch.link(name);
    if (link === undefined || !isCurrent(name, link))
      return { state: 'pending', reason: `The port waits for interface ${name}.` };
    try {
      const tunnel = links.providerPlace(providerAddress);
      return { ifindex: link.ifindex, isPeer: link.isPeer, mtu: link.mtu, tunnel };
    } catch (error) {
      if (!(error instanceof HnvError)) throw error;
      return { state: 'failed', reason: error.message };
    }
  }

  /** False when the interface is there and refuses the program. */
  #attach(name: string): boolean {
    const { core, watch, log } = this.#parts;
    const link = watch.link(name);
    if (link === undefined || !isCurrent(name, link)) return true;
    const { ifindex } = link;
    try {
      silenceHost(name);
      if (core.attach('port', ifindex) === 'attached') log.debug({ interface: name, ifindex }, 'a port');
      this.#attached.set(name, ifindex);
      this.#refusals.delete(name);
      return true;
    } catch (error) {
      if (!(error instanceof HnvError)) throw error;
      // An interface that has gone meanwhile is no failure: the watch will tell.
      if (!isCurrent(name, link)) return true;
      const reason = `${error.code}: ${error.message}`;
      if (this.#refusals.get(name) !== reason)
        log.error({ err: error, interface: name }, 'cannot set up a port');
      this.#refusals.set(name, reason);
      return false;
    }
  }

  #detach(ifindex: number): void {
    if (linkName(ifindex) === undefined) return;
    try {
      this.#parts.core.detachPort(ifindex);
    } catch (error) {
      if (linkName(ifindex) !== undefined) throw error;
    }
  }

  #forgetDomain(rdid: string): void {
    for (const [ifindex, port] of this.#joined) if (port.rdid === rdid) this.#joined.delete(ifindex);
  }
}

const WAITS_FOR_PROVIDER: PortTrouble = {
  state: 'pending',
  reason: 'The port waits for a provider address: this node has none.',
};

/** Whether the interface is still the one that was read: a VM that starts again gets a new one of the same name. */
function isCurrent(name: string, link: LinkDetails): boolean {
  return ifindexOf(name) === link.ifindex;
}

const silence = (name: string): string => `net/ipv6/conf/${name}/disable_ipv6`;

/** Without IPv6 the host sends no router solicitations, reports or duplicate address probes to the VM. */
function silenceHost(name: string): void {
  if (!isSilent(name)) writeSysctl(silence(name), '1');
}

function isSilent(name: string): boolean {
  try {
    return readSysctl(silence(name)) === '1';
  } catch (error) {
    // A kernel without IPv6 says nothing anyway.
    if (error instanceof HnvError && error.code === 'HNV_KERNEL_FEATURE') return true;
    throw error;
  }
}
