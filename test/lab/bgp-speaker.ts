/**
 * Independent BGP speakers in a namespace of a lab, as a router's administrator has them: BIRD 2 and FRR, set up by their own
 * configuration files, with graceful restart; what they learn is in the namespace's kernel.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { birdConfig, birdRoutes } from './bird-config.ts';
import { frrConfig, frrNetworks, frrRoutes } from './frr-config.ts';
import type { Namespace } from './namespace.ts';
import type { LabProcess } from './process.ts';
import { until } from './until.ts';

export interface SpeakerNeighbor {
  address: string;
  asn: number;
  /** Own address of the session. */
  localAddress: string;
  /** Key of TCP-MD5. */
  password?: string;
  bfd?: boolean;
  /** The neighbour is on no subnet of the speaker's. */
  multihop?: boolean;
  /** Default 9. */
  holdTimeSeconds?: number;
}

/** A network that neighbours are told. */
export interface SpeakerNetwork {
  prefix: string;
  /** `65010:100`. */
  communities?: readonly string[];
  /** The AS that began the route, behind the speaker's own. */
  originAsn?: number;
  med?: number;
}

export interface SpeakerSpec {
  asn: number;
  routerId: string;
  neighbors: readonly SpeakerNeighbor[];
  networks?: readonly (string | SpeakerNetwork)[];
  /** How long neighbours go on with its routes while it is started anew. Default 60. */
  gracefulRestartSeconds?: number;
}

/** A route that a neighbour has told. */
export interface LearnedRoute {
  nextHops: string[];
  asPath: number[];
  communities: string[];
  med?: number;
}

/** What both kinds have in common. */
export abstract class BgpSpeaker {
  readonly namespace: Namespace;
  abstract readonly engine: 'BIRD' | 'FRR';
  protected readonly dir: string;
  protected spec: SpeakerSpec;
  protected processes: LabProcess[] = [];

  protected constructor(namespace: Namespace, spec: SpeakerSpec) {
    this.namespace = namespace;
    this.spec = spec;
    // Beside the lab's own folder, which is closed to the users of daemons.
    this.dir = `${namespace.lab.dir}-${namespace.name}-bgp`;
    namespace.lab.onClose(() => rm(this.dir, { recursive: true, force: true }));
  }

  get pids(): number[] {
    return this.processes.filter(({ running }) => running).map(({ pid }) => pid);
  }

  /** What its daemons have said. */
  get log(): readonly string[] {
    return this.processes.flatMap(({ lines }) => lines);
  }

  /** Starts it, or starts it again with what it had: neighbours and kernel keep their routes meanwhile. */
  async start(): Promise<void> {
    if (this.pids.length > 0) throw new Error('the BGP speaker runs already');
    await mkdir(this.dir, { recursive: true });
    this.processes = [];
    await this.launch();
  }

  /** Ends it; by default as a power failure does, nobody is told. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    await Promise.all(this.processes.map((each) => each.end(signal)));
  }

  /** State of a session as RFC 4271 has it (`Established`), or what else the speaker calls it. */
  abstract state(neighbor: string): Promise<string>;
  /** State of BFD with a neighbour: `up`, `down`, or undefined without a session. */
  abstract bfd(neighbor: string): Promise<'up' | 'down' | undefined>;
  /** What neighbours have told, by prefix. */
  abstract routes(): Promise<Map<string, LearnedRoute>>;
  /** Tells neighbours these networks and no others from now on. */
  abstract setNetworks(networks: readonly (string | SpeakerNetwork)[]): Promise<void>;
  /** Ends a session in order (NOTIFICATION, Cease) and begins it again. */
  abstract bounce(neighbor: string): Promise<void>;
  protected abstract launch(): Promise<void>;

  /** Waits until sessions with all neighbours, or with this one, are established. */
  async established(neighbor?: string, timeoutMs = 15_000): Promise<void> {
    const addresses = neighbor === undefined ? this.spec.neighbors.map(({ address }) => address) : [neighbor];
    for (const address of addresses) {
      let last = '';
      const what = `${this.namespace.name} has a BGP session with ${address}`;
      await until(what, timeoutMs, async () => {
        last = await this.state(address);
        return last === 'Established';
      }).catch((error: unknown) => {
        throw new Error(`${what}: no, ${last}\n${this.log.slice(-10).join('\n')}`, { cause: error });
      });
    }
  }

  /** Waits until just these prefixes are learned. */
  async learned(prefixes: readonly string[], timeoutMs = 15_000): Promise<Map<string, LearnedRoute>> {
    const [wanted, what] = [prefixes.toSorted().join(' '), `${this.namespace.name} has learned by BGP`];
    let last = '';
    return until(what, timeoutMs, async () => {
      const routes = await this.routes();
      last = [...routes.keys()].toSorted().join(' ');
      return last === wanted && routes;
    }).catch((error: unknown) => {
      throw new Error(`${what}: wanted '${wanted}', has '${last}'`, { cause: error });
    });
  }

  /** Both ends of the TCP connection with a neighbour: another text is another connection. Undefined without one. */
  async connection(neighbor: string): Promise<string | undefined> {
    const { stdout } = await this.namespace.runChecked([
      'ss',
      '-tnH',
      'state',
      'established',
      'dst',
      neighbor,
    ]);
    const ends = stdout.split('\n').map((line) => line.trim().split(/\s+/).slice(-2));
    return ends.find((pair) => pair.some((end) => end.endsWith(':179')))?.join(' ');
  }
}

/** `bird`, which tells and learns the family of each neighbour's address. */
export class BirdSpeaker extends BgpSpeaker {
  readonly engine = 'BIRD';

  static async start(namespace: Namespace, spec: SpeakerSpec): Promise<BirdSpeaker> {
    const speaker = new BirdSpeaker(namespace, spec);
    await speaker.start();
    return speaker;
  }

  protected async launch(): Promise<void> {
    await this.#write();
    await rm(this.#socket, { force: true });
    const started = await this.namespace.spawn([
      ...['bird', '-f', '-R', '-c', this.#config, '-s', this.#socket, '-P', join(this.dir, 'bird.pid')],
    ]);
    this.processes.push(started);
    await until('BIRD answers', 10_000, async () => {
      if (!started.running) throw new Error(started.tail());
      return (await this.#run('show status')).code === 0;
    });
  }

  async state(neighbor: string): Promise<string> {
    const text = await this.birdc(`show protocols all ${this.#protocol(neighbor)}`);
    return /BGP state:\s+(\S+)/.exec(text)?.[1] ?? text;
  }

  async bfd(neighbor: string): Promise<'up' | 'down' | undefined> {
    const line = (await this.birdc('show bfd sessions'))
      .split('\n')
      .find((each) => each.startsWith(`${neighbor} `));
    if (line === undefined) return undefined;
    return / Up /.test(line) ? 'up' : 'down';
  }

  async routes(): Promise<Map<string, LearnedRoute>> {
    return birdRoutes(await this.birdc('show route all where source = RTS_BGP'));
  }

  async setNetworks(networks: readonly (string | SpeakerNetwork)[]): Promise<void> {
    await this.configure({ networks });
  }

  /** Has this beside what it has; sessions that stay as they are go on. */
  async configure(changes: Partial<SpeakerSpec>): Promise<void> {
    this.spec = { ...this.spec, ...changes };
    await this.#write();
    await this.birdc('configure');
  }

  async bounce(neighbor: string): Promise<void> {
    await this.birdc(`restart ${this.#protocol(neighbor)}`);
  }

  /** A command of BIRD's; answers what it says. */
  async birdc(command: string): Promise<string> {
    const { code, stdout, stderr } = await this.#run(command);
    if (code !== 0) throw new Error(`birdc ${command}: ${stderr}${stdout}`);
    return stdout;
  }

  get #config(): string {
    return join(this.dir, 'bird.conf');
  }

  get #socket(): string {
    return join(this.dir, 'bird.ctl');
  }

  #protocol(neighbor: string): string {
    return `n${this.spec.neighbors.findIndex(({ address }) => address === neighbor)}`;
  }

  #run(command: string) {
    return this.namespace.run(['birdc', '-s', this.#socket, ...command.split(' ')]);
  }

  async #write(): Promise<void> {
    await writeFile(this.#config, birdConfig(this.spec), { mode: 0o600 });
  }
}

/** As FRR's own user, which it insists on, but still ended with whoever started it. */
const CAPABILITIES = '+net_admin,+net_raw,+net_bind_service,+sys_admin,+ipc_lock';
const AS_FRR = [
  ...['setpriv', '--reuid', 'frr', '--regid', 'frr', '--init-groups', '--pdeathsig', 'KILL'],
  ...['--inh-caps', CAPABILITIES, '--ambient-caps', CAPABILITIES, '--'],
];

/** FRR: zebra, bgpd and bfdd. */
export class FrrSpeaker extends BgpSpeaker {
  readonly engine = 'FRR';

  static async start(namespace: Namespace, spec: SpeakerSpec): Promise<FrrSpeaker> {
    const speaker = new FrrSpeaker(namespace, spec);
    await speaker.start();
    return speaker;
  }

  protected async launch(): Promise<void> {
    for (const daemon of ['zebra', 'bfdd', 'bgpd'])
      await writeFile(join(this.dir, `${daemon}.conf`), daemon === 'bgpd' ? frrConfig(this.spec) : '');
    await this.namespace.runChecked(['chown', '-R', 'frr:frr', this.dir]);
    const seconds = `${this.spec.gracefulRestartSeconds ?? 60}`;
    await this.#daemon('zebra', ['-r', '-K', seconds]);
    if (this.spec.neighbors.some(({ bfd }) => bfd))
      await this.#daemon('bfdd', ['--bfdctl', join(this.dir, 'bfdd.sock')]);
    await this.#daemon('bgpd', []);
  }

  async state(neighbor: string): Promise<string> {
    const all = (await this.#json('show bgp neighbors json')) as Record<string, { bgpState?: string }>;
    return all[neighbor]?.bgpState ?? 'unknown';
  }

  async bfd(neighbor: string): Promise<'up' | 'down' | undefined> {
    const peers = (await this.#json('show bfd peers json', 'bfdd')) as { peer: string; status: string }[];
    const status = peers.find(({ peer }) => peer === neighbor)?.status;
    return status === undefined ? undefined : status === 'up' ? 'up' : 'down';
  }

  async routes(): Promise<Map<string, LearnedRoute>> {
    const families = ['ipv4', 'ipv6'].map((family) => this.#json(`show bgp ${family} unicast json detail`));
    return frrRoutes(await Promise.all(families));
  }

  async setNetworks(networks: readonly (string | SpeakerNetwork)[]): Promise<void> {
    const lines = frrNetworks(this.spec, networks);
    this.spec = { ...this.spec, networks };
    await this.vtysh('configure terminal', ...lines);
  }

  async bounce(neighbor: string): Promise<void> {
    await this.vtysh(`clear bgp ${neighbor}`);
  }

  /** Commands of vtysh's to bgpd; answers what it says. */
  async vtysh(...commands: string[]): Promise<string> {
    return this.#vtysh('bgpd', commands);
  }

  async #vtysh(daemon: string, commands: readonly string[]): Promise<string> {
    const args = commands.flatMap((command) => ['-c', command]);
    const { stdout } = await this.namespace.runChecked([
      'vtysh',
      '--vty_socket',
      this.dir,
      '-d',
      daemon,
      ...args,
    ]);
    return stdout;
  }

  async #json(command: string, daemon = 'bgpd'): Promise<unknown> {
    return JSON.parse(await this.#vtysh(daemon, [command]));
  }

  async #daemon(name: string, more: readonly string[]): Promise<void> {
    const path = (what: string) => join(this.dir, what);
    await rm(path(`${name}.vty`), { force: true });
    const started = await this.namespace.spawn([
      ...[...AS_FRR, `/usr/lib/frr/${name}`, '-A', '127.0.0.1', '-P', '0', '--log', 'stdout'],
      ...['-z', path('zserv.api'), '-i', path(`${name}.pid`), '-f', path(`${name}.conf`)],
      ...['--vty_socket', this.dir, ...more],
    ]);
    this.processes.push(started);
    await until(`FRR's ${name} answers`, 10_000, async () => {
      if (!started.running) throw new Error(started.tail());
      const { code } = await this.namespace.run([
        ...['vtysh', '--vty_socket', this.dir, '-d', name, '-c', 'show version'],
      ]);
      return code === 0;
    });
  }
}
