/** The API's questions, answered from the data plane and the sequencer of this process. */
import { setTimeout as delay } from 'node:timers/promises';
import type {
  DomainCounters,
  DropSample,
  NodeStatus,
  Operations,
  ResourceStatus,
} from '../api/operations.ts';
import type { EncapCore } from '../encap/core.ts';
import type { DropSamples, SampledDrop } from '../encap/drop-samples.ts';
import { readStats } from '../encap/stats.ts';
import type { KernelFeature } from '../linux/features.ts';
import { linkName } from '../linux/links.ts';
import type { ResourceKey, Store } from '../store/store.ts';
import type { NodeLinks } from './node-links.ts';
import type { Role } from './role.ts';
import type { Sequencer } from './sequencer.ts';

export interface OperationsSources {
  store: Store;
  core: EncapCore;
  drops: DropSamples;
  links: NodeLinks;
  role: Role;
  sequencer: Sequencer;
  features: readonly KernelFeature[];
  version: string;
  instance: string;
  /** When this process began, for the status of what it found in place. */
  started: Date;
  isReady: () => boolean;
}

/** How often a provider address or a port that is on its way is looked at. */
const POLL_MS = 50;

/** Kinds that ask for more than table entries: these alone wait when the role has no context for them (yet). */
const CONTEXT_KINDS = new Set(['gateway', 'nat']);

export function nodeOperations(from: OperationsSources): Operations {
  const { store, core, drops, links, role, sequencer } = from;
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
    const status = sequencer.status(store.state.vsidOwners.get(vsid) ?? '', revision);
    return status.state !== 'ready' || trouble === undefined ? status : { ...status, ...trouble };
  }

  function resourceStatus(key: ResourceKey, revision: number): ResourceStatus {
    const id = key.id ?? '';
    if (key.kind === 'providerAddress') return providerStatus(id);
    if (key.kind === 'providerRoute') return routeStatus(id, revision);
    if (key.kind === 'port') return portStatus(id, revision);
    const status = sequencer.status(key.rdid ?? '', revision);
    if (status.state !== 'ready' || !CONTEXT_KINDS.has(key.kind)) return status;
    const pending = sequencer.pendingReasons(key.rdid ?? '');
    return pending.length === 0 ? status : { ...status, state: 'pending', reason: pending.join(' ') };
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
    if (kind !== 'port') return [rdid ?? ''];
    const { ports, vsidOwners, domains } = store.state;
    const port = ports.get(id);
    // Of a port that has gone nobody knows any more whose it was.
    if (port === undefined) return ['', ...domains.keys()];
    return [vsidOwners.get(port.virtualSubnetId ?? 0) ?? ''];
  }

  return {
    resourceStatus,
    nodeStatus(): NodeStatus {
      const rdids = new Map([...store.state.domains.values()].map(({ handle, rdid }) => [handle, rdid]));
      return {
        version: from.version,
        role: role.name,
        instance: from.instance,
        ready: from.isReady(),
        appliedRevision: sequencer.appliedRevision,
        revision: store.revision,
        routingDomains: sequencer.counts(),
        warnings: [...links.warnings(), ...role.warnings()],
        features: from.features.map(({ name, present, note }) => ({ name, present, note })),
        unattributedDrops: readStats(core.map('stats'), 0).drops,
        recentDrops: drops.recent().map((sample) => dropSample(sample, rdids)),
      };
    },
    domainCounters(rdid: string): DomainCounters {
      const handle = store.state.domains.get(rdid)?.handle;
      if (handle === undefined) throw new Error(`no such domain: ${rdid}`);
      return readStats(core.map('stats'), handle);
    },
    async settled(key, revision, timeoutMs): Promise<ResourceStatus> {
      const end = performance.now() + timeoutMs;
      await Promise.all(worksOn(key).map((name) => sequencer.settled(name, revision, timeoutMs)));
      let status = resourceStatus(key, revision);
      // Duplicate address detection takes more than one try, and ends by itself; a port's interface comes when it comes.
      const mayTakeTries = key.kind === 'providerAddress' || key.kind === 'port';
      while (mayTakeTries && status.state === 'pending' && performance.now() < end) {
        await delay(POLL_MS);
        status = resourceStatus(key, revision);
      }
      return status;
    },
  };
}
