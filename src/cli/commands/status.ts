/** What a node says about itself. */
import type { NodeStatus, StatusProblem } from '../../api/operations.ts';
import { withApi } from '../api.ts';
import { command } from '../command.ts';
import { reasonLines } from '../drop-words.ts';
import { harmless } from '../harmless.ts';
import { outputOption, print } from '../output.ts';
import { stateStyle } from '../resources.ts';
import { connectionOptions } from '../server.ts';
import { type Column, paint, tableLines } from '../table.ts';

export default command({
  name: 'status',
  summary: 'show how the node is',
  about: [
    'Version and role, whether the kernel has what the store says, how many routing domains are ready, what an operator should ' +
      'know, what this kernel lacks, which resources are not ready and why, and the dropped packets that belong to no routing ' +
      'domain. For operators and administrators.',
  ],
  arguments: {},
  options: { ...outputOption, ...connectionOptions },
  examples: [
    { what: 'of the node of this machine', line: 'hnvgw status' },
    { what: 'for a program: is it ready?', line: `hnvgw status -o json | grep -q '"ready": true'` },
  ],
  seeAlso: ['hnvgw doctor', 'hnvgw get routing-domains', 'hnvgw drops'],
  run: ({ options }) =>
    withApi(options, async (api) => {
      const status = await api.json<NodeStatus>('GET', '/v1/status');
      await print(options.output, status, () => statusLines(status));
      return undefined;
    }),
});

const problemColumns: readonly Column<StatusProblem>[] = [
  { title: 'STATE', cell: ({ state }) => state, style: ({ state }) => stateStyle(state) },
  { title: 'RESOURCE', cell: ({ path }) => path.replace(/^\/v1\//, '') },
  { title: 'REASON', cell: ({ reason = '' }) => reason },
];

function statusLines(status: NodeStatus): string[] {
  const { version, role, instance, ready, revision, appliedRevision, routingDomains } = status;
  const missing = status.features.filter(({ present }) => !present);
  const behind = revision === appliedRevision ? '' : `, the kernel is at ${appliedRevision}`;
  const counts = Object.entries(routingDomains).map(([state, count]) => `${count} ${state}`);
  const facts: [string, string][] = [
    ['node', `${role} ${instance}, version ${version}`],
    [
      'state',
      ready
        ? paint('green', 'ready')
        : paint('yellow', 'starting: the kernel has not followed the store yet'),
    ],
    ['revision', `${revision}${behind}`],
    ['domains', counts.join(', ')],
    ...status.warnings.map((warning): [string, string] => ['warning', paint('yellow', harmless(warning))]),
    ...missing.map(({ name, note }): [string, string] => ['missing', harmless(`${name}: ${note}`)]),
  ];
  const drops = Object.entries(status.unattributedDrops);
  return [
    ...facts.map(([name, value]) => `${name.padEnd(10)}${value}`),
    ...(status.problems.length === 0
      ? []
      : ['', 'Not ready:', ...tableLines(problemColumns, status.problems)]),
    ...(drops.length === 0
      ? []
      : ['', 'Dropped packets of no routing domain:', ...dropLines(status.unattributedDrops)]),
  ];
}

/** A table of reasons with their counts, and what they mean. */
export function dropLines(drops: Readonly<Record<string, number>>): string[] {
  const rows = Object.entries(drops).sort(([, a], [, b]) => b - a);
  return [
    ...tableLines(
      [
        { title: 'PACKETS', cell: ([, count]) => String(count), align: 'right' },
        { title: 'REASON', cell: ([reason]) => reason },
      ],
      rows,
    ),
    ...reasonLines(rows.map(([reason]) => reason)),
  ];
}
