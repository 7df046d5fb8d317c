/**
 * The BGP of one routing domain, or of the node itself: keeps FRR in its place, tells it what is planned, and follows what becomes of
 * the sessions.
 * FRR goes on without this process. What it refuses is taken back, and what it had goes on.
 */
import { join } from 'node:path';
import type { BgpRoute, BgpState } from '../api/operations.ts';
import { HnvError } from '../errors.ts';
import { Retries } from '../node/retries.ts';
import { ownTurn } from '../own-turn.ts';
import type { BgpPlan } from '../policy/plan.ts';
import { bfdCommands } from './bgp-config.ts';
import { bgpRoutes } from './bgp-routes.ts';
import { BgpStates, type Neighbors, type SpokenPeer, type Summary, type TellPeer } from './bgp-states.ts';
import { configChanges } from './config-changes.ts';
import { type FrrPlace, type FrrWants, memoryOf, type RunningFrr, runFrr } from './frr.ts';
import { endSpeaker } from './speaker-end.ts';
import { UnsignedSegments } from './unsigned-segments.ts';
import { Vty } from './vty.ts';

/** FRR that has lived as long as this is worth a restart at once when it ends. */
const STEADY_MS = 60_000;
/** Between two looks at the peers: while one of them is not there, and else. */
const LOOK_MS = { eager: 1_000, calm: 5_000 } as const;
/** Between two looks at what hardly changes: memory, and whether the configuration is as it was made. */
const CHECK_MS = 30_000;
/** What FRR has refused is not tried again before. */
const REFUSED_MS = 60_000;
const ENDED = 'The BGP speaker has ended; it is started anew.';

/** What of a plan is needed beside the configuration that is made of it. */
export type SpeakerPlan = Pick<BgpPlan, 'asn' | 'gracefulRestartSeconds'> & { peers: readonly SpokenPeer[] };

interface Refusal {
  want: string;
  error: HnvError;
  at: number;
}

export class DomainBgp {
  readonly #place: FrrPlace;
  readonly #states: BgpStates;
  readonly #retries = new Retries();
  readonly #unsigned: UnsignedSegments;
  readonly #routesChanged: () => void;
  /** Of bgpd's tables, when routes were last compared, and whether the kernel may have got some of them since. */
  #tables = { version: '', isFresh: false };
  #plan: SpeakerPlan | undefined;
  /** Lines as bgpConfig() makes them. */
  #config: readonly string[] = [];
  #running: (RunningFrr & { wants: string }) | undefined;
  #vty: Vty | undefined;
  /** What FRR has taken last, or had when this process found it. */
  #accepted: readonly string[] | undefined;
  #refusal: Refusal | undefined;
  /** What is done one after the other. */
  #turn: Promise<unknown> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  /** What is established was so before this process began. */
  #isAdopting = false;
  #isEnded = false;
  #deaths = 0;
  #startedAt = 0;
  #checkedAt = Number.NEGATIVE_INFINITY;
  #hasDrifted = false;
  #memoryBytes = 0;

  /** `routesChanged` is called a second or a few after routes of peers have come or gone. */
  constructor(place: FrrPlace, tell: TellPeer, routesChanged: () => void = () => undefined) {
    this.#place = place;
    this.#routesChanged = routesChanged;
    this.#states = new BgpStates(tell);
    this.#unsigned = new UnsignedSegments(place.netns);
  }

  /** Makes it as planned. Throws HNV_BGP when FRR does not start, or refuses; then it has what it had before. */
  apply(plan: SpeakerPlan, config: readonly string[]): Promise<void> {
    return this.#inTurn(async () => {
      this.#plan = plan;
      this.#config = config;
      this.#states.keep(plan.peers);
      await this.#bring();
    });
  }

  /** Ends FRR, which tells the peers; with it go the routes. The namespace may be gone, or go next. */
  async remove(): Promise<void> {
    await this.#inTurn(async () => {
      this.close();
      await endSpeaker(this.#place);
    });
  }

  /** Lets go; FRR goes on. */
  close(): void {
    this.#isEnded = true;
    clearTimeout(this.#timer);
    this.#retries.stop();
    this.#vty?.close();
  }

  state(): BgpState {
    return {
      ...{ peers: this.#states.all(), memoryBytes: this.#memoryBytes },
      ...(this.#refusal && { refused: this.#refusal.error.message }),
    };
  }

  /** Undefined while FRR does not run. Rejects with HNV_BGP when it does not answer. */
  routes(): AsyncIterable<BgpRoute[]> | undefined {
    if (this.#running === undefined || this.#plan === undefined) return undefined;
    return bgpRoutes(this.#running, this.#plan.peers);
  }

  /** What is otherwise than this process has made it, as it was last looked at. */
  inspect(): string[] {
    return this.#hasDrifted ? ['the configuration of bgpd was another'] : [];
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

  async #bring(): Promise<void> {
    const plan = this.#plan;
    if (plan === undefined || this.#isEnded) return;
    const vty = await this.#open(plan);
    try {
      await this.#configure(vty);
      this.#hasDrifted = false;
    } finally {
      this.#unsigned.forget();
      if (!vty.isClosed) await this.#look(vty, plan).catch(() => undefined);
      this.#lookLater();
    }
  }

  /** FRR as it is found, or what is missing of it started. */
  async #open(plan: SpeakerPlan): Promise<Vty> {
    const wants: FrrWants = {
      bfd: plan.peers.some(({ bfd }) => bfd !== undefined),
      ...{ gracefulRestartSeconds: plan.gracefulRestartSeconds, zebra: this.#place.netns !== undefined },
    };
    const text = JSON.stringify(wants);
    if (this.#running?.wants !== text) {
      // What is to go ends as wanted.
      this.#running = undefined;
      const running = { ...(await runFrr(this.#place, wants)), wants: text };
      this.#running = running;
      this.#startedAt = performance.now();
      this.#checkedAt = Number.NEGATIVE_INFINITY;
      void running.ended.then(() => this.#died(running));
      if (running.isNew) this.#vty?.close();
    }
    if (this.#vty === undefined || this.#vty.isClosed) {
      const vty = await Vty.connect(this.#running.socket);
      this.#isAdopting = this.#vty === undefined && !this.#running.isNew;
      this.#vty = vty;
      void vty.closed.then(() => {
        if (this.#vty === vty && !this.#isEnded) this.#states.stop(ENDED);
      });
    }
    if (wants.bfd) await this.#makeProfiles(plan);
    return this.#vty;
  }

  #died(running: RunningFrr): void {
    if (this.#running !== running || this.#isEnded) return;
    this.#running = undefined;
    this.#deaths = performance.now() - this.#startedAt > STEADY_MS ? 0 : this.#deaths + 1;
    this.#again();
  }

  #again(): void {
    const retry = (): void => {
      this.#inTurn(() => this.#bring()).catch(() => {
        if (this.#running !== undefined) return; // it runs, and has refused
        this.#deaths++;
        this.#again();
      });
    };
    if (this.#deaths === 0) retry();
    else this.#retries.later('start', this.#deaths - 1, retry);
  }

  async #makeProfiles({ peers }: SpeakerPlan): Promise<void> {
    const vty = await Vty.connect(join(this.#place.folder, 'bfdd.vty'));
    try {
      await vty.show('configure terminal');
      for (const command of bfdCommands(peers)) await vty.show(command);
    } finally {
      vty.close();
    }
  }

  async #configure(vty: Vty): Promise<void> {
    const want = this.#config;
    const text = want.join('\n');
    const have = await runningConfig(vty);
    const changes = configChanges(have, want);
    const { want: refused, error, at } = this.#refusal ?? {};
    const isKnown = refused === text && performance.now() - (at ?? 0) < REFUSED_MS;
    if (isKnown && configChanges(have, this.#accepted ?? have).length === 0) throw error;
    const old = this.#accepted ?? have;
    const why = await tell(vty, changes);
    if (why === undefined) {
      this.#accepted = want;
      this.#refusal = undefined;
      // Another limit counts at once.
      for (const address of this.#states.overLimit())
        if (changes.some((line) => line.startsWith(`neighbor ${address} maximum-prefix `)))
          await vty.show(`clear bgp ${address}`);
      return;
    }
    this.#accepted = old;
    const refusal = new HnvError('HNV_BGP', why);
    this.#refusal = { want: text, error: refusal, at: performance.now() };
    await tell(vty, configChanges(await runningConfig(vty), old));
    throw refusal;
  }

  #lookLater(): void {
    if (this.#isEnded) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(
      () => {
        this.#inTurn(async () => {
          const [vty, plan] = [this.#vty, this.#plan];
          if (vty === undefined || plan === undefined || this.#isEnded) return;
          if (!vty.isClosed) await this.#look(vty, plan);
          // It has not answered in time. When it has ended, #died() brings it.
          else if (this.#running !== undefined) await this.#bring();
        })
          .catch(() => undefined) // without an answer, the connection ends
          .then(() => this.#lookLater());
      },
      this.#states.areAllUp ? LOOK_MS.calm : LOOK_MS.eager,
    );
    this.#timer.unref();
  }

  async #look(vty: Vty, plan: SpeakerPlan): Promise<void> {
    await ownTurn();
    const summary = await json<Summary>(vty, 'show bgp summary json');
    const neighbors: Neighbors = {};
    for (const address of this.#states.toAskFor(summary))
      Object.assign(neighbors, await json(vty, `show bgp neighbors ${address} json`));
    this.#states.see(plan, { summary, neighbors, isUnsigned: this.#unsigned.haveCome() }, this.#isAdopting);
    this.#isAdopting = false;
    this.#followTables(summary);
    if (this.#states.areAllUp) this.#unsigned.forget();
    if (performance.now() - this.#checkedAt > CHECK_MS) await this.#check(vty);
  }

  /** Once more at the look behind a change: zebra gives routes to the kernel a moment after bgpd has them. */
  #followTables(summary: Summary): void {
    const version = Object.values(summary)
      .map((family) => family?.tableVersion)
      .join(' ');
    const isFresh = version !== this.#tables.version;
    if (isFresh || this.#tables.isFresh) this.#routesChanged();
    this.#tables = { version, isFresh };
  }

  async #check(vty: Vty): Promise<void> {
    this.#checkedAt = performance.now();
    this.#memoryBytes = memoryOf(this.#running?.pids ?? []);
    await ownTurn();
    if (this.#accepted !== undefined)
      this.#hasDrifted = configChanges(await runningConfig(vty), this.#accepted).length > 0;
  }
}

async function runningConfig(vty: Vty): Promise<string[]> {
  return (await vty.show('show running-config')).split('\n');
}

async function json<T>(vty: Vty, command: string): Promise<T> {
  return JSON.parse(await vty.show(command)) as T;
}

/** Resolves to the reason why it refuses one of them, without secrets. */
async function tell(vty: Vty, commands: readonly string[]): Promise<string | undefined> {
  if (commands.length === 0) return undefined;
  await vty.show('configure terminal');
  try {
    for (const command of commands) {
      const { text, status } = await vty.command(command);
      if (status === 0) continue;
      const words = text.replaceAll('%', '').trim().replace(/\s+/g, ' ');
      const said = words === '' ? `status ${status}` : words;
      return `FRR refuses '${command.replace(/( password) .*/, '$1 …')}': ${said}`;
    }
    return undefined;
  } finally {
    if (!vty.isClosed) await vty.show('end');
  }
}
