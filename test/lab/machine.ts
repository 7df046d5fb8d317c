/**
 * A namespace of a lab as a machine of its own, on which hnvgw is installed: `hnvgw` is on the PATH, and /etc, /run, /var/lib and
 * the pins of eBPF are the machine's. So commands run with the paths and the names that people use, and all that they leave is
 * gone with the lab.
 */
import { mkdir, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CommandResult } from './command.ts';
import type { Namespace } from './namespace.ts';
import type { LabProcess } from './process.ts';
import { SHELL } from './terminal.ts';

const PROGRAM = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const HOME = '/run/home';

/** What is written to /etc stays in memory; the rest is empty at first. */
const OWN_FOLDERS = `
  mount -t tmpfs tmpfs /run
  mount -t tmpfs tmpfs /var/lib
  mount -t bpf bpf /sys/fs/bpf
  mkdir ${HOME} /run/etc /run/etc-work
  mount -t overlay overlay -o lowerdir=/etc,upperdir=/run/etc,workdir=/run/etc-work /etc
  echo mounted
  exec sleep infinity
`;

export class Machine {
  readonly namespace: Namespace;
  readonly #holder: LabProcess;
  readonly #env: NodeJS.ProcessEnv;

  private constructor(namespace: Namespace, holder: LabProcess, env: NodeJS.ProcessEnv) {
    this.namespace = namespace;
    this.#holder = holder;
    this.#env = env;
  }

  static async create(namespace: Namespace): Promise<Machine> {
    const bin = join(namespace.lab.dir, `${namespace.name}-bin`);
    await mkdir(bin);
    await symlink(PROGRAM, join(bin, 'hnvgw'));
    // The processes are the machine's, too: what a script leaves in the background ends with it.
    const own = ['--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child', '--mount-proc'];
    const holder = await namespace.spawn(['unshare', ...own, 'bash', '-ec', OWN_FOLDERS]);
    await holder.waitFor(/^mounted$/);
    // node is found by the first line of the program.
    const PATH = `${bin}:${dirname(process.execPath)}:${process.env.PATH ?? ''}`;
    return new Machine(namespace, holder, { ...process.env, PATH, HOME });
  }

  /** Runs a script of bash in the home of root; any exit code is a result. */
  run(script: string): Promise<CommandResult> {
    return this.namespace.lab.run('nsenter', this.#words(script), { env: this.#env });
  }

  /** Starts a shell in the home of root, as Terminal takes it. */
  shell(): Promise<LabProcess> {
    return this.namespace.lab.spawn('nsenter', this.#words(SHELL), { env: this.#env });
  }

  #words(script: string): string[] {
    const { pid } = this.#holder;
    const into = ['-t', `${pid}`, '--mount', '--net', `--pid=/proc/${pid}/ns/pid_for_children`];
    return [...into, `--wdns=${HOME}`, '--', 'bash', '-c', script];
  }
}
