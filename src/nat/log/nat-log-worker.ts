/** The thread that writes the NAT log, and follows the sessions of all contexts for it: see NatLog. */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { LogFile } from './log-file.ts';
import { type Block, type BlockEvent, record } from './records.ts';
import { SessionWatch } from './session-watch.ts';

/** What the worker is started with. */
export interface NatLogWorkerData {
  path: string;
  /** Sessions are recorded. */
  sessions: boolean;
  /** Bytes of events that the kernel may keep until they are read. */
  bufferBytes: number;
  /** Contexts that were there before, as RDID and namespace. */
  contexts: [rdid: string, netns: string][];
  /** What domains have of external addresses. */
  blocks: Block[];
}

/** What the worker is told. */
export type NatLogWorkerMessage =
  | { type: 'watch'; rdid: string; netns: string }
  | { type: 'end'; rdid: string }
  | { type: 'block'; time: number; event: BlockEvent; block: Block }
  | { type: 'close' };

/** What the worker tells. */
export type NatLogWorkerAnswer = { type: 'ended'; rdid: string } | { type: 'warnings'; warnings: string[] };

const LOOK_MS = 1000;
/** How long a warning of an overrun stands. */
const OVERRUN_MS = 60_000;

if (parentPort === null) throw new Error('nat-log-worker runs as a worker thread only.');
const port = parentPort;
const { path, sessions, bufferBytes, contexts, blocks } = workerData as NatLogWorkerData;

const held = new Map(blocks.map((block) => [JSON.stringify(block), block]));
const file = new LogFile(path, () => {
  const now = Date.now();
  return [...held.values()].map((block) => record(now, 'block-present', block)).join('');
});

function watchSessions(): SessionWatch {
  const watch = new SessionWatch({
    bufferBytes,
    knownUntil: file.wholeBefore ?? 0,
    write: (lines) => file.append(lines),
    onWhole: (time) => file.wholeUntil(time),
    onStranger: takeMessages,
  });
  const now = Date.now();
  const from = file.wholeBefore === undefined ? {} : { from: new Date(file.wholeBefore).toISOString() };
  file.append(record(now, 'gap', { ...from, to: new Date(now).toISOString() }));
  for (const [rdid, netns] of contexts) watch.add(rdid, netns, true);
  return watch;
}
const watch = sessions ? watchSessions() : undefined;

let shown = '';
function tellWarnings(): void {
  const isLate = watch?.overrunAt !== undefined && Date.now() < watch.overrunAt + OVERRUN_MS;
  const warnings = [
    file.failure ?? [],
    isLate ? 'The NAT log does not keep up with the sessions: beginnings are recorded late.' : [],
  ].flat();
  if (JSON.stringify(warnings) === shown) return;
  shown = JSON.stringify(warnings);
  port.postMessage({ type: 'warnings', warnings } satisfies NatLogWorkerAnswer);
}
const look = setInterval(() => {
  // Also when nothing happens, the log is whole until now.
  watch?.read();
  tellWarnings();
}, LOOK_MS);

/** Of messages that came before something else that is just now being dealt with. */
function takeMessages(): void {
  for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port))
    take(next.message as NatLogWorkerMessage);
}

function take(message: NatLogWorkerMessage): void {
  if (message.type === 'watch') watch?.add(message.rdid, message.netns, false);
  else if (message.type === 'end') void end(message.rdid);
  else if (message.type === 'block') takeBlock(message.time, message.event, message.block);
  else close();
}

async function end(rdid: string): Promise<void> {
  await watch?.end(rdid);
  port.postMessage({ type: 'ended', rdid } satisfies NatLogWorkerAnswer);
}

function takeBlock(time: number, event: BlockEvent, block: Block): void {
  const key = JSON.stringify(block);
  if (event === 'block-released') {
    // The ends of its sessions come first.
    while (watch?.read() === false);
    held.delete(key);
  } else held.set(key, block);
  file.append(record(time, event, block));
}

function close(): void {
  while (watch?.read() === false);
  watch?.close();
  clearInterval(look);
  file.close();
  port.close();
}

port.on('message', take);
tellWarnings();
