/** A large transfer over TCP between two namespaces, at a rate that lets a test do things while it runs. */
import { isIPv6 } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { Namespace } from './namespace.ts';
import type { LabProcess } from './process.ts';
import { until } from './until.ts';

const SERVER = fileURLToPath(new URL('./transfer-server.ts', import.meta.url));
const CLIENT = fileURLToPath(new URL('./transfer-client.ts', import.meta.url));

export interface TransferResult {
  bytes: number;
  /** Every byte is the one that was sent. */
  intact: boolean;
  /** Longest time in which nothing arrived, milliseconds. */
  longestSilence: number;
}

/** Serves `bytes` random bytes at an address; resolves when it listens. */
export async function serveTransfer(
  namespace: Namespace,
  address: string,
  port: number,
  bytes: number,
): Promise<LabProcess> {
  const server = await namespace.spawn([process.execPath, SERVER, address, `${port}`, `${bytes}`]);
  await server.waitFor(/^listening$/);
  return server;
}

export class Transfer {
  readonly #client: LabProcess;

  private constructor(client: LabProcess) {
    this.#client = client;
  }

  /** Begins to get what serveTransfer serves, at most so many bytes a second. */
  static async start(
    namespace: Namespace,
    address: string,
    port: number,
    bytesPerSecond: number,
  ): Promise<Transfer> {
    const host = isIPv6(address) ? `[${address}]` : address;
    const url = `http://${host}:${port}/`;
    return new Transfer(await namespace.spawn([process.execPath, CLIENT, url, `${bytesPerSecond}`]));
  }

  /** Bytes that have arrived, as the client last said. */
  get received(): number {
    const last = this.#client.lines.findLast((line) => line.startsWith('received '));
    return Number(last?.split(' ')[1] ?? 0);
  }

  /** Waits until so many bytes have arrived. */
  async reaches(bytes: number, timeoutMs = 20_000): Promise<void> {
    await until(`${bytes} bytes have arrived`, timeoutMs, () => {
      if (!this.#client.running) throw new Error(`the transfer has ended:\n${this.#client.tail()}`);
      return this.received >= bytes;
    });
  }

  /** Lets the rest come as fast as it can. */
  hurry(): void {
    this.#client.write('hurry');
  }

  /** Waits for the end; rejects when the connection broke or the time is over. */
  async finished(timeoutMs = 60_000): Promise<TransferResult> {
    const [, json = ''] = await this.#client.waitFor(/^finished (.*)$/, timeoutMs);
    return JSON.parse(json) as TransferResult;
  }
}
