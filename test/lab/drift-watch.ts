/** Follows what a node tells of drift, and waits until all of it is mended. */
import { get, type IncomingMessage } from 'node:http';
import { createInterface } from 'node:readline';
import type { NodeEvent } from '../../src/api/operations.ts';
import type { NodeProcess } from './node-process.ts';
import { until } from './until.ts';

/** What is promised; a busy machine may be slower by as much as it is busy. */
const MEND_MS = 20_000;

export class DriftWatch {
  readonly #node: NodeProcess;
  readonly #events: NodeEvent[] = [];
  readonly #answer: IncomingMessage;

  private constructor(node: NodeProcess, answer: IncomingMessage) {
    this.#node = node;
    this.#answer = answer;
    answer.on('error', () => undefined); // the node may be killed
    const lines = createInterface({ input: answer });
    lines.on('error', () => undefined);
    lines.on('line', (line) => {
      if (!line.startsWith('data:')) return;
      const event = JSON.parse(line.slice(5)) as NodeEvent;
      if (event.type === 'drift') this.#events.push(event);
    });
  }

  /** Hears of everything from now on. */
  static async start(node: NodeProcess): Promise<DriftWatch> {
    const options = { socketPath: node.api.socketPath, path: '/v1/events', agent: false };
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      get(options, resolve).on('error', reject);
    });
    return new DriftWatch(node, answer);
  }

  /** What was found since the last call. */
  take(): NodeEvent[] {
    return this.#events.splice(0);
  }

  /**
   * Waits until something was found that matches each of `wanted`, and all that was found is mended; answers the sentences
   * with how long it took from now. Rejects with what was found instead.
   */
  async mended(...wanted: RegExp[]): Promise<{ reasons: string[]; ms: number }> {
    const began = performance.now();
    const found = (): NodeEvent[] => this.#events.filter(({ what }) => what === 'found');
    const isFound = (pattern: RegExp): boolean => found().some(({ reason = '' }) => pattern.test(reason));
    await until('what was changed by hand is mended', MEND_MS, async () => {
      const mended = this.#events.filter(({ what }) => what === 'mended');
      if (!wanted.every(isFound) || mended.length < found().length) return false;
      const status = (await this.#node.api.get('/v1/status')) as Record<string, unknown>;
      return (status.warnings as string[]).every((warning) => !warning.startsWith('Changed by hand'));
    }).catch((error: unknown) => {
      throw new Error(`${error}; missing: ${wanted.filter((one) => !isFound(one))}; events:
${this.#events.map(({ what, reason }) => `${what}: ${reason}`).join('\n')}`);
    });
    const ms = Math.round(performance.now() - began);
    return { reasons: this.take().flatMap(({ what, reason = '' }) => (what === 'found' ? reason : [])), ms };
  }

  close(): void {
    this.#answer.destroy();
  }
}
