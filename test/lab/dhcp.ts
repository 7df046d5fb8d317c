/** DHCP between VMs: dnsmasq as the server, busybox's udhcpc as the client. Neither touches the machine's own files. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Namespace } from './namespace.ts';
import type { LabProcess } from './process.ts';
import { until } from './until.ts';

/** A program file: udhcpc runs it by its name alone. */
const SCRIPT = fileURLToPath(new URL('./dhcp-lease.sh', import.meta.url));

/** What the script prints. */
const LEASE = /^lease (\S+) (\S+) (\S+) (\S+) (\d+)$/m;

export interface DhcpRange {
  first: string;
  last: string;
  /** The subnet's mask, `255.255.255.0`. */
  mask: string;
  /** Default gateway that clients are given. */
  router: string;
  /** MACs with an address of their own, which may be outside the range. */
  fixed?: readonly { mac: string; ip: string }[];
  /** Seconds; default 120, the shortest that dnsmasq knows. */
  leaseSeconds?: number;
}

export interface Lease {
  ip: string;
  mask: string;
  router: string;
  /** The server's address. */
  server: string;
  seconds: number;
}

/** Starts a server on a NIC; resolves when it answers. */
export async function serveDhcp(namespace: Namespace, nic: string, range: DhcpRange): Promise<LabProcess> {
  const seconds = range.leaseSeconds ?? 120;
  const server = await namespace.spawn([
    'dnsmasq',
    '--no-daemon',
    '--conf-file=/dev/null',
    '--user=root',
    '--pid-file',
    // No DNS, no host's names, no pinging of addresses before they are offered.
    ...['--port=0', '--no-resolv', '--no-hosts', '--no-ping', '--log-dhcp'],
    ...[`--interface=${nic}`, '--except-interface=lo', '--bind-interfaces', '--dhcp-authoritative'],
    `--dhcp-leasefile=${join(namespace.lab.dir, `${namespace.name}.leases`)}`,
    `--dhcp-range=${range.first},${range.last},${range.mask},${seconds}`,
    `--dhcp-option=option:router,${range.router}`,
    ...(range.fixed ?? []).map(({ mac, ip }) => `--dhcp-host=${mac},${ip}`),
  ]);
  await server.waitFor(/DHCP, sockets bound|DHCP, IP range/);
  return server;
}

/**
 * Asks for a lease and sets address and default route from it; undefined when nobody answers for `timeoutSeconds`.
 * With `broadcast`, answers are asked for to the broadcast address (RFC 2131 section 4.1).
 */
export async function requestLease(
  namespace: Namespace,
  nic: string,
  options: { broadcast?: boolean; timeoutSeconds?: number } = {},
): Promise<Lease | undefined> {
  const { broadcast = false, timeoutSeconds = 10 } = options;
  const { code, stdout, stderr } = await namespace.run([
    ...['busybox', 'udhcpc', '-f', '-q', '-n', '-i', nic, '-s', SCRIPT],
    ...['-T', '1', '-t', `${timeoutSeconds}`],
    ...(broadcast ? ['-B'] : []),
  ]);
  const lease = leaseIn(stdout);
  if (lease) return lease;
  if (code === 1 && /no lease/.test(stderr + stdout)) return undefined;
  throw new Error(`udhcpc: exit code ${code}: ${stderr}${stdout}`);
}

/** A client that stays: renews its lease and gives it back when it is told to. */
export class DhcpClient {
  readonly #process: LabProcess;

  private constructor(process: LabProcess) {
    this.#process = process;
  }

  /** Starts it; resolves when it has its first lease. */
  static async start(namespace: Namespace, nic: string): Promise<DhcpClient> {
    const client = new DhcpClient(
      await namespace.spawn(['busybox', 'udhcpc', '-f', '-n', '-R', '-i', nic, '-s', SCRIPT, '-T', '1']),
    );
    await client.#process.waitFor(LEASE);
    return client;
  }

  /** The last lease. */
  get lease(): Lease {
    const lease = leaseIn(this.#process.lines.findLast((line) => LEASE.test(line)) ?? '');
    if (!lease) throw new Error('the client has no lease');
    return lease;
  }

  /** Renews the lease (RFC 2131 section 4.4.5: by unicast, from its address to the server's). */
  async renew(): Promise<Lease> {
    const before = this.#leases;
    this.#process.kill('SIGUSR1');
    await until('the lease is renewed', 10_000, () => this.#leases > before);
    return this.lease;
  }

  /** Gives the lease back, and ends. */
  async release(): Promise<void> {
    await this.#process.end('SIGTERM');
  }

  get #leases(): number {
    return this.#process.lines.filter((line) => LEASE.test(line)).length;
  }
}

function leaseIn(text: string): Lease | undefined {
  const line = LEASE.exec(text);
  if (!line) return undefined;
  const [, ip = '', mask = '', router = '', server = '', seconds] = line;
  return { ip, mask, router, server, seconds: Number(seconds) };
}
