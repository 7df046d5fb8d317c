/** What each site connection of a domain is doing, and since when: what a status shows and events tell. */
import type { SiteConnectionState } from '../api/operations.ts';
import type { SiteConnectionPlan } from '../policy/plan.ts';

/** Hears of a tunnel that came up or went down, or could not be made. */
export type TellConnection = (name: string, what: 'up' | 'down' | 'failed', reason: string) => void;

/** An error that is older is not why a tunnel goes down. */
const RECENT_MS = 60_000;

interface Known {
  initiate: SiteConnectionPlan['initiate'];
  isUp: boolean;
  carries: boolean;
  since: string;
  /** The reason is of the time since the tunnel was up last. */
  hasFailed: boolean;
  lastError?: string;
  lastErrorAt?: string;
}

/** What just now is known of a connection that is up. */
export interface SeenConnection {
  name: string;
  peer: string;
  carries: boolean;
}

export class ConnectionStates {
  readonly #tell: TellConnection;
  readonly #known = new Map<string, Known>();

  constructor(tell: TellConnection) {
    this.#tell = tell;
  }

  /** Those that there are from now on. */
  keep(plans: readonly Pick<SiteConnectionPlan, 'name' | 'initiate'>[]): void {
    const names = new Set(plans.map(({ name }) => name));
    for (const name of this.#known.keys()) if (!names.has(name)) this.#known.delete(name);
    for (const { name, initiate } of plans) {
      const known = this.#known.get(name);
      if (known !== undefined) known.initiate = initiate;
      else
        this.#known.set(name, {
          ...{ initiate, isUp: false, carries: false, hasFailed: false },
          since: new Date().toISOString(),
        });
    }
  }

  /** It begins anew under another configuration: what went wrong before says nothing any more. */
  renew(name: string): void {
    const known = this.#known.get(name);
    if (known === undefined) return;
    known.hasFailed = false;
    delete known.lastError;
    delete known.lastErrorAt;
    if (!known.isUp) known.since = new Date().toISOString();
  }

  /** All that are up now. `adopted`: they were before this process looked, which is nothing new. */
  see(up: readonly SeenConnection[], adopted: boolean): void {
    const seen = new Map(up.map((one) => [one.name, one]));
    for (const [name, known] of this.#known) {
      const now = seen.get(name);
      known.carries = now?.carries ?? false;
      if (known.isUp === (now !== undefined)) continue;
      known.isUp = now !== undefined;
      known.since = new Date().toISOString();
      known.hasFailed = !known.isUp && isRecent(known);
      if (adopted) continue;
      if (now !== undefined) this.#tell(name, 'up', `The tunnel to ${now.peer} is up.`);
      else this.#tell(name, 'down', (isRecent(known) && known.lastError) || 'The tunnel was taken down.');
    }
  }

  /** Why a tunnel is not there, or will soon not be. The same again and again is told once. */
  fail(name: string, reason: string): void {
    const known = this.#known.get(name);
    if (known === undefined) return;
    const isNew = !known.hasFailed || known.lastError !== reason;
    known.lastError = reason;
    known.lastErrorAt = new Date().toISOString();
    if (known.isUp) return;
    if (!known.hasFailed) known.since = known.lastErrorAt;
    known.hasFailed = true;
    if (isNew) this.#tell(name, 'failed', reason);
  }

  all(): ReadonlyMap<string, SiteConnectionState> {
    return new Map([...this.#known].map(([name, known]) => [name, stateOf(known)]));
  }
}

function isRecent({ lastErrorAt }: Known): boolean {
  return lastErrorAt !== undefined && Date.now() - Date.parse(lastErrorAt) < RECENT_MS;
}

function stateOf({
  initiate,
  isUp,
  carries,
  since,
  hasFailed,
  lastError,
  lastErrorAt,
}: Known): SiteConnectionState {
  const state = isUp ? 'connected' : initiate !== 'start' ? 'listening' : hasFailed ? 'failed' : 'connecting';
  return {
    ...{ state, since, carries },
    ...(lastError === undefined ? {} : { lastError }),
    ...(lastErrorAt === undefined ? {} : { lastErrorAt }),
  };
}
