/** What the bench found: as a table for people, as JSON for programs. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { fileURLToPath } from 'node:url';
import { ratios, type Spread, spread } from './contest.ts';

/** Packets of this size or less on average have been cut on their way. */
const PROVIDER_MTU = 1500;
const RESULTS = fileURLToPath(new URL('./results/', import.meta.url));

export interface Comparison {
  title: string;
  unit: string;
  /** Figures of each round, of hnvgw and of what it is compared with. */
  hnvgw: readonly number[];
  reference: readonly number[];
  /** The ratio is then that of the reference to hnvgw, so that more is better. */
  lessIsBetter?: true;
  /** Smallest ratio that is good enough; undefined: shown for information only. */
  floor: number | undefined;
}

/** Contenders that did the same job in turns, hnvgw several times perhaps: shown side by side, and as ratios to one of them. */
export interface Contest {
  title: string;
  unit: string;
  /** Whom ratios are of. */
  reference: string;
  /** Figures of each round by contender. Contests of equal contenders and unit are in one table. */
  figures: Record<string, readonly number[]>;
}

/** What one part of the bench found. */
export interface Part {
  comparisons: Comparison[];
  contests?: Contest[];
  /** What a reader must know: what columns are, what figures cannot show. */
  notes?: string[];
  /** Average size, in bytes, of what TCP put on a provider NIC, by where. */
  superPackets: Record<string, number>;
}

/** For contest(): a line for each turn, so that one sees that it goes on and how noisy the machine is. */
export function showTurns(unit: string): (name: string, round: number, figure: number) => void {
  return (name, round, figure) =>
    console.log(`  round ${round}  ${name.padEnd(14)} ${figure.toFixed(3)} ${unit}`);
}

export interface Result extends Comparison {
  hnvgwSpread: Spread;
  referenceSpread: Spread;
  /** Of the ratios within each round. */
  ratio: Spread;
  ok: boolean;
}

export function judge(comparison: Comparison): Result {
  const { hnvgw, reference, lessIsBetter } = comparison;
  const ratio = spread(lessIsBetter ? ratios(reference, hnvgw) : ratios(hnvgw, reference));
  return {
    ...comparison,
    hnvgwSpread: spread(comparison.hnvgw),
    referenceSpread: spread(comparison.reference),
    ratio,
    ok: comparison.floor === undefined || ratio.median >= comparison.floor,
  };
}

const figure = ({ median, min, max }: Spread): string =>
  `${median.toPrecision(3)} (${min.toPrecision(3)} … ${max.toPrecision(3)})`;

/** Medians, with the smallest and largest of the rounds. */
function table(results: readonly Result[]): string {
  const rows = [
    ['', 'hnvgw', 'reference', 'ratio', 'floor', ''],
    ...results.map((result) => [
      `${result.title}, ${result.unit}`,
      figure(result.hnvgwSpread),
      figure(result.referenceSpread),
      figure(result.ratio),
      result.floor?.toFixed(2) ?? '–',
      result.floor === undefined ? '' : result.ok ? 'ok' : 'NOT OK',
    ]),
  ];
  return aligned(rows);
}

/** Contests side by side: first what was measured, then the ratios. */
function contestTables(contests: readonly Contest[]): string {
  const groups = Map.groupBy(contests, ({ unit, reference, figures }) =>
    [unit, reference, ...Object.keys(figures)].join(),
  );
  return [...groups.values()].map(contestTable).join('\n\n');
}

function contestTable(contests: readonly Contest[]): string {
  const [first] = contests;
  if (first === undefined) return '';
  const names = Object.keys(first.figures);
  const rows = (title: string, cell: (contest: Contest, name: string) => Spread) => [
    [title, ...names],
    ...contests.map((contest) => [contest.title, ...names.map((name) => figure(cell(contest, name)))]),
  ];
  const measured = rows(`${first.unit}: median (smallest … largest)`, ({ figures }, name) =>
    spread(figures[name] ?? []),
  );
  const relative = rows(`ratio to ${first.reference}, within each round`, ({ figures, reference }, name) =>
    spread(ratios(figures[name] ?? [], figures[reference] ?? [])),
  );
  return `${aligned(measured)}\n\n${aligned(relative)}`;
}

function aligned(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** Everything as text, and whether super-packets stayed whole. */
export function report(
  parts: readonly Part[],
  results: readonly Result[],
): { text: string; isWhole: boolean } {
  const contests = parts.flatMap((part) => part.contests ?? []);
  const sizes = Object.entries(superPacketsOf(parts));
  const isWhole = sizes.every(([, size]) => size > PROVIDER_MTU);
  const shown = sizes.map(([where, size]) => `${where} ${(size / 1000).toFixed(1)} kB`).join(', ');
  const blocks = [
    contestTables(contests),
    table(results),
    `Medians (smallest … largest); ratios within each round. Figures on one core are per second of that core’s time.`,
    ...parts.flatMap((part) => part.notes ?? []),
    shown &&
      `Super-packets on the provider NIC: ${shown} on average${isWhole ? '' : '  NOT OK: they were cut'}`,
  ];
  return { text: blocks.filter(Boolean).join('\n\n'), isWhole };
}

function superPacketsOf(parts: readonly Part[]): Record<string, number> {
  return Object.assign({}, ...parts.map((part) => part.superPackets));
}

/** Writes bench/results/TIME.json and answers its path. */
export function writeResults(parts: readonly Part[], results: readonly Result[]): string {
  mkdirSync(RESULTS, { recursive: true });
  const at = new Date().toISOString();
  const path = `${RESULTS}${at.replaceAll(':', '-')}.json`;
  const content = {
    at,
    kernel: release(),
    node: process.version,
    processors: cpus().map(({ model }) => model),
    results,
    contests: parts.flatMap((part) => part.contests ?? []).map(judgeContest),
    superPacketBytes: superPacketsOf(parts),
    notes: parts.flatMap((part) => part.notes ?? []),
  };
  writeFileSync(path, `${JSON.stringify(content, undefined, 2)}\n`);
  return path;
}

/** With spreads of figures and ratios beside the figures. */
function judgeContest(contest: Contest): object {
  const { figures, reference } = contest;
  const of = (judge: (values: readonly number[]) => Spread) =>
    Object.fromEntries(Object.entries(figures).map(([name, values]) => [name, judge(values)]));
  return {
    ...contest,
    spreads: of(spread),
    ratios: of((values) => spread(ratios(values, figures[reference] ?? []))),
  };
}
