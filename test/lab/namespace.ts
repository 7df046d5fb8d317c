/**
 * One network namespace of a lab. Programs enter it with nsenter and nothing but the network: `ip netns exec` would
 * also give them a new /sys, in which bpffs is not mounted.
 */
import type { CommandOptions, CommandResult } from './command.ts';
import type { Lab } from './lab.ts';
import type { LabProcess } from './process.ts';
import { SHELL } from './terminal.ts';

export class Namespace {
  readonly lab: Lab;
  /** The name that `ip netns` shows: the lab's name, a dash, the short name. */
  readonly name: string;

  constructor(lab: Lab, name: string) {
    this.lab = lab;
    this.name = name;
  }

  get path(): string {
    return `/run/netns/${this.name}`;
  }

  /** Runs a program inside to its end; any exit code is a result. */
  run(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    return this.lab.run('nsenter', [`--net=${this.path}`, '--', ...args], options);
  }

  /** As run, but an exit code other than 0 rejects. */
  runChecked(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    return this.lab.runChecked('nsenter', [`--net=${this.path}`, '--', ...args], options);
  }

  /** Starts a program inside that runs until it, or the lab, is ended. Its pid is the program's own. */
  spawn(args: readonly string[], options: { env?: NodeJS.ProcessEnv } = {}): Promise<LabProcess> {
    return this.lab.spawn('nsenter', [`--net=${this.path}`, '--', ...args], options);
  }

  /** Starts a shell inside, as Terminal takes it. */
  shell(): Promise<LabProcess> {
    return this.spawn(['bash', '-c', SHELL]);
  }

  /** `ip -n NAME args`; answers its output, rejects when it fails. */
  async ip(...args: string[]): Promise<string> {
    return (await this.lab.runChecked('ip', ['-n', this.name, ...args])).stdout;
  }

  /** Many ip commands, one a line, in one process; stops and rejects at the first that fails. */
  async ipBatch(lines: readonly string[]): Promise<void> {
    await this.lab.runChecked('ip', ['-n', this.name, '-batch', '-'], { input: `${lines.join('\n')}\n` });
  }
}
