/**
 * Routing contexts: one network namespace for each routing domain, joined to the encap core by `hnv` and to the uplink by
 * `ext`. Creates, adopts, corrects and removes them; owns namespaces and links named by `names.ts` and nothing else.
 */
import { HnvError } from '../errors.ts';
import { ipBatch } from '../linux/iproute2.ts';
import { inNetns, netnsExists, netnsNames } from '../linux/netns.ts';
import { RouteNetlink } from '../linux/rtnetlink.ts';
import type { NetLink } from '../linux/rtnetlink-messages.ts';
import { withKernelAlgs } from '../nat/alg.ts';
import { endUncoveredSessions } from '../nat/ending.ts';
import { applyNat, createNat, hasOwnRuleset, inspectNat, type NatRules, natRules } from '../nat/nat.ts';
import { type ContextMtu, externalLink, tenantLink } from '../nat/ruleset.ts';
import { noteFinished } from '../nat/unfinished.ts';
import { ownTurn } from '../own-turn.ts';
import type { ContextPlan, NatPlan } from '../policy/plan.ts';
import { derivedMac } from '../policy/router.ts';
import { Batches } from './batches.ts';
import { mendSettings, type Setting, settingsOf, writeSettings, wrongSettings } from './context-settings.ts';
import {
  type ContextState,
  contextCommands,
  contextDifferences,
  desiredContext,
  freshContext,
  type InsideLinks,
  readInside,
  readLinks,
  ruleCommands,
} from './context-state.ts';
import { type ContextNames, contextNames, isContextNetns } from './names.ts';
import { removeNamespace } from './namespace-removal.ts';

/**
 * MTU of a link's root side, the largest there is: only the inside limits what is sent, so that a change of MTU is one of
 * the inside alone (a veth refuses what is larger than the MTU of the side that it arrives at).
 */
const ROOT_MTU = 65535;

/** Where a context is joined to the root namespace. */
export interface ContextLinks {
  tenantIfindex: number;
  externalIfindex: number;
  /** MAC of the namespace's own side of `ext`. */
  externalMac: string;
}

export interface ContextRequest {
  rdid: string;
  plan: ContextPlan;
  nat: NatPlan | undefined;
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

/** The four ends of a context's two links. */
interface Ends {
  tenantPort: NetLink;
  externalPort: NetLink;
  tenant: NetLink;
  external: NetLink;
}

/** What of a context is otherwise than this process has made it, as parts of a sentence. */
export interface ContextDifferences {
  /** Of the namespace, its links and settings. */
  context: string[];
  nat: string[];
}

/** Locally administered. It stands on a link of its own between two ends, so it need only be the same every time. */
function externalMac(rdid: string): string {
  return derivedMac(`ext ${rdid}`);
}

export class Contexts {
  readonly #instance: string;
  /** By namespace; none of those that are being changed, or could not be. */
  readonly #known = new Map<string, Known>();
  /** Namespaces are made many at a time: each process of iproute2 takes the event loop a millisecond. */
  readonly #creations = new Batches((commands) => ipBatch(commands));

  constructor(instance: string) {
    this.#instance = instance;
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
    const { rdid, plan, mtu } = request;
    const names = this.names(rdid);
    this.#known.delete(names.netns);
    const { plan: nat, failure: lacking } =
      request.nat === undefined ? { plan: undefined } : await withKernelAlgs(request.nat);
    const isNew = this.#ends(names) === undefined;
    if (isNew) await this.#create(names, request);
    const ends = this.#ends(names);
    if (ends === undefined)
      throw new HnvError('HNV_NETNS', `The links of ${names.netns} have gone while it was being set up.`);
    const links: ContextLinks = {
      tenantIfindex: ends.tenantPort.ifindex,
      externalIfindex: ends.externalPort.ifindex,
      externalMac: externalMac(rdid),
    };
    attach(links, isNew);
    const { rules, generation, isChanged, failure } = setRules(names.netns, request, nat, isNew);
    const isClosed = failure !== undefined && !hasOwnRuleset(names.netns);
    const want = desiredContext(plan, isClosed ? undefined : nat, mtu);
    if (isClosed) want.up.delete(externalLink);
    const settings = settingsOf(nat);
    await this.#open(names, isNew, ends, want, settings, links.externalMac);
    if (failure !== undefined || rules === undefined) return failure;
    if (!isNew && isChanged) {
      await endUncoveredSessions(names.netns, nat);
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
    if (known === undefined) return { context: [], nat: [] };
    if (!netnsExists(names.netns)) return { context: [`the namespace ${names.netns} was missing`], nat: [] };
    const { links, want, settings, rules, generation } = known;
    const ports = readPorts(names);
    const context: string[] = [];
    for (const port of ports)
      if (port !== undefined && !isOpen(port))
        context.push(`the link ${port.name} was down, or had the MTU ${port.mtu}`);
    return inNetns(names.netns, () => {
      const isWhole = RouteNetlink.use((reading) => {
        const inside = readLinks(reading);
        const ends = joinedEnds(ports, inside);
        if (ends?.tenantPort.ifindex !== links.tenantIfindex) return false;
        if (ends.externalPort.ifindex !== links.externalIfindex) return false;
        context.push(...contextDifferences(readInside(reading, inside), want));
        for (const { path, found } of wrongSettings(reading, inside, settings))
          context.push(`the setting ${path} was ${found}`);
        if (ends.external.mac !== links.externalMac)
          context.push(`the link ${externalLink} had the MAC ${ends.external.mac}`);
        return true;
      });
      if (!isWhole) return { context: [`a link of the namespace ${names.netns} was missing`], nat: [] };
      const found = inspectNat(rules, generation);
      if (found.differences.length === 0) known.generation = found.generation;
      return { context, nat: found.differences };
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
    const links = [`${this.#instance}h${digest}`, `${this.#instance}x${digest}`];
    await removeNamespace(netns, links);
    noteFinished(netns);
  }

  /** Undefined unless the namespace and all ends are there, and belong to one another. */
  #ends(names: ContextNames): Ends | undefined {
    if (!netnsExists(names.netns)) return undefined;
    const ports = readPorts(names);
    return inNetns(names.netns, () => RouteNetlink.use((reading) => joinedEnds(ports, readLinks(reading))));
  }

  /** The root side is up at once, the inside down: so the links stay closed until apply() opens them. */
  async #create(names: ContextNames, { rdid, plan, mtu }: ContextRequest): Promise<void> {
    await this.remove(names.netns);
    const queues = ['numtxqueues', '1', 'numrxqueues', '1'];
    const veth = (root: string, inside: string, size: number, mac: string): string[] => [
      ...['link', 'add', root, 'mtu', String(ROOT_MTU), 'up', ...queues, 'type', 'veth'],
      ...['peer', 'name', inside, 'mtu', String(size), 'address', mac, ...queues, 'netns', names.netns],
    ];
    const commands = [
      ['netns', 'add', names.netns],
      veth(names.tenantPort, tenantLink, mtu.tenant, plan.mac),
      veth(names.externalPort, externalLink, mtu.external, externalMac(rdid)),
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

  /** Settings, links, addresses, routes and neighbours: from what is there to what is wanted. */
  async #open(
    names: ContextNames,
    isNew: boolean,
    ends: Ends,
    want: ContextState,
    settings: readonly Setting[],
    mac: string,
  ): Promise<void> {
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
      [ends.tenantPort, ends.externalPort].flatMap((port) =>
        isOpen(port) ? [] : [['link', 'set', port.name, 'mtu', String(ROOT_MTU), 'up']],
      ),
    );
  }
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
  { rdid, mtu }: ContextRequest,
  nat: NatPlan | undefined,
  isNew: boolean,
): RulesSet {
  try {
    const rules = natRules(rdid, nat, mtu);
    if (isNew) return { rules, generation: createNat(netns, rules), isChanged: true };
    return { rules, isChanged: applyNat(netns, rules) === 'changed' };
  } catch (error) {
    if (!(error instanceof HnvError)) throw error;
    return { isChanged: false, failure: error };
  }
}

type Ports = [tenantPort: NetLink | undefined, externalPort: NetLink | undefined];

function readPorts({ tenantPort, externalPort }: ContextNames): Ports {
  return RouteNetlink.use((reading) => [reading.link(tenantPort), reading.link(externalPort)]);
}

/** Undefined unless all four are there, and belong to one another. */
function joinedEnds([tenantPort, externalPort]: Ports, inside: InsideLinks): Ends | undefined {
  const [tenant, external] = [inside.get(tenantLink), inside.get(externalLink)];
  if (tenantPort === undefined || externalPort === undefined) return undefined;
  if (tenant === undefined || external === undefined) return undefined;
  const isPair = (a: NetLink, b: NetLink): boolean => a.below === b.ifindex && b.below === a.ifindex;
  if (!isPair(tenantPort, tenant) || !isPair(externalPort, external)) return undefined;
  return { tenantPort, externalPort, tenant, external };
}

/** The root side of a link. */
function isOpen({ isUp, mtu }: NetLink): boolean {
  return isUp && mtu === ROOT_MTU;
}
