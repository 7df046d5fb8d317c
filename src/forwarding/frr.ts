/**
 * The processes of FRR in a routing context, or in the node's own namespace: started, found again, ended. They go on when this
 * process ends, in whatever way, and with them the BGP sessions. Their folder has sockets and notes of process ids, and no
 * configuration: that is told over the sockets, see vty.ts.
 */
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createConnection } from 'node:net';
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
import { inNetns, netnsExists } from '../linux/netns.ts';
import { ownTurn } from '../own-turn.ts';
import { Vty } from './vty.ts';

export interface FrrPlace {
  /** Undefined: the node's own. */
  netns: string | undefined;
  /** Of their files. */
  folder: string;
}

export interface FrrWants {
  bfd: boolean;
  /** How long routes outlive those who made them. */
  gracefulRestartSeconds: number;
  /** False: bgpd alone, which announces, and learns nothing for the kernel. */
  zebra: boolean;
}

export interface RunningFrr {
  /** Where bgpd listens for commands. */
  socket: string;
  /** Where zebra does. */
  zebraSocket?: string;
  /** bgpd has just been started: it knows no peer. */
  isNew: boolean;
  pids: readonly number[];
  /** Resolves, to what has happened, when one of the processes has ended. */
  ended: Promise<string>;
}

type Member = 'zebra' | 'bfdd' | 'bgpd';

const FOLDER = '/run/hnvgw';
const PROGRAMS = '/usr/lib/frr';
const USER = 'frr';
const SETTINGS = 'zebra.conf';
/** Next hops within routes, not objects apart: iproute2 6.1 cannot flush routes with those. */
const ZEBRA_SETTINGS = 'no zebra nexthop kernel enable\n';
/** Of the node's own among the folders of namespaces, of which none has such a name. */
const OWN = '.node';
/** In the order of their start: the later ones are clients of zebra. */
const MEMBERS: readonly Member[] = ['zebra', 'bfdd', 'bgpd'];
/** RTPROT_BGP (linux/rtnetlink.h), as zebra marks what bgpd has told it. */
const BGP_ROUTES = '186';
/** How long one may take to answer. A start takes 40 ms on an idle machine. */
const START_MS = 15_000;
const LOOK_MS = 10;

/** Whether all its programs are there. */
export function isFrrInstalled(): boolean {
  return MEMBERS.every((member) => existsSync(join(PROGRAMS, member)));
}

export function frrPlace(instance: string, netns: string | undefined): FrrPlace {
  return { netns, folder: join(FOLDER, instance, 'bgp', netns ?? OWN) };
}

/**
 * Resolves when all that is wanted answers in that place: what is there already, and what is started. zebra and bgpd begin together
 * or both go on: bgpd does not tell a new zebra what it has told the last one, and a zebra that has lost its bgpd removes routes
 * before the next bgpd has them. A new zebra takes over what is in the kernel. Hence what must go is killed, and tells nobody. Throws
 * HNV_BGP when FRR is not installed, or does not start.
 */
export async function runFrr(place: FrrPlace, wants: FrrWants): Promise<RunningFrr> {
  const members = MEMBERS.filter((member) => isWanted(member, wants));
  const there = new Map<Member, Daemon>();
  for (const member of MEMBERS) {
    const daemon = findMember(place, member);
    if (daemon !== undefined) there.set(member, daemon);
  }
  const useless = new Set<Member>();
  for (const [member, daemon] of there)
    if (!isWanted(member, wants) || !(await isUsable(place, daemon, member, wants))) useless.add(member);
  const isNew = members.some((member) => member !== 'bfdd' && (!there.has(member) || useless.has(member)));
  for (const [member, daemon] of there)
    if (useless.has(member) || (isNew && member !== 'bfdd')) {
      await end(daemon, member, ['SIGKILL']);
      there.delete(member);
    }
  const pids: number[] = [];
  for (const member of members) {
    const daemon = there.get(member);
    if (daemon === undefined) await ownTurn();
    else noteDaemon(noteOf(place, member), daemon);
    pids.push(daemon?.pid ?? (await start(place, member, wants)));
  }
  return {
    socket: socketOf(place, 'bgpd'),
    ...(wants.zebra ? { zebraSocket: socketOf(place, 'zebra') } : {}),
    isNew,
    pids,
    ended: Promise.race(members.map((member) => endOf(place, member))),
  };
}

/** Whether one of the processes is there, whatever it does. */
export function isFrrThere(place: FrrPlace): boolean {
  return MEMBERS.some((member) => findMember(place, member) !== undefined);
}

/**
 * Ends what is there, bgpd first: peers may take it for a restart (speaker-end.ts). Removes what it has left in the kernel, and its files.
 * Throws HNV_BGP when one does not end.
 */
export async function endFrr(place: FrrPlace): Promise<void> {
  for (const member of [...MEMBERS].reverse()) {
    const there = findMember(place, member);
    if (there !== undefined) await end(there, member);
  }
  if (place.netns !== undefined && netnsExists(place.netns)) await removeRoutes(place.netns);
  rmSync(place.folder, { recursive: true, force: true });
  for (const folder of [dirname(place.folder), dirname(dirname(place.folder))])
    try {
      rmdirSync(folder);
    } catch {
      return; // others are in it
    }
}

/** Proportional set size of those that are there, bytes: what they share is counted once, in parts. */
export function memoryOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    const [, kib = '0'] = /^Pss: +(\d+) kB$/m.exec(textOf(`/proc/${pid}/smaps_rollup`) ?? '') ?? [];
    return sum + Number(kib) * 1024;
  }, 0);
}

function isWanted(member: Member, { zebra, bfd }: FrrWants): boolean {
  return member === 'bgpd' || (zebra && (member === 'zebra' || bfd));
}

/** What its command line begins with. */
function argumentsOf({ folder }: FrrPlace, member: Member, { zebra }: FrrWants): string[] {
  const args = [
    join(PROGRAMS, member),
    ...['--config_file', member === 'zebra' ? join(folder, SETTINGS) : '/dev/null'],
    ...['--pid_file', join(folder, `${member}.pid`), '--vty_socket', folder],
    // No TCP port for commands.
    ...['--vty_addr', '127.0.0.1', '--vty_port', '0'],
  ];
  // Alone it is the node's own, which does not wait for peers on the node's addresses.
  if (!zebra) return [...args, '--no_zebra', '--bgp_port', '0'];
  args.push('--socket', join(folder, 'zserv.api'));
  // Route replace for IPv6, too: else it removes a route and then adds the next.
  if (member === 'zebra') args.push('--retain', '--v6-rr-semantics');
  if (member === 'bfdd') args.push('--bfdctl', join(folder, 'bfdd.sock'));
  return args;
}

async function start(place: FrrPlace, member: Member, wants: FrrWants): Promise<number> {
  const [file = '', ...args] = argumentsOf(place, member, wants);
  if (!isFrrInstalled()) throw new HnvError('HNV_BGP', 'FRR is not installed: the Debian package frr.');
  makeFolder(place);
  if (member === 'zebra') {
    writeFileSync(join(place.folder, SETTINGS), ZEBRA_SETTINGS);
    // How long routes that it finds may stay without a bgpd that has them. Only at its start: another time needs no other zebra.
    args.push('--graceful_restart', String(wants.gracefulRestartSeconds));
  }
  rmSync(socketOf(place, member), { force: true });
  noteStart(noteOf(place, member));
  const { netns } = place;
  const detached = startDetached(file, args, {}, (begin) =>
    netns === undefined ? begin() : inNetns(netns, begin),
  );
  try {
    const daemon = { pid: detached.pid, startTime: daemonOf(detached.pid)?.startTime ?? '' };
    noteDaemon(noteOf(place, member), daemon);
    await answered(daemon, member, detached, socketOf(place, member));
    return daemon.pid;
  } finally {
    detached.release();
  }
}

/** FRR gives its rights up for those of a user of its own, and makes its files as that. */
function makeFolder({ folder }: FrrPlace): void {
  const [, uid, gid] =
    new RegExp(`^${USER}:[^:]*:(\\d+):(\\d+):`, 'm').exec(textOf('/etc/passwd') ?? '') ?? [];
  if (uid === undefined || gid === undefined) throw new HnvError('HNV_BGP', `FRR's user ${USER} is missing.`);
  mkdirSync(dirname(folder), { recursive: true });
  mkdirSync(folder, { recursive: true });
  chownSync(folder, Number(uid), Number(gid));
  chmodSync(folder, 0o700);
}

async function answered(daemon: Daemon, member: Member, detached: Detached, socket: string): Promise<void> {
  const latest = performance.now() + START_MS;
  while (!(await answers(socket))) {
    if (!isAlive(daemon))
      throw new HnvError('HNV_BGP', `${member} has ended at its start: ${wordsOf(detached)}`);
    if (performance.now() > latest) {
      await end(daemon, member);
      throw new HnvError('HNV_BGP', `${member} has not answered within ${START_MS / 1000} s of its start.`);
    }
    await delay(LOOK_MS);
  }
}

/** The last of them says it; without what precedes it: date, name, codes in brackets. */
function wordsOf(detached: Detached): string {
  const line = detached.firstWords().trim().split('\n').at(-1) ?? '';
  return line === '' ? 'it has not said why.' : line.replace(/^[\d/]+ [\d:]+ \w+: (\[[^\]]*\])* ?/, '');
}

/** The file alone tells nothing: it stays when its process ends. */
async function answers(socket: string): Promise<boolean> {
  if (!existsSync(socket)) return false;
  try {
    (await Vty.connect(socket)).close();
    return true;
  } catch (error) {
    if (error instanceof HnvError) return false;
    throw error;
  }
}

/** The kernel closes a connection in the moment in which its process ends. */
function endOf(place: FrrPlace, member: Member): Promise<string> {
  return new Promise((resolve) => {
    const connection = createConnection(socketOf(place, member));
    // Waiting keeps nobody from ending.
    connection.unref();
    connection.resume();
    connection.on('error', () => undefined);
    connection.once('close', () => {
      resolve(`${member} has ended.`);
    });
  });
}

async function isUsable(place: FrrPlace, daemon: Daemon, member: Member, wants: FrrWants): Promise<boolean> {
  const command = `${argumentsOf(place, member, wants).join('\0')}\0`;
  return (
    commandOf(daemon.pid)?.startsWith(command) === true &&
    isInNetns(daemon, place.netns) &&
    (await answers(socketOf(place, member)))
  );
}

async function end(daemon: Daemon, member: Member, signals?: readonly NodeJS.Signals[]): Promise<void> {
  if (!(await endDaemon(daemon, signals)))
    throw new HnvError('HNV_BGP', `${member}, process ${daemon.pid}, does not end.`);
}

/** zebra leaves them, so that its own end is no loss. */
async function removeRoutes(netns: string): Promise<void> {
  for (const family of ['-4', '-6'])
    await ip([family, 'route', 'flush', 'table', 'all', 'proto', BGP_ROUTES], { netns });
}

/** The gateway may have been killed between a start and its note: then by the pid file that only this member has. */
function findMember(place: FrrPlace, member: Member): Daemon | undefined {
  const own = `\0${join(place.folder, `${member}.pid`)}\0`;
  return findDaemon(noteOf(place, member), (pid) => commandOf(pid)?.includes(own) ?? false);
}

function commandOf(pid: number): string | undefined {
  return textOf(`/proc/${pid}/cmdline`);
}

function socketOf({ folder }: FrrPlace, member: Member): string {
  return join(folder, `${member}.vty`);
}

function noteOf({ folder }: FrrPlace, member: Member): string {
  return join(folder, `${member}.note`);
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
