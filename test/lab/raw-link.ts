/** Arbitrary Ethernet frames at an interface of a namespace, sent and received: the hand that forges hostile packets. */
import { fileURLToPath } from 'node:url';
import type { Namespace } from './namespace.ts';
import type { LabProcess } from './process.ts';

const PROGRAM = fileURLToPath(new URL('./raw-socket.ts', import.meta.url));

export class RawLink {
  /** Frames that arrived at the interface since the link was opened (not those that were sent from it). */
  readonly received: Buffer[] = [];
  readonly #process: LabProcess;
  readonly #answers: { resolve: () => void; reject: (error: Error) => void }[] = [];

  private constructor(process: LabProcess) {
    this.#process = process;
    process.onLine((line) => this.#take(line));
    void process.exited.then(() => {
      for (const answer of this.#answers.splice(0))
        answer.reject(new Error(`raw socket ended:\n${process.tail()}`));
    });
  }

  /** Opens an interface; the link hears every frame from then on. */
  static async open(namespace: Namespace, nic: string): Promise<RawLink> {
    const started = await namespace.spawn([process.execPath, PROGRAM, nic]);
    const link = new RawLink(started);
    await started.waitFor(/^listening$/);
    return link;
  }

  /** Sends one frame, without frame check sequence; resolves when the kernel has taken it. */
  send(frame: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      if (!this.#process.running) {
        reject(new Error(`raw socket ended:\n${this.#process.tail()}`));
        return;
      }
      this.#answers.push({ resolve, reject });
      this.#process.write(Buffer.from(frame).toString('hex'));
    });
  }

  async close(): Promise<void> {
    await this.#process.end('SIGTERM');
  }

  #take(line: string): void {
    if (/^[0-9a-f]+$/.test(line)) this.received.push(Buffer.from(line, 'hex'));
    else if (line === 'sent') this.#answers.shift()?.resolve();
    else if (line.startsWith('error ')) this.#answers.shift()?.reject(new Error(line.slice(6)));
  }
}
