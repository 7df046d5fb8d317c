/** A tenant's virtual machine: a namespace with one NIC, and what one does from inside it. */
import { fileURLToPath } from 'node:url';
import type { Lab } from './lab.ts';
import type { Namespace } from './namespace.ts';
import { type ArpingOptions, arping, type Neighbour, neighbours, settled } from './neighbours.ts';
import { type Hop, type TraceOptions, traceroute } from './traceroute.ts';

const TAP_PROGRAM = fileURLToPath(new URL('./tap-program.ts', import.meta.url));

/** The VM's side of its NIC. */
export const VM_NIC = 'eth0';

/** MTU of the lab's provider network. */
const PROVIDER_MTU = 1500;

/**
 * What fits into a tunnel between provider addresses of a family: without outer IPv4 (20) or IPv6 (40), GRE with key (8)
 * and inner Ethernet (14).
 */
export function innerMtu(providerFamily: 4 | 6, providerMtu = PROVIDER_MTU): number {
  return providerMtu - (providerFamily === 4 ? 42 : 62);
}

/** Inner MTU on a provider network of 1500 and IPv4. */
export const VM_MTU = innerMtu(4);

export interface VmSpec {
  /** Unique in the lab; the namespace's short name, and the name of the host's side of the NIC (15 characters). */
  name: string;
  ip: string;
  prefixLength: number;
  mac: string;
  vsid: number;
  /** The distributed router's address, the `.1`. */
  gateway: string;
  /** IPv6 beside IPv4; `gateway6` goes with it. */
  ip6?: string;
  /** Default 64. */
  prefixLength6?: number;
  /** The distributed router's IPv6 address. */
  gateway6?: string;
  /** Default VM_MTU. */
  mtu?: number;
  /** The VM does not set its IPv4 address and route: it is to ask a DHCP server for them. */
  dhcp?: boolean;
  /** The host's side of the NIC is a tap, as of a hypervisor, and not one end of a veth. */
  tap?: boolean;
  /** What else the VM's port shows of itself is learned; a host under test only. */
  learn?: boolean;
}

export interface PingResult {
  sent: number;
  received: number;
  /** TTL, or hop limit, of each answer. */
  ttls: number[];
}

export interface FetchResult {
  /** HTTP status; 0 when there was no answer. */
  status: number;
  body: string;
  /** What curl says when there was no answer. */
  error?: string;
}

export class Vm {
  readonly spec: VmSpec;
  readonly namespace: Namespace;

  private constructor(spec: VmSpec, namespace: Namespace) {
    this.spec = spec;
    this.namespace = namespace;
  }

  /**
   * Starts a VM whose NIC's other side, called after the VM, is in the host's namespace. Its addresses may be tentative
   * still (see settled).
   */
  static async create(lab: Lab, spec: VmSpec, host: Namespace): Promise<Vm> {
    const { ip, prefixLength, gateway, ip6, prefixLength6 = 64, gateway6, mac, mtu = VM_MTU } = spec;
    const namespace = await lab.namespace(spec.name);
    await namespace.runChecked(['sysctl', '-qw', 'net.ipv6.conf.default.accept_ra=0']);
    if (spec.tap) await joinTaps(namespace, spec, host);
    else
      await namespace.ip(
        ...['link', 'add', VM_NIC, 'address', mac, 'mtu', `${mtu}`],
        ...['type', 'veth', 'peer', 'name', spec.name, 'mtu', `${Math.max(mtu, PROVIDER_MTU)}`],
        ...['netns', host.name],
      );
    await host.ip(...hostSideUp(spec.name));
    await namespace.ipBatch([
      `link set ${VM_NIC} up`,
      ...(spec.dhcp
        ? []
        : [`addr add ${ip}/${prefixLength} dev ${VM_NIC}`, `route add default via ${gateway}`]),
      ...(ip6 === undefined ? [] : [`addr add ${ip6}/${prefixLength6} dev ${VM_NIC}`]),
      ...(gateway6 === undefined ? [] : [`route add default via ${gateway6}`]),
    ]);
    return new Vm(spec, namespace);
  }

  get name(): string {
    return this.spec.name;
  }

  get ip(): string {
    return this.spec.ip;
  }

  /** Throws when the VM has no IPv6. */
  get ip6(): string {
    if (this.spec.ip6 === undefined) throw new Error(`${this.name} has no IPv6 address`);
    return this.spec.ip6;
  }

  /** What policy gives the VM, IPv4 first. */
  get addresses(): string[] {
    const { ip, ip6 } = this.spec;
    return ip6 === undefined ? [ip] : [ip, ip6];
  }

  /** Waits until duplicate address detection (RFC 4862) has ended for all addresses. */
  settled(): Promise<void> {
    return settled(this.namespace, VM_NIC);
  }

  /** Pings five times a second; waits up to a second for an answer. */
  ping(address: string, count = 3): Promise<PingResult> {
    return ping(this.namespace, address, count);
  }

  /** Gets a URL. */
  fetch(url: string, timeoutMs = 5_000): Promise<FetchResult> {
    return fetchFrom(this.namespace, url, timeoutMs);
  }

  /** The routers on the way to an address, and the address itself last when it answered. */
  traceroute(address: string, options: TraceOptions = {}): Promise<Hop[]> {
    return traceroute(this.namespace, address, options);
  }

  /** Asks by ARP; the MACs that answered, in the order of the answers. */
  arping(address: string, options: ArpingOptions = {}): Promise<string[]> {
    return arping(this.namespace, VM_NIC, address, options);
  }

  /** ARP and ND entries of the NIC. */
  neighbours(): Promise<Neighbour[]> {
    return neighbours(this.namespace, VM_NIC);
  }
}

/** The VM's NIC and the host's side of it as two taps that a program joins; they are gone with it. */
async function joinTaps(namespace: Namespace, spec: VmSpec, host: Namespace): Promise<void> {
  const ends = [host.path, spec.name, namespace.path, VM_NIC];
  const program = await namespace.spawn([process.execPath, TAP_PROGRAM, ...ends]);
  await program.waitFor(/^joined$/);
  await namespace.ip('link', 'set', VM_NIC, 'address', spec.mac, 'mtu', `${spec.mtu ?? VM_MTU}`);
}

/** `ip` words that bring the host's side of a VM's NIC up, silent as a tap: no address, no IPv6 of its own. */
export function hostSideUp(name: string): string[] {
  return ['link', 'set', name, 'addrgenmode', 'none', 'up'];
}

/** Pings from inside a namespace. Rejects when ping does not run at all. */
export async function ping(namespace: Namespace, address: string, count = 3): Promise<PingResult> {
  const result = await namespace.run(['ping', '-n', '-c', `${count}`, '-i', '0.2', '-W', '1', address]);
  const summary = /(\d+) packets transmitted, (\d+) received/.exec(result.stdout);
  if (!summary) throw new Error(`ping ${address}: ${result.stderr}${result.stdout}`);
  const ttls = [...result.stdout.matchAll(/ ttl=(\d+) /g)].map((match) => Number(match[1]));
  return { sent: Number(summary[1]), received: Number(summary[2]), ttls };
}

/** Gets a URL with curl from inside a namespace; no answer is a result too. */
export async function fetchFrom(namespace: Namespace, url: string, timeoutMs = 5_000): Promise<FetchResult> {
  const { code, stdout, stderr } = await namespace.run(
    ['curl', '-sS', '-g', '--noproxy', '*', '--max-time', `${timeoutMs / 1000}`, '-w', '\n%{http_code}', url],
    { timeoutMs: timeoutMs + 5_000 },
  );
  if (code !== 0) return { status: 0, body: '', error: stderr.trim() };
  const end = stdout.lastIndexOf('\n');
  return { status: Number(stdout.slice(end + 1)), body: stdout.slice(0, end) };
}
