/**
 * A laboratory of network namespaces: makes them, joins them, runs programs in them, and removes every trace when it is
 * closed. Everything that it makes carries its name as a prefix, so that labs can stand side by side.
 */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type CommandOptions,
  type CommandResult,
  type RunningCommands,
  runChecked,
  runCommand,
} from './command.ts';
import { Namespace } from './namespace.ts';
import { LabProcess } from './process.ts';

export class Lab {
  readonly name: string;
  /** Temporary directory for sockets, captures and configuration; removed with the lab. */
  readonly dir: string;
  readonly #running: RunningCommands = new Set();
  readonly #processes = new Set<LabProcess>();
  readonly #namespaces = new Map<string, Namespace>();
  readonly #closers: (() => Promise<void> | void)[] = [];
  #closing: Promise<void> | undefined;

  private constructor(name: string, dir: string) {
    this.name = name;
    this.dir = dir;
  }

  /**
   * Opens a lab. What an earlier lab of the same name left behind because its process was killed is removed first; a
   * lab of that name that is still in use makes this reject.
   */
  static async create(name: string): Promise<Lab> {
    if (!/^[a-z][a-z0-9]{0,15}$/.test(name)) throw new Error(`'${name}' is not a name for a lab`);
    const lab = new Lab(name, await mkdtemp(join(tmpdir(), `hnvgw-lab-${name}-`)));
    try {
      await lab.#removeRemains();
    } catch (error) {
      await lab.close();
      throw error;
    }
    return lab;
  }

  /** Makes a namespace with its loopback interface up. */
  async namespace(short: string): Promise<Namespace> {
    this.#checkOpen();
    if (this.#namespaces.has(short)) throw new Error(`the lab has a namespace '${short}' already`);
    const namespace = new Namespace(this, `${this.name}-${short}`);
    // Noted before it exists, so that a failure half-way is cleaned up too.
    this.#namespaces.set(short, namespace);
    await this.runChecked('ip', ['netns', 'add', namespace.name]);
    await namespace.ip('link', 'set', 'lo', 'up');
    return namespace;
  }

  /** Joins two namespaces with a veth pair, both ends up. */
  async veth(a: Namespace, aName: string, b: Namespace, bName: string): Promise<void> {
    await a.ip('link', 'add', aName, 'up', 'type', 'veth', 'peer', 'name', bName, 'netns', b.name);
    await b.ip('link', 'set', bName, 'up');
  }

  /** Makes a bridge of interfaces that are in the namespace. */
  async bridge(namespace: Namespace, name: string, ports: readonly string[]): Promise<void> {
    await namespace.ipBatch([
      `link add ${name} up type bridge`,
      ...ports.map((port) => `link set ${port} master ${name} up`),
    ]);
  }

  /** Runs a program outside the lab's namespaces; ended by close(). */
  run(file: string, args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    this.#checkOpen();
    return runCommand(this.#running, file, args, options);
  }

  /** As run, but an exit code other than 0 rejects. */
  async runChecked(
    file: string,
    args: readonly string[],
    options: CommandOptions = {},
  ): Promise<CommandResult> {
    this.#checkOpen();
    return runChecked(this.#running, file, args, options);
  }

  /** Starts a program that close() ends. */
  async spawn(
    file: string,
    args: readonly string[],
    options: { env?: NodeJS.ProcessEnv } = {},
  ): Promise<LabProcess> {
    this.#checkOpen();
    const started = await LabProcess.start(file, args, options.env);
    this.#processes.add(started);
    void started.exited.then(() => this.#processes.delete(started));
    if (this.#closing) await started.end('SIGKILL');
    return started;
  }

  /**
   * Registers work for close(), done in reverse order of registration after the lab's processes have ended and while
   * its namespaces are still there.
   */
  onClose(closer: () => Promise<void> | void): void {
    this.#closers.push(closer);
  }

  /**
   * Ends the processes that the lab started, runs what onClose registered, removes namespaces and directory. Goes on
   * after a failure and reports all of them at the end. Later calls answer as the first.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const failures: unknown[] = [];
    const attempt = async (work: () => unknown) => {
      try {
        await work();
      } catch (error) {
        failures.push(error);
      }
    };
    const commands = [...this.#running];
    const ended = commands.map((child) => new Promise((resolve) => child.once('close', resolve)));
    for (const child of commands) child.kill('SIGKILL');
    await Promise.all([...ended, ...[...this.#processes].map((started) => started.end('SIGKILL'))]);
    for (const closer of this.#closers.toReversed()) await attempt(closer);
    const present = new Set(await namespaceNames());
    for (const { name } of this.#namespaces.values()) {
      if (present.has(name)) await attempt(() => runChecked(new Set(), 'ip', ['netns', 'delete', name]));
    }
    await attempt(() => rm(this.dir, { recursive: true, force: true }));
    if (failures.length > 0)
      throw new AggregateError(failures, `the lab '${this.name}' was not closed cleanly`);
  }

  async #removeRemains(): Promise<void> {
    const remains = (await namespaceNames()).filter((name) => name.startsWith(`${this.name}-`));
    for (const name of remains) {
      const users = (await this.runChecked('ip', ['netns', 'pids', name])).stdout.trim();
      if (users !== '') throw new Error(`a lab '${this.name}' is in use: processes in namespace ${name}`);
    }
    for (const name of remains) await this.runChecked('ip', ['netns', 'delete', name]);
    for (const entry of await readdir(tmpdir())) {
      const path = join(tmpdir(), entry);
      if (entry.startsWith(`hnvgw-lab-${this.name}-`) && path !== this.dir)
        await rm(path, { recursive: true, force: true });
    }
  }

  #checkOpen(): void {
    if (this.#closing) throw new Error(`the lab '${this.name}' is closed`);
  }
}

/** Names of all network namespaces of the machine; empty when there never was one. */
export async function namespaceNames(): Promise<string[]> {
  try {
    return await readdir('/run/netns');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}
