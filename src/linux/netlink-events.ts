/**
 * What the kernel tells unasked over netlink (multicast groups), of all network namespaces that the calling thread's knows by a
 * number, and of that one itself: one socket for all. An open socket in each would keep the namespaces from going away, and the
 * kernel offers each event to every socket that listens to its group, wherever it was opened.
 */
import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import koffi from 'koffi';
import { HnvError } from '../errors.ts';
import { errnoText } from './libbpf.ts';
import { native32 } from './native.ts';
import { netlinkSocket } from './netlink.ts';

const { EAGAIN, EINTR, ENOBUFS } = constants.errno;

const libc = koffi.load('libc.so.6');
const recvmmsg = libc.func(
  'int recvmmsg(int fd, void *messages, unsigned int count, int flags, void *timeout)',
) as unknown as (fd: number, messages: unknown, count: number, flags: number, timeout: null) => number;
const setsockopt = libc.func(
  'int setsockopt(int fd, int level, int option, const void *value, unsigned int length)',
) as unknown as (fd: number, level: number, option: number, value: Uint8Array, length: number) => number;

const SOL_SOCKET = 1;
const SO_RCVBUFFORCE = 33;
const SOL_NETLINK = 270;
const NETLINK_BROADCAST_ERROR = 4;
const NETLINK_LISTEN_ALL_NSID = 8;

/** What is received by one call. A longer message is cut. */
const BATCH = 128;
const MESSAGE_BYTES = 2048;
/** struct mmsghdr, struct iovec, and a control message with one number (struct cmsghdr is 16 bytes). */
const HEADER_BYTES = 64;
const VECTOR_BYTES = 16;
const CONTROL_BYTES = 24;
const PLACE = {
  vectors: BATCH * HEADER_BYTES,
  controls: BATCH * (HEADER_BYTES + VECTOR_BYTES),
  messages: BATCH * (HEADER_BYTES + VECTOR_BYTES + CONTROL_BYTES),
  end: BATCH * (HEADER_BYTES + VECTOR_BYTES + CONTROL_BYTES + MESSAGE_BYTES),
} as const;
/** In struct msghdr, struct mmsghdr and struct cmsghdr. */
const CONTROL_LENGTH_AT = 40;
const LENGTH_AT = 56;
const CONTROL_VALUE_AT = 16;

/**
 * A message with its header, from `at` to `end`, valid until the callback returns. `nsid`: the namespace that it is about,
 * undefined for the socket's own.
 */
export type TakeEvent = (nsid: number | undefined, data: Buffer, at: number, end: number) => void;

function checked(call: string, result: number): number {
  if (result < 0) throw new HnvError('HNV_INTERNAL', `${call}(AF_NETLINK): ${errnoText(koffi.errno())}`);
  return result;
}

export class NetlinkEvents {
  readonly fd: number;
  readonly #memory = koffi.alloc('uint8_t', PLACE.end) as unknown;
  readonly #view = Buffer.from(koffi.view(this.#memory, PLACE.end));

  /**
   * Listens to these groups, a bit each, from now on. `bufferBytes`: of what the kernel may keep until it is read. With
   * `tellsSenders`, who could not tell something in the kernel hears of it (NETLINK_BROADCAST_ERROR).
   */
  constructor(protocol: number, groups: number, bufferBytes: number, tellsSenders = false) {
    this.fd = netlinkSocket(protocol, groups, false);
    try {
      this.#set(SOL_SOCKET, SO_RCVBUFFORCE, bufferBytes);
      this.#set(SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, 1);
      if (tellsSenders) this.#set(SOL_NETLINK, NETLINK_BROADCAST_ERROR, 1);
    } catch (error) {
      closeSync(this.fd);
      throw error;
    }
    const base = koffi.address(this.#memory);
    const pointer = (at: number, to: number): number => this.#view.writeBigUInt64LE(base + BigInt(to), at);
    this.#view.fill(0);
    for (let index = 0; index < BATCH; index++) {
      const header = index * HEADER_BYTES;
      const vector = PLACE.vectors + index * VECTOR_BYTES;
      pointer(header + 16, vector);
      this.#view.writeBigUInt64LE(1n, header + 24);
      pointer(header + 32, PLACE.controls + index * CONTROL_BYTES);
      pointer(vector, PLACE.messages + index * MESSAGE_BYTES);
      this.#view.writeBigUInt64LE(BigInt(MESSAGE_BYTES), vector + 8);
    }
  }

  /**
   * Hands over some of what there is. `empty`: that was all. `overrun`: the kernel had more to tell than there was room for.
   * Throws HNV_INTERNAL.
   */
  read(take: TakeEvent): 'more' | 'empty' | 'overrun' {
    const view = this.#view;
    for (let index = 0; index < BATCH; index++)
      view.writeUInt32LE(CONTROL_BYTES, index * HEADER_BYTES + CONTROL_LENGTH_AT);
    const count = recvmmsg(this.fd, this.#memory, BATCH, 0, null);
    if (count < 0) {
      const errno = koffi.errno();
      if (errno === EAGAIN) return 'empty';
      if (errno === ENOBUFS) return 'overrun';
      if (errno === EINTR) return 'more';
      throw new HnvError('HNV_INTERNAL', `recvmmsg(AF_NETLINK): ${errnoText(errno)}`);
    }
    for (let index = 0; index < count; index++) {
      // What comes from the socket's own namespace has no number.
      const control = view.readUInt32LE(index * HEADER_BYTES + CONTROL_LENGTH_AT);
      const nsid =
        control < CONTROL_BYTES - 4
          ? undefined
          : view.readInt32LE(PLACE.controls + index * CONTROL_BYTES + CONTROL_VALUE_AT);
      const at = PLACE.messages + index * MESSAGE_BYTES;
      take(nsid, view, at, at + view.readUInt32LE(index * HEADER_BYTES + LENGTH_AT));
    }
    return count < BATCH ? 'empty' : 'more';
  }

  close(): void {
    closeSync(this.fd);
    koffi.free(this.#memory);
  }

  #set(level: number, option: number, value: number): void {
    const bytes = native32(value);
    checked('setsockopt', setsockopt(this.fd, level, option, bytes, bytes.length));
  }
}
