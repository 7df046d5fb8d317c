/** The help of the program and of each command, from their descriptions. */
import { helpOption } from './arguments.ts';
import type { Command, Flag, ValueOption } from './command.ts';
import { type CommandGroup, commandGroups, loadCommand } from './commands.ts';

const WIDTH = 100;
const program = 'hnvgw';

/** The page that `hnvgw --help` prints. */
export async function programHelp(): Promise<string> {
  const groups = await Promise.all(commandGroups.map(groupLines));
  return page([
    `${program}: gateway and host for Hyper-V Network Virtualization (NVGRE) on Linux`,
    '',
    `Usage: ${program} COMMAND [OPTIONS]`,
    '',
    ...groups.flat(),
    `${program} help COMMAND tells more, with examples. To begin with: ${program} help gateway, ${program} help apply,`,
    `${program} help policy, ${program} doctor.`,
    '',
    'Exit codes: 0 done, 1 failed, 2 called wrongly. Data goes to standard output, everything else to standard error.',
  ]);
}

/** The page of the commands that begin with a word: `token`. */
export async function familyHelp(family: string): Promise<string> {
  const names = commandGroups
    .flatMap((group) => group.commands)
    .filter((name) => name.startsWith(`${family} `));
  const commands = await Promise.all(names.map(loadCommand));
  return page([
    `Usage: ${program} ${family} ${names.map((name) => name.slice(family.length + 1)).join('|')} [OPTIONS]`,
    '',
    ...rows(commands.map((command) => [command.name, command.summary])),
  ]);
}

/** The page of one command. */
export function commandHelp(command: Command): string {
  const options = Object.entries({ ...command.options, help: helpOption });
  const own = options.filter(([, { group }]) => group === undefined);
  const connection = options.filter(([, { group }]) => group === 'connection');
  return page([
    `${program} ${command.name}: ${command.summary}`,
    '',
    `Usage: ${synopsis(command)}`,
    '',
    ...command.about.flatMap((paragraph) => [...wrapped(paragraph), '']),
    ...section('Arguments', argumentRows(command)),
    ...section('Options', own.map(optionRow)),
    ...section('Connection', connection.map(optionRow)),
    ...exampleLines(command),
    ...(command.seeAlso.length > 0 ? [`See also: ${command.seeAlso.join(', ')}`] : []),
  ]);
}

/** How the command is called, in one line. */
export function synopsis(command: Command): string {
  const words = Object.entries(command.arguments).map(([name, { optional }]) => {
    const shown = name.toUpperCase();
    return optional ? `[${shown}]` : shown;
  });
  const options: [string, Flag | ValueOption][] = Object.entries(command.options);
  for (const [name, option] of options) {
    if (option.group !== undefined) continue;
    const shown = option.type === 'boolean' ? `--${name}` : `${flag(name, option)} ${option.value}`;
    words.push(option.type === 'string' && option.required ? shown : `[${shown}]`);
  }
  if (options.some(([, { group }]) => group === 'connection')) words.push('[CONNECTION]');
  return [program, command.name, ...words].join(' ');
}

function flag(name: string, { short }: Flag | ValueOption): string {
  return short === undefined ? `--${name}` : `-${short}`;
}

/** Name and meaning of each argument. */
export function argumentRows(command: Command): [string, string][] {
  return Object.entries(command.arguments).map(([name, { summary, choices }]) => [
    name.toUpperCase(),
    summary + choiceText(choices),
  ]);
}

/** Name and meaning of an option. */
export function optionRow([name, option]: [string, Flag | ValueOption]): [string, string] {
  const short = option.short === undefined ? '' : `-${option.short}, `;
  if (option.type === 'boolean') return [`${short}--${name}`, option.summary];
  const again = option.multiple ? '; may be given several times' : '';
  return [`${short}--${name} ${option.value}`, option.summary + choiceText(option.choices) + again];
}

function choiceText(choices: readonly string[] | undefined): string {
  return choices === undefined ? '' : ` (${choices.join(', ')})`;
}

async function groupLines({ title, commands }: CommandGroup): Promise<string[]> {
  const loaded = await Promise.all(commands.map(loadCommand));
  return section(
    title,
    loaded.map(({ name, summary }) => [name, summary]),
  );
}

function exampleLines({ examples }: Command): string[] {
  const lines = examples.flatMap(({ what, line }) => [
    `  # ${what}`,
    ...line.split('\n').map((part) => `  ${part}`),
    '',
  ]);
  return lines.length === 0 ? [] : ['Examples:', ...lines];
}

function section(title: string, entries: [string, string][]): string[] {
  return entries.length === 0 ? [] : [`${title}:`, ...rows(entries), ''];
}

/** Two columns, the second one wrapped. */
export function rows(entries: [string, string][]): string[] {
  const width = Math.min(28, Math.max(...entries.map(([name]) => name.length)));
  return entries.flatMap(([name, text]) => {
    const [first = '', ...more] = wrapped(text, WIDTH - width - 4);
    const indented = more.map((line) => `${' '.repeat(width + 4)}${line}`);
    if (name.length > width) return [`  ${name}`, `${' '.repeat(width + 4)}${first}`, ...indented];
    return [`  ${name.padEnd(width)}  ${first}`, ...indented];
  });
}

/** The text in lines. */
export function wrapped(text: string, width = WIDTH): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

/** The lines as they are printed. */
export function page(lines: readonly string[]): string {
  return `${lines.join('\n').trimEnd()}\n`;
}
