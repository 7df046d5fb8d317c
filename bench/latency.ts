/**
 * Latency at half load: what a packet needs from one end to the other while packets are due, at random, half as often as
 * that path takes them at most: each contender has its own half, and then those that can bear it half of what `plain` takes,
 * the same packets a second for all. Everything is on one core, the generator too, so a packet
 * waits for those before it as behind a NIC whose interrupts are on one core. The time of both ends is in all of them alike.
 */
import type { Fabric } from '../test/lab/fabric.ts';
import { contest } from './contest.ts';
import floors from './floors.json' with { type: 'json' };
import { SMALLEST } from './frames.ts';
import { type Latencies, LatencyEnd } from './latency-end.ts';
import { type Direction, type RatePath, warmUp } from './rate-path.ts';
import { buildGateway, buildHand, buildPlain } from './rate-paths.ts';
import { type Comparison, type Contest, type Part, showTurns } from './report.ts';

const ROUNDS = 31;
const FLOWS = 1024;
const TIMES_MS = { most: 40, measure: 60 };
const NS = 1000;

const DIRECTIONS: readonly Direction[] = ['up', 'down'];
const QUANTILES = { p50: 'p50', quiet99: 'p99 of a millisecond', p99: 'p99', p999: 'p99.9' } as const;
type Quantile = keyof typeof QUANTILES;

/** Half of whose most is sent. */
const LOADS = { own: 'half load', plain: 'half of plain’s load' } as const;
type Load = keyof typeof LOADS;
/** They take more than half of what `plain` takes. */
const FASTER = ['plain', 'fast', 'tc'];

type Figures = Record<string, Latencies[]>;
/** A contender's end of the direction that is measured. */
type Ends = [name: string, end: LatencyEnd][];

/** Builds the contenders, called as those of the packet rate, and lets them run. */
export async function latency(fabric: Fabric): Promise<Part> {
  return measureLatency({
    plain: await buildPlain(fabric.lab),
    fast: await buildGateway(fabric, 'native'),
    tc: await buildGateway(fabric, 'generic'),
    slow: await buildGateway(fabric, 'off'),
    hand: await buildHand(fabric.lab, { routed: true }),
  });
}

/** Lets the contenders run, of which the first is `plain`. */
export async function measureLatency(paths: Record<string, RatePath>, rounds = ROUNDS): Promise<Part> {
  console.log(
    `Gateway, latency at half of the packet rate: 60-byte UDP of ${FLOWS} flows; generator and path on one core`,
  );
  const job = { mix: SMALLEST, flows: FLOWS };
  for (const path of Object.values(paths)) warmUp(path, job);
  const comparisons: Comparison[] = [];
  const contests: Contest[] = [];
  for (const direction of DIRECTIONS) {
    const ends: Ends = Object.entries(paths).map(([name, path]) => [
      name,
      new LatencyEnd(path[direction], { flows: FLOWS }),
    ]);
    for (const load of Object.keys(LOADS) as Load[]) {
      const title = `latency at ${LOADS[load]}, ${direction}`;
      const bearing = load === 'own' ? ends : ends.filter(([name]) => FASTER.includes(name));
      const figures = await measure(title, bearing, load, rounds);
      for (const quantile of Object.keys(QUANTILES) as Quantile[])
        contests.push(sideBySide(title, figures, quantile));
      for (const quantile of ['quiet99', 'p99'] as const) comparisons.push(judged(title, figures, quantile));
    }
  }
  return { comparisons, contests, superPackets: {} };
}

async function measure(title: string, ends: Ends, load: Load, rounds: number): Promise<Figures> {
  const figures: Figures = Object.fromEntries(ends.map(([name]) => [name, []]));
  let plainMost = 0;
  const turn = (name: string, end: LatencyEnd): number => {
    const most = end.most(TIMES_MS.most);
    if (name === 'plain') plainMost = most;
    const latencies = end.at((load === 'own' ? most : plainMost) / 2, TIMES_MS.measure);
    figures[name]?.push(latencies);
    return latencies.quiet99 / NS;
  };
  const contenders = ends.map(([name, end]) => [name, () => Promise.resolve(turn(name, end))] as const);
  await contest(Object.fromEntries(contenders), rounds, showTurns(`µs, p99, ${title}`));
  return figures;
}

const microseconds = (found: readonly Latencies[], quantile: Quantile): number[] =>
  found.map((latencies) => latencies[quantile] / NS);

function sideBySide(title: string, figures: Figures, quantile: Quantile): Contest {
  return {
    title: `${title}, ${QUANTILES[quantile]}`,
    unit: 'µs',
    reference: 'plain',
    figures: Object.fromEntries(
      Object.entries(figures).map(([name, found]) => [name, microseconds(found, quantile)]),
    ),
  };
}

function judged(title: string, { fast = [], plain = [] }: Figures, quantile: Quantile): Comparison {
  return {
    title: `${title}, ${QUANTILES[quantile]}, fast : plain`,
    unit: 'µs',
    hnvgw: microseconds(fast, quantile),
    reference: microseconds(plain, quantile),
    lessIsBetter: true,
    floor: quantile === 'quiet99' ? floors.latency : undefined,
  };
}
