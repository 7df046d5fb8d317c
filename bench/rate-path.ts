/**
 * A path between two traffic ends, the tenant's side and the internet's, and how it is measured: frames of many flows from
 * one end, everything on one core, counted at the other.
 */
import type { Contender } from './contest.ts';
import { CoreTime, onCore } from './core-time.ts';
import { addressOffsets, type Form, type Mix, PROTOCOL, type Traffic } from './frames.ts';
import { type Arriving, problemsOf } from './rate-check.ts';
import { MOST_CAPTURED, type Received, type TrafficEnd } from './traffic-end.ts';

/** Short turns and many of them: a disturbance spoils a round, not the run. */
const MEASURE_MS = 100;
/** Frames between two looks at the clock. */
const SLICE = 65_536;
/** Of warming up: once through all flows, each way; the fast path notes a flow after some packets of it. */
const WARM_UP_ROUNDS = 8;
/** More than this share of the frames lost on their way, and the figure is no forwarding rate. */
const LOSS_LIMIT = 0.01;
/** Of the measured packets that may take the slow path where there is a fast one; and of the flows, of which so many may be looked at anew in one second. */
const SLOW_SHARE = { packets: 0.01, flows: 1 / 3 };
/** How long frames may be under way when nothing more arrives, and between two looks. */
const SETTLE_MS = 100;
const LOOK_MS = 0.2;

/** From the tenant to the internet, and the answers. */
export type Direction = 'up' | 'down';

/** What is sent in a direction, and as what it must arrive. */
export interface Way {
  from: TrafficEnd;
  to: TrafficEnd;
  traffic: Traffic;
  arriving: Arriving;
}

export interface RatePath {
  up: Way;
  down: Way;
  /** Processes of a switch in user space. It is given frames a few at a time, for what waits for it is in a bounded buffer. */
  userSpace?: { pids: number[]; framesAtOnce: number };
  /** Packets that have taken the gateway's fast path so far, and whether they should. */
  fast?: { packets: () => Promise<number>; isOn: boolean };
}

/** What is sent: sizes and flows. */
export interface Job {
  mix: Mix;
  flows: number;
}

/** Opens the flows, each way, and looks at what arrives. Rejects when that is not what it must be. */
export function warmUp(path: RatePath, { mix, flows }: Job): void {
  const ways = [path.up, path.down];
  for (const { from, to, traffic, arriving } of ways) {
    from.prepare(traffic, mix, flows);
    const form = arriving.tunnel?.form ?? 'plain';
    to.expect({ protocol: protocolOf(form), ...placeOf(traffic, arriving, form) });
  }
  onCore(() => {
    for (let round = 0; round < WARM_UP_ROUNDS; round++)
      for (const way of ways) send(path, way, Math.max(flows, mix.sequence.length));
  });
  for (const way of ways) {
    way.to.startCapture();
    onCore(() => send(path, way, MOST_CAPTURED));
    const problems = problemsOf(way.to.captured(), way.arriving, { mix, flows });
    if (problems.length > 0)
      throw new Error(`${way.to.namespace.name} got wrong frames: ${problems.slice(0, 5).join('; ')}`);
  }
}

function protocolOf(form: Form): number {
  return form === 'nvgre' ? PROTOCOL.gre : PROTOCOL.udp;
}

/** The address that translation changes: the tenant's. */
function placeOf(traffic: Traffic, arriving: Arriving, form: Form): { offset: number; address: string } {
  const offsets = addressOffsets(form);
  return traffic.fromOutside
    ? { offset: offsets.destination, address: arriving.destination }
    : { offset: offsets.source, address: arriving.source };
}

/**
 * Mpps at the far end, per second of the core. Each turn begins with a packet of each flow, which does not count: flows that
 * rested while the others had their turn are as they are under load. Rejects when frames got lost, have another address than they
 * should, or did not take the way that they should.
 */
export function rateContender(path: RatePath, direction: Direction, { mix, flows }: Job): Contender {
  const way = path[direction];
  const where = way.to.namespace.name;
  const time = new CoreTime(path.userSpace?.pids ?? []);
  return async () => {
    way.from.prepare(way.traffic, mix, flows);
    onCore(() => send(path, way, flows));
    const fastBefore = await path.fast?.packets();
    const before = way.to.received();
    const { frames, seconds } = onCore(() => measure(path, way, time));
    const { expected, other } = difference(way.to.received(), before);
    if (other > 0) throw new Error(`${where}: ${other} packets arrived with an unexpected address`);
    if (expected < frames * (1 - LOSS_LIMIT))
      throw new Error(`${where}: only ${expected} of ${frames} frames arrived`);
    if (path.fast !== undefined)
      checkFastPath(where, path.fast, {
        sent: frames,
        fast: (await path.fast.packets()) - (fastBefore ?? 0),
        flows,
      });
    return expected / seconds / 1e6;
  };
}

/** Throws when packets, of which so many were fast, did not take the way that they should. */
export function checkFastPath(
  where: string,
  { isOn }: Pick<NonNullable<RatePath['fast']>, 'isOn'>,
  { sent, fast, flows }: { sent: number; fast: number; flows: number },
): void {
  const least = isOn ? sent * (1 - SLOW_SHARE.packets) - flows * SLOW_SHARE.flows : 0;
  if (fast < least || (!isOn && fast > 0))
    throw new Error(`${where}: ${fast} of ${sent} packets took the fast path`);
}

function measure(path: RatePath, way: Way, time: CoreTime): { frames: number; seconds: number } {
  const end = performance.now() + MEASURE_MS;
  const before = time.read();
  let frames = 0;
  for (; performance.now() < end; frames += SLICE) send(path, way, SLICE);
  return { frames, seconds: time.read() - before };
}

/** Sends frames and waits until they have arrived or nothing more comes. */
function send(path: RatePath, { from, to }: Way, frames: number): void {
  const most = path.userSpace?.framesAtOnce ?? frames;
  for (let left = frames; left > 0; left -= most) {
    const now = Math.min(left, most);
    const before = to.received();
    from.send(now);
    settle(to, before, now);
  }
}

/** Waits for as many frames; the thread sleeps meanwhile. */
function settle(to: TrafficEnd, before: Received, frames: number): void {
  let last = 0;
  for (let waited = 0; waited < SETTLE_MS; waited += LOOK_MS) {
    const { expected, other } = difference(to.received(), before);
    const arrived = expected + other;
    if (arrived >= frames) return;
    if (arrived > last) waited = 0;
    last = arrived;
    sleep(LOOK_MS);
  }
}

function difference(after: Received, before: Received): Received {
  return { expected: after.expected - before.expected, other: after.other - before.other };
}

const never = new Int32Array(new SharedArrayBuffer(4));
function sleep(milliseconds: number): void {
  Atomics.wait(never, 0, 0, milliseconds);
}
