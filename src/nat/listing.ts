/**
 * What nft lists of a ruleset of ours: so that an edit of any rule by hand is found, and not only the absence of one. How a
 * rule is listed is asked of the kernel and libnftables themselves, in a namespace of its own, once for each shape of a
 * rule; rules of one shape differ in addresses and numbers alone.
 */
import { inNewNetns } from '../linux/netns.ts';
import { nftList, nftScript } from '../linux/nftables.ts';
import { externalSets, mappingMaps, type NatState, natTable, ruleMark, skeletonScript } from './ruleset.ts';

/** A member of a concatenation as libnftables' JSON has it. */
type Part = string | number | { prefix: { addr: string; len: number } };
type Concat = { concat: Part[] };

interface Rule {
  chain: string;
  comment?: string;
  expr: unknown;
}

/** What nftList() gives for our table, as far as it is read here. */
export interface Listed {
  /** An element that somebody has commented is an object. */
  set?: { name: string; elem?: (string | { elem: { val: string } })[] };
  map?: { name: string; elem?: [Concat, Concat][] };
  rule?: Rule;
}

/** Chains whose rules depend on the policy. */
const POLICY_CHAINS: ReadonlySet<string> = new Set(['source', 'segments']);
/** An IPv4 address, an IPv6 address, a number. */
const VALUE = /(\d+\.\d+\.\d+\.\d+)|([0-9a-f]*:[0-9a-f]*:[0-9a-f:]*)|\b(\d+)\b/g;
/** First of the numbers that stand for others: what nft takes for a port, a size, a mark. */
const NUMBERS = 50_001;

let skeleton: readonly string[] | undefined;
/** Expressions of rules, as JSON, by shape. */
const shapes = new Map<string, string>();

const words = ({ concat }: Concat): string =>
  concat
    .map((part) => (typeof part === 'object' ? `${part.prefix.addr}/${part.prefix.len}` : part))
    .join(' . ');

/** A remote prefix that is one address is listed without its length. */
const keyOf = (key: Concat): string =>
  words(key)
    .replace(/ \. ([0-9.]+)$/, ' . $1/32')
    .replace(/ \. ([0-9a-f:]+)$/, ' . $1/128');

/** Without what differs between two namespaces, or changes by itself. */
function canonical(object: object): string {
  return JSON.stringify(object, (key, value) =>
    key === 'handle' || key === 'packets' || key === 'bytes' ? undefined : value,
  );
}

const expressionOf = ({ comment, expr }: Rule): string => `${comment ?? ''} ${canonical({ expr })}`;

/** The table without what depends on the policy, a line for each object in nft's order. */
function skeletonOf(objects: readonly Listed[]): string[] {
  return objects.flatMap((object) => {
    const { set, map, rule } = object;
    if (rule !== undefined) return POLICY_CHAINS.has(rule.chain) ? [] : canonical({ rule });
    if (set !== undefined && externalSets.includes(set.name))
      return canonical({ set: { ...set, elem: undefined } });
    if (map !== undefined && mappingMaps.includes(map.name))
      return canonical({ map: { ...map, elem: undefined } });
    return canonical(object);
  });
}

/** The ruleset in a namespace of its own, with this rule in the chain `source`. */
function listAlone(rule?: string): Listed[] {
  const { family, table } = natTable;
  const more = rule === undefined ? '' : `add rule ${family} ${table} source ${rule}`;
  return inNewNetns(() => {
    nftScript(skeletonScript(false) + more);
    return (nftList(natTable) ?? []) as Listed[];
  });
}

/** What a rule of ours is listed as: its comment and its expression. Not to be called within inNetns(). */
function listedRule(rule: string): string {
  const values = [...new Set(rule.match(VALUE))];
  const numbers = values.filter((value) => /^\d+$/.test(value)).sort((a, b) => Number(a) - Number(b));
  // Numbers keep their order, for ranges have one.
  const standIn = (value: string): string => {
    if (value.includes(':')) return `2001:db8::${values.indexOf(value) + 1}`;
    if (value.includes('.')) return `192.0.2.${values.indexOf(value) + 1}`;
    return String(NUMBERS + numbers.indexOf(value));
  };
  const shape = rule.replace(VALUE, standIn);
  let expression = shapes.get(shape);
  if (expression === undefined) {
    const found = listAlone(shape).find((object) => object.rule?.chain === 'source')?.rule?.expr;
    expression = JSON.stringify(found);
    shapes.set(shape, expression);
  }
  const originals = new Map<unknown, string | number>(
    values.map((value) =>
      /^\d+$/.test(value) ? [Number(standIn(value)), Number(value)] : [standIn(value), value],
    ),
  );
  const expr: unknown = JSON.parse(expression, (_, value) => originals.get(value) ?? value);
  return expressionOf({ chain: '', comment: ruleMark(rule), expr });
}

/** All that a ruleset holds, comparable. */
export interface NatListing {
  /** All that is the same in every context, in nft's order. */
  skeleton: readonly string[];
  externals: ReadonlySet<string>;
  /** Key to value, in nft's words. */
  mappings: ReadonlyMap<string, string>;
  /** Rules of the chains `source` and `segments`. */
  sources: readonly string[];
  segments: readonly string[];
}

/** What nftList() gave. */
export function readListing(objects: readonly Listed[]): NatListing {
  const rules = (chain: string): string[] =>
    objects.flatMap(({ rule }) => (rule?.chain === chain ? expressionOf(rule) : []));
  const externals = objects.flatMap(({ set }) =>
    set !== undefined && externalSets.includes(set.name) ? (set.elem ?? []) : [],
  );
  const mappings = objects.flatMap(({ map }) =>
    map !== undefined && mappingMaps.includes(map.name) ? (map.elem ?? []) : [],
  );
  return {
    skeleton: skeletonOf(objects),
    externals: new Set(
      externals.map((element) => (typeof element === 'string' ? element : element.elem.val)),
    ),
    mappings: new Map(mappings.map(([key, value]) => [keyOf(key), words(value)])),
    sources: rules('source'),
    segments: rules('segments'),
  };
}

/** What nft would list of that state. Not to be called within inNetns(). */
export function wantedListing({ externals, mappings, sources, segments }: NatState): NatListing {
  skeleton ??= skeletonOf(listAlone());
  return {
    skeleton,
    externals,
    mappings,
    sources: sources.map(listedRule),
    segments: segments.map(listedRule),
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
  for (const address of want.externals)
    if (!have.externals.has(address)) found.push(`the external address ${address} was missing in the rules`);
  for (const address of have.externals)
    if (!want.externals.has(address)) found.push(`the external address ${address} was in the rules`);
  for (const [key, value] of want.mappings)
    if (have.mappings.get(key) !== value) found.push(`the mapping ${key} : ${value} was missing or changed`);
  for (const key of have.mappings.keys())
    if (!want.mappings.has(key)) found.push(`the mapping ${key} was there`);
  found.push(...chainDifferences('source', have.sources, want.sources));
  found.push(...chainDifferences('segments', have.segments, want.segments));
  return found;
}
