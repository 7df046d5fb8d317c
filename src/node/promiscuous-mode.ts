/**
 * Promiscuous mode of the interfaces that forwarding is on: a context there has a MAC address of its own, and on a VLAN hears
 * groups that nobody has joined. The kernel keeps one switch an interface for everybody, and it stays when this process ends;
 * where it was turned on here is noted under /run, so that an operator's own choice is left alone.
 */
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ipBatch } from '../linux/iproute2.ts';
import { RouteNetlink } from '../linux/rtnetlink.ts';

export class PromiscuousMode {
  /** A file for each interface that is promiscuous by us. */
  readonly #notes: string;
  /** Interfaces by who needs them so. */
  readonly #users = new Map<string, string>();
  /** The newest change: one at a time, in order. */
  #turn: Promise<void> = Promise.resolve();

  constructor(instance: string) {
    this.#notes = join('/run/hnvgw', instance, 'promiscuous');
  }

  /** What the domain needs from now on; nothing when undefined. Throws HNV_IPROUTE2. */
  async use(rdid: string, name: string | undefined): Promise<void> {
    if (this.#users.get(rdid) === name) return;
    if (name === undefined) this.#users.delete(rdid);
    else this.#users.set(rdid, name);
    await this.mend();
  }

  /** Makes this all that is needed, by domain, whatever an earlier process left. Throws HNV_IPROUTE2. */
  async keepOnly(users: ReadonlyMap<string, string>): Promise<void> {
    this.#users.clear();
    for (const [rdid, name] of users) this.#users.set(rdid, name);
    await this.mend();
  }

  /** Makes the interfaces that there are as they were asked to be. Throws HNV_IPROUTE2. */
  mend(): Promise<void> {
    const turn = this.#turn.then(() => this.#mend());
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  /** Interfaces that should be promiscuous and are not. */
  missing(): string[] {
    return RouteNetlink.use((reading) =>
      [...new Set(this.#users.values())].filter((name) => reading.link(name)?.isPromiscuous === false),
    );
  }

  async #mend(): Promise<void> {
    const missing = this.missing();
    const wanted = new Set(this.#users.values());
    const left = existsSync(this.#notes) ? readdirSync(this.#notes).filter((name) => !wanted.has(name)) : [];
    if (missing.length > 0) mkdirSync(this.#notes, { recursive: true });
    for (const name of missing) writeFileSync(join(this.#notes, name), '');
    const on = RouteNetlink.use((reading) => left.filter((name) => reading.link(name)?.isPromiscuous));
    await ipBatch([
      ...missing.map((name) => ['link', 'set', name, 'promisc', 'on']),
      ...on.map((name) => ['link', 'set', name, 'promisc', 'off']),
    ]);
    for (const name of left) rmSync(join(this.#notes, name));
  }
}
