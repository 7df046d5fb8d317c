/**
 * What a routing context should have and what it has, in one comparable form, and the iproute2 commands that lead from
 * one to the other. Pure except for the readings.
 *
 * Inside, `hnv` leads to the tenant by the distributed router and `ext` to the uplink. Both next hops have the router's
 * MAC by permanent neighbour entries, a MAC that no interface has: were the eBPF program on the root side ever missing,
 * the root namespace would take no frame for its own, and nothing would leak into its routing.
 *
 * External addresses are the context's own. Those that a tenant's packets leave for nevertheless (nat/looped.ts) have routes
 * in a table that is looked into before the kernel's table of own addresses, for what comes from the tenant.
 */

import type { RouteNetlink } from '../linux/rtnetlink.ts';
import type { NetRoute } from '../linux/rtnetlink-messages.ts';
import { loopedAddresses } from '../nat/looped.ts';
import { type ContextMtu, externalLink, tenantLink } from '../nat/ruleset.ts';
import { addressFamily, hostPrefix, networkAddress } from '../policy/address.ts';
import type { ContextPlan, NatPlan } from '../policy/plan.ts';
import { routerMac } from '../policy/router.ts';
import { siteRouteProtocol } from '../s2s/site-routes.ts';
import { uplinkHop } from './uplink-hop.ts';

/** What differs between the families. */
const FAMILY = {
  4: {
    any: '0.0.0.0/0',
    /** What the kernel makes of a route's metric 0. */
    metric: 0,
    uplinkHop: uplinkHop[4],
  },
  6: { any: '::/0', metric: 1024, uplinkHop: uplinkHop[6] },
} as const;

/** Routing table of looped addresses, and rules: it comes first, and then the kernel's own (RT_TABLE_LOCAL). */
const LOOP_TABLE = 200;
const LOCAL_TABLE = 255;
const LOOP_RULES = [`1 ${tenantLink} ${LOOP_TABLE}`, `2 - ${LOCAL_TABLE}`];
const USUAL_RULES = [`0 - ${LOCAL_TABLE}`];
/** What has a higher number is an operator's, or the kernel's way to the main table. */
const LAST_PRIORITY = 2;

export interface ContextState {
  /** Links that are up. */
  up: Set<string>;
  /** `link address/length` */
  addresses: Set<string>;
  /**
   * `destination link via source`, the destination a prefix; `-` where there is none. What is peculiar to a route that
   * nobody wants follows: a metric that is not the usual one, another type.
   */
  routes: Set<string>;
  /** `destination link via`, of the table of looped addresses. */
  looped: Set<string>;
  /** `family priority link table` of those that come before the main table's. */
  rules: Set<string>;
  /** `link address mac` */
  neighbours: Set<string>;
  mtu: Map<string, number>;
  tenantMac: string;
}

/**
 * Addresses of `ext`. Of a family that has prefixes alone it is the one that a router has in each subnet (RFC 4291 section
 * 2.6.1): errors that the context sends need a source that may leave, and the kernel keeps no neighbour of a link without
 * an address.
 */
function uplinkAddresses(nat: NatPlan | undefined): string[] {
  const addresses = nat?.externalAddresses.map(({ address }) => address) ?? [];
  const prefix = nat?.prefixes[0]?.internal;
  return prefix === undefined || addresses.some((address) => addressFamily(address) === 6)
    ? addresses
    : [...addresses, networkAddress(prefix)];
}

/** Everything about a context that its namespace must show. */
export function desiredContext(plan: ContextPlan, nat: NatPlan | undefined, mtu: ContextMtu): ContextState {
  const externals = uplinkAddresses(nat);
  const looped = nat === undefined ? [] : loopedAddresses(nat);
  const addresses = externals.map((address) => `${externalLink} ${hostPrefix(address)}`);
  const routes = new Set<string>();
  const neighbours = new Set<string>();
  for (const [index, address] of plan.addresses.entries()) {
    const family = addressFamily(address);
    const router = plan.routerAddresses[index] ?? '';
    const hasUplink = externals.some((external) => addressFamily(external) === family);
    addresses.push(`${tenantLink} ${hostPrefix(address)}`);
    neighbours.add(`${tenantLink} ${router} ${routerMac}`);
    routes.add(`${hostPrefix(router)} ${tenantLink} - ${address}`);
    for (const prefix of plan.tenantPrefixes) {
      if (addressFamily(prefix) !== family) continue;
      // What has no better route leaves by the uplink, and the router itself is on the link, whatever the tenant's routes say.
      if (prefix === hostPrefix(router) || (prefix === FAMILY[family].any && hasUplink)) continue;
      routes.add(`${prefix} ${tenantLink} ${router} ${address}`);
    }
  }
  for (const family of [4, 6] as const) {
    const source = externals.find((external) => addressFamily(external) === family);
    if (source === undefined) continue;
    const { any, uplinkHop } = FAMILY[family];
    routes.add(`${any} ${externalLink} ${uplinkHop} ${source}`);
    // Not without an address: the kernel forgets even permanent neighbours with the link's last one.
    neighbours.add(`${externalLink} ${uplinkHop} ${routerMac}`);
  }
  return {
    up: new Set(['lo', tenantLink, externalLink]),
    addresses: new Set(addresses),
    routes,
    looped: new Set(
      looped.map(
        (address) => `${hostPrefix(address)} ${externalLink} ${FAMILY[addressFamily(address)].uplinkHop}`,
      ),
    ),
    rules: new Set(
      ([4, 6] as const).flatMap((family) =>
        (looped.some((address) => addressFamily(address) === family) ? LOOP_RULES : USUAL_RULES).map(
          (rule) => `${family} ${rule}`,
        ),
      ),
    ),
    neighbours,
    mtu: new Map([
      [tenantLink, mtu.tenant],
      [externalLink, mtu.external],
    ]),
    tenantMac: plan.mac,
  };
}

/** The routing rules that a namespace has from the start. */
export function usualRules(): Set<string> {
  return new Set([4, 6].flatMap((family) => USUAL_RULES.map((rule) => `${family} ${rule}`)));
}

/** A namespace that was just made, with both links as contexts.ts makes them. */
export function freshContext(want: ContextState): ContextState {
  return {
    ...want,
    ...{ up: new Set(), addresses: new Set(), routes: new Set(), looped: new Set(), neighbours: new Set() },
    rules: usualRules(),
  };
}

/**
 * The links that are a context's; what an operator has beside them, with its addresses and routes, stays theirs, as do the ways
 * to sites (s2s/site-links.ts).
 */
const OWN_LINKS: ReadonlySet<string> = new Set(['lo', tenantLink, externalLink]);
/** What every namespace has on `lo`. */
const LOOPBACK_ADDRESSES: ReadonlySet<string> = new Set(['lo 127.0.0.1/8', 'lo ::1/128']);

/** Links of a context's namespace by their names. */
export type InsideLinks = ReadonlyMap<string, ReturnType<RouteNetlink['links']>[number]>;

/** For who is in the namespace. */
export function readLinks(reading: RouteNetlink): InsideLinks {
  return new Map(reading.links().map((link) => [link.name, link]));
}

/** The same. */
export function readInside(reading: RouteNetlink, inside: InsideLinks): ContextState {
  const links = [...inside.values()].filter(({ name }) => OWN_LINKS.has(name));
  const names = new Map(links.map(({ ifindex, name }) => [ifindex, name]));
  const veths = links.filter(({ name }) => name !== 'lo');
  return {
    up: new Set(links.filter(({ isUp }) => isUp).map(({ name }) => name)),
    addresses: new Set(
      reading
        .addresses()
        .map(({ ifindex, address, prefixLength }) => `${names.get(ifindex)} ${address}/${prefixLength}`)
        .filter((text) => !text.startsWith('undefined ') && !LOOPBACK_ADDRESSES.has(text)),
    ),
    routes: new Set(
      reading.routes().flatMap((route) => {
        if (route.protocol === siteRouteProtocol) return [];
        const link = route.ifindex === 0 ? '-' : names.get(route.ifindex);
        return link === undefined ? [] : routeText(route, link);
      }),
    ),
    looped: new Set(
      reading
        .routes(0, LOOP_TABLE)
        .map(({ destination, ifindex, gateway }) => `${destination} ${names.get(ifindex)} ${gateway ?? '-'}`),
    ),
    rules: new Set(
      reading
        .rules()
        .filter(({ priority }) => priority <= LAST_PRIORITY)
        .map(
          ({ family, priority, link, table, isPeculiar }) =>
            `${family} ${priority} ${link ?? '-'} ${table}${isPeculiar ? ' and more' : ''}`,
        ),
    ),
    neighbours: new Set(
      reading.permanentNeighbours().flatMap(({ ifindex, address, mac }) => {
        const link = names.get(ifindex);
        return link === undefined ? [] : `${link} ${address} ${mac}`;
      }),
    ),
    mtu: new Map(veths.map(({ name, mtu }) => [name, mtu])),
    tenantMac: inside.get(tenantLink)?.mac ?? '',
  };
}

function routeText({ destination, gateway, source, metric, peculiarities }: NetRoute, link: string): string {
  const usual = FAMILY[destination.includes(':') ? 6 : 4].metric;
  return [
    ...[destination, link, gateway ?? '-', source ?? '-'],
    ...(metric === usual ? [] : [`metric ${metric}`]),
    ...peculiarities,
  ].join(' ');
}

/** Types of routes that iproute2 has in front of the destination. */
const ROUTE_TYPES: ReadonlySet<string> = new Set([
  ...['local', 'broadcast', 'multicast', 'blackhole', 'unreachable', 'prohibit', 'throw'],
]);

/** What the kernel tells routes of a table apart by. */
function routeKey(route: string): string {
  const [destination = '', , , , ...rest] = route.split(' ');
  const number = (word: string): string[] => {
    const at = rest.indexOf(word);
    return at < 0 ? [] : [word, rest[at + 1] ?? ''];
  };
  return [destination, ...number('metric'), ...number('tos')].join(' ');
}

/** Ends a route that nobody wants, of whatever kind. */
function routeEnd(route: string): string[] {
  const [destination = '', link = '-', via = '-', source = '-', ...rest] = route.split(' ');
  const type = rest.filter((word) => ROUTE_TYPES.has(word));
  const metric = rest.indexOf('metric');
  const usual = String(FAMILY[addressFamily(destination.split('/')[0] ?? '')].metric);
  const tos = rest.indexOf('tos');
  // Several next hops go with the route that has them.
  const isOne = !rest.includes('nexthops');
  return [
    ...['route', 'del', ...type, destination],
    ...(via === '-' || !isOne ? [] : ['via', via]),
    ...(link === '-' || type.length > 0 || !isOne ? [] : ['dev', link]),
    ...(source === '-' || !isOne ? [] : ['src', source]),
    ...(tos < 0 ? [] : ['tos', rest[tos + 1] ?? '']),
    ...['metric', metric < 0 ? usual : (rest[metric + 1] ?? '')],
  ];
}

function routeCommand(route: string): string[] {
  const [destination = '', link = '', via = '-', source = '-'] = route.split(' ');
  const hop = via === '-' ? ['scope', 'link'] : ['via', via, 'onlink'];
  return ['route', 'replace', destination, ...hop, 'dev', link, ...(source === '-' ? [] : ['src', source])];
}

function loopedCommand(verb: 'replace' | 'del', route: string): string[] {
  const [destination = '', link = '', via = '-'] = route.split(' ');
  const hop = via === '-' ? [] : ['via', via];
  return [
    'route',
    verb,
    destination,
    ...hop,
    'dev',
    link,
    ...(verb === 'del' ? [] : ['onlink']),
    'table',
    `${LOOP_TABLE}`,
  ];
}

function neighbourCommand(verb: 'replace' | 'del', neighbour: string): string[] {
  const [link = '', address = '', mac = ''] = neighbour.split(' ');
  const entry = ['neigh', verb, address, 'dev', link];
  return verb === 'del' ? entry : [...entry, 'lladdr', mac, 'nud', 'permanent'];
}

/** Nobody else is on the link to have an IPv6 address, and its prefix is routed by routes of ours alone. */
function addressCommand(verb: 'add' | 'del', address: string): string[] {
  const [link = '', prefix = ''] = address.split(' ');
  const flags = verb === 'add' && addressFamily(prefix) === 6 ? ['nodad', 'noprefixroute'] : [];
  return ['addr', verb, prefix, 'dev', link, ...flags];
}

/**
 * The fewest commands that lead from `have` to `want`, in an order that the kernel accepts: links before addresses,
 * addresses before the routes that name them, and what goes away last.
 */
export function contextCommands(have: ContextState, want: ContextState): string[][] {
  const extra = (a: Set<string>, b: Set<string>): string[] => [...a].filter((item) => !b.has(item));
  const commands: string[][] = [];
  let neighbours = have.neighbours;
  if (have.tenantMac !== want.tenantMac) {
    commands.push(['link', 'set', tenantLink, 'address', want.tenantMac]);
    // With its MAC address the link loses its neighbours, permanent ones too.
    neighbours = new Set([...neighbours].filter((item) => !item.startsWith(`${tenantLink} `)));
  }
  for (const [link, mtu] of want.mtu)
    if (have.mtu.get(link) !== mtu) commands.push(['link', 'set', link, 'mtu', String(mtu)]);
  for (const link of extra(want.up, have.up)) commands.push(['link', 'set', link, 'up']);
  for (const item of extra(want.addresses, have.addresses)) commands.push(addressCommand('add', item));
  for (const item of extra(want.neighbours, neighbours)) commands.push(neighbourCommand('replace', item));
  const missing = extra(want.routes, have.routes);
  for (const item of missing) commands.push(routeCommand(item));
  // One that has the place of a missing one went with that; should there be more of them, they are still there then.
  const replaced = new Set(missing.map(routeKey));
  for (const item of extra(have.routes, want.routes))
    if (!replaced.has(routeKey(item))) commands.push(routeEnd(item));
  for (const item of extra(want.looped, have.looped)) commands.push(loopedCommand('replace', item));
  for (const item of extra(have.looped, want.looped)) commands.push(loopedCommand('del', item));
  for (const item of extra(neighbours, want.neighbours)) {
    const [link, address] = item.split(' ');
    const kept = [...want.neighbours].some((other) => other.startsWith(`${link} ${address} `));
    if (!kept) commands.push(neighbourCommand('del', item));
  }
  for (const item of extra(have.addresses, want.addresses)) commands.push(addressCommand('del', item));
  for (const link of extra(have.up, want.up)) commands.push(['link', 'set', link, 'down']);
  return commands;
}

/**
 * The commands for the rules of a family, behind those of contextCommands(). What comes instead is there before anything
 * goes: without a table of own addresses nothing would be heard.
 */
export function ruleCommands(have: ContextState, want: ContextState, family: 4 | 6): string[][] {
  const command =
    (verb: 'add' | 'del') =>
    (rule: string): string[] => {
      const [, priority = '', link = '', table = ''] = rule.split(' ');
      const from = link === '-' ? [] : ['iif', link];
      return ['rule', verb, 'priority', priority, ...from, 'table', table];
    };
  const of = (a: Set<string>, b: Set<string>): string[] =>
    [...a].filter((rule) => rule.startsWith(`${family} `) && !b.has(rule));
  return [
    ...of(want.rules, have.rules).map(command('add')),
    ...of(have.rules, want.rules).map(command('del')),
  ];
}

/** What `have` has otherwise than `want`, as parts of a sentence. */
export function contextDifferences(have: ContextState, want: ContextState): string[] {
  const found: string[] = [];
  const compare = (what: string, a: ReadonlySet<string>, b: ReadonlySet<string>): void => {
    for (const item of b) if (!a.has(item)) found.push(`the ${what} ${item} was missing`);
    for (const item of a) if (!b.has(item)) found.push(`the ${what} ${item} was there`);
  };
  for (const link of want.up) if (!have.up.has(link)) found.push(`the link ${link} was down`);
  if (have.tenantMac !== want.tenantMac) found.push(`the link ${tenantLink} had the MAC ${have.tenantMac}`);
  for (const [link, mtu] of want.mtu)
    if (have.mtu.get(link) !== mtu) found.push(`the link ${link} had the MTU ${have.mtu.get(link)}`);
  compare('address', have.addresses, want.addresses);
  compare('route', have.routes, want.routes);
  compare('route of external addresses', have.looped, want.looped);
  compare('routing rule', have.rules, want.rules);
  compare('neighbour', have.neighbours, want.neighbours);
  return found;
}
