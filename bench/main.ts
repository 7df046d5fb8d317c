/**
 * `npm run bench [-- --check]`: hnvgw beside other ways to do the same, on this machine, in one run (docs/benchmark.md). Figures of
 * different machines or runs cannot be compared; the ratios can. With --check it exits with 1 when a ratio is below its floor
 * (floors.json). --rates, --gateway …: those parts alone; --quick: of the rates only what has floors. Instead of all that, beside
 * their limits: --control-plane under a hoster's load, --port-blocks a thousand domains that share sixteen addresses,
 * --site-connections 250 IPsec tunnels of a hundred domains, --bgp BGP of a hundred domains.
 */
import { parseArgs } from 'node:util';
import { Fabric } from '../test/lab/fabric.ts';
import { Lab } from '../test/lab/lab.ts';
import { bgpDomains } from './bgp.ts';
import { buildBenchObjects } from './bpf-objects.ts';
import { controlPlane } from './control-plane.ts';
import { controlPlaneTable, isGoodEnough, type Row, writeControlPlane } from './control-plane-report.ts';
import { gateway, gatewayConnections } from './gateway.ts';
import { hostToHost } from './host-to-host.ts';
import { latency } from './latency.ts';
import { packetRates } from './packet-rate.ts';
import { portBlocks } from './port-blocks.ts';
import { buildBenchPrograms } from './programs.ts';
import { judge, type Part, report, writeResults } from './report.ts';
import { scale } from './scale.ts';
import { siteConnections } from './site-connections.ts';
import { tunnels } from './tunnels.ts';

interface DataPlanePart {
  /** Whether a run that asks for no part has it. */
  isUsual: boolean;
  /** On a lab of its own. */
  run: (fabric: Fabric) => Promise<Part>;
}

if (process.argv.includes('--fixtures')) process.exit((await import('./fixtures.ts')).benchFixtures() ?? 0);
const flag = { type: 'boolean', default: false } as const;
const { values: options } = parseArgs({
  options: {
    ...{
      rates: flag,
      latency: flag,
      gateway: flag,
      host: flag,
      connections: flag,
      tunnels: flag,
      scale: flag,
    },
    ...{ 'control-plane': flag, 'port-blocks': flag, 'site-connections': flag, bgp: flag },
    ...{ quick: flag, check: flag },
  },
});
const parts = {
  rates: { isUsual: true, run: (fabric) => packetRates(fabric, options) },
  latency: { isUsual: true, run: latency },
  gateway: { isUsual: true, run: gateway },
  host: { isUsual: true, run: hostToHost },
  connections: { isUsual: false, run: gatewayConnections },
  tunnels: { isUsual: false, run: tunnels },
  scale: { isUsual: false, run: (fabric) => scale(fabric) },
} satisfies Partial<Record<keyof typeof options, DataPlanePart>>;

let current: Lab | undefined;
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => {
    void current?.close().finally(() => process.exit(1));
  });
if (!(await run()) && options.check) process.exitCode = 1;

/** Whether what was asked for is as good as it must be. */
function run(): Promise<boolean> {
  if (options['control-plane']) return runControlPlane(controlPlane);
  if (options.bgp) return runControlPlane(bgpDomains);
  if (options['site-connections']) return runControlPlane(siteConnections);
  return options['port-blocks'] ? runControlPlane(portBlocks) : runDataPlane();
}

async function inLab<T>(work: (lab: Lab) => Promise<T>): Promise<T> {
  const lab = await Lab.create('bench');
  current = lab;
  try {
    return await work(lab);
  } finally {
    await lab.close();
  }
}

/** Whether everything is within its limits. */
async function runControlPlane(part: (lab: Lab) => Promise<Row[]>): Promise<boolean> {
  const rows = await inLab(part);
  console.log(`\n${controlPlaneTable(rows)}\n\nWritten to ${writeControlPlane(rows)}`);
  return rows.every(isGoodEnough);
}

/** Whether every ratio is above its floor, and super-packets stayed whole. */
async function runDataPlane(): Promise<boolean> {
  await buildBenchObjects();
  await buildBenchPrograms();
  const names = Object.keys(parts) as (keyof typeof parts)[];
  const asked = names.filter((name) => options[name]);
  const found: Part[] = [];
  for (const name of asked.length > 0 ? asked : names.filter((each) => parts[each].isUsual))
    found.push(await inLab(async (lab) => parts[name].run(await Fabric.create(lab))));
  const results = found.flatMap(({ comparisons }) => comparisons).map(judge);
  const { text, isWhole } = report(found, results);
  console.log(`\n${text}\n\nWritten to ${writeResults(found, results)}`);
  return isWhole && results.every((result) => result.ok);
}
