/**
 * Frames that nobody sends: mutations of the fixtures' frames, at every layer. Each is made of a random number of
 * steps, so that most are wrong in one place only and get far.
 */
import type { Place } from '../../src/encap/core.ts';
import { addressBytes, macBytes } from '../../src/policy/address.ts';
import { linkLocalAddress, routerMac } from '../../src/policy/router.ts';
import { LINK_MACS, type Link, portLinks, VLAN } from '../bpf/data-plane.ts';
import { fixtures } from '../bpf/packet-fixtures/all.ts';
import { MARK } from '../bpf/packet-fixtures/fixture.ts';
import * as domains from '../bpf/two-domains.ts';
import type { Random } from './random.ts';

/** More does not fit a test run's page. */
const MOST_BYTES = 3400;
const LEAST_BYTES = 14;

export interface Mutant {
  place: Place;
  on: Link;
  mark: number;
  /** The frame is cut to this length in the kernel, where test runs do not take a shorter one; 0: it is not. */
  length: number;
  /** Tag that the NIC has taken off; 0: none. */
  vlan: number;
  /** Of the buffer that it was made in. */
  size: number;
}

interface Base {
  place: Place;
  on: Link;
  frame: Buffer;
}
/** Marks say what came back: only the data plane gives them, and never a frame from outside. */
const bases: readonly Base[] = fixtures
  .filter(({ place, mark }) => place !== 'tag' && (mark === undefined || place !== 'port'))
  .map(({ place, on, frame }) => ({ place, on, frame: frame.subarray(0, MOST_BYTES) }));

const linksOf: Record<Place, readonly Link[]> = {
  provider: ['provider'],
  vlan: ['tagged'],
  tag: ['tagged'],
  port: portLinks,
  context: ['contosoOut', 'fabrikamOut'],
  uplink: ['uplink'],
  sorter: ['sorter'],
  segment: ['contosoFwd', 'fabrikamFwd'],
};

const { contoso, fabrikam, VM_PORTS } = domains;
const both = [contoso, fabrikam];
const addresses = [
  ...[
    '10.1.1.4',
    '10.1.2.9',
    '10.1.1.1',
    '10.1.2.1',
    '10.1.9.1',
    '10.254.254.1',
    '10.254.254.2',
    '10.1.1.66',
  ],
  ...[
    '10.1.1.31',
    '10.1.1.32',
    '10.1.1.77',
    '10.1.1.99',
    '10.1.1.150',
    '10.1.1.255',
    '172.16.1.1',
    '172.16.5.1',
  ],
  ...['172.31.1.1', '172.20.1.1', '198.18.0.1', '198.51.100.7', '0.0.0.0', '255.255.255.255', '224.0.0.1'],
  ...[
    '127.0.0.1',
    '169.254.1.1',
    'fd00:1::4',
    'fd00:2::9',
    'fd00:1::1',
    'fd00:2::1',
    'fd00:fe::1',
    'fd00:fe::2',
  ],
  ...['fd00:1::66', 'fd00:1::31', 'fd00:1::99', 'fd00:16::1', 'fd00:18::1', 'fd00:31::1', '2001:db8::7'],
  ...['::', '::1', 'fe80::1', 'ff02::1', 'ff02::1:ff00:4'],
  ...[domains.GATEWAY_PA, domains.GATEWAY_PA6, domains.SHARED_PA, domains.SHARED_PA6, domains.WILDCARD_PA],
  ...Object.values(VM_PORTS).flatMap((port) => [...port.addresses]),
  ...both.flatMap((each) => [each.external, each.external6, each.hostPa, each.hostPa6, each.group]),
  ...[domains.SHARED, domains.SHARED6, domains.SHARED, domains.SHARED6],
  ...both.flatMap(({ peers }) => [...peers]),
  ...both.flatMap(({ station }) => [...station.addresses, linkLocalAddress(station.mac)]),
  ...both.flatMap(({ prefix, routed }) =>
    [prefix.external, prefix.internal, routed].map((text) => text.replace(/\/.*/, '9')),
  ),
  ...['2001:db8:1:ffff::1', 'fd01:203:405:ff12:ffff:ffff:ffff:ffff', 'fd01:203:405:ffff::1'],
].map(addressBytes);
const macs = [
  ...[domains.VM_MAC, domains.BRANCH_MAC, domains.FAR_MAC, domains.STATION_MAC, domains.LEARNED_MAC],
  ...[domains.SECOND_LEARNED_MAC, domains.WILDCARD_MAC, routerMac, contoso.gatewayMac, fabrikam.gatewayMac],
  ...['ff:ff:ff:ff:ff:ff', '33:33:00:00:00:01', '01:00:5e:00:00:01', '00:00:00:00:00:00'],
  ...Object.values(VM_PORTS).map(({ mac }) => mac),
  ...[LINK_MACS.provider, LINK_MACS.uplink, LINK_MACS.tagged],
  ...both.map(({ station }) => station.mac),
].map(macBytes);
const vsids = [
  ...both.flatMap((each) => Object.values(each.vsids)),
  ...[0, 0xfff, 0x1000, 0xfffffe, 0xffffff],
];
const etherTypes = [0x0800, 0x86dd, 0x0806, 0x8100, 0x88a8, 0x6558, 0x88cc, 0];
const protocols = [0, 1, 2, 4, 6, 17, 41, 43, 44, 47, 50, 58, 59, 60, 132, 255];
const bytesOfInterest = [0, 1, 0x40, 0x44, 0x45, 0x46, 0x4f, 0x60, 0x6f, 0x7f, 0x80, 0xfe, 0xff];
const wordsOfInterest = [
  0, 1, 7, 8, 19, 20, 27, 28, 39, 40, 41, 60, 1400, 1458, 1500, 0x2000, 0x4000, 0x7fff, 0xffff,
];

/** At the ends of blocks of shared addresses, and beside them; of IKE. */
const ports = [
  ...both.flatMap(({ block }) => block.flatMap((end) => [end - 1, end, end, end + 1])),
  ...[500, 500, 4500, 4500],
];
const icmpTypes = [0, 1, 2, 3, 4, 5, 8, 11, 12, 13, 14, 128, 129, 133, 135, 136];

const isTunnel = (place: Place): boolean => place === 'provider' || place === 'vlan';

export class Mutator {
  readonly #random: Random;
  readonly #tags: readonly number[];
  /** Where the mutant is made. */
  readonly frame = Buffer.alloc(MOST_BYTES + 128);
  #size = 0;

  /** `tags`: VLANs that half of the uplink's frames are in. */
  constructor(random: Random, tags: readonly number[] = []) {
    this.#random = random;
    this.#tags = tags;
  }

  /** Makes the next one in `frame`. */
  next(): Mutant {
    const random = this.#random;
    const base = random.pick(bases);
    this.#size = base.frame.length;
    base.frame.copy(this.frame);
    const on = this.#link(base);
    if (isTunnel(base.place) && random.below(3) === 0) this.#toFabrikam();
    if (on === 'fabrikamFwd') this.frame.set(macBytes(fabrikam.station.mac), 6);
    for (let steps = random.below(16) === 0 ? 0 : 1 + random.below(random.below(3) + 1); steps > 0; steps--)
      this.#step(base.place);
    if (isTunnel(base.place) && random.below(16) !== 0) this.#mendOuter();
    const kernel = random.below(32);
    const isTagged = base.place === 'uplink' && this.#tags.length > 0 && random.below(2) === 0;
    return {
      place: base.place,
      on,
      mark: base.place === 'vlan' && random.below(8) !== 0 ? MARK.vlan | VLAN : 0,
      length: kernel === 0 ? LEAST_BYTES + random.below(this.#size - LEAST_BYTES + 1) : 0,
      vlan: isTagged ? random.pick(this.#tags) : kernel === 1 ? 1 + random.below(10) : 0,
      size: this.#size,
    };
  }

  /** The other domain has the same addresses and MACs: its links take the same frames. */
  #link({ place, on }: Base): Link {
    const random = this.#random;
    if (!linksOf[place].includes(on) || random.below(16) === 0) return random.pick(linksOf[place]);
    return random.below(3) === 0 ? (on.replace('contoso', 'fabrikam') as Link) : on;
  }

  #step(place: Place): void {
    const random = this.#random;
    switch (random.below(10)) {
      case 0:
        this.#flip(1 + random.below(4));
        break;
      case 1:
        this.#resize();
        break;
      case 2:
        this.#splice();
        break;
      case 3:
        this.frame[this.#anywhere()] = random.pick(bytesOfInterest);
        break;
      case 4:
        this.#writeWord(this.#anywhere(), random.pick(wordsOfInterest));
        break;
      default:
        this.#field(place);
    }
  }

  #anywhere(): number {
    // Headers are worth more than what they carry.
    const reach = this.#random.below(4) === 0 ? this.#size : Math.min(this.#size, 110);
    return this.#random.below(reach);
  }

  #flip(bits: number): void {
    for (let bit = 0; bit < bits; bit++) {
      const at = this.#anywhere();
      this.frame[at] = (this.frame[at] ?? 0) ^ (1 << this.#random.below(8));
    }
  }

  /** Shorter, longer, or with bytes put in or taken out in the middle. */
  #resize(): void {
    const random = this.#random;
    const at = this.#anywhere();
    switch (random.below(4)) {
      case 0:
        this.#size = Math.max(LEAST_BYTES, random.below(this.#size + 1));
        break;
      case 1: {
        const more = Math.min(random.below(64), MOST_BYTES - this.#size);
        this.frame.fill(random.below(256), this.#size, this.#size + more);
        this.#size += more;
        break;
      }
      case 2: {
        const more = Math.min(1 << random.below(4), MOST_BYTES - this.#size);
        this.frame.copyWithin(at + more, at, this.#size);
        this.#size += more;
        break;
      }
      default: {
        const less = Math.min(1 << random.below(4), this.#size - at);
        this.frame.copyWithin(at, at + less, this.#size);
        this.#size = Math.max(LEAST_BYTES, this.#size - less);
      }
    }
  }

  /** The rest of another frame from some place on, at the same place or the boundary of a header. */
  #splice(): void {
    const random = this.#random;
    const other = random.pick(bases).frame;
    const boundaries = [12, 14, 34, 42, 54, 56, 62, 76];
    const at = Math.min(random.below(2) === 0 ? random.pick(boundaries) : this.#anywhere(), this.#size);
    const from = Math.min(random.below(2) === 0 ? at : random.pick(boundaries), other.length);
    const copied = other.copy(this.frame, at, from, from + MOST_BYTES - at);
    this.#size = Math.max(LEAST_BYTES, at + copied);
  }

  #writeWord(at: number, value: number): void {
    this.frame[at] = value >> 8;
    this.frame[at + 1] = value;
  }

  #isIpv6At(at: number): boolean {
    return (this.frame[at] ?? 0) >> 4 === 6;
  }

  /** A field of one of the headers gets another value that means something. */
  #field(place: Place): void {
    const random = this.#random;
    const tunnel = isTunnel(place);
    const gre = this.#isIpv6At(14) ? 54 : 34;
    const isInner = tunnel && random.below(4) !== 0;
    const ethernet = isInner ? gre + 8 : 0;
    const ip = ethernet + 14;
    if (tunnel && random.below(6) === 0) {
      const key = random.pick(vsids);
      this.frame.writeUInt32BE(key * 256 + random.below(256), gre + 4);
      return;
    }
    const isIpv6 = this.#isIpv6At(ip);
    if (!tunnel && place !== 'port' && random.below(3) === 0) {
      this.#session(ip, isIpv6);
      return;
    }
    switch (random.below(isIpv6 ? 9 : 10)) {
      case 0:
      case 1:
        this.frame.set(random.pick(macs), ethernet + 6 * random.below(2));
        break;
      case 2:
        this.#writeWord(ethernet + 12, random.pick(etherTypes));
        break;
      case 3:
      case 4:
      case 5:
        this.#address(ip, isIpv6);
        break;
      case 6:
        this.frame[ip + (isIpv6 ? 6 : 9)] = random.pick(protocols);
        break;
      case 7:
        this.frame[ip + (isIpv6 ? 7 : 8)] = random.below(4) === 0 ? 255 : random.below(3);
        break;
      case 8:
        this.#writeWord(ip + (isIpv6 ? 4 : 2), this.#size - ip + random.below(9) - 4);
        break;
      default:
        this.#writeWord(ip + 6, random.pick([0, 0x2000, 0x4000, 0x6000, 0x8000, 1, 0x1fff]));
    }
  }

  /** What tells sessions apart: ports, identifiers, types of ICMP, and the same in what an error quotes. */
  #session(ip: number, isIpv6: boolean): void {
    const random = this.#random;
    const headerOf = (at: number): number => (isIpv6 ? 40 : ((this.frame[at] ?? 0) & 15) * 4);
    const transport = ip + headerOf(ip);
    const quote = transport + 8;
    const where = random.below(4);
    if (where === 0) this.frame[transport] = random.pick(icmpTypes);
    else if (where === 1) this.#address(quote, isIpv6);
    else {
      const at = where === 2 ? transport : quote + headerOf(quote);
      this.#writeWord(at + 2 * random.below(3), random.pick(ports));
    }
  }

  #address(ip: number, isIpv6: boolean): void {
    const random = this.#random;
    const address = random.pick(addresses);
    const isDestination = random.below(2);
    // ARP has its addresses elsewhere.
    if (this.frame.readUInt16BE(ip - 2) === 0x0806) {
      this.frame.set(address.subarray(12), ip + (isDestination ? 24 : 14));
      return;
    }
    if (isIpv6) this.frame.set(address, ip + (isDestination ? 24 : 8));
    else this.frame.set(address.subarray(12), ip + (isDestination ? 16 : 12));
  }

  /** The tunnel as if it were the other domain's: VSID, and the host that only it has VMs on. */
  #toFabrikam(): void {
    const isIpv6 = this.#isIpv6At(14);
    const key = (isIpv6 ? 54 : 34) + 4;
    const vsid = this.frame.readUIntBE(key, 3);
    if (vsid >= 5001 && vsid < 6000) this.frame.writeUIntBE(vsid + 1000, key, 3);
    const host = addressBytes(isIpv6 ? contoso.hostPa6 : contoso.hostPa).subarray(isIpv6 ? 0 : 12);
    const at = isIpv6 ? 22 : 26;
    if (this.frame.subarray(at, at + host.length).equals(host))
      this.frame.set(addressBytes(isIpv6 ? fabrikam.hostPa6 : fabrikam.hostPa).subarray(isIpv6 ? 0 : 12), at);
  }

  /** Length and checksum of the outer header: without them nothing gets past it. */
  #mendOuter(): void {
    const { frame } = this;
    if (this.#isIpv6At(14)) {
      if (this.#random.below(4) !== 0) this.#writeWord(18, this.#size - 54);
      return;
    }
    if (this.#random.below(4) !== 0) this.#writeWord(16, this.#size - 14);
    this.#writeWord(24, 0);
    let sum = 0;
    for (let at = 14; at < 34; at += 2) sum += ((frame[at] ?? 0) << 8) + (frame[at + 1] ?? 0);
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
    this.#writeWord(24, ~sum & 0xffff);
  }
}
