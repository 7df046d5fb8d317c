/** Random NAT for many domains that share few external addresses, each step made of the one before. */
import { type DomainNat, type Mapping, NatModel, type Share } from './nat-model.ts';

/** Numbers below a limit, the same for each seed (Mulberry32). */
export class RandomNumbers {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  }

  between(least: number, most: number): number {
    return least + this.below(most - least + 1);
  }

  /** True in `percent` of a hundred. */
  chance(percent: number): boolean {
    return this.below(100) < percent;
  }

  pick<T>(from: readonly [T, ...T[]] | readonly T[]): T {
    return from[this.below(from.length)] as T;
  }

  /** `count` of them at most, in random order. */
  some<T>(from: readonly T[], count: number): T[] {
    const left = [...from];
    return Array.from({ length: Math.min(count, left.length) }, () =>
      left.splice(this.below(left.length), 1),
    ).flat();
  }
}

const LAST_PORT = 65535;
/** Enough for all that the VMs of a domain say in a test. */
const LEAST_BLOCK = 256;
const MOST_OF_BLOCK = 20_000;
const FILTERINGS = ['endpointIndependent', 'addressDependent', 'addressAndPortDependent'] as const;

export interface Surroundings {
  addresses: readonly string[];
  /** Inside hosts of every domain, and the ports at which they answer. */
  hosts: readonly string[];
  served: readonly number[];
  /** Prefixes that some of the outside are in. */
  remotes: readonly string[];
}

export class RandomNat {
  readonly #numbers: RandomNumbers;
  readonly #around: Surroundings;

  constructor(numbers: RandomNumbers, around: Surroundings) {
    this.#numbers = numbers;
    this.#around = around;
  }

  /** One to three domains get another NAT, or two exchange theirs. What does not change is the same object as before. */
  next({ nats }: NatModel): NatModel {
    const changed = [...nats];
    const indexes = [...nats.keys()];
    if (this.#numbers.chance(25)) {
      const [one = 0, other = 0] = this.#numbers.some(indexes, 2);
      const copy = (nat: DomainNat | undefined) =>
        nat && { ...nat, ...(nat.isAuto && { externalAddresses: [] }) };
      [changed[one], changed[other]] = [copy(changed[other]), copy(changed[one])];
      return new NatModel(changed);
    }
    const touched = this.#numbers.some(indexes, this.#numbers.between(1, 3));
    for (const index of touched) changed[index] = undefined;
    for (const index of touched) changed[index] = this.#nat(changed);
    return new NatModel(changed);
  }

  #nat(others: readonly (DomainNat | undefined)[]): DomainNat | undefined {
    const numbers = this.#numbers;
    const modes = {
      filtering: { tcp: numbers.pick(FILTERINGS), udp: numbers.pick(FILTERINGS) },
      hairpinning: numbers.chance(70) ? ('local' as const) : ('external' as const),
    };
    if (numbers.chance(15))
      return { isAuto: true, externalAddresses: [], staticMappings: [], oneToOne: [], ...modes };
    const taken = others.flatMap((nat) => nat?.externalAddresses ?? []);
    const externalAddresses = numbers
      .some(this.#around.addresses, numbers.between(1, 3))
      .flatMap((address) => this.#share(address, taken));
    if (externalAddresses.length === 0 || numbers.chance(5)) return undefined;
    const whole = externalAddresses.filter(({ portStart }) => portStart === undefined);
    const oneToOne = numbers.some(whole, numbers.below(2)).map(({ ipAddress }) => ({
      externalIpAddress: ipAddress,
      internalIpAddress: numbers.pick(this.#around.hosts),
    }));
    const mappable = externalAddresses.filter(
      ({ ipAddress }) => !oneToOne.some(({ externalIpAddress }) => externalIpAddress === ipAddress),
    );
    return {
      isAuto: false,
      externalAddresses,
      oneToOne,
      staticMappings: mappable.length === 0 ? [] : this.#mappings(mappable, oneToOne[0]?.internalIpAddress),
      ...modes,
    };
  }

  /** All of an address that nobody has a part of, or a block of its free ports. */
  #share(ipAddress: string, taken: readonly Share[]): Share[] {
    const numbers = this.#numbers;
    const blocks = taken
      .filter((share) => share.ipAddress === ipAddress)
      .sort((a, b) => (a.portStart ?? 0) - (b.portStart ?? 0));
    if (blocks.some(({ portStart }) => portStart === undefined)) return [];
    if (blocks.length === 0 && numbers.chance(40)) return [{ ipAddress }];
    let free = 1;
    const gaps: [first: number, last: number][] = [];
    for (const { portStart = 0, portEnd = 0 } of [...blocks, { portStart: LAST_PORT + 1 }]) {
      if (portStart - free >= LEAST_BLOCK) gaps.push([free, portStart - 1]);
      free = portEnd + 1;
    }
    if (gaps.length === 0) return [];
    const [first, last] = numbers.pick(gaps);
    const size = numbers.between(LEAST_BLOCK, Math.min(MOST_OF_BLOCK, last - first + 1));
    // Often side by side, where a wrong bound would show.
    const portStart = numbers.chance(50) ? first : numbers.between(first, last - size + 1);
    return [{ ipAddress, portStart, portEnd: portStart + size - 1 }];
  }

  /**
   * Each leads to a server of its own: one that is reached by two external ports sees other source ports where one asker
   * uses the same for both. So has `but` none.
   */
  #mappings(shares: readonly Share[], but: string | undefined): Mapping[] {
    const numbers = this.#numbers;
    const servers = this.#around.hosts
      .filter((host) => host !== but)
      .flatMap((internalIpAddress) =>
        this.#around.served.map((internalPort) => ({ internalIpAddress, internalPort })),
      );
    const mappings = new Map<string, Mapping>();
    for (const protocol of ['tcp', 'udp'] as const)
      for (const server of numbers.some(servers, numbers.below(4))) {
        const { ipAddress, portStart = 1, portEnd = LAST_PORT } = numbers.pick(shares);
        const externalPort = numbers.pick([portStart, portEnd, numbers.between(portStart, portEnd)]);
        mappings.set(`${protocol} ${ipAddress} ${externalPort}`, {
          ...{ protocol, externalIpAddress: ipAddress, externalPort },
          ...server,
          ...(numbers.chance(30) && { remoteExternalIpAddressPrefix: numbers.pick(this.#around.remotes) }),
        });
      }
    return [...mappings.values()];
  }
}
