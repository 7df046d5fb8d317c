/** Where a request comes from: the node's own unix socket, or an address. */
import type { Socket } from 'node:net';
import type { FastifyRequest } from 'fastify';

/** Connections that only root on this machine can have made. */
const localSockets = new WeakSet<Socket>();

/** Notes that the connection came over the node's own unix socket: its requests need no token. */
export function trustSocket(socket: Socket): void {
  localSockets.add(socket);
}

export function isLocal(request: FastifyRequest): boolean {
  return localSockets.has(request.raw.socket);
}

/** The address of the client, IPv4 as such also when it came to an IPv6 socket; `unix` for one of this machine's sockets. */
export function originOf(request: FastifyRequest): string {
  const { remoteAddress = 'unix' } = request.raw.socket;
  return remoteAddress.replace(/^::ffff:(?=[0-9.]+$)/, '').replace(/%.*$/, '');
}
