/**
 * Runs iproute2's `ip`, one command or many in one process (`-batch`), with its JSON for what it shows. Arguments are
 * never a shell's; in a batch they are words on a line, so they are checked to be nothing else.
 */
import { HnvError } from '../errors.ts';
import { type Outcome, runProgram } from './child-process.ts';
import { inNetns } from './netns.ts';

export interface IpOptions {
  /** Named network namespace to work in; the process's own when undefined. */
  netns?: string;
}

export interface IpBatchOptions extends IpOptions {
  /** Go on after a command that fails; the error at the end names all that failed. */
  force?: boolean;
  /** Of what the commands do not say it of; IPv4 when undefined. */
  family?: 4 | 6;
}

type Command = readonly string[];

/** Runs one `ip` command. HNV_IPROUTE2 with what ip said when it fails. */
export async function ip(args: Command, options: IpOptions = {}): Promise<void> {
  await runOne([], args, options);
}

/**
 * Runs one `ip -json` command and returns the array it prints. Options such as `-details` may precede the object in
 * `args`.
 */
export async function ipJson<T>(args: Command, options: IpOptions = {}): Promise<T[]> {
  const stdout = await runOne(['-json'], args, options);
  const arrays = splitArrays(stdout);
  if (arrays.length > 1)
    throw new HnvError('HNV_IPROUTE2', `ip ${args.join(' ')} printed more than one JSON array.`);
  return (arrays[0] ?? []) as T[];
}

/**
 * Runs the commands, in order, in one `ip -batch` process. Stops at the first that fails, unless `force`; those before
 * it stay done. HNV_IPROUTE2 names the failed command. (A word that ip cannot even parse ends the whole process, and
 * then ip does not say in which command: the error has ip's message alone.)
 */
export async function ipBatch(commands: readonly Command[], options: IpBatchOptions = {}): Promise<void> {
  const family = options.family === undefined ? [] : [`-${options.family}`];
  await runBatch([...family, ...(options.force === true ? ['-force'] : [])], commands, options);
}

/** Runs commands that show something, in one `ip -json -batch` process; result i is the array of command i. */
export async function ipBatchJson(
  commands: readonly Command[],
  options: IpOptions = {},
): Promise<unknown[][]> {
  const arrays = splitArrays(await runBatch(['-json'], commands, options));
  if (arrays.length === commands.length) return arrays;
  // Some commands print nothing rather than [] when there is nothing, and then only one process each tells them apart.
  const results: unknown[][] = [];
  for (const command of commands) results.push(await ipJson(command, options));
  return results;
}

async function runOne(flags: Command, args: Command, options: IpOptions): Promise<string> {
  const outcome = await runIp([...flags, ...args], '', options);
  if (outcome.status !== 0)
    throw new HnvError('HNV_IPROUTE2', `ip ${args.join(' ')}${where(options)}: ${complaint(outcome)}`);
  return outcome.stdout;
}

async function runBatch(flags: Command, commands: readonly Command[], options: IpOptions): Promise<string> {
  if (commands.length === 0) return '';
  const input = commands.map(batchLine).join('');
  const outcome = await runIp([...flags, '-batch', '-'], input, options);
  if (outcome.status === 0) return outcome.stdout;
  throw new HnvError('HNV_IPROUTE2', `${batchComplaint(outcome, commands)}${where(options)}`);
}

/** ip reads a batch line as words between blanks, with quotes, backslashes and comments: none may be in a word. */
function batchLine(command: Command): string {
  for (const word of command) {
    if (word === '' || /[\s"'\\#\0]/.test(word))
      throw new HnvError('HNV_IPROUTE2', `${JSON.stringify(word)} cannot be a word of an ip batch.`);
  }
  if (command.length === 0) throw new HnvError('HNV_IPROUTE2', 'An ip batch cannot have an empty command.');
  return `${command.join(' ')}\n`;
}

/** ip's messages, with each `Command failed -:N` after them replaced by command N. */
function batchComplaint(outcome: Outcome, commands: readonly Command[]): string {
  const complaints: string[] = [];
  let said: string[] = [];
  for (const line of outcome.stderr.split('\n')) {
    const failed = /^Command failed -:(\d+)$/.exec(line);
    if (failed === null) {
      if (line.trim() !== '') said.push(line.trim());
      continue;
    }
    const command = commands[Number(failed[1]) - 1] ?? [];
    complaints.push(`ip ${command.join(' ')}: ${said.join('; ')}`);
    said = [];
  }
  if (said.length > 0) complaints.push(`one of ${commands.length} ip commands: ${said.join('; ')}`);
  return complaints.length > 0 ? complaints.join('\n') : `ip -batch: exit status ${outcome.status}`;
}

function complaint(outcome: Outcome): string {
  return outcome.stderr.trim() || `exit status ${outcome.status}`;
}

function where(options: IpOptions): string {
  return options.netns === undefined ? '' : ` (in namespace ${options.netns})`;
}

/**
 * A process begins in the namespace of the thread that makes it. With `-n`, ip would mount a /sys of its own there, which
 * takes the longer the more namespaces, and so mounts, there are.
 */
async function runIp(args: Command, input: string, { netns }: IpOptions): Promise<Outcome> {
  try {
    return await runProgram('ip', args, input, (start) =>
      netns === undefined ? start() : inNetns(netns, start),
    );
  } catch (cause) {
    if (cause instanceof HnvError && cause.code === 'HNV_NETNS') throw cause;
    throw new HnvError('HNV_IPROUTE2', 'ip cannot be run; install the package iproute2.', { cause });
  }
}

/**
 * The JSON arrays that stand one after another in ip's output. ip leaves an empty object for each entry that a filter
 * rejected; those are left out.
 */
function splitArrays(output: string): unknown[][] {
  const arrays: unknown[][] = [];
  let depth = 0;
  let start = 0;
  let inString = false;
  for (let index = 0; index < output.length; index++) {
    const character = output[index];
    if (inString) {
      if (character === '\\') index++;
      else if (character === '"') inString = false;
    } else if (character === '"') {
      inString = true;
    } else if (character === '[') {
      if (depth++ === 0) start = index;
    } else if (character === ']' && --depth === 0) {
      const entries = JSON.parse(output.slice(start, index + 1)) as unknown[];
      arrays.push(entries.filter((entry) => !isEmptyObject(entry)));
    }
  }
  return arrays;
}

function isEmptyObject(value: unknown): boolean {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length === 0
  );
}
