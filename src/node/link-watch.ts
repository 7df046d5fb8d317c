/**
 * The interfaces of this machine as they are now: reads them when the kernel tells that some have changed, and says which
 * of them are really different. Interfaces are the operator's and the hypervisor's: they may come and go at any time.
 */
import type { Logger } from 'pino';
import { ipJson } from '../linux/iproute2.ts';
import { LinkMonitor } from '../linux/link-monitor.ts';

/** Changes come in bursts (a VM that starts), and reading them takes a process. */
const SETTLE_MS = 20;
const RETRY_MS = 1_000;

export interface LinkDetails {
  ifindex: number;
  /** Bytes. */
  mtu: number;
  /** A veth whose other side is in another namespace. */
  isPeer: boolean;
}

interface IpLink {
  ifindex: number;
  ifname: string;
  mtu: number;
  link_netnsid?: number;
  linkinfo?: { info_kind?: string };
}

export interface LinkWatchOptions {
  log: Logger;
  /** Whether a change of this interface matters to the node. */
  concerns: (name: string) => boolean;
  /**
   * Gets the names of interfaces that have come, gone or changed, after link() knows them; and of those that were down, if
   * only for a moment, for the kernel forgets addresses, routes and neighbours with that.
   */
  onChange: (names: ReadonlySet<string>) => void;
}

async function readLinks(): Promise<Map<string, LinkDetails>> {
  const links = await ipJson<IpLink>(['-details', 'link', 'show']);
  return new Map(
    links.map(({ ifname, ifindex, mtu, linkinfo, link_netnsid }) => [
      ifname,
      { ifindex, mtu, isPeer: linkinfo?.info_kind === 'veth' && link_netnsid !== undefined },
    ]),
  );
}

export class LinkWatch {
  readonly #options: LinkWatchOptions;
  readonly #monitor: LinkMonitor;
  #links = new Map<string, LinkDetails>();
  /** Since the last reading. */
  #wereDown = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  /** When the reading that is under way ends; one at a time, so that no older picture replaces a newer one. */
  #reading: Promise<void> = Promise.resolve();
  #closed = false;

  private constructor(options: LinkWatchOptions) {
    this.#options = options;
    this.#monitor = new LinkMonitor((news) => {
      // When there was too much to tell, any of them may have been down.
      const down = news?.flatMap(({ name, isUp }) => (isUp ? [] : name)) ?? this.#links.keys();
      for (const name of down) if (options.concerns(name)) this.#wereDown.add(name);
      if (news?.some(({ name }) => options.concerns(name)) ?? true) this.#later(SETTLE_MS);
    });
  }

  /** Reads all interfaces and follows them from then on. */
  static async start(options: LinkWatchOptions): Promise<LinkWatch> {
    const watch = new LinkWatch(options);
    try {
      watch.#links = await readLinks();
    } catch (error) {
      watch.#monitor.close();
      throw error;
    }
    return watch;
  }

  /** The interface of that name, undefined when there is none. */
  link(name: string): LinkDetails | undefined {
    return this.#links.get(name);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#monitor.close();
    await this.#reading;
  }

  #later(ms: number): void {
    if (this.#timer !== undefined || this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#reading = this.#reading.then(() => this.#read());
    }, ms);
  }

  async #read(): Promise<void> {
    try {
      const before = this.#links;
      const changed = this.#wereDown;
      this.#wereDown = new Set();
      this.#links = await readLinks().catch((error: unknown) => {
        for (const name of changed) this.#wereDown.add(name);
        throw error;
      });
      for (const name of new Set([...before.keys(), ...this.#links.keys()]))
        if (!isSame(before.get(name), this.#links.get(name))) changed.add(name);
      if (changed.size > 0 && !this.#closed) this.#options.onChange(changed);
    } catch (error) {
      this.#options.log.error({ err: error }, 'cannot read the interfaces of this machine');
      this.#later(RETRY_MS);
    }
  }
}

function isSame(a: LinkDetails | undefined, b: LinkDetails | undefined): boolean {
  return a?.ifindex === b?.ifindex && a?.mtu === b?.mtu && a?.isPeer === b?.isPeer;
}
