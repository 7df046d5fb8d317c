/**
 * What the kernel must have of a node, worked out from its policy and the machine's interfaces by the product's pure
 * functions alone; in the form that kernel-view.ts reads.
 */
import {
  type ContextAttachment,
  type DomainAttachments,
  type DomainEntries,
  domainEntries,
  domainMaps,
  type PortAttachment,
  type Tunnel,
} from '../../src/encap/entries.ts';
import { desiredContext } from '../../src/gateway/context-state.ts';
import { contextNames, providerLink, sorterNames } from '../../src/gateway/names.ts';
import { natRules, natScript } from '../../src/nat/nat.ts';
import { groupsOf } from '../../src/node/provider-groups.ts';
import { wantedRoutes } from '../../src/node/provider-routes.ts';
import { addressBytes, addressFamily, contains, macBytes, prefixAround } from '../../src/policy/address.ts';
import { compileDomain } from '../../src/policy/compile.ts';
import { isWhole } from '../../src/policy/external-shares.ts';
import type { DomainPlan } from '../../src/policy/plan.ts';
import type { ProviderAddress } from '../../src/policy/resources.ts';
import { derivedMac } from '../../src/policy/router.ts';
import type { DesiredState, DomainState } from '../../src/policy/state.ts';
import type { KernelLink, KernelView, Sections } from './kernel-view.ts';

type State = 'ready' | 'pending' | 'failed';

export interface Expected {
  readonly sections: Sections;
  /** Namespaces of contexts whose provider address is on no interface: as they are is right, as long as no table leads there. */
  readonly heldContexts: ReadonlySet<string>;
  /** What the status must be of what the machine has a say in; all else is ready. */
  /** Gateway and NAT, by RDID. */
  readonly contexts: ReadonlyMap<string, State>;
  readonly providerAddresses: ReadonlyMap<string, State>;
  readonly providerRoutes: ReadonlyMap<string, State>;
  readonly ports: ReadonlyMap<string, State>;
}

export interface NodeFacts {
  readonly role: 'gateway' | 'host';
  readonly instance: string;
  readonly uplink: string;
  /** Read now: the interfaces are the operator's. */
  readonly view: KernelView;
  /** Lists what nft makes of a script, in a namespace of its own. */
  readonly ruleset: (script: string) => Promise<string[]>;
}

const OVERHEAD = { 4: 42, 6: 62 } as const;
const ROOT_MTU = 65535;

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const hexOfText = (latin1: string): string => Buffer.from(latin1, 'latin1').toString('hex');
const word = (number: number): string => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(number);
  return bytes.toString('hex');
};

/** The interface that a provider address is on. */
interface Carrier {
  readonly link: KernelLink;
  readonly value: ProviderAddress;
  readonly ownLink: boolean;
}

const hasOwnLink = ({ vlanId, macAddress }: ProviderAddress): boolean =>
  vlanId !== undefined || macAddress !== undefined;

export class ExpectedKernel {
  readonly #facts: NodeFacts;
  readonly #state: DesiredState;
  readonly #carriers = new Map<string, Carrier>();
  readonly #sections: Sections = {
    ...{ 'provider routes': [], proxies: [], links: [], groups: [], contexts: [], promiscuous: [] },
  };
  readonly #programs = new Set<string>();

  /** `state` has the handles that the node gave to its domains. */
  static compile(facts: NodeFacts, state: DesiredState): Promise<Expected> {
    return new ExpectedKernel(facts, state).#compile();
  }

  private constructor(facts: NodeFacts, state: DesiredState) {
    this.#facts = facts;
    this.#state = state;
  }

  async #compile(): Promise<Expected> {
    const { role, view, uplink } = this.#facts;
    const sections = this.#sections;
    for (const map of domainMaps) sections[`map ${map}`] = [];
    for (const map of ['providers', 'vlans', 'uplinks']) sections[`map ${map}`] = [];
    this.#providers();
    if (role === 'gateway') {
      const link = this.#link(uplink);
      this.#line('map uplinks', `${word(link.ifindex)} ${hexOf(macBytes(link.address))}0000`);
      for (const name of new Set([uplink, ...this.#state.uplinks]))
        if (view.links.has(name)) this.#programs.add(`${name} ingress hnv_uplink`);
    }

    const heldContexts = new Set<string>();
    const contexts = new Map<string, State>();
    const ports = new Map<string, State>();
    for (const [name, { virtualSubnetId }] of this.#state.ports) {
      const outside: State = role === 'gateway' ? 'pending' : 'ready';
      ports.set(name, virtualSubnetId === undefined ? outside : 'pending');
    }
    const groups = new Map<string, Set<number>>();
    for (const [rdid, domain] of this.#state.domains) {
      const plan = this.#plan(domain);
      const waits = role === 'host' || plan.pending.length > 0;
      contexts.set(rdid, waits ? 'pending' : 'ready');
      if (plan.context !== undefined && plan.nat?.externalAddresses.some((one) => !isWhole(one)) === true)
        this.#programs.add(`${sorterNames(this.#facts.instance).port} ingress hnv_sorter`);
      if (plan.forwarding !== undefined && view.links.has(plan.forwarding.uplink))
        this.#line('promiscuous', plan.forwarding.uplink);
      const isHeld = plan.context !== undefined && !this.#carriers.has(plan.context.providerAddress);
      if (isHeld) {
        heldContexts.add(this.#names(rdid).netns);
        contexts.set(rdid, 'failed');
      }
      const attachments: DomainAttachments = {
        ...(plan.context === undefined || isHeld ? {} : { context: await this.#context(plan) }),
        ports: this.#ports(plan, ports),
      };
      this.#entries(domainEntries(plan, attachments));
      for (const { group, providerAddress } of groupsOf(plan, attachments)) {
        const { link } = this.#carriers.get(providerAddress) ?? {};
        if (link === undefined) continue;
        groups.set(group, (groups.get(group) ?? new Set()).add(link.ifindex));
        this.#line('groups', `${link.ifname} ${group}`);
      }
    }
    for (const [group, ifindexes] of groups) this.#group(group, ifindexes);
    const providerRoutes = this.#routes();
    const providerAddresses = new Map(
      [...this.#state.providerAddresses.keys()].map((address): [string, State] => [
        address,
        this.#carriers.has(address) ? 'ready' : 'failed',
      ]),
    );
    sections['map port_macs'] = portMacs(view.sections['map ports_by_mac'] ?? []);
    sections['map shared_addresses'] = sharedAddresses(view.sections['map external_ranges'] ?? []);
    sections.programs = [...this.#programs];
    for (const lines of Object.values(sections)) lines.sort();
    for (const name of ['groups', 'proxies', 'promiscuous']) sections[name] = [...new Set(sections[name])];
    for (const netns of heldContexts) if (view.contexts.includes(netns)) this.#line('contexts', netns);
    sections.contexts?.sort();
    return { sections, heldContexts, contexts, providerAddresses, providerRoutes, ports };
  }

  #line(section: string, line: string): void {
    const lines = this.#sections[section];
    if (lines === undefined) this.#sections[section] = [line];
    else lines.push(line);
  }

  #link(name: string): KernelLink {
    const link = this.#facts.view.links.get(name);
    if (link === undefined) throw new Error(`there is no interface ${name}`);
    return link;
  }

  #names(rdid: string) {
    return contextNames(this.#facts.instance, rdid);
  }

  /** A gateway has no ports, and a host neither gateways nor NAT. */
  #plan(domain: DomainState): DomainPlan {
    if (this.#facts.role === 'gateway')
      return compileDomain(domain, {
        providerAddresses: this.#state.providerAddresses,
        forwardings: this.#state.forwardings,
        uplinks: this.#state.uplinks,
        allowsWeakAlgorithms: this.#state.allowsWeakAlgorithms,
        ...{ ports: new Map(), portsByVsid: new Map() },
      });
    const { gateway, nat, ...rest } = domain;
    return compileDomain(rest, this.#state);
  }

  #providers(): void {
    const { view, instance, role, uplink } = this.#facts;
    for (const [address, value] of this.#state.providerAddresses) {
      const ownLink = hasOwnLink(value);
      const name = ownLink ? providerLink(instance, address) : value.interface;
      const below = view.links.get(value.interface);
      const link = view.links.get(name);
      if (below === undefined || (role === 'gateway' && value.interface === uplink)) continue;
      if (ownLink) this.#ownLink(name, address, value, below);
      const isThere = link?.addr_info.some(({ local, tentative }) => local === address && tentative !== true);
      if (link === undefined || isThere !== true) continue;
      this.#carriers.set(address, { link, value, ownLink });
      this.#line('map providers', `${hexOf(addressBytes(address))} ${word(link.ifindex)}`);
      this.#programs.add(`${name} ingress ${value.vlanId === undefined ? 'hnv_provider' : 'hnv_vlan'}`);
      if (!ownLink) continue;
      this.#programs.add(`${value.interface} ingress hnv_provider`);
      if (value.vlanId === undefined) continue;
      this.#programs.add(`${name} egress hnv_tag`);
      this.#line('map vlans', `${word(link.ifindex)}${word(0)} ${word(value.vlanId)}`);
      this.#line('map vlans', `${word(below.ifindex)}${word(value.vlanId)} ${word(value.vlanId)}`);
    }
  }

  #ownLink(name: string, address: string, value: ProviderAddress, { ifname, mtu }: KernelLink): void {
    const mac = value.macAddress ?? derivedMac(`provider address ${address}`);
    this.#line(
      'links',
      `${name} macvlan private over ${ifname} ${mac} ${mtu} up ${address}/${value.prefixLength}`,
    );
  }

  #tunnel(address: string): Tunnel | undefined {
    const carrier = this.#carriers.get(address);
    if (carrier === undefined) return undefined;
    const { ifindex, mtu, address: mac } = carrier.link;
    return { ifindex, mtu, mac };
  }

  async #context(plan: DomainPlan): Promise<ContextAttachment> {
    const { context, rdid, nat } = plan;
    const tunnel = context && this.#tunnel(context.providerAddress);
    if (context === undefined || tunnel === undefined)
      throw new Error('the plan has a context that has a tunnel');
    const { netns, tenantPort, externalPort, segmentPort } = this.#names(rdid);
    const uplink = this.#link(this.#facts.uplink);
    const mtu = tunnel.mtu - OVERHEAD[addressFamily(context.providerAddress)];
    this.#line('contexts', netns);
    this.#programs.add(`${tenantPort} ingress hnv_port`).add(`${externalPort} ingress hnv_context`);
    const { forwarding } = plan;
    const segmentUplink = forwarding && this.#link(forwarding.uplink);
    if (forwarding !== undefined) this.#programs.add(`${segmentPort} ingress hnv_segment`);
    for (const port of [tenantPort, externalPort, ...(forwarding === undefined ? [] : [segmentPort])])
      this.#line('links', `${port} veth ${ROOT_MTU} up`);
    const externals = nat?.externalAddresses.map(({ address }) => address) ?? [];
    const mtus = {
      ...{ tenant: mtu, external: uplink.mtu },
      ...(segmentUplink && { forwarding: segmentUplink.mtu }),
    };
    const want = desiredContext(context, nat, mtus, forwarding);
    this.#sections[`inside ${netns}`] = [
      ...[...want.up].map((link) => `up ${link}`),
      ...[...want.mtu].map(([link, size]) => `mtu ${link} ${size}`),
      ...[...want.macs].map(([link, mac]) => `mac ${link} ${mac}`),
      ...[...want.addresses].map((address) => `address ${address}`),
      ...[...want.routes].map((route) => `route ${route}`),
      ...[...want.looped].map((route) => `looped ${route}`),
      ...[...want.neighbours].map((neighbour) => `neighbour ${neighbour}`),
    ];
    const script = natScript(natRules(rdid, { ...plan, nat }, mtus));
    this.#sections[`ruleset ${netns}`] = await this.#facts.ruleset(script);
    for (const address of externals)
      if (addressFamily(address) === 6) this.#line('proxies', `${this.#facts.uplink} ${address}`);
    // A context that is missing shows as other lines that are: here it needs some number.
    const ifindex = (port: string): number => this.#facts.view.links.get(port)?.ifindex ?? 0;
    return {
      tenantIfindex: ifindex(tenantPort),
      externalIfindex: ifindex(externalPort),
      ...(segmentUplink && {
        segment: { ifindex: ifindex(segmentPort), uplinkIfindex: segmentUplink.ifindex },
      }),
      externalMac: derivedMac(`ext ${rdid}`),
      ...{ tunnel, mtu, uplinkIfindex: uplink.ifindex },
    };
  }

  #ports(plan: DomainPlan, states: Map<string, State>): Map<string, PortAttachment> {
    const found = new Map<string, PortAttachment>();
    if (this.#facts.role === 'gateway') return found;
    for (const { vsid } of plan.subnets)
      for (const name of this.#state.portsByVsid.get(vsid) ?? [])
        if (this.#facts.view.links.has(name)) this.#programs.add(`${name} ingress hnv_port`);
    for (const { interface: name, providerAddress } of plan.ports) {
      const link = this.#facts.view.links.get(name);
      if (link === undefined) continue;
      const tunnel = this.#tunnel(providerAddress);
      states.set(name, tunnel === undefined ? 'failed' : 'ready');
      if (tunnel === undefined) continue;
      const isPeer = link.linkinfo?.info_kind === 'veth' && link.link_netnsid !== undefined;
      found.set(name, { ifindex: link.ifindex, isPeer, mtu: link.mtu, tunnel });
    }
    return found;
  }

  #entries(entries: DomainEntries): void {
    for (const map of domainMaps)
      for (const [key, value] of entries[map])
        this.#line(`map ${map}`, `${hexOfText(key)} ${hexOfText(value)}`);
  }

  /** A group that several addresses have joined is at one of them. */
  #group(group: string, ifindexes: ReadonlySet<number>): void {
    const key = hexOf(addressBytes(group));
    const shown = this.#facts.view.sections['map providers']?.find((line) => line.startsWith(key));
    const candidates = [...ifindexes].map((ifindex) => `${key} ${word(ifindex)}`);
    const [first = ''] = candidates;
    this.#line('map providers', candidates.find((line) => line === shown) ?? first);
  }

  /** The first of several that say the same is the one; a neighbour must be one of an address that is there. */
  #routes(): Map<string, State> {
    const states = new Map<string, State>();
    const taken = new Set<string>();
    const wanted = wantedRoutes(
      this.#facts.instance,
      this.#state.providerRoutes,
      this.#state.providerAddresses,
    );
    for (const [id, { destination, nextHop, link, metric }] of [...wanted].sort(([a], [b]) =>
      a < b ? -1 : 1,
    )) {
      const key = `${destination} ${metric}`;
      const there = this.#facts.view.links.get(link);
      const isNeighbour = there?.addr_info.some(
        ({ local, prefixlen, autojoin }) =>
          autojoin !== true &&
          addressFamily(local) === addressFamily(nextHop) &&
          contains(prefixAround(local, prefixlen), nextHop),
      );
      const works = isNeighbour === true && !taken.has(key);
      states.set(id, works ? 'ready' : 'failed');
      taken.add(key);
      if (works) this.#line('provider routes', `${destination} ${nextHop} ${link} ${metric}`);
    }
    return states;
  }
}

/** The MACs of `ports_by_mac`, whose keys are domain, VSID, MAC and padding. */
function portMacs(ports: readonly string[]): string[] {
  const macs = new Set(ports.map((line) => line.slice(16, 32)));
  return [...macs].map((mac) => `${mac} ${word(1)}`);
}

/** The addresses that ports are told apart of: keys of `external_ranges` are length, address, port and padding. */
function sharedAddresses(ranges: readonly string[]): string[] {
  const ofPorts = ranges.filter((line) => Buffer.from(line.slice(0, 8), 'hex').readUInt32LE() >= 128);
  return [...new Set(ofPorts.map((line) => line.slice(8, 40)))].map((address) => `${address} ${word(1)}`);
}

/** The differences, as lines; none when the kernel is as it must be. */
export function kernelDifferences(view: KernelView, expected: Expected, instance: string): string[] {
  const differences: string[] = [];
  const names = new Set([...Object.keys(view.sections), ...Object.keys(expected.sections)]);
  const heldLinks = [...expected.heldContexts].map((netns) => netns.slice(instance.length + 1));
  for (const name of names) {
    const [, what = ''] = name.split(' ');
    if (expected.heldContexts.has(what) || (name === 'proxies' && expected.heldContexts.size > 0)) continue;
    const counts = (line: string): boolean => {
      if (name === 'links' || name === 'programs') return !heldLinks.some((digest) => line.includes(digest));
      return true;
    };
    const have = (view.sections[name] ?? []).filter(counts);
    const want = (expected.sections[name] ?? []).filter(counts);
    const short = (line: string): string => (line.length > 300 ? `${line.slice(0, 300)}…` : line);
    for (const line of want) if (!have.includes(line)) differences.push(`${name}: missing ${short(line)}`);
    for (const line of have) if (!want.includes(line)) differences.push(`${name}: surplus ${short(line)}`);
    if (have.length !== new Set(have).size) differences.push(`${name}: something is there twice`);
  }
  return differences;
}
