/** Who asked this node to change something. */
import type { AuditRecord } from '../../store/audit.ts';
import { type Api, withApi } from '../api.ts';
import { command } from '../command.ts';
import { UsageError } from '../failures.ts';
import { outputOption, printTable } from '../output.ts';
import { connectionOptions } from '../server.ts';
import type { Column } from '../table.ts';

const standard = 50;
const PAGE = 1000;

export default command({
  name: 'audit',
  summary: 'show who changed what, when, and from where',
  about: [
    'The newest records of the audit log, oldest of them first: accepted writes with their revision, and refusals with their code. ' +
      'local is whoever used the unix socket, root on the node. For operators and administrators.',
  ],
  arguments: {},
  options: {
    last: { type: 'string', short: 'n', value: 'N', summary: `how many records, ${standard} by default` },
    ...outputOption,
    ...connectionOptions,
  },
  examples: [
    { what: 'the last ones', line: 'hnvgw audit' },
    { what: 'more of them', line: 'hnvgw audit -n 1000' },
  ],
  seeAlso: ['hnvgw token list', 'hnvgw events'],
  run: ({ options }) => {
    const { last = String(standard) } = options;
    if (!/^[1-9][0-9]{0,7}$/.test(last))
      throw new UsageError(`--last is ${last}, but must be a number from 1 on`, 'audit');
    return withApi(options, async (api) => {
      const records = await newest(api, Number(last));
      await printTable(options.output, { items: records }, columns, records, 'The audit log is empty.');
      return undefined;
    });
  },
});

/** The API gives the newest first. */
async function newest(api: Api, count: number): Promise<AuditRecord[]> {
  const found: AuditRecord[] = [];
  for (let cursor: string | undefined; found.length < count; ) {
    const page = await api.json<{ items: AuditRecord[]; next?: string }>('GET', '/v1/audit', {
      query: { limit: Math.min(PAGE, count - found.length), cursor },
    });
    found.push(...page.items);
    cursor = page.next;
    if (cursor === undefined) break;
  }
  return found.reverse();
}

const columns: readonly Column<AuditRecord>[] = [
  { title: 'TIME', cell: ({ at }) => at },
  { title: 'WHO', cell: ({ actor }) => actor },
  { title: 'FROM', cell: ({ from }) => from },
  { title: 'METHOD', cell: ({ method }) => method },
  { title: 'PATH', cell: ({ path }) => path },
  {
    title: 'STATUS',
    cell: ({ status }) => String(status),
    style: ({ status }) => (status >= 400 ? 'red' : undefined),
    align: 'right',
  },
  { title: 'CODE', cell: ({ code = '' }) => code },
  { title: 'RULE', cell: ({ rule = '' }) => rule },
  {
    title: 'REVISION',
    cell: ({ revision }) => (revision === undefined ? '' : String(revision)),
    align: 'right',
  },
];
