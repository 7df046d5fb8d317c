/**
 * What rtnetlink's messages say of links, addresses, routes and neighbours (rtnetlink(7)), in this program's words. Each
 * reader gets a message without its header, from `at` to `end`.
 */
import { addressFromBytes } from '../policy/address.ts';
import { attributes } from './netlink.ts';

export const AF_INET = 2;
export const AF_INET6 = 10;

/** Bytes of struct ifinfomsg. */
export const LINK_BODY = 16;
/** Attributes of a link, as if_link.h numbers them. */
export const IFLA = {
  mac: 1,
  name: 3,
  mtu: 4,
  below: 5,
  info: 18,
  alias: 20,
  families: 26,
  extra: 29,
} as const;
/** IFLA_INFO_KIND. */
const INFO_KIND = 1;
/** IFLA_INET_CONF; IFLA_INET6_CONF and IFLA_INET6_ADDR_GEN_MODE. */
const FAMILY = { settings4: 1, settings6: 2, generation6: 8 } as const;
/** Places in these arrays (IPV4_DEVCONF_* of linux/ip.h, less 1; DEVCONF_* of linux/ipv6.h), as under /proc/sys. */
const SETTINGS4 = {
  ...{ accept_redirects: 3, send_redirects: 5, rp_filter: 7, arp_announce: 17, arp_ignore: 18 },
  ...{ promote_secondaries: 19, accept_local: 22 },
} as const;
const SETTINGS6 = {
  accept_ra: 3,
  accept_redirects: 4,
  autoconf: 5,
  disable_ipv6: 26,
  accept_dad: 27,
} as const;
const IFA = { address: 1, local: 2, flags: 8 } as const;
const RTA = {
  ...{ destination: 1, link: 4, gateway: 5, metric: 6, source: 7, metrics: 8, multipath: 9 },
  ...{ table: 15, via: 18, nexthop: 30 },
} as const;
/** Bytes of struct rtnexthop. */
const RTNEXTHOP = 8;
const FRA = { destination: 1, source: 2, link: 3, priority: 6, table: 15 } as const;
const NDA = { destination: 1, mac: 2, protocol: 12 } as const;

const IFF_UP = 1;
const IFF_RUNNING = 0x40;
const IFF_PROMISC = 0x100;
const IFA_F_TENTATIVE = 0x40;
const IFA_F_DADFAILED = 0x08;
const IFA_F_MCAUTOJOIN = 0x400;
const RTN_UNICAST = 1;
const NUD_PERMANENT = 0x80;

export interface NetLink {
  ifindex: number;
  name: string;
  isUp: boolean;
  /** It is up, and so is what it stands on: there is a carrier (RFC 2863 operational state). */
  isRunning: boolean;
  /** Somebody has set it so; what programs ask for besides is not told. */
  isPromiscuous: boolean;
  /** Bytes. */
  mtu: number;
  mac: string;
  /** What somebody has noted at the link. */
  alias?: string;
  /** `veth`, `macvlan` and so on; undefined for a NIC, also a virtual machine's. */
  kind?: string;
  /** Index of a veth's other side, or of the link below; in whatever namespace that is. */
  below?: number;
}

export interface NetAddress {
  ifindex: number;
  address: string;
  prefixLength: number;
  /** IPv6 duplicate address detection: under way, or it found another owner. */
  detection: 'passed' | 'running' | 'failed';
  /** A multicast group that the kernel has joined for as long as it is an address here. */
  isGroup: boolean;
}

export interface NetHop {
  ifindex: number;
  gateway?: string;
  /** Share of the traffic, from 1. */
  weight: number;
}

export interface NetRoute {
  /** Canonical prefix. */
  destination: string;
  /** 0 when the route names none, or several. */
  ifindex: number;
  gateway?: string;
  /** Of a route with several next hops, in the kernel's order. */
  hops?: readonly NetHop[];
  source?: string;
  metric: number;
  /** Number of who made it (rtm_protocol). */
  protocol: number;
  /** All that makes it another kind of route than one over a link or a next hop, in iproute2's words. */
  peculiarities: readonly string[];
}

export interface NetNeighbour {
  ifindex: number;
  address: string;
  mac: string;
  /** Number of who made it (NDA_PROTOCOL). */
  protocol: number;
}

/** Settings of a link, or of all, by their names under /proc/sys/net/ipv4/conf and ipv6/conf; those that the kernel tells. */
export interface NetSettings {
  ipv4: Record<string, number>;
  ipv6: Record<string, number>;
}

function address(data: Buffer, at: number, end: number): string {
  if (end - at === 4) return `${data[at]}.${data[at + 1]}.${data[at + 2]}.${data[at + 3]}`;
  return addressFromBytes(data.subarray(at, end));
}

function mac(data: Buffer, at: number, end: number): string {
  return data.toString('hex', at, end).replace(/..(?=.)/g, '$&:');
}

export function readLink(data: Buffer, at: number, end: number): NetLink {
  const link: NetLink = {
    ifindex: data.readUInt32LE(at + 4),
    name: '',
    isUp: (data.readUInt32LE(at + 8) & IFF_UP) !== 0,
    isRunning: (data.readUInt32LE(at + 8) & IFF_RUNNING) !== 0,
    isPromiscuous: (data.readUInt32LE(at + 8) & IFF_PROMISC) !== 0,
    mtu: 0,
    mac: '',
  };
  attributes(data, at + LINK_BODY, end, (type, from, to) => {
    if (type === IFLA.name) link.name = data.toString('utf8', from, to - 1);
    else if (type === IFLA.mac) link.mac = mac(data, from, to);
    else if (type === IFLA.mtu) link.mtu = data.readUInt32LE(from);
    else if (type === IFLA.below) link.below = data.readUInt32LE(from);
    else if (type === IFLA.alias) link.alias = data.toString('utf8', from, to - 1);
    else if (type === IFLA.info)
      attributes(data, from, to, (one, begin, finish) => {
        if (one === INFO_KIND) link.kind = data.toString('latin1', begin, finish).replace(/\0.*$/, '');
      });
  });
  return link;
}

/** Of a link whose message was asked for with statistics: otherwise the kernel leaves some out. */
export function readLinkSettings(data: Buffer, at: number, end: number): NetSettings {
  const found: NetSettings = { ipv4: {}, ipv6: {} };
  attributes(data, at + LINK_BODY, end, (type, from, to) => {
    if (type !== IFLA.families) return;
    attributes(data, from, to, (family, begin, finish) => {
      attributes(data, begin, finish, (attribute, first, last) => {
        const take = (into: Record<string, number>, places: Record<string, number>): void => {
          for (const [setting, place] of Object.entries(places))
            if (first + 4 * place < last) into[setting] = data.readInt32LE(first + 4 * place);
        };
        if (family === AF_INET && attribute === FAMILY.settings4) take(found.ipv4, SETTINGS4);
        if (family === AF_INET6 && attribute === FAMILY.settings6) take(found.ipv6, SETTINGS6);
        if (family === AF_INET6 && attribute === FAMILY.generation6)
          found.ipv6.addr_gen_mode = data[first] ?? 0;
      });
    });
  });
  return found;
}

export function readAddress(data: Buffer, at: number, end: number): NetAddress {
  const found: NetAddress = {
    ifindex: data.readUInt32LE(at + 4),
    address: '',
    prefixLength: data[at + 1] ?? 0,
    detection: 'passed',
    isGroup: false,
  };
  let local: string | undefined;
  attributes(data, at + 8, end, (type, from, to) => {
    if (type === IFA.address) found.address = address(data, from, to);
    else if (type === IFA.local) local = address(data, from, to);
    else if (type === IFA.flags) {
      const flags = data.readUInt32LE(from);
      if ((flags & IFA_F_DADFAILED) !== 0) found.detection = 'failed';
      else if ((flags & IFA_F_TENTATIVE) !== 0) found.detection = 'running';
      found.isGroup = (flags & IFA_F_MCAUTOJOIN) !== 0;
    }
  });
  // Of a link between two points, the other one stands in `address`.
  if (local !== undefined) found.address = local;
  return found;
}

/** rtm_type in iproute2's words. */
const ROUTE_TYPES = new Map([
  [2, 'local'],
  [3, 'broadcast'],
  [5, 'multicast'],
  [6, 'blackhole'],
  [7, 'unreachable'],
  [8, 'prohibit'],
  [9, 'throw'],
]);

export function readRoute(data: Buffer, at: number, end: number): NetRoute & { table: number } {
  const family = data[at];
  const type = data[at + 7] ?? 0;
  const tos = data[at + 3] ?? 0;
  let [network, table, ifindex, metric] = ['', data[at + 4] ?? 0, 0, 0];
  let [gateway, source]: (string | undefined)[] = [];
  let hops: NetHop[] | undefined;
  const peculiarities: string[] = [];
  if (type !== RTN_UNICAST) peculiarities.push(ROUTE_TYPES.get(type) ?? `type ${type}`);
  if (tos !== 0) peculiarities.push(`tos ${tos}`);
  attributes(data, at + 12, end, (attribute, from, to) => {
    if (attribute === RTA.destination) network = address(data, from, to);
    else if (attribute === RTA.link) ifindex = data.readUInt32LE(from);
    else if (attribute === RTA.gateway) gateway = address(data, from, to);
    else if (attribute === RTA.metric) metric = data.readUInt32LE(from);
    else if (attribute === RTA.source) source = address(data, from, to);
    else if (attribute === RTA.table) table = data.readUInt32LE(from);
    else if (attribute === RTA.metrics && to > from) peculiarities.push('metrics');
    else if (attribute === RTA.multipath) hops = readHops(data, from, to);
    else if (attribute === RTA.nexthop || attribute === RTA.via) peculiarities.push('nexthops');
  });
  if (network === '') network = family === AF_INET ? '0.0.0.0' : '::';
  return {
    destination: `${network}/${data[at + 1]}`,
    ...{ ifindex, metric, table, protocol: data[at + 5] ?? 0, peculiarities },
    ...(gateway === undefined ? {} : { gateway }),
    ...(hops === undefined ? {} : { hops }),
    ...(source === undefined ? {} : { source }),
  };
}

/** struct rtnexthop, each with attributes of its own. */
function readHops(data: Buffer, from: number, to: number): NetHop[] {
  const hops: NetHop[] = [];
  for (let at = from; at + RTNEXTHOP <= to; ) {
    const length = data.readUInt16LE(at);
    if (length < RTNEXTHOP) break;
    const hop: NetHop = { ifindex: data.readUInt32LE(at + 4), weight: (data[at + 3] ?? 0) + 1 };
    attributes(data, at + RTNEXTHOP, at + length, (attribute, first, last) => {
      if (attribute === RTA.gateway) hop.gateway = address(data, first, last);
    });
    hops.push(hop);
    at += (length + 3) & ~3;
  }
  return hops;
}

/** Undefined when the entry is not a permanent one. */
export function readPermanentNeighbour(data: Buffer, at: number, end: number): NetNeighbour | undefined {
  return (data.readUInt16LE(at + 8) & NUD_PERMANENT) === 0 ? undefined : readNeighbour(data, at, end);
}

export function readNeighbour(data: Buffer, at: number, end: number): NetNeighbour {
  const found = { ifindex: data.readUInt32LE(at + 4), address: '', mac: '', protocol: 0 };
  attributes(data, at + 12, end, (type, from, to) => {
    if (type === NDA.destination) found.address = address(data, from, to);
    else if (type === NDA.mac) found.mac = mac(data, from, to);
    else if (type === NDA.protocol) found.protocol = data[from] ?? 0;
  });
  return found;
}

/** A rule of which routing table is looked into (ip-rule(8)). */
export interface NetRule {
  family: 4 | 6;
  /** 0 is the first. */
  priority: number;
  table: number;
  /** Interface that the packets come from. */
  link?: string;
  /** What else the packets must have, or is done to them. */
  isPeculiar: boolean;
}

const FR_ACT_TO_TBL = 1;

export function readRule(data: Buffer, at: number, end: number): NetRule {
  const found: NetRule = {
    family: data[at] === AF_INET ? 4 : 6,
    priority: 0,
    table: data[at + 4] ?? 0,
    isPeculiar: data[at + 7] !== FR_ACT_TO_TBL || data[at + 3] !== 0,
  };
  attributes(data, at + 12, end, (type, from, to) => {
    if (type === FRA.link) found.link = data.toString('latin1', from, to - 1);
    else if (type === FRA.priority) found.priority = data.readUInt32LE(from);
    else if (type === FRA.table) found.table = data.readUInt32LE(from);
    else if (type === FRA.destination || type === FRA.source) found.isPeculiar = true;
  });
  return found;
}
