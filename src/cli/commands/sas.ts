/** The tunnel of a site connection, as it is just now. */
import type { SiteChildSa, SiteConnectionLive, SiteIkeSa } from '../../api/operations.ts';
import { withApi } from '../api.ts';
import { command } from '../command.ts';
import { domainOption, resolveDomain } from '../domain.ts';
import { harmless } from '../harmless.ts';
import { outputOption, print } from '../output.ts';
import { connectionOptions } from '../server.ts';
import { type Column, paint, type Style, tableLines } from '../table.ts';
import { endpoint } from './sessions.ts';

export default command({
  name: 'sas',
  summary: 'show what the tunnel of a site connection is doing',
  about: [
    'Its state, why it is not up or last was not, and its security associations: those of IKE, with who the two sides are, and those of ' +
      'ESP, with what went through them, as the IKE daemon of this gateway has them.',
  ],
  arguments: { name: { summary: 'name of the site connection', complete: 'connection' } },
  options: {
    domain: { ...domainOption.domain, required: true },
    ...outputOption,
    ...connectionOptions,
  },
  examples: [
    { what: 'is the tunnel to the office up', line: 'hnvgw sas office -d Contoso' },
    { what: 'for a program', line: `hnvgw sas office -d Contoso -o json | grep '"state"'` },
  ],
  seeAlso: ['hnvgw get', 'hnvgw events', 'docs/site-connections.md'],
  run: ({ arguments: { name }, options }) =>
    withApi(options, async (api) => {
      const rdid = await resolveDomain(api, options.domain);
      const path = `/v1/routing-domains/${rdid}/site-connections/${encodeURIComponent(name)}/sas`;
      const live = await api.json<SiteConnectionLive>('GET', path);
      await print(options.output, live, () => tunnelLines(live));
      return undefined;
    }),
});

const styles: Record<SiteConnectionLive['state'], Style> = {
  connected: 'green',
  listening: 'green',
  connecting: 'yellow',
  failed: 'red',
};

function tunnelLines({ state, since, carries, lastError, lastErrorAt, engine, ikeSas }: SiteConnectionLive) {
  const facts: [string, string | undefined][] = [
    ['state', `${paint(styles[state], harmless(state))} since ${harmless(since)}`],
    ['carries', carries ? 'all its subnets' : state === 'connected' ? 'not all of its subnets' : undefined],
    ['error', lastError && harmless(lastErrorAt === undefined ? lastError : `${lastErrorAt}: ${lastError}`)],
    ['ESP', engine && harmless(engine === 'kernel' ? 'by the kernel' : 'by the IKE daemon')],
  ];
  const childSas = ikeSas.flatMap((each) => each.childSas);
  return [
    ...facts.flatMap(([name, value]) => (value === undefined ? [] : [`${name.padEnd(10)}${value}`])),
    ...(ikeSas.length === 0 ? [] : ['', 'IKE:', ...tableLines(ikeColumns, ikeSas)]),
    ...(childSas.length === 0 ? [] : ['', 'ESP:', ...tableLines(childColumns, childSas)]),
  ];
}

const seconds = (count: number | undefined): string => (count === undefined ? '' : `${count} s`);
const algorithms = (...names: (string | undefined)[]): string => names.filter(Boolean).join(' ');

const ikeColumns: readonly Column<SiteIkeSa>[] = [
  { title: 'STATE', cell: ({ state }) => state },
  { title: 'LOCAL', cell: ({ localAddress, localPort }) => endpoint(localAddress, localPort) },
  { title: 'LOCAL ID', cell: ({ localId }) => localId },
  { title: 'REMOTE', cell: ({ remoteAddress, remotePort }) => endpoint(remoteAddress, remotePort) },
  { title: 'REMOTE ID', cell: ({ remoteId }) => remoteId },
  { title: 'BEGUN HERE', cell: ({ initiator }) => (initiator ? 'yes' : 'no') },
  {
    title: 'BEHIND NAT',
    cell: ({ natLocal, natRemote }) =>
      [natLocal ? 'this side' : [], natRemote ? 'the site' : []].flat().join(', '),
  },
  { title: 'AGE', cell: ({ ageSeconds }) => seconds(ageSeconds), align: 'right' },
  { title: 'NEW IN', cell: ({ rekeySeconds }) => seconds(rekeySeconds), align: 'right' },
  {
    title: 'ALGORITHMS',
    cell: ({ encryption, integrity, prf, diffieHellmanGroup }) =>
      algorithms(encryption, integrity, prf, diffieHellmanGroup),
  },
];

const childColumns: readonly Column<SiteChildSa>[] = [
  { title: 'STATE', cell: ({ state }) => state },
  { title: 'LOCAL SUBNETS', cell: ({ localSubnets }) => localSubnets.join(', ') },
  { title: 'REMOTE SUBNETS', cell: ({ remoteSubnets }) => remoteSubnets.join(', ') },
  { title: 'SPI IN', cell: ({ spiIn }) => spiIn },
  { title: 'SPI OUT', cell: ({ spiOut }) => spiOut },
  { title: 'IN UDP', cell: ({ encapsulated }) => (encapsulated ? 'yes' : '') },
  { title: 'AGE', cell: ({ ageSeconds }) => seconds(ageSeconds), align: 'right' },
  { title: 'NEW IN', cell: ({ rekeySeconds }) => seconds(rekeySeconds), align: 'right' },
  { title: 'SENT', cell: ({ sent }) => String(sent.bytes), align: 'right' },
  { title: 'RECEIVED', cell: ({ received }) => String(received.bytes), align: 'right' },
  {
    title: 'ALGORITHMS',
    cell: ({ encryption, integrity, diffieHellmanGroup }) =>
      algorithms(encryption, integrity, diffieHellmanGroup),
  },
];
