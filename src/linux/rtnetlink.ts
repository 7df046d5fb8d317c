/**
 * What the kernel has of links, addresses, routes and neighbours in the namespace of the calling thread (rtnetlink(7)). A
 * reading is synchronous and takes a few microseconds, where `ip` would take a process: so that thousands of namespaces
 * can be looked at all the time. Nothing is written here; that is iproute2's.
 */
import { constants } from 'node:os';
import { HnvError } from '../errors.ts';
import { addressBytes, addressFamily } from '../policy/address.ts';
import { errnoText } from './libbpf.ts';
import { attribute, attributes, NETLINK_ROUTE, Netlink } from './netlink.ts';
import {
  AF_INET,
  AF_INET6,
  IFLA,
  LINK_BODY,
  type NetAddress,
  type NetLink,
  type NetNeighbour,
  type NetRoute,
  type NetRule,
  type NetSettings,
  readAddress,
  readLink,
  readLinkSettings,
  readNeighbour,
  readPermanentNeighbour,
  readRoute,
  readRule,
} from './rtnetlink-messages.ts';

const { ENODEV } = constants.errno;

const RTM_GETLINK = 18;
const RTM_GETADDR = 22;
const RTM_GETROUTE = 26;
const RTM_GETNEIGH = 30;
const RTM_GETRULE = 34;
const RTM_GETNETCONF = 82;

const NETCONFA = { ifindex: 1, forwarding: 2, rp_filter: 3 } as const;
/** NETCONFA_IFINDEX_ALL: what is under `conf/all`. */
const ALL_LINKS = -1;
/** RTEXT_FILTER_SKIP_STATS: what counts is not asked for. */
const SKIP_STATS = 8;
const RT_TABLE_MAIN = 254;
const RTA_DST = 1;
const IPV4_IN_BYTES = 12;
/** Offset in struct rtmsg. */
const RTM_PROTOCOL = 5;
const RTPROT_KERNEL = 2;
const NTF_PROXY = 8;
/** Dumps that changes disturbed are repeated this often; the last one is taken as it is. */
const TRIES = 5;

/** Body of RTM_GETLINK: what of a link is to be told (`mask`), and of which. */
function linkRequest(mask: number, name?: string): Buffer {
  const text = name === undefined ? undefined : Buffer.from(`${name}\0`);
  const body = Buffer.alloc(LINK_BODY + 8 + (text === undefined ? 0 : (4 + text.length + 3) & ~3));
  body.writeUInt16LE(8, LINK_BODY);
  body.writeUInt16LE(IFLA.extra, LINK_BODY + 2);
  body.writeUInt32LE(mask, LINK_BODY + 4);
  if (text === undefined) return body;
  body.writeUInt16LE(4 + text.length, LINK_BODY + 8);
  body.writeUInt16LE(IFLA.name, LINK_BODY + 10);
  body.set(text, LINK_BODY + 12);
  return body;
}

/** Reads of one namespace; all calls must be made within it. */
export class RouteNetlink {
  readonly #netlink = new Netlink(NETLINK_ROUTE);

  /** Runs `use` with a conversation about the namespace that the calling thread is in. */
  static use<T>(use: (reading: RouteNetlink) => T): T {
    const reading = new RouteNetlink();
    try {
      return use(reading);
    } finally {
      reading.#netlink.close();
    }
  }

  /** All links with their settings. */
  links(): (NetLink & { settings: NetSettings })[] {
    return this.#all(RTM_GETLINK, linkRequest(0), (data, at, end) => ({
      ...readLink(data, at, end),
      settings: readLinkSettings(data, at, end),
    }));
  }

  /** One link by its name; undefined when there is none. */
  link(name: string): NetLink | undefined {
    let found: NetLink | undefined;
    const errno = this.#netlink.ask(RTM_GETLINK, linkRequest(SKIP_STATS, name), (_type, data, at, end) => {
      found = readLink(data, at, end);
    });
    if (errno !== 0 && errno !== ENODEV)
      throw new HnvError('HNV_INTERNAL', `Cannot read the interface ${name}: ${errnoText(errno)}`);
    return found;
  }

  /** Settings for all links: `forwarding`, and `rp_filter` of IPv4. */
  commonSettings(): NetSettings {
    const read = (family: number): Record<string, number> => {
      const body = Buffer.alloc(12);
      body[0] = family;
      body.writeUInt16LE(8, 4);
      body.writeUInt16LE(NETCONFA.ifindex, 6);
      body.writeInt32LE(ALL_LINKS, 8);
      const settings: Record<string, number> = {};
      const errno = this.#netlink.ask(RTM_GETNETCONF, body, (_type, data, at, end) => {
        attributes(data, at + 4, end, (type, from) => {
          if (type === NETCONFA.forwarding) settings.forwarding = data.readInt32LE(from);
          if (type === NETCONFA.rp_filter) settings.rp_filter = data.readInt32LE(from);
        });
      });
      if (errno !== 0)
        throw new HnvError('HNV_INTERNAL', `Cannot read the settings of all links: ${errnoText(errno)}`);
      return settings;
    };
    return { ipv4: read(AF_INET), ipv6: read(AF_INET6) };
  }

  /** Addresses of one link, of all when `ifindex` is 0. */
  addresses(ifindex = 0): NetAddress[] {
    const body = Buffer.alloc(8);
    body.writeUInt32LE(ifindex, 4);
    return this.#all(RTM_GETADDR, body, readAddress);
  }

  /**
   * Routes of a table (the main one) that are not the kernel's own; those of one protocol, when it is not 0, and none of the
   * protocols `besides`, which may be very many.
   */
  routes(protocol = 0, table = RT_TABLE_MAIN, besides: ReadonlySet<number> = new Set()): NetRoute[] {
    const body = Buffer.alloc(12);
    body[4] = table;
    body[5] = protocol;
    const read = (data: Buffer, at: number, end: number): (NetRoute & { table: number }) | undefined => {
      const made = data[at + RTM_PROTOCOL] ?? 0;
      return made === RTPROT_KERNEL || besides.has(made) ? undefined : readRoute(data, at, end);
    };
    const found = [AF_INET, AF_INET6].flatMap((family) => {
      body[0] = family;
      return this.#all(RTM_GETROUTE, body, read);
    });
    return found.filter((route) => route?.table === table) as NetRoute[];
  }

  /** Index of the link by which a packet of ours to that address would leave; undefined when none would. */
  linkTo(address: string): number | undefined {
    const isIpv4 = addressFamily(address) === 4;
    const bytes = addressBytes(address).subarray(isIpv4 ? IPV4_IN_BYTES : 0);
    const body = Buffer.alloc(12);
    body[0] = isIpv4 ? AF_INET : AF_INET6;
    body[1] = bytes.length * 8;
    let ifindex: number | undefined;
    // A refusal is the kernel's way to say that there is no route.
    this.#netlink.ask(
      RTM_GETROUTE,
      Buffer.concat([body, attribute(RTA_DST, bytes)]),
      (_type, data, at, end) => {
        ifindex = readRoute(data, at, end).ifindex;
      },
    );
    return ifindex;
  }

  /** Rules of which table is looked into, of both families, in their order. */
  rules(): NetRule[] {
    const body = Buffer.alloc(12);
    return [AF_INET, AF_INET6].flatMap((family) => {
      body[0] = family;
      return this.#all(RTM_GETRULE, body, readRule);
    });
  }

  /** All neighbours; of those that were not found the MAC is empty. */
  neighbours(): NetNeighbour[] {
    return this.#all(RTM_GETNEIGH, Buffer.alloc(12), readNeighbour);
  }

  permanentNeighbours(): NetNeighbour[] {
    return this.#all(RTM_GETNEIGH, Buffer.alloc(12), readPermanentNeighbour).filter(
      (entry) => entry !== undefined,
    );
  }

  /** Addresses of IPv6 that a link would answer for, were proxy_ndp on. */
  proxies(ifindex: number): NetNeighbour[] {
    const body = Buffer.alloc(12);
    body[0] = AF_INET6;
    body[10] = NTF_PROXY;
    return this.#all(RTM_GETNEIGH, body, readNeighbour).filter((entry) => entry.ifindex === ifindex);
  }

  #all<T>(type: number, body: Uint8Array, read: (data: Buffer, at: number, end: number) => T): T[] {
    for (let left = TRIES; ; left--) {
      const found: T[] = [];
      const isWhole = this.#netlink.dump(type, body, (_type, data, at, end) => {
        found.push(read(data, at, end));
      });
      if (isWhole || left === 1) return found;
    }
  }
}
