/** What the bench of the control plane found: as a table for people, as JSON for programs. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { fileURLToPath } from 'node:url';

const RESULTS = fileURLToPath(new URL('./results/', import.meta.url));

export interface Row {
  title: string;
  value: number;
  unit: string;
  /** The most or the least that is good enough; shown for information only when absent. */
  limit?: { most: number } | { least: number };
}

export function isGoodEnough({ value, limit }: Row): boolean {
  if (limit === undefined) return true;
  return 'most' in limit ? value <= limit.most : value >= limit.least;
}

export function controlPlaneTable(rows: readonly Row[]): string {
  const words = rows.map((row) => {
    const { title, value, unit, limit } = row;
    const bound = limit === undefined ? '' : 'most' in limit ? `≤ ${limit.most}` : `≥ ${limit.least}`;
    const verdict = limit === undefined ? '' : isGoodEnough(row) ? 'ok' : 'NOT OK';
    return [title, value.toFixed(value < 100 ? 1 : 0), unit, bound, verdict];
  });
  const width = (column: number): number => Math.max(...words.map((row) => row[column]?.length ?? 0));
  return words
    .map(([title = '', value = '', unit = '', bound = '', verdict = '']) =>
      [
        title.padEnd(width(0)),
        value.padStart(width(1)),
        unit.padEnd(width(2)),
        bound.padStart(width(3)),
        verdict,
      ]
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** Writes bench/results/control-plane-TIME.json and answers its path. */
export function writeControlPlane(rows: readonly Row[]): string {
  mkdirSync(RESULTS, { recursive: true });
  const at = new Date().toISOString();
  const path = `${RESULTS}control-plane-${at.replaceAll(':', '-')}.json`;
  const content = { at, kernel: release(), node: process.version, rows };
  writeFileSync(path, `${JSON.stringify(content, undefined, 2)}\n`);
  return path;
}
