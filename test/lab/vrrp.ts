/** VRRP (RFC 5798) between VMs: keepalived in each, one virtual address, a new master within a second. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { familyOf } from './address.ts';
import type { Namespace } from './namespace.ts';
import type { LabProcess } from './process.ts';
import { until } from './until.ts';

export interface VrrpOptions {
  /** Virtual address with prefix length, `10.1.1.100/24`. */
  address: string;
  /** 1 to 254; the highest becomes master. */
  priority: number;
  /** 1 to 255; the same for all of a group. Default 51. */
  routerId?: number;
  /** The address moves with a MAC of its own (00:00:5e:00:01:ID, for IPv6 00:00:5e:00:02:ID), not to the master's. */
  virtualMac?: boolean;
}

/** Seconds between advertisements: a master is missed after a little more than three of them. */
const ADVERTISEMENT_SECONDS = 0.2;

export class VrrpRouter {
  readonly namespace: Namespace;
  readonly #address: string;
  readonly #process: LabProcess;
  /** Of the process that speaks VRRP. */
  readonly #pidFile: string;
  #masterSince: number | undefined;

  private constructor(namespace: Namespace, address: string, started: LabProcess, pidFile: string) {
    this.namespace = namespace;
    this.#address = address;
    this.#process = started;
    this.#pidFile = pidFile;
    started.onLine((line) => {
      if (/Entering MASTER STATE/.test(line)) this.#masterSince = Date.now();
    });
  }

  /** Starts keepalived on a NIC; resolves when it takes part. */
  static async start(namespace: Namespace, nic: string, options: VrrpOptions): Promise<VrrpRouter> {
    const { routerId = 51, priority, address, virtualMac = false } = options;
    const { lab } = namespace;
    const file = (what: string) => join(lab.dir, `${namespace.name}-vrrp${routerId}.${what}`);
    const configuration = [
      'global_defs {',
      `  router_id ${namespace.name}`,
      '  vrrp_version 3',
      '  vrrp_garp_master_delay 1',
      '}',
      `vrrp_instance lab${routerId} {`,
      '  state BACKUP',
      `  interface ${nic}`,
      `  virtual_router_id ${routerId}`,
      `  priority ${priority}`,
      `  advert_int ${ADVERTISEMENT_SECONDS}`,
      ...(virtualMac ? [`  use_vmac vrrp${routerId}`, '  vmac_xmit_base'] : []),
      ...(familyOf(address) === 6 ? ['  native_ipv6'] : []),
      `  virtual_ipaddress {\n    ${address}\n  }`,
      '}',
    ];
    await writeFile(file('conf'), `${configuration.join('\n')}\n`);
    const started = await namespace.spawn([
      ...['keepalived', '--dont-fork', '--log-console', '--log-detail', '--vrrp'],
      `--use-file=${file('conf')}`,
      ...[`--pid=${file('pid')}`, `--vrrp_pid=${file('vrrp.pid')}`],
    ]);
    await started.waitFor(/Entering BACKUP STATE/);
    return new VrrpRouter(namespace, address, started, file('vrrp.pid'));
  }

  /** Whether the virtual address is here now. */
  async isMaster(): Promise<boolean> {
    const shown = await this.namespace.ip('-json', 'addr', 'show', 'to', this.#address.replace(/\/.*/, ''));
    return (JSON.parse(shown) as { addr_info?: unknown[] }[]).some(
      (link) => (link.addr_info ?? []).length > 0,
    );
  }

  /** Waits until it is master. */
  async becomesMaster(timeoutMs = 10_000): Promise<void> {
    const what = `${this.namespace.name} becomes VRRP master`;
    await until(what, timeoutMs, () => this.isMaster()).catch((error: unknown) => {
      throw new Error(`${what}: no\n${this.#process.tail()}`, { cause: error });
    });
  }

  /** When it last said that it becomes master, milliseconds since the epoch. */
  get masterSince(): number | undefined {
    return this.#masterSince;
  }

  /** Ends without a word to the others, as a VM that dies; the virtual address stays where it is. */
  async crash(): Promise<void> {
    // The one that speaks goes first: it would take its leave when it sees the other one go.
    process.kill(Number(await readFile(this.#pidFile, 'utf8')), 'SIGKILL');
    await this.#process.end('SIGKILL');
  }

  /** Steps down: tells the others, and takes the address away. */
  async stop(): Promise<void> {
    await this.#process.end('SIGTERM');
  }
}
