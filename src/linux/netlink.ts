/**
 * Netlink sockets of the namespace that the calling thread is in: plain requests and dumps, synchronous, so that they can be
 * used inside inNetns(), and dumps in pieces for what may take longer. What a message means is for the caller; here are only
 * headers and attributes.
 */
import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import koffi from 'koffi';
import { HnvError } from '../errors.ts';
import { errnoText } from './libbpf.ts';

const libc = koffi.load('libc.so.6');
const socket = libc.func('int socket(int domain, int type, int protocol)') as unknown as (
  domain: number,
  type: number,
  protocol: number,
) => number;
const bind = libc.func('int bind(int fd, const void *address, unsigned int length)') as unknown as (
  fd: number,
  address: Uint8Array,
  length: number,
) => number;
type Transfer = [fd: number, buffer: Uint8Array, length: number, flags: number];
interface TransferCall {
  (...transfer: Transfer): number | bigint;
  async(...transfer: [...Transfer, done: (error: Error | null, length: number | bigint) => void]): void;
}
const send = libc.func(
  'long send(int fd, const void *buffer, size_t length, int flags)',
) as unknown as TransferCall;
const recv = libc.func(
  'long recv(int fd, void *buffer, size_t length, int flags)',
) as unknown as TransferCall;

const setsockopt = libc.func(
  'int setsockopt(int fd, int level, int option, const void *value, unsigned int length)',
) as unknown as (fd: number, level: number, option: number, value: Uint8Array, length: number) => number;

const { EINTR } = constants.errno;

const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 3 | 0o2000000;
const SOCK_NONBLOCK = 0o4000;
const SOL_NETLINK = 270;
/** The kernel then applies what a dump's header asks for, instead of dumping all (Linux 4.20). */
const NETLINK_GET_STRICT_CHK = 12;
const ON = Uint8Array.of(1, 0, 0, 0);

export const NETLINK_ROUTE = 0;
export const NETLINK_NETFILTER = 12;

const NLM_F_REQUEST = 1;
const NLM_F_ACK = 4;
const NLM_F_DUMP = 0x300;
/** What changed while it was dumped may be missing, or there twice. */
const NLM_F_DUMP_INTR = 0x10;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;

/** Bytes of struct nlmsghdr. */
export const MESSAGE_HEADER = 16;
const ATTRIBUTE_HEADER = 4;
/** NLA_F_NESTED and NLA_F_NET_BYTEORDER are no part of the type. */
const ATTRIBUTE_TYPE = 0x3fff;
/** The kernel makes no larger message about one object, and packs dumps into pieces of at most 32 KiB. */
export const PIECE_BYTES = 64 * 1024;

const aligned = (length: number): number => (length + 3) & ~3;

/** One message of an answer, valid until the callback returns. `at` and `end` bound what follows the message's header. */
export type TakeMessage = (type: number, data: Buffer, at: number, end: number) => void;

/** Calls `take` with each attribute in `data`, from `at` to `end`: its type, and where its value begins and ends. */
export function attributes(
  data: Buffer,
  at: number,
  end: number,
  take: (type: number, at: number, end: number) => void,
): void {
  for (let next = at; next + ATTRIBUTE_HEADER <= end; ) {
    const length = data.readUInt16LE(next);
    if (length < ATTRIBUTE_HEADER) return;
    take(data.readUInt16LE(next + 2) & ATTRIBUTE_TYPE, next + ATTRIBUTE_HEADER, next + length);
    next += aligned(length);
  }
}

/** An attribute, padded to four bytes; `value` may be other attributes. */
export function attribute(type: number, ...value: Uint8Array[]): Buffer {
  const length = ATTRIBUTE_HEADER + value.reduce((sum, part) => sum + part.length, 0);
  const bytes = Buffer.alloc(aligned(length));
  bytes.writeUInt16LE(length, 0);
  bytes.writeUInt16LE(type, 2);
  let at = ATTRIBUTE_HEADER;
  for (const part of value) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** An attribute with a text, which ends with 0. */
export function textAttribute(type: number, value: string): Buffer {
  return attribute(type, Buffer.from(`${value}\0`, 'latin1'));
}

function failure(operation: string, errno: number): HnvError {
  return new HnvError('HNV_INTERNAL', `${operation}(AF_NETLINK): ${errnoText(errno)}`);
}

/** Opens a socket that hears of these groups (a bit each); the caller closes the descriptor. */
export function netlinkSocket(protocol: number, groups: number, isBlocking: boolean): number {
  const fd = socket(AF_NETLINK, SOCK_RAW_CLOEXEC | (isBlocking ? 0 : SOCK_NONBLOCK), protocol);
  if (fd < 0) throw failure('socket', koffi.errno());
  const address = Buffer.alloc(12);
  address.writeUInt16LE(AF_NETLINK, 0);
  address.writeUInt32LE(groups, 8);
  if (groups !== 0 && bind(fd, address, address.length) !== 0) {
    const errno = koffi.errno();
    closeSync(fd);
    throw failure('bind', errno);
  }
  return fd;
}

/** Receives once; a negative errno when there is nothing, or there was too much (ENOBUFS). */
export function netlinkReceive(fd: number, buffer: Buffer): number {
  for (;;) {
    const length = Number(recv(fd, buffer, buffer.length, 0));
    if (length >= 0) return length;
    const errno = koffi.errno();
    if (errno !== EINTR) return -errno;
  }
}

/** Calls that wait in a thread of libuv's: one at a time, for it has four of them for everybody. */
let lastCall: Promise<unknown> = Promise.resolve();

function inThread(call: TransferCall, ...transfer: Transfer): Promise<number> {
  const result = lastCall.then(
    () =>
      new Promise<number>((resolve, reject) => {
        call.async(...transfer, (error, length) => {
          if (error !== null) reject(error);
          else resolve(length < 0 ? -koffi.errno() : Number(length));
        });
      }),
  );
  lastCall = result.then(
    () => undefined,
    () => undefined,
  );
  return result;
}

function message(type: number, flags: number, sequence: number, body: Uint8Array): Buffer {
  const bytes = Buffer.alloc(aligned(MESSAGE_HEADER + body.length));
  bytes.writeUInt32LE(MESSAGE_HEADER + body.length, 0);
  bytes.writeUInt16LE(type, 4);
  bytes.writeUInt16LE(flags, 6);
  bytes.writeUInt32LE(sequence, 8);
  bytes.set(body, MESSAGE_HEADER);
  return bytes;
}

/** A conversation with the kernel about one namespace: that in which it was opened. */
export class Netlink {
  readonly #fd: number;
  /** Shared: whoever reads is done with it before anybody else can read. */
  static readonly #answer = Buffer.alloc(PIECE_BYTES);

  constructor(protocol: number) {
    this.#fd = netlinkSocket(protocol, 0, true);
    setsockopt(this.#fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, ON, ON.length);
  }

  close(): void {
    closeSync(this.#fd);
  }

  /**
   * Asks for one object, and hands it to `take`. Answers the error number of the kernel's refusal, ENODEV for example, or 0.
   */
  ask(type: number, body: Uint8Array, take: TakeMessage): number {
    this.#send(message(type, NLM_F_REQUEST, 0, body));
    return this.#receive(take).errno;
  }

  /**
   * Tells the kernel to do something with each of `bodies`, at most 64, at once. Answers the error numbers of its refusals;
   * what it has done is not among them.
   */
  tell(type: number, bodies: readonly Uint8Array[]): number[] {
    const last = bodies.length;
    if (last === 0) return [];
    this.#send(
      Buffer.concat(
        bodies.map((body, index) => {
          const flags = index + 1 === last ? NLM_F_REQUEST | NLM_F_ACK : NLM_F_REQUEST;
          return message(type, flags, index + 1, body);
        }),
      ),
    );
    const refusals: number[] = [];
    for (;;) {
      const { errno, sequence } = this.#receive(() => undefined);
      if (errno !== 0) refusals.push(errno);
      if (sequence === last) return refusals;
    }
  }

  /**
   * Asks for all there are of a kind and hands each to `take`. Throws HNV_INTERNAL when the kernel refuses. False when something changed meanwhile: what `take` got may be neither the state
   * before nor the one after.
   */
  dump(type: number, body: Uint8Array, take: TakeMessage): boolean {
    this.#send(message(type, NLM_F_REQUEST | NLM_F_DUMP, 0, body));
    let isWhole = true;
    for (;;) {
      const { isDone, isInterrupted, errno } = this.#receive(take);
      if (errno !== 0) throw failure('request', errno);
      if (isInterrupted) isWhole = false;
      if (isDone) return isWhole;
    }
  }

  /**
   * Begins a dump that more() reads. The kernel looks for the first piece at once, which may take long where it goes through
   * what belongs to all namespaces: not on the event loop.
   */
  async begin(type: number, body: Uint8Array): Promise<void> {
    const bytes = message(type, NLM_F_REQUEST | NLM_F_DUMP, 0, body);
    const sent = await inThread(send, this.#fd, bytes, bytes.length, 0);
    if (sent < 0) throw failure('send', -sent);
  }

  /**
   * Hands the next piece of a dump to `take`, from a buffer of the caller's; false when it was the last. The kernel makes
   * no more of them than are asked for. Throws HNV_INTERNAL when the kernel refuses.
   */
  async more(buffer: Buffer, take: TakeMessage): Promise<boolean> {
    const length = await inThread(recv, this.#fd, buffer, buffer.length, 0);
    if (length < 0) throw failure('recv', -length);
    const { isDone, errno } = read(buffer, length, take);
    if (errno !== 0) throw failure('request', errno);
    return !isDone;
  }

  #send(bytes: Uint8Array): void {
    while (Number(send(this.#fd, bytes, bytes.length, 0)) < 0)
      if (koffi.errno() !== EINTR) throw failure('send', koffi.errno());
  }

  #receive(take: TakeMessage): Piece {
    const data = Netlink.#answer;
    const length = netlinkReceive(this.#fd, data);
    if (length < 0) throw failure('recv', -length);
    return read(data, length, take);
  }
}

interface Piece {
  isDone: boolean;
  isInterrupted: boolean;
  errno: number;
  /** Of the message that ended it, when it is about one. */
  sequence: number;
}

/** What was received at once. */
function read(data: Buffer, length: number, take: TakeMessage): Piece {
  let isInterrupted = false;
  for (let at = 0; at + MESSAGE_HEADER <= length; ) {
    const size = data.readUInt32LE(at);
    const type = data.readUInt16LE(at + 4);
    const sequence = data.readUInt32LE(at + 8);
    if (size < MESSAGE_HEADER) break;
    if ((data.readUInt16LE(at + 6) & NLM_F_DUMP_INTR) !== 0) isInterrupted = true;
    if (type === NLMSG_DONE) return { isDone: true, isInterrupted, errno: 0, sequence };
    if (type === NLMSG_ERROR)
      return { isDone: true, isInterrupted, errno: -data.readInt32LE(at + MESSAGE_HEADER), sequence };
    take(type, data, at + MESSAGE_HEADER, at + size);
    at += aligned(size);
  }
  return { isDone: false, isInterrupted, errno: 0, sequence: 0 };
}
