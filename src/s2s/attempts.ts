/**
 * Begins with connections that are not up: those that always should be again and again, later each time, at one destination
 * after the other; others when a packet is for the site. Charon itself gives up where a peer refuses.
 */
import type { Retries } from '../node/retries.ts';
import type { SiteConnectionPlan } from '../policy/plan.ts';
import type { CharonSession } from './charon-session.ts';
import type { LoadedConnections } from './loaded-connections.ts';

/** Of the delays of Retries, the first that is waited for a peer: 0.8 s. */
const FIRST_RETRY = 3;
/** While charon asks a peer that does not answer, which it goes on with by itself: 3.2 s. */
const UNDER_WAY = 5;

/** What is tried on behalf of. */
export interface Trying {
  readonly retries: Retries;
  readonly loaded: LoadedConnections;
  /** The present plan of a connection; undefined when there is none any more. */
  plan(name: string): SiteConnectionPlan | undefined;
  /** Does it when nothing else is done with charon, unless that has gone. */
  withSession(work: (session: CharonSession) => Promise<void>): Promise<void>;
  fail(name: string, error: unknown): void;
}

interface Tried {
  /** In vain, in a row. */
  tries: number;
  /** The present destination was tried in vain. */
  hasFailed: boolean;
}

export class Attempts {
  readonly #trying: Trying;
  readonly #tried = new Map<string, Tried>();
  /** Those that will be tried again. */
  readonly #due = new Set<string>();

  constructor(trying: Trying) {
    this.#trying = trying;
  }

  /** The connection is up, or another one than it was. */
  reset(name: string): void {
    this.#tried.delete(name);
  }

  /** A try was in vain. */
  failed(plan: SiteConnectionPlan): void {
    this.#of(plan.name).hasFailed = true;
    if (plan.initiate === 'start' || plan.destinations.length > 1) this.later(plan.name);
  }

  later(name: string, delay = this.#of(name).tries + FIRST_RETRY): void {
    if (this.#due.has(name)) return;
    this.#due.add(name);
    this.#trying.retries.later(`try ${name}`, delay, () => {
      this.#due.delete(name);
      this.#do(name, (session, plan) => this.#try(session, plan));
    });
  }

  /** A packet is for the site of these, the preferred first: the next one that was not tried in vain. One try at a time. */
  dial(plans: readonly SiteConnectionPlan[]): void {
    const fresh = plans.filter(({ name }) => !this.#of(name).hasFailed);
    if (fresh.length === 0) for (const { name } of plans) this.reset(name);
    const { name } = fresh[0] ?? plans[0] ?? {};
    if (name === undefined) return;
    this.#do(name, async (session) => {
      if (!(await isOnTheWay(session, name))) await session.initiate(name);
    });
  }

  /** If it is not up. */
  #do(name: string, work: (session: CharonSession, plan: SiteConnectionPlan) => Promise<void>): void {
    const { withSession, plan: planOf, fail } = this.#trying;
    withSession(async (session) => {
      const plan = planOf(name);
      if (plan !== undefined && !(await session.up()).has(name)) await work(session, plan);
    }).catch((error) => {
      fail(name, error);
      if (planOf(name)?.initiate === 'start') this.later(name);
    });
  }

  /**
   * Of several destinations another one, when the last one did not answer or refused. An IKE SA under which the peer wants no
   * ESP ends, too: the peer may have been set up otherwise since, which is in force for new ones.
   */
  async #try(session: CharonSession, plan: SiteConnectionPlan): Promise<void> {
    const { name, initiate, destinations } = plan;
    const tried = this.#of(name);
    const { hasFailed } = tried;
    const isNext = hasFailed && destinations.length > 1;
    const isBegun = !isNext && (await isOnTheWay(session, name));
    tried.hasFailed = false;
    if (hasFailed && !isBegun) await session.terminate(name);
    if (isNext) await this.#trying.loaded.turn(session, plan);
    if (initiate !== 'start') return;
    if (isBegun) {
      this.later(name, UNDER_WAY);
      return;
    }
    tried.tries++;
    await session.initiate(name);
    this.later(name);
  }

  #of(name: string): Tried {
    const tried = this.#tried.get(name) ?? { tries: 0, hasFailed: false };
    this.#tried.set(name, tried);
    return tried;
  }
}

async function isOnTheWay(session: CharonSession, name: string): Promise<boolean> {
  return (await session.ikeSas(name)).some(({ state }) => state === 'CONNECTING');
}
