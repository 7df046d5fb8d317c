/**
 * The process of strongSwan's IKE daemon in a routing context: started, found again, ended. It goes on when this process ends, in
 * whatever way, and with it the tunnels. Its folder has its settings, its socket and a note of its process id, and no secret.
 */
import { existsSync, mkdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { HnvError } from '../errors.ts';
import { type Detached, startDetached } from '../linux/child-process.ts';
import {
  type Daemon,
  daemonOf,
  endDaemon,
  findDaemon,
  isAlive,
  isInNetns,
  noteDaemon,
  noteStart,
} from '../linux/daemon.ts';
import { ip } from '../linux/iproute2.ts';
import { inNetns } from '../linux/netns.ts';
import { ownTurn } from '../own-turn.ts';
import { charonSettings } from './charon-settings.ts';
import { CHARON, type IpsecEngine, missingPackages } from './engine.ts';
import { ViciClient } from './vici-client.ts';

export interface CharonPlace {
  netns: string;
  /** Of its files. */
  folder: string;
}

export interface RunningCharon {
  /** Where it listens for VICI. */
  socket: string;
  pid: number;
  /** Just started: it knows no connection. */
  isNew: boolean;
}

const FOLDER = '/run/hnvgw';
const SETTINGS = 'strongswan.conf';
const SOCKET = 'charon.vici';
const NOTE = 'pid';
const SETTINGS_VARIABLE = 'STRONGSWAN_CONF';
/**
 * SCHED_BATCH (sched(7)): in the userspace engine a packet goes from thread to thread, and one that wakes another is not put aside
 * for it. So packets gather while the CPUs are busy, and a tunnel carries a fifth more of them.
 */
const UNHURRIED = ['--batch', '0'];
/** How long it may take to answer. A start takes 20 ms on an idle machine. */
const START_MS = 15_000;
const LOOK_MS = 10;
/** Last lines of those that tell why a start has failed. */
const LINES = 4;

export function charonPlace(instance: string, netns: string): CharonPlace {
  return { netns, folder: join(FOLDER, instance, 'ipsec', netns) };
}

/**
 * Resolves when charon answers in that place: the one that is there already, when it has the settings that it should and is in the
 * namespace, else a new one. Throws HNV_SITE when strongSwan is not installed, or charon does not start.
 */
export async function runCharon(place: CharonPlace, engine: IpsecEngine): Promise<RunningCharon> {
  const socket = join(place.folder, SOCKET);
  const settings = charonSettings(engine, socket);
  const there = findProcess(place);
  if (there !== undefined) {
    if (isAsWanted(place, there, settings) && (await answers(socket))) {
      noteDaemon(join(place.folder, NOTE), there);
      return { socket, pid: there.pid, isNew: false };
    }
    await end(there);
  }
  const missing = missingPackages(engine);
  if (missing.length > 0)
    throw new HnvError('HNV_SITE', `strongSwan is not installed: the Debian packages ${missing.join(', ')}.`);
  // What a charon that was killed has left in the kernel would be in the way of the same SAs made anew.
  if (engine === 'kernel')
    for (const what of ['policy', 'state']) await ip(['xfrm', what, 'flush'], { netns: place.netns });
  await ownTurn();
  return { socket, pid: await start(place, settings, socket), isNew: true };
}

/** Whether a process of charon is there, whatever it does. */
export function isCharonThere(place: CharonPlace): boolean {
  return findProcess(place) !== undefined;
}

/** Ends charon, if it is there; it tells its peers. Removes its files. Throws HNV_SITE when it does not end. */
export async function endCharon(place: CharonPlace): Promise<void> {
  const there = findProcess(place);
  if (there !== undefined) await end(there);
  rmSync(place.folder, { recursive: true, force: true });
  for (const folder of [dirname(place.folder), dirname(dirname(place.folder))])
    try {
      rmdirSync(folder);
    } catch {
      return; // others are in it
    }
}

async function start({ netns, folder }: CharonPlace, settings: string, socket: string): Promise<number> {
  const file = join(folder, SETTINGS);
  mkdirSync(dirname(folder), { recursive: true });
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  rmSync(join(folder, SOCKET), { force: true });
  writeFileSync(file, settings, { mode: 0o600 });
  noteStart(join(folder, NOTE));
  // Nothing else of our environment: it would tell systemd in our name that it is ready.
  const environment = { [SETTINGS_VARIABLE]: file };
  const detached = startDetached('chrt', [...UNHURRIED, CHARON], environment, (begin) =>
    inNetns(netns, begin),
  );
  try {
    const daemon = { pid: detached.pid, startTime: daemonOf(detached.pid)?.startTime ?? '' };
    noteDaemon(join(folder, NOTE), daemon);
    await answered(daemon, detached, socket);
    return daemon.pid;
  } finally {
    detached.release();
  }
}

async function answered(daemon: Daemon, detached: Detached, socket: string): Promise<void> {
  const latest = performance.now() + START_MS;
  while (!(await answers(socket))) {
    if (!isAlive(daemon))
      throw new HnvError(
        'HNV_SITE',
        `The IKE daemon has ended at its start: ${lastOf(detached.firstWords())}`,
      );
    if (performance.now() > latest) {
      await end(daemon);
      throw new HnvError(
        'HNV_SITE',
        `The IKE daemon has not answered within ${START_MS / 1000} s of its start.`,
      );
    }
    await delay(LOOK_MS);
  }
}

/** Lines begin with the number of a thread and a group in brackets. */
function lastOf(words: string): string {
  const lines = words.split('\n').filter((line) => line !== '');
  return lines.length === 0
    ? 'it has not said why.'
    : lines
        .slice(-LINES)
        .map((line) => line.replace(/^\d+\[\w+\] /, ''))
        .join('; ');
}

/** The file alone tells nothing: it stays when its process ends. */
async function answers(socket: string): Promise<boolean> {
  if (!existsSync(socket)) return false;
  try {
    const client = await ViciClient.connect(socket);
    try {
      await client.command('version');
      return true;
    } finally {
      client.close();
    }
  } catch (error) {
    if (error instanceof HnvError) return false;
    throw error;
  }
}

function isAsWanted(place: CharonPlace, daemon: Daemon, settings: string): boolean {
  return textOf(join(place.folder, SETTINGS)) === settings && isInNetns(daemon, place.netns);
}

async function end(daemon: Daemon): Promise<void> {
  if (!(await endDaemon(daemon)))
    throw new HnvError('HNV_SITE', `The IKE daemon, process ${daemon.pid}, does not end.`);
}

/** The gateway may have been killed between a start and its note: then by what tells the daemon where its settings are. */
function findProcess({ folder }: CharonPlace): Daemon | undefined {
  const variable = `${SETTINGS_VARIABLE}=${join(folder, SETTINGS)}\0`;
  return findDaemon(join(folder, NOTE), (pid) => textOf(`/proc/${pid}/environ`)?.includes(variable) ?? false);
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
