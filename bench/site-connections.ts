/**
 * 250 site connections of a hundred routing domains on the real gateway, up at once: how long that takes, and the memory that
 * a domain's IKE daemon has. The sites are five strongSwans of their own.
 */
import { readFile } from 'node:fs/promises';
import { contextNames } from '../src/gateway/names.ts';
import { Fabric } from '../test/lab/fabric.ts';
import { processesIn } from '../test/lab/gateway-remains.ts';
import type { Lab } from '../test/lab/lab.ts';
import { Site } from '../test/lab/site.ts';
import { until } from '../test/lab/until.ts';
import { BenchNode } from './control-plane-node.ts';
import type { Row } from './control-plane-report.ts';
import { blockDomain } from './port-blocks-policy.ts';
import {
  CONNECTIONS,
  DOMAINS,
  SITES,
  siteAddresses,
  sitePolicy,
  siteTunnels,
} from './site-connections-policy.ts';

/** Everything, on a gateway of its own. */
export async function siteConnections(lab: Lab): Promise<Row[]> {
  const node = await BenchNode.start(await Fabric.create(lab));
  try {
    await Promise.all(
      Array.from({ length: SITES }, async (_, index) => {
        const tunnels = siteTunnels(index);
        const site = await Site.create(lab, node.internet, {
          name: `site${index}`,
          addresses: siteAddresses(index),
          subnets: tunnels.flatMap(({ local }) => local),
          remotePrefixes: [],
        });
        await site.setTunnels(tunnels);
      }),
    );
    const before = (await node.memory()).resident;
    const rows = [await bringUp(node), ...(await memory(node))];
    const after = (await node.memory()).resident;
    rows.push(row('the gateway’s process has grown', after - before, 'MiB'));
    rows.push(row('restart of the gateway, tunnels adopted', await restart(node), 's'));
    return rows;
  } finally {
    node.close();
  }
}

function row(title: string, value: number, unit: string): Row {
  console.log(`  ${title}: ${value.toFixed(2)} ${unit}`);
  return { title, value, unit };
}

/** Seconds from the policy until all are connected; the domains with NAT are there by then, too. */
async function bringUp(node: BenchNode): Promise<Row> {
  const began = performance.now();
  await node.must('PUT', '/v1/policy', sitePolicy());
  await allConnected(node);
  return row(
    `${CONNECTIONS} connections of ${DOMAINS} new domains: up`,
    (performance.now() - began) / 1000,
    's',
  );
}

async function allConnected(node: BenchNode): Promise<void> {
  let up = 0;
  await until(`${CONNECTIONS} site connections are up`, 60_000, async () => {
    const { body } = await node.must('GET', '/metrics');
    up = [...String(body).matchAll(/^hnvgw_site_connection_up\{.*\} 1$/gm)].length;
    return up === CONNECTIONS;
  }).catch(async (error: unknown) => {
    const { problems } = (await node.must('GET', '/v1/status')).body as { problems: unknown[] };
    throw new Error(`${up} are up; ${JSON.stringify(problems.slice(0, 3))}`, { cause: error });
  });
}

/** Of the IKE daemons of all domains: proportional set size, in which what several share counts by its part, and private pages. */
async function memory(node: BenchNode): Promise<Row[]> {
  const sizes = await Promise.all(
    Array.from({ length: DOMAINS }, async (_, number) => {
      const { netns } = contextNames(node.gateway.instance, blockDomain(number).rdid);
      const [pid] = await processesIn(netns);
      const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8');
      const kib = (name: string): number =>
        Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1] ?? Number.NaN);
      return { shared: kib('Pss'), own: kib('Private_Clean') + kib('Private_Dirty') };
    }),
  );
  const mean = (of: (size: (typeof sizes)[number]) => number): number =>
    sizes.reduce((sum, size) => sum + of(size), 0) / sizes.length / 1024;
  return [
    row(
      'memory of a domain’s IKE daemon (PSS)',
      mean(({ shared }) => shared),
      'MiB',
    ),
    row(
      'of it private',
      mean(({ own }) => own),
      'MiB',
    ),
  ];
}

async function restart(node: BenchNode): Promise<number> {
  const milliseconds = await node.restart();
  await allConnected(node);
  return milliseconds / 1000;
}
