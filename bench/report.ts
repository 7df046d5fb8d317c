/** What the bench found: as a table for people, as JSON for programs. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { fileURLToPath } from 'node:url';
import { ratios, type Spread, spread } from './contest.ts';

const RESULTS = fileURLToPath(new URL('./results/', import.meta.url));

export interface Comparison {
  title: string;
  unit: string;
  /** Figures of each round, of hnvgw and of what it is compared with. */
  hnvgw: readonly number[];
  reference: readonly number[];
  /** Smallest ratio that is good enough; undefined: shown for information only. */
  floor: number | undefined;
}

/** What one part of the bench found. */
export interface Part {
  comparisons: Comparison[];
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
  const ratio = spread(ratios(comparison.hnvgw, comparison.reference));
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
export function table(results: readonly Result[]): string {
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

/** Writes bench/results/TIME.json and answers its path. */
export function writeResults(results: readonly Result[], superPackets: Record<string, number>): string {
  mkdirSync(RESULTS, { recursive: true });
  const at = new Date().toISOString();
  const path = `${RESULTS}${at.replaceAll(':', '-')}.json`;
  const content = { at, kernel: release(), node: process.version, results, superPacketBytes: superPackets };
  writeFileSync(path, `${JSON.stringify(content, undefined, 2)}\n`);
  return path;
}
