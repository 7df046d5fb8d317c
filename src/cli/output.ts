/** How data is printed: tables for people, JSON and YAML for programs, which have exactly what the API answers. */
import type { Options } from './command.ts';
import { harmlessJson, isHostile } from './harmless.ts';
import { type Column, tableLines } from './table.ts';

/** The option of every command that prints data. */
export const outputOption = {
  output: {
    type: 'string',
    short: 'o',
    value: 'FORMAT',
    choices: ['table', 'json', 'yaml'],
    summary: 'for people, or for programs the data of the API',
  },
} as const satisfies Options;

export function printLines(lines: readonly string[]): void {
  if (lines.length > 0) process.stdout.write(`${lines.join('\n')}\n`);
}

/** Prints the data as the format says; `lines` makes the form for people. */
export async function print(
  format: string | undefined,
  data: unknown,
  lines: () => readonly string[] | Promise<readonly string[]>,
): Promise<void> {
  if (format === 'json') process.stdout.write(`${jsonText(data)}\n`);
  else if (format === 'yaml') process.stdout.write(await yamlText(data));
  else printLines(await lines());
}

/** As print(), of a table; a line instead of an empty one. */
export function printTable<T>(
  format: string | undefined,
  data: unknown,
  columns: readonly Column<T>[],
  rows: readonly T[],
  nothing: string,
): Promise<void> {
  return print(format, data, () => (rows.length === 0 ? [nothing] : tableLines(columns, rows)));
}

export function jsonText(data: unknown): string {
  return harmlessJson(JSON.stringify(data, undefined, 2));
}

export async function yamlText(data: unknown): Promise<string> {
  const { Document, Scalar, visit } = await import('yaml');
  const document = new Document(data, { aliasDuplicateObjects: false });
  visit(document, {
    Scalar(_key, node) {
      if (typeof node.value === 'string' && isHostile(node.value)) node.type = Scalar.QUOTE_DOUBLE;
    },
  });
  // Within double quotes YAML knows JSON's escapes.
  return harmlessJson(document.toString({ lineWidth: 0 }));
}
