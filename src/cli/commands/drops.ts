/** The newest dropped packets, in words. */
import { setTimeout as delay } from 'node:timers/promises';
import type { DropSample, NodeStatus } from '../../api/operations.ts';
import { type Api, withApi } from '../api.ts';
import { command } from '../command.ts';
import { domainOption, listDomains, resolveDomain } from '../domain.ts';
import { reasonLines } from '../drop-words.ts';
import { harmlessJson } from '../harmless.ts';
import { outputOption, print, printLines } from '../output.ts';
import { describePacket } from '../packet.ts';
import { connectionOptions } from '../server.ts';
import { type Column, tableLines } from '../table.ts';

const INTERVAL_MS = 500;

export default command({
  name: 'drops',
  summary: 'show dropped packets, and why they were dropped',
  about: [
    'The node keeps the beginning of the last 64 dropped packets. They are samples, at most 100 a second for each routing domain ' +
      'and CPU; hnvgw counters has all of them, counted. For operators and administrators.',
  ],
  arguments: {},
  options: {
    ...domainOption,
    follow: { type: 'boolean', summary: 'go on with those that are dropped, until Ctrl-C' },
    ...outputOption,
    ...connectionOptions,
  },
  examples: [
    { what: 'the newest ones', line: 'hnvgw drops' },
    { what: 'those of a routing domain, as they come', line: 'hnvgw drops -d Contoso --follow' },
  ],
  seeAlso: ['hnvgw counters', 'hnvgw status', 'docs/drop-reasons.md'],
  run: ({ options }) =>
    withApi(options, async (api) => {
      const rdid = options.domain === undefined ? undefined : await resolveDomain(api, options.domain);
      const names = new Map((await listDomains(api)).map((domain) => [domain.rdid, domain.name]));
      if (options.follow) return follow(api, rdid, names, options.output);
      const drops = await readDrops(api, rdid);
      await print(options.output, drops, () =>
        drops.length === 0
          ? ['No packet was dropped lately.']
          : [...tableLines(columns(names), drops), ...reasonLines(drops.map(({ reason }) => reason))],
      );
      return undefined;
    }),
});

async function readDrops(api: Api, rdid: string | undefined): Promise<DropSample[]> {
  const { recentDrops } = await api.json<NodeStatus>('GET', '/v1/status');
  return rdid === undefined ? recentDrops : recentDrops.filter((drop) => drop.routingDomainId === rdid);
}

const columns = (names: ReadonlyMap<string, string>): Column<DropSample>[] => [
  { title: 'TIME', cell: ({ at }) => at },
  { title: 'DOMAIN', cell: ({ routingDomainId: rdid = '' }) => names.get(rdid) ?? rdid },
  { title: 'INTERFACE', cell: (drop) => drop.interface },
  { title: 'BYTES', cell: ({ length }) => String(length), align: 'right' },
  { title: 'REASON', cell: ({ reason }) => reason },
  { title: 'PACKET', cell: ({ head }) => describePacket(head) },
];

/** Each new drop as a line, with what its reason means when that is seen for the first time. */
async function follow(
  api: Api,
  rdid: string | undefined,
  names: ReadonlyMap<string, string>,
  format: string | undefined,
): Promise<undefined> {
  const explained = new Set<string>();
  let seen = new Set<string>();
  for (;;) {
    const drops = await readDrops(api, rdid);
    const keys = drops.map(({ at, head, interface: on }) => `${at} ${on} ${head}`);
    const fresh = drops.filter((_, index) => !seen.has(keys[index] ?? ''));
    seen = new Set(keys);
    if (format === 'json')
      for (const drop of fresh) process.stdout.write(`${harmlessJson(JSON.stringify(drop))}\n`);
    else if (format === 'yaml' && fresh.length > 0) await print('yaml', fresh, () => []);
    else if (format === undefined || format === 'table') {
      printLines(tableLines(columns(names), fresh).slice(1));
      const reasons = fresh.map(({ reason }) => reason).filter((reason) => !explained.has(reason));
      printLines(
        reasonLines(reasons)
          .slice(1)
          .map((line) => `    ${line}`),
      );
      for (const reason of reasons) explained.add(reason);
    }
    await delay(INTERVAL_MS);
  }
}
