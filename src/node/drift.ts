/**
 * Looks all the time whether the kernel is still as this process has made it, for it is anybody's with root's rights: what
 * was changed by hand is told as an event, and mended the normal way. It looks at the kernel itself each time, with
 * nothing remembered but what was seen to be right.
 *
 * What is found: whatever is missing or changed of what is ours (namespaces of contexts with their links, addresses,
 * routes, neighbours, settings and rules; programs, pins and map entries; provider links, routes and groups), and what was
 * put into it: addresses of our links, routes over them, entries of our maps, rules and elements in our nft table. What
 * stands beside it is its owner's: other links in a namespace of ours with their addresses and routes, other nft tables.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { ResourceStatus } from '../api/operations.ts';
import type { EncapCore } from '../encap/core.ts';
import { type DomainTables, isCounting, type StrangeEntry } from '../encap/tables.ts';
import { ownTurn } from '../own-turn.ts';
import type { ResourceKind } from '../policy/resources.ts';
import { resourcePath } from '../store/resource-path.ts';
import type { ResourceKey, Store } from '../store/store.ts';
import { entryOwner } from './entry-owner.ts';
import type { EventSink } from './journal.ts';
import { NatRefusalWatch } from './nat-refusals.ts';
import type { NodeLinks } from './node-links.ts';
import type { Role } from './role.ts';
import type { Sequencer } from './sequencer.ts';

/** From the end of a sweep to the next. */
const PAUSE_MS = 3_000;
/** How long a sweep may take: with the pause, and the time to mend what was found, 10 s at most. */
const SWEEP_MS = 5_000;
/** Work in one turn of the event loop. */
const SLICE_MS = 1;
/** Longest rest after that: a sweep that has little to do is over soon. */
const REST_MS = 20;
/** How long what was found is waited for to be mended, before it is looked at again with the next sweep. */
const MEND_MS = 10_000;
/** Findings that are told of one object, or of the node, in one event. */
const TOLD = 16;

/** What somebody has changed. */
export interface Finding {
  rdid?: string;
  /** Of the resource that it belongs to; absent when it is nobody's. */
  kind?: ResourceKind;
  id?: string;
  /** Part of a sentence. */
  text: string;
}

export interface DriftParts {
  readonly store: Store;
  readonly core: EncapCore;
  readonly tables: DomainTables;
  readonly links: NodeLinks;
  readonly role: Role;
  readonly sequencer: Sequencer;
  readonly events: EventSink;
  readonly log: Logger;
}

/** Spreads a sweep: between its slices it rests as long as it can afford to, by the work that the last one was. */
class Pace {
  readonly #rest: number;
  #began = performance.now();
  /** Milliseconds so far. */
  work = 0;

  constructor(expected: number) {
    this.#rest = Math.min(REST_MS, SLICE_MS * (SWEEP_MS / Math.max(1, expected) - 1));
  }

  async breathe(): Promise<void> {
    const slice = performance.now() - this.#began;
    if (slice < SLICE_MS) return;
    this.work += slice;
    if (this.#rest >= 1) await delay(this.#rest);
    await ownTurn();
    this.#began = performance.now();
  }
}

/** What was found of one object and is not mended yet. */
interface Open {
  key: ResourceKey | undefined;
  /** A sentence for each time that something new was found. */
  reasons: string[];
  texts: Set<string>;
  since: string;
}

const NODE = '';

export class Drift {
  readonly #parts: DriftParts;
  /** Each context is looked at anyway. */
  readonly #refusals: NatRefusalWatch;
  /** By the RDID that is to be mended (the empty one: the node), and the path of the object. */
  readonly #open = new Map<string, Map<string, Open>>();
  readonly #stop = new AbortController();
  #ended: Promise<void> = Promise.resolve();
  /** Milliseconds of work that the last sweep was. */
  #work = 0;

  constructor(parts: DriftParts) {
    this.#parts = parts;
    this.#refusals = new NatRefusalWatch(parts.events);
  }

  /** Begins to look, when the kernel has followed the whole store once. */
  start(): void {
    this.#ended = this.#run();
  }

  /**
   * Looks at a domain that is about to be applied: that would mend what was changed by hand without a word. Next to nothing
   * for a domain that is new.
   */
  lookBefore(rdid: string): void {
    const findings = this.#safely(() => this.#parts.role.inspect(rdid));
    if (findings.length > 0) this.#found(rdid, findings);
  }

  /** Looks no longer; resolves when nothing is under way. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#ended;
  }

  /** The status of an object that was changed by hand and is not mended yet. */
  status({ kind, rdid = NODE, id }: ResourceKey): ResourceStatus | undefined {
    for (const open of this.#open.get(kind === 'port' ? this.#domainOf(id) : rdid)?.values() ?? [])
      if (open.key?.kind === kind && (open.key.id === undefined || open.key.id === id))
        return { state: 'pending', reason: open.reasons.join(' '), since: open.since };
    return undefined;
  }

  /** A sentence for each object that is not mended yet. */
  warnings(): string[] {
    return [...this.#open.values()].flatMap((open) => [...open.values()].flatMap(({ reasons }) => reasons));
  }

  #domainOf(port: string | undefined): string {
    const { ports, vsidOwners } = this.#parts.store.state;
    return vsidOwners.get(ports.get(port ?? '')?.virtualSubnetId ?? 0) ?? NODE;
  }

  get #isStopped(): boolean {
    return this.#stop.signal.aborted;
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      try {
        await delay(PAUSE_MS, undefined, { signal: this.#stop.signal });
        await this.#sweep();
      } catch (error) {
        if (!this.#isStopped) this.#parts.log.error({ err: error }, 'cannot look for drift');
      }
    }
  }

  async #sweep(): Promise<void> {
    const { store, sequencer, role, tables } = this.#parts;
    await this.#inspectNode();
    for (const rdid of this.#open.keys())
      if (rdid !== NODE && !store.state.domains.has(rdid)) this.#open.delete(rdid);
    const pace = new Pace(this.#work);
    for (const rdid of [...store.state.domains.keys()]) {
      if (this.#isStopped) return;
      // What is being changed is looked at the next time.
      if (!sequencer.isBusy(rdid)) {
        const findings = this.#safely(() => role.inspect(rdid));
        if (findings.length > 0) this.#mend(rdid, findings);
        else if (this.#open.has(rdid)) this.#close(rdid);
      }
      this.#lookAtRefusals(rdid);
      await pace.breathe();
    }
    this.#refusals.endRound(store.state.domains);
    const strange: StrangeEntry[] = [];
    for (const found of tables.inspect()) {
      strange.push(...found);
      await pace.breathe();
      if (this.#isStopped) return;
    }
    this.#work = pace.work;
    this.#foundEntries(strange);
  }

  #lookAtRefusals(rdid: string): void {
    this.#safely(() => {
      this.#refusals.look(rdid, this.#parts.role.natUse(rdid));
      return [];
    });
  }

  /** What vanishes while it is looked at is found the next time. */
  #safely(look: () => Finding[]): Finding[] {
    try {
      return look();
    } catch (error) {
      this.#parts.log.warn({ err: error }, 'cannot look at a part of the kernel’s state');
      return [];
    }
  }

  async #inspectNode(): Promise<void> {
    const { sequencer, links, core, role } = this.#parts;
    if (sequencer.isBusy(NODE)) return;
    const pins = this.#safely(() =>
      core.strangePins().map((pin) => ({ text: `the pin ${pin} was missing or another's` })),
    );
    const shared = this.#safely(() => role.inspectNode());
    let isStale = false;
    const own = this.#safely(() => {
      const found = links.inspect();
      isStale = found.isStale;
      return found.findings;
    });
    if (pins.length > 0) core.restorePins();
    const findings = [...pins, ...shared, ...own];
    if (findings.length === 0) {
      this.#mended(NODE);
      if (isStale) sequencer.nodeAgain();
      return;
    }
    this.#tell(NODE, findings);
    if (shared.length > 0) await role.mendNode();
    if (own.length > 0 || isStale) sequencer.nodeAgain();
    await sequencer.settled(NODE, this.#parts.store.revision + 1, MEND_MS);
    const isLeft =
      core.strangePins().length > 0 ||
      this.#safely(() => [...role.inspectNode(), ...links.inspect().findings]).length > 0;
    if (!isLeft) this.#mended(NODE);
  }

  /** Entries of the domains that are there; those of nobody are gone by now. */
  #foundEntries(strange: readonly StrangeEntry[]): void {
    if (strange.length === 0) return;
    const domains = new Map([...this.#parts.store.state.domains.values()].map((each) => [each.handle, each]));
    const findings = new Map<string, Finding[]>();
    for (const { map, domain: handle, key, value } of strange) {
      const domain = domains.get(handle ?? 0);
      const text = `an entry of the map ${map} was ${value === undefined ? 'missing' : 'changed, or put there'}`;
      const rdid = domain?.rdid ?? NODE;
      const owner = domain === undefined || isCounting(map) ? {} : entryOwner(domain, map, key, value ?? '');
      const list = findings.get(rdid) ?? [];
      findings.set(rdid, list);
      list.push({ ...(rdid === NODE ? {} : { rdid }), ...owner, text });
    }
    for (const [rdid, found] of findings) {
      if (rdid !== NODE) {
        this.#mend(rdid, found);
        continue;
      }
      this.#tell(NODE, found);
      this.#mended(NODE);
    }
  }

  #mend(rdid: string, findings: readonly Finding[]): void {
    this.#parts.sequencer.again(rdid);
    this.#found(rdid, findings);
  }

  /** The turn of the domain that is to come makes anew what is not as it should be; then it is seen whether that has helped. */
  #found(rdid: string, findings: readonly Finding[]): void {
    const { role, sequencer, store } = this.#parts;
    this.#tell(rdid, findings);
    role.forget(rdid);
    void sequencer.settled(rdid, store.revision + 1, MEND_MS).then(() => this.#close(rdid));
  }

  /** Tells that the domain is as it should be, when it is. */
  #close(rdid: string): void {
    const { role, sequencer } = this.#parts;
    const isSettled = !this.#isStopped && !sequencer.isBusy(rdid);
    if (!isSettled || sequencer.hasFailed(rdid)) return;
    if (this.#safely(() => role.inspect(rdid)).length === 0) this.#mended(rdid);
  }

  /** Once, until it is mended. */
  #tell(rdid: string, findings: readonly Finding[]): void {
    const { log, events } = this.#parts;
    const byObject = new Map<string, Finding[]>();
    for (const finding of findings) {
      const key = keyOf(finding);
      const path = key === undefined ? '' : resourcePath(key);
      byObject.set(path, [...(byObject.get(path) ?? []), finding]);
    }
    const open = this.#open.get(rdid) ?? new Map<string, Open>();
    this.#open.set(rdid, open);
    for (const [path, found] of byObject) {
      const key = keyOf(found[0] ?? { text: '' });
      const known = open.get(path) ?? { key, reasons: [], texts: new Set(), since: new Date().toISOString() };
      const texts = [...new Set(found.map(({ text }) => text))].filter((text) => !known.texts.has(text));
      if (texts.length === 0) continue;
      const more = texts.length > TOLD ? `; and ${texts.length - TOLD} more` : '';
      const reason = `Changed by hand: ${texts.slice(0, TOLD).join('; ')}${more}.`;
      known.reasons.push(reason);
      for (const text of texts) known.texts.add(text);
      open.set(path, known);
      log.warn({ object: key }, reason);
      events.add({ type: 'drift', ...about(key, found[0]?.rdid, path), what: 'found', reason });
    }
  }

  #mended(rdid: string): void {
    const { log, events } = this.#parts;
    for (const [path, { key, reasons }] of this.#open.get(rdid) ?? [])
      for (const reason of reasons) {
        log.info({ object: key }, `mended: ${reason}`);
        const domain = rdid === NODE ? key?.rdid : rdid;
        events.add({ type: 'drift', ...about(key, domain, path), what: 'mended', reason });
      }
    this.#open.delete(rdid);
  }
}

function keyOf({ rdid, kind, id }: Finding): ResourceKey | undefined {
  if (kind === undefined) return undefined;
  const isOfDomain = kind !== 'port' && rdid !== undefined;
  return { kind, ...(isOfDomain ? { rdid } : {}), ...(id === undefined ? {} : { id }) };
}

/** Ports and provider links are the node's, which no tenant hears of. */
function about(
  key: ResourceKey | undefined,
  rdid: string | undefined,
  path: string,
): { routingDomainId?: string; path?: string } {
  const isTenants = rdid !== undefined && key !== undefined && key.kind !== 'port';
  return { ...(isTenants ? { routingDomainId: rdid } : {}), ...(path === '' ? {} : { path }) };
}
