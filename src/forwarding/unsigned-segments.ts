/** Whether TCP segments were thrown away for want of the right key (TCP-MD5, RFC 2385), as the kernel counts in a namespace. */
import { readFileSync } from 'node:fs';
import { inNetns } from '../linux/netns.ts';

/** Without a key where one is expected, with one where none is, and with a wrong one. */
const COUNTERS = ['TCPMD5NotFound', 'TCPMD5Unexpected', 'TCPMD5Failure'];

export class UnsignedSegments {
  readonly #netns: string | undefined;
  #before: number | undefined;

  constructor(netns: string | undefined) {
    this.#netns = netns;
  }

  /** What has come so far says nothing any more. */
  forget(): void {
    this.#before = this.#count();
  }

  haveCome(): boolean {
    const count = this.#count();
    this.#before ??= count;
    return count > this.#before;
  }

  #count(): number {
    const read = (): string => readFileSync('/proc/thread-self/net/netstat', 'utf8');
    const text = this.#netns === undefined ? read() : inNetns(this.#netns, read);
    // Two lines: names, and values in the same order (proc(5)).
    const [names = [], values = []] = text
      .split('\n')
      .filter((line) => line.startsWith('TcpExt:'))
      .map((line) => line.split(' '));
    return COUNTERS.reduce((sum, name) => sum + Number(values[names.indexOf(name)] ?? 0), 0);
  }
}
