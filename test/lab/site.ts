/**
 * An on-premises site: a router with strongSwan, set up in strongSwan's own way and with nothing of the product's, and a host
 * behind it. Its tunnels' other end is whoever has the address that they name. ESP is the kernel's where it has it, else that
 * of strongSwan's `kernel-libipsec`.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { addressAt, familyOf, routerAddress } from './address.ts';
import type { Lab } from './lab.ts';
import type { Namespace } from './namespace.ts';
import type { LabProcess } from './process.ts';
import {
  credentialFiles,
  daemonConfig,
  type SiteCredentials,
  type SiteTunnel,
  tunnelConfig,
} from './site-config.ts';
import { until } from './until.ts';

const DAEMON = '/usr/sbin/charon-systemd';
/** The router's NIC to the internet, and to its host. */
export const SITE_NIC = 'wan0';
const HOST_NIC = 'lan0';
/** Between a site's router and the NAT in front of it. */
const BEHIND_NAT = { router: '10.99.0.2', nat: '10.99.0.1' };
/** Nothing that is for a tunnel leaves without one. */
const LAST_METRIC = 4_000_000;

export interface SiteSpec {
  /** Unique in the lab; its namespaces are NAME, NAMEh (host) and NAMEn (NAT). */
  name: string;
  /** On the internet, which routes them to it. */
  addresses: readonly string[];
  /** Behind it: the router is `.1`, the host `.10`. */
  subnets: readonly string[];
  /** Prefixes that are never sent to but through a tunnel. */
  remotePrefixes: readonly string[];
  /** A NAT of the provider's has the (one, IPv4) address. */
  isBehindNat?: boolean;
}

export class Site {
  readonly spec: SiteSpec;
  readonly router: Namespace;
  readonly host: Namespace;
  readonly #dir: string;
  readonly #isKernelEsp: boolean;
  #process: LabProcess | undefined;

  private constructor(spec: SiteSpec, router: Namespace, host: Namespace, isKernelEsp: boolean) {
    this.spec = spec;
    this.router = router;
    this.host = host;
    this.#dir = join(router.lab.dir, router.name);
    this.#isKernelEsp = isKernelEsp;
  }

  /** Joins a site to the router of the internet, `outside`, which becomes one if it was none. Its daemon runs, without tunnels. */
  static async create(lab: Lab, outside: Namespace, spec: SiteSpec): Promise<Site> {
    const { router, host } = await makeSiteNetwork(lab, outside, spec);
    const site = new Site(spec, router, host, await hasKernelEsp(router));
    await mkdir(join(site.#dir, 'x509'), { recursive: true });
    await writeFile(site.#strongswanConf, daemonConfig(site.#socket, site.#isKernelEsp));
    await site.start();
    return site;
  }

  /** Where the tunnels' other end finds it. */
  get address(): string {
    return this.spec.addresses[0] ?? '';
  }

  /** Address of the host in the first prefix, or in the one that is given. */
  hostAddress(prefix = this.spec.subnets[0] ?? ''): string {
    return addressAt(prefix, 10);
  }

  get pid(): number {
    if (!this.#process?.running) throw new Error(`strongSwan of ${this.spec.name} does not run`);
    return this.#process.pid;
  }

  /** What strongSwan has said. */
  get log(): readonly string[] {
    return this.#process?.lines ?? [];
  }

  /** Starts strongSwan with the tunnels that it had. */
  async start(): Promise<void> {
    // As after a start of the machine: no SAs of an earlier daemon.
    if (this.#isKernelEsp)
      for (const what of ['state', 'policy']) await this.router.ip('xfrm', what, 'flush');
    await rm(this.#socket, { force: true });
    const env = { ...process.env, STRONGSWAN_CONF: this.#strongswanConf };
    const started = await this.router.spawn([DAEMON], { env });
    this.#process = started;
    await until(`strongSwan of ${this.spec.name} answers`, 10_000, async () => {
      if (!started.running) throw new Error(started.tail());
      return (await this.#swanctl(['--stats'])).code === 0;
    });
    await this.#load();
  }

  /** Ends strongSwan, by default as a power failure does; nobody is told. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    await this.#process?.end(signal);
  }

  /** Has these tunnels and no others from now on. SAs that there are go on as they were begun, as strongSwan does it. */
  async setTunnels(tunnels: readonly SiteTunnel[], credentials?: SiteCredentials): Promise<void> {
    if (credentials !== undefined)
      for (const [name, pem] of Object.entries(credentialFiles(credentials))) {
        await mkdir(dirname(join(this.#dir, name)), { recursive: true });
        await writeFile(join(this.#dir, name), pem, { mode: 0o600 });
      }
    const config = tunnelConfig(tunnels, credentials !== undefined);
    await writeFile(join(this.#dir, 'swanctl.conf'), config, { mode: 0o600 });
    await this.#load();
  }

  /** Runs swanctl; rejects when it fails. Answers its output. */
  async swanctl(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.#swanctl(args);
    if (code === 0) return stdout;
    throw new Error(`${this.spec.name}: swanctl ${args.join(' ')}: ${stderr}${stdout}`);
  }

  /** Begins a tunnel; rejects with what strongSwan said when it does not stand within the time. */
  async initiate(name: string, timeoutSeconds = 10): Promise<void> {
    await this.swanctl('--initiate', '--child', name, '--timeout', `${timeoutSeconds}`);
  }

  /** Whether an ESP SA of the tunnel stands. */
  async hasChild(name: string): Promise<boolean> {
    return (await this.swanctl('--list-sas', '--child', name)).includes('INSTALLED');
  }

  get #socket(): string {
    return join(this.#dir, 'charon.vici');
  }

  get #strongswanConf(): string {
    return join(this.#dir, 'strongswan.conf');
  }

  #swanctl(args: readonly string[]) {
    const env = { ...process.env, STRONGSWAN_CONF: this.#strongswanConf, SWANCTL_DIR: this.#dir };
    return this.router.run(['swanctl', ...args, '--uri', `unix://${this.#socket}`], { env });
  }

  async #load(): Promise<void> {
    await this.swanctl('--load-all', '--clear', '--file', join(this.#dir, 'swanctl.conf'));
  }
}

/** A site without a daemon: its router, joined to `outside`, and the host behind it. */
export async function makeSiteNetwork(
  lab: Lab,
  outside: Namespace,
  spec: SiteSpec,
): Promise<{ router: Namespace; host: Namespace }> {
  const [router, host] = [await lab.namespace(spec.name), await lab.namespace(`${spec.name}h`)];
  await makeRouter(outside);
  await makeRouter(router);
  await withoutDad(host);
  await lab.veth(router, HOST_NIC, host, 'eth0');
  const inside = spec.subnets.map((prefix) => ({
    prefix,
    own: routerAddress(prefix),
    length: lengthOf(prefix),
  }));
  await router.ipBatch([
    ...inside.map(({ own, length }) => `addr add ${own}/${length} dev ${HOST_NIC}${flagsOf(own)}`),
    ...spec.remotePrefixes.map((prefix) => `route add unreachable ${prefix} metric ${LAST_METRIC}`),
  ]);
  await host.ipBatch(
    inside.flatMap(({ prefix, own, length }, index) => [
      `addr add ${addressAt(prefix, 10)}/${length} dev eth0${flagsOf(own)}`,
      ...(inside.findIndex((each) => familyOf(each.own) === familyOf(own)) === index
        ? [`route add default via ${own}`]
        : []),
    ]),
  );
  if (spec.isBehindNat) await joinBehindNat(lab, outside, router, spec);
  else await joinInternet(lab, outside, router, spec);
  return { router, host };
}

/** IPv4 and IPv6 packets go on. */
export async function makeRouter(namespace: Namespace): Promise<void> {
  await withoutDad(namespace);
  const settings = [
    ...['net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1', 'net.ipv4.conf.all.send_redirects=0'],
  ];
  await namespace.runChecked(['sysctl', '-qw', ...settings]);
}

/** Links that are made from now on can be used at once: a router asks for neighbours from its link-local address. */
async function withoutDad(namespace: Namespace): Promise<void> {
  await namespace.runChecked(['sysctl', '-qw', 'net.ipv6.conf.default.accept_dad=0']);
}

/** A line of its own between the internet and whoever has the addresses. */
async function joinInternet(lab: Lab, outside: Namespace, router: Namespace, spec: SiteSpec): Promise<void> {
  const { name, addresses } = spec;
  await lab.veth(outside, name, router, SITE_NIC);
  // The internet's side answers ARP for any address that it has, and has this one of IPv6.
  await outside.ipBatch([
    `addr add fe80::1/64 dev ${name} nodad`,
    `addr add 192.0.0.1/32 dev ${name}`,
    ...addresses.map((address) => `route add ${address} dev ${name}`),
  ]);
  await router.ipBatch([
    ...addresses.map((address) => `addr add ${address} dev ${SITE_NIC}${flagsOf(address)}`),
    // On the link by a route of its own, or strongSwan's routes by way of it (kernel ESP) are refused.
    `route add 192.0.0.1 dev ${SITE_NIC}`,
    `route add default via 192.0.0.1`,
    `route add default via fe80::1 dev ${SITE_NIC}`,
  ]);
}

async function joinBehindNat(lab: Lab, outside: Namespace, router: Namespace, spec: SiteSpec): Promise<void> {
  const nat = await lab.namespace(`${spec.name}n`);
  await makeRouter(nat);
  await joinInternet(lab, outside, nat, spec);
  await lab.veth(nat, HOST_NIC, router, SITE_NIC);
  await nat.ip('addr', 'add', `${BEHIND_NAT.nat}/30`, 'dev', HOST_NIC);
  await nat.runChecked(['nft', '-f', '-'], {
    input: `table ip nat { chain out { type nat hook postrouting priority srcnat; oifname ${SITE_NIC} masquerade; }; }`,
  });
  await router.ipBatch([
    `addr add ${BEHIND_NAT.router}/30 dev ${SITE_NIC}`,
    `route add default via ${BEHIND_NAT.nat}`,
  ]);
}

/** Whether an SA of ESP can be made, tried in the namespace. */
async function hasKernelEsp(namespace: Namespace): Promise<boolean> {
  const id = ['src', '192.0.2.1', 'dst', '192.0.2.2', 'proto', 'esp', 'spi', '0x100'];
  const key = ['aead', 'rfc4106(gcm(aes))', `0x${'00'.repeat(20)}`, '128'];
  const { code } = await namespace.run(['ip', 'xfrm', 'state', 'add', ...id, 'mode', 'tunnel', ...key]);
  if (code === 0) await namespace.ip('xfrm', 'state', 'delete', ...id);
  return code === 0;
}

const lengthOf = (prefix: string): string => prefix.split('/')[1] ?? '';
const flagsOf = (address: string): string => (familyOf(address) === 6 ? ' nodad' : '');
