/** The way to an address as Debian's traceroute tells it. */
import type { Namespace } from './namespace.ts';

/** One step; `address` undefined when nobody answered. */
export interface Hop {
  address?: string;
  /** What a router said instead of passing the packet on: `!H`, `!N`, `!X`, `!F-1458`, … */
  refusal?: string;
}

export interface TraceOptions {
  /** What is sent; default `udp`. */
  method?: 'udp' | 'icmp';
  /** Most hops; default 8. */
  maxHops?: number;
  /** Bytes of the whole packet. */
  size?: number;
}

/** One probe a hop, each given a second. Rejects when traceroute does not run at all. */
export async function traceroute(
  namespace: Namespace,
  address: string,
  options: TraceOptions = {},
): Promise<Hop[]> {
  const { method = 'udp', maxHops = 8, size } = options;
  const words = ['-n', '-q', '1', '-w', '1', '-N', '1', '-m', `${maxHops}`];
  if (method === 'icmp') words.push('-I');
  words.push(address);
  if (size !== undefined) words.push(`${size}`);
  const { stdout, stderr } = await namespace.run(['traceroute', ...words]);
  if (!stdout.startsWith('traceroute to ')) throw new Error(`traceroute ${address}: ${stderr}${stdout}`);
  return [...stdout.matchAll(/^ *\d+ +(.+)$/gm)].map(([, line = '']) => {
    const [first, , , refusal] = line.trim().split(/ +/);
    if (first === undefined || first === '*') return {};
    return { address: first, ...(refusal?.startsWith('!') ? { refusal } : {}) };
  });
}
