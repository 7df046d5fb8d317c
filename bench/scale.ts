/**
 * Growth: what a packet costs with one tenant, a thousand and ten thousand, whose lookup records are up to a million, and 100,000
 * flows each time. One gateway for each size, side by side and in turns. Half an hour perhaps, and gigabytes.
 */
import { trafficSize } from '../src/encap/layout.generated.ts';
import { onlineCpus } from '../src/linux/cpus.ts';
import { openMap } from '../test/lab/data-plane-maps.ts';
import type { Fabric } from '../test/lab/fabric.ts';
import { GatewayNode, PROVIDER_NIC, UPLINK_NIC } from '../test/lab/gateway-node.ts';
import { until } from '../test/lab/until.ts';
import { GATEWAY, GATEWAY_PROVIDER_ADDRESS, INTERNET_ADDRESS, UPLINK_ADDRESS } from './bench-tenant.ts';
import { layCables, waysOf } from './cables.ts';
import { ConntrackRoom } from './conntrack-room.ts';
import { contest } from './contest.ts';
import floors from './floors.json' with { type: 'json' };
import { LatencyEnd } from './latency-end.ts';
import { checkFastPath, type Direction, type RatePath } from './rate-path.ts';
import { type Comparison, type Contest, type Part, showTurns } from './report.ts';
import { FIRST_EXTERNAL, FIRST_VSIDS, scalePolicy } from './scale-policy.ts';

/** One node. */
export interface Size {
  tenants: number;
  /** Lookup records of each tenant. */
  records: number;
}

/** What is compared: the first with each of the others. */
export interface Scale {
  sizes: Record<string, Size>;
  flows: number;
  rounds: number;
}

const FULL: Scale = {
  sizes: {
    '1 tenant': { tenants: 1, records: 100 },
    '1,000 tenants': { tenants: 1000, records: 100 },
    '10,000 tenants': { tenants: 10_000, records: 100 },
  },
  flows: 100_000,
  rounds: 15,
};
/** Domains of one request. */
const STEP = 500;
const TURN_MS = 150;
/** Of warming up: flows take their time to become fast, for many share a counter of slow packets. */
const MOST_ROUNDS = 256;
/** Of the packets, when it is over. */
const WARM_SHARE = 0.995;
const READY_MS = 1_800_000;
/** Of struct hnv_traffic: where `fast_packets` is, and how long it is, in words. */
const FAST_PACKETS_AT = 4;
const TRAFFIC_WORDS = trafficSize / 8;

type FastPath = NonNullable<RatePath['fast']>;
interface Contender {
  flows: number;
  fast: FastPath;
  ends: Record<Direction, LatencyEnd>;
}

/** With the sizes of the issue, or others. */
export async function scale(fabric: Fabric, { sizes, flows, rounds }: Scale = FULL): Promise<Part> {
  console.log(
    `Gateway, growth: 60-byte UDP of ${flows} flows that are spread over the tenants; everything on one core`,
  );
  using _room = ConntrackRoom.make();
  const contenders: Record<string, Contender> = {};
  for (const [index, [name, size]] of Object.entries(sizes).entries()) {
    const { up, down, fast } = await buildPath(fabric, `s${index}`, size, flows);
    const job = { flows, tenants: size.tenants };
    contenders[name] = {
      flows,
      fast,
      ends: { up: new LatencyEnd(up, job), down: new LatencyEnd(down, job) },
    };
  }
  for (const [name, contender] of Object.entries(contenders)) await warmUp(name, contender);
  const [reference = '', ...others] = Object.keys(sizes);
  const comparisons: Comparison[] = [];
  const contests: Contest[] = [];
  for (const direction of ['up', 'down'] as const) {
    const turns = Object.entries(contenders).map(
      ([name, contender]) => [name, () => turn(name, contender, direction)] as const,
    );
    const figures = await contest(Object.fromEntries(turns), rounds, showTurns(`Mpps ${direction}`));
    const title = `growth, ${flows} flows, ${direction}`;
    contests.push({ title, unit: 'Mpps', reference, figures });
    for (const name of others)
      comparisons.push({
        title: `${title}, ${name} : ${reference}`,
        unit: 'Mpps',
        hnvgw: figures[name] ?? [],
        reference: figures[reference] ?? [],
        floor: floors.scale,
      });
  }
  return { comparisons, contests, superPackets: {} };
}

/** Both ways of all flows again and again, until they are fast. */
async function warmUp(name: string, { fast, ends }: Contender): Promise<void> {
  const sent = (): number => ends.up.packets + ends.down.packets;
  for (let round = 1; round <= MOST_ROUNDS; round++) {
    const before = { sent: sent(), fast: await fast.packets() };
    for (const end of Object.values(ends)) end.sendRound();
    const share = ((await fast.packets()) - before.fast) / (sent() - before.sent);
    if (share > WARM_SHARE) return console.log(`  ${name}: warm after ${round} rounds`);
  }
  throw new Error(`${name}: flows do not become fast`);
}

/** Mpps. Flows that rested while the others had their turn are looked at anew, which does not count. */
async function turn(name: string, { fast, ends, flows }: Contender, direction: Direction): Promise<number> {
  const end = ends[direction];
  end.sendRound();
  const before = { fast: await fast.packets(), sent: end.packets };
  const perSecond = end.most(TURN_MS);
  const [wasFast, sent] = [(await fast.packets()) - before.fast, end.packets - before.sent];
  checkFastPath(name, fast, { sent, fast: wasFast, flows });
  return perSecond / 1e6;
}

async function buildPath(
  fabric: Fabric,
  short: string,
  { tenants, records }: Size,
  flows: number,
): Promise<RatePath & { fast: FastPath }> {
  const gateway = await GatewayNode.create(fabric, short, `${GATEWAY_PROVIDER_ADDRESS}/24`);
  const capacity = {
    routingDomains: Math.max(tenants, 16),
    lookupRecords: Math.max(tenants * records, 1024) * 2,
    externalAddresses: Math.max(tenants, 16) * 2,
    // Both directions, on one CPU.
    fastFlows: flows * 2.5 * onlineCpus().length,
  };
  await gateway.configure({ dataplane: { xdp: 'native' }, capacity });
  const node = gateway.namespace;
  // Not by the lab's switch, which has no XDP.
  await node.ip('link', 'delete', PROVIDER_NIC);
  const cables = await layCables(node, short, { provider: PROVIDER_NIC, uplink: UPLINK_NIC });
  await node.ipBatch([
    `addr add ${GATEWAY_PROVIDER_ADDRESS}/24 dev ${PROVIDER_NIC}`,
    `addr add ${UPLINK_ADDRESS}/24 dev ${UPLINK_NIC}`,
    `route add default via ${INTERNET_ADDRESS}`,
  ]);
  await gateway.start();
  await provision(gateway, tenants, records);
  const tunnel = {
    form: 'nvgre',
    upId: FIRST_VSIDS.gateway,
    downId: FIRST_VSIDS.vm,
    mac: GATEWAY.mac,
  } as const;
  const ways = waysOf(cables, { tunnel, external: FIRST_EXTERNAL, hops: { up: 1, down: 2 }, isXdp: true });
  return { ...ways, fast: { packets: fastPacketsOf(gateway), isOn: true } };
}

/** Of all domains together, from where the data plane counts: the API would have to be asked for each of them. */
function fastPacketsOf({ instance, namespace }: GatewayNode): FastPath['packets'] {
  const map = openMap(instance, 'traffic');
  namespace.lab.onClose(() => map.close());
  return () => {
    let sum = 0;
    for (const [, value] of map.entries()) {
      const words = new BigUint64Array(value.buffer, value.byteOffset, value.length / 8);
      for (let at = FAST_PACKETS_AT; at < words.length; at += TRAFFIC_WORDS) sum += Number(words[at]);
    }
    return Promise.resolve(sum);
  };
}

async function post(api: GatewayNode['api'], document: unknown): Promise<void> {
  const { status, body } = await api.request('POST', '/v1/policy', document);
  if (status >= 300) throw new Error(`POST /v1/policy: ${status} ${JSON.stringify(body).slice(0, 500)}`);
}

async function provision({ api }: GatewayNode, tenants: number, records: number): Promise<void> {
  const began = performance.now();
  for (let first = 0; first < tenants; first += STEP)
    await post(api, scalePolicy(first, Math.min(STEP, tenants - first), records));
  const answered = performance.now();
  await until(`${tenants} routing domains are in the kernel`, READY_MS, async () => {
    const { revision, appliedRevision, routingDomains } = (await api.get('/v1/status')) as {
      revision: number;
      appliedRevision: number;
      routingDomains: { ready: number; failed: number };
    };
    if (routingDomains.failed > 0) throw new Error(`${routingDomains.failed} routing domains failed`);
    return appliedRevision >= revision && routingDomains.ready === tenants;
  });
  const seconds = (from: number, to: number): string => ((to - from) / 1000).toFixed(1);
  console.log(
    `  ${tenants} tenants, ${tenants * records} records: answered in ${seconds(began, answered)} s, in the kernel ${seconds(answered, performance.now())} s later`,
  );
}
