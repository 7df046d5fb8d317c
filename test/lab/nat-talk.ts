/**
 * Words that are said through NAT, and what the model says of each: who hears it, as whom its speaker is seen, whether an
 * answer comes. What must come is waited for; what must not is found whenever it comes, to the end of the test.
 */
import type { Conversation, Heard, Peer } from './conversation.ts';
import { covers, type Endpoint, type Share } from './nat-model.ts';
import { until } from './until.ts';

/** A question that can be given up. */
interface Closable {
  destroy(): void;
}

export interface Question {
  word: string;
  asker: Peer;
  /** For messages: what is asked, and of whom. */
  text: string;
  say(): Closable | undefined;
  /** Nobody but us says it again when it is lost. */
  isRepeated: boolean;
  /** Who hears it, and at which port; of a ping, under any identifier. Nobody when undefined. */
  hearer: { name: string; port?: number } | undefined;
  /** The speaker is seen as one of these. */
  seenAs?: readonly Share[];
  /** Who answers, if anybody does. */
  answeredBy: string | undefined;
  /** Nobody listens there, perhaps. */
  mayBeSilent?: boolean;
}

/** More than a dozen retransmissions of TCP's first second take. */
const ANSWER_MS = 8_000;
/** Turns of `until` between two tries. */
const AGAIN_AFTER = 5;

export class Talk {
  readonly #conversation: Conversation;
  readonly #questions: Question[] = [];

  constructor(conversation: Conversation) {
    this.#conversation = conversation;
  }

  get words(): number {
    return this.#questions.length;
  }

  /** Who heard a word, and whom he saw. */
  heard({ word }: Question): readonly Heard[] {
    return this.#conversation.heard(word);
  }

  /** Says everything at once and waits for the answers that must come; what is wrong. */
  async ask(questions: readonly Question[]): Promise<string[]> {
    this.#questions.push(...questions);
    const open = questions.flatMap(({ say }) => say() ?? []);
    const missing = () =>
      questions.filter(
        ({ word, answeredBy, mayBeSilent }) =>
          answeredBy !== undefined && !mayBeSilent && this.#conversation.answers(word).length === 0,
      );
    let turn = 0;
    await until('all is answered', ANSWER_MS, () => {
      this.#conversation.readPings();
      const left = missing();
      if (++turn % AGAIN_AFTER === 0) for (const { isRepeated, say } of left) if (isRepeated) say();
      return left.length === 0;
    }).catch(() => undefined);
    for (const connection of open) connection.destroy();
    return missing().map(
      (question) => `${told(question)}: no answer; heard by ${JSON.stringify(this.heard(question))}`,
    );
  }

  /** What has arrived where, or as what, it must not, since the beginning. */
  misled(): string[] {
    this.#conversation.readPings();
    return this.#questions.flatMap((question) => this.#misled(question));
  }

  #misled(question: Question): string[] {
    const { asker, word, hearer, seenAs, answeredBy } = question;
    const problems: string[] = [];
    for (const { peer, port, from } of this.#conversation.heard(word)) {
      if (peer !== hearer?.name || (hearer.port !== undefined && port !== hearer.port))
        problems.push(`${told(question)}: heard by ${peer} at ${port}, not by ${JSON.stringify(hearer)}`);
      if (seenAs !== undefined && !seenAs.some((share) => covers(share, from)))
        problems.push(`${told(question)}: seen as ${from.address}:${from.port}`);
    }
    for (const { to, by } of this.#conversation.answers(word))
      if (to !== asker.name || by !== answeredBy)
        problems.push(`${told(question)}: answered to ${to} by ${by}, not by ${answeredBy}`);
    return problems;
  }
}

function told({ word, text }: Question): string {
  return `${word} (${text})`;
}

/** A word over UDP; `from` where it is not the peer's first address. */
export function byUdp(asker: Peer, word: string, port: number, to: Endpoint, from?: string) {
  const text = `udp ${port} to ${to.address}:${to.port}`;
  return { word, asker, text, isRepeated: true, say: () => void asker.sayUdp(word, port, to, from) };
}

/** A word over a TCP connection of its own. */
export function byTcp(asker: Peer, word: string, port: number, to: Endpoint, from?: string) {
  const text = `tcp ${port} to ${to.address}:${to.port}`;
  return { word, asker, text, isRepeated: false, say: () => asker.sayTcp(word, port, to, from) };
}

export function byPing(asker: Peer, word: string, id: number, to: string) {
  const text = `ping ${id} to ${to}`;
  return { word, asker, text, isRepeated: true, say: () => void asker.ping(word, id, to) };
}
