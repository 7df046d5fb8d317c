/**
 * The servers in front of the one app: a unix socket that only root can open, and ports. What comes to a port needs a token, so
 * that a page in a browser on this machine, whatever name it gave the address (DNS rebinding), gets nothing: browsers do not
 * send bearer tokens by themselves.
 */
import { lstatSync, mkdirSync, rmSync } from 'node:fs';
import { createServer, type Server, type ServerOptions } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { type ListenAddress, listenAddressText } from '../config/listen-address.ts';
import { HnvError } from '../errors.ts';
import type { Certificate } from './certificate.ts';
import { trustSocket } from './origin.ts';
import { refuseUnreadable } from './unreadable-request.ts';

/** How long a client may take, and how much it may open. */
export interface ClientLimits {
  /** From the first byte of a request, or of the connection, to the end of its headers. */
  readonly headersMs: number;
  /** To the end of its body: 64 MiB at 5 Mbit/s. */
  readonly requestMs: number;
  readonly connections: number;
}

const defaultClientLimits: ClientLimits = { headersMs: 10_000, requestMs: 120_000, connections: 1_000 };

/** How long an idle connection stays open for the next request. */
const KEEP_ALIVE_MS = 30_000;
const MAX_HEADER_BYTES = 16_384;
const HANDSHAKE_MS = 10_000;
/** How long answers that are under way have when the node stops. */
const GRACE_MS = 2_000;

export interface ListenOptions {
  /** Of the ports; unix sockets need none. */
  readonly certificate?: Certificate;
  readonly limits?: ClientLimits;
}

/**
 * Has the app answer at every address. All close with the app. To be called once, before the app is ready. Throws
 * HNV_CONFIG when an address cannot be had, and closes what was opened.
 */
export async function openListeners(
  app: FastifyInstance,
  addresses: readonly ListenAddress[],
  options: ListenOptions = {},
): Promise<Server[]> {
  const servers: Server[] = [];
  let closing: Promise<void>[] = [];
  // Answers that go on for long are ended by hooks that come after this one.
  app.addHook('preClose', async () => {
    closing = servers.map(closeServer);
  });
  app.addHook('onClose', async () => {
    await Promise.all(closing);
  });
  await app.ready();
  for (const [index, address] of addresses.entries()) {
    const server = makeServer(app, address, options);
    try {
      if ('path' in address) await freePath(address.path);
      await listen(server, address);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      const reason = `is ${listenAddressText(address)}, where the API cannot listen: ${why}`;
      await Promise.all(servers.map(closeServer));
      throw new HnvError('HNV_CONFIG', `api.listen.${index} ${reason}.`, {
        pointer: `/api/listen/${index}`,
        rule: 'listen',
        cause: error,
      });
    }
    server.on('clientError', refuseUnreadable);
    servers.push(server);
  }
  return servers;
}

function makeServer(app: FastifyInstance, address: ListenAddress, options: ListenOptions): Server {
  const { certificate, limits = defaultClientLimits } = options;
  const serverOptions: ServerOptions = {
    headersTimeout: limits.headersMs,
    requestTimeout: limits.requestMs,
    connectionsCheckingInterval: Math.min(1_000, limits.headersMs),
    keepAliveTimeout: KEEP_ALIVE_MS,
    maxHeaderSize: MAX_HEADER_BYTES,
  };
  if ('path' in address) {
    const server = createServer(serverOptions, app.routing);
    server.on('connection', trustSocket);
    return server;
  }
  const server = makePortServer(app, serverOptions, certificate);
  server.maxConnections = limits.connections;
  return server;
}

function makePortServer(
  app: FastifyInstance,
  options: ServerOptions,
  certificate: Certificate | undefined,
): Server {
  if (certificate === undefined) return createServer(options, app.routing);
  const server = createTlsServer(
    { ...options, ...certificate.pair, handshakeTimeout: HANDSHAKE_MS },
    app.routing,
  );
  // Connections that are open keep the certificate that they began with.
  certificate.onChange((pair) => server.setSecureContext(pair));
  return server;
}

/**
 * A socket file outlives a killed process. Only what is such a file is removed, and only when nobody listens on it.
 */
async function freePath(path: string): Promise<void> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) throw new Error('there is a file of this name that is no socket');
  if (await answers(path)) throw new Error('another process listens on this socket');
  rmSync(path, { force: true });
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const end = (isOpen: boolean) => {
      socket.destroy();
      resolve(isOpen);
    };
    socket.on('connect', () => end(true));
    socket.on('error', () => end(false));
  });
}

/** The socket file is made within listen(), with the mode that it is to have: there is no moment in which others can open it. */
async function listen(server: Server, address: ListenAddress): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.once('listening', resolve);
  const before = 'path' in address ? process.umask(0o177) : undefined;
  try {
    server.listen({ ...address, backlog: 511 });
  } finally {
    if (before !== undefined) process.umask(before);
  }
  await promise;
  server.off('error', reject);
}

/** Ends when the last answer has gone out, or after a while. */
async function closeServer(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const timer = setTimeout(() => server.closeAllConnections(), GRACE_MS);
  await closed;
  clearTimeout(timer);
}
