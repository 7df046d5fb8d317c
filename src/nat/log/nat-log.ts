/**
 * The NAT log: who had which external address and port, and when (RFC 6302, RFC 7422). A thread of its own writes it, so that neither
 * the API nor the data plane ever waits for it; here is what the gateway tells that thread.
 */
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { sessionCount } from '../../linux/conntrack.ts';
import { NETLINK_NETFILTER, Netlink } from '../../linux/netlink.ts';
import { inNetns } from '../../linux/netns.ts';
import { readSysctl, writeSysctl } from '../../linux/sysctl.ts';
import type { NatLogWorkerAnswer, NatLogWorkerData, NatLogWorkerMessage } from './nat-log-worker.ts';
import type { Block, BlockEvent } from './records.ts';

/** What is recorded: each session, or which domain has which addresses and blocks. */
export type NatLogRecords = 'sessions' | 'blocks';

export interface NatLogOptions {
  path: string;
  records: readonly NatLogRecords[];
  /** Bytes of events that the kernel may keep until they are read: some 1,000 for each. */
  bufferBytes?: number;
}

/** What it makes is short-lived: without the limit V8 lets 90 MB of it lie at 100,000 sessions a second. */
const YOUNG = { maxYoungGenerationSizeMb: 8 } as const;
const BUFFER_BYTES = 64 * 1024 * 1024;
/** After which a thread that has ended is started again. */
const RESTART_MS = 1000;

const EVENTS = 'net/netfilter/nf_conntrack_events';

/** The setting that watch() writes is there when the kernel has the modules, which it loads at the first question. */
function loadConntrack(): void {
  const netlink = new Netlink(NETLINK_NETFILTER);
  try {
    sessionCount(netlink);
  } finally {
    netlink.close();
  }
}

export class NatLog {
  readonly #options: NatLogOptions;
  /** Namespaces by RDID. */
  readonly #contexts = new Map<string, string>();
  readonly #blocks = new Map<string, Block>();
  /** Domains whose contexts are an earlier process's, and have not been told of by this one. */
  readonly #inherited = new Set<string>();
  readonly #ending = new Map<string, () => void>();
  #worker: Worker | undefined;
  #exited: Promise<void> = Promise.resolve();
  #restart: NodeJS.Timeout | undefined;
  #isClosed = false;
  #warnings: string[] = [];

  constructor(options: NatLogOptions) {
    this.#options = options;
  }

  /** Begins. `contexts`: those that there are already, as RDID and namespace. */
  start(contexts: readonly [rdid: string, netns: string][]): void {
    if (this.#options.records.includes('sessions')) loadConntrack();
    for (const [rdid, netns] of contexts) {
      this.#contexts.set(rdid, netns);
      this.#inherited.add(rdid);
    }
    this.#run();
  }

  /** A domain has a context; called before it lets anything through, and again whenever it was applied. */
  watch(rdid: string, netns: string): void {
    this.#inherited.delete(rdid);
    if (!this.#options.records.includes('sessions')) return;
    this.#contexts.set(rdid, netns);
    // Also of what begins while nobody listens, the end is told.
    inNetns(netns, () => {
      if (readSysctl(EVENTS) !== '1') writeSysctl(EVENTS, '1');
    });
    this.#tell({ type: 'watch', rdid, netns });
  }

  /** Resolves when the sessions of a context that is going to be removed have been ended and recorded. */
  async end(rdid: string): Promise<void> {
    if (!this.#contexts.delete(rdid) || this.#worker === undefined) return;
    const ended = new Promise<void>((resolve) => this.#ending.set(rdid, resolve));
    this.#tell({ type: 'end', rdid });
    await ended;
  }

  /** The domain has the block from now on. */
  taken(block: Block): void {
    this.#blocks.set(JSON.stringify(block), block);
    this.#tellBlock(this.#inherited.has(block.rdid) ? 'block-present' : 'block-assigned', block);
  }

  /** The domain has no session under the block any more. */
  freed(block: Block): void {
    this.#blocks.delete(JSON.stringify(block));
    this.#tellBlock('block-released', block);
  }

  /** What an operator should know about the log. */
  warnings(): readonly string[] {
    return this.#warnings;
  }

  /** Resolves when everything that was told is in the file. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#restart);
    this.#worker?.ref();
    this.#tell({ type: 'close' });
    await this.#exited;
  }

  #run(): void {
    const { path, records, bufferBytes = BUFFER_BYTES } = this.#options;
    const hasBlocks = records.includes('blocks');
    const workerData: NatLogWorkerData = {
      ...{ path, bufferBytes, sessions: records.includes('sessions') },
      ...{ contexts: [...this.#contexts], blocks: hasBlocks ? [...this.#blocks.values()] : [] },
    };
    // Source (.ts) and build (.js) keep the two files side by side.
    const file = new URL(`./nat-log-worker${extname(import.meta.url)}`, import.meta.url);
    // Its sockets are opened by koffi, of which node's list of a thread's files knows nothing.
    const worker = new Worker(file, {
      workerData,
      name: 'nat log',
      trackUnmanagedFds: false,
      resourceLimits: YOUNG,
    });
    worker.unref();
    this.#worker = worker;
    worker.on('message', (answer: NatLogWorkerAnswer) => {
      if (answer.type === 'warnings') this.#warnings = answer.warnings;
      else this.#settle(answer.rdid);
    });
    let reason = '';
    worker.once('error', (error: Error) => {
      reason = `: ${error.message}`;
    });
    this.#exited = new Promise((resolve) => {
      worker.once('exit', () => {
        this.#worker = undefined;
        for (const rdid of [...this.#ending.keys()]) this.#settle(rdid);
        if (!this.#isClosed) {
          this.#warnings = [`The NAT log has failed and is begun again${reason}.`];
          this.#restart = setTimeout(() => this.#run(), RESTART_MS);
        }
        resolve();
      });
    });
  }

  #settle(rdid: string): void {
    this.#ending.get(rdid)?.();
    this.#ending.delete(rdid);
  }

  #tellBlock(event: BlockEvent, block: Block): void {
    if (this.#options.records.includes('blocks'))
      this.#tell({ type: 'block', time: Date.now(), event, block });
  }

  #tell(message: NatLogWorkerMessage): void {
    this.#worker?.postMessage(message);
  }
}
