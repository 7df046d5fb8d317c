/**
 * The connection tracking of a network namespace through ctnetlink: which sessions there are, how many, how many could not
 * begin, and their end.
 *
 * The kernel keeps the sessions of all namespaces in one table, and goes through all of it for one dump: milliseconds when
 * it is empty. So a dump is read a piece at a time in a thread of its own, and a slow reader keeps nothing but its socket.
 */
import { constants } from 'node:os';
import { HnvError } from '../errors.ts';
import { addressBytes } from '../policy/address.ts';
import {
  CTA,
  CTA_IP,
  CTA_PROTO,
  CTA_TUPLE,
  NFGEN_HEADER,
  readSession,
  type Session,
} from './conntrack-messages.ts';
import { errnoText } from './libbpf.ts';
import { native32 } from './native.ts';
import { attribute, attributes, NETLINK_NETFILTER, Netlink, PIECE_BYTES } from './netlink.ts';
import { inNetns } from './netns.ts';

const { ENOENT } = constants.errno;

/** Subsystem ctnetlink with IPCTNL_MSG_CT_*. */
const CT_GET = (1 << 8) | 1;
const CT_DELETE = (1 << 8) | 2;
const CT_GET_STATS_CPU = (1 << 8) | 4;
const CT_GET_STATS = (1 << 8) | 5;
const CTA_STATS_GLOBAL_ENTRIES = 1;
const CTA_STATS_INSERT_FAILED = 9;
const CTA_FILTER_FLAGS = { original: 1, reply: 2 } as const;
const FILTER_BY = { source: 1, destination: 2, protocol: 8, sourcePort: 16, destinationPort: 32 } as const;
/** Without it the kernel does not take the filter. */
const NLA_F_NESTED = 0x8000;
const AF_INET = 2;
/** Of the 16 bytes of an address, those that are IPv4's begin here. */
const IPV4_IN_BYTES = 12;
/** Deletions that are sent at once. */
const AT_ONCE = 64;

/**
 * What the packets of one direction must have. An address of IPv4 is needed, and for ports the protocol: of IPv6 the kernel leaves out
 * those that fit (seen on Linux 6.18; `ctnetlink_filter_match_tuple` compares the wrong way round).
 */
export interface TupleFilter {
  source?: string;
  destination?: string;
  protocol?: number;
  sourcePort?: number;
  destinationPort?: number;
}

/** Sessions that the kernel leaves out of a dump; both parts must fit. */
export interface SessionFilter {
  original?: TupleFilter;
  reply?: TupleFilter;
}

const number16 = (value: number): Uint8Array => Uint8Array.of(value >> 8, value & 0xff);

function tupleAttribute(type: number, filter: TupleFilter): Buffer {
  const { source, destination, protocol, sourcePort, destinationPort } = filter;
  const address = (type: number, text: string): Buffer =>
    attribute(type, addressBytes(text).subarray(IPV4_IN_BYTES));
  const ip = [
    source === undefined ? [] : address(CTA_IP.v4Source, source),
    destination === undefined ? [] : address(CTA_IP.v4Destination, destination),
  ].flat();
  const proto = [
    protocol === undefined ? [] : attribute(CTA_PROTO.number, Uint8Array.of(protocol)),
    sourcePort === undefined ? [] : attribute(CTA_PROTO.sourcePort, number16(sourcePort)),
    destinationPort === undefined ? [] : attribute(CTA_PROTO.destinationPort, number16(destinationPort)),
  ].flat();
  return attribute(type, attribute(CTA_TUPLE.ip, ...ip), attribute(CTA_TUPLE.proto, ...proto));
}

function filterFlags(filter: TupleFilter = {}): number {
  let flags = 0;
  for (const [field, flag] of Object.entries(FILTER_BY))
    if (filter[field as keyof TupleFilter] !== undefined) flags |= flag;
  return flags;
}

/** Body of a dump's request. */
function dumpRequest({ original, reply }: SessionFilter): Buffer {
  const address = original?.source ?? original?.destination ?? reply?.source ?? reply?.destination;
  if (address === undefined) return Buffer.alloc(NFGEN_HEADER);
  return Buffer.concat([
    Uint8Array.of(AF_INET, 0, 0, 0),
    attribute(
      CTA.filter | NLA_F_NESTED,
      attribute(CTA_FILTER_FLAGS.original, native32(filterFlags(original))),
      attribute(CTA_FILTER_FLAGS.reply, native32(filterFlags(reply))),
    ),
    ...(original === undefined ? [] : [tupleAttribute(CTA.tupleOrig, original)]),
    ...(reply === undefined ? [] : [tupleAttribute(CTA.tupleReply, reply)]),
  ]);
}

/**
 * All sessions of the namespace, some hundred at a time; those that begin or end meanwhile may be among them or not. The
 * namespace does not go while this is open: leave the loop, or call return(). Throws HNV_NETNS.
 */
export async function* sessionsOf(netns: string, filter: SessionFilter = {}): AsyncGenerator<Session[]> {
  const netlink = inNetns(netns, () => new Netlink(NETLINK_NETFILTER));
  try {
    // Most contexts have none at most times, and the kernel would look for long.
    if (sessionCount(netlink) === 0) return;
    const buffer = Buffer.allocUnsafeSlow(PIECE_BYTES);
    await netlink.begin(CT_GET, dumpRequest(filter));
    for (let isMore = true; isMore; ) {
      const sessions: Session[] = [];
      isMore = await netlink.more(buffer, (_type, data, at, end) => {
        sessions.push(readSession(data, at, end));
      });
      if (sessions.length > 0) yield sessions;
    }
  } finally {
    netlink.close();
  }
}

/** Ends sessions of the namespace by their keys; those that have ended already are no error. Throws HNV_NETNS. */
export function endSessions(netns: string, keys: readonly Uint8Array[]): void {
  if (keys.length === 0) return;
  const netlink = inNetns(netns, () => new Netlink(NETLINK_NETFILTER));
  try {
    for (let from = 0; from < keys.length; from += AT_ONCE)
      for (const errno of netlink.tell(CT_DELETE, keys.slice(from, from + AT_ONCE)))
        if (errno !== ENOENT) throw failed('end', errno);
  } finally {
    netlink.close();
  }
}

function failed(what: string, errno: number): HnvError {
  return new HnvError('HNV_NETNS', `Cannot ${what} tracked sessions: ${errnoText(errno)}.`);
}

const STATISTICS_BODY = new Uint8Array(NFGEN_HEADER);

/** How many sessions there are in the namespace that the socket was opened in. Throws HNV_NETNS. */
export function sessionCount(netlink: Netlink): number {
  let count = 0;
  const errno = netlink.ask(CT_GET_STATS, STATISTICS_BODY, (_type, data, at, end) =>
    attributes(data, at + NFGEN_HEADER, end, (type, from) => {
      if (type === CTA_STATS_GLOBAL_ENTRIES) count = data.readUInt32BE(from);
    }),
  );
  if (errno !== 0) throw failed('count', errno);
  return count;
}

/** How many packets were dropped since the namespace was made because their session found no free translation, or clashed. */
export function failedInsertions(netlink: Netlink): number {
  let count = 0;
  // A message for each processor.
  netlink.dump(CT_GET_STATS_CPU, STATISTICS_BODY, (_type, data, at, end) =>
    attributes(data, at + NFGEN_HEADER, end, (type, from) => {
      if (type === CTA_STATS_INSERT_FAILED) count += data.readUInt32BE(from);
    }),
  );
  return count;
}
