/** The API's questions, answered from the data plane and the sequencer of this process. */
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
import type { Sequencer } from './sequencer.ts';

export interface OperationsSources {
  store: Store;
  core: EncapCore;
  drops: DropSamples;
  links: NodeLinks;
  sequencer: Sequencer;
  features: readonly KernelFeature[];
  version: string;
  instance: string;
  /** When this process began, for the status of what it found in place. */
  started: Date;
  isReady: () => boolean;
}

/** Kinds that ask for more than table entries: these alone wait when a context cannot be made yet. */
const CONTEXT_KINDS = new Set(['gateway', 'nat']);

export function gatewayOperations(from: OperationsSources): Operations {
  const { store, core, drops, links, sequencer } = from;
  const since = from.started.toISOString();

  function providerStatus(address: string): ResourceStatus {
    const reason = links.providerFailure(address);
    if (reason !== undefined) return { state: 'failed', reason, since };
    return { state: links.hasProvider(address) ? 'ready' : 'pending', since };
  }

  function resourceStatus(key: ResourceKey, revision: number): ResourceStatus {
    if (key.kind === 'providerAddress') return providerStatus(key.id ?? '');
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

  return {
    resourceStatus,
    nodeStatus(): NodeStatus {
      const rdids = new Map([...store.state.domains.values()].map(({ handle, rdid }) => [handle, rdid]));
      return {
        version: from.version,
        role: 'gateway',
        instance: from.instance,
        ready: from.isReady(),
        appliedRevision: sequencer.appliedRevision,
        revision: store.revision,
        routingDomains: sequencer.counts(),
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
      // A change of the node's links is worked off under the empty name.
      await sequencer.settled(key.rdid ?? '', revision, timeoutMs);
      return resourceStatus(key, revision);
    },
  };
}
