/** The node of the control plane's bench: the real gateway, what it takes, and what its process says of itself. */
import { readFile, writeFile } from 'node:fs/promises';
import { Agent, request as httpRequest } from 'node:http';
import { fileURLToPath } from 'node:url';
import { parse, stringify } from 'yaml';
import type { Fabric } from '../test/lab/fabric.ts';
import { GatewayNode, UPLINK_NIC } from '../test/lab/gateway-node.ts';
import { Internet } from '../test/lab/internet.ts';
import type { Namespace } from '../test/lab/namespace.ts';
import { until } from '../test/lab/until.ts';
import type { Load } from './control-plane-load.ts';
import { GATEWAY_ADDRESS, HOSTS } from './control-plane-policy.ts';

const LOAD = fileURLToPath(new URL('./control-plane-load.ts', import.meta.url));
/** TCP listener, in the node's namespace. */
const TCP = '127.0.0.1:8080';

export interface Answer {
  status: number;
  body: unknown;
}

/** One run of the generator of reads. */
export interface LoadOptions {
  seconds: number;
  connections: number;
  /** How many requests of a hundred are lists. */
  lists: number;
  /** Most requests a second of all connections together; as many as are answered when absent. */
  perSecond?: number;
  over: 'unix' | 'tcp';
}

export class BenchNode {
  readonly gateway: GatewayNode;
  /** A machine on the provider network that has the first provider address of hosts, on `pa`. */
  readonly host: Namespace;
  /** The far side of the uplink. */
  readonly internet: Namespace;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 4 });
  #token = '';

  private constructor(gateway: GatewayNode, host: Namespace, internet: Namespace) {
    this.gateway = gateway;
    this.host = host;
    this.internet = internet;
  }

  /** Makes node, host and internet, and starts the node without policy. */
  static async start(fabric: Fabric): Promise<BenchNode> {
    const { lab } = fabric;
    const gateway = await GatewayNode.create(fabric, 'gw', `${GATEWAY_ADDRESS}/24`);
    const internet = await Internet.create(lab, gateway.namespace, UPLINK_NIC);
    await internet.namespace.ip('route', 'add', '100.64.0.0/16', 'via', '198.51.100.2');
    const host = await lab.namespace('host');
    await fabric.attach(host, 'pa', { wireFrames: false });
    await host.ip('addr', 'add', `${HOSTS[0]}/24`, 'dev', 'pa');
    const config = parse(await readFile(gateway.configFile, 'utf8')) as { api: { listen: string[] } };
    // The generator is one principal, whose requests are not to be limited.
    const api = { listen: [...config.api.listen, TCP], requestsPerSecond: 1_000_000 };
    await writeFile(gateway.configFile, stringify({ ...config, api }));
    await gateway.start();
    const node = new BenchNode(gateway, host, internet.namespace);
    const { body } = await node.must('PUT', '/v1/tokens/bench', { role: 'operator' });
    node.#token = (body as { token: string }).token;
    return node;
  }

  /** One request over a connection that is kept; any status is a result. */
  request(method: string, path: string, body?: unknown): Promise<Answer> {
    return this.send(method, path, body === undefined ? undefined : Buffer.from(JSON.stringify(body)));
  }

  /** The same with the body as it goes over the wire. */
  send(method: string, path: string, payload?: Buffer): Promise<Answer> {
    const { socketPath } = this.gateway.api;
    const headers = {
      host: 'localhost',
      ...(payload === undefined
        ? {}
        : { 'content-type': 'application/json', 'content-length': `${payload.length}` }),
    };
    return new Promise((resolve, reject) => {
      const request = httpRequest({ socketPath, method, path, agent: this.#agent, headers }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          const isJson = /[/+]json/.test(response.headers['content-type'] ?? '');
          resolve({ status: response.statusCode ?? 0, body: isJson ? JSON.parse(text) : text });
        });
      });
      request.on('error', reject);
      request.end(payload);
    });
  }

  /** As request(); rejects when the status is not 2xx. */
  async must(method: string, path: string, body?: unknown): Promise<Answer> {
    return required(`${method} ${path}`, await this.request(method, path, body));
  }

  /** Resolves when the kernel has all that the store has, with every domain ready. */
  async ready(domains: number): Promise<void> {
    await until(`${domains} routing domains are in the kernel`, 300_000, async () => {
      const { body } = await this.must('GET', '/v1/status');
      const { revision, appliedRevision, routingDomains } = body as {
        revision: number;
        appliedRevision: number;
        routingDomains: { ready: number; failed: number };
      };
      if (routingDomains.failed > 0) throw new Error(`${routingDomains.failed} routing domains failed`);
      return appliedRevision >= revision && routingDomains.ready === domains;
    });
  }

  /** Milliseconds: the longest that the event loop was not free since this was asked before. */
  async loopDelay(): Promise<number> {
    const { body } = await this.must('GET', '/metrics');
    const found = /^nodejs_eventloop_lag_max_seconds (\S+)$/m.exec(String(body));
    if (found === null) throw new Error('/metrics says nothing of the event loop');
    return Number(found[1]) * 1000;
  }

  /** MiB: resident now, and the most since forgetPeak(). */
  async memory(): Promise<{ resident: number; peak: number }> {
    const status = await readFile(`/proc/${this.gateway.pid}/status`, 'utf8');
    const mib = (name: string): number =>
      Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) / 1024;
    return { resident: mib('VmRSS'), peak: mib('VmHWM') };
  }

  async forgetPeak(): Promise<void> {
    await writeFile(`/proc/${this.gateway.pid}/clear_refs`, '5');
  }

  /** Starts the generator of reads; resolves when it asks. `done` resolves with what came of it. */
  async load({
    seconds,
    connections,
    lists,
    perSecond = Infinity,
    over,
  }: LoadOptions): Promise<{ done: Promise<Load> }> {
    const target = over === 'unix' ? [this.gateway.api.socketPath] : [TCP, this.#token];
    const args = [`${seconds}`, `${connections}`, `${lists}`, `${perSecond}`, ...target];
    const started = await this.gateway.namespace.spawn([process.execPath, LOAD, ...args]);
    await started.waitFor(/^asking$/);
    const done = started
      .waitFor(/^\{.*\}$/, (seconds + 60) * 1000)
      .then(([text]) => JSON.parse(text) as Load);
    return { done };
  }

  /** SIGKILL, and started again; milliseconds from the kill until it is ready. */
  async restart(): Promise<number> {
    this.#agent.destroy();
    const began = performance.now();
    await this.gateway.restart('SIGKILL');
    return performance.now() - began;
  }

  close(): void {
    this.#agent.destroy();
  }
}

export function required(what: string, answer: Answer): Answer {
  if (answer.status < 300) return answer;
  throw new Error(`${what}: ${answer.status} ${JSON.stringify(answer.body)?.slice(0, 500)}`);
}
