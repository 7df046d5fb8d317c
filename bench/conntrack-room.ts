/**
 * Room for very many conversations in the kernel's connection tracking, whose table is one for all namespaces: as whoever expects
 * as many would set it. What was there before is put back.
 */
import { readFileSync, writeFileSync } from 'node:fs';

const SETTINGS = ['nf_conntrack_buckets', 'nf_conntrack_max'];
const ENTRIES = 1 << 20;

export class ConntrackRoom implements Disposable {
  readonly #before: readonly (readonly [string, string])[];

  private constructor(before: readonly (readonly [string, string])[]) {
    this.#before = before;
  }

  static make(): ConntrackRoom {
    const before = SETTINGS.map((name) => `/proc/sys/net/netfilter/${name}`).map(
      (path) => [path, readFileSync(path, 'utf8').trim()] as const,
    );
    for (const [path, value] of before) if (Number(value) < ENTRIES) writeFileSync(path, `${ENTRIES}`);
    return new ConntrackRoom(before);
  }

  [Symbol.dispose](): void {
    for (const [path, value] of this.#before) writeFileSync(path, value);
  }
}
