/** Open vSwitch with its userspace datapath (no kernel module) in a namespace: its daemons, and orders to them. */
import { mkdir } from 'node:fs/promises';
import type { Namespace } from './namespace.ts';
import type { LabProcess } from './process.ts';
import { until } from './until.ts';

const SCHEMA = '/usr/share/openvswitch/vswitch.ovsschema';

export class OpenVswitch {
  readonly namespace: Namespace;
  /** Its sockets. */
  readonly dir: string;
  #switch: LabProcess | undefined;

  private constructor(namespace: Namespace, dir: string) {
    this.namespace = namespace;
    this.dir = dir;
  }

  /** Process id of ovs-vswitchd. */
  get switchPid(): number {
    if (this.#switch === undefined) throw new Error('ovs-vswitchd was not started');
    return this.#switch.pid;
  }

  /** Starts it without bridges; it makes the folder. */
  static async start(namespace: Namespace, dir: string): Promise<OpenVswitch> {
    const { lab } = namespace;
    await mkdir(dir);
    const database = `${dir}/conf.db`;
    const env = { ...process.env, OVS_RUNDIR: dir, OVS_DBDIR: dir, OVS_LOGDIR: dir };
    await lab.runChecked('ovsdb-tool', ['create', database, SCHEMA], { env });
    const log = ['-vsyslog:off', '-vconsole:warn'];
    const server = await namespace.spawn(
      ['ovsdb-server', database, `--remote=punix:${dir}/db.sock`, `--unixctl=${dir}/db.ctl`, ...log],
      { env },
    );
    await until('ovsdb-server answers', 10_000, async () => {
      if (!server.running) throw new Error(`ovsdb-server ended:\n${server.tail()}`);
      const args = ['--timeout=2', `--target=${dir}/db.ctl`, 'version'];
      return (await lab.run('ovs-appctl', args)).code === 0;
    });
    const started = new OpenVswitch(namespace, dir);
    await started.#vsctl(['--no-wait', 'init']);
    started.#switch = await namespace.spawn(
      ['ovs-vswitchd', `unix:${dir}/db.sock`, `--unixctl=${dir}/vswitchd.ctl`, ...log],
      { env },
    );
    return started;
  }

  /** ovs-vsctl in one transaction; waits until the switch has done it. */
  vsctl(...commands: string[]): Promise<string> {
    return this.#vsctl(commands.join(' -- ').split(' '));
  }

  async #vsctl(words: readonly string[]): Promise<string> {
    const args = ['--timeout=20', `--db=unix:${this.dir}/db.sock`, ...words];
    return (await this.namespace.lab.runChecked('ovs-vsctl', args)).stdout;
  }
}
