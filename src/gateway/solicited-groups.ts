/**
 * Makes the uplink hear solicitations for external IPv6 addresses. They are answered by a program (encap/kernel/uplink.h)
 * and are on no interface of the root namespace, so that nobody would join their solicited-node groups (RFC 4291 section
 * 2.7.1): a NIC's multicast filter, or a switch that snoops MLD, would hold solicitations back.
 *
 * A proxy neighbour entry on the uplink makes the kernel a member of its address's group, reports included, and outlives
 * this process. It does nothing else: the kernel answers for such entries only where the sysctl proxy_ndp is on. Ours have
 * a protocol number of hnvgw's own, by which later processes know them again.
 */
import { ipBatch } from '../linux/iproute2.ts';
import { ifindexOf } from '../linux/links.ts';
import { RouteNetlink } from '../linux/rtnetlink.ts';
import { ROUTE_PROTOCOL } from '../node/provider-routes.ts';

/** Addresses that entries are to be made for, and those whose entries are to go. */
interface Difference {
  missing: readonly string[];
  left: readonly string[];
}

export class SolicitedGroups {
  readonly #uplink: string;
  readonly #ofDomain = new Map<string, readonly string[]>();
  /** Our entries on the uplink; undefined when they are to be read. */
  #present: Set<string> | undefined;
  /** The newest change: one at a time, in order. */
  #turn: Promise<void> = Promise.resolve();

  /** `uplink` is an interface's name. */
  constructor(uplink: string) {
    this.#uplink = uplink;
  }

  /**
   * Sets the IPv6 addresses, in canonical form, that a domain is to be asked for; resolves when the uplink hears of them.
   * Throws HNV_IPROUTE2.
   */
  set(rdid: string, addresses: readonly string[]): Promise<void> {
    const before = this.#ofDomain.get(rdid) ?? [];
    if (addresses.length === 0 && before.length === 0) return Promise.resolve();
    if (addresses.length === 0) this.#ofDomain.delete(rdid);
    else this.#ofDomain.set(rdid, addresses);
    return this.#next((present) => {
      // An address may have gone over to another domain.
      const wanted = new Set([...this.#ofDomain.values()].flat());
      return {
        missing: addresses.filter((address) => !present.has(address)),
        left: before.filter((address) => present.has(address) && !wanted.has(address)),
      };
    });
  }

  /** Ends what an earlier process left for addresses other than these. Throws HNV_IPROUTE2. */
  keepOnly(addresses: ReadonlySet<string>): Promise<void> {
    return this.#next((present) => ({
      missing: [],
      left: [...present].filter((address) => !addresses.has(address)),
    }));
  }

  /** The uplink has changed: an interface that goes down forgets such entries. Every domain is to be set again. */
  forget(): void {
    this.#turn = this.#turn.then(() => {
      this.#present = undefined;
    });
  }

  /** What the uplink has otherwise than set() made it; nothing while that is not known. */
  inspect(): { rdid?: string; text: string }[] {
    const present = this.#present;
    if (present === undefined) return [];
    const found = this.#read();
    const owner = (address: string): { rdid?: string } => {
      for (const [rdid, addresses] of this.#ofDomain) if (addresses.includes(address)) return { rdid };
      return {};
    };
    const tell = (address: string, what: string): { rdid?: string; text: string } => ({
      ...owner(address),
      text: `the proxy entry of ${address} on ${this.#uplink} was ${what}`,
    });
    return [
      ...[...present].filter((address) => !found.has(address)).map((address) => tell(address, 'missing')),
      ...[...found].filter((address) => !present.has(address)).map((address) => tell(address, 'there')),
    ];
  }

  /** Makes the uplink's entries those that were set, whatever it has. Throws HNV_IPROUTE2. */
  restore(): Promise<void> {
    this.forget();
    return this.#next((present) => {
      const wanted = new Set([...this.#ofDomain.values()].flat());
      return {
        missing: [...wanted].filter((address) => !present.has(address)),
        left: [...present].filter((address) => !wanted.has(address)),
      };
    });
  }

  #next(difference: (present: ReadonlySet<string>) => Difference): Promise<void> {
    const turn = this.#turn.then(async () => {
      const present = this.#present ?? this.#read();
      const { missing, left } = difference(present);
      if (missing.length + left.length === 0) {
        this.#present = present;
        return;
      }
      this.#present = undefined; // unknown, should the commands fail half way
      await ipBatch([
        ...missing.map((address) => [...this.#entry('replace', address), 'protocol', ROUTE_PROTOCOL]),
        ...left.map((address) => this.#entry('del', address)),
      ]);
      for (const address of missing) present.add(address);
      for (const address of left) present.delete(address);
      this.#present = present;
    });
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  #entry(verb: 'replace' | 'del', address: string): string[] {
    return ['neigh', verb, 'proxy', address, 'dev', this.#uplink];
  }

  #read(): Set<string> {
    const ifindex = ifindexOf(this.#uplink);
    if (ifindex === undefined) return new Set();
    const entries = RouteNetlink.use((reading) => reading.proxies(ifindex));
    return new Set(
      entries.filter(({ protocol }) => protocol === Number(ROUTE_PROTOCOL)).map(({ address }) => address),
    );
  }
}
