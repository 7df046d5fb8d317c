/**
 * A thousand routing domains on sixteen public addresses by port blocks, on the real gateway: all of them talk at once, and
 * then single ones are added and taken away beside them. Each figure beside its limit, where it has one.
 */
import { contextNames } from '../src/gateway/names.ts';
import { Fabric } from '../test/lab/fabric.ts';
import type { Lab } from '../test/lab/lab.ts';
import { BenchNode } from './control-plane-node.ts';
import type { Row } from './control-plane-report.ts';
import { BlockConnections } from './port-blocks-connections.ts';
import { footprint, touched } from './port-blocks-footprint.ts';
import {
  ADDRESSES,
  type BlockDomain,
  blockDomain,
  blockPolicy,
  DOMAINS,
  SPARE_BLOCKS,
} from './port-blocks-policy.ts';
import { quantile } from './quantile.ts';

const ADDITIONS = 30;
const ADDITION_MS = 20;

/** Everything, on a gateway of its own. */
export async function portBlocks(lab: Lab): Promise<Row[]> {
  const node = await BenchNode.start(await Fabric.create(lab));
  try {
    const domains = Array.from({ length: DOMAINS }, (_, number) => blockDomain(number));
    const rows = [await provision(node, domains)];
    const connections = await BlockConnections.start(node);
    const began = performance.now();
    await connections.run(domains);
    rows.push(row(`a connection of each of ${DOMAINS}, all open at once`, performance.now() - began, 'ms'));
    for (const whole of [true, false]) rows.push(...(await additions(node, connections, whole)));
    await connections.run(domains);
    return rows;
  } finally {
    node.close();
  }
}

function row(title: string, value: number, unit: string, limit?: Row['limit']): Row {
  console.log(`  ${title}: ${value.toFixed(1)} ${unit}`);
  return { title, value, unit, ...(limit === undefined ? {} : { limit }) };
}

async function provision(node: BenchNode, domains: readonly BlockDomain[]): Promise<Row> {
  const began = performance.now();
  await node.must('PUT', '/v1/policy', blockPolicy(domains, { nat: true }));
  await node.ready(domains.length);
  return row(
    `${DOMAINS} domains on ${ADDRESSES} addresses: in the kernel`,
    (performance.now() - began) / 1000,
    's',
  );
}

/** Adds one after the other, `whole` domains or the NAT of domains that are there without, and takes each away again. */
async function additions(node: BenchNode, connections: BlockConnections, whole: boolean): Promise<Row[]> {
  const title = whole ? 'one domain more' : 'NAT for one domain more';
  const { instance } = node.gateway;
  const times: number[] = [];
  const most = { added: 0, changed: 0, contexts: 0 };
  for (let addition = 0; addition < ADDITIONS; addition++) {
    const domain = blockDomain(DOMAINS + addition, DOMAINS + (addition % SPARE_BLOCKS));
    const path = `/v1/routing-domains/${domain.rdid}`;
    if (!whole) await node.must('POST', '/v1/policy?wait=60s', blockPolicy([domain], { nat: false }));
    const before = await footprint(instance);
    const began = performance.now();
    if (whole) await node.must('POST', '/v1/policy?wait=60s', blockPolicy([domain], { nat: true }));
    else await node.must('PUT', `${path}/nat?wait=60s`, { externalAddresses: [domain.block] });
    times.push(performance.now() - began);
    const difference = touched(before, await footprint(instance), contextNames(instance, domain.rdid).netns);
    for (const key of ['added', 'changed', 'contexts'] as const)
      most[key] = Math.max(most[key], difference[key]);
    await connections.run([domain]);
    await node.must('DELETE', `${path}?wait=60s`);
  }
  times.sort((a, b) => a - b);
  const none = { most: 0 };
  // A whole domain is a namespace with its links, too.
  const limit = whole ? undefined : { most: ADDITION_MS };
  return [
    row(`${title}: ready, p50`, quantile(times, 0.5), 'ms', limit),
    row(`${title}: ready, p99 of ${ADDITIONS}`, quantile(times, 0.99), 'ms', limit),
    row(`${title}: map entries added, most`, most.added, ''),
    row(`${title}: entries of others changed`, most.changed, '', none),
    row(`${title}: rules of others changed`, most.contexts, '', none),
  ];
}
