/**
 * BGP of a hundred routing domains on the real gateway at once: how long until all sessions are established and their routes
 * learned, how long one more takes, and the memory that a domain's FRR has. Their peer is one BIRD, on a VLAN with each.
 */
import { readFile } from 'node:fs/promises';
import { contextNames } from '../src/gateway/names.ts';
import { BirdSpeaker } from '../test/lab/bgp-speaker.ts';
import { CorporateSwitch } from '../test/lab/corporate-network.ts';
import { Fabric } from '../test/lab/fabric.ts';
import { processesIn } from '../test/lab/gateway-remains.ts';
import type { Lab } from '../test/lab/lab.ts';
import { until } from '../test/lab/until.ts';
import { ALONE, bgpBody, bgpDomain, bgpLink, bgpPolicy, DOMAINS, OWN_ASN, PEER_ASN } from './bgp-policy.ts';
import { spread } from './contest.ts';
import { BenchNode } from './control-plane-node.ts';
import type { Row } from './control-plane-report.ts';

const NETWORK = '172.16.0.0/24';
const ROUNDS = 5;

/** Everything, on a gateway of its own. */
export async function bgpDomains(lab: Lab): Promise<Row[]> {
  const node = await BenchNode.start(await Fabric.create(lab));
  try {
    const peer = await startPeer(lab, node);
    const before = (await node.memory()).resident;
    await node.loopDelay();
    const rows = [await bringUp(node, peer)];
    rows.push(row('the event loop was not free for, at most', await node.loopDelay(), 'ms'));
    rows.push(await memory(node));
    const after = (await node.memory()).resident;
    rows.push(row('the gateway’s process has grown', after - before, 'MiB'));
    rows.push(row('one domain more: from the PUT to its session', await bringUpAlone(node, peer), 's'));
    rows.push(row('restart of the gateway, sessions adopted', await restart(node, peer), 's'));
    return rows;
  } finally {
    node.close();
  }
}

function row(title: string, value: number, unit: string): Row {
  console.log(`  ${title}: ${value.toFixed(2)} ${unit}`);
  return { title, value, unit };
}

/** One router that is in all VLANs. */
async function startPeer(lab: Lab, node: BenchNode): Promise<BirdSpeaker> {
  const at = await CorporateSwitch.create(node.internet, node.gateway.namespace);
  const router = await lab.namespace('peer');
  const links = Array.from({ length: DOMAINS + 1 }, (_, number) => bgpLink(number));
  for (const [number, { vlanId }] of links.entries())
    await at.join(router, `up${number}`, `peer${number}`, vlanId);
  await router.ipBatch(links.map(({ peer, length }, number) => `addr add ${peer}/${length} dev up${number}`));
  return BirdSpeaker.start(router, {
    ...{ asn: PEER_ASN, routerId: '172.31.0.1', networks: [NETWORK] },
    neighbors: links.map(({ domain, peer }) => ({
      ...{ address: domain, asn: OWN_ASN, localAddress: peer, password: 'both-know-it', holdTimeSeconds: 90 },
    })),
  });
}

/** Until so many sessions are established at the peer, and it has their routes. */
async function established(peer: BirdSpeaker, count: number): Promise<void> {
  let [up, routes] = [0, 0];
  await until(`${count} BGP sessions are established`, 60_000, async () => {
    up = (await peer.birdc('show protocols')).match(/ Established/g)?.length ?? 0;
    const [learned] = (await peer.routes()).values();
    routes = learned?.nextHops.length ?? 0;
    return up === count && routes === count;
  }).catch((error: unknown) => {
    throw new Error(`${up} sessions are up with ${routes} routes; ${peer.log.slice(-5).join('\n')}`, {
      cause: error,
    });
  });
}

/** Seconds from the policy; the domains with NAT and forwarding are there by then, too. */
async function bringUp(node: BenchNode, peer: BirdSpeaker): Promise<Row> {
  const began = performance.now();
  await node.must('PUT', '/v1/policy', bgpPolicy());
  await established(peer, DOMAINS);
  return row(`BGP of ${DOMAINS} new domains: established`, (performance.now() - began) / 1000, 's');
}

/** Median of the seconds that one more domain takes when the others are there. */
async function bringUpAlone(node: BenchNode, peer: BirdSpeaker): Promise<number> {
  const path = `/v1/routing-domains/${bgpDomain(ALONE).rdid}/bgp`;
  const seconds: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const began = performance.now();
    await node.must('PUT', path, bgpBody(ALONE));
    await established(peer, DOMAINS + 1);
    seconds.push((performance.now() - began) / 1000);
    await node.must('DELETE', `${path}?wait=10s`);
    await established(peer, DOMAINS);
  }
  return spread(seconds).median;
}

/** Of zebra and bgpd of a domain together. */
async function memory(node: BenchNode): Promise<Row> {
  const domains = Array.from({ length: DOMAINS }, (_, number) => bgpDomain(number));
  const sizes = await Promise.all(
    domains.map(async ({ rdid }) => {
      const pids = await processesIn(contextNames(node.gateway.instance, rdid).netns);
      const texts = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/smaps_rollup`, 'utf8')));
      return texts.reduce((sum, text) => sum + Number(/^Pss:\s+(\d+) kB$/m.exec(text)?.[1]), 0);
    }),
  );
  return row('memory of a domain’s FRR (PSS)', spread(sizes).median / 1024, 'MiB');
}

/** Seconds from SIGKILL until the next process knows all sessions to be up: the same ones, nobody has begun another. */
async function restart(node: BenchNode, peer: BirdSpeaker): Promise<number> {
  const before = await connections(peer);
  const began = performance.now();
  await node.restart();
  await until('the gateway has adopted the sessions', 60_000, async () => {
    const { body } = await node.must('GET', '/metrics');
    return [...String(body).matchAll(/^hnvgw_bgp_session_up\{.*\} 1$/gm)].length === DOMAINS;
  });
  const seconds = (performance.now() - began) / 1000;
  if ((await connections(peer)) !== before) throw new Error('sessions were not adopted: there are others');
  return seconds;
}

/** Both ends of the TCP connections of all sessions. */
async function connections({ namespace }: BirdSpeaker): Promise<string> {
  const { stdout } = await namespace.runChecked(['ss', '-tnH', 'state', 'established']);
  return stdout
    .replace(/^\d+\s+\d+\s+/gm, '')
    .split('\n')
    .sort()
    .join('\n');
}
