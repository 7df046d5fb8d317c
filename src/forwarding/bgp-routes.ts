/** All routes that bgpd knows, as it shows them, and whether zebra has put them into the kernel. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { BgpRoute } from '../api/operations.ts';
import type { BgpPeerPlan } from '../policy/plan.ts';
import { JsonMembers } from './json-members.ts';
import { Vty } from './vty.ts';

/** One of a prefix's paths in `show bgp … json detail`. */
interface ShownPath {
  aspath?: { segments: { list: number[] }[] };
  origin?: BgpRoute['origin'];
  metric?: number;
  locPrf?: number;
  /** It is an own network. */
  sourced?: boolean;
  bestpath?: { overall?: boolean };
  multipath?: boolean;
  community?: { string: string };
  nexthops?: { ip?: string; scope?: string }[];
  peer?: { peerId: string };
}

export interface RoutesPlace {
  /** Of bgpd, and of zebra where there is one. */
  socket: string;
  zebraSocket?: string;
}

const FAMILIES = [
  { bgp: 'ipv4', zebra: 'ip' },
  { bgp: 'ipv6', zebra: 'ipv6' },
] as const;
/** Prefixes that are read in one turn: some milliseconds. */
const IN_A_TURN = 200;

/** Ascending by prefix, IPv4 first, some at a time. Rejects with HNV_BGP when the speaker does not answer. */
export async function* bgpRoutes(
  { socket, zebraSocket }: RoutesPlace,
  peers: readonly Pick<BgpPeerPlan, 'name' | 'address'>[],
): AsyncGenerator<BgpRoute[]> {
  const names = new Map(peers.map(({ name, address }) => [address, name]));
  for (const family of FAMILIES) {
    const installed = new Set<string>();
    if (zebraSocket !== undefined)
      for await (const members of shown(zebraSocket, `show ${family.zebra} route bgp json`, 1))
        for (const [prefix, value] of members)
          if ((JSON.parse(value) as { installed?: boolean }[]).some((route) => route.installed))
            installed.add(prefix);
    for await (const members of shown(socket, `show bgp ${family.bgp} unicast json detail`, 2))
      yield members.flatMap(([prefix, value]) => routesOf(prefix, value, names, installed.has(prefix)));
  }
}

/** The members of what a command shows, over a connection of its own. */
async function* shown(socket: string, command: string, depth: number): AsyncGenerator<[string, string][]> {
  const vty = await Vty.connect(socket);
  try {
    const members = new JsonMembers(depth);
    for await (const piece of vty.stream(command)) {
      const found = members.take(piece);
      for (let at = 0; at < found.length; at += IN_A_TURN) {
        yield found.slice(at, at + IN_A_TURN);
        await nextTurn();
      }
    }
  } finally {
    vty.close();
  }
}

function routesOf(
  prefix: string,
  value: string,
  names: ReadonlyMap<string, string>,
  isInstalled: boolean,
): BgpRoute[] {
  const shown = JSON.parse(value) as ShownPath[] | { paths?: ShownPath[] };
  // Before FRR 10, what is about the prefix is the first of the list.
  const paths = (Array.isArray(shown) ? shown : (shown.paths ?? [])).filter(
    (path) => path.aspath !== undefined,
  );
  return paths.map((path) => {
    const { origin, metric, locPrf, sourced = false, bestpath, multipath = false } = path;
    const peer = sourced ? undefined : names.get(path.peer?.peerId ?? '');
    const best = bestpath?.overall === true || multipath;
    return {
      prefix,
      nextHops: sourced ? [] : nextHopsOf(path),
      ...(peer !== undefined && { peer }),
      asPath: path.aspath?.segments.flatMap(({ list }) => list) ?? [],
      origin: origin ?? 'incomplete',
      ...(locPrf !== undefined && { localPreference: locPrf }),
      ...(metric !== undefined && { med: metric }),
      communities: path.community?.string.split(' ') ?? [],
      best,
      installed: best && !sourced && isInstalled,
    };
  });
}

/** Beside an IPv6 one there may be the same router's link-local address. */
function nextHopsOf({ nexthops = [] }: ShownPath): string[] {
  const global = nexthops.filter(({ scope }) => scope !== 'link-local');
  return (global.length > 0 ? global : nexthops).flatMap(({ ip }) => (ip === undefined ? [] : [ip]));
}
