/** A node under test: the built program in a namespace with a provider NIC, and its REST API. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse, stringify } from 'yaml';
import { familyOf } from './address.ts';
import { ApiClient } from './api-client.ts';
import type { Fabric } from './fabric.ts';
import { instanceOf, removeGatewayRemains } from './gateway-remains.ts';
import type { Lab } from './lab.ts';
import type { Namespace } from './namespace.ts';
import type { LabProcess } from './process.ts';
import { until } from './until.ts';

const PROGRAM = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

/** A node's NIC on the provider network. */
export const PROVIDER_NIC = 'pa0';

/** Where the API of a lab's node listens, also before the node is made. */
export function apiSocket(lab: Lab, short: string): string {
  return join(lab.dir, `${lab.name}-${short}`, 'api.sock');
}

export abstract class NodeProcess {
  readonly namespace: Namespace;
  /** The node's addresses on the provider network. */
  readonly providerAddresses: readonly string[];
  readonly api: ApiClient;
  /** Prefix of everything that the node makes in the kernel. */
  readonly instance: string;
  readonly #role: 'gateway' | 'host';
  readonly #dir: string;
  #process: LabProcess | undefined;

  protected constructor(
    role: 'gateway' | 'host',
    namespace: Namespace,
    providerAddresses: readonly string[],
  ) {
    this.#role = role;
    this.namespace = namespace;
    this.providerAddresses = providerAddresses.map((address) => address.split('/')[0] ?? '');
    this.instance = instanceOf(namespace.name);
    this.#dir = join(namespace.lab.dir, namespace.name);
    this.api = new ApiClient(join(this.#dir, 'api.sock'));
  }

  /** Makes a namespace with a NIC on the provider network that has the addresses, `192.168.1.20/24`. */
  protected static async join(
    fabric: Fabric,
    short: string,
    providerAddresses: readonly string[],
  ): Promise<Namespace> {
    const namespace = await fabric.lab.namespace(short);
    await fabric.attach(namespace, PROVIDER_NIC, { wireFrames: false });
    for (const address of providerAddresses) {
      const flags = familyOf(address) === 6 ? ['nodad'] : [];
      await namespace.ip('addr', 'add', address, 'dev', PROVIDER_NIC, ...flags);
    }
    return namespace;
  }

  /** Writes the configuration, and sees to it that nothing is left of the node before it starts and after the lab. */
  protected async prepare(sections: Record<string, unknown>): Promise<void> {
    await removeGatewayRemains(this.instance);
    this.namespace.lab.onClose(() => removeGatewayRemains(this.instance));
    await mkdir(this.#dir);
    const config = {
      instance: this.instance,
      api: { listen: [`unix:${this.api.socketPath}`] },
      store: { path: join(this.#dir, 'store.sqlite') },
      log: { level: 'info' },
      ...sections,
    };
    await writeFile(this.configFile, stringify(config));
  }

  /** Adds sections to the configuration, for the next start. */
  async configure(sections: Record<string, unknown>): Promise<void> {
    const config: object = parse(await readFile(this.configFile, 'utf8'));
    await writeFile(this.configFile, stringify({ ...config, ...sections }));
  }

  /** The first of the provider addresses. */
  get providerAddress(): string {
    return this.providerAddresses[0] ?? '';
  }

  get configFile(): string {
    return join(this.#dir, 'hnvgw.yaml');
  }

  /** The running program. Throws when it does not run. */
  get process(): LabProcess {
    if (!this.#process?.running) throw new Error(`the ${this.#role} is not running`);
    return this.#process;
  }

  get pid(): number {
    return this.process.pid;
  }

  /** Starts the program and waits until /readyz answers 200. */
  async start(): Promise<void> {
    const what = `the ${this.#role}`;
    if (this.#process?.running) throw new Error(`${what} is running already`);
    // As installed: the program's first line finds node, and says with which options.
    const env = { ...process.env, PATH: `${dirname(process.execPath)}:${process.env.PATH ?? ''}` };
    const args = [PROGRAM, this.#role, '--config', this.configFile];
    const started = await this.namespace.spawn(args, { env });
    this.#process = started;
    await until(`${what} is ready`, 60_000, async () => {
      if (!started.running) throw new Error(`${what} ended:\n${started.tail(40)}`);
      return (await this.#ready()) === 200;
    }).catch((error: unknown) => {
      throw new Error(`${what} did not start:\n${started.tail(40)}`, { cause: error });
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
