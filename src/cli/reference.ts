/** The page of docs/ about the command line, from the descriptions of the commands. */
import { helpOption } from './arguments.ts';
import type { Command, Flag, ValueOption } from './command.ts';
import { commandGroups, loadCommand } from './commands.ts';
import { argumentRows, optionRow, synopsis } from './help.ts';
import { policyHelp } from './policy-help.ts';
import { connectionOptions } from './server.ts';

/** The lines below the heading. */
export async function commandReference(): Promise<string[]> {
  const parts = await Promise.all(
    commandGroups.map(async ({ title, commands }) => {
      const loaded = await Promise.all(commands.map(loadCommand));
      return [`## ${title}`, '', ...loaded.flatMap(commandLines)];
    }),
  );
  const connection = Object.entries(connectionOptions);
  return [
    'A command talks to the API of a node: over the unix socket of the node on this machine, where root needs no token, or with a',
    'token to the one that `--server` names. Data goes to standard output, everything else to standard error. Exit codes: 0 done,',
    '1 failed, 2 called wrongly; of `diff`: 0 nothing differs, 1 something does, 2 trouble. What comes from tenants is shown with',
    'control characters escaped, in every format.',
    '',
    ...optionTable(connection, 'connection'),
    ...parts.flat(),
    '## Policy documents',
    '',
    'As `hnvgw help policy` prints it:',
    '',
    ...codeLines([policyHelp().trimEnd()]),
  ].slice(0, -1);
}

function commandLines(command: Command): string[] {
  const own: [string, Flag | ValueOption][] = Object.entries(command.options);
  const rows = [
    ...argumentRows(command),
    ...own.filter(([, { group }]) => group === undefined).map(optionRow),
    optionRow(['help', helpOption]),
  ];
  return [
    `### hnvgw ${command.name}`,
    '',
    `${command.summary[0]?.toUpperCase()}${command.summary.slice(1)}.`,
    '',
    ...codeLines([synopsis(command)]),
    ...command.about.flatMap((paragraph) => [paragraph, '']),
    ...table(['argument or option', 'meaning'], rows),
    ...codeLines(command.examples.flatMap(({ what, line }) => [`# ${what}`, line])),
    ...(command.seeAlso.length > 0
      ? [`See also: ${command.seeAlso.map((name) => `\`${name}\``).join(', ')}`, '']
      : []),
  ];
}

function optionTable(options: [string, Flag | ValueOption][], title: string): string[] {
  return table([title, 'meaning'], options.map(optionRow));
}

function table(heading: [string, string], rows: [string, string][]): string[] {
  return [
    `| ${heading.join(' | ')} |`,
    '|---|---|',
    ...rows.map(([name, meaning]) => `| \`${name}\` | ${meaning} |`),
    '',
  ];
}

function codeLines(lines: string[]): string[] {
  return ['```', ...lines, '```', ''];
}
