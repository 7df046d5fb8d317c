/** The BGP of all routing domains of this gateway, by domain: FRR on demand, for those that have peers. */
import { existsSync, readdirSync } from 'node:fs';
import { dirname } from 'node:path';
import type { BgpRoute, BgpState } from '../api/operations.ts';
import type { Trouble } from '../node/reconciler.ts';
import type { BgpPlan } from '../policy/plan.ts';
import { bgpConfig } from './bgp-config.ts';
import { DomainBgp } from './domain-bgp.ts';
import { frrPlace } from './frr.ts';
import { endSpeaker } from './speaker-end.ts';

/** Hears what becomes of the sessions of all domains. */
export type TellSession = (rdid: string, peer: string, what: 'up' | 'down', reason: string) => void;

export class BgpSessions {
  readonly #instance: string;
  readonly #tell: TellSession;
  readonly #routesChanged: (rdid: string) => void;
  readonly #domains = new Map<string, DomainBgp>();

  /** `routesChanged` is called when a domain's peers have given other routes than before. */
  constructor(instance: string, tell: TellSession, routesChanged: (rdid: string) => void = () => undefined) {
    this.#instance = instance;
    this.#tell = tell;
    this.#routesChanged = routesChanged;
  }

  /** Brings the BGP of a domain to what is planned. What cannot be made is answered. */
  async apply(
    rdid: string,
    { netns, plan }: { netns: string; plan: BgpPlan | undefined },
  ): Promise<Trouble[]> {
    try {
      if (plan === undefined || plan.peers.length === 0) await this.remove(rdid, netns);
      else await this.#domain(rdid, netns).apply(plan, bgpConfig(plan));
      return [];
    } catch (error) {
      return [{ kind: 'bgp', error }];
    }
  }

  #domain(rdid: string, netns: string): DomainBgp {
    let domain = this.#domains.get(rdid);
    if (domain === undefined) {
      domain = new DomainBgp(
        frrPlace(this.#instance, netns),
        (peer, what, reason) => this.#tell(rdid, peer, what, reason),
        () => this.#routesChanged(rdid),
      );
      this.#domains.set(rdid, domain);
    }
    return domain;
  }

  /** To be called before the namespace is removed, which FRR in it would keep. An earlier process may have left something. */
  async remove(rdid: string, netns: string): Promise<void> {
    const known = this.#domains.get(rdid);
    this.#domains.delete(rdid);
    if (known !== undefined) return known.remove();
    await endSpeaker(frrPlace(this.#instance, netns));
  }

  /** Ends FRR in namespaces that are not among these. */
  async keepOnly(namespaces: ReadonlySet<string>): Promise<void> {
    const parent = dirname(frrPlace(this.#instance, 'any').folder);
    if (!existsSync(parent)) return;
    const others = readdirSync(parent).filter((netns) => !netns.startsWith('.') && !namespaces.has(netns));
    await Promise.all(others.map((netns) => endSpeaker(frrPlace(this.#instance, netns))));
  }

  /** Undefined when no BGP of the domain runs here. */
  state(rdid: string): BgpState | undefined {
    return this.#domains.get(rdid)?.state();
  }

  /** As DomainBgp.routes(). */
  routes(rdid: string): AsyncIterable<BgpRoute[]> | undefined {
    return this.#domains.get(rdid)?.routes();
  }

  inspect(rdid: string): string[] {
    return this.#domains.get(rdid)?.inspect() ?? [];
  }

  /** Sessions go on. */
  close(): void {
    for (const domain of this.#domains.values()) domain.close();
    this.#domains.clear();
  }
}
