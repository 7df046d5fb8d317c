/**
 * Tells other nodes what was learned here: each record goes, at once, to the API of every peer. A peer that is down gets
 * the newest of each record when it is back, and holds up no other. What is sent is read from the store at that
 * moment: a record that has become another node's meanwhile is not ours to tell any more.
 */
import type { Logger } from 'pino';
import type { PeerAddress } from '../config/peer-address.ts';
import type { LookupRecord } from '../policy/resources.ts';
import type { Store } from '../store/store.ts';
import { type ApiAnswer, ApiPeer, type PeerFiles } from './api-peer.ts';
import type { LearnedRecord } from './learning.ts';

const RETRY_FIRST_MS = 100;
const RETRY_LIMIT_MS = 10_000;
/** Requests to one peer at a time. */
const CONCURRENCY = 8;
/** How often a record that the peer refuses is tried; its routing domain may be on the way there. */
const REFUSALS = 8;

/** A record that a peer must be told of. */
interface Due {
  record: LearnedRecord;
  /** Leave what the peer has from elsewhere: it may be newer than what this node had before it began. */
  yields: boolean;
  refusals: number;
}

interface RemoteRecord {
  providerAddress?: string;
}

const keyOf = ({ rdid, id }: LearnedRecord): string => `${rdid} ${id}`;

/** Whom to tell, and with which token. */
export interface Peers extends PeerFiles {
  readonly publish: readonly PeerAddress[];
}

export class Publisher {
  readonly #peers: PeerQueue[];

  constructor(store: Store, log: Logger, { publish, ...files }: Peers) {
    this.#peers = publish.map((address) => new PeerQueue(store, log, new ApiPeer(address, files)));
  }

  /** The record was written or deleted here. */
  publish(record: LearnedRecord): void {
    for (const peer of this.#peers) peer.add(record, false);
  }

  /** The record was here when this process began: peers that know of nothing newer get it. */
  remind(record: LearnedRecord): void {
    for (const peer of this.#peers) peer.add(record, true);
  }

  /** Peers that did not answer the last time. */
  get unreachable(): string[] {
    return this.#peers.filter((peer) => peer.isDown).map((peer) => peer.name);
  }

  async close(): Promise<void> {
    await Promise.all(this.#peers.map((peer) => peer.close()));
  }
}

class PeerQueue {
  readonly #store: Store;
  readonly #log: Logger;
  readonly #api: ApiPeer;
  /** By key; at most one request of a key is under way, so that its changes arrive in order. */
  readonly #due = new Map<string, Due>();
  readonly #underWay = new Map<string, Promise<void>>();
  /** Refused records that wait to be tried again. */
  readonly #timers = new Map<string, NodeJS.Timeout>();
  /** Since the peer does not answer. */
  #failures = 0;
  #pause: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(store: Store, log: Logger, api: ApiPeer) {
    this.#store = store;
    this.#log = log;
    this.#api = api;
  }

  get name(): string {
    return this.#api.name;
  }

  get isDown(): boolean {
    return this.#failures > 0;
  }

  add(record: LearnedRecord, yields: boolean): void {
    const key = keyOf(record);
    clearTimeout(this.#timers.get(key));
    this.#timers.delete(key);
    this.#due.set(key, { record, yields, refusals: 0 });
    this.#pump();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#pause);
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#api.close();
    await Promise.all(this.#underWay.values());
  }

  #pump(): void {
    if (this.#closed || this.#pause !== undefined) return;
    // A peer that was down is asked with one request first.
    const most = this.isDown ? 1 : CONCURRENCY;
    for (const [key, due] of this.#due) {
      if (this.#underWay.size >= most) return;
      if (this.#underWay.has(key)) continue;
      this.#due.delete(key);
      this.#underWay.set(key, this.#run(key, due));
    }
  }

  async #run(key: string, due: Due): Promise<void> {
    // Let the caller note that it is under way.
    await Promise.resolve();
    try {
      const refusal = await this.#send(due);
      if (this.#failures > 0) this.#log.info({ peer: this.name }, 'a peer answers again');
      this.#failures = 0;
      if (refusal !== undefined) this.#refused(key, due, refusal);
    } catch (error) {
      if (!this.#due.has(key)) this.#due.set(key, due);
      if (!this.#closed) this.#failed(error);
    }
    this.#underWay.delete(key);
    this.#pump();
  }

  #failed(error: unknown): void {
    if (this.#failures === 0) this.#log.warn({ err: error, peer: this.name }, 'a peer does not answer');
    if (this.#pause !== undefined) return;
    const ms = Math.min(RETRY_FIRST_MS * 2 ** this.#failures++, RETRY_LIMIT_MS);
    this.#pause = setTimeout(() => {
      this.#pause = undefined;
      this.#pump();
    }, ms);
  }

  #refused(key: string, due: Due, answer: ApiAnswer): void {
    const refusals = due.refusals + 1;
    const fields = { peer: this.name, ...due.record, status: answer.status, answer: answer.body };
    if (refusals === 1) this.#log.warn(fields, 'a peer does not take what was learned');
    if (refusals >= REFUSALS || this.#closed || this.#due.has(key)) return;
    const timer = setTimeout(
      () => {
        this.#timers.delete(key);
        this.#due.set(key, { ...due, refusals });
        this.#pump();
      },
      Math.min(RETRY_FIRST_MS * 2 ** refusals, RETRY_LIMIT_MS),
    );
    this.#timers.set(key, timer);
  }

  /** Tells the peer what the store has now. Returns the answer when the peer refuses it; throws when it does not answer. */
  async #send({ record, yields }: Due): Promise<ApiAnswer | undefined> {
    const { rdid, id, providerAddress } = record;
    const path = `/v1/routing-domains/${rdid}/lookup-records/${id}`;
    const value = this.#store.state.domains.get(rdid)?.lookupRecords.get(id);
    if (value === undefined) return this.#sendDelete(path, providerAddress);
    if (value.providerAddress !== providerAddress) return undefined;
    if (yields && (await this.#isForeign(path, providerAddress))) return undefined;
    return refusalOf(await this.#api.request('PUT', path, { body: value satisfies LookupRecord }));
  }

  async #isForeign(path: string, providerAddress: string): Promise<boolean> {
    const { status, body } = await this.#api.request('GET', path);
    return status === 200 && (body as RemoteRecord).providerAddress !== providerAddress;
  }

  /** Deletes the peer's record only while it is the one from here: the address may have been learned elsewhere since. */
  async #sendDelete(path: string, providerAddress: string): Promise<ApiAnswer | undefined> {
    for (;;) {
      const { status, body, etag } = await this.#api.request('GET', path);
      if (status !== 200 || etag === undefined) return undefined;
      if ((body as RemoteRecord).providerAddress !== providerAddress) return undefined;
      const answer = await this.#api.request('DELETE', path, { ifMatch: etag });
      if (answer.status === 404) return undefined;
      if (answer.status !== 412) return refusalOf(answer);
    }
  }
}

function refusalOf(answer: ApiAnswer): ApiAnswer | undefined {
  return answer.status < 300 ? undefined : answer;
}
