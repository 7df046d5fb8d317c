/** Every rule broken over REST, by itself and in a policy document: the refusal names field, value and rule, and changes nothing. */
import t, { type Test } from 'tap';
import {
  capacityBreakers,
  documentBreakers,
  listBreakers,
  tokenBreakers,
} from '../lab/node-rule-breakers.ts';
import { type RuleBreaker, ruleBreakers } from '../lab/rule-breakers.ts';
import { asDocument } from '../lab/rule-document.ts';
import { rulesOfSource } from '../lab/rule-names.ts';
import type { RunningApi } from './api-server.ts';
import { missingWords, runFull, runTenants, tokenOf, unchanged } from './rules-node.ts';

const groups: Readonly<Record<string, readonly RuleBreaker[]>> = {
  ...ruleBreakers,
  'a token': tokenBreakers,
  'a list': listBreakers,
  'a policy document': documentBreakers,
};

/** What cannot be wrong in a document: names of lists, tokens; and a deletion is not in it. */
const notInDocuments = [
  ...['cursor', 'exists', 'routing-domain-in-use'],
  ...['token-domains-tenant', 'token-domains-role', 'token-expires-future', 'token-id-reserved'],
  ...['date-time', 'format'],
];

function eachBreaker(all: typeof groups): { kind: string; breaker: RuleBreaker }[] {
  return Object.entries(all).flatMap(([kind, breakers]) => breakers.map((breaker) => ({ kind, breaker })));
}

async function refused(
  t: Test,
  api: RunningApi,
  breaker: RuleBreaker,
  [method, path, body]: [method: string, path: string, body: unknown],
  pointer: string | undefined,
): Promise<void> {
  const token = await tokenOf(api, breaker);
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const isUnchanged = unchanged(api);
  const answer = await api.request(method, path, body, headers);
  t.match(answer, { status: breaker.status ?? 400, type: 'application/problem+json' });
  t.equal(answer.body.rule, breaker.rule);
  t.equal((answer.body as { pointer?: string }).pointer, pointer);
  t.strictSame(missingWords(answer.body.detail, breaker), [], answer.body.detail);
  t.match(answer.body.detail, /^\S.*\.$/s, 'it is a sentence');
  t.ok(isUnchanged(), 'nothing is stored');
}

t.test('every rule has a request that breaks it', async (t) => {
  const all = eachBreaker({ ...groups, full: capacityBreakers }).map(({ breaker }) => breaker);
  const broken = new Set(all.map(({ rule, breaks }) => breaks ?? rule));
  const rules = rulesOfSource();
  t.ok(rules.size > 60, `${rules.size} rules`);
  t.strictSame([...broken].sort(), [...rules].sort());
});

t.test('a request that breaks a rule is refused', async (t) => {
  const api = await runTenants(t);
  for (const { kind, breaker } of eachBreaker(groups)) {
    const { what, method = 'PUT', path, body, rule, pointer } = breaker;
    await t.test(`${kind} refuses ${what} (${rule})`, (t) =>
      refused(t, api, breaker, [method, path, body], pointer),
    );
  }
});

t.test('a full node refuses', async (t) => {
  const api = await runFull(t);
  for (const breaker of capacityBreakers) {
    const { what, path, body, rule } = breaker;
    await t.test(`${what} (${rule})`, (t) => refused(t, api, breaker, ['PUT', path, body], undefined));
    const document = asDocument(breaker);
    await t.test(`${what} in a policy document (${rule})`, (t) =>
      refused(t, api, breaker, ['POST', '/v1/policy', document?.document], document?.pointer),
    );
  }
});

t.test('a policy document that breaks a rule is refused with the place in it', async (t) => {
  const api = await runTenants(t);
  const broken = new Set<string>();
  for (const { kind, breaker } of eachBreaker(groups)) {
    const document = asDocument(breaker);
    if (document === undefined) continue;
    broken.add(breaker.rule);
    await t.test(`${kind} refuses ${breaker.what} (${breaker.rule})`, (t) =>
      refused(t, api, breaker, ['POST', '/v1/policy', document.document], document.pointer),
    );
  }
  const all = new Set(eachBreaker(groups).map(({ breaker }) => breaker.rule));
  t.strictSame(
    [...all].filter((rule) => !broken.has(rule)).sort(),
    [...notInDocuments].sort(),
    'every rule that a document can break is broken',
  );
});
