/**
 * Provider routes: how this node reaches the provider addresses of other networks. They stand in the machine's main table
 * under a protocol number of hnvgw's own, by which `ip route show proto 234` lists them and later processes know them
 * again. Routes of others are never replaced: one that is in the way is the reason of a failure.
 */
import { HnvError } from '../errors.ts';
import { ip, ipBatch, ipJson } from '../linux/iproute2.ts';
import { linkName } from '../linux/links.ts';
import type { RouteNetlink } from '../linux/rtnetlink.ts';
import { addressFamily, contains, prefixAround } from '../policy/address.ts';
import type { ProviderAddress, ProviderRoute } from '../policy/resources.ts';
import { ownLink } from './provider-links.ts';

/** rtm_protocol of provider routes, and NDA_PROTOCOL of proxy entries (gateway/solicited-groups.ts); in no list of rtnetlink.h or iproute2's rt_protos. */
export const ROUTE_PROTOCOL = '234';

/** What the kernel makes of an IPv6 route's metric 0 (IP6_RT_PRIO_USER). */
const DEFAULT_METRIC_IPV6 = 1024;

export interface Route {
  /** Canonical prefix. */
  destination: string;
  nextHop: string;
  link: string;
  metric: number;
}

interface IpRoute {
  dst: string;
  gateway?: string;
  dev?: string;
  metric?: number;
}

/** What the kernel tells routes of a table apart by. */
const keyOf = ({ destination, metric }: Route): string => `${destination} ${metric}`;
const textOf = ({ destination, nextHop, link, metric }: Route): string =>
  `${destination} ${nextHop} ${link} ${metric}`;

/** The interface that a route is on: the link of a provider address's own where the next hop is that address's neighbour. */
function linkOf(
  instance: string,
  route: ProviderRoute,
  addresses: ReadonlyMap<string, ProviderAddress>,
): string {
  for (const [address, value] of addresses) {
    if (value.interface !== route.interface) continue;
    const link = ownLink(instance, address, value);
    if (link !== undefined && contains(prefixAround(address, value.prefixLength), route.nextHop))
      return link.name;
  }
  return route.interface;
}

/** By the route's id. */
export function wantedRoutes(
  instance: string,
  routes: ReadonlyMap<string, ProviderRoute>,
  addresses: ReadonlyMap<string, ProviderAddress>,
): Map<string, Route> {
  return new Map(
    [...routes].map(([id, route]) => [
      id,
      {
        destination: route.destinationPrefix,
        nextHop: route.nextHop,
        link: linkOf(instance, route, addresses),
        metric: route.metric === 0 && addressFamily(route.nextHop) === 6 ? DEFAULT_METRIC_IPV6 : route.metric,
      },
    ]),
  );
}

/** Every route of our protocol, whoever's instance made it. */
async function presentRoutes(): Promise<Route[]> {
  const show = (family: string): Promise<IpRoute[]> =>
    ipJson<IpRoute>([family, 'route', 'show', 'table', 'main', 'proto', ROUTE_PROTOCOL]);
  const read = (shown: IpRoute[], any: string, hostLength: number): Route[] =>
    shown.map(({ dst, gateway, dev, metric }) => ({
      destination: dst === 'default' ? any : dst.includes('/') ? dst : `${dst}/${hostLength}`,
      nextHop: gateway ?? '',
      link: dev ?? '',
      metric: metric ?? 0,
    }));
  return [...read(await show('-4'), '0.0.0.0/0', 32), ...read(await show('-6'), '::/0', 128)];
}

/**
 * What the machine has otherwise than the routes of the ids in `present`, and than no other routes of our protocol over
 * `interfaces`.
 */
export function inspectRoutes(
  reading: RouteNetlink,
  wanted: ReadonlyMap<string, Route>,
  present: ReadonlySet<string>,
  interfaces: ReadonlySet<string>,
): { id?: string; text: string }[] {
  const found = new Set(
    reading.routes(Number(ROUTE_PROTOCOL)).flatMap(({ destination, gateway = '', ifindex, metric }) => {
      const link = linkName(ifindex) ?? '';
      return interfaces.has(link) ? textOf({ destination, nextHop: gateway, link, metric }) : [];
    }),
  );
  const texts = new Map([...wanted].map(([id, route]) => [textOf(route), id]));
  return [
    ...[...texts].flatMap(([text, id]) =>
      present.has(id) && !found.has(text) ? { id, text: `the provider route ${id} was missing` } : [],
    ),
    ...[...found].flatMap((text) =>
      texts.has(text) ? [] : { text: `a route of protocol ${ROUTE_PROTOCOL} was there: ${text}` },
    ),
  ];
}

function command(verb: 'add' | 'replace' | 'del', route: Route): string[] {
  const { destination, nextHop, link, metric } = route;
  return [
    ...['route', verb, destination, 'via', nextHop, 'dev', link],
    ...['metric', String(metric), 'proto', ROUTE_PROTOCOL],
  ];
}

/**
 * Makes the kernel's routes of our protocol over `interfaces` exactly the wanted ones. Answers, by id, why a route is not
 * there. Throws HNV_IPROUTE2 when they cannot be read.
 */
export async function applyRoutes(
  wanted: ReadonlyMap<string, Route>,
  interfaces: ReadonlySet<string>,
): Promise<Map<string, string>> {
  const failures = new Map<string, string>();
  const routes = new Map<string, { id: string; route: Route }>();
  for (const [id, route] of [...wanted].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const other = routes.get(keyOf(route));
    if (other === undefined) routes.set(keyOf(route), { id, route });
    else failures.set(id, `The route ${other.id} has the same destination and metric.`);
  }
  const present = (await presentRoutes()).filter(({ link }) => interfaces.has(link));
  const have = new Map(present.map((route) => [keyOf(route), textOf(route)]));
  const commands: string[][] = [];
  for (const route of present) if (!routes.has(keyOf(route))) commands.push(command('del', route));
  const changes = [...routes.values()].filter(({ route }) => have.get(keyOf(route)) !== textOf(route));
  // `add` fails where somebody else has a route; `replace` would take it.
  const verbOf = (route: Route): 'add' | 'replace' => (have.has(keyOf(route)) ? 'replace' : 'add');
  for (const { route } of changes) commands.push(command(verbOf(route), route));
  if (commands.length === 0) return failures;
  try {
    await ipBatch(commands, { force: true });
    return failures;
  } catch (error) {
    if (!(error instanceof HnvError)) throw error;
    // Which of them failed, and why, is found out one by one.
  }
  const now = new Set((await presentRoutes()).map(textOf));
  for (const { id, route } of changes) {
    if (now.has(textOf(route))) continue;
    try {
      await ip(command(verbOf(route), route));
    } catch (error) {
      if (!(error instanceof HnvError)) throw error;
      failures.set(id, error.message);
    }
  }
  return failures;
}
