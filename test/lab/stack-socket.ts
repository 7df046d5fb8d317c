/**
 * Sockets of a namespace's own stack that the test's own event loop drives: many VMs talk at once without a program for
 * each. Descriptors are made inside by NativeSocket and handed to Node. A namespace does not end while there are sockets
 * in it: the lab closes them.
 */
import { createSocket, type Socket as DatagramSocket } from 'node:dgram';
import { createServer, type Server, Socket } from 'node:net';
import ipaddr from 'ipaddr.js';
import { inNetns } from '../../src/linux/netns.ts';
import type { Namespace } from './namespace.ts';
import { int, NativeSocket } from './native-socket.ts';
import { checksum } from './nvgre-frame.ts';

const AF_INET = 2;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0o4000;
const IPPROTO_ICMP = 1;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_REUSEPORT = 15;

/** struct sockaddr_in. */
function socketAddress(address: string, port: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt16LE(AF_INET, 0);
  bytes.writeUInt16BE(port, 2);
  Buffer.from(ipaddr.parse(address).toByteArray()).copy(bytes, 4);
  return bytes;
}

/** A UDP socket of the namespace, bound to an address and port. */
export function udpSocket(namespace: Namespace, address: string, port: number): DatagramSocket {
  const native = NativeSocket.open(namespace, 'lo', [AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0], (opened) =>
    opened.bind(socketAddress(address, port)),
  );
  const socket = createSocket('udp4');
  socket.bind({ fd: native.release() });
  let isOpen = true;
  socket.once('close', () => {
    isOpen = false;
  });
  // What the network refuses is told by an error of the next call; who waits for an answer notices.
  socket.on('error', () => undefined);
  namespace.lab.onClose(() => {
    if (isOpen) socket.close();
  });
  return socket;
}

/** A TCP server of the namespace on all its addresses. Its port may be that of connections to elsewhere as well. */
export function tcpServer(
  namespace: Namespace,
  port: number,
  onConnection: (socket: Socket) => void,
): Server {
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    socket.on('error', () => socket.destroy());
    onConnection(socket);
  });
  // Without a host's name Node opens the socket before listen() returns.
  inNetns(namespace.name, () => server.listen({ port, reusePort: true }));
  namespace.lab.onClose(() => {
    server.close();
    for (const socket of open) socket.destroy();
  });
  return server;
}

/** A TCP connection that is being made; the first write waits until it stands. */
export function tcpConnection(
  namespace: Namespace,
  from: { address: string; port: number },
  to: { address: string; port: number },
): Socket {
  const native = NativeSocket.open(namespace, 'lo', [AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0], (opened) => {
    opened.setOption(SOL_SOCKET, SO_REUSEADDR, int(1));
    opened.setOption(SOL_SOCKET, SO_REUSEPORT, int(1));
    opened.bind(socketAddress(from.address, from.port));
    opened.connect(socketAddress(to.address, to.port));
  });
  const socket = new Socket({ fd: native.release() });
  socket.on('error', () => socket.destroy());
  namespace.lab.onClose(() => {
    socket.destroy();
  });
  return socket;
}

/** An ICMP message with its IP header, as it arrived. */
export interface IcmpMessage {
  source: string;
  type: number;
  code: number;
  /** Of an echo. */
  id: number;
  data: Buffer;
}

/** A raw ICMP socket (raw(7)): sends echo requests under any identifier, and hears all that arrives. */
export class IcmpSocket {
  readonly #socket: NativeSocket;

  constructor(namespace: Namespace) {
    this.#socket = NativeSocket.open(namespace, 'lo', [AF_INET, SOCK_RAW, IPPROTO_ICMP], () => undefined);
  }

  /** Sends an echo request. */
  send(address: string, id: number, sequence: number, data: string): void {
    const message = Buffer.concat([Buffer.from([8, 0, 0, 0, 0, 0, 0, 0]), Buffer.from(data)]);
    message.writeUInt16BE(id, 4);
    message.writeUInt16BE(sequence, 6);
    message.writeUInt16BE(checksum(message), 2);
    this.#socket.send(message, socketAddress(address, 0));
  }

  /** What has arrived since the last call. */
  take(): IcmpMessage[] {
    return this.#socket.take().map((packet) => {
      const message = packet.subarray(((packet[0] ?? 0) & 15) * 4);
      return {
        source: packet.subarray(12, 16).join('.'),
        type: message[0] ?? 0,
        code: message[1] ?? 0,
        id: message.readUInt16BE(4),
        data: message.subarray(8),
      };
    });
  }
}
