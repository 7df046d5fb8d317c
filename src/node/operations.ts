/** The API's questions, answered from the data plane and the sequencer of this process. */
import { statSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type {
  DomainCounters,
  DropSample,
  FastPathStatus,
  NodeStatus,
  Operations,
  ResourceStatus,
  SettledStatus,
  WaitedFor,
} from '../api/operations.ts';
import type { EncapCore } from '../encap/core.ts';
import type { DropSamples, SampledDrop } from '../encap/drop-samples.ts';
import { readStats } from '../encap/stats.ts';
import type { KernelFeature } from '../linux/features.ts';
import { linkName } from '../linux/links.ts';
import { type ResourceKind, singleKinds } from '../policy/resources.ts';
import type { ResourceKey, Store } from '../store/store.ts';
import type { Drift } from './drift.ts';
import type { Journal } from './journal.ts';
import type { NodeLinks } from './node-links.ts';
import { findProblems } from './problems.ts';
import type { Role } from './role.ts';
import type { Sequencer } from './sequencer.ts';
import { tunnelStatus } from './tunnel-status.ts';

export interface OperationsSources {
  store: Store;
  core: EncapCore;
  drops: DropSamples;
  links: NodeLinks;
  role: Role;
  sequencer: Sequencer;
  drift: Drift;
  journal: Journal;
  features: readonly KernelFeature[];
  version: string;
  instance: string;
  storePath: string;
  /** When this process began, for the status of what it found in place. */
  started: Date;
  isReady: () => boolean;
  /** Absent for a role that has no fast path. */
  fastPath?: () => FastPathStatus;
  /** What the API itself has to say to an operator. */
  apiWarning: () => string | undefined;
}

/** How often a provider address, a port or a tunnel that is on its way is looked at. */
const POLL_MS = 50;

/** Kinds that ask for more than table entries: these alone wait when the role has no context for them (yet). */
const CONTEXT_KINDS: ReadonlySet<string> = new Set([...singleKinds, 'siteConnection']);

/** Sentences of a plan's `pending` that are about resources of one kind alone. */
const OF_ONE_KIND: readonly (readonly [form: RegExp, kind: ResourceKind])[] = [
  [/^Site connection (?<id>\S+) waits /, 'siteConnection'],
  [/^Forwarding (waits|of) /, 'forwarding'],
  [/^BGP (waits|tells|peer|network) /, 'bgp'],
];

/** Whether such a sentence says why the resource waits. */
function concerns(reason: string, { kind, id }: ResourceKey): boolean {
  for (const [form, one] of OF_ONE_KIND) {
    const found = form.exec(reason);
    if (found !== null) return kind === one && (found.groups === undefined || found.groups.id === id);
  }
  return true;
}

/** Of the store's file, and of what SQLite has not moved into it yet. */
function storeBytes(path: string): number {
  return [path, `${path}-wal`].reduce(
    (sum, file) => sum + (statSync(file, { throwIfNoEntry: false })?.size ?? 0),
    0,
  );
}

export function nodeOperations(from: OperationsSources): Operations {
  const { store, core, drops, links, role, sequencer, drift } = from;
  const since = from.started.toISOString();

  function providerStatus(address: string): ResourceStatus {
    const reason = links.providerFailure(address);
    if (reason !== undefined) return { state: 'failed', reason, since };
    return { state: links.hasProvider(address) ? 'ready' : 'pending', since };
  }

  /** The routes of the node are set up together with its links: until that is done, none of them is sure. */
  function routeStatus(id: string, revision: number): ResourceStatus {
    if (sequencer.nodeRevision < revision) return { state: 'pending', since };
    const reason = links.routeFailure(id);
    return reason === undefined ? { state: 'ready', since } : { state: 'failed', reason, since };
  }

  function portStatus(name: string, revision: number): ResourceStatus {
    const trouble = role.portTrouble(name);
    const vsid = store.state.ports.get(name)?.virtualSubnetId;
    if (vsid === undefined) return { ...(trouble ?? { state: 'ready' }), since };
    const status = sequencer.status(store.state.vsidOwners.get(vsid) ?? '', revision, 'port', name);
    return status.state !== 'ready' || trouble === undefined ? status : { ...status, ...trouble };
  }

  function resourceStatus(key: ResourceKey, revision: number): ResourceStatus {
    const status = statusOf(key, revision);
    return status.state === 'ready' ? (drift.status(key) ?? status) : status;
  }

  function statusOf(key: ResourceKey, revision: number): ResourceStatus {
    const id = key.id ?? '';
    if (key.kind === 'providerAddress') return providerStatus(id);
    if (key.kind === 'providerRoute') return routeStatus(id, revision);
    if (key.kind === 'port') return portStatus(id, revision);
    // The kernel has nothing of a pool.
    if (key.kind === 'externalAddressPool')
      return { state: 'ready', since: store.get(key)?.modified ?? since };
    const status = sequencer.status(key.rdid ?? '', revision, key.kind, key.id);
    if (status.state !== 'ready' || !CONTEXT_KINDS.has(key.kind)) return status;
    const tunnel = key.kind === 'siteConnection' ? role.siteConnections(key.rdid ?? '').get(id) : undefined;
    if (tunnel !== undefined) return tunnelStatus(tunnel);
    const pending = sequencer.pendingReasons(key.rdid ?? '').filter((reason) => concerns(reason, key));
    if (pending.length > 0) return { ...status, state: 'pending', reason: pending.join(' ') };
    // It has not been begun with.
    return key.kind === 'siteConnection' ? { ...status, state: 'pending' } : status;
  }

  /** What of a domain asks for more than table entries. */
  function contextParts(rdid: string): ResourceKey[] {
    const domain = store.state.domains.get(rdid);
    if (domain === undefined) return [];
    return [
      ...singleKinds.filter((kind) => domain[kind] !== undefined).map((kind) => ({ kind, rdid })),
      ...[...domain.siteConnections.keys()].map((id) => ({ kind: 'siteConnection', rdid, id }) as const),
    ];
  }

  function dropSample(sample: SampledDrop, rdids: ReadonlyMap<number, string>): DropSample {
    const rdid = rdids.get(sample.domain);
    return {
      at: sample.at.toISOString(),
      reason: sample.reason,
      ...(rdid === undefined ? {} : { routingDomainId: rdid }),
      interface: linkName(sample.ifindex) ?? `ifindex ${sample.ifindex}`,
      length: sample.length,
      head: Buffer.from(sample.head).toString('hex'),
    };
  }

  /** Under which names the sequencer works on a resource: those of domains, the empty one for the node's own links. */
  function worksOn({ kind, rdid, id = '' }: ResourceKey): string[] {
    if (kind === 'externalAddressPool') return [];
    if (kind !== 'port') return [rdid ?? ''];
    const { ports, vsidOwners, domains } = store.state;
    const port = ports.get(id);
    // Of a port that has gone nobody knows any more whose it was.
    if (port === undefined) return ['', ...domains.keys()];
    return [vsidOwners.get(port.virtualSubnetId ?? 0) ?? ''];
  }

  /** Waits until what can be said of all of them is final, or the time is over. */
  async function settle(all: readonly WaitedFor[], revision: number, timeoutMs: number): Promise<void> {
    const end = performance.now() + timeoutMs;
    const names = new Set(all.flatMap(({ key }) => worksOn(key)));
    await Promise.all([...names].map((name) => sequencer.settled(name, revision, timeoutMs)));
    // Duplicate address detection takes more than one try, and ends by itself; a port's interface comes when it comes, and a
    // site answers when it does.
    const mayTakeTries = all.filter(({ key: { kind, rdid = '', id = '' } }) => {
      const connections = store.state.domains.get(rdid)?.siteConnections;
      return (
        (kind === 'providerAddress' && store.state.providerAddresses.has(id)) ||
        (kind === 'port' && store.state.ports.has(id)) ||
        (kind === 'siteConnection' && connections?.has(id)) ||
        (kind === 'routingDomain' && connections !== undefined && connections.size > 0)
      );
    });
    const isPending = (each: WaitedFor) => settledStatus(each).state === 'pending';
    while (performance.now() < end && mayTakeTries.some(isPending)) await delay(POLL_MS);
  }

  function settledStatus({ key, revision }: WaitedFor): SettledStatus {
    const { rdid } = key;
    const status = resourceStatus(key, revision);
    // Of a domain that has gone there is nothing to tell once it is out of the kernel.
    const hasGone = key.kind === 'routingDomain' && !store.state.domains.has(rdid ?? '');
    if (hasGone && status.state === 'pending' && !sequencer.isBusy(rdid ?? ''))
      return { state: 'ready', notReady: [] };
    if (key.kind !== 'routingDomain' || rdid === undefined || status.state !== 'ready') {
      return { state: status.state, notReady: status.state === 'ready' ? [] : [{ key, status }] };
    }
    const failures = sequencer.failures(rdid);
    if (failures.length > 0) return { state: 'failed', notReady: failures };
    const notReady = contextParts(rdid)
      .map((part) => ({ key: part, status: resourceStatus(part, revision) }))
      .filter((part) => part.status.state !== 'ready');
    const states = new Set(notReady.map((part) => part.status.state));
    return { state: states.has('failed') ? 'failed' : states.has('pending') ? 'pending' : 'ready', notReady };
  }

  return {
    events: from.journal,
    resourceStatus,
    nodeStatus(): NodeStatus {
      const learning = role.learningCounts();
      const rdids = new Map([...store.state.domains.values()].map(({ handle, rdid }) => [handle, rdid]));
      return {
        version: from.version,
        role: role.name,
        instance: from.instance,
        ready: from.isReady(),
        appliedRevision: sequencer.appliedRevision,
        revision: store.revision,
        routingDomains: sequencer.counts(),
        warnings: [from.apiWarning() ?? [], links.warnings(), role.warnings(), drift.warnings()].flat(),
        features: from.features.map(({ name, present, note }) => ({ name, present, note })),
        unattributedDrops: readStats((name) => core.map(name), 0).drops,
        recentDrops: drops.recent().map((sample) => dropSample(sample, rdids)),
        started: since,
        uptimeSeconds: Math.floor((Date.now() - from.started.getTime()) / 1000),
        storeBytes: storeBytes(from.storePath),
        sequencer: { queueLength: sequencer.queueLength, retries: sequencer.retries },
        drift: { ...from.journal.drift },
        ...(learning === undefined ? {} : { learning: { ...learning } }),
        ...(from.fastPath === undefined ? {} : { fastPath: from.fastPath() }),
        problems: findProblems(store.state, settledStatus),
      };
    },
    isReady: from.isReady,
    contextDrops: (rdid) => role.contextDrops(rdid),
    natUse: (rdid) => role.natUse(rdid),
    natSessions: (rdid, filter) => role.natSessions(rdid, filter),
    siteConnections: (rdid) => role.siteConnections(rdid),
    siteConnection: (rdid, name) => role.siteConnection(rdid, name),
    bgp: (rdid) => role.bgp(rdid),
    bgpRoutes: (rdid) => role.bgpRoutes(rdid),
    uplinkBgp: () => role.uplinkBgp(),
    domainCounters(rdid: string): DomainCounters {
      const handle = store.state.domains.get(rdid)?.handle;
      if (handle === undefined) throw new Error(`no such domain: ${rdid}`);
      return readStats((name) => core.map(name), handle);
    },
    async settled(key, revision, timeoutMs): Promise<ResourceStatus> {
      await settle([{ key, revision }], revision, timeoutMs);
      return resourceStatus(key, revision);
    },
    async allSettled(all, revision, timeoutMs): Promise<SettledStatus[]> {
      await settle(all, revision, timeoutMs);
      return all.map(settledStatus);
    },
  };
}
