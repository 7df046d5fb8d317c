/** An FTP server (RFC 959) with one file, that tells whose it is. */
import { fileURLToPath } from 'node:url';
import type { Namespace } from './namespace.ts';
import type { LabProcess } from './process.ts';

const PROGRAM = fileURLToPath(new URL('./ftp-program.ts', import.meta.url));

/** Listens at port 21 of an IPv4 address; its file, whatever it is called, is `file of ADDRESS`. */
export async function startFtp(namespace: Namespace, address: string): Promise<LabProcess> {
  const server = await namespace.spawn([process.execPath, PROGRAM, address]);
  await server.waitFor(/^listening$/);
  return server;
}
