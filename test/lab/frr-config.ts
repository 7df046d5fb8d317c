/** The configuration file of FRR's bgpd for a lab's BGP speaker, its change, and what its `show bgp … json detail` says. */
import { familyOf } from './address.ts';
import type { LearnedRoute, SpeakerNeighbor, SpeakerNetwork, SpeakerSpec } from './bgp-speaker.ts';

const FAMILIES = [4, 6] as const;

export function frrConfig(spec: SpeakerSpec): string {
  const lines = [
    'frr defaults traditional',
    `router bgp ${spec.asn}`,
    ` bgp router-id ${spec.routerId}`,
    ...['no bgp ebgp-requires-policy', 'no bgp network import-check', 'no bgp default ipv4-unicast'],
    ...['bgp graceful-restart', 'bgp graceful-restart preserve-fw-state'],
    `bgp graceful-restart restart-time ${spec.gracefulRestartSeconds ?? 60}`,
    ...spec.neighbors.flatMap(neighborLines),
    ...FAMILIES.flatMap((family) => [
      `address-family ipv${family} unicast`,
      ...spec.neighbors
        .filter(({ address }) => familyOf(address) === family)
        .map(({ address }) => `neighbor ${address} activate`),
      'exit-address-family',
    ]),
    ...frrNetworks({ ...spec, networks: [] }, spec.networks ?? []),
  ];
  return `${lines.join('\n')}\n`;
}

function neighborLines(neighbor: SpeakerNeighbor): string[] {
  const { address, asn, localAddress, password, bfd, multihop, holdTimeSeconds = 9 } = neighbor;
  const line = (text: string) => ` neighbor ${address} ${text}`;
  return [
    line(`remote-as ${asn}`),
    line(`timers ${Math.floor(holdTimeSeconds / 3)} ${holdTimeSeconds}`),
    line('timers connect 1'),
    line('advertisement-interval 0'),
    line(`update-source ${localAddress}`),
    ...(multihop ? [line('ebgp-multihop 255')] : []),
    ...(bfd ? [line('bfd')] : []),
    ...(password === undefined ? [] : [line(`password ${password}`)]),
  ];
}

/** What makes these networks of those that `spec` has. */
export function frrNetworks(spec: SpeakerSpec, networks: readonly (string | SpeakerNetwork)[]): string[] {
  const [have, want] = [spec.networks ?? [], networks].map((list) =>
    list.map((each): SpeakerNetwork => (typeof each === 'string' ? { prefix: each } : each)),
  ) as [SpeakerNetwork[], SpeakerNetwork[]];
  return [
    ...want.flatMap(routeMap),
    `router bgp ${spec.asn}`,
    ...FAMILIES.flatMap((family) => [
      `address-family ipv${family} unicast`,
      ...have.filter(isOf(family)).map(({ prefix }) => `no network ${prefix}`),
      ...want.filter(isOf(family)).map((network) => `network ${network.prefix} route-map ${nameOf(network)}`),
      'exit-address-family',
    ]),
  ];
}

const isOf =
  (family: 4 | 6) =>
  ({ prefix }: SpeakerNetwork): boolean =>
    familyOf(prefix) === family;

const nameOf = ({ communities = [], originAsn, med }: SpeakerNetwork): string =>
  `own-${communities.join('-')}-${originAsn ?? ''}-${med ?? ''}`;

function routeMap(network: SpeakerNetwork): string[] {
  const { communities = [], originAsn, med } = network;
  return [
    `route-map ${nameOf(network)} permit 10`,
    ...(communities.length > 0 ? [`set community ${communities.join(' ')}`] : []),
    ...(originAsn === undefined ? [] : [`set as-path prepend ${originAsn}`]),
    ...(med === undefined ? [] : [`set metric ${med}`]),
    'exit',
  ];
}

interface ShownPath {
  /** The network is its own. */
  sourced?: boolean;
  aspath: { segments: { list: number[] }[] };
  community?: { list: string[] };
  metric?: number;
  nexthops: { ip: string; used?: boolean }[];
}

/** By prefix; next hops of all neighbours that told one. */
export function frrRoutes(shown: readonly unknown[]): Map<string, LearnedRoute> {
  const routes = new Map<string, LearnedRoute>();
  // The first entry of each is about the prefix.
  for (const { routes: table = {} } of shown as { routes?: Record<string, object[]> }[])
    for (const [prefix, entries] of Object.entries(table))
      for (const path of entries.filter((entry): entry is ShownPath => 'aspath' in entry)) {
        if (path.sourced) continue;
        const known = routes.get(prefix)?.nextHops ?? [];
        routes.set(prefix, {
          nextHops: [...known, path.nexthops.find(({ used }) => used)?.ip ?? ''],
          asPath: path.aspath.segments.flatMap(({ list }) => list),
          communities: path.community?.list ?? [],
          ...(path.metric !== undefined && { med: path.metric }),
        });
      }
  return routes;
}
