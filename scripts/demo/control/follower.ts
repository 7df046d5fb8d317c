/** `hnvgw events --follow`, and what it has printed. */
import type { LabProcess } from '../../../test/lab/process.ts';
import type { Client } from './client.ts';

export interface ToldEvent {
  /** When it happened, in milliseconds since 1970. */
  at: number;
  type: string;
  what: string;
  /** Path, and the reason if there is one. */
  words: string;
}

const LINE = /^(\d{4}-\S+Z) {2}([a-z]+) +(?:([a-z]+) +)?(\S.*)$/;

export class Follower {
  readonly process: LabProcess;

  private constructor(process: LabProcess) {
    this.process = process;
  }

  /** Prints what the node still knows, and everything from now on. */
  static async start(client: Client): Promise<Follower> {
    return new Follower(await client.spawn('events', '--follow'));
  }

  get events(): ToldEvent[] {
    return this.process.lines.flatMap((line) => {
      const match = LINE.exec(line);
      if (!match) return [];
      const [, at = '', type = '', what = '', words = ''] = match;
      return [{ at: Date.parse(at), type, what, words }];
    });
  }

  /** Waits until a line is there, or has come, that matches. */
  async told(pattern: RegExp, timeoutMs?: number): Promise<void> {
    await this.process.waitFor(pattern, timeoutMs);
  }
}
