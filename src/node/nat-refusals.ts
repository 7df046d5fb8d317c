/**
 * Tells by events when NAT of a routing domain refuses sessions: that its tenant has reached a limit is nobody's fault here,
 * and is seen nowhere else but in counters.
 */
import type { NatRefusals, NatUse } from '../api/operations.ts';
import { resourcePath } from '../store/resource-path.ts';
import type { EventSink } from './journal.ts';

/** Between two events about refusals that go on, and after the last refusal until it is over. */
const QUIET_MS = 30_000;

/** What is known of a domain's refusals. */
interface Known {
  /** Since the routing context was made. */
  seen: NatRefusals;
  /** As of the last event that told of them. */
  told: NatRefusals;
  toldAt?: number;
  lastAt: number;
}

const reasons = ['limit', 'ports', 'bindings'] as const;
const NOTHING: NatRefusals = { limit: 0, ports: 0, bindings: 0 };

const isMore = (now: NatRefusals, before: NatRefusals): boolean =>
  reasons.some((reason) => now[reason] > before[reason]);

export class NatRefusalWatch {
  readonly #events: EventSink;
  readonly #now: () => number;
  readonly #known = new Map<string, Known>();
  #isFirstRound = true;

  /** `now`: milliseconds of a clock that never goes back. */
  constructor(events: EventSink, now: () => number = () => performance.now()) {
    this.#events = events;
    this.#now = now;
  }

  /** Called again and again with what is counted now; undefined when there is no context. */
  look(rdid: string, use: NatUse | undefined): void {
    if (use === undefined) {
      this.#known.delete(rdid);
      return;
    }
    const seen = use.refused;
    const known = this.#knownOf(rdid, seen);
    for (const reason of reasons)
      if (seen[reason] < known.seen[reason]) known.seen[reason] = known.told[reason] = 0;
    const now = this.#now();
    if (isMore(seen, known.seen)) known.lastAt = now;
    known.seen = { ...seen };
    const { toldAt } = known;
    if (isMore(seen, known.told) && (toldAt === undefined || now - toldAt >= QUIET_MS)) {
      this.#tell(rdid, 'refusing', refusalSentence(known.told, seen));
      known.told = { ...seen };
      known.toldAt = now;
    } else if (toldAt !== undefined && now - known.lastAt >= QUIET_MS) {
      this.#tell(rdid, 'recovered', 'NAT has refused no session for 30 s.');
      delete known.toldAt;
    }
  }

  /** What was refused before this process began is nothing new; what counts anew is a new context's, or a new limit's. */
  #knownOf(rdid: string, seen: NatRefusals): Known {
    let known = this.#known.get(rdid);
    if (known === undefined) {
      const before = this.#isFirstRound ? seen : NOTHING;
      known = { seen: { ...before }, told: { ...before }, lastAt: 0 };
      this.#known.set(rdid, known);
    }
    return known;
  }

  /** A round over all domains is over. Forgets those that are not `there`. */
  endRound(there: { has(rdid: string): boolean }): void {
    this.#isFirstRound = false;
    for (const rdid of this.#known.keys()) if (!there.has(rdid)) this.#known.delete(rdid);
  }

  #tell(rdid: string, what: 'refusing' | 'recovered', reason: string): void {
    const path = resourcePath({ kind: 'nat', rdid });
    this.#events.add({ type: 'nat', routingDomainId: rdid, path, what, reason });
  }
}

function refusalSentence(from: NatRefusals, to: NatRefusals): string {
  const texts = {
    limit: 'over the limit of sessions (maxSessions)',
    ports: 'for want of a free external port',
    bindings: 'whose external port is bound to another inside host',
  };
  const parts = reasons
    .map((reason) => [reason, to[reason] - from[reason]] as const)
    .filter(([, count]) => count > 0)
    .map(([reason, count]) => `${count} ${texts[reason]}`);
  return `NAT has refused new sessions: ${parts.join(', ')}.`;
}
