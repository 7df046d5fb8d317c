/** The configuration file of BIRD 2 for a lab's BGP speaker, and what its `show route all` says. */
import { familyOf } from './address.ts';
import type { LearnedRoute, SpeakerNeighbor, SpeakerNetwork, SpeakerSpec } from './bgp-speaker.ts';

export function birdConfig(spec: SpeakerSpec): string {
  const networks = (spec.networks ?? []).map((network) =>
    typeof network === 'string' ? { prefix: network } : network,
  );
  const restart = spec.gracefulRestartSeconds ?? 60;
  return `log stderr all;
router id ${spec.routerId};
graceful restart wait ${restart};
protocol device { scan time 1; }
protocol direct { ipv4; ipv6; }
${[4, 6]
  .map(
    (family) => `protocol kernel {
  persist; graceful restart on; merge paths on; scan time 60;
  ipv${family} { import none; export where source = RTS_BGP; };
}
protocol static own${family} { ipv${family} { preference 250; }; ${networks
      .filter(({ prefix }) => familyOf(prefix) === family)
      .map(routeText)
      .join(' ')} }
`,
  )
  .join(
    '',
  )}protocol bfd { interface "*" { interval 100 ms; multiplier 5; }; multihop { interval 100 ms; multiplier 5; }; }
${spec.neighbors.map((neighbor, index) => neighborText(spec, neighbor, index)).join('')}`;
}

function routeText({ prefix, communities = [], originAsn, med }: SpeakerNetwork): string {
  const attributes = [
    ...communities.map((each) => `bgp_community.add((${each.replace(':', ',')}));`),
    ...(originAsn === undefined ? [] : [`bgp_path.prepend(${originAsn});`]),
    ...(med === undefined ? [] : [`bgp_med = ${med};`]),
  ];
  return `route ${prefix} blackhole${attributes.length > 0 ? ` { ${attributes.join(' ')} }` : ''};`;
}

function neighborText(spec: SpeakerSpec, neighbor: SpeakerNeighbor, index: number): string {
  const { address, asn, localAddress, password, bfd, multihop, holdTimeSeconds = 9 } = neighbor;
  return `protocol bgp n${index} {
  local ${localAddress} as ${spec.asn};
  neighbor ${address} as ${asn};
  ${multihop ? 'multihop' : asn === spec.asn ? '' : 'direct'};
  hold time ${holdTimeSeconds};
  connect delay time 1; connect retry time 1; error wait time 1, 2;
  graceful restart on; graceful restart time ${spec.gracefulRestartSeconds ?? 60};
  ${bfd ? 'bfd graceful;' : ''}
  ${password === undefined ? '' : `password "${password}";`}
  ipv${familyOf(address)} { import all; export filter { if source != RTS_STATIC then reject; if defined(bgp_med) then bgp_med = bgp_med; accept; }; next hop self; };
}
`;
}

/** By prefix; next hops of all neighbours that told one. */
export function birdRoutes(text: string): Map<string, LearnedRoute> {
  const routes = new Map<string, LearnedRoute>();
  let route: LearnedRoute | undefined;
  let prefix = '';
  for (const line of text.split('\n')) {
    const begin = /^(\S*\/\d+)?\s+(?:unicast|unreachable) \[/.exec(line);
    if (begin) {
      prefix = begin[1] ?? prefix;
      route = routes.get(prefix) ?? { nextHops: [], asPath: [], communities: [] };
      routes.set(prefix, route);
    }
    const [, name, value = ''] = /^\s+BGP\.(\w+):\s*(.*)$/.exec(line) ?? [];
    if (route === undefined) continue;
    if (name === 'as_path') route.asPath = value.split(' ').filter(Boolean).map(Number);
    // Of IPv6, the link-local one follows.
    if (name === 'next_hop') route.nextHops.push(value.split(' ')[0] ?? '');
    if (name === 'med') route.med = Number(value);
    if (name === 'community')
      route.communities = [...value.matchAll(/\((\d+),(\d+)\)/g)].map(([, as, own]) => `${as}:${own}`);
  }
  return routes;
}
