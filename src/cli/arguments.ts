/** Reads the words after a command's name by its description. Throws UsageError. */
import { parseArgs } from 'node:util';
import type { Argument, Command, Flag, Input, Options, ValueOption } from './command.ts';
import { UsageError } from './failures.ts';
import { didYouMean } from './suggest.ts';

/** What the command is called with; undefined when its help is wanted. */
export function readArguments(command: Command, words: readonly string[]): Input | undefined {
  const options: Options = { ...command.options, help: helpOption };
  const { tokens } = parseArgs({
    args: [...words],
    options: Object.fromEntries(
      Object.entries(options).map(([name, { type, short }]) => [
        name,
        { type, multiple: true, ...(short === undefined ? {} : { short }) },
      ]),
    ),
    strict: false,
    tokens: true,
  });
  const fail = (message: string): never => {
    throw new UsageError(message, command.name);
  };

  const positionals: string[] = [];
  const given = new Map<string, string[]>();
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value);
    if (token.kind !== 'option') continue;
    const option = Object.hasOwn(options, token.name) ? options[token.name] : undefined;
    if (option === undefined) {
      const known = Object.keys(options).map((name) => `--${name}`);
      return fail(`${command.name} has no option ${token.rawName}${didYouMean(token.rawName, known)}`);
    }
    given.set(token.name, [...(given.get(token.name) ?? []), optionValue(token, option, fail)]);
  }
  if (given.has('help')) return undefined;

  // As the description says: a command's own types follow from that.
  const input: { arguments: Record<string, unknown>; options: Record<string, unknown> } = {
    arguments: argumentValues(command, positionals, fail),
    options: Object.fromEntries(
      Object.entries(command.options).map(([name, option]) => [
        name,
        optionValues(name, option, given.get(name) ?? [], fail),
      ]),
    ),
  };
  return input as unknown as Input;
}

/** Every command has it. */
export const helpOption: Flag = { type: 'boolean', summary: 'print this' };

type Fail = (message: string) => never;

interface OptionToken {
  readonly rawName: string;
  readonly value: string | undefined;
  readonly inlineValue: boolean | undefined;
}

function optionValue({ rawName, value, inlineValue }: OptionToken, option: Flag | ValueOption, fail: Fail) {
  if (option.type === 'boolean') {
    if (value !== undefined) fail(`${rawName} takes no value, but has ${value}`);
    return '';
  }
  // `-` alone is a value: standard input.
  const isOption = inlineValue === false && value !== undefined && /^-./.test(value);
  if (value === undefined || value === '' || isOption)
    return fail(`${rawName} needs a value: ${rawName} ${option.value}`);
  requireChoice(rawName, value, option.choices, fail);
  return value;
}

function optionValues(name: string, option: Flag | ValueOption, values: string[], fail: Fail) {
  if (option.type === 'boolean') return values.length > 0;
  if (option.multiple) return values;
  if (values.length > 1) fail(`--${name} is given ${values.length} times, but can be only once`);
  if (option.required && values.length === 0) {
    const shown = option.short === undefined ? `--${name}` : `-${option.short}`;
    fail(`${shown} ${option.value} is missing: ${option.summary}`);
  }
  return values[0];
}

function argumentValues(command: Command, positionals: string[], fail: Fail) {
  const known: [string, Argument][] = Object.entries(command.arguments);
  const surplus = positionals.slice(known.length);
  if (surplus.length > 0) {
    const meant = 'file' in command.options ? `; is it the file, -f ${surplus[0]}?` : '';
    fail(`${command.name} takes no argument ${surplus.join(' ')}${meant}`);
  }
  return Object.fromEntries(
    known.map(([name, { summary, optional, choices }], at) => {
      const value = positionals[at];
      if (value === undefined && !optional) fail(`${name.toUpperCase()} is missing: ${summary}`);
      if (value !== undefined) requireChoice(name.toUpperCase(), value, choices, fail);
      return [name, value];
    }),
  );
}

function requireChoice(name: string, value: string, choices: readonly string[] | undefined, fail: Fail) {
  if (choices === undefined || choices.includes(value)) return;
  fail(`${name} is ${value}, but must be one of ${choices.join(', ')}${didYouMean(value, choices)}`);
}
