/**
 * What a routing context should have and what it has, in one comparable form; context-commands.ts leads from one to the
 * other. Pure except for the readings.
 *
 * Inside, `hnv` leads to the tenant by the distributed router and `ext` to the uplink. Both next hops have the router's
 * MAC by permanent neighbour entries, a MAC that no interface has: were the eBPF program on the root side ever missing,
 * the root namespace would take no frame for its own, and nothing would leak into its routing.
 *
 * `fwd` leads to a network that the context is a router on, by ARP, ND and routes as any router: its neighbours are real ones.
 * Several next hops of a prefix are one route.
 *
 * External addresses are the context's own. Those that a tenant's packets leave for nevertheless (nat/looped.ts) have routes
 * in a table that is looked into before the kernel's table of own addresses, for what comes from the tenant.
 */

import type { RouteNetlink } from '../linux/rtnetlink.ts';
import type { NetRoute } from '../linux/rtnetlink-messages.ts';
import { loopedAddresses } from '../nat/looped.ts';
import { type ContextMtu, externalLink, forwardingLink, tenantLink } from '../nat/ruleset.ts';
import { addressFamily, hostPrefix, networkAddress, prefixAround } from '../policy/address.ts';
import type { ContextPlan, ForwardingPlan, NatPlan } from '../policy/plan.ts';
import { linkLocalAddress, routerMac } from '../policy/router.ts';
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
export const LOOP_TABLE = 200;
const LOCAL_TABLE = 255;
const LOOP_RULES = [`1 ${tenantLink} ${LOOP_TABLE}`, `2 - ${LOCAL_TABLE}`];
const USUAL_RULES = [`0 - ${LOCAL_TABLE}`];
/** What has a higher number is an operator's, or the kernel's way to the main table. */
const LAST_PRIORITY = 2;

/** Routes of others: of the ways to sites, and RTPROT_BGP, zebra's of what peers have told. */
const OTHERS_ROUTES: ReadonlySet<number> = new Set([siteRouteProtocol, 186]);

export interface ContextState {
  /** Links that are up. */
  up: Set<string>;
  /** `link address/length` */
  addresses: Set<string>;
  /**
   * `destination link via source`, the destination a prefix; `-` where there is none; several next hops ascending, with
   * commas. What is peculiar to a route that nobody wants follows: a metric that is not the usual one, another type.
   */
  routes: Set<string>;
  /** `destination link via`, of the table of looped addresses. */
  looped: Set<string>;
  /** `family priority link table` of those that come before the main table's. */
  rules: Set<string>;
  /** `link address mac` */
  neighbours: Set<string>;
  mtu: Map<string, number>;
  /** Of the links whose MACs others know. */
  macs: Map<string, string>;
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

/**
 * `address/length` of `fwd`. For IPv6 there is a link-local one: what a router forwards it asks for neighbours under that
 * alone (RFC 4861 section 7.2.2).
 */
function forwardingAddresses({ addresses, mac }: ForwardingPlan): string[] {
  const needsLocal = addresses.some((address) => addressFamily(address.split('/')[0] ?? '') === 6);
  return needsLocal ? [...addresses, `${linkLocalAddress(mac)}/64`] : addresses;
}

/** The subnets of `fwd`, and what is behind routers there. */
function forwardingRoutes({ addresses, routes }: ForwardingPlan): Set<string> {
  const own = addresses.map((text) => {
    const [address = '', length = ''] = text.split('/');
    return { address, family: addressFamily(address), subnet: prefixAround(address, Number(length)) };
  });
  const sourceOf = (family: 4 | 6): string => own.find((one) => one.family === family)?.address ?? '-';
  const subnets = new Map<string, string>();
  for (const { address, subnet } of own)
    if (subnet !== hostPrefix(address) && !subnets.has(subnet)) subnets.set(subnet, address);
  return new Set([
    ...[...subnets].map(([subnet, address]) => `${subnet} ${forwardingLink} - ${address}`),
    ...routes.map(({ prefix, nextHops }) => {
      const source = sourceOf(addressFamily(prefix.split('/')[0] ?? ''));
      return `${prefix} ${forwardingLink} ${viaText(nextHops)} ${source}`;
    }),
  ]);
}

const viaText = (nextHops: readonly string[]): string => [...nextHops].sort().join(',');

/** Everything about a context that its namespace must show. */
export function desiredContext(
  plan: ContextPlan,
  nat: NatPlan | undefined,
  mtu: ContextMtu,
  forwarding?: ForwardingPlan,
): ContextState {
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
  if (forwarding !== undefined) {
    addresses.push(...forwardingAddresses(forwarding).map((address) => `${forwardingLink} ${address}`));
    for (const route of forwardingRoutes(forwarding)) routes.add(route);
  }
  return {
    up: new Set(['lo', tenantLink, externalLink, ...(forwarding === undefined ? [] : [forwardingLink])]),
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
      ...(mtu.forwarding === undefined ? [] : [[forwardingLink, mtu.forwarding] as const]),
    ]),
    macs: new Map([
      [tenantLink, plan.mac],
      ...(forwarding === undefined ? [] : [[forwardingLink, forwarding.mac] as const]),
    ]),
  };
}

/** The routing rules that a namespace has from the start. */
export function usualRules(): Set<string> {
  return new Set([4, 6].flatMap((family) => USUAL_RULES.map((rule) => `${family} ${rule}`)));
}

/** A namespace that was just made, with its links as contexts.ts makes them. */
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
const OWN_LINKS: ReadonlySet<string> = new Set(['lo', tenantLink, externalLink, forwardingLink]);
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
      reading.routes(0, undefined, OTHERS_ROUTES).flatMap((route) => {
        const link = linkOf(route, names);
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
    macs: new Map(
      [tenantLink, forwardingLink].flatMap((link): [string, string][] => {
        const found = inside.get(link);
        return found === undefined ? [] : [[link, found.mac]];
      }),
    ),
  };
}

/** Of several next hops the link that all have; `-` when there is none, undefined when all are somebody else's. */
function linkOf({ ifindex, hops }: NetRoute, names: ReadonlyMap<number, string>): string | undefined {
  if (hops === undefined) return ifindex === 0 ? '-' : names.get(ifindex);
  const links = new Set(hops.map((hop) => names.get(hop.ifindex)));
  return links.size === 1 ? [...links][0] : '-';
}

/** What a route has that is made without a metric. */
export function usualMetric(destination: string): number {
  return FAMILY[destination.includes(':') ? 6 : 4].metric;
}

/** Next hops of equal weight on one link are what several next hops are here; all else is peculiar. */
function routeText(
  { destination, gateway, hops, source, metric, peculiarities: others }: NetRoute,
  link: string,
): string {
  const gateways = hops?.flatMap((hop) => (hop.weight === 1 ? (hop.gateway ?? []) : []));
  const isPlain = hops === undefined || (link !== '-' && gateways?.length === hops.length);
  const via = gateways === undefined || !isPlain ? (gateway ?? '-') : viaText(gateways);
  const peculiarities = isPlain ? others : [...others, 'nexthops'];
  return [
    ...[destination, link, via, source ?? '-'],
    ...(metric === usualMetric(destination) ? [] : [`metric ${metric}`]),
    ...peculiarities,
  ].join(' ');
}

/** What `have` has otherwise than `want`, as parts of a sentence. */
export function contextDifferences(have: ContextState, want: ContextState): string[] {
  const found: string[] = [];
  const compare = (what: string, a: ReadonlySet<string>, b: ReadonlySet<string>): void => {
    for (const item of b) if (!a.has(item)) found.push(`the ${what} ${item} was missing`);
    for (const item of a) if (!b.has(item)) found.push(`the ${what} ${item} was there`);
  };
  for (const link of want.up) if (!have.up.has(link)) found.push(`the link ${link} was down`);
  for (const [link, mac] of want.macs)
    if (have.macs.get(link) !== mac) found.push(`the link ${link} had the MAC ${have.macs.get(link)}`);
  for (const [link, mtu] of want.mtu)
    if (have.mtu.get(link) !== mtu) found.push(`the link ${link} had the MTU ${have.mtu.get(link)}`);
  compare('address', have.addresses, want.addresses);
  compare('route', have.routes, want.routes);
  compare('route of external addresses', have.looped, want.looped);
  compare('routing rule', have.rules, want.rules);
  compare('neighbour', have.neighbours, want.neighbours);
  return found;
}
