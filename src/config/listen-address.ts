/** Where the REST API may listen: a unix socket, or a port of an address. */
import { isIPv4, isIPv6 } from 'node:net';

/** As node's `listen` takes it. */
export type ListenAddress = { host: string; port: number } | { path: string };

/** sun_path has 108 bytes with the NUL at the end. */
const maxSocketPath = 107;

/** Reads `ADDRESS:PORT`, `[ADDRESS]:PORT` or `unix:/PATH`; `refused` continues a sentence after the key's name. */
export function parseListenAddress(text: string): ListenAddress | { refused: string } {
  if (text.startsWith('unix:')) return parseSocketPath(text);
  const [, v6, v4, portText] = /^(?:\[([^\]]*)\]|([^:[\]]*)):([0-9]{1,5})$/.exec(text) ?? [];
  const host = v6 ?? v4 ?? '';
  const port = Number(portText);
  const isAddress = v6 === undefined ? isIPv4(host) : isIPv6(host);
  if (isAddress && port >= 1 && port <= 65_535) return { host, port };
  return {
    refused: `is "${text}", but must be unix:/PATH, ADDRESS:PORT or [ADDRESS]:PORT (an IP address, PORT 1 to 65535)`,
  };
}

/** Reads `unix:/PATH`. */
export function parseSocketPath(text: string): { path: string } | { refused: string } {
  const path = text.slice('unix:'.length);
  if (!path.startsWith('/'))
    return { refused: `is "${text}", but the path of a unix socket must begin with /` };
  if (Buffer.byteLength(path) > maxSocketPath) {
    return { refused: `is "${text}", but the path of a unix socket has at most ${maxSocketPath} bytes` };
  }
  return { path };
}

/** Whether only this machine can reach the address. */
export function isLoopback(address: ListenAddress): boolean {
  return 'path' in address || address.host === '::1' || /^127\./.test(address.host);
}

/** The address as the configuration writes it. */
export function listenAddressText(address: ListenAddress): string {
  if ('path' in address) return `unix:${address.path}`;
  return `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`;
}
