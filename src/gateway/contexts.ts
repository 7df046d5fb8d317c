/**
 * Routing contexts: one network namespace for each routing domain, joined to the encap core by `hnv`, to the uplink by
 * `ext` and, with forwarding, to a network of its own by `fwd`, which comes and goes with the policy. Creates, adopts, corrects and removes them; owns namespaces and links named by `names.ts` and nothing else.
 */
import { HnvError } from '../errors.ts';
import { ip, ipBatch } from '../linux/iproute2.ts';
import { ifindexOf } from '../linux/links.ts';
import { inNetns, netnsExists, netnsNames } from '../linux/netns.ts';
import { RouteNetlink } from '../linux/rtnetlink.ts';
import { withKernelAlgs } from '../nat/alg.ts';
import { endUncoveredSessions } from '../nat/ending.ts';
import { applyNat, createNat, hasOwnRuleset, inspectNat, type NatRules, natRules } from '../nat/nat.ts';
import { type ContextMtu, externalLink, forwardingLink, tenantLink } from '../nat/ruleset.ts';
import { noteFinished, noteUnfinished } from '../nat/unfinished.ts';
import { ownTurn } from '../own-turn.ts';
import type { BgpPlan, ContextPlan, ForwardingPlan, NatPlan } from '../policy/plan.ts';
import { derivedMac } from '../policy/router.ts';
import { Batches } from './batches.ts';
import { contextCommands, ruleCommands } from './context-commands.ts';
import {
  type Ends,
  isOpen,
  joinedEnds,
  networkName,
  ROOT_MTU,
  readPorts,
  segmentCommands,
  vethCommand,
} from './context-links.ts';
import { mendSettings, type Setting, settingsOf, writeSettings, wrongSettings } from './context-settings.ts';
import {
  type ContextState,
  contextDifferences,
  desiredContext,
  freshContext,
  readInside,
  readLinks,
} from './context-state.ts';
import { type ContextNames, contextNames, isContextNetns } from './names.ts';
import { removeNamespace } from './namespace-removal.ts';

/** Where a context is joined to the root namespace. */
export interface ContextLinks {
  tenantIfindex: number;
  externalIfindex: number;
  /** MAC of the namespace's own side of `ext`. */
  externalMac: string;
  /** Root side of `fwd`, with forwarding. */
  segmentIfindex?: number;
}

export interface ContextRequest {
  rdid: string;
  plan: ContextPlan;
  nat: NatPlan | undefined;
  /** `mtu.forwarding` goes with it. */
  forwarding?: ForwardingPlan | undefined;
  /** Its peers may speak to the context. */
  bgp?: BgpPlan | undefined;
  mtu: ContextMtu;
}

/** What this process has made of a context, or found it to be. */
interface Known {
  want: ContextState;
  settings: readonly Setting[];
  links: ContextLinks;
  rules: NatRules;
  /** Of the rules, when they were seen to be right. */
  generation?: number;
}

/** What of a context is otherwise than this process has made it, as parts of a sentence. */
export interface ContextDifferences {
  /** Of the namespace, its links and settings. */
  context: string[];
  /** The same of `fwd`. */
  forwarding: string[];
  nat: string[];
}

const nothing = (): ContextDifferences => ({ context: [], forwarding: [], nat: [] });

/** Locally administered. It stands on a link of its own between two ends, so it need only be the same every time. */
function externalMac(rdid: string): string {
  return derivedMac(`ext ${rdid}`);
}

export class Contexts {
  readonly #instance: string;
  readonly #isFast: boolean;
  /** By namespace; none of those that are being changed, or could not be. */
  readonly #known = new Map<string, Known>();
  /** Namespaces are made many at a time: each process of iproute2 takes the event loop a millisecond. */
  readonly #creations = new Batches((commands) => ipBatch(commands));

  /** `isFast`: flows of contexts may take the fast path. */
  constructor(instance: string, isFast = false) {
    this.#instance = instance;
    this.#isFast = isFast;
  }

  /** Namespaces of this instance that are there now. */
  present(): string[] {
    return netnsNames(`${this.#instance}-`).filter((name) => isContextNetns(this.#instance, name));
  }

  names(rdid: string): ContextNames {
    return contextNames(this.#instance, rdid);
  }

  /**
   * Makes the domain's context as planned, adopting what is there. `attach` gets the links while the inside of a new
   * context is still down: when its links open, programs and NAT ruleset stand. When it resolves, sessions that the ruleset
   * would not make have ended: what they had may be another's. Answers why NAT is not as planned; then the context is there
   * nevertheless, and closed to the outside unless an earlier ruleset of ours stands. Throws HNV_NETNS, HNV_IPROUTE2.
   */
  async apply(
    request: ContextRequest,
    attach: (links: ContextLinks, isNew: boolean) => void,
  ): Promise<HnvError | undefined> {
    const { rdid, plan, forwarding, mtu } = request;
    const names = this.names(rdid);
    this.#known.delete(names.netns);
    const { plan: nat, failure: lacking } =
      request.nat === undefined ? { plan: undefined } : await withKernelAlgs(request.nat);
    const found = this.#ends(names);
    const isNew = found === undefined;
    if (isNew) await this.#create(names, request);
    else if (forwarding !== undefined && found.segmentPort?.alias !== networkName(forwarding))
      await this.#replaceSegment(names, segmentCommands(names, forwarding, mtu));
    const ends = isNew || forwarding !== undefined ? this.#ends(names) : found;
    if (ends === undefined || (forwarding !== undefined && ends.segmentPort === undefined))
      throw new HnvError('HNV_NETNS', `The links of ${names.netns} have gone while it was being set up.`);
    const links: ContextLinks = {
      tenantIfindex: ends.tenantPort.ifindex,
      externalIfindex: ends.externalPort.ifindex,
      externalMac: externalMac(rdid),
      ...(forwarding === undefined || ends.segmentPort === undefined
        ? {}
        : { segmentIfindex: ends.segmentPort.ifindex }),
    };
    attach(links, isNew);
    const { rules, generation, isChanged, failure } = setRules(names.netns, request, nat, isNew);
    const isClosed = failure !== undefined && !hasOwnRuleset(names.netns);
    const want = desiredContext(plan, isClosed ? undefined : nat, mtu, forwarding);
    if (isClosed) for (const link of [externalLink, forwardingLink]) want.up.delete(link);
    const settings = settingsOf(nat, forwarding !== undefined, this.#isFast);
    if (forwarding === undefined && ends.hasSegment) await this.#replaceSegment(names, []);
    const isRerouted = await this.#open(names, isNew, ends, want, settings, links.externalMac);
    if (failure !== undefined || rules === undefined) return failure;
    if (!isNew && (isChanged || isRerouted)) {
      await endUncoveredSessions(names.netns, { ...request, nat });
      noteFinished(names.netns);
    }
    this.#known.set(names.netns, {
      ...{ want, settings, links, rules },
      ...(generation === undefined ? {} : { generation }),
    });
    return lacking;
  }

  /**
   * What of the domain's context is otherwise than apply() has made it; nothing when that is not known. A fraction of a
   * millisecond.
   */
  inspect(rdid: string): ContextDifferences {
    const names = this.names(rdid);
    const known = this.#known.get(names.netns);
    if (known === undefined) return nothing();
    const gone = (what: string): ContextDifferences => ({ ...nothing(), context: [`${what} was missing`] });
    if (!netnsExists(names.netns)) return gone(`the namespace ${names.netns}`);
    const { links, want, settings, rules, generation } = known;
    const ports = readPorts(names);
    const found: string[] = [];
    for (const port of Object.values(ports))
      if (port !== undefined && !isOpen(port))
        found.push(`the link ${port.name} was down, or had the MTU ${port.mtu}`);
    return inNetns(names.netns, () => {
      const isWhole = RouteNetlink.use((reading) => {
        const inside = readLinks(reading);
        const ends = joinedEnds(ports, inside);
        if (ends?.tenantPort.ifindex !== links.tenantIfindex) return false;
        if (ends.externalPort.ifindex !== links.externalIfindex) return false;
        if (ends.segmentPort?.ifindex !== links.segmentIfindex)
          found.push(`the link ${forwardingLink} was another, or missing`);
        else found.push(...contextDifferences(readInside(reading, inside), want));
        for (const { path, found: value } of wrongSettings(reading, inside, settings))
          found.push(`the setting ${path} was ${value}`);
        if (ends.external.mac !== links.externalMac)
          found.push(`the link ${externalLink} had the MAC ${ends.external.mac}`);
        return true;
      });
      if (!isWhole) return gone(`a link of the namespace ${names.netns}`);
      const nat = inspectNat(rules, generation);
      if (nat.differences.length === 0) known.generation = nat.generation;
      const isOfSegment = (text: string): boolean =>
        text.split(/[ /]/).some((word) => word === forwardingLink || word === names.segmentPort);
      return {
        context: found.filter((text) => !isOfSegment(text)),
        forwarding: found.filter(isOfSegment),
        nat: nat.differences,
      };
    });
  }

  /** What the domain's context is, is not known any more: apply() looks at everything. */
  forget(rdid: string): void {
    this.#known.delete(this.names(rdid).netns);
  }

  /** Removes a context by its namespace's name and waits until the kernel has let go of its links. */
  async remove(netns: string): Promise<void> {
    const digest = netns.slice(this.#instance.length + 1);
    this.#known.delete(netns);
    const links = ['h', 'x', 'f'].map((link) => `${this.#instance}${link}${digest}`);
    await removeNamespace(netns, links);
    noteFinished(netns);
  }

  /** Undefined unless the namespace and all ends are there, and belong to one another. */
  #ends(names: ContextNames): Ends | undefined {
    if (!netnsExists(names.netns)) return undefined;
    const ports = readPorts(names);
    return inNetns(names.netns, () => RouteNetlink.use((reading) => joinedEnds(ports, readLinks(reading))));
  }

  async #create(names: ContextNames, { rdid, plan, forwarding, mtu }: ContextRequest): Promise<void> {
    await this.remove(names.netns);
    const commands = [
      ['netns', 'add', names.netns],
      vethCommand(names, names.tenantPort, tenantLink, mtu.tenant, plan.mac),
      vethCommand(names, names.externalPort, externalLink, mtu.external, externalMac(rdid)),
      ...(forwarding === undefined ? [] : segmentCommands(names, forwarding, mtu)),
    ];
    try {
      await this.#creations.add(commands);
    } catch (error) {
      if (!(error instanceof HnvError)) throw error;
      // Perhaps it was another one's command that failed.
      await this.remove(names.netns);
      await ipBatch(commands);
    }
  }

  /** Takes away whatever there is of `fwd`, from either side, and runs the commands that make it. */
  async #replaceSegment({ netns, segmentPort }: ContextNames, commands: string[][]): Promise<void> {
    if (ifindexOf(segmentPort) !== undefined) await ip(['link', 'del', segmentPort]);
    if (inNetns(netns, () => ifindexOf(forwardingLink)) !== undefined)
      await ip(['link', 'del', forwardingLink], { netns });
    await ipBatch(commands);
  }

  /**
   * Settings, links, addresses, routes and neighbours: from what is there to what is wanted. Answers whether other destinations than
   * before are behind `fwd`.
   */
  async #open(
    names: ContextNames,
    isNew: boolean,
    ends: Ends,
    want: ContextState,
    settings: readonly Setting[],
    mac: string,
  ): Promise<boolean> {
    const { netns } = names;
    await ownTurn();
    const have = inNetns(netns, () => {
      if (isNew) {
        writeSettings(settings);
        return freshContext(want);
      }
      return RouteNetlink.use((reading) => {
        const inside = readLinks(reading);
        mendSettings(reading, inside, settings);
        return readInside(reading, inside);
      });
    });
    const isRerouted = routesByNetwork(have) !== routesByNetwork(want);
    if (isRerouted && !isNew) noteUnfinished(netns);
    const first: string[][] = [];
    if (ends.external.mac !== mac) {
      first.push(['link', 'set', externalLink, 'address', mac]);
      // With its MAC address the link loses its neighbours, permanent ones too.
      for (const entry of have.neighbours)
        if (entry.startsWith(`${externalLink} `)) have.neighbours.delete(entry);
    }
    await ipBatch([...first, ...contextCommands(have, want)], { netns });
    for (const family of [4, 6] as const) await ipBatch(ruleCommands(have, want, family), { netns, family });
    await ipBatch(
      [
        ends.tenantPort,
        ends.externalPort,
        want.macs.has(forwardingLink) ? ends.segmentPort : undefined,
      ].flatMap((port) =>
        port === undefined || isOpen(port) ? [] : [['link', 'set', port.name, 'mtu', String(ROOT_MTU), 'up']],
      ),
    );
    return isRerouted;
  }
}

/** Comparable. */
function routesByNetwork({ routes }: ContextState): string {
  return [...routes]
    .filter((route) => route.split(' ')[1] === forwardingLink)
    .sort()
    .join('\n');
}

/** What became of the ruleset of a context. */
interface RulesSet {
  rules?: NatRules;
  /** Of rules that were made at once. */
  generation?: number | undefined;
  isChanged: boolean;
  failure?: HnvError;
}

function setRules(
  netns: string,
  request: ContextRequest,
  nat: NatPlan | undefined,
  isNew: boolean,
): RulesSet {
  const { rdid, mtu } = request;
  try {
    const rules = natRules(rdid, { ...request, nat }, mtu);
    if (isNew) return { rules, generation: createNat(netns, rules), isChanged: true };
    return { rules, isChanged: applyNat(netns, rules) === 'changed' };
  } catch (error) {
    if (!(error instanceof HnvError)) throw error;
    return { isChanged: false, failure: error };
  }
}
