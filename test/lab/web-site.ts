/** Starts the web server program inside a namespace. */
import { fileURLToPath } from 'node:url';
import type { Namespace } from './namespace.ts';
import type { LabProcess } from './process.ts';

const PROGRAM = fileURLToPath(new URL('./web-server.ts', import.meta.url));

/** What the web server answers, as JSON. */
export interface WebAnswer {
  /** Name of the server that answered. */
  server: string;
  /** The client's address as the server sees it. */
  yourAddress: string;
}

/** Starts a web server called `name` on `address:port` endpoints; resolves when all of them listen. */
export async function startWebSite(
  namespace: Namespace,
  name: string,
  endpoints: readonly string[],
): Promise<LabProcess> {
  const server = await namespace.spawn([process.execPath, PROGRAM, name, ...endpoints]);
  await server.waitFor(/^listening$/);
  return server;
}
