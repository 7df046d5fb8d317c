/**
 * An on-premises site whose router has Libreswan, set up as its administrators do, and the kernel's ESP: a second
 * implementation of IKE beside strongSwan. Debian does not let the two be installed together, so this one is where nothing else
 * is: in the virtual machine of test/vm.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { addressAt } from './address.ts';
import type { CommandResult } from './command.ts';
import type { Lab } from './lab.ts';
import type { Namespace } from './namespace.ts';
import type { LabProcess } from './process.ts';
import { makeSiteNetwork, type SiteSpec } from './site.ts';
import { until } from './until.ts';

const PLUTO = '/usr/libexec/ipsec/pluto';
const WHACK = '/usr/libexec/ipsec/whack';

/** A connection with a pre-shared key, from one prefix to one prefix. What is left out is Libreswan's default. */
export interface LibreswanTunnel {
  name: string;
  remoteAddress: string;
  localId: string;
  remoteId: string;
  key: string;
  /** Prefix behind the site, and behind the gateway. */
  local: string;
  remote: string;
  /** The site begins; else it waits. */
  begins?: boolean;
  /** ipsec.conf's words, `aes_gcm256-sha2_256-dh19`. */
  ike?: string;
  esp?: string;
}

export class LibreswanSite {
  readonly spec: SiteSpec;
  readonly router: Namespace;
  readonly host: Namespace;
  readonly #dir: string;
  #process: LabProcess | undefined;

  private constructor(spec: SiteSpec, router: Namespace, host: Namespace) {
    this.spec = spec;
    this.router = router;
    this.host = host;
    this.#dir = join(router.lab.dir, router.name);
  }

  /** Joins a site to the router of the internet, `outside`, as Site.create does. Its daemon does not run yet. */
  static async create(lab: Lab, outside: Namespace, spec: SiteSpec): Promise<LibreswanSite> {
    const { router, host } = await makeSiteNetwork(lab, outside, spec);
    const site = new LibreswanSite(spec, router, host);
    await mkdir(join(site.#dir, 'nss'), { recursive: true });
    await lab.runChecked('certutil', ['-N', '-d', `sql:${site.#dir}/nss`, '--empty-password']);
    return site;
  }

  /** Where the tunnels' other end finds it. */
  get address(): string {
    return this.spec.addresses[0] ?? '';
  }

  /** Address of the host in the first prefix. */
  hostAddress(): string {
    return addressAt(this.spec.subnets[0] ?? '', 10);
  }

  /** What Libreswan has said. */
  get log(): readonly string[] {
    return this.#process?.lines ?? [];
  }

  /** Starts Libreswan with these tunnels and no others. */
  async start(tunnels: readonly LibreswanTunnel[]): Promise<void> {
    // As after a start of the machine: no SAs of an earlier daemon.
    for (const what of ['state', 'policy']) await this.router.ip('xfrm', what, 'flush');
    const [config, secrets] = [join(this.#dir, 'ipsec.conf'), join(this.#dir, 'ipsec.secrets')];
    await writeFile(config, tunnels.map((tunnel) => connectionText(this.address, tunnel)).join('\n'));
    const lines = tunnels.map(({ localId, remoteId, key }) => `${localId} ${remoteId} : PSK "${key}"\n`);
    await writeFile(secrets, lines.join(''), { mode: 0o600 });
    const started = await this.router.spawn([
      ...[PLUTO, '--config', config, '--secretsfile', secrets, '--nofork', '--stderrlog', '--no-dnssec'],
      ...['--rundir', this.#dir, '--dumpdir', this.#dir, '--ipsecdir', this.#dir],
      ...['--nssdir', join(this.#dir, 'nss')],
    ]);
    this.#process = started;
    await until(`Libreswan of ${this.spec.name} has its tunnels`, 60_000, async () => {
      if (!started.running) throw new Error(started.tail(40));
      const { code, stdout } = await this.#whack('--status');
      return code === 0 && tunnels.every(({ name }) => stdout.includes(`"${name}":`));
    });
  }

  /** Ends Libreswan; by default as a power failure does, nobody is told. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    await this.#process?.end(signal);
  }

  /** Begins a tunnel; rejects with what Libreswan said when it does not come up. */
  async initiate(name: string): Promise<void> {
    await this.#order('--initiate', '--name', name);
  }

  /** Makes new keys for a tunnel's ESP SA, or for its IKE SA. */
  async rekey(what: 'ike' | 'ipsec', name: string): Promise<void> {
    await this.#order(`--rekey-${what}`, '--name', name, '--asynchronous');
  }

  #whack(...args: string[]): Promise<CommandResult> {
    return this.router.run([WHACK, '--ctlsocket', join(this.#dir, 'pluto.ctl'), ...args]);
  }

  async #order(...args: string[]): Promise<void> {
    const { code, stdout, stderr } = await this.#whack(...args);
    if (code !== 0) throw new Error(`${this.spec.name}: whack ${args.join(' ')}: ${stderr}${stdout}`);
  }
}

/** A section of ipsec.conf(5). */
function connectionText(address: string, tunnel: LibreswanTunnel): string {
  const values = {
    ...{ ikev2: 'insist', authby: 'secret', left: address, leftid: tunnel.localId, leftsubnet: tunnel.local },
    ...{ right: tunnel.remoteAddress, rightid: tunnel.remoteId, rightsubnet: tunnel.remote },
    ...(tunnel.ike && { ike: tunnel.ike }),
    ...(tunnel.esp && { esp: tunnel.esp }),
    auto: tunnel.begins ? 'start' : 'add',
  };
  const lines = Object.entries(values).map(([key, value]) => `  ${key}=${value}\n`);
  return `conn ${tunnel.name}\n${lines.join('')}`;
}
