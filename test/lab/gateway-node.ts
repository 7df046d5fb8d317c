/** The gateway under test: the built program in a namespace with a provider NIC and an uplink, and its REST API. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { ApiClient } from './api-client.ts';
import type { Fabric } from './fabric.ts';
import { instanceOf, removeGatewayRemains } from './gateway-remains.ts';
import type { Lab } from './lab.ts';
import type { Namespace } from './namespace.ts';
import type { LabProcess } from './process.ts';
import { until } from './until.ts';

const PROGRAM = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

/** The gateway's NIC on the provider network. */
export const PROVIDER_NIC = 'pa0';
/** The gateway's NIC towards the internet. */
export const UPLINK_NIC = 'wan0';

export class GatewayNode {
  readonly namespace: Namespace;
  readonly providerAddress: string;
  readonly api: ApiClient;
  /** Prefix of everything that the gateway makes in the kernel. */
  readonly instance: string;
  readonly #dir: string;
  #process: LabProcess | undefined;

  private constructor(lab: Lab, namespace: Namespace, providerAddress: string) {
    this.namespace = namespace;
    this.providerAddress = providerAddress;
    this.instance = instanceOf(lab.name);
    this.#dir = join(lab.dir, namespace.name);
    this.api = new ApiClient(join(this.#dir, 'api.sock'));
  }

  /** Makes the node with its provider NIC; `providerAddress` is `192.168.1.20/24`. The uplink is joined by Internet. */
  static async create(fabric: Fabric, short: string, providerAddress: string): Promise<GatewayNode> {
    const { lab } = fabric;
    const namespace = await lab.namespace(short);
    await fabric.attach(namespace, PROVIDER_NIC, { wireFrames: false });
    await namespace.ip('addr', 'add', providerAddress, 'dev', PROVIDER_NIC);
    const [address = ''] = providerAddress.split('/');
    const node = new GatewayNode(lab, namespace, address);
    await removeGatewayRemains(node.instance);
    lab.onClose(() => removeGatewayRemains(node.instance));
    await mkdir(node.#dir);
    const config = {
      instance: node.instance,
      uplink: { interface: UPLINK_NIC },
      api: { listen: `unix:${node.api.socketPath}` },
      store: { path: join(node.#dir, 'store.sqlite') },
      log: { level: 'info' },
    };
    await writeFile(node.configFile, stringify(config));
    return node;
  }

  get configFile(): string {
    return join(this.#dir, 'hnvgw.yaml');
  }

  /** The running program. Throws when it does not run. */
  get process(): LabProcess {
    if (!this.#process?.running) throw new Error('the gateway is not running');
    return this.#process;
  }

  get pid(): number {
    return this.process.pid;
  }

  /** Starts the program and waits until /readyz answers 200. */
  async start(): Promise<void> {
    if (this.#process?.running) throw new Error('the gateway is running already');
    // As installed: the program's first line finds node, and says with which options.
    const env = { ...process.env, PATH: `${dirname(process.execPath)}:${process.env.PATH ?? ''}` };
    const started = await this.namespace.spawn([PROGRAM, 'gateway', '--config', this.configFile], { env });
    this.#process = started;
    await until('the gateway is ready', 60_000, async () => {
      if (!started.running) throw new Error(`the gateway ended:\n${started.tail(40)}`);
      return (await this.#ready()) === 200;
    }).catch((error: unknown) => {
      throw new Error(`the gateway did not start:\n${started.tail(40)}`, { cause: error });
    });
  }

  /** Ends the program with a signal and waits for its end. */
  async kill(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    await this.process.end(signal);
  }

  /** Ends the program with a signal and starts it again, with the same store. */
  async restart(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    await this.kill(signal);
    await this.start();
  }

  /** Resident memory of the program in KiB. */
  async rssKib(): Promise<number> {
    const status = await readFile(`/proc/${this.pid}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]);
  }

  /** Status of /readyz, or undefined while nobody listens. */
  async #ready(): Promise<number | undefined> {
    try {
      return (await this.api.request('GET', '/readyz')).status;
    } catch (error) {
      if (error instanceof Error && 'code' in error) return undefined;
      throw error;
    }
  }
}
