/** Traffic and drops of routing domains. */
import { setTimeout as delay } from 'node:timers/promises';
import type { DomainCounters, NatUse } from '../../api/operations.ts';
import { type Api, withApi } from '../api.ts';
import { command } from '../command.ts';
import { type Domain, domainOption, listDomains, resolveDomain } from '../domain.ts';
import { ApiProblem } from '../failures.ts';
import { outputOption, print, printLines } from '../output.ts';
import { connectionOptions } from '../server.ts';
import { type Column, tableLines } from '../table.ts';
import { dropLines } from './status.ts';

const INTERVAL_MS = 1000;
/** Requests under way at a time. */
const PARALLEL = 8;
const clearScreen = '\x1b[H\x1b[2J';

export default command({
  name: 'counters',
  summary: 'show the traffic of routing domains',
  about: [
    'Packets and bytes from tunnels to ports of this node, from ports to tunnels, and from port to port, since the routing domain ' +
      'was created; bytes are those of the inner packets. FAST is how many from and to tunnels took the fast path. With --domain also its dropped packets by reason, with what each ' +
      'reason means.',
  ],
  arguments: {},
  options: {
    ...domainOption,
    watch: { type: 'boolean', summary: 'show the traffic of each second, until Ctrl-C' },
    ...outputOption,
    ...connectionOptions,
  },
  examples: [
    { what: 'all routing domains', line: 'hnvgw counters' },
    { what: 'one, with its drops', line: 'hnvgw counters -d Contoso' },
    { what: 'what goes through each second', line: 'hnvgw counters --watch' },
  ],
  seeAlso: ['hnvgw drops', 'hnvgw status', 'docs/drop-reasons.md'],
  run: ({ options }) =>
    withApi(options, async (api) => {
      const rdid = options.domain === undefined ? undefined : await resolveDomain(api, options.domain);
      if (options.watch) return watch(api, rdid);
      const all = await readCounters(api, rdid);
      const [only] = all;
      if (rdid !== undefined && only !== undefined)
        await print(options.output, only.counters, () => oneLines(only.counters));
      else {
        const data = all.map(({ domain, counters }) => ({ ...domain, ...counters }));
        await print(options.output, { items: data }, () =>
          all.length === 0 ? ['There are no routing domains.'] : tableLines(columns, all),
        );
      }
      return undefined;
    }),
});

interface Reading {
  readonly domain: Domain;
  /** `nat` when the node has the domain's gateway. */
  readonly counters: DomainCounters & { nat?: NatUse };
}

const directions = ['decapsulated', 'encapsulated', 'local'] as const;
const titles = { decapsulated: 'FROM TUNNELS', encapsulated: 'TO TUNNELS', local: 'LOCAL' } as const;

const columns: readonly Column<Reading>[] = [
  { title: 'DOMAIN', cell: ({ domain }) => domain.name },
  { title: 'RDID', cell: ({ domain }) => domain.rdid },
  ...directions.flatMap((direction): Column<Reading>[] => [
    {
      title: titles[direction],
      cell: ({ counters }) => String(counters[direction].packets),
      align: 'right',
    },
    { title: 'BYTES', cell: ({ counters }) => amount(counters[direction].bytes), align: 'right' },
  ]),
  { title: 'FAST', cell: ({ counters }) => String(counters.fast.packets), align: 'right' },
  { title: 'DROPS', cell: ({ counters }) => String(total(counters.drops)), align: 'right' },
];

function oneLines(counters: Reading['counters']): string[] {
  const rows = directions.map((direction) => ({
    name: titles[direction].toLowerCase(),
    ...counters[direction],
  }));
  return [
    ...tableLines(
      [
        { title: '', cell: ({ name }) => name },
        { title: 'PACKETS', cell: ({ packets }) => String(packets), align: 'right' },
        { title: 'BYTES', cell: ({ bytes }) => amount(bytes), align: 'right' },
      ],
      rows,
    ),
    '',
    `By the fast path: ${counters.fast.packets} packets.`,
    '',
    ...(total(counters.drops) === 0
      ? ['No dropped packets.']
      : ['Dropped packets:', ...dropLines(counters.drops)]),
    ...natLines(counters.nat),
  ];
}

function natLines(nat: NatUse | undefined): string[] {
  if (nat === undefined) return [];
  const { limit, ports, bindings } = nat.refused;
  return [
    '',
    `NAT sessions: ${nat.sessions}. Refused: ${limit} over the limit, ${ports} without a free port, ${bindings} for another's binding.`,
  ];
}

async function watch(api: Api, rdid: string | undefined): Promise<undefined> {
  let before = await readCounters(api, rdid);
  let at = performance.now();
  for (;;) {
    await delay(INTERVAL_MS);
    const now = await readCounters(api, rdid);
    const seconds = (performance.now() - at) / 1000;
    at = performance.now();
    const known = new Map(before.map(({ domain, counters }) => [domain.rdid, counters]));
    const rates = now.map(({ domain, counters }) => ({
      domain,
      counters: perSecond(known.get(domain.rdid) ?? counters, counters, seconds),
    }));
    if (process.stdout.isTTY) process.stdout.write(clearScreen);
    printLines(['Each second:', ...tableLines(columns, rates), ...(process.stdout.isTTY ? [] : [''])]);
    before = now;
  }
}

/** A domain that was deleted and made again begins with zero again: that is no negative traffic. */
function perSecond(before: DomainCounters, now: DomainCounters, seconds: number): DomainCounters {
  const rate = (from: number, to: number) => Math.max(0, Math.round((to - from) / seconds));
  const direction = (name: (typeof directions)[number]) => ({
    packets: rate(before[name].packets, now[name].packets),
    bytes: rate(before[name].bytes, now[name].bytes),
  });
  return {
    decapsulated: direction('decapsulated'),
    encapsulated: direction('encapsulated'),
    fast: { packets: rate(before.fast.packets, now.fast.packets) },
    local: direction('local'),
    drops: Object.fromEntries(
      Object.entries(now.drops).map(([reason, count]) => [reason, rate(before.drops[reason] ?? 0, count)]),
    ),
  };
}

/** Of the domain, or of all. One that is deleted meanwhile is left out. */
async function readCounters(api: Api, rdid: string | undefined): Promise<Reading[]> {
  const read = (id: string) => api.json<Reading['counters']>('GET', `/v1/routing-domains/${id}/counters`);
  if (rdid !== undefined) return [{ domain: { rdid, name: '' }, counters: await read(rdid) }];
  const domains = await listDomains(api);
  const readings: Reading[] = [];
  for (let from = 0; from < domains.length; from += PARALLEL) {
    const part = domains.slice(from, from + PARALLEL).map(async ({ rdid: id, name }) => {
      const counters = await read(id).catch((error: unknown) => {
        if (error instanceof ApiProblem && error.problem.status === 404) return undefined;
        throw error;
      });
      return counters === undefined ? [] : [{ domain: { rdid: id, name }, counters }];
    });
    readings.push(...(await Promise.all(part)).flat());
  }
  return readings;
}

function total(drops: Readonly<Record<string, number>>): number {
  return Object.values(drops).reduce((sum, count) => sum + count, 0);
}

/** `1.2 GB`, in powers of 1,000. */
function amount(bytes: number): string {
  const units = ['', ' kB', ' MB', ' GB', ' TB', ' PB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)}${units[unit]}`;
}
