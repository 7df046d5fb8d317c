/**
 * Writes docs/rules.md: every rule that a request can break, with what the API answers to the one that the tests break it by.
 * With `--check` it writes nothing and fails when the page is not current.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  capacityBreakers,
  documentBreakers,
  listBreakers,
  tokenBreakers,
} from '../test/lab/node-rule-breakers.ts';
import { type RuleBreaker, ruleBreakers } from '../test/lab/rule-breakers.ts';
import type { RunningApi } from '../test/unit/api-server.ts';
import { runFull, runTenants, tokenOf } from '../test/unit/rules-node.ts';

const OUTPUT = 'docs/rules.md';

/** One rule, as it was answered. */
interface Row {
  kinds: Set<string>;
  code: string;
  status: number;
  example: string;
}

/** Breaks every rule of the groups, in their order; the first answer stands for the rule. */
async function breakAll(
  rows: Map<string, Row>,
  api: RunningApi,
  groups: Readonly<Record<string, readonly RuleBreaker[]>>,
): Promise<void> {
  for (const [kind, breakers] of Object.entries(groups)) {
    for (const breaker of breakers) {
      const token = await tokenOf(api, breaker);
      const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
      const { status, body } = await api.request(
        breaker.method ?? 'PUT',
        breaker.path,
        breaker.body,
        headers,
      );
      const row = rows.get(body.rule) ?? { kinds: new Set(), code: body.code, status, example: body.detail };
      rows.set(body.rule, row);
      row.kinds.add(kind.replace(/^an? /, ''));
    }
  }
}

async function answeredRules(): Promise<Map<string, Row>> {
  const ends: (() => unknown)[] = [];
  const until = { teardown: (done: () => unknown) => ends.unshift(done) };
  const rows = new Map<string, Row>();
  try {
    await breakAll(rows, await runTenants(until), {
      ...ruleBreakers,
      'a token': tokenBreakers,
      'a list': listBreakers,
      'a policy document': documentBreakers,
    });
    await breakAll(rows, await runFull(until), { 'a full node': capacityBreakers });
  } finally {
    for (const end of ends) await end();
  }
  return rows;
}

const rows = [...(await answeredRules())].sort(([a], [b]) => (a < b ? -1 : 1));
const lines = [
  '# Rules',
  '',
  '<!-- Written by scripts/generate-rules.ts (npm run generate); do not edit. -->',
  '',
  'What the API checks before it accepts a write, beyond what [the schemas](rest.md) say of a field. A refusal has the name of the rule as',
  '`rule` (the command line prints it at the end), the JSON pointer of the field as `pointer`, and field, value and rule as a sentence, of',
  'which the last column has an example. The names are stable.',
  '',
  '| rule | answer | broken, for example, by | which is told |',
  '|---|---|---|---|',
  ...rows.map(
    ([rule, { kinds, code, status, example }]) =>
      `| \`${rule}\` | ${status} \`${code}\` | ${[...kinds].join(', ')} | ${example.replaceAll('|', '\\|')} |`,
  ),
];
const text = `${lines.join('\n')}\n`;
const file = join(import.meta.dirname, '..', OUTPUT);
if (!process.argv.includes('--check')) {
  writeFileSync(file, text);
} else if (readFileSync(file, 'utf8') !== text) {
  console.error(`${OUTPUT} is not what the API answers: run npm run generate and commit the result.`);
  process.exitCode = 1;
}
