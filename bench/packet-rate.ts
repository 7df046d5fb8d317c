/**
 * Packet rates of one core: the gateway on its fast path, by TC and slow, beside what does nothing, and beside other ways to do
 * the same job, in turns. Small frames and a mix, up and down, with one flow and with very many. The cost of both traffic ends
 * is in all of them alike, which draws ratios towards 1.
 */
import type { Fabric } from '../test/lab/fabric.ts';
import { ConntrackRoom } from './conntrack-room.ts';
import { contest } from './contest.ts';
import floors from './floors.json' with { type: 'json' };
import { IMIX, SMALLEST } from './frames.ts';
import { buildOvsNat } from './ovs-nat.ts';
import { type Direction, type Job, type RatePath, rateContender, warmUp } from './rate-path.ts';
import { buildBare, buildGateway, buildHand, buildPlain } from './rate-paths.ts';
import type { Comparison, Contest, Part } from './report.ts';

const NAMES = ['bare', 'fast', 'tc', 'slow', 'hand', 'handDirect', 'ovs', 'plain'] as const;
type Name = (typeof NAMES)[number];
type Paths = Record<Name, RatePath>;

const ROUNDS = { judged: 15, shown: 5 };
const MIXES = { '60 B': SMALLEST, IMIX };
const FLOWS = [1, 1024, 100_000];
/** The mix and the flows that the floors are for. */
const JUDGED = { mix: '60 B', flows: 1024 } as const;
const DIRECTIONS: readonly Direction[] = ['up', 'down'];

/** What the columns of the table are. */
export const LEGEND = `bare: an XDP redirect that does nothing. fast, tc, slow: hnvgw with dataplane.xdp native, generic and off. hand: VXLAN, namespace
and nftables by hand, routed; handDirect: the same with the uplink in the namespace, for one tenant only. ovs: Open vSwitch, userspace
datapath over packet sockets. plain: kernel routing alone. up: from the tenant; down: the answers. NATed, but bare and plain.`;

/** All jobs, or with `quick` the one that floors are for. */
export async function packetRates(fabric: Fabric, { quick }: { quick: boolean }): Promise<Part> {
  console.log('Gateway, packet rate: UDP of a tenant and the answers; everything on one core');
  using _room = ConntrackRoom.make();
  const paths = await buildPaths(fabric);
  const contests: Contest[] = [];
  const comparisons: Comparison[] = [];
  for (const flows of quick ? [JUDGED.flows] : FLOWS)
    for (const [mixName, mix] of Object.entries(MIXES)) {
      if (quick && mixName !== JUDGED.mix) continue;
      const isJudged = mixName === JUDGED.mix && flows === JUDGED.flows;
      for (const path of Object.values(paths)) warmUp(path, { mix, flows });
      for (const direction of DIRECTIONS) {
        const title = `${mixName}, ${flows} ${flows === 1 ? 'flow' : 'flows'}, ${direction}`;
        const figures = await run(paths, direction, { mix, flows }, isJudged, title);
        contests.push({ title, unit: 'Mpps', reference: 'bare', figures });
        if (isJudged) comparisons.push(...judged(title, figures));
      }
    }
  return { comparisons, superPackets: {}, contests, notes: [LEGEND] };
}

async function buildPaths(fabric: Fabric): Promise<Paths> {
  const { lab } = fabric;
  return {
    bare: await buildBare(lab),
    fast: await buildGateway(fabric, 'native'),
    tc: await buildGateway(fabric, 'generic'),
    slow: await buildGateway(fabric, 'off'),
    hand: await buildHand(lab, { routed: true }),
    handDirect: await buildHand(lab, { routed: false }),
    ovs: await buildOvsNat(lab),
    plain: await buildPlain(lab),
  };
}

function run(
  paths: Paths,
  direction: Direction,
  job: Job,
  isJudged: boolean,
  title: string,
): Promise<Record<Name, number[]>> {
  const contenders = Object.fromEntries(
    NAMES.map((name) => [name, rateContender(paths[name], direction, job)]),
  ) as Record<Name, ReturnType<typeof rateContender>>;
  console.log(`  ${title}`);
  return contest(contenders, isJudged ? ROUNDS.judged : ROUNDS.shown, () => undefined);
}

/** What must be so, and what is worth to be seen. */
function judged(title: string, figures: Record<Name, number[]>): Comparison[] {
  const compare = (name: Name, reference: Name, floor?: number): Comparison => ({
    title: `packet rate, ${title}, ${name} : ${reference}`,
    unit: 'Mpps',
    hnvgw: figures[name],
    reference: figures[reference],
    floor,
  });
  return [
    compare('fast', 'bare', floors.fastToBare),
    compare('fast', 'hand', floors.fastToHand),
    compare('slow', 'hand', floors.slowToHand),
    compare('tc', 'slow', floors.tcToSlow),
    compare('fast', 'handDirect'),
    compare('fast', 'ovs'),
    compare('fast', 'plain'),
  ];
}
