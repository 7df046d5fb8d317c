/** ARP and neighbour discovery as a Linux stack and iputils' arping see them. */
import type { Namespace } from './namespace.ts';
import { until } from './until.ts';

export interface Neighbour {
  address: string;
  /** Undefined when nobody has answered. */
  mac?: string;
  /** `REACHABLE`, `STALE`, `DELAY`, `PROBE`, `INCOMPLETE`, `FAILED`, `PERMANENT`. */
  state: string;
  /** The neighbour said that it is a router (RFC 4861). */
  isRouter: boolean;
}

export interface ArpingOptions {
  /**
   * `ask` (default): an ordinary request. `probe`: RFC 5227 duplicate address detection, from 0.0.0.0. `announce`: a
   * gratuitous request that nobody needs to answer.
   */
  mode?: 'ask' | 'probe' | 'announce';
  /** Requests, one a second; default 1. */
  count?: number;
}

interface NeighbourJson {
  dst: string;
  lladdr?: string;
  state?: string[];
  router?: null;
}

/** Entries of a NIC. */
export async function neighbours(namespace: Namespace, nic: string): Promise<Neighbour[]> {
  const found = JSON.parse(await namespace.ip('-json', 'neigh', 'show', 'dev', nic)) as NeighbourJson[];
  return found.map(({ dst, lladdr, state = [], ...flags }) => ({
    address: dst,
    ...(lladdr === undefined ? {} : { mac: lladdr }),
    state: state.join(' '),
    isRouter: 'router' in flags,
  }));
}

/** Waits until duplicate address detection (RFC 4862) has ended for all addresses of a NIC. */
export async function settled(namespace: Namespace, nic: string): Promise<void> {
  await until(`addresses of ${nic} in ${namespace.name} are not tentative`, 10_000, async () => {
    const found = await namespace.ip('-6', 'addr', 'show', 'dev', nic, 'tentative');
    return found.trim() === '';
  });
}

/** Asks who has an address; the MACs that answered, in lower case. Waits a second for answers. */
export async function arping(
  namespace: Namespace,
  nic: string,
  address: string,
  options: ArpingOptions = {},
): Promise<string[]> {
  const { mode = 'ask', count = 1 } = options;
  const flags = { ask: [], probe: ['-D'], announce: ['-U'] }[mode];
  const args = [...flags, '-I', nic, '-c', `${count}`, '-w', `${count}`, address];
  const { stdout, stderr } = await namespace.run(['arping', ...args]);
  if (!/^Sent \d+ probe/m.test(stdout)) throw new Error(`arping ${address}: ${stderr}${stdout}`);
  return [...stdout.matchAll(/reply from \S+ \[([0-9A-F:]+)\]/gi)].map(([, mac = '']) => mac.toLowerCase());
}

/**
 * Adds an IPv6 address (`fd00:1::11/64`) and waits for the end of its duplicate address detection; answers whether the
 * address is the NIC's own now.
 */
export async function addUniqueAddress(namespace: Namespace, nic: string, address: string): Promise<boolean> {
  await namespace.ip('addr', 'add', address, 'dev', nic);
  const { isUnique } = await until(`${address} is not tentative`, 10_000, async () => {
    const shown = await namespace.ip('-json', 'addr', 'show', 'dev', nic, 'to', address.replace(/\/.*/, ''));
    const links = JSON.parse(shown) as { addr_info?: { tentative?: boolean; dadfailed?: boolean }[] }[];
    const [info] = links.flatMap((link) => link.addr_info ?? []);
    if (info?.dadfailed) return { isUnique: false };
    return info !== undefined && !info.tentative && { isUnique: true };
  });
  return isUnique;
}
