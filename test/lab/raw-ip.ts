/** An IPv4 packet socket of any protocol (raw(7)) in a namespace: what is said by what has neither ports nor identifiers. */
import ipaddr from 'ipaddr.js';
import type { Namespace } from './namespace.ts';
import { NativeSocket } from './native-socket.ts';

const AF_INET = 2;
const SOCK_RAW = 3;
/** Bytes of an IPv4 header without options, and where its source is. */
const HEADER = 20;
const SOURCE = 12;

function socketAddress(address: string): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt16LE(AF_INET, 0);
  Buffer.from(ipaddr.parse(address).toByteArray()).copy(bytes, 4);
  return bytes;
}

export class RawIp {
  readonly #socket: NativeSocket;

  /** Sends and hears packets of the protocol under one address of the namespace. */
  constructor(namespace: Namespace, nic: string, protocol: number, address: string) {
    this.#socket = NativeSocket.open(namespace, nic, [AF_INET, SOCK_RAW, protocol], (opened) =>
      opened.bind(socketAddress(address)),
    );
  }

  send(text: string, to: string): void {
    this.#socket.send(Buffer.from(text), socketAddress(to));
  }

  /** What has arrived since the last call, and from whom. */
  take(): { from: string; text: string }[] {
    return this.#socket.take().map((packet) => ({
      from: packet.subarray(SOURCE, SOURCE + 4).join('.'),
      text: packet.subarray(HEADER).toString(),
    }));
  }
}
