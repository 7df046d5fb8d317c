/** Rules of routing policies of BGP: what matches is well-formed, and what a policy does is what its type says. */
import type { BgpPolicy } from '../resources.ts';
import { prefixField } from './field.ts';
import { invalid } from './refusal.ts';

const ATTRIBUTES = [
  'newLocalPreference',
  'newMed',
  'addCommunities',
  'removeAllCommunities',
  'prependAsn',
] as const;

export function normalizePolicies(given: readonly BgpPolicy[]): BgpPolicy[] {
  const names = new Set<string>();
  return given.map((each, index) => {
    const pointer = `/policies/${index}`;
    if (names.has(each.name)) {
      const why = 'is the name of another policy: names of policies are unique inside a BGP resource';
      throw invalid('bgp-policy-name', `${pointer}/name`, each.name, why);
    }
    names.add(each.name);
    return normalizePolicy(each, pointer);
  });
}

function normalizePolicy(given: BgpPolicy, pointer: string): BgpPolicy {
  // Not to remove them is no attribute.
  const { removeAllCommunities = false, ...policy } = given;
  if (removeAllCommunities) Object.assign(policy, { removeAllCommunities });
  checkAttributes(policy, pointer);
  for (const [index, { from, to }] of (policy.matchAsnRanges ?? []).entries()) {
    if (from <= to) continue;
    const why = `is below from, ${from}: a range of ASNs ends where it begins or after`;
    throw invalid('bgp-asn-range', `${pointer}/matchAsnRanges/${index}/to`, to, why);
  }
  if (policy.matchPrefixes !== undefined)
    policy.matchPrefixes = oneEach(`${pointer}/matchPrefixes`, policy.matchPrefixes, prefixField);
  for (const field of ['matchCommunities', 'addCommunities'] as const) {
    const communities = policy[field];
    if (communities !== undefined)
      policy[field] = oneEach(`${pointer}/${field}`, communities, communityField);
  }
  return policy;
}

function checkAttributes(policy: BgpPolicy, pointer: string): void {
  const found = ATTRIBUTES.find((field) => policy[field] !== undefined);
  if (policy.type === 'ModifyAttribute') {
    if (found !== undefined) return;
    const why = `must come with something to modify: at least one of ${ATTRIBUTES.join(', ')}`;
    throw invalid('bgp-policy-attribute', `${pointer}/type`, policy.type, why);
  }
  if (found === undefined) return;
  const why = `is there with type ${policy.type}: only ModifyAttribute modifies routes`;
  throw invalid('bgp-policy-attribute', `${pointer}/${found}`, policy[found], why);
}

/** Canonical, each once. */
function oneEach(
  pointer: string,
  given: readonly string[],
  read: (pointer: string, text: string) => string,
): string[] {
  const known: string[] = [];
  for (const [index, text] of given.entries()) {
    const value = read(`${pointer}/${index}`, text);
    if (known.includes(value)) {
      const why = 'is listed more than once: a list of conditions or attributes has each once';
      throw invalid('bgp-policy-value-once', `${pointer}/${index}`, value, why);
    }
    known.push(value);
  }
  return known;
}

function communityField(pointer: string, text: string): string {
  if (!text.includes(':')) return text;
  const numbers = text.split(':').map(Number);
  if (numbers.every((number) => number <= 0xffff)) return numbers.join(':');
  throw invalid(
    'bgp-community',
    pointer,
    text,
    'is not a community: two numbers of at most 65535 (RFC 1997)',
  );
}
