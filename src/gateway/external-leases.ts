/**
 * Who holds which external addresses, ports and prefixes in the kernel just now, whatever the policy says: what has moved to
 * another domain is that one's only when the sessions of the last one have been ended.
 */
import type { Block } from '../nat/log/records.ts';
import { addressFamily, contains, networkAddress, parsePrefix, prefixAround } from '../policy/address.ts';
import type { ExternalAddressPlan, NatPlan } from '../policy/plan.ts';

/** What of a plan can be held: addresses, blocks of their ports, and prefixes. */
export type Externals = Pick<NatPlan, 'externalAddresses' | 'prefixes'>;

/** An address is a prefix of full length; all ports are a block too, with what has no ports. */
interface Lease {
  rdid: string;
  prefix: string;
  portStart: number;
  portEnd: number;
}

type LeasesByPrefix = Map<string, Lease[]>;

/** Hears of each lease that a domain gets or gives up. */
export interface LeaseWatch {
  taken(block: Block): void;
  freed(block: Block): void;
}

/** What a domain may have now of what its plan asks for. */
export interface Claim {
  /** The plan without what another domain still holds. */
  plan: NatPlan;
  /** Resolves when a domain gives up something that is left out; undefined when nothing is. */
  blockedUntil?: Promise<void>;
}

const LAST_PORT = 65_535;
const FULL_LENGTH = { 4: 32, 6: 128 } as const;

const ofAddress = (rdid: string, { address, portStart = 0, portEnd = LAST_PORT }: ExternalAddressPlan) => ({
  ...{ rdid, portStart, portEnd },
  prefix: `${address}/${FULL_LENGTH[addressFamily(address)]}`,
});
const ofPrefix = (rdid: string, prefix: string): Lease => ({
  ...{ rdid, prefix, portStart: 0, portEnd: LAST_PORT },
});
const lengthOf = (prefix: string): number => parsePrefix(prefix)?.length ?? 0;
const isSame = (a: Lease, b: Lease): boolean =>
  a.prefix === b.prefix && a.portStart === b.portStart && a.portEnd === b.portEnd;

function blockOf({ rdid, prefix, portStart, portEnd }: Lease): Block {
  const address = networkAddress(prefix);
  const isAddress = lengthOf(prefix) === FULL_LENGTH[addressFamily(address)];
  const isWhole = portStart === 0 && portEnd === LAST_PORT;
  return { rdid, ...(isAddress ? { address } : { prefix }), ...(isWhole ? {} : { portStart, portEnd }) };
}

export class ExternalLeases {
  readonly #watch: LeaseWatch | undefined;
  readonly #byDomain = new Map<string, Lease[]>();
  /** By family, length and prefix. */
  readonly #byPrefix = { 4: new Map<number, LeasesByPrefix>(), 6: new Map<number, LeasesByPrefix>() };
  /** By domain, who waits for it to give something up. */
  readonly #waiting = new Map<string, Map<string, () => void>>();

  constructor(watch?: LeaseWatch) {
    this.#watch = watch;
  }

  /** Lends to the domain what it asks for, but what others hold. What it had before stays its own until keepOnly(). */
  claim(rdid: string, plan: NatPlan): Claim {
    const holders = new Set<string>();
    const isGranted = (lease: Lease): boolean => {
      const holder = this.#holderOf(lease);
      if (holder === undefined) this.#add(lease);
      else holders.add(holder);
      return holder === undefined;
    };
    const externalAddresses = plan.externalAddresses.filter((one) => isGranted(ofAddress(rdid, one)));
    const prefixes = plan.prefixes.filter(({ external }) => isGranted(ofPrefix(rdid, external)));
    if (holders.size === 0) return { plan };
    const granted = new Set(externalAddresses.map(({ address }) => address));
    return {
      plan: {
        ...plan,
        ...{ externalAddresses, prefixes },
        portMappings: plan.portMappings.filter(({ externalAddress }) => granted.has(externalAddress)),
        oneToOne: plan.oneToOne.filter(({ external }) => granted.has(external)),
        peers: plan.peers.filter(({ localAddress }) => granted.has(localAddress)),
      },
      blockedUntil: new Promise((resolve) => {
        for (const holder of holders) {
          const waiting = this.#waiting.get(holder) ?? new Map();
          this.#waiting.set(holder, waiting.set(rdid, resolve));
        }
      }),
    };
  }

  /** The domain has no sessions any more but under these: what else it had is free. */
  keepOnly(rdid: string, { externalAddresses, prefixes }: Externals): void {
    const before = this.#byDomain.get(rdid) ?? [];
    const kept = [
      ...externalAddresses.map((one) => ofAddress(rdid, one)),
      ...prefixes.map(({ external }) => ofPrefix(rdid, external)),
    ];
    for (const lease of before) if (!kept.some((one) => isSame(one, lease))) this.#remove(lease);
    for (const lease of kept) this.#add(lease);
    const waiting = this.#waiting.get(rdid);
    this.#waiting.delete(rdid);
    for (const resolve of waiting?.values() ?? []) resolve();
  }

  /** Another domain that holds any of it. */
  #holderOf(lease: Lease): string | undefined {
    if (this.#byDomain.get(lease.rdid)?.some((own) => isSame(own, lease))) return undefined;
    const meets = (other: Lease): boolean =>
      other.rdid !== lease.rdid && other.portStart <= lease.portEnd && lease.portStart <= other.portEnd;
    const address = networkAddress(lease.prefix);
    const length = lengthOf(lease.prefix);
    for (const [one, leases] of this.#byPrefix[addressFamily(address)]) {
      const found =
        one <= length ? leases.get(prefixAround(address, one))?.find(meets) : inside(lease, leases, meets);
      if (found !== undefined) return found.rdid;
    }
    return undefined;
  }

  #add(lease: Lease): void {
    const own = this.#byDomain.get(lease.rdid) ?? [];
    if (own.some((one) => isSame(one, lease))) return;
    this.#byDomain.set(lease.rdid, [...own, lease]);
    const leases = this.#ofLength(lease);
    leases.set(lease.prefix, [...(leases.get(lease.prefix) ?? []), lease]);
    this.#watch?.taken(blockOf(lease));
  }

  #remove(lease: Lease): void {
    without(this.#byDomain, lease.rdid, lease);
    without(this.#ofLength(lease), lease.prefix, lease);
    this.#watch?.freed(blockOf(lease));
  }

  #ofLength({ prefix }: Lease): LeasesByPrefix {
    const lengths = this.#byPrefix[addressFamily(networkAddress(prefix))];
    const leases = lengths.get(lengthOf(prefix)) ?? new Map();
    lengths.set(lengthOf(prefix), leases);
    return leases;
  }
}

/** The first of these leases, all of longer prefixes, that lies in that one. */
function inside(
  { prefix }: Lease,
  leases: LeasesByPrefix,
  meets: (other: Lease) => boolean,
): Lease | undefined {
  for (const [other, ofOther] of leases) {
    const found = contains(prefix, networkAddress(other)) ? ofOther.find(meets) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

function without(map: Map<string, Lease[]>, key: string, lease: Lease): void {
  const rest = (map.get(key) ?? []).filter((one) => one !== lease);
  if (rest.length === 0) map.delete(key);
  else map.set(key, rest);
}
