/**
 * How far the kernel is with a routing domain, object by object: a failure is told of the object whose it is, and all that
 * does not depend on it is ready.
 */
import type { Logger } from 'pino';
import type { ResourceStatus } from '../api/operations.ts';
import { HnvError } from '../errors.ts';
import type { ResourceKind } from '../policy/resources.ts';
import type { ResourceKey } from '../store/store.ts';
import type { Reconciled, Trouble } from './reconciler.ts';
import type { TellStatus } from './sequencer.ts';

/** Of a turn's troubles, those that are told one by one: a full map may refuse very many records at once. */
const TOLD = 100;

interface Failure {
  status: ResourceStatus;
  /** Tries in a row that it outlasted. */
  tries: number;
}

/** What is said of an error to whoever reads a status. */
export function sentence(error: unknown): string {
  return error instanceof HnvError ? `${error.code}: ${error.message}` : String(error);
}

const textOf = ({ kind, id }: Trouble): string => (id === undefined ? kind : `${kind} ${id}`);

export class DomainProgress {
  readonly #rdid: string;
  readonly #log: Logger;
  readonly #tell: TellStatus;
  /** Revision of the store that the last finished attempt saw. */
  #revision = -1;
  /** Of what has no trouble of its own. */
  #ready: ResourceStatus = { state: 'pending', since: new Date().toISOString() };
  /** By kind, or kind and id. */
  #failures = new Map<string, Failure>();
  /** Objects that failed once and are ready now: since when. */
  readonly #mended = new Map<string, string>();
  #pending: readonly string[] = [];

  /** `tell` hears of every change. */
  constructor(rdid: string, log: Logger, tell: TellStatus) {
    this.#rdid = rdid;
    this.#log = log;
    this.#tell = tell;
  }

  /** What the domain asked for and does not have yet, though nothing failed. */
  get pending(): readonly string[] {
    return this.#pending;
  }

  /** Of the domain with all that it has. */
  get summary(): ResourceStatus['state'] {
    return this.#failures.size > 0 ? 'failed' : this.#ready.state;
  }

  /** What failed, object by object. */
  get failures(): { key: ResourceKey; status: ResourceStatus }[] {
    return [...this.#failures].map(([text, { status }]) => ({ key: this.#keyOf(text), status }));
  }

  /** Of one object of the domain, which `revision` has written. */
  status(revision: number, kind: ResourceKind, id?: string): ResourceStatus {
    if (this.#revision < revision) return { state: 'pending', since: this.#ready.since };
    const own = id === undefined ? kind : `${kind} ${id}`;
    const failure =
      this.#failures.get('routingDomain') ?? this.#failures.get(kind) ?? this.#failures.get(own);
    if (failure !== undefined) return failure.status;
    const since = this.#mended.get('routingDomain') ?? this.#mended.get(kind) ?? this.#mended.get(own);
    return since === undefined ? this.#ready : { ...this.#ready, since };
  }

  /** Notes a finished attempt; answers how often the youngest of its failures has been met in a row, 0 without any. */
  finish(revision: number, { pending, troubles }: Reconciled): number {
    const now = new Date().toISOString();
    this.#revision = revision;
    this.#pending = pending;
    const before = this.#failures;
    this.#failures = new Map();
    let told = 0;
    for (const trouble of troubles) {
      const text = textOf(trouble);
      if (this.#failures.has(text)) continue;
      const reason = sentence(trouble.error);
      const known = before.get(text);
      const isSame = known?.status.reason === reason;
      const status: ResourceStatus = isSame ? known.status : { state: 'failed', reason, since: now };
      this.#failures.set(text, { status, tries: (known?.tries ?? 0) + 1 });
      this.#mended.delete(text);
      if (!isSame && told++ < TOLD) this.#show(trouble, status);
    }
    for (const text of before.keys()) {
      if (this.#failures.has(text)) continue;
      this.#mended.set(text, now);
      if (told++ < TOLD) this.#tell(this.#keyOf(text), { state: 'ready', since: now });
    }
    // The time is that of the change: a state that goes on keeps it.
    if (this.#ready.state !== 'ready' && !this.#failures.has('routingDomain')) {
      this.#ready = { state: 'ready', since: now };
      if (!before.has('routingDomain')) this.#tell(this.#keyOf('routingDomain'), this.#ready);
    }
    return this.#failures.size === 0
      ? 0
      : Math.min(...[...this.#failures.values()].map(({ tries }) => tries));
  }

  #show(trouble: Trouble, status: ResourceStatus): void {
    const key = this.#keyOf(textOf(trouble));
    this.#log.error({ err: trouble.error, object: key }, 'cannot set up an object of a routing domain');
    this.#tell(key, status);
  }

  #keyOf(text: string): ResourceKey {
    const space = text.indexOf(' ');
    const kind = (space < 0 ? text : text.slice(0, space)) as ResourceKind;
    const id = space < 0 ? {} : { id: text.slice(space + 1) };
    return kind === 'port' ? { kind, ...id } : { kind, rdid: this.#rdid, ...id };
  }
}
