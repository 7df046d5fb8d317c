/** A tenant's virtual machine: a namespace with one NIC, and what one does from inside it. */
import type { Namespace } from './namespace.ts';

/** Inner MTU on a provider network of 1500: 42 bytes less for outer Ethernet payload, IPv4, GRE and inner Ethernet. */
export const VM_MTU = 1458;

export interface VmSpec {
  /** Unique in the lab; the namespace's short name. */
  name: string;
  ip: string;
  prefixLength: number;
  mac: string;
  vsid: number;
  /** The distributed router's address, the `.1`. */
  gateway: string;
}

export interface PingResult {
  sent: number;
  received: number;
  /** TTL of each answer. */
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

  constructor(spec: VmSpec, namespace: Namespace) {
    this.spec = spec;
    this.namespace = namespace;
  }

  get name(): string {
    return this.spec.name;
  }

  get ip(): string {
    return this.spec.ip;
  }

  /** Pings five times a second; waits up to a second for an answer. */
  ping(address: string, count = 3): Promise<PingResult> {
    return ping(this.namespace, address, count);
  }

  /** Gets a URL. */
  fetch(url: string, timeoutMs = 5_000): Promise<FetchResult> {
    return fetchFrom(this.namespace, url, timeoutMs);
  }
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
    ['curl', '-sS', '--noproxy', '*', '--max-time', `${timeoutMs / 1000}`, '-w', '\n%{http_code}', url],
    { timeoutMs: timeoutMs + 5_000 },
  );
  if (code !== 0) return { status: 0, body: '', error: stderr.trim() };
  const end = stdout.lastIndexOf('\n');
  return { status: Number(stdout.slice(end + 1)), body: stdout.slice(0, end) };
}
