/** Text in aligned columns, and the rows of the demo's result. */
import { verdict } from './narration.ts';

/** One thing that the demo shows. */
export interface Row {
  what: string;
  /** What was seen or measured, in words and figures. */
  seen: string;
  ok: boolean;
}

/** Lines with every column as wide as its widest cell and a rule under the heads. The last column is not padded. */
export function columns(heads: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = heads.map((_, column) =>
    Math.max(...[heads, ...rows].map((line) => line[column]?.length ?? 0)),
  );
  const rule = widths.map((width) => '-'.repeat(width));
  return [heads, rule, ...rows].map((line) =>
    line
      .map((cell, column) => (column === line.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
      .join('  '),
  );
}

/** The demo's result. */
export function resultTable(rows: readonly Row[]): string[] {
  return columns(
    ['what must be so', 'what was seen', 'result'],
    rows.map((row) => [row.what, row.seen, verdict(row.ok)]),
  );
}
