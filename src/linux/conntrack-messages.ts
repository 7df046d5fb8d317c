/** Messages of ctnetlink about tracked sessions (linux/netfilter/nfnetlink_conntrack.h): what they say, and how one is named. */
import { addressFromBytes } from '../policy/address.ts';
import { attributes } from './netlink.ts';

/** struct nfgenmsg: family, version, resource. */
export const NFGEN_HEADER = 4;

export const CTA = {
  tupleOrig: 1,
  tupleReply: 2,
  status: 3,
  protoInfo: 4,
  timeout: 7,
  countersOrig: 9,
  countersReply: 10,
  id: 12,
  timestamp: 20,
  filter: 25,
  eventTime: 27,
} as const;
export const CTA_TUPLE = { ip: 1, proto: 2 } as const;
export const CTA_IP = { v4Source: 1, v4Destination: 2, v6Source: 3, v6Destination: 4 } as const;
export const CTA_PROTO = { number: 1, sourcePort: 2, destinationPort: 3 } as const;
const CTA_PROTO_ICMP = { id: 4, type: 5, code: 6, id6: 7, type6: 8, code6: 9 } as const;
const CTA_PROTOINFO_TCP = 1;
const CTA_PROTOINFO_TCP_STATE = 1;
const CTA_COUNTERS = { packets: 1, bytes: 2 } as const;
const CTA_TIMESTAMP = { start: 1, stop: 2 } as const;

/** Bits of `Session.status` (linux/netfilter/nf_conntrack_common.h). */
export const IPS = { expected: 1, seenReply: 2, assured: 4, sourceNat: 16, destinationNat: 32 } as const;

export const PROTOCOL = { icmp: 1, tcp: 6, udp: 17, icmpv6: 58 } as const;

/** `tcp_conntrack` of the kernel, by its numbers. */
export const tcpStates = [
  'none',
  'synSent',
  'synReceived',
  'established',
  'finWait',
  'closeWait',
  'lastAck',
  'timeWait',
  'close',
  'synSent2',
] as const;
export type TcpState = (typeof tcpStates)[number];

/** What packets of one direction have in their headers. */
export interface Tuple {
  source: string;
  destination: string;
  /** 0 for protocols that have none. Of ICMP queries both are the identifier. */
  sourcePort: number;
  destinationPort: number;
}

export interface Amount {
  packets: number;
  bytes: number;
}

export interface Session {
  /** IANA's number. */
  protocol: number;
  original: Tuple;
  reply: Tuple;
  /** Of ICMP, of the first packet. */
  icmp?: { type: number; code: number };
  status: number;
  /** The same as long as it lives, and perhaps another one's too. */
  id: number;
  tcpState?: TcpState;
  /** Seconds until it ends when nothing comes. */
  timeout: number;
  /** Milliseconds since 1970, to the microsecond; when the namespace notes it. */
  started?: number;
  /** As `started`, of a session that has ended. */
  ended?: number;
  /** As `started`: when that happened which an event tells of (Linux 6.14). */
  noted?: number;
  /** When the namespace counts. */
  sent?: Amount;
  received?: Amount;
  /** Its name for deletions: the body of the message. Valid until the next piece is read. */
  key(): Buffer;
}

/** Reads a message about a session. */
export function readSession(data: Buffer, at: number, end: number): Session {
  const family = data.readUInt8(at);
  let [tupleAt, tupleEnd, idAt] = [0, 0, 0];
  const session: Session = {
    protocol: 0,
    original: { source: '', destination: '', sourcePort: 0, destinationPort: 0 },
    reply: { source: '', destination: '', sourcePort: 0, destinationPort: 0 },
    status: 0,
    id: 0,
    timeout: 0,
    key: () =>
      Buffer.concat([
        Uint8Array.of(family, 0, 0, 0),
        data.subarray(tupleAt, tupleEnd),
        data.subarray(idAt, idAt + 8),
      ]),
  };
  attributes(data, at + NFGEN_HEADER, end, (type, from, to) => {
    if (type === CTA.tupleOrig) {
      [tupleAt, tupleEnd] = [from - 4, to];
      readTuple(session, session.original, data, from, to);
    } else if (type === CTA.tupleReply) readTuple(session, session.reply, data, from, to);
    else if (type === CTA.status) session.status = data.readUInt32BE(from);
    else if (type === CTA.timeout) session.timeout = data.readUInt32BE(from);
    else if (type === CTA.id) {
      idAt = from - 4;
      session.id = data.readUInt32BE(from);
    } else if (type === CTA.countersOrig) session.sent = readAmount(data, from, to);
    else if (type === CTA.countersReply) session.received = readAmount(data, from, to);
    else if (type === CTA.timestamp)
      attributes(data, from, to, (field, value) => {
        if (field === CTA_TIMESTAMP.start) session.started = readTime(data, value);
        else if (field === CTA_TIMESTAMP.stop) session.ended = readTime(data, value);
      });
    else if (type === CTA.eventTime) session.noted = readTime(data, from);
    else if (type === CTA.protoInfo) {
      const state = readTcpState(data, from, to);
      if (state !== undefined) session.tcpState = state;
    }
  });
  return session;
}

function readTuple(session: Session, tuple: Tuple, data: Buffer, at: number, end: number): void {
  attributes(data, at, end, (part, from, to) => {
    if (part === CTA_TUPLE.ip)
      attributes(data, from, to, (type, value, valueEnd) => {
        if (type === CTA_IP.v4Source || type === CTA_IP.v6Source)
          tuple.source = readAddress(data, value, valueEnd);
        else tuple.destination = readAddress(data, value, valueEnd);
      });
    else if (part === CTA_TUPLE.proto)
      attributes(data, from, to, (type, value) => {
        if (type === CTA_PROTO.number) session.protocol = data.readUInt8(value);
        else if (type === CTA_PROTO.sourcePort) tuple.sourcePort = data.readUInt16BE(value);
        else if (type === CTA_PROTO.destinationPort) tuple.destinationPort = data.readUInt16BE(value);
        else if (type === CTA_PROTO_ICMP.id || type === CTA_PROTO_ICMP.id6)
          tuple.sourcePort = tuple.destinationPort = data.readUInt16BE(value);
        else if (tuple === session.original) {
          session.icmp ??= { type: 0, code: 0 };
          const isType = type === CTA_PROTO_ICMP.type || type === CTA_PROTO_ICMP.type6;
          session.icmp[isType ? 'type' : 'code'] = data.readUInt8(value);
        }
      });
  });
}

/** Of all sessions of a domain the same few are read again and again, and IPv6 addresses are long to write. */
const writtenAddresses = new Map<string, string>();
const MOST_WRITTEN = 4096;

function readAddress(data: Buffer, at: number, end: number): string {
  if (end - at === 4) return `${data[at]}.${data[at + 1]}.${data[at + 2]}.${data[at + 3]}`;
  const bytes = data.toString('latin1', at, end);
  let text = writtenAddresses.get(bytes);
  if (text === undefined) {
    text = addressFromBytes(data.subarray(at, end));
    if (writtenAddresses.size >= MOST_WRITTEN) writtenAddresses.clear();
    writtenAddresses.set(bytes, text);
  }
  return text;
}

/** From nanoseconds to milliseconds. */
function readTime(data: Buffer, at: number): number {
  return Number(data.readBigUInt64BE(at)) / 1e6;
}

function readAmount(data: Buffer, at: number, end: number): Amount {
  const amount = { packets: 0, bytes: 0 };
  attributes(data, at, end, (type, from) => {
    if (type === CTA_COUNTERS.packets) amount.packets = Number(data.readBigUInt64BE(from));
    else if (type === CTA_COUNTERS.bytes) amount.bytes = Number(data.readBigUInt64BE(from));
  });
  return amount;
}

function readTcpState(data: Buffer, at: number, end: number): TcpState | undefined {
  let state: TcpState | undefined;
  attributes(data, at, end, (protocol, from, to) => {
    if (protocol !== CTA_PROTOINFO_TCP) return;
    attributes(data, from, to, (type, value) => {
      if (type === CTA_PROTOINFO_TCP_STATE) state = tcpStates[data.readUInt8(value)];
    });
  });
  return state;
}
