/** Runs one program to its end with an argument array, and keeps track of it so that a closing lab can end it. */
import { type ChildProcess, spawn } from 'node:child_process';

export interface CommandResult {
  /** Exit code; 128 when a signal ended the program. */
  code: number;
  stdout: string;
  stderr: string;
}

export interface CommandOptions {
  /** Milliseconds until the program is killed and the call rejects. Default 30,000. */
  timeoutMs?: number;
  /** Text for the program's standard input, which is empty otherwise. */
  input?: string;
  env?: NodeJS.ProcessEnv;
}

/** Programs that are running right now. */
export type RunningCommands = Set<ChildProcess>;

/**
 * Runs a program; any exit code is a result. Rejects when the program cannot be started or did not end in time. It has a
 * session of its own: a Ctrl-C at our terminal must not end the commands that we clean up with.
 */
export function runCommand(
  running: RunningCommands,
  file: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const timeoutMs = options.timeoutMs ?? 30_000;
  const words = [file, ...args].join(' ');
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { detached: true, env: options.env ?? process.env });
    const output = { stdout: '', stderr: '' };
    for (const stream of ['stdout', 'stderr'] as const) {
      child[stream].setEncoding('utf8').on('data', (text: string) => {
        output[stream] += text;
      });
    }
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill('SIGKILL');
    }, timeoutMs);
    running.add(child);
    const ended = () => {
      running.delete(child);
      clearTimeout(timer);
    };
    child.once('error', (error) => {
      ended();
      reject(new Error(`${words}: ${error.message}`, { cause: error }));
    });
    child.once('close', (code) => {
      ended();
      if (late) reject(new Error(`${words}: not finished after ${timeoutMs} ms: ${output.stderr}`));
      else resolve({ code: code ?? 128, ...output });
    });
    // A program that does not read its input may close it first; its exit code tells what matters.
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input ?? '');
  });
}

/** As runCommand, but any exit code other than 0 rejects, with the program's own words. */
export async function runChecked(
  running: RunningCommands,
  file: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const result = await runCommand(running, file, args, options);
  if (result.code !== 0) {
    const input = options.input === undefined ? '' : `\ninput:\n${options.input}`;
    throw new Error(
      `${[file, ...args].join(' ')}: exit code ${result.code}: ${result.stderr}${result.stdout}${input}`,
    );
  }
  return result;
}
