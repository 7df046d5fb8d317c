/** From the words of a command line to an exit code. */
import { HnvError } from '../errors.ts';
import { readArguments } from './arguments.ts';
import { commandNames, findCommand, isFamily, loadCommand } from './commands.ts';
import { completionCall } from './completion-call.ts';
import { ApiProblem, exitCodes, UsageError } from './failures.ts';
import { harmlessLines } from './harmless.ts';
import { didYouMean } from './suggest.ts';

/** Runs the command; what goes wrong is told on standard error. */
export async function run(words: readonly string[]): Promise<number> {
  // Whoever reads has seen enough: `hnvgw get … | head`.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(exitCodes.ok);
    throw error;
  });
  try {
    return (await dispatch(words)) ?? exitCodes.ok;
  } catch (error) {
    const { text, code } = failure(error);
    process.stderr.write(`${harmlessLines(`hnvgw: ${text}`)}\n`);
    const [name] = words;
    return name === 'diff' ? exitCodes.usage : code;
  }
}

async function dispatch(words: readonly string[]): Promise<number | undefined> {
  const [first, second] = words;
  if (first === undefined) throw new UsageError('a command is missing');
  if (first === '--help' || first === '-h') return runCommand('help', []);
  if (first === '--version') return runCommand('version', []);
  if (first === completionCall) return complete(second ?? '');
  if (first.startsWith('-'))
    throw new UsageError(`the command comes first, and ${first} after it: hnvgw COMMAND ${first}`);
  const found = findCommand(words);
  if (found !== undefined) return runCommand(found.name, found.rest);
  if (!isFamily(first)) {
    const known = [...new Set(commandNames.flatMap((name) => name.split(' ', 1)))];
    throw new UsageError(`there is no command ${first}${didYouMean(first, known)}`);
  }
  if (second === '--help') return runCommand('help', [first]);
  const family = commandNames
    .filter((name) => name.startsWith(`${first} `))
    .map((name) => name.split(' ')[1] ?? '');
  if (second === undefined) throw new UsageError(`${first} needs one of ${family.join(', ')}`, first);
  throw new UsageError(`there is no command ${first} ${second}${didYouMean(second, family)}`, first);
}

/** What the shell asks when a word is to be completed: the kind of the candidates, and the candidates. */
async function complete(line: string): Promise<number> {
  const { completionOf } = await import('./complete.ts');
  const { kind, words } = await completionOf(line);
  process.stdout.write(`${[kind, ...words].join('\n')}\n`);
  return exitCodes.ok;
}

async function runCommand(name: (typeof commandNames)[number], rest: readonly string[]) {
  const command = await loadCommand(name);
  const input = readArguments(command, rest);
  if (input !== undefined) return command.run(input);
  const { commandHelp } = await import('./help.ts');
  process.stdout.write(commandHelp(command));
  return exitCodes.ok;
}

function failure(error: unknown): { text: string; code: number } {
  if (error instanceof UsageError) {
    const help = error.command === undefined ? 'hnvgw --help' : `hnvgw help ${error.command}`;
    return { text: `${error.message}\n${help} tells more.`, code: exitCodes.usage };
  }
  if (error instanceof ApiProblem) {
    const { code, rule } = error.problem;
    const broken = rule === undefined ? '' : ` (rule ${rule})`;
    return { text: `${code}: ${error.message}${broken}`, code: exitCodes.failed };
  }
  if (error instanceof HnvError) return { text: `${error.code}: ${error.message}`, code: exitCodes.failed };
  throw error;
}
