/**
 * `npm run bench [-- --check]`: hnvgw beside what it must not be slower than, on this machine, in one run. Figures of
 * different machines or runs cannot be compared; the ratios can. With --check it exits with 1 when a ratio is below its floor
 * (floors.json). Parts of it: --host from host to host, --connections new TCP connections through NAT. Instead of it: --tunnels
 * TCP through IPsec. Instead of it, beside their limits: --control-plane under a hoster's load, --port-blocks a thousand domains
 * that share sixteen addresses, --site-connections 250 IPsec tunnels of a hundred domains, --bgp BGP of a hundred domains.
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
import { portBlocks } from './port-blocks.ts';
import { buildBenchPrograms } from './programs.ts';
import { judge, type Part, table, writeResults } from './report.ts';
import { siteConnections } from './site-connections.ts';
import { tunnels } from './tunnels.ts';

/** Packets of this size or less on average have been cut on their way. */
const PROVIDER_MTU = 1500;

if (process.argv.includes('--fixtures')) process.exit((await import('./fixtures.ts')).benchFixtures() ?? 0);
const { values: options } = parseArgs({
  options: {
    host: { type: 'boolean', default: false },
    connections: { type: 'boolean', default: false },
    'control-plane': { type: 'boolean', default: false },
    'port-blocks': { type: 'boolean', default: false },
    'site-connections': { type: 'boolean', default: false },
    bgp: { type: 'boolean', default: false },
    tunnels: { type: 'boolean', default: false },
    check: { type: 'boolean', default: false },
  },
});
const lab = await Lab.create('bench');
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => {
    void lab.close().finally(() => process.exit(1));
  });

try {
  if (!(await run()) && options.check) process.exitCode = 1;
} finally {
  await lab.close();
}

/** Whether what was asked for is as good as it must be. */
function run(): Promise<boolean> {
  if (options['control-plane']) return runControlPlane(controlPlane);
  if (options.bgp) return runControlPlane(bgpDomains);
  if (options['site-connections']) return runControlPlane(siteConnections);
  return options['port-blocks'] ? runControlPlane(portBlocks) : runDataPlane();
}

/** Whether everything is within its limits. */
async function runControlPlane(part: (lab: Lab) => Promise<Row[]>): Promise<boolean> {
  const rows = await part(lab);
  console.log(`\n${controlPlaneTable(rows)}\n\nWritten to ${writeControlPlane(rows)}`);
  return rows.every(isGoodEnough);
}

function chosenParts(): ((fabric: Fabric) => Promise<Part>)[] {
  if (options.host) return [hostToHost];
  if (options.tunnels) return [tunnels];
  return options.connections ? [gatewayConnections] : [gateway, hostToHost];
}

/** Whether every ratio is above its floor, and super-packets stayed whole. */
async function runDataPlane(): Promise<boolean> {
  await buildBenchObjects();
  await buildBenchPrograms();
  const fabric = await Fabric.create(lab);
  const parts: Part[] = [];
  for (const run of chosenParts()) parts.push(await run(fabric));
  const results = parts.flatMap(({ comparisons }) => comparisons).map(judge);
  const superPackets = Object.assign({}, ...parts.map((part) => part.superPackets)) as Record<string, number>;
  const whole = Object.values(superPackets).every((size) => size > PROVIDER_MTU);
  console.log(`\n${table(results)}\n`);
  console.log(
    `Medians (smallest … largest); ratios within each round. Figures on one core are per second of that core’s time.
The generator’s cost is in all packet rates, which draws their ratios towards 1.`,
  );
  const sizes = Object.entries(superPackets).map(
    ([where, size]) => `${where} ${(size / 1000).toFixed(1)} kB`,
  );
  if (sizes.length > 0)
    console.log(
      `Super-packets on the provider NIC: ${sizes.join(', ')} on average${whole ? '' : '  NOT OK: they were cut'}`,
    );
  console.log(`Written to ${writeResults(results, superPackets)}`);
  return whole && results.every((result) => result.ok);
}
