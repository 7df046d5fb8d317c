/**
 * Listens to the `log` events of one charon and tells why tunnels are not there. Charon sends these events from several threads:
 * what it says in one breath comes in any order. So lines are kept by IKE SA, and judged a moment after one that ends an
 * attempt.
 */
import { type Evidence, reasonOf, tells } from './charon-reasons.ts';
import type { ViciMessage } from './vici-message.ts';

export interface CharonSaying {
  /** Absent when charon did not get so far as to choose one. */
  connection?: string;
  /** Address of the site. */
  peer?: string;
  /** Part of a sentence, for people; with what the site says of itself. */
  reason: string;
}

/** Who asks for an IKE SA makes one here, whoever it is: no more of them, and of their lines, are remembered. */
const MOST_SAS = 64;
const MOST_LINES = 32;
const LONGEST_REASON = 1000;
/** What is said in one breath is here after this many milliseconds. */
const BREATH_MS = 100;
/** Charon's name of an SA that it has not found a connection for yet. */
const UNNAMED = '(unnamed)';

interface Sa extends Evidence {
  connection?: string;
  lines: string[];
  timer?: NodeJS.Timeout;
}

export class CharonWords {
  readonly #say: (saying: CharonSaying) => void;
  /** By charon's number of the IKE SA; oldest first. */
  readonly #sas = new Map<string, Sa>();
  /** Whose packet was the last to be sent. */
  #sender: Sa | undefined;

  constructor(say: (saying: CharonSaying) => void) {
    this.#say = say;
  }

  read({ group, msg, 'ikesa-name': name, 'ikesa-uniqueid': id }: ViciMessage): void {
    if (typeof msg !== 'string') return;
    if (typeof id !== 'string') {
      const error = /^error writing to socket: (.*)$/.exec(msg)?.[1];
      if (error !== undefined && this.#sender !== undefined) this.#sender.sendError = error;
      return;
    }
    const sa = this.#sa(id);
    if (typeof name === 'string' && name !== UNNAMED) sa.connection = name;
    if (group === 'NET') this.#readPacket(sa, msg);
    const when = tells(msg);
    if (when === undefined && (group === 'NET' || group === 'ENC')) return;
    sa.lines.push(msg);
    if (sa.lines.length > MOST_LINES) sa.lines.shift();
    if (when === 'now') this.#judge(sa);
    else if (when === 'soon') sa.timer ??= setTimeout(() => this.#judge(sa), BREATH_MS).unref();
  }

  /** Nothing is said any more. */
  close(): void {
    for (const { timer } of this.#sas.values()) clearTimeout(timer);
    this.#sas.clear();
  }

  #sa(id: string): Sa {
    let sa = this.#sas.get(id);
    if (sa === undefined) {
      sa = { lines: [] };
      this.#sas.set(id, sa);
      this.#forgetOldest();
    }
    return sa;
  }

  #forgetOldest(): void {
    if (this.#sas.size <= MOST_SAS) return;
    for (const [id, sa] of this.#sas) {
      this.#sas.delete(id);
      if (sa.timer !== undefined) this.#judge(sa);
      return;
    }
  }

  #readPacket(sa: Sa, line: string): void {
    const sent = /^sending packet: from \S+ to (\S+)\[\d+\] /.exec(line)?.[1];
    const received = /^received packet: from (\S+)\[\d+\] /.exec(line)?.[1];
    if (sent !== undefined) this.#sender = sa;
    if (received !== undefined) delete sa.sendError;
    const peer = sent ?? received;
    if (peer !== undefined) sa.peer = peer;
  }

  #judge(sa: Sa): void {
    clearTimeout(sa.timer);
    delete sa.timer;
    const reason = reasonOf(sa)?.slice(0, LONGEST_REASON);
    sa.lines = [];
    if (reason === undefined) return;
    const { connection, peer } = sa;
    this.#say({ ...(connection && { connection }), ...(peer && { peer }), reason });
  }
}

/** The number of the connection that a packet waits for, in a line of kernel-libipsec's, which has no other way to tell it. */
export function wantedReqid({ group, msg }: ViciMessage): number | undefined {
  if (group !== 'ESP' || typeof msg !== 'string') return undefined;
  const found = /^could not find an outbound IPsec SA for reqid \{(\d+)\}/.exec(msg);
  return found === null ? undefined : Number(found[1]);
}
