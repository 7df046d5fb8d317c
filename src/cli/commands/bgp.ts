/** BGP sessions and routes, as they are just now. */
import type { BgpPeerState, BgpRoute, BgpState } from '../../api/operations.ts';
import { withApi } from '../api.ts';
import { command } from '../command.ts';
import { domainOption, resolveDomain } from '../domain.ts';
import { UsageError } from '../failures.ts';
import { harmless } from '../harmless.ts';
import { outputOption, print, printTable } from '../output.ts';
import { connectionOptions } from '../server.ts';
import { type Column, tableLines } from '../table.ts';

export default command({
  name: 'bgp',
  summary: 'show the BGP peers of a routing domain, or its routes',
  about: [
    'Each peer with the state of its session, since when it is established, how many prefixes went which way, and why it is not, or last ' +
      'was not. Without --domain, the routers of the uplink that this gateway itself speaks BGP with.',
    'With --routes, what the BGP router of the routing domain knows instead: from whom, by which way, and whether the routing context ' +
      'forwards by it.',
  ],
  arguments: {},
  options: {
    ...domainOption,
    routes: { type: 'boolean', summary: 'the routes, and not the peers' },
    prefix: {
      type: 'string',
      value: 'PREFIX',
      summary: 'of the routes, only those to this prefix and to what is within',
    },
    peer: { type: 'string', value: 'NAME', summary: 'of the routes, only those that this peer told' },
    ...outputOption,
    ...connectionOptions,
  },
  examples: [
    { what: 'are the sessions of a routing domain up', line: 'hnvgw bgp -d Contoso' },
    { what: 'its ways to a network', line: 'hnvgw bgp -d Contoso --routes --prefix 172.16.0.0/12' },
    { what: 'for a program', line: `hnvgw bgp -d Contoso -o json | grep '"state"'` },
  ],
  seeAlso: ['hnvgw get', 'hnvgw events', 'hnvgw sas'],
  run: ({ options }) => {
    const { domain, routes, prefix, peer, output } = options;
    if (routes && domain === undefined)
      throw new UsageError('--routes are those of a routing domain: say which with -d DOMAIN', 'bgp');
    if (!routes && (prefix ?? peer) !== undefined)
      throw new UsageError('--prefix and --peer are for --routes', 'bgp');
    return withApi(options, async (api) => {
      const path =
        domain === undefined ? undefined : `/v1/routing-domains/${await resolveDomain(api, domain)}/bgp`;
      if (path !== undefined && routes) {
        const items = await api.list<BgpRoute>(`${path}/routes`, { prefix, peer });
        await printTable(output, { items }, routeColumns, items, 'There are no such routes.');
        return undefined;
      }
      const state = await api.json<BgpState>('GET', path === undefined ? '/v1/uplink-bgp' : `${path}/peers`);
      await print(output, state, () => stateLines(state));
      return undefined;
    });
  },
});

function stateLines({ peers, memoryBytes, refused }: BgpState): string[] {
  return [
    ...(peers.length === 0 ? ['There are no peers.'] : tableLines(peerColumns, peers)),
    ...(memoryBytes === 0 ? [] : ['', `memory    ${(memoryBytes / 1024 / 1024).toFixed(1)} MiB`]),
    ...(refused === undefined ? [] : [`refused   ${harmless(refused)}`]),
  ];
}

const peerColumns: readonly Column<BgpPeerState>[] = [
  { title: 'PEER', cell: ({ name }) => name },
  { title: 'ADDRESS', cell: ({ address }) => address },
  { title: 'AS', cell: ({ asn }) => String(asn), align: 'right' },
  {
    title: 'STATE',
    cell: ({ state }) => state,
    style: ({ state }) => (state === 'Established' ? 'green' : state === 'Stopped' ? 'red' : 'yellow'),
  },
  { title: 'SINCE', cell: ({ since = '' }) => since },
  { title: 'RECEIVED', cell: ({ prefixesReceived }) => String(prefixesReceived), align: 'right' },
  { title: 'ACCEPTED', cell: ({ prefixesAccepted }) => String(prefixesAccepted), align: 'right' },
  { title: 'SENT', cell: ({ prefixesSent }) => String(prefixesSent), align: 'right' },
  { title: 'BFD', cell: ({ bfd = '' }) => bfd },
  { title: 'ERROR', cell: ({ lastError = '' }) => lastError },
];

const optional = (number: number | undefined): string => (number === undefined ? '' : String(number));

const routeColumns: readonly Column<BgpRoute>[] = [
  { title: 'PREFIX', cell: ({ prefix }) => prefix },
  { title: 'NEXT HOPS', cell: ({ nextHops }) => nextHops.join(', ') },
  { title: 'PEER', cell: ({ peer = '' }) => peer },
  {
    title: 'USED',
    cell: ({ best, installed }) => (installed ? 'yes' : best ? 'best' : ''),
    style: ({ installed }) => (installed ? 'green' : undefined),
  },
  { title: 'AS PATH', cell: ({ asPath }) => asPath.join(' ') },
  { title: 'ORIGIN', cell: ({ origin }) => origin },
  { title: 'PREFERENCE', cell: ({ localPreference }) => optional(localPreference), align: 'right' },
  { title: 'MED', cell: ({ med }) => optional(med), align: 'right' },
  { title: 'COMMUNITIES', cell: ({ communities }) => communities.join(' ') },
];
