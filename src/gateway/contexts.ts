/**
 * Routing contexts: one network namespace for each routing domain, joined to the encap core by `hnv` and to the uplink by
 * `ext`. Creates, adopts, corrects and removes them; owns namespaces and links named by `names.ts` and nothing else.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { HnvError } from '../errors.ts';
import { ip, ipBatch } from '../linux/iproute2.ts';
import { ifindexOf } from '../linux/links.ts';
import { inNetns, netnsExists, netnsNames } from '../linux/netns.ts';
import { RouteNetlink } from '../linux/rtnetlink.ts';
import type { NetLink } from '../linux/rtnetlink-messages.ts';
import { type NatListing, wantedListing } from '../nat/listing.ts';
import { applyNat, createNat, hasOwnRuleset, inspectNat } from '../nat/nat.ts';
import { type ContextMtu, externalLink, natState, tenantLink } from '../nat/ruleset.ts';
import { ownTurn } from '../own-turn.ts';
import type { ContextPlan, NatPlan } from '../policy/plan.ts';
import { derivedMac } from '../policy/router.ts';
import { Batches } from './batches.ts';
import { mendSettings, writeSettings, wrongSettings } from './context-settings.ts';
import {
  type ContextState,
  contextCommands,
  contextDifferences,
  desiredContext,
  freshContext,
  type InsideLinks,
  readInside,
  readLinks,
} from './context-state.ts';
import { type ContextNames, contextNames, isContextNetns } from './names.ts';

/**
 * MTU of a link's root side, the largest there is: only the inside limits what is sent, so that a change of MTU is one of
 * the inside alone (a veth refuses what is larger than the MTU of the side that it arrives at).
 */
const ROOT_MTU = 65535;

/** How the removal of a context is waited for: the kernel ends a namespace's links in the background. */
const REMOVAL_POLL_MS = 5;
const REMOVAL_LIMIT_MS = 30_000;

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
  links: ContextLinks;
  nat: NatListing;
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
   * context is still down: when its links open, programs and NAT ruleset stand. Answers why the ruleset is not as planned;
   * then the context is there nevertheless, and closed to the outside unless an earlier ruleset of ours stands.
   * Throws HNV_NETNS, HNV_IPROUTE2.
   */
  async apply(
    request: ContextRequest,
    attach: (links: ContextLinks, isNew: boolean) => void,
  ): Promise<HnvError | undefined> {
    const { rdid, plan, nat, mtu } = request;
    const names = this.names(rdid);
    const before = this.#known.get(names.netns);
    this.#known.delete(names.netns);
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
    let failure: HnvError | undefined;
    let generation: number | undefined;
    try {
      if (isNew) generation = createNat(names.netns, rdid, nat, mtu);
      else applyNat(names.netns, rdid, nat, mtu, { isSuspect: before === undefined });
    } catch (error) {
      if (!(error instanceof HnvError)) throw error;
      failure = error;
    }
    const isClosed = failure !== undefined && !hasOwnRuleset(names.netns);
    const externals = isClosed ? [] : (nat?.externalAddresses.map((a) => a.address) ?? []);
    const want = desiredContext(plan, externals, mtu);
    if (isClosed) want.up.delete(externalLink);
    await this.#open(names, isNew, ends, want, links.externalMac);
    if (failure === undefined)
      this.#known.set(names.netns, {
        ...{ want, links, nat: wantedListing(natState(rdid, nat, mtu)) },
        ...(generation === undefined ? {} : { generation }),
      });
    return failure;
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
    const { links, want, nat, generation } = known;
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
        for (const { path, found } of wrongSettings(reading, inside))
          context.push(`the setting ${path} was ${found}`);
        if (ends.external.mac !== links.externalMac)
          context.push(`the link ${externalLink} had the MAC ${ends.external.mac}`);
        return true;
      });
      if (!isWhole) return { context: [`a link of the namespace ${names.netns} was missing`], nat: [] };
      const rules = inspectNat(nat, generation);
      if (rules.differences.length === 0) known.generation = rules.generation;
      return { context, nat: rules.differences };
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
    if (netnsExists(netns)) await ip(['netns', 'del', netns]);
    const limit = Date.now() + REMOVAL_LIMIT_MS;
    while (links.some((link) => ifindexOf(link) !== undefined)) {
      if (Date.now() > limit)
        throw new HnvError(
          'HNV_NETNS',
          `The kernel still has links of ${netns} ${REMOVAL_LIMIT_MS} ms after its removal.`,
        );
      await delay(REMOVAL_POLL_MS);
    }
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
    mac: string,
  ): Promise<void> {
    const { netns } = names;
    await ownTurn();
    const have = inNetns(netns, () => {
      if (isNew) {
        writeSettings();
        return freshContext(want);
      }
      return RouteNetlink.use((reading) => {
        const inside = readLinks(reading);
        mendSettings(reading, inside);
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
    await ipBatch(
      [ends.tenantPort, ends.externalPort].flatMap((port) =>
        isOpen(port) ? [] : [['link', 'set', port.name, 'mtu', String(ROOT_MTU), 'up']],
      ),
    );
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
