/**
 * What nft lists of the table `hnvgw`: so that an edit of any rule by hand is found, and not only the absence of one. How a
 * rule is listed is asked of the kernel and libnftables themselves, in a namespace of its own, once for each shape of a
 * rule; rules of one shape differ in addresses and numbers alone.
 */
import { inNewNetns } from '../linux/netns.ts';
import { nftList, nftScript } from '../linux/nftables.ts';
import {
  type ElementSet,
  elementSets,
  type NatState,
  natTable,
  type PolicyChain,
  policyChains,
  skeletonScript,
} from './ruleset.ts';

/** A member of a set, or a part of one, as libnftables' JSON has it; one that somebody has commented is an object. */
type Part =
  | string
  | number
  | { concat: Part[] }
  | { prefix: { addr: string; len: number } }
  | { elem: { val: Part } };

interface Rule {
  chain: string;
  expr: unknown;
  comment?: string;
}

/** What nftList() gives for our table, as far as it is read here. */
export interface Listed {
  set?: { name: string; elem?: Part[] };
  map?: { name: string; elem?: [Part, Part][] };
  rule?: Rule;
}

const ELEMENT_SETS: ReadonlySet<string> = new Set(elementSets);
const POLICY_CHAINS: ReadonlySet<string> = new Set(policyChains);
/** An IPv4 address, an IPv6 address, a number. */
const VALUE = /(\d+\.\d+\.\d+\.\d+)|([0-9a-f]*:[0-9a-f]*:[0-9a-f:]*)|\b(\d+)\b/g;
/** First of the numbers that stand for others: what nft takes for a port, a size, a seed. */
const NUMBERS = 50_001;

let skeleton: readonly string[] | undefined;
/** Expressions of rules, as JSON, by chain and shape. */
const shapes = new Map<string, string>();

function words(part: Part): string {
  if (typeof part !== 'object') return `${part}`;
  if ('concat' in part) return part.concat.map(words).join(' . ');
  if ('prefix' in part) return `${part.prefix.addr}/${part.prefix.len}`;
  return words(part.elem.val);
}

const OF_PREFIXES: ReadonlySet<string> = new Set([
  ...['routed', 'mappings', 'mappings6', 'peers', 'peers6', 'sites', 'sites6', 'forwarded', 'forwarded6'],
]);

/** In sets of prefixes, one that is a single address is listed without its length. */
function keyOf(set: string, part: Part): string {
  const key = words(part);
  if (!OF_PREFIXES.has(set)) return key;
  return key.replace(/(^| \. )([0-9.]+)$/, '$1$2/32').replace(/(^| \. )([0-9a-f:]+)$/, '$1$2/128');
}

/** Without what differs between two namespaces, or changes by itself. */
function canonical(object: object): string {
  return JSON.stringify(object, (key, value) =>
    key === 'handle' || key === 'packets' || key === 'bytes' ? undefined : value,
  );
}

const expressionOf = ({ comment, expr }: Rule): string => canonical({ ...(comment && { comment }), expr });

/** The table without what depends on the policy, a line for each object in nft's order. */
function skeletonOf(objects: readonly Listed[]): string[] {
  return objects.flatMap((object) => {
    const { set, map, rule } = object;
    if (rule !== undefined) return POLICY_CHAINS.has(rule.chain) ? [] : canonical({ rule });
    if (set !== undefined && ELEMENT_SETS.has(set.name))
      return canonical({ set: { ...set, elem: undefined } });
    if (map !== undefined && ELEMENT_SETS.has(map.name))
      return canonical({ map: { ...map, elem: undefined } });
    return canonical(object);
  });
}

/** The table in a namespace of its own, with this rule in a chain. */
function listAlone(chain?: PolicyChain, rule?: string): Listed[] {
  const { family, table } = natTable;
  const more = rule === undefined ? '' : `add rule ${family} ${table} ${chain} ${rule}`;
  return inNewNetns(() => {
    nftScript(skeletonScript(false) + more);
    return (nftList(natTable) ?? []) as Listed[];
  });
}

/** What a rule of ours is listed as: its expression. Not to be called within inNetns(). */
function listedRule(chain: PolicyChain, rule: string): string {
  const values = [...new Set(rule.match(VALUE))];
  const numbers = values.filter((value) => /^\d+$/.test(value)).sort((a, b) => Number(a) - Number(b));
  // Numbers keep their order, for ranges have one.
  const standIn = (value: string): string => {
    if (value.includes(':')) return `2001:db8::${values.indexOf(value) + 1}`;
    if (value.includes('.')) return `192.0.2.${values.indexOf(value) + 1}`;
    return String(NUMBERS + numbers.indexOf(value));
  };
  const shape = rule.replace(VALUE, standIn);
  let expression = shapes.get(`${chain} ${shape}`);
  if (expression === undefined) {
    const found = listAlone(chain, shape).find((object) => object.rule?.chain === chain)?.rule?.expr;
    expression = JSON.stringify(found);
    shapes.set(`${chain} ${shape}`, expression);
  }
  const originals = new Map<unknown, string | number>(
    values.map((value) =>
      /^\d+$/.test(value) ? [Number(standIn(value)), Number(value)] : [standIn(value), value],
    ),
  );
  const expr: unknown = JSON.parse(expression, (_, value) => originals.get(value) ?? value);
  return expressionOf({ chain, expr });
}

/** All that the table holds, comparable. */
export interface NatListing {
  /** All that is the same in every context, in nft's order. */
  skeleton: readonly string[];
  /** Key to value, in nft's words. */
  elements: ReadonlyMap<ElementSet, ReadonlyMap<string, string>>;
  /** Rules of the chains that are the policy's. */
  chains: ReadonlyMap<PolicyChain, readonly string[]>;
}

/** What nftList() gave. */
export function readListing(objects: readonly Listed[]): NatListing {
  const elements = new Map(elementSets.map((name) => [name, new Map<string, string>()]));
  for (const { set, map } of objects) {
    const ofSet = elements.get(set?.name as ElementSet);
    for (const element of set?.elem ?? []) ofSet?.set(keyOf(set?.name ?? '', element), '');
    const ofMap = elements.get(map?.name as ElementSet);
    for (const [key, value] of map?.elem ?? []) ofMap?.set(keyOf(map?.name ?? '', key), words(value));
  }
  const rules = (chain: PolicyChain): string[] =>
    objects.flatMap(({ rule }) => (rule?.chain === chain ? expressionOf(rule) : []));
  return {
    skeleton: skeletonOf(objects),
    elements,
    chains: new Map(policyChains.map((chain) => [chain, rules(chain)])),
  };
}

/** What nft would list of that state. Not to be called within inNetns(). */
export function wantedListing({ elements, chains }: NatState): NatListing {
  skeleton ??= skeletonOf(listAlone());
  return {
    skeleton,
    elements,
    chains: new Map(
      [...chains].map(([chain, rules]) => [chain, rules.map((rule) => listedRule(chain, rule))]),
    ),
  };
}

/** Whether all that is the same in every context is as it should be. */
export function hasSkeleton(have: NatListing, want: NatListing): boolean {
  return have.skeleton.join('\n') === want.skeleton.join('\n');
}

function chainDifferences(chain: string, have: readonly string[], want: readonly string[]): string[] {
  const missing = want.filter((rule) => !have.includes(rule)).length;
  const extra = have.filter((rule) => !want.includes(rule)).length;
  if (missing + extra === 0)
    return have.join('\n') === want.join('\n') ? [] : [`the rules of the chain ${chain} were in disorder`];
  return [
    ...(missing > 0 ? [`${missing} of the rules of the chain ${chain} were missing or changed`] : []),
    ...(extra > 0 ? [`the chain ${chain} had ${extra} rules that are not hnvgw's`] : []),
  ];
}

/** What the members of a set are to an operator. */
function memberName(set: ElementSet): string {
  if (set.startsWith('external')) return 'external address';
  if (set.startsWith('mappings')) return 'mapping';
  if (set.startsWith('peers')) return 'IKE peer';
  if (set.startsWith('sites')) return 'prefix behind tunnels';
  if (set.startsWith('forwarded')) return 'forwarded prefix';
  if (set.startsWith('bgp_peers')) return 'BGP peer';
  return set === 'routed' ? 'routed prefix' : 'one-to-one translation';
}

/** What a line of a skeleton is about: a rule by its chain, anything else by its name. */
function subject(line: string): string {
  const [[kind, { name, chain }] = ['', {}]] = Object.entries(
    JSON.parse(line) as Record<string, { name?: string; chain?: string }>,
  );
  return kind === 'rule' ? `a rule of the chain ${chain}` : `the ${kind} ${name}`;
}

/** What `have` has otherwise than `want`, as parts of a sentence; `have` is undefined when there is no such table. */
export function listingDifferences(have: NatListing | undefined, want: NatListing): string[] {
  if (have === undefined) return [`the nft table ${natTable.family} ${natTable.table} was missing`];
  const found = [
    ...want.skeleton
      .filter((line) => !have.skeleton.includes(line))
      .map((line) => `${subject(line)} was missing or changed`),
    ...have.skeleton
      .filter((line) => !want.skeleton.includes(line))
      .map((line) => `${subject(line)} was there that is not hnvgw's`),
  ];
  if (found.length === 0 && !hasSkeleton(have, want)) found.push('the rules were in disorder');
  for (const [set, wanted] of want.elements) {
    const members = have.elements.get(set);
    const told = (key: string, value: string | undefined): string =>
      `the ${memberName(set)} ${key}${value ? ` : ${value}` : ''}`;
    for (const [key, value] of wanted)
      if (members?.get(key) !== value) found.push(`${told(key, value)} was missing in the rules, or changed`);
    for (const key of members?.keys() ?? [])
      if (!wanted.has(key)) found.push(`${told(key, undefined)} was in the rules`);
  }
  for (const [chain, wanted] of want.chains)
    found.push(...chainDifferences(chain, have.chains.get(chain) ?? [], wanted));
  return found;
}
