/**
 * Follows the sessions of routing contexts: their beginnings and ends as the kernel tells them, and a list of those that there are
 * where something may have been missed. For a thread of its own: it reads as long as there is something to read.
 */
import { HnvError } from '../../errors.ts';
import { endSessions, sessionsOf } from '../../linux/conntrack.ts';
import { ConntrackEvents } from '../../linux/conntrack-events.ts';
import { netnsId } from '../../linux/namespace-id.ts';
import { netnsExists } from '../../linux/netns.ts';
import { Readable } from '../../linux/readable.ts';
import { ownTurn } from '../../own-turn.ts';
import { record } from './records.ts';
import { SessionBook } from './session-book.ts';

/** Calls that read one after the other before others have their turn. */
const READS = 32;

export interface SessionWatchOptions {
  /** Of what the kernel may keep until it is read. */
  bufferBytes: number;
  /** What began before was recorded by an earlier process; milliseconds since 1970. */
  knownUntil: number;
  /** Takes lines of the log. */
  write: (lines: string) => void;
  /** Everything that happened until then has been written. */
  onWhole: (time: number) => void;
  /** Called when an event comes from a namespace that is not known: perhaps it is about to be. */
  onStranger: () => void;
}

interface Context {
  netns: string;
  nsid: number;
}

export class SessionWatch {
  readonly #options: SessionWatchOptions;
  readonly #book: SessionBook;
  readonly #events: ConntrackEvents;
  readonly #readable: Readable;
  readonly #contexts = new Map<string, Context>();
  readonly #rdids = new Map<number, string>();
  readonly #toList = new Set<string>();
  #listing: Promise<void> | undefined;
  /** When the last overrun was, milliseconds since 1970. */
  overrunAt: number | undefined;

  constructor(options: SessionWatchOptions) {
    this.#options = options;
    this.#book = new SessionBook(options.knownUntil);
    this.#events = new ConntrackEvents(options.bufferBytes);
    this.#readable = new Readable(this.#events.fd, () => this.read());
  }

  /** Follows a domain's context; `isOld`: it may have sessions already. Nothing when it has gone meanwhile. */
  add(rdid: string, netns: string, isOld: boolean): void {
    const nsid = netnsExists(netns) ? netnsId(netns) : undefined;
    const known = this.#contexts.get(rdid);
    if (nsid === undefined || known?.nsid === nsid) return;
    if (known !== undefined) this.#remove(rdid);
    this.#contexts.set(rdid, { netns, nsid });
    this.#rdids.set(nsid, rdid);
    if (isOld) this.#list([rdid]);
  }

  /** Ends the sessions of a context that is going to be removed, and resolves when their ends are written. */
  async end(rdid: string): Promise<void> {
    const context = this.#contexts.get(rdid);
    // A few hundred at a time: what does not fit into the socket, the kernel tells much later, and never of what is gone.
    if (context !== undefined)
      await ifThere(async () => {
        for await (const sessions of sessionsOf(context.netns)) {
          endSessions(
            context.netns,
            sessions.map((session) => session.key()),
          );
          while (!this.read()) await ownTurn();
        }
      });
    this.#remove(rdid);
    await this.#listing;
  }

  /** Reads what there is, at most a few thousand events; answers whether that was all. */
  read(): boolean {
    const now = Date.now();
    let lines = '';
    let isEmpty = false;
    for (let reads = 0; reads < READS && !isEmpty; reads++) {
      const state = this.#events.read((nsid, isEnd, session) => {
        if (!this.#rdids.has(nsid)) this.#options.onStranger();
        const rdid = this.#rdids.get(nsid);
        if (rdid !== undefined) lines += this.#book.heard(rdid, isEnd, session, now);
      });
      isEmpty = state === 'empty';
      if (state === 'overrun') {
        this.overrunAt = now;
        lines += record(now, 'overrun');
        this.#list(this.#contexts.keys());
      }
    }
    if (lines !== '') this.#options.write(lines);
    if (isEmpty && this.#listing === undefined) this.#options.onWhole(now);
    return isEmpty;
  }

  close(): void {
    this.#toList.clear();
    this.#contexts.clear();
    this.#readable.close();
    this.#events.close();
  }

  #remove(rdid: string): void {
    const context = this.#contexts.get(rdid);
    if (context !== undefined && this.#rdids.get(context.nsid) === rdid) this.#rdids.delete(context.nsid);
    this.#contexts.delete(rdid);
    this.#book.forget(rdid);
  }

  #list(rdids: Iterable<string>): void {
    for (const rdid of rdids) this.#toList.add(rdid);
    if (this.#toList.size > 0) this.#listing ??= this.#listAll();
  }

  async #listAll(): Promise<void> {
    for (const rdid of this.#toList) {
      this.#toList.delete(rdid);
      await ifThere(() => this.#listOne(rdid));
    }
    this.#listing = undefined;
  }

  async #listOne(rdid: string): Promise<void> {
    const context = this.#contexts.get(rdid);
    if (context === undefined) return;
    this.#book.beginList(rdid);
    for await (const sessions of sessionsOf(context.netns)) {
      if (this.#contexts.get(rdid) !== context) return;
      const now = Date.now();
      this.#options.write(sessions.map((session) => this.#book.listed(rdid, session, now)).join(''));
    }
    this.#book.endList(rdid);
  }
}

/** Nothing is to be done in a namespace that has gone. */
async function ifThere(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof HnvError && error.code === 'HNV_NETNS')) throw error;
  }
}
