/** What gateway and host have in common: puts store, data plane, role and API together, and takes care of start and stop. */
import { type Logger, pino } from 'pino';
import { buildApp } from '../api/app.ts';
import { Certificate } from '../api/certificate.ts';
import { openListeners } from '../api/listeners.ts';
import type { Config, DataplaneConfig, RoleName } from '../config/config.ts';
import { EncapCore } from '../encap/core.ts';
import { DropSamples } from '../encap/drop-samples.ts';
import { FastPath } from '../encap/fast-path.ts';
import { DomainTables } from '../encap/tables.ts';
import { ensureBpffs } from '../linux/bpffs.ts';
import { CONNTRACK_FROM_EBPF, probeFeatures, requireFeatures } from '../linux/features.ts';
import type { NodeSettings } from '../store/memory-state.ts';
import { openStore } from '../store/sqlite.ts';
import type { Store } from '../store/store.ts';
import { programVersion } from '../version.ts';
import { Drift } from './drift.ts';
import { FastLinks } from './fast-links.ts';
import { type EventSink, Journal } from './journal.ts';
import { LinkWatch } from './link-watch.ts';
import { NodeLinks } from './node-links.ts';
import { NodeStatuses } from './node-statuses.ts';
import { nodeOperations } from './operations.ts';
import { ProviderGroups } from './provider-groups.ts';
import { Reconciler } from './reconciler.ts';
import type { Role } from './role.ts';
import { RouteWatch } from './route-watch.ts';
import { Sequencer, type TellStatus, type Work } from './sequencer.ts';

/** What a role is made from. */
export interface NodeParts {
  readonly store: Store;
  readonly core: EncapCore;
  readonly fast: FastPath;
  readonly links: NodeLinks;
  readonly watch: LinkWatch;
  readonly log: Logger;
  readonly events: EventSink;
  /** Has a domain taken up again though the store has not changed. */
  readonly again: (rdid: string) => void;
  /** Resolves when every domain of the store was tried once. */
  readonly ready: Promise<void>;
}

export interface RoleDescription {
  readonly name: RoleName;
  /** Whether every interface of the machine may matter to the role, and not the node's own alone. */
  readonly watchesAllLinks: boolean;
  /** The first of its uplinks is the interface that leads to the outside. */
  readonly settings: NodeSettings;
  /** How established flows are carried; undefined for a role without routing contexts, which has none. */
  readonly dataplane?: DataplaneConfig;
  readonly create: (parts: NodeParts) => Role;
}

/** Logs each warning when it appears. */
class WarningLog {
  readonly #log: Logger;
  #known: ReadonlySet<string> = new Set();

  constructor(log: Logger) {
    this.#log = log;
  }

  show(warnings: readonly string[]): void {
    for (const warning of warnings) if (!this.#known.has(warning)) this.#log.warn(warning);
    this.#known = new Set(warnings);
  }
}

/**
 * Runs a node until SIGTERM or SIGINT. The data plane goes on without the process: what is stopped here is only its
 * control. Throws HnvError when the node cannot start.
 */
export async function runNode(config: Config, description: RoleDescription): Promise<void> {
  const started = new Date();
  const log = pino({ level: config.log.level });
  const { listen, tls, ...limits } = config.api;
  const certificate = tls === undefined ? undefined : new Certificate(tls, log);
  ensureBpffs(); // a fresh machine may have it unmounted, which is no lack of the kernel's
  const features = probeFeatures();
  requireFeatures(features);
  for (const { name, present, note } of features) if (!present) log.warn({ feature: name }, note);

  const store = await openStore({
    ...{ path: config.store.path, capacity: config.capacity, audit: config.audit },
    settings: description.settings,
  });
  const journal = new Journal(store);
  const { instance } = config;
  const { xdp, spreadOver } = description.dataplane ?? { xdp: 'off', spreadOver: [] };
  const isFast =
    xdp !== 'off' && features.some(({ name, present }) => name === CONNTRACK_FROM_EBPF && present);
  const fastFlows = description.dataplane === undefined ? 1 : config.capacity.fastFlows;
  const core = EncapCore.open(
    instance,
    { ...config.capacity, fastFlows },
    { fast: isFast, spread: spreadOver.length > 0 },
  );
  const fast = new FastPath(core, isFast);
  const isGateway = description.dataplane !== undefined;
  const routes = isGateway ? new RouteWatch(fast) : undefined;
  const drops = new DropSamples(core.map('drop_samples'));
  const fastLinks = new FastLinks(core, {
    ...{ instance, setting: xdp, spreadOver, asksRoutes: isGateway },
    invalidateAll: () => fast.invalidateAll(),
  });
  const links = new NodeLinks(core, instance, fastLinks, description.settings.uplinks);
  links.uplinks.find();
  const isOwnLink = (name: string): boolean =>
    links.uplinks.has(name) ||
    [...store.state.providerAddresses.values()].some((address) => address.interface === name);
  const watch = await LinkWatch.start({
    log,
    concerns: (name) => description.watchesAllLinks || isOwnLink(name),
    onChange: (names) => {
      if ([...names].some(isOwnLink)) {
        fast.invalidateAll();
        sequencer.nodeAgain();
      }
      role.linksChanged(names);
    },
  });
  const again = (rdid: string): void => sequencer.again(rdid);
  const { promise: isReady, resolve: becomeReady } = Promise.withResolvers<void>();
  const role = description.create({
    store,
    core,
    fast,
    links,
    watch,
    log,
    events: journal,
    again,
    ready: isReady,
  });
  const tables = new DomainTables((name) => core.map(name));
  const groups = new ProviderGroups((memberships) => links.applyGroups(memberships));
  const reconciler = new Reconciler(tables, role, groups, fast);
  const warningLog = new WarningLog(log);
  let ready = false;
  const tellStatus: TellStatus = (key, status) => journal.noteStatus(key, status, !ready);
  const nodeStatuses = new NodeStatuses(store, links, tellStatus);
  const work: Work = {
    applyNode: async () => {
      role.applyNode(store.state);
      const { providerAddresses, providerRoutes } = store.state;
      await links.applyProviders(providerAddresses, providerRoutes).finally(() => fast.invalidateAll());
      nodeStatuses.look();
      if (ready) links.attach();
      warningLog.show(links.warnings());
      links.requireProviders();
    },
    applyDomain: (rdid) => {
      drift.lookBefore(rdid);
      return reconciler.apply(rdid, store.state);
    },
  };
  const sequencer = new Sequencer(store, work, log, tellStatus);
  const drift = new Drift({ ...{ store, core, tables, links, role, sequencer, log }, events: journal });
  const version = programVersion();
  const app = buildApp({
    store,
    version,
    limits,
    logger: log,
    operations: nodeOperations({
      ...{ store, core, drops, links, role, sequencer, drift, journal, features, version, started },
      instance,
      storePath: config.store.path,
      isReady: () => ready,
      ...(description.dataplane === undefined ? {} : { fastPath: () => fastLinks.state }),
      apiWarning: () => certificate?.warning,
    }),
  });
  await openListeners(app, listen, certificate === undefined ? {} : { certificate });
  log.info({ role: role.name, instance, revision: store.revision }, `hnvgw ${role.name} has started`);

  // Programs go onto the node's own interfaces after the tables are whole, so that a new generation takes over filled.
  await reconciler.removeOrphans(store.state);
  await sequencer.start();
  links.attach();
  core.discardOtherGenerations();
  ready = true;
  becomeReady();
  drift.start();
  log.info({ routingDomains: sequencer.counts() }, 'the kernel has what the store says');

  await new Promise<void>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve());
  });
  log.info('stopping; the data plane goes on');
  certificate?.close();
  await app.close();
  await watch.close();
  routes?.close();
  await drift.close();
  await sequencer.stop();
  await role.close();
  await drops.close();
  journal.close();
  await store.close();
  core.close();
}
