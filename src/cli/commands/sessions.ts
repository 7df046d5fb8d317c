/** The NAT sessions of a routing domain. */
import type { NatSession } from '../../api/operations.ts';
import { withApi } from '../api.ts';
import { command } from '../command.ts';
import { domainOption, resolveDomain } from '../domain.ts';
import { outputOption, printTable } from '../output.ts';
import { connectionOptions } from '../server.ts';
import type { Column } from '../table.ts';

const standard = 1000;

export default command({
  name: 'sessions',
  summary: 'show the NAT sessions of a routing domain',
  about: [
    'Who inside talks with whom outside, under which external address and port, since when and how much, as connection tracking on ' +
      'this gateway has it. A hairpin session is one between two inside hosts by an external address. What options are given must all fit.',
  ],
  arguments: {},
  options: {
    domain: { ...domainOption.domain, required: true },
    protocol: {
      type: 'string',
      value: 'PROTOCOL',
      summary: 'tcp, udp, icmp, icmpv6, another name or a number',
    },
    direction: {
      type: 'string',
      value: 'SIDE',
      choices: ['outbound', 'inbound', 'hairpin'],
      summary: 'only those that this side began',
    },
    internal: { type: 'string', value: 'ADDRESS', summary: 'only those of this inside host' },
    'internal-port': { type: 'string', value: 'PORT', summary: 'its port, or identifier of ICMP' },
    external: { type: 'string', value: 'ADDRESS', summary: 'only those under this external address' },
    'external-port': { type: 'string', value: 'PORT', summary: 'its port, or identifier of ICMP' },
    remote: { type: 'string', value: 'ADDRESS', summary: 'only those with this other side' },
    'remote-port': { type: 'string', value: 'PORT', summary: 'its port' },
    state: {
      type: 'string',
      value: 'STATE',
      summary: 'only TCP connections in this state: established, timeWait',
    },
    limit: { type: 'string', short: 'n', value: 'N', summary: `most to show, ${standard} by default` },
    ...outputOption,
    ...connectionOptions,
  },
  examples: [
    { what: 'all of a routing domain', line: 'hnvgw sessions -d Contoso' },
    {
      what: 'who had this external port',
      line: 'hnvgw sessions -d Contoso --external 203.0.113.1 --external-port 2000',
    },
    {
      what: 'those that somebody outside began',
      line: 'hnvgw sessions -d Contoso --direction inbound -o json',
    },
  ],
  seeAlso: ['hnvgw counters', 'hnvgw events'],
  run: ({ options }) =>
    withApi(options, async (api) => {
      const rdid = await resolveDomain(api, options.domain);
      const data = await api.json<{ items: NatSession[] }>(
        'GET',
        `/v1/routing-domains/${rdid}/nat/sessions`,
        {
          query: {
            protocol: options.protocol,
            direction: options.direction,
            internalAddress: options.internal,
            internalPort: options['internal-port'],
            externalAddress: options.external,
            externalPort: options['external-port'],
            remoteAddress: options.remote,
            remotePort: options['remote-port'],
            state: options.state,
            limit: options.limit ?? standard,
          },
        },
      );
      await printTable(options.output, data, columns, data.items, 'There are no such sessions.');
      return undefined;
    }),
});

/** `10.1.1.11:40000`, `[2001:db8::1]:443`. */
export function endpoint(address: string | undefined, port: number | undefined): string {
  if (address === undefined) return '';
  if (port === undefined) return address;
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

const columns: readonly Column<NatSession>[] = [
  { title: 'PROTOCOL', cell: ({ protocol }) => protocol },
  { title: 'DIRECTION', cell: ({ direction }) => direction },
  {
    title: 'INTERNAL',
    cell: ({ internalAddress, internalPort, icmpId }) => endpoint(internalAddress, internalPort ?? icmpId),
  },
  {
    title: 'EXTERNAL',
    cell: ({ externalAddress, externalPort, externalIcmpId }) =>
      endpoint(externalAddress, externalPort ?? externalIcmpId),
  },
  { title: 'REMOTE', cell: ({ remoteAddress, remotePort }) => endpoint(remoteAddress, remotePort) },
  {
    title: 'BEHIND IT',
    cell: ({ remoteInternalAddress, remoteInternalPort }) =>
      endpoint(remoteInternalAddress, remoteInternalPort),
  },
  { title: 'STATE', cell: ({ state = '' }) => state },
  { title: 'STARTED', cell: ({ started = '' }) => started },
  { title: 'ENDS IN', cell: ({ timeoutSeconds }) => `${timeoutSeconds} s`, align: 'right' },
  { title: 'SENT', cell: ({ sent }) => (sent === undefined ? '' : String(sent.bytes)), align: 'right' },
  {
    title: 'RECEIVED',
    cell: ({ received }) => (received === undefined ? '' : String(received.bytes)),
    align: 'right',
  },
];
