/** Who answers, and under which address and port the asker is seen: conversations over UDP and TCP between namespaces. */
import { fileURLToPath } from 'node:url';
import type { Namespace } from './namespace.ts';
import type { LabProcess } from './process.ts';

const PROGRAM = fileURLToPath(new URL('./echo-program.ts', import.meta.url));

export interface EchoAnswer {
  /** Name of the server that answered. */
  server: string;
  /** The asker as the server sees it. */
  address: string;
  port: number;
  /** What the server heard. */
  said: string;
}

export interface AskOptions {
  /** Sockets that ask at once; default 1. */
  count?: number;
  /** What is said. */
  word?: string;
  /** Address and port to ask from; any by default. */
  from?: string;
  fromPort?: number;
  /** How long an answer may take, milliseconds; default 2,000. */
  timeoutMs?: number;
}

/** Starts a server called `name` on `udp:` and `tcp:` endpoints (see Endpoint); resolves when all are open. */
export async function startEcho(
  namespace: Namespace,
  name: string,
  endpoints: readonly string[],
): Promise<LabProcess> {
  const server = await namespace.spawn([process.execPath, PROGRAM, 'serve', name, ...endpoints]);
  await server.waitFor(/^listening$/);
  return server;
}

/** Asks; the answers in any order, null for each that did not come. `endpoint` is as in startEcho. */
export async function ask(
  namespace: Namespace,
  endpoint: string,
  options: AskOptions = {},
): Promise<(EchoAnswer | null)[]> {
  const { count = 1, word = 'hello', from = '-', fromPort = 0, timeoutMs = 2_000 } = options;
  const args = ['ask', endpoint, word, `${count}`, from, `${fromPort}`, `${timeoutMs}`];
  const { stdout } = await namespace.runChecked([process.execPath, PROGRAM, ...args]);
  return JSON.parse(stdout) as (EchoAnswer | null)[];
}

/** Asks without end, in every way, whether it is answered or not; see the program. Ended by its process or the lab. */
export function startFlood(namespace: Namespace, address: string, port: number): Promise<LabProcess> {
  return namespace.spawn([process.execPath, PROGRAM, 'flood', address, `${port}`]);
}
