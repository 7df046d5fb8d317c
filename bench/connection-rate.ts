/**
 * New TCP connections between two namespaces through a NAT between them: each is opened, carries a byte there and back and
 * is closed, many at a time (programs/connection-client.c).
 */
import type { Namespace } from '../test/lab/namespace.ts';
import type { Contender } from './contest.ts';
import { CORE } from './core-time.ts';
import { benchProgram } from './programs.ts';

const WARM_UP_MS = 200;
/** What one turn leaves in TIME_WAIT is far from the limits of sockets and of connection tracking. */
const MEASURE_MS = 1000;
const AT_A_TIME = '128';
/** Destination ports of a server, and the first of each: a second server is at the same address. */
const PORTS = 64;
const FIRST_PORTS = { free: 7000, oneCore: 7100 };

/** Somebody who connects, somebody who is connected to, and what is between them. */
export interface NatConnection {
  client: Namespace;
  server: Namespace;
  /** IPv4, of the server. */
  address: string;
  /** The address that connections must come from at the server. */
  source: string;
  /** The one that tracks the connections. */
  nat: Namespace;
}

interface Ran {
  connections: number;
  seconds: number;
}

/**
 * Starts both ends; the contender's figure is thousands of connections per second. With `oneCore` both ends, and so all
 * softirqs between them, are on the core that packet rates are measured on.
 */
export async function connectionContender(
  { client, server, address, source, nat }: NatConnection,
  { oneCore }: { oneCore: boolean },
): Promise<Contender> {
  const pin = oneCore ? ['taskset', '-c', `${CORE}`] : [];
  const ports = [`${oneCore ? FIRST_PORTS.oneCore : FIRST_PORTS.free}`, `${PORTS}`];
  const serving = await server.spawn([...pin, benchProgram('connection-server'), ...ports, source]);
  await serving.waitFor(/^ready$/);
  const connect = [...pin, benchProgram('connection-client'), address, ...ports, AT_A_TIME];
  const run = async (milliseconds: number): Promise<number> => {
    // Every turn begins with a table that is empty.
    await nat.runChecked(['conntrack', '--flush']);
    const { code, stdout, stderr } = await client.run([...connect, `${milliseconds}`]);
    if (code !== 0) throw new Error(`connections failed: ${stderr}${serving.tail()}`);
    const { connections, seconds } = JSON.parse(stdout) as Ran;
    return connections / seconds / 1000;
  };
  await run(WARM_UP_MS);
  return () => run(MEASURE_MS);
}
