/** The site connections of all routing domains of this gateway, by domain. */
import { existsSync, readdirSync } from 'node:fs';
import { dirname } from 'node:path';
import type { SiteConnectionLive, SiteConnectionState } from '../api/operations.ts';
import type { Trouble } from '../node/reconciler.ts';
import { charonPlace, endCharon, isCharonThere } from './charon.ts';
import { DomainTunnels, type TunnelsRequest } from './domain-tunnels.ts';
import { ipsecEngine } from './engine.ts';

/** Hears what becomes of the tunnels of all domains. */
export type TellTunnel = (rdid: string, name: string, what: 'up' | 'down' | 'failed', reason: string) => void;

const NONE: ReadonlyMap<string, SiteConnectionState> = new Map();

export class SiteTunnels {
  readonly #instance: string;
  readonly #tell: TellTunnel;
  readonly #domains = new Map<string, { netns: string; tunnels: DomainTunnels }>();

  constructor(instance: string, tell: TellTunnel) {
    this.#instance = instance;
    this.#tell = tell;
  }

  /** Brings the tunnels of a domain to what is asked for. What cannot be made is answered. Throws HNV_SITE. */
  async apply(rdid: string, request: TunnelsRequest): Promise<Trouble[]> {
    if (request.plans.length === 0) {
      await this.#clear(rdid, request.netns);
      return [];
    }
    let known = this.#domains.get(rdid);
    if (known === undefined) {
      const place = charonPlace(this.#instance, request.netns);
      const tunnels = new DomainTunnels(place, ipsecEngine(), (name, what, reason) =>
        this.#tell(rdid, name, what, reason),
      );
      known = { netns: request.netns, tunnels };
      this.#domains.set(rdid, known);
    }
    return known.tunnels.apply(request);
  }

  /** The context goes on without tunnels; an earlier process may have left some. */
  async #clear(rdid: string, netns: string): Promise<void> {
    const known = this.#domains.get(rdid);
    const place = charonPlace(this.#instance, netns);
    if (known === undefined && !isCharonThere(place)) return;
    this.#domains.delete(rdid);
    await (known?.tunnels ?? new DomainTunnels(place, ipsecEngine(), () => undefined)).clear();
  }

  /** To be called before the namespace is removed, which a charon in it would keep. */
  async remove(rdid: string, netns: string): Promise<void> {
    const known = this.#domains.get(rdid);
    this.#domains.delete(rdid);
    await known?.tunnels.remove();
    const place = charonPlace(this.#instance, netns);
    if (isCharonThere(place)) await endCharon(place);
  }

  /** Ends the charons of namespaces that are not among these. */
  async keepOnly(namespaces: ReadonlySet<string>): Promise<void> {
    const parent = dirname(charonPlace(this.#instance, 'any').folder);
    if (!existsSync(parent)) return;
    const others = readdirSync(parent).filter((netns) => !namespaces.has(netns));
    await Promise.all(others.map((netns) => endCharon(charonPlace(this.#instance, netns))));
  }

  inspect(rdid: string): string[] {
    return this.#domains.get(rdid)?.tunnels.inspect() ?? [];
  }

  states(rdid: string): ReadonlyMap<string, SiteConnectionState> {
    return this.#domains.get(rdid)?.tunnels.states() ?? NONE;
  }

  /** Undefined when there is no such connection here. Throws HNV_SITE. */
  async live(rdid: string, name: string): Promise<SiteConnectionLive | undefined> {
    return this.#domains.get(rdid)?.tunnels.live(name);
  }

  /** Tunnels go on. */
  close(): void {
    for (const { tunnels } of this.#domains.values()) tunnels.close();
    this.#domains.clear();
  }
}
