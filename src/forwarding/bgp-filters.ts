/**
 * What passes to and from peers, as lists and route maps of bgpd. In front of a peer's policies stands what no policy can
 * allow: own prefixes and martians inwards, and outwards whatever is not the domain's own to tell. So nothing that one peer has
 * told is told to another. Lists permit only, so that their order says nothing, and have no sequence numbers (config-changes.ts).
 */
import { createHash } from 'node:crypto';
import { addressFamily, networkAddress } from '../policy/address.ts';
import type { BgpPolicy } from '../policy/bgp-resources.ts';
import type { BgpPeerPlan, BgpPlan } from '../policy/plan.ts';
import { numberPattern } from './number-pattern.ts';

/** Sequence numbers in a route map: of what is always there, of the first policy, and of the end. */
const SEQUENCE = { always: 1, otherwise: 2, policies: 10, step: 10, end: 65_535 } as const;

/** Of the names of policies in that of a route map; FRR has room for some hundred characters. */
const LONGEST_NAME = 100;

/** Destinations that are no network's (RFC 6890), with all within; the default route is none of them. */
const MARTIANS = {
  4: ['0.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16', '224.0.0.0/4', '240.0.0.0/4'],
  6: ['::/128', '::1/128', '::ffff:0:0/96', 'fe80::/10', 'ff00::/8'],
} as const;

/** Communities with a name of their own in FRR's text (IANA: BGP Well-known Communities). */
const WELL_KNOWN: ReadonlyMap<number, string> = new Map([
  [0, 'internet'],
  [0xffff0000, 'graceful-shutdown'],
  [0xffff0001, 'accept-own'],
  [0xffff0002, 'route-filter-translated-v4'],
  [0xffff0003, 'route-filter-v4'],
  [0xffff0004, 'route-filter-translated-v6'],
  [0xffff0005, 'route-filter-v6'],
  [0xffff0006, 'llgr-stale'],
  [0xffff0007, 'no-llgr'],
  [0xffff0008, 'accept-own-nexthop'],
  [0xffff029a, 'blackhole'],
  [0xffffff01, 'no-export'],
  [0xffffff02, 'no-advertise'],
  [0xffffff03, 'local-AS'],
  [0xffffff04, 'no-peer'],
]);
const BY_NAME: ReadonlyMap<string, number> = new Map([...WELL_KNOWN].map(([value, name]) => [name, value]));

type Family = 4 | 6;

const familyOf = (prefix: string): Family => addressFamily(networkAddress(prefix));
const isOf =
  (family: Family) =>
  (prefix: string): boolean =>
    familyOf(prefix) === family;
const prefixWord = (family: Family): string => (family === 4 ? 'ip' : 'ipv6');

/**
 * Names of the route maps of a peer: by what is in them, as peers with the same policies share one. With some thousand lines each
 * takes FRR a part of a second.
 */
export function routeMapNames(peer: BgpPeerPlan): { in: string; out: string } {
  const name = (direction: string, policies: readonly string[]): string =>
    [`${direction}${addressFamily(peer.address)}`, ...shortened(policies)].join('+');
  return { in: name('in', peer.ingressPolicies), out: name('out', peer.egressPolicies) };
}

function shortened(policies: readonly string[]): readonly string[] {
  const text = policies.join('+');
  if (text.length <= LONGEST_NAME) return policies;
  return [createHash('sha256').update(text).digest('hex').slice(0, 32)];
}

/** Lines of lists and route maps that the peers of the plan need. */
export function filterLines(plan: BgpPlan): string[] {
  const families = ([4, 6] as const).filter((family) =>
    plan.peers.some(({ address }) => addressFamily(address) === family),
  );
  const used = new Set(plan.peers.flatMap((peer) => [...peer.ingressPolicies, ...peer.egressPolicies]));
  return [
    ...families.flatMap((family) => commonLists(plan, family)),
    ...plan.policies
      .filter(({ name }) => used.has(name))
      .flatMap((policy) => policyLists(plan, policy, families)),
    ...[...byName(plan.peers, 'in').values()].flatMap((peer) => inward(plan, peer)),
    ...[...byName(plan.peers, 'out').values()].flatMap((peer) => outward(plan, peer)),
  ];
}

/** A peer for each route map. */
function byName(peers: readonly BgpPeerPlan[], direction: 'in' | 'out'): Map<string, BgpPeerPlan> {
  return new Map(peers.map((peer) => [routeMapNames(peer)[direction], peer]));
}

function commonLists({ own, taken, networks }: BgpPlan, family: Family): string[] {
  const closed = [...own.filter(isOf(family)), ...MARTIANS[family]];
  return [
    ...prefixList(`closed${family}`, family, [
      ...closed.map((prefix) => withAllWithin(prefix)),
      // What is closed with all within is so already.
      ...taken.filter(isOf(family)).filter((prefix) => !closed.includes(prefix)),
    ]),
    ...prefixList(`networks${family}`, family, networks.filter(isOf(family))),
  ];
}

function policyLists(plan: BgpPlan, policy: BgpPolicy, families: readonly Family[]): string[] {
  const { matchPrefixes = [], matchAsnRanges = [], matchCommunities = [] } = policy;
  const name = listName(policy);
  return [
    ...families.flatMap((family) =>
      prefixList(
        `${name}-${family}`,
        family,
        matchPrefixes.filter(isOf(family)).map((prefix) => withAllWithin(prefix)),
      ),
    ),
    ...new Set(
      matchAsnRanges.flatMap(({ from, to }) => [
        `bgp as-path access-list ${name} permit _${numberPattern(from, to)}$`,
        // What began in the own AS has no path.
        ...(from <= plan.asn && plan.asn <= to ? [`bgp as-path access-list ${name} permit ^$`] : []),
      ]),
    ),
    ...communities(matchCommunities).map(
      (community) => `bgp community-list standard ${name} permit ${community}`,
    ),
  ];
}

function inward(plan: BgpPlan, peer: BgpPeerPlan): string[] {
  const family = addressFamily(peer.address);
  const name = routeMapNames(peer).in;
  return [
    `route-map ${name} deny ${SEQUENCE.always}`,
    ` match ${prefixWord(family)} address prefix-list closed${family}`,
    ...policyEntries(plan, name, peer.ingressPolicies, family),
    `route-map ${name} permit ${SEQUENCE.end}`,
  ];
}

function outward(plan: BgpPlan, peer: BgpPeerPlan): string[] {
  const family = addressFamily(peer.address);
  const name = routeMapNames(peer).out;
  return [
    `route-map ${name} permit ${SEQUENCE.always}`,
    ` on-match goto ${SEQUENCE.policies}`,
    ` match ${prefixWord(family)} address prefix-list networks${family}`,
    `route-map ${name} deny ${SEQUENCE.otherwise}`,
    ...policyEntries(plan, name, peer.egressPolicies, family),
    `route-map ${name} permit ${SEQUENCE.end}`,
  ];
}

/** The first that matches decides. */
function policyEntries(plan: BgpPlan, map: string, names: readonly string[], family: Family): string[] {
  return names.flatMap((name, index) => {
    const policy = plan.policies.find((one) => one.name === name);
    // A policy for prefixes of the other family alone matches nothing here.
    if (policy === undefined || policy.matchPrefixes?.some(isOf(family)) === false) return [];
    const action = policy.type === 'Deny' ? 'deny' : 'permit';
    return [
      `route-map ${map} ${action} ${SEQUENCE.policies + index * SEQUENCE.step}`,
      ...conditions(policy, family).map((line) => ` match ${line}`),
      ...(policy.type === 'ModifyAttribute' ? changes(policy, plan.asn).map((line) => ` set ${line}`) : []),
    ];
  });
}

function conditions(policy: BgpPolicy, family: Family): string[] {
  const name = listName(policy);
  return [
    ...(policy.matchPrefixes === undefined
      ? []
      : [`${prefixWord(family)} address prefix-list ${name}-${family}`]),
    ...(policy.matchAsnRanges === undefined ? [] : [`as-path ${name}`]),
    ...(policy.matchCommunities === undefined ? [] : [`community ${name}`]),
  ];
}

function changes(policy: BgpPolicy, asn: number): string[] {
  const { newLocalPreference, newMed, addCommunities, removeAllCommunities = false, prependAsn } = policy;
  const added = communities(addCommunities ?? []).join(' ');
  return [
    ...(newLocalPreference === undefined ? [] : [`local-preference ${newLocalPreference}`]),
    ...(newMed === undefined ? [] : [`metric ${newMed}`]),
    ...(added === ''
      ? removeAllCommunities
        ? ['community none']
        : []
      : [`community ${added}${removeAllCommunities ? '' : ' additive'}`]),
    ...(prependAsn === undefined ? [] : [`as-path prepend ${Array(prependAsn).fill(asn).join(' ')}`]),
  ];
}

/** No name of a list is a number, which FRR takes for one of another kind. */
function listName({ name }: BgpPolicy): string {
  return `policy-${name}`;
}

function prefixList(name: string, family: Family, entries: readonly string[]): string[] {
  return entries.map((entry) => `${prefixWord(family)} prefix-list ${name} permit ${entry}`);
}

function withAllWithin(prefix: string): string {
  const longest = familyOf(prefix) === 4 ? 32 : 128;
  return prefix.endsWith(`/${longest}`) ? prefix : `${prefix} le ${longest}`;
}

/** As FRR shows them: each once, ascending by value, those with a name by it. */
function communities(texts: readonly string[]): string[] {
  const values = texts.map((text) => {
    const [high, low] = text.split(':').map(Number);
    return BY_NAME.get(text) ?? (high ?? 0) * 65_536 + (low ?? 0);
  });
  return [...new Set(values)]
    .sort((a, b) => a - b)
    .map((value) => WELL_KNOWN.get(value) ?? `${Math.floor(value / 65_536)}:${value % 65_536}`);
}
