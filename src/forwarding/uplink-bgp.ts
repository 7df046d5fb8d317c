/**
 * The gateway's own BGP: tells the routers of the uplink of what works here, by domain, and takes back what does not. What an earlier
 * process has announced stays until each domain was tried once. FRR goes on without this process.
 */
import { readFileSync } from 'node:fs';
import type { BgpState } from '../api/operations.ts';
import type { UplinkBgpConfig } from '../config/uplink-bgp.ts';
import { HnvError } from '../errors.ts';
import { LinkMonitor } from '../linux/link-monitor.ts';
import { linkName } from '../linux/links.ts';
import { RouteNetlink } from '../linux/rtnetlink.ts';
import { Retries } from '../node/retries.ts';
import { ownTurn } from '../own-turn.ts';
import type { TellPeer } from './bgp-states.ts';
import { DomainBgp } from './domain-bgp.ts';
import { frrPlace } from './frr.ts';
import { type Announcement, allOf } from './uplink-announcements.ts';
import { type UplinkPlan, uplinkConfig } from './uplink-config.ts';

/** Time for a bgpd that was killed to be back; a node that has failed is given up by its routers after it. */
const GRACEFUL_RESTART_SECONDS = 30;

/** What of a domain works. */
export interface DomainAnnouncements {
  announcements: readonly Announcement[];
  /** Interface of the provider address that its packets go by. */
  providerIfindex: number;
}

export interface UplinkBgpOptions {
  instance: string;
  /** Name of the interface. */
  uplink: string;
  config: UplinkBgpConfig;
  tell: TellPeer;
}

export class UplinkBgp {
  readonly #uplink: string;
  readonly #plan: UplinkPlan;
  readonly #bgp: DomainBgp;
  readonly #domains = new Map<string, DomainAnnouncements>();
  readonly #retries = new Retries();
  readonly #monitor: LinkMonitor;
  /** What FRR has taken last. */
  #told: string | undefined;
  #failure: string | undefined;
  #failures = 0;
  #hasBegun = false;
  #isClosed = false;
  #isUpdating = false;
  #isStale = false;

  /** Throws HNV_CONFIG when a password cannot be read. */
  constructor({ instance, uplink, config, tell }: UplinkBgpOptions) {
    const { asn, routerId } = config;
    this.#uplink = uplink;
    this.#plan = {
      ...{ asn, routerId, gracefulRestartSeconds: GRACEFUL_RESTART_SECONDS },
      peers: config.peers.map((peer, index) => ({
        ...peer,
        name: peer.address,
        ...(peer.passwordFile !== undefined && { password: readPassword(peer.passwordFile, index) }),
      })),
    };
    this.#bgp = new DomainBgp(frrPlace(instance, undefined), tell);
    this.#monitor = new LinkMonitor((news) => {
      const names = this.#links();
      if (news?.some(({ name }) => names.has(name)) ?? true) this.#update();
    });
  }

  /** Every domain was tried once: from now on what is not here is withdrawn. */
  begin(): void {
    this.#hasBegun = true;
    this.#update();
  }

  /** Undefined: nothing of the domain works, or it is gone. */
  set(rdid: string, found: DomainAnnouncements | undefined): void {
    if (JSON.stringify(this.#domains.get(rdid)) === JSON.stringify(found)) return;
    if (found === undefined) this.#domains.delete(rdid);
    else this.#domains.set(rdid, found);
    this.#update();
  }

  state(): BgpState {
    return { ...this.#bgp.state(), ...(this.#failure !== undefined && { refused: this.#failure }) };
  }

  /** As DomainBgp.inspect(). */
  inspect(): string[] {
    return this.#bgp.inspect();
  }

  /** Puts right what inspect() finds. */
  restore(): void {
    this.#told = undefined;
    this.#update();
  }

  /** Sessions go on. */
  close(): void {
    this.#isClosed = true;
    this.#monitor.close();
    this.#retries.stop();
    this.#bgp.close();
  }

  /** Names of the interfaces that announcements stand on. */
  #links(): Set<string> {
    const providers = new Set([...this.#domains.values()].map(({ providerIfindex }) => providerIfindex));
    return new Set([this.#uplink, ...[...providers].flatMap((ifindex) => linkName(ifindex) ?? [])]);
  }

  /** All changes of a turn at once, and those that come while FRR is told with the next ones. */
  #update(): void {
    this.#isStale = true;
    if (this.#hasBegun && !this.#isUpdating) void this.#follow();
  }

  async #follow(): Promise<void> {
    this.#isUpdating = true;
    while (this.#isStale && !this.#isClosed) {
      await ownTurn();
      this.#isStale = false;
      try {
        const config = uplinkConfig(this.#plan, this.#announcements());
        const text = config.join('\n');
        if (text === this.#told) continue;
        await this.#bgp.apply(this.#plan, config);
        [this.#told, this.#failure, this.#failures] = [text, undefined, 0];
      } catch (error) {
        if (this.#isClosed) break;
        [this.#told, this.#failure] = [undefined, error instanceof Error ? error.message : String(error)];
        this.#retries.later('', this.#failures++, () => this.#update());
      }
    }
    this.#isUpdating = false;
  }

  /** Of domains whose packets have a way in and a way out. */
  #announcements(): Announcement[] {
    const running = RouteNetlink.use(
      (reading) => new Set([...this.#links()].filter((name) => reading.link(name)?.isRunning)),
    );
    if (!running.has(this.#uplink)) return [];
    return allOf(
      [...this.#domains.values()]
        .filter(({ providerIfindex }) => running.has(linkName(providerIfindex) ?? ''))
        .map(({ announcements }) => announcements),
    );
  }
}

function readPassword(file: string, index: number): string {
  const key = `uplink.bgp.peers[${index}].passwordFile`;
  let text: string;
  try {
    text = readFileSync(file, 'utf8').replace(/\r?\n$/, '');
  } catch (cause) {
    throw new HnvError('HNV_CONFIG', `${key}: cannot read ${file}: ${(cause as Error).message}`, { cause });
  }
  if (!/^[!-~]{1,80}$/.test(text))
    throw new HnvError(
      'HNV_CONFIG',
      `${key}: ${file} must have one line of 1 to 80 printable ASCII characters without blanks, and nothing else.`,
    );
  return text;
}
