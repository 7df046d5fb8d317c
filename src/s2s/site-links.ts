/**
 * What the tunnels of a routing context need beside charon: the link, the routes, and the nft table. From what is there to
 * what should be; closed at every moment to what has no tunnel.
 */
import { HnvError } from '../errors.ts';
import { ipBatch } from '../linux/iproute2.ts';
import { inNetns } from '../linux/netns.ts';
import { nftScript } from '../linux/nftables.ts';
import { RouteNetlink } from '../linux/rtnetlink.ts';
import type { NetLink, NetSettings } from '../linux/rtnetlink-messages.ts';
import { inFolder } from '../linux/sysctl.ts';
import { externalLink, tunnelLink } from '../nat/ruleset.ts';
import { tableChanges, tableDifferences, type WholeTables, wholeTables } from '../nat/whole-tables.ts';
import { ownTurn } from '../own-turn.ts';
import type { SiteConnectionPlan } from '../policy/plan.ts';
import type { IpsecEngine } from './engine.ts';
import { readSelectorAddresses, selectorAddresses, selectorCommands } from './selector-addresses.ts';
import { readSiteRoutes, siteRouteCommands, siteRoutes } from './site-routes.ts';
import { siteTable, siteTableText } from './site-ruleset.ts';

export interface SitePlace {
  netns: string;
  engine: IpsecEngine;
  /** Of the link (tunnel-mtu.ts). */
  mtu: number;
  /** The context's own inside addresses, of each family at most one. */
  addresses: readonly string[];
}

/** Who carries a prefix now. */
export interface SitePath {
  prefix: string;
  metric: number;
  /** Name of the connection. */
  connection: string;
  /** Kilobits a second of packets as they are inside of the tunnel. */
  txBandwidthKbps?: number;
  rxBandwidthKbps?: number;
  /** The connection comes up when a packet is for it, and is not up. */
  isWaiting: boolean;
}

/** Number that charon's SAs have in common with the xfrm interface. */
const IF_ID = '1';

/**
 * From a tunnel comes only what would be answered through it (RFC 3704 strict; of IPv6 the nft table sees to that). Nothing is
 * said into it by the link itself.
 */
const SETTINGS: NetSettings = {
  ipv4: { rp_filter: 1, send_redirects: 0 },
  ipv6: { addr_gen_mode: 1, disable_ipv6: 0, accept_ra: 0, autoconf: 0, accept_redirects: 0, accept_dad: 0 },
};

type TunnelLink = NetLink & { settings: NetSettings };

interface Present {
  /** Undefined when there is none of the engine's kind. */
  link: TunnelLink | undefined;
  /** There is one of that name that is of another kind. */
  isOther: boolean;
  /** Of the link. */
  addresses: Set<string>;
  routes: Set<string>;
}

/** For who is in the namespace. */
function read(engine: IpsecEngine): Present {
  return RouteNetlink.use((reading) => {
    const links = reading.links();
    const found = links.find(({ name }) => name === tunnelLink);
    const external = links.find(({ name }) => name === externalLink);
    // Of an xfrm interface the kernel tells what is below it, of a TUN nothing is.
    const isOther = engine === 'kernel' && found !== undefined && found.below !== external?.ifindex;
    return {
      link: isOther ? undefined : found,
      isOther,
      addresses: found === undefined ? new Set() : readSelectorAddresses(reading, found.ifindex),
      routes: readSiteRoutes(reading, new Map(links.map(({ ifindex, name }) => [ifindex, name]))),
    };
  });
}

/** Settings that are otherwise; without IPv6, which a link of less than 1,280 bytes has not, those of IPv4. */
function wrongSettings({
  settings,
}: TunnelLink): { family: 'ipv4' | 'ipv6'; name: string; value: number; found: number }[] {
  return (['ipv4', 'ipv6'] as const).flatMap((family) =>
    Object.entries(SETTINGS[family]).flatMap(([name, value]) => {
      const found = settings[family][name];
      return found === undefined || found === value ? [] : [{ family, name, value, found }];
    }),
  );
}

/** For who is in the namespace. */
function mendSettings(link: TunnelLink): void {
  for (const [family, settings] of Map.groupBy(wrongSettings(link), (setting) => setting.family))
    inFolder(`net/${family}/conf/${tunnelLink}`, (file) => {
      for (const { name, value } of settings) file.write(name, `${value}`);
    });
}

function linkCommands({ link, isOther }: Present, { engine, mtu }: SitePlace): string[][] {
  const size = ['mtu', `${mtu}`];
  if (link !== undefined)
    return link.isUp && link.mtu === mtu ? [] : [['link', 'set', tunnelLink, ...size, 'up']];
  if (engine === 'userspace') return [];
  return [
    ...(isOther ? [['link', 'del', tunnelLink]] : []),
    ['link', 'add', tunnelLink, ...size, 'up', 'type', 'xfrm', 'dev', externalLink, 'if_id', IF_ID],
  ];
}

const tablesFor = (
  { mtu }: SitePlace,
  connections: readonly SiteConnectionPlan[],
  paths: readonly SitePath[],
): WholeTables<typeof siteTable> => wholeTables([[siteTable, siteTableText(mtu, connections, paths)]]);

/**
 * Makes link, routes and nft table what they should be; does nothing when they are so. The link of the userspace engine is
 * charon's: without it everything else is made, no prefix has a way but all are closed, and it throws HNV_SITE. Throws
 * HNV_IPROUTE2, HNV_NFTABLES and HNV_NETNS.
 */
export async function applySiteLinks(
  place: SitePlace,
  connections: readonly SiteConnectionPlan[],
  paths: readonly SitePath[],
): Promise<void> {
  const { netns, engine, addresses } = place;
  await ownTurn();
  const tables = tablesFor(place, connections, paths);
  let have = inNetns(netns, () => {
    const script = tableChanges([siteTable], tables);
    if (script !== '') nftScript(script);
    return read(engine);
  });
  const commands = linkCommands(have, place);
  if (commands.length > 0) {
    await ipBatch(commands, { netns });
    // What becomes of a link may become of its routes.
    have = inNetns(netns, () => read(engine));
  }
  const { link, routes } = have;
  if (link !== undefined) inNetns(netns, () => mendSettings(link));
  const want = siteRoutes({ connections, paths: link === undefined ? [] : paths, addresses });
  const selectors =
    link === undefined ? [] : selectorCommands(have.addresses, wantedAddresses(engine, connections));
  await ipBatch([...selectors, ...siteRouteCommands(routes, want)], { netns });
  if (link === undefined)
    throw new HnvError(
      'HNV_SITE',
      `There is no link ${tunnelLink} in ${netns}, which charon makes when it starts.`,
    );
}

/** What is otherwise than applySiteLinks() makes it, as parts of a sentence. A fraction of a millisecond. */
export function inspectSiteLinks(
  place: SitePlace,
  connections: readonly SiteConnectionPlan[],
  paths: readonly SitePath[],
): string[] {
  const { netns, engine, mtu, addresses } = place;
  const tables = tablesFor(place, connections, paths);
  const want = siteRoutes({ connections, paths, addresses });
  return inNetns(netns, () => {
    const { link, routes, addresses: present } = read(engine);
    const found = link === undefined ? [`the link ${tunnelLink} was missing`] : linkDifferences(link, mtu);
    const selectors = link === undefined ? present : wantedAddresses(engine, connections);
    for (const address of selectors)
      if (!present.has(address)) found.push(`the address ${address} of ${tunnelLink} was missing`);
    for (const address of present)
      if (!selectors.has(address)) found.push(`the address ${address} of ${tunnelLink} was there`);
    for (const route of want) if (!routes.has(route)) found.push(`the route ${route} was missing`);
    for (const route of routes) if (!want.has(route)) found.push(`the route ${route} was there`);
    return [...found, ...tableDifferences([siteTable], tables)];
  });
}

function wantedAddresses(engine: IpsecEngine, connections: readonly SiteConnectionPlan[]): Set<string> {
  return engine === 'userspace' ? selectorAddresses(connections) : new Set();
}

function linkDifferences(link: TunnelLink, mtu: number): string[] {
  return [
    ...(link.isUp ? [] : [`the link ${tunnelLink} was down`]),
    ...(link.mtu === mtu ? [] : [`the link ${tunnelLink} had the MTU ${link.mtu}`]),
    ...wrongSettings(link).map(
      ({ family, name, found }) => `the setting net/${family}/conf/${tunnelLink}/${name} was ${found}`,
    ),
  ];
}

/** Of a domain without site connections: nothing is left. The userspace engine's link goes with charon. */
export async function removeSiteLinks(netns: string, engine: IpsecEngine): Promise<void> {
  await ownTurn();
  const { link, routes } = inNetns(netns, () => {
    const script = tableChanges([siteTable], new Map());
    if (script !== '') nftScript(script);
    return read(engine);
  });
  const ends = link === undefined || engine === 'userspace' ? [] : [['link', 'del', tunnelLink]];
  await ipBatch([...siteRouteCommands(routes, new Set()), ...ends], { netns });
}
