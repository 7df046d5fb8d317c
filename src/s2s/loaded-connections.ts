/**
 * What a charon was told of connections, so that it is told only what has changed. Digests of what is no secret are kept in a
 * file for the next process, which finds the same charon.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SiteConnectionPlan } from '../policy/plan.ts';
import type { CharonSession } from './charon-session.ts';
import { configurationDigest, connectionMessages } from './connection-messages.ts';
import type { IpsecEngine } from './engine.ts';
import { reqidOf } from './reqid.ts';

const FILE = 'loaded.json';

/** A connection as charon was told it last. */
interface Loaded {
  digest: string;
  /** What of it is not in the digest; undefined when an earlier process told it, which kept no secret. */
  secret?: string;
  /** Newer ones concern who comes next: what is up stays. */
  revocationLists?: string | undefined;
  /** Which of several destinations is tried, as a place in their list. */
  destination: number;
}

export class LoadedConnections {
  readonly #path: string;
  readonly #engine: IpsecEngine;
  readonly #loaded = new Map<string, Loaded>();

  /** `folder`: of charon's files. */
  constructor(folder: string, engine: IpsecEngine) {
    this.#path = join(folder, FILE);
    this.#engine = engine;
  }

  /** Charon has these, which an earlier process told it, or none. */
  begin(names: readonly string[]): void {
    this.#loaded.clear();
    const digests = names.length === 0 ? {} : this.#read();
    for (const name of names) this.#loaded.set(name, { digest: digests[name] ?? '', destination: 0 });
  }

  /** Ends and forgets those that there are no more. */
  async keepOnly(session: CharonSession, plans: readonly SiteConnectionPlan[]): Promise<void> {
    const names = new Set(plans.map(({ name }) => name));
    for (const name of this.#loaded.keys()) {
      if (names.has(name)) continue;
      await session.unload(name);
      this.#loaded.delete(name);
    }
    this.#write();
  }

  /**
   * Tells the connection, if it is not as charon was told it. A change ends what there is under the old configuration: half of both
   * would be neither. Answers what became of it.
   */
  async tell(session: CharonSession, plan: SiteConnectionPlan): Promise<'same' | 'new' | 'changed'> {
    const { name } = plan;
    const { preSharedKey, privateKey, certificate, revocationLists } = plan.authentication;
    const secret = JSON.stringify([preSharedKey, privateKey, certificate]);
    const digest = configurationDigest(plan);
    const before = this.#loaded.get(name);
    const isSame = before?.digest === digest && before.secret === secret;
    if (isSame && before?.revocationLists === revocationLists) return 'same';
    const isChange =
      before !== undefined && !isSame && (before.digest !== digest || before.secret !== undefined);
    if (isChange) {
      this.#loaded.delete(name);
      await session.unload(name);
    }
    const destination = isChange ? 0 : (before?.destination ?? 0);
    await session.load(this.#messages(plan, destination));
    this.#loaded.set(name, { digest, secret, revocationLists, destination });
    this.#write();
    return isChange ? 'changed' : 'new';
  }

  /** Has charon begin with the next of the connection's destinations from now on. */
  async turn(session: CharonSession, plan: SiteConnectionPlan): Promise<void> {
    const loaded = this.#loaded.get(plan.name);
    if (loaded === undefined) return;
    loaded.destination = (loaded.destination + 1) % plan.destinations.length;
    await session.load(this.#messages(plan, loaded.destination));
  }

  #messages(plan: SiteConnectionPlan, destination: number) {
    return connectionMessages(plan, this.#engine, reqidOf(plan), destination);
  }

  #read(): Record<string, string> {
    try {
      return JSON.parse(readFileSync(this.#path, 'utf8')) as Record<string, string>;
    } catch {
      // It is not there, or was cut short when the last process ended: everything is told anew.
      return {};
    }
  }

  #write(): void {
    const digests = Object.fromEntries([...this.#loaded].map(([name, { digest }]) => [name, digest]));
    writeFileSync(this.#path, JSON.stringify(digests), { mode: 0o600 });
  }
}
