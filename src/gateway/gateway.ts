/** The gateway role: puts store, data plane, contexts and API together, and takes care of start and stop. */
import { chmodSync, readFileSync, rmSync } from 'node:fs';
import type { FastifyInstance } from 'fastify';
import { pino } from 'pino';
import { buildApp } from '../api/app.ts';
import type { Config } from '../config/config.ts';
import type { ListenAddress } from '../config/listen-address.ts';
import { EncapCore } from '../encap/core.ts';
import { DropSamples } from '../encap/drop-samples.ts';
import { DomainTables } from '../encap/tables.ts';
import { ensureBpffs } from '../linux/bpffs.ts';
import { probeFeatures, requireFeatures } from '../linux/features.ts';
import { openStore } from '../store/sqlite.ts';
import { Contexts } from './contexts.ts';
import { NodeLinks } from './node-links.ts';
import { gatewayOperations } from './operations.ts';
import { Reconciler } from './reconciler.ts';
import { Sequencer, type Work } from './sequencer.ts';

function programVersion(): string {
  return JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version;
}

/** A socket file outlives a killed process; that nobody else has it follows from the store, which is ours alone by now. */
async function listen(app: FastifyInstance, address: ListenAddress): Promise<void> {
  if ('path' in address) rmSync(address.path, { force: true });
  await app.listen(address);
  if ('path' in address) chmodSync(address.path, 0o600);
}

/**
 * Runs a gateway node until SIGTERM or SIGINT. The data plane goes on without the process: what is stopped here is only
 * its control. Throws HnvError when the node cannot start.
 */
export async function runGateway(config: Config): Promise<void> {
  const started = new Date();
  const log = pino({ level: config.log.level });
  ensureBpffs(); // a fresh machine may have it unmounted, which is no lack of the kernel's
  const features = probeFeatures();
  requireFeatures(features);
  for (const { name, present, note } of features) if (!present) log.warn({ feature: name }, note);

  const store = openStore({ path: config.store.path, capacity: config.capacity });
  const core = EncapCore.open(config.instance, config.capacity);
  const drops = new DropSamples(core.map('drop_samples'));
  const links = new NodeLinks(core, config.uplink.interface);
  await links.findUplink();
  const tables = new DomainTables((name) => core.map(name));
  const reconciler = new Reconciler(core, tables, new Contexts(config.instance), links);
  let ready = false;
  const work: Work = {
    applyNode: async () => {
      await links.applyProviders(store.state.providerAddresses);
      if (ready) links.attach();
      links.requireProviders();
    },
    applyDomain: (rdid) => reconciler.apply(rdid, store.state),
  };
  const sequencer = new Sequencer(store, work, log);
  const version = programVersion();
  const app = buildApp({
    store,
    version,
    logger: log,
    operations: gatewayOperations({
      ...{ store, core, drops, links, sequencer, features, version, started },
      instance: config.instance,
      isReady: () => ready,
    }),
  });
  await listen(app, config.api.listen);
  log.info({ instance: config.instance, revision: store.revision }, 'hnvgw gateway has started');

  // Programs go onto the node's own interfaces after the tables are whole, so that a new generation takes over filled.
  await reconciler.removeOrphans(store.state);
  await sequencer.start();
  links.attach();
  core.discardOtherGenerations();
  ready = true;
  log.info({ routingDomains: sequencer.counts() }, 'the kernel has what the store says');

  await new Promise<void>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve());
  });
  log.info('stopping; the data plane goes on');
  await app.close();
  await sequencer.stop();
  await drops.close();
  store.close();
  core.close();
}
