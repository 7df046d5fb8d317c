/**
 * Where the REST API may listen. Without TLS, only where no other machine can reach it: loopback or a unix socket.
 */
import { isIPv4 } from 'node:net';

/** As Fastify's `listen` takes it. */
export type ListenAddress = { host: string; port: number } | { path: string };

/** sun_path has 108 bytes with the NUL at the end. */
const maxSocketPath = 107;

/** Reads `127.0.0.1:PORT`, `[::1]:PORT` or `unix:/PATH`; `refused` continues a sentence after the key's name. */
export function parseListenAddress(text: string): ListenAddress | { refused: string } {
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length);
    if (!path.startsWith('/'))
      return { refused: `is "${text}", but the path of a unix socket must begin with /` };
    if (Buffer.byteLength(path) > maxSocketPath) {
      return { refused: `is "${text}", but the path of a unix socket has at most ${maxSocketPath} bytes` };
    }
    return { path };
  }
  const [, v6, v4 = '', portText] = /^(?:\[([^\]]*)\]|([^:[\]]*)):([0-9]{1,5})$/.exec(text) ?? [];
  const host = v6 ?? v4;
  const port = Number(portText);
  if (!(port >= 1 && port <= 65_535)) {
    return {
      refused: `is "${text}", but must be 127.0.0.1:PORT, [::1]:PORT (PORT 1 to 65535) or unix:/PATH`,
    };
  }
  const isLoopback = v6 === undefined ? isIPv4(host) && host.startsWith('127.') : host === '::1';
  if (!isLoopback) {
    return {
      refused:
        `is "${text}", which is not a loopback address: the API has no TLS yet, so it listens on loopback or on a ` +
        'unix socket only',
    };
  }
  return { host, port };
}
