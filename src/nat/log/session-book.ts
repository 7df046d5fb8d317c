/**
 * Which sessions the log has a beginning of, so that each gets one, and one only, whether it is first heard of by its beginning, its
 * end or in a list of the sessions that there are. Pure.
 */
import type { Session } from '../../linux/conntrack-messages.ts';
import { isTranslated, sessionEnd, sessionStart } from './records.ts';

interface DomainSessions {
  known: Set<number>;
  /** While they are listed: those that have ended since, which the list may still have. */
  ended: Set<number> | undefined;
}

/** The kernel's number of a session has 32 bits: among 100,000, two have the same; with ports and protocol, they do not. */
function keyOf({ id, protocol, original }: Session): number {
  const { sourcePort, destinationPort } = original;
  return id * 0x20_0000 + (((sourcePort << 5) ^ (destinationPort * 7) ^ protocol) & 0x1f_ffff);
}

export class SessionBook {
  readonly #knownUntil: number;
  readonly #domains = new Map<string, DomainSessions>();

  /** What began before `knownUntil` (milliseconds since 1970) was recorded by an earlier process. */
  constructor(knownUntil: number) {
    this.#knownUntil = knownUntil;
  }

  /** The records for a session that has begun or ended; `now` stands in for a time that the kernel does not tell. */
  heard(rdid: string, isEnd: boolean, session: Session, now: number): string {
    if (!isTranslated(session)) return '';
    const domain = this.#domain(rdid);
    const key = keyOf(session);
    if (!isEnd) return this.#begin(domain, key, session.noted ?? now, rdid, session);
    domain.ended?.add(key);
    const { started = now } = session;
    const hasStart = domain.known.delete(key) || started < this.#knownUntil;
    const start = hasStart ? '' : sessionStart(started, rdid, session);
    return start + sessionEnd(session.ended ?? now, rdid, session);
  }

  /** The sessions of the domain are going to be listed. */
  beginList(rdid: string): void {
    this.#domain(rdid).ended = new Set();
  }

  /** The record for a session of the list. */
  listed(rdid: string, session: Session, now: number): string {
    if (!isTranslated(session)) return '';
    const domain = this.#domain(rdid);
    const key = keyOf(session);
    if (domain.ended?.has(key) === true) return '';
    const { started = now } = session;
    if (started >= this.#knownUntil) return this.#begin(domain, key, started, rdid, session);
    domain.known.add(key);
    return '';
  }

  endList(rdid: string): void {
    this.#domain(rdid).ended = undefined;
  }

  /** The domain has no sessions any more. */
  forget(rdid: string): void {
    this.#domains.delete(rdid);
  }

  #begin(domain: DomainSessions, key: number, time: number, rdid: string, session: Session): string {
    if (domain.known.has(key)) return '';
    domain.known.add(key);
    return sessionStart(time, rdid, session);
  }

  #domain(rdid: string): DomainSessions {
    let domain = this.#domains.get(rdid);
    if (domain === undefined) {
      domain = { known: new Set(), ended: undefined };
      this.#domains.set(rdid, domain);
    }
    return domain;
  }
}
