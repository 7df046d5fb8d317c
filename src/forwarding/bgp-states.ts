/** What each BGP peer of a domain is doing, and since when, out of what bgpd shows: what a status shows and events tell. */
import type { BgpPeerState } from '../api/operations.ts';
import type { BgpPeerPlan, BgpPlan } from '../policy/plan.ts';
import { type LastReset, type Reason, reasonOf, SILENT, TOO_MANY } from './bgp-reasons.ts';

/** What of a peer matters here. */
export type SpokenPeer = Pick<BgpPeerPlan, 'name' | 'address' | 'asn' | 'password' | 'bfd'>;

/** Hears of a session that was established or ended, and of a try that has failed otherwise than the last one. */
export type TellPeer = (peer: string, what: 'up' | 'down', reason: string) => void;

/** Of `show bgp summary json`. */
interface SummaryPeer {
  state: string;
  peerUptimeEstablishedEpoch?: number;
  connectionsEstablished: number;
  pfxRcd: number;
  pfxSnt: number;
}

/** By `ipv4Unicast` and `ipv6Unicast`. */
export type Summary = Record<
  string,
  { tableVersion?: number; peers?: Record<string, SummaryPeer> } | undefined
>;
/** Of `show bgp neighbors json`. */
export type Neighbors = Record<string, (LastReset & { peerBfdInfo?: { status?: string } }) | undefined>;

interface Known {
  plan: SpokenPeer;
  state: BgpPeerState;
  /** Sessions so far, as bgpd counts them. */
  sessions: number;
  /** It waits for another try after too many prefixes. */
  isOverLimit: boolean;
  /** What was told last of why there is none. */
  told?: string;
}

const INTERRUPTED: Reason = { text: 'The session was interrupted.', isFailure: false };
const OVER_LIMIT = 'Idle (PfxCt)';
const RFC_STATES = ['Idle', 'Connect', 'Active', 'OpenSent', 'OpenConfirm', 'Established'] as const;

export class BgpStates {
  readonly #tell: TellPeer;
  readonly #known = new Map<string, Known>();

  constructor(tell: TellPeer) {
    this.#tell = tell;
  }

  /** Those that there are from now on. A peer with another address is another one. */
  keep(peers: readonly SpokenPeer[]): void {
    const names = new Set(peers.map(({ name }) => name));
    for (const name of this.#known.keys()) if (!names.has(name)) this.#known.delete(name);
    for (const plan of peers) {
      const known = this.#known.get(plan.name);
      if (known?.plan.address === plan.address) known.plan = plan;
      else this.#known.set(plan.name, { plan, state: stopped(plan), sessions: 0, isOverLimit: false });
    }
  }

  /** What bgpd shows now. `adopted`: what is established was so before this process looked, which is nothing new. */
  see(
    { asn }: Pick<BgpPlan, 'asn'>,
    shown: { summary: Summary; neighbors: Neighbors; isUnsigned: boolean },
    adopted: boolean,
  ): void {
    for (const known of this.#known.values()) {
      const { plan } = known;
      const peer = shownIn(shown.summary, plan);
      if (peer === undefined) continue;
      const was = known.state;
      const isUp = peer.state === 'Established';
      const neighbor = shown.neighbors[plan.address] ?? {};
      const isSame = isUp && was.state === 'Established' && known.sessions === peer.connectionsEstablished;
      let reason: Reason | undefined;
      // BFD, which ends after that, takes its place in what bgpd shows of the last reset.
      if (peer.state === OVER_LIMIT) reason = TOO_MANY;
      else if (!isUp) reason = reasonOf(neighbor, plan, { asn }, shown.isUnsigned);
      // Between two looks another session took its place.
      else if (was.state === 'Established' && !isSame) {
        reason = reasonOf(neighbor, plan, { asn }, false);
        if (reason === SILENT) reason = INTERRUPTED;
      }
      const bfd = plan.bfd && bfdOf(neighbor.peerBfdInfo?.status);
      const lastError = reason?.text ?? was.lastError;
      known.state = {
        ...{ name: plan.name, address: plan.address, asn: plan.asn, state: stateOf(peer.state) },
        // bgpd reckons the time anew each time, and rounds.
        ...(isUp && { since: isSame ? was.since : timeOf(peer.peerUptimeEstablishedEpoch) }),
        ...{ prefixesReceived: peer.pfxRcd, prefixesAccepted: peer.pfxRcd, prefixesSent: peer.pfxSnt },
        ...(lastError !== undefined && { lastError }),
        ...(bfd !== undefined && { bfd }),
      };
      if (!adopted && !isSame) this.#tellChange(known, was, reason);
      known.sessions = peer.connectionsEstablished;
      known.isOverLimit = peer.state === OVER_LIMIT;
    }
  }

  #tellChange(known: Known, was: BgpPeerState, reason: Reason | undefined): void {
    const { name, address } = known.plan;
    if (
      reason !== undefined &&
      (was.state === 'Established' || (reason.isFailure && reason.text !== known.told))
    ) {
      this.#tell(name, 'down', reason.text);
      known.told = reason.text;
    }
    if (known.state.state !== 'Established') return;
    this.#tell(name, 'up', `The BGP session with ${address} is established.`);
    delete known.told;
  }

  /** The speaker is gone, and with it the sessions. */
  stop(why: string): void {
    for (const known of this.#known.values()) {
      const wasUp = known.state.state === 'Established';
      known.state = { ...stopped(known.plan), lastError: why };
      if (wasUp) this.#tell(known.plan.name, 'down', why);
    }
  }

  get areAllUp(): boolean {
    return [...this.#known.values()].every(({ state }) => state.state === 'Established');
  }

  /** Addresses of those of which the summary does not tell all. */
  toAskFor(summary: Summary): string[] {
    return [...this.#known.values()]
      .filter(({ plan, sessions }) => {
        const peer = shownIn(summary, plan);
        return (
          plan.bfd !== undefined ||
          peer?.state !== 'Established' ||
          (sessions > 0 && sessions !== peer.connectionsEstablished)
        );
      })
      .map(({ plan }) => plan.address);
  }

  /** Addresses of those that wait after too many prefixes. */
  overLimit(): string[] {
    return [...this.#known.values()].filter((known) => known.isOverLimit).map(({ plan }) => plan.address);
  }

  /** By name, as the plan has them. */
  all(): BgpPeerState[] {
    return [...this.#known.values()].map(({ state }) => state);
  }
}

function shownIn(summary: Summary, { address }: SpokenPeer): SummaryPeer | undefined {
  return summary[address.includes(':') ? 'ipv6Unicast' : 'ipv4Unicast']?.peers?.[address];
}

function stopped({ name, address, asn }: SpokenPeer): BgpPeerState {
  return {
    ...{ name, address, asn, state: 'Stopped' },
    ...{ prefixesReceived: 0, prefixesAccepted: 0, prefixesSent: 0 },
  };
}

/** FRR has more of them, as `Idle (PfxCt)` and `Clearing`: of a session that is not there. */
function stateOf(shown: string): BgpPeerState['state'] {
  return RFC_STATES.find((state) => state === shown) ?? 'Idle';
}

function timeOf(seconds: number | undefined): string {
  return new Date(seconds === undefined ? Date.now() : seconds * 1000).toISOString();
}

/** FRR writes `Up`, and for other states one of several words. */
function bfdOf(status: string | undefined): 'up' | 'down' {
  return status?.toLowerCase() === 'up' ? 'up' : 'down';
}
