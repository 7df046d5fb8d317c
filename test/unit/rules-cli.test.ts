/**
 * Every rule broken from the command line: the program fails, its message names field, value, rule and the place in the file,
 * and nothing changes.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import {
  capacityBreakers,
  documentBreakers,
  listBreakers,
  tokenBreakers,
} from '../lab/node-rule-breakers.ts';
import { type RuleBreaker, ruleBreakers } from '../lab/rule-breakers.ts';
import { asDocument } from '../lab/rule-document.ts';
import type { RunningApi } from './api-server.ts';
import { missingWords, runFull, runTenants, tokenOf, unchanged } from './rules-node.ts';

const program = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

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
    : { words: ['apply', '-f', '-'], input: JSON.stringify(document) };
}

function deletion(path: string): string[] {
  const [, , top = '', name = '', folder, id] = path.split('/');
  if (folder === undefined) return ['delete', top, name];
  return ['delete', folder, ...(id === undefined ? [] : [id]), '--domain', name];
}

async function hnvgw(
  { words, input }: Call,
  server: string,
  token = '',
): Promise<{ code: number | null; stderr: string }> {
  const child = spawn(process.execPath, [program, ...words], {
    stdio: ['pipe', 'ignore', 'pipe'],
    env: { ...process.env, HNVGW_SERVER: server, HNVGW_TOKEN: token },
  });
  // It may end before it has read everything.
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  return { code, stderr };
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
  const waiting = oneOfEachRule(breakers);
  const tokens = new Map<RuleBreaker, string>();
  for (const { breaker } of waiting) {
    const token = await tokenOf(api, breaker);
    if (token !== undefined) tokens.set(breaker, token);
  }
  const isUnchanged = unchanged(api);
  // Two at a time: what takes long is the start of the program.
  const worker = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const { breaker, call } = next;
      const { code, stderr } = await hnvgw(call, api.base, tokens.get(breaker));
      const what = `${breaker.what}: ${stderr}`;
      t.equal(code, 1, what);
      t.match(stderr, /^hnvgw: HNV_[A-Z_]+: .*\S\.? \(rule [a-z0-9-]+\)\n$/s, what);
      t.ok(stderr.includes(`(rule ${breaker.rule})`), what);
      t.strictSame(missingWords(stderr, breaker), [], what);
      if (call.input !== '' && breaker.status !== 413) t.match(stderr, /: stdin:1: /, what);
    }
  };
  await Promise.all([worker(), worker()]);
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
