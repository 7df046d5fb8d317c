/** Drives a generator process (generator-worker.ts): frames that come in on a NIC of a namespace, all on one core. */
import { fileURLToPath } from 'node:url';
import type { Namespace } from '../test/lab/namespace.ts';
import type { LabProcess } from '../test/lab/process.ts';
import type { Tunnel } from './frames.ts';

const WORKER = fileURLToPath(new URL('./generator-worker.ts', import.meta.url));
/** Softirqs run where the generator runs, so the whole path is on this core. */
export const CORE = '1';

export interface Generated {
  frames: number;
  /** Time that the core spent on them. */
  seconds: number;
}

export class PacketGenerator {
  readonly #process: LabProcess;

  private constructor(process: LabProcess) {
    this.#process = process;
  }

  /** Starts the process; `frame` is the template of what comes in on the NIC, of the form that is named. */
  static async start(
    namespace: Namespace,
    nic: string,
    form: Tunnel | 'plain',
    frame: Buffer,
  ): Promise<PacketGenerator> {
    const worker = [process.execPath, WORKER, form, nic, frame.toString('hex')];
    const started = await namespace.spawn(['taskset', '-c', CORE, ...worker]);
    await started.waitFor(/^ready$/);
    return new PacketGenerator(started);
  }

  /** Sends for that long; resolves when all frames have been through the stack. */
  run(milliseconds: number): Promise<Generated> {
    return new Promise((resolve, reject) => {
      const before = this.#process.lines.length;
      const take = (line: string): void => {
        if (this.#process.lines.length === before + 1) resolve(JSON.parse(line) as Generated);
      };
      this.#process.onLine(take);
      void this.#process.exited.then(() =>
        reject(new Error(`the generator ended:\n${this.#process.tail()}`)),
      );
      this.#process.write(`${milliseconds}`);
    });
  }
}

/** MAC of an interface of a namespace. */
export async function macOf(namespace: Namespace, nic: string): Promise<string> {
  const [link] = JSON.parse(await namespace.ip('-json', 'link', 'show', nic)) as { address: string }[];
  if (link === undefined) throw new Error(`${namespace.name} has no interface ${nic}`);
  return link.address;
}
