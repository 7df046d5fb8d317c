/**
 * A socket of the C library, made in a namespace and used by the test's own process without waiting: what arrived stays in
 * the kernel until take(). So a test can hold one at each of many VMs. A namespace does not end while there are sockets
 * in it: the lab closes them.
 */
import { closeSync } from 'node:fs';
import koffi from 'koffi';
import { inNetns } from '../../src/linux/netns.ts';
import type { Namespace } from './namespace.ts';

const SOL_SOCKET = 1;
const SO_RCVBUFFORCE = 33;
const MSG_DONTWAIT = 0x40;
const EAGAIN = 11;
const EINPROGRESS = 115;
/** Thousands of small packets until take(). */
const RECEIVE_BUFFER = 64 * 1024 * 1024;
/** A super-packet with room for its headers. */
const LARGEST = 128 * 1024;

const libc = koffi.load('libc.so.6');
const socket = libc.func('int socket(int domain, int type, int protocol)');
const bind = libc.func('int bind(int fd, const void *address, uint32_t length)');
const connect = libc.func('int connect(int fd, const void *address, uint32_t length)');
const recv = libc.func('int64_t recv(int fd, void *buffer, size_t size, int flags)');
const sendto = libc.func(
  'int64_t sendto(int fd, const void *data, size_t size, int flags, const void *address, uint32_t length)',
);
const interfaceIndex = libc.func('unsigned int if_nametoindex(const char *name)');
const setsockopt = libc.func(
  'int setsockopt(int fd, int level, int option, const void *value, uint32_t length)',
);

const buffer = Buffer.alloc(LARGEST);

function checked(call: string, result: unknown): number {
  if (Number(result) < 0) throw new Error(`${call}: errno ${koffi.errno()}`);
  return Number(result);
}

/** An `int` as the C library takes it. */
export function int(value: number): Buffer {
  return Buffer.from(new Int32Array([value]).buffer);
}

export class NativeSocket {
  readonly #fd: number;
  #isOpen = true;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** `prepare` is called inside the namespace with the index of the interface; what it throws is thrown. */
  static open(
    namespace: Namespace,
    nic: string,
    kind: readonly [domain: number, type: number, protocol: number],
    prepare: (opened: NativeSocket, ifindex: number) => void,
  ): NativeSocket {
    const opened = inNetns(namespace.name, () => {
      const ifindex = Number(interfaceIndex(nic));
      if (ifindex === 0) throw new Error(`there is no interface ${nic} in ${namespace.name}`);
      const made = new NativeSocket(checked('socket', socket(...kind)));
      try {
        made.setOption(SOL_SOCKET, SO_RCVBUFFORCE, int(RECEIVE_BUFFER));
        prepare(made, ifindex);
      } catch (error) {
        made.close();
        throw error;
      }
      return made;
    });
    namespace.lab.onClose(() => opened.close());
    return opened;
  }

  setOption(level: number, option: number, value: Buffer): void {
    checked(`setsockopt ${option}`, setsockopt(this.#fd, level, option, value, value.length));
  }

  bind(address: Buffer): void {
    checked('bind', bind(this.#fd, address, address.length));
  }

  /** Begins to connect, and does not wait for it where the socket does not block. */
  connect(address: Buffer): void {
    const result = connect(this.#fd, address, address.length);
    if (koffi.errno() !== EINPROGRESS) checked('connect', result);
  }

  /** `address` undefined: to where the socket is bound. */
  send(data: Uint8Array, address?: Buffer): void {
    checked('send', sendto(this.#fd, data, data.length, 0, address ?? null, address?.length ?? 0));
  }

  /** What has arrived since the last call. */
  take(): Buffer[] {
    const packets: Buffer[] = [];
    for (;;) {
      const length = Number(recv(this.#fd, buffer, buffer.length, MSG_DONTWAIT));
      if (length >= 0) packets.push(Buffer.from(buffer.subarray(0, length)));
      else if (koffi.errno() === EAGAIN) return packets;
      else checked('recv', length);
    }
  }

  /** Hands the descriptor over: it is the caller's to close. */
  release(): number {
    this.#isOpen = false;
    return this.#fd;
  }

  close(): void {
    if (this.#isOpen) closeSync(this.#fd);
    this.#isOpen = false;
  }
}
