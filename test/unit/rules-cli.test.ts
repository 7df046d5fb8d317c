/**
 * Every rule broken from the command line: the program fails, its message names field, value, rule and the place in the file,
 * and nothing changes.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { run } from '../../src/cli/run.ts';
import {
  capacityBreakers,
  documentBreakers,
  listBreakers,
  tokenBreakers,
} from '../lab/node-rule-breakers.ts';
import { type RuleBreaker, ruleBreakers } from '../lab/rule-breakers.ts';
import { asDocument } from '../lab/rule-document.ts';
import type { RunningApi } from './api-server.ts';
import { testFolder } from './cli-node.ts';
import { missingWords, runFull, runTenants, tokenOf, unchanged } from './rules-node.ts';

const file = join(testFolder(t), 'policy.json');
// Each call listens for the end of whoever reads.
process.stdout.setMaxListeners(0);

/** What the command line never asks for: cursors that nobody gave, times that it has not read, domains that it does not make. */
const notFromCommands = ['cursor', 'format', 'date-time', 'exists'];

interface Call {
  words: readonly string[];
  input: string;
}

/** How the request reads on the command line; undefined when it does not. */
function asCommand(breaker: RuleBreaker): Call | undefined {
  if (breaker.words !== undefined) return { words: breaker.words, input: '' };
  if (breaker.method === 'DELETE') return { words: deletion(breaker.path), input: '' };
  const document = asDocument(breaker)?.document;
  return document === undefined
    ? undefined
    : { words: ['apply', '-f', file], input: JSON.stringify(document) };
}

function deletion(path: string): string[] {
  const [, , top = '', name = '', folder, id] = path.split('/');
  if (folder === undefined) return ['delete', top, name];
  return ['delete', folder, ...(id === undefined ? [] : [id]), '--domain', name];
}

/** Calls the command line in this process: hundreds of processes would take a minute. */
async function hnvgw(words: readonly string[]): Promise<{ code: number; stderr: string }> {
  const { write } = process.stderr;
  let stderr = '';
  process.stderr.write = (text: string | Uint8Array) => {
    stderr += text;
    return true;
  };
  try {
    const code = await run(words);
    return { code, stderr };
  } finally {
    process.stderr.write = write;
  }
}

/** The first breaker of each rule that the command line can break. */
function oneOfEachRule(breakers: readonly RuleBreaker[]): { breaker: RuleBreaker; call: Call }[] {
  const chosen = new Map<string, { breaker: RuleBreaker; call: Call }>();
  for (const breaker of breakers) {
    const call = asCommand(breaker);
    if (call !== undefined && !chosen.has(breaker.rule)) chosen.set(breaker.rule, { breaker, call });
  }
  return [...chosen.values()];
}

async function breakAll(t: Test, api: RunningApi, breakers: readonly RuleBreaker[]): Promise<void> {
  const all = oneOfEachRule(breakers);
  const tokens = new Map<RuleBreaker, string>();
  for (const { breaker } of all) {
    const token = await tokenOf(api, breaker);
    if (token !== undefined) tokens.set(breaker, token);
  }
  const isUnchanged = unchanged(api);
  for (const { breaker, call } of all) {
    writeFileSync(file, call.input);
    process.env.HNVGW_SERVER = api.base;
    process.env.HNVGW_TOKEN = tokens.get(breaker) ?? '';
    const { code, stderr } = await hnvgw(call.words);
    const what = `${breaker.what}: ${stderr}`;
    t.equal(code, 1, what);
    t.match(stderr, /^hnvgw: HNV_[A-Z_]+: .*\S\.? \(rule [a-z0-9-]+\)\n$/s, what);
    t.ok(stderr.includes(`(rule ${breaker.rule})`), what);
    t.strictSame(missingWords(stderr, breaker), [], what);
    if (call.input !== '' && breaker.status !== 413) t.ok(stderr.includes(`: ${file}:1: `), what);
  }
  t.ok(isUnchanged(), 'nothing is stored');
}

const onTenants = [
  ...Object.values(ruleBreakers).flat(),
  ...tokenBreakers,
  ...listBreakers,
  ...documentBreakers,
];

t.test('every rule is refused on the command line with its name', async (t) => {
  await breakAll(t, await runTenants(t), onTenants);
});

t.test('a full node is told on the command line', async (t) => {
  await breakAll(t, await runFull(t), capacityBreakers);
});

t.test('no rule is left out', async (t) => {
  const all = new Set(onTenants.map(({ rule }) => rule));
  const broken = new Set(oneOfEachRule(onTenants).map(({ breaker }) => breaker.rule));
  t.strictSame([...all].filter((rule) => !broken.has(rule)).sort(), [...notFromCommands].sort());
});
