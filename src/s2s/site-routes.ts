/**
 * Routes of a context to the sites behind tunnels, as `ip route` has them, and the commands that lead from those that are
 * there to those that should be. Pure except for the reading.
 *
 * Each prefix of a site has a last resort that is never taken away while the site is known: without a tunnel its packets are
 * refused, and do not leave by the default route in the clear. A way through the tunnel comes and goes over it. What has the
 * address of a peer goes out by the uplink, also where the peer is one of the site's own addresses.
 */
import { uplinkHop } from '../gateway/uplink-hop.ts';
import type { RouteNetlink } from '../linux/rtnetlink.ts';
import type { NetRoute } from '../linux/rtnetlink-messages.ts';
import { externalLink, tunnelLink } from '../nat/ruleset.ts';
import { addressFamily, hostPrefix } from '../policy/address.ts';
import type { SiteConnectionPlan } from '../policy/plan.ts';
import { PrefixSet } from '../policy/prefix-set.ts';
import type { SitePath } from './site-links.ts';

/** Marks the routes as ours (rtm_protocol); of those that rtnetlink(7) leaves to the administrator. */
export const siteRouteProtocol = 199;

/** The same numbers in both families, behind the context's other routes, which have 0 or, in IPv6, 1024. */
const METRIC = { peer: 1025, tunnel: 1026, lastResort: 4_278_198_272 };

export interface SiteRoutesRequest {
  connections: readonly Pick<SiteConnectionPlan, 'destinations' | 'subnets'>[];
  /** One for a prefix. */
  paths: readonly SitePath[];
  /** The context's own, of each family at most one: what it says itself into a tunnel comes from there. */
  addresses: readonly string[];
}

/** Each as `ip route` takes it, in the order in which they are to be made. */
export function siteRoutes({ connections, paths, addresses }: SiteRoutesRequest): Set<string> {
  const prefixes = new Set(connections.flatMap(({ subnets }) => subnets.map(({ prefix }) => prefix)));
  const atSites = new PrefixSet(prefixes);
  const peers = connections.flatMap(({ destinations }) => destinations.filter((one) => atSites.has(one)));
  return new Set([
    ...[...prefixes].map((prefix) => `unreachable ${prefix} metric ${METRIC.lastResort}`),
    ...peers.map((peer) => {
      const family = addressFamily(peer);
      return `${hostPrefix(peer)} via ${uplinkHop[family]} dev ${externalLink} metric ${METRIC.peer}`;
    }),
    ...paths.map(({ prefix, metric }) => {
      const own = addresses.find((address) => addressFamily(address) === addressFamily(prefix));
      const source = own === undefined ? '' : ` src ${own}`;
      return `${prefix} dev ${tunnelLink}${source} metric ${METRIC.tunnel + metric}`;
    }),
  ]);
}

/** Those that are there; for who is in the namespace. `links`: names by their indexes. */
export function readSiteRoutes(reading: RouteNetlink, links: ReadonlyMap<number, string>): Set<string> {
  return new Set(
    reading
      .routes(siteRouteProtocol)
      .filter(({ protocol }) => protocol === siteRouteProtocol)
      .map((route) => routeText(route, links.get(route.ifindex))),
  );
}

function routeText(
  { peculiarities, destination, gateway, source, metric }: NetRoute,
  link: string | undefined,
): string {
  return [
    ...peculiarities,
    destination,
    ...(gateway === undefined ? [] : ['via', gateway]),
    // IPv6 has what leads nowhere at `lo`.
    ...(link === undefined || peculiarities.length > 0 ? [] : ['dev', link]),
    ...(source === undefined ? [] : ['src', source]),
    ...['metric', `${metric}`],
  ].join(' ');
}

/** What the kernel tells routes of a table apart by. */
const routeKey = (route: string): string =>
  /(\S+\/\d+) .*?(metric \d+)$/.exec(route)?.slice(1).join(' ') ?? route;

/** The fewest commands from `have` to `want`. What comes is there before anything goes. */
export function siteRouteCommands(have: ReadonlySet<string>, want: ReadonlySet<string>): string[][] {
  const own = ['proto', `${siteRouteProtocol}`];
  const missing = [...want].filter((route) => !have.has(route));
  // One that has the place of a missing one goes with that.
  const replaced = new Set(missing.map(routeKey));
  return [
    ...missing.map((route) => [
      ...['route', 'replace', ...route.split(' ')],
      ...(route.includes(' via ') ? ['onlink'] : []),
      ...own,
    ]),
    ...[...have]
      .filter((route) => !want.has(route) && !replaced.has(routeKey(route)))
      .map((route) => ['route', 'del', ...routeKey(route).split(' '), ...own]),
  ];
}
