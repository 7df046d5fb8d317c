/**
 * The site connections of one routing domain: keeps a charon in its context, tells it what the plan says, follows what
 * becomes of the tunnels, and lets routes and limits follow them. Charon goes on without this process.
 */
import type { SiteConnectionLive, SiteConnectionState } from '../api/operations.ts';
import { HnvError } from '../errors.ts';
import type { Trouble } from '../node/reconciler.ts';
import { Retries } from '../node/retries.ts';
import type { SiteConnectionPlan } from '../policy/plan.ts';
import { Attempts } from './attempts.ts';
import { type CharonPlace, endCharon, runCharon } from './charon.ts';
import { CharonSession, type UpConnection } from './charon-session.ts';
import { type CharonSaying, CharonWords, wantedReqid } from './charon-words.ts';
import { ConnectionStates, type TellConnection } from './connection-states.ts';
import type { IpsecEngine } from './engine.ts';
import { LoadedConnections } from './loaded-connections.ts';
import {
  applySiteLinks,
  inspectSiteLinks,
  removeSiteLinks,
  type SitePath,
  type SitePlace,
} from './site-links.ts';
import { outrun, sitePaths, waitingFor } from './site-paths.ts';
import { tunnelMtu } from './tunnel-mtu.ts';
import type { ViciMessage } from './vici-message.ts';

/** What the context of a domain should have of tunnels. */
export interface TunnelsRequest {
  netns: string;
  plans: readonly SiteConnectionPlan[];
  /** Of `ext`, bytes. */
  externalMtu: number;
  /** The context's own addresses towards the tenant. */
  addresses: readonly string[];
}

/** A charon that lived as long as this is worth a restart at once when it dies. */
const STEADY_MS = 60_000;
/** Between two times that SAs are made anew to be the youngest. */
const OUTRUN_MS = 5_000;
/** Of the delays of Retries, those of another look: 0.8 s when one failed, 6.4 s when SAs may be made anew again. */
const LOOK_AGAIN = { failed: 3, outrun: 6 } as const;

export class DomainTunnels {
  readonly #place: CharonPlace;
  readonly #engine: IpsecEngine;
  readonly #states: ConnectionStates;
  readonly #retries = new Retries();
  readonly #loaded: LoadedConnections;
  readonly #attempts: Attempts;
  #request: TunnelsRequest | undefined;
  #session: CharonSession | undefined;
  #words: CharonWords | undefined;
  #paths: SitePath[] = [];
  /** What is done one after the other. */
  #turn: Promise<unknown> = Promise.resolve();
  /** What is up was so before this process began. */
  #isAdopting = false;
  #isLookDue = false;
  #isEnded = false;
  #deaths = 0;
  #startedAt = 0;
  #outrunAt = 0;

  constructor(place: CharonPlace, engine: IpsecEngine, tell: TellConnection) {
    this.#place = place;
    this.#engine = engine;
    this.#states = new ConnectionStates(tell);
    this.#loaded = new LoadedConnections(place.folder, engine);
    this.#attempts = new Attempts({
      ...{ retries: this.#retries, loaded: this.#loaded },
      plan: (name) => this.#plans.find((plan) => plan.name === name),
      withSession: (work) =>
        this.#inTurn(async () => {
          if (this.#session !== undefined && !this.#isEnded) await work(this.#session);
        }),
      fail: (name, error) => this.#states.fail(name, textOf(error)),
    });
  }

  /** Makes it as asked for; what cannot be is answered, connection by connection. Throws HNV_SITE when none can. */
  apply(request: TunnelsRequest): Promise<Trouble[]> {
    return this.#inTurn(async () => {
      this.#request = request;
      this.#states.keep(request.plans);
      return this.#bring();
    });
  }

  /** Ends charon, and with it all tunnels. The namespace may be gone, or go next. */
  async remove(): Promise<void> {
    await this.#inTurn(async () => {
      this.close();
      await endCharon(this.#place);
    });
  }

  /** As remove(), of a context that goes on. */
  async clear(): Promise<void> {
    await this.remove();
    await removeSiteLinks(this.#place.netns, this.#engine);
  }

  /** Lets go; charon goes on. */
  close(): void {
    this.#isEnded = true;
    this.#retries.stop();
    this.#words?.close();
    this.#session?.close();
  }

  states(): ReadonlyMap<string, SiteConnectionState> {
    return this.#states.all();
  }

  /** Throws HNV_SITE when charon does not answer. */
  async live(name: string): Promise<SiteConnectionLive | undefined> {
    const state = this.#states.all().get(name);
    if (state === undefined) return undefined;
    const ikeSas = (await this.#session?.ikeSas(name)) ?? [];
    return { ...state, engine: this.#engine, ikeSas };
  }

  /** What of link, routes and limits is otherwise than this process has made it. */
  inspect(): string[] {
    const request = this.#request;
    if (request === undefined || this.#session === undefined || this.#isEnded) return [];
    return inspectSiteLinks(this.#sitePlace(request), request.plans, this.#paths);
  }

  get #plans(): readonly SiteConnectionPlan[] {
    return this.#request?.plans ?? [];
  }

  /** An error of one turn is nobody else's. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.then(
      () => undefined,
      () => undefined,
    );
    return done;
  }

  #sitePlace({ netns, plans, externalMtu, addresses }: TunnelsRequest): SitePlace {
    return { netns, engine: this.#engine, mtu: tunnelMtu(plans, externalMtu, this.#engine), addresses };
  }

  async #bring(): Promise<Trouble[]> {
    const request = this.#request;
    if (request === undefined || this.#isEnded) return [];
    try {
      const session = this.#session ?? (await this.#open());
      // What is up goes on to carry what it does, whoever began it.
      this.#paths = sitePaths(request.plans, await session.up());
      await applySiteLinks(this.#sitePlace(request), request.plans, this.#paths);
      const troubles = await this.#load(session, request.plans);
      await this.#look(session);
      return troubles;
    } catch (error) {
      for (const { name } of request.plans) this.#states.fail(name, textOf(error));
      throw error;
    }
  }

  /** Charon as it is found, or a new one. */
  async #open(): Promise<CharonSession> {
    const { socket, isNew } = await runCharon(this.#place, this.#engine);
    this.#words = new CharonWords((saying) => this.#understand(saying));
    const session = await CharonSession.open(socket, {
      changed: () => this.#lookSoon(),
      said: (line) => this.#hear(line),
    });
    this.#loaded.begin(isNew ? [] : await session.connections());
    this.#startedAt = performance.now();
    this.#session = session;
    this.#isAdopting = !isNew;
    void session.closed.then(() => this.#died(session));
    return session;
  }

  #died(session: CharonSession): void {
    if (this.#session !== session || this.#isEnded) return;
    this.#session = undefined;
    session.close();
    this.#words?.close();
    this.#deaths = performance.now() - this.#startedAt > STEADY_MS ? 0 : this.#deaths + 1;
    for (const name of this.#states.all().keys()) this.#states.fail(name, 'The IKE daemon has ended.');
    this.#states.see([], false);
    this.#again();
  }

  #again(): void {
    const retry = (): void => {
      this.#inTurn(() => this.#bring()).catch(() => {
        this.#deaths++;
        this.#again();
      });
    };
    if (this.#deaths === 0) retry();
    else this.#retries.later(this.#place.netns, this.#deaths, retry);
  }

  async #load(session: CharonSession, plans: readonly SiteConnectionPlan[]): Promise<Trouble[]> {
    const troubles: Trouble[] = [];
    await this.#loaded.keepOnly(session, plans);
    for (const plan of plans) {
      const { name } = plan;
      try {
        const what = await this.#loaded.tell(session, plan);
        if (what === 'changed') this.#states.renew(name);
        if (what !== 'same') this.#attempts.reset(name);
      } catch (error) {
        this.#states.fail(name, textOf(error));
        troubles.push({ kind: 'siteConnection', id: name, error });
      }
    }
    return troubles;
  }

  /** Several changes at a time are looked at once. */
  #lookSoon(): void {
    if (this.#isLookDue || this.#isEnded) return;
    this.#isLookDue = true;
    this.#inTurn(async () => {
      this.#isLookDue = false;
      if (this.#session !== undefined && !this.#isEnded) await this.#look(this.#session);
    }).catch(() => this.#lookLater('failed'));
  }

  #lookLater(why: keyof typeof LOOK_AGAIN): void {
    this.#retries.later('look', LOOK_AGAIN[why], () => this.#lookSoon());
  }

  /** What is up, and what follows from that. */
  async #look(session: CharonSession): Promise<void> {
    const request = this.#request;
    if (request === undefined) return;
    const { plans } = request;
    const up = await session.up();
    const paths = sitePaths(plans, up);
    await applySiteLinks(this.#sitePlace(request), plans, paths);
    this.#paths = paths;
    this.#states.see(
      [...up].map(([name, { peer }]) => ({ name, peer, carries: carriesAll(name, plans, paths) })),
      this.#isAdopting,
    );
    this.#isAdopting = false;
    for (const { name, initiate } of plans)
      if (up.has(name)) this.#attempts.reset(name);
      else if (initiate === 'start') this.#attempts.later(name);
    await this.#outrun(session, up);
  }

  async #outrun(session: CharonSession, up: ReadonlyMap<string, UpConnection>): Promise<void> {
    const found = outrun(this.#plans, up);
    if (found.length === 0) return;
    const now = performance.now();
    if (now - this.#outrunAt < OUTRUN_MS) {
      this.#lookLater('outrun');
      return;
    }
    this.#outrunAt = now;
    for (const { name, byRekeying } of found) await (byRekeying ? session.rekey(name) : session.remake(name));
  }

  #hear(line: ViciMessage): void {
    if (this.#isEnded) return;
    this.#words?.read(line);
    const wanted = wantedReqid(line);
    if (wanted !== undefined) this.#attempts.dial(waitingFor(wanted, this.#plans));
  }

  /** What a peer has said before it was known which connection it means concerns all that it is the peer of. */
  #understand({ connection, peer, reason }: CharonSaying): void {
    if (this.#isEnded) return;
    const concerned = this.#plans.filter(({ name, destinations }) =>
      connection === undefined ? destinations.includes(peer ?? '') : name === connection,
    );
    for (const plan of concerned) {
      this.#states.fail(plan.name, reason);
      this.#attempts.failed(plan);
    }
  }
}

function carriesAll(name: string, plans: readonly SiteConnectionPlan[], paths: readonly SitePath[]): boolean {
  const plan = plans.find((one) => one.name === name);
  return (
    plan?.subnets.every(({ prefix }) =>
      paths.some((path) => path.prefix === prefix && path.connection === name && !path.isWaiting),
    ) ?? false
  );
}

function textOf(error: unknown): string {
  return error instanceof HnvError ? error.message : String(error);
}
