/** UDP datagrams of any size between namespaces, and whether they arrive whole. */
import { fileURLToPath } from 'node:url';
import type { Namespace } from './namespace.ts';
import type { LabProcess } from './process.ts';
import { until } from './until.ts';

const PROGRAM = fileURLToPath(new URL('./datagram-program.ts', import.meta.url));

/** Nothing in a lab is under way for longer. */
const WAIT_MS = 400;

/** A datagram, as its sender and its receiver know it. */
export interface Datagram {
  bytes: number;
  sha256: string;
}

export interface DatagramOptions {
  /** The kernel of the sender cuts `bytes` into datagrams of that many (UDP_SEGMENT). */
  segment?: number;
}

export class DatagramReceiver {
  readonly #process: LabProcess;
  readonly #address: string;
  readonly #port: number;

  private constructor(process: LabProcess, address: string, port: number) {
    this.#process = process;
    this.#address = address;
    this.#port = port;
  }

  /** Listens at an address of the namespace. */
  static async start(namespace: Namespace, address: string, port: number): Promise<DatagramReceiver> {
    const started = await namespace.spawn([
      ...[process.execPath, '--no-deprecation', PROGRAM, 'receive', address, `${port}`],
    ]);
    await started.waitFor(/^listening$/);
    return new DatagramReceiver(started, address, port);
  }

  /** Sends random bytes to it. What arrived whole of what was sent; waits for all of it, but no longer than WAIT_MS. */
  async from(
    namespace: Namespace,
    bytes: number,
    { segment = 0 }: DatagramOptions = {},
  ): Promise<{ sent: number; arrived: number }> {
    const args = ['send', this.#address, `${this.#port}`, `${bytes}`, `${segment}`];
    const command = [process.execPath, '--no-deprecation', PROGRAM, ...args];
    const sent = (await namespace.runChecked(command)).stdout.trim().split('\n');
    const arrived = () => sent.filter((line) => this.#process.lines.includes(line)).length;
    await until('all has arrived', WAIT_MS, () => arrived() === sent.length).catch(() => undefined);
    return { sent: sent.length, arrived: arrived() };
  }

  async close(): Promise<void> {
    await this.#process.end();
  }
}
