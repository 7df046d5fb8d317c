/** The API of another node: without TLS only where nobody can listen in. */
import { isLoopback, parseListenAddress, parseSocketPath } from './listen-address.ts';

export type PeerAddress =
  | { readonly path: string }
  | { readonly host: string; readonly port: number; readonly tls: boolean };

/** A name or address, and a port: of IPv6 in brackets. */
const httpsForm = /^https:\/\/(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]{1,253})):([0-9]{1,5})\/?$/;

/**
 * Reads `https://HOST:PORT`, `http://127.0.0.1:PORT`, `http://[::1]:PORT` or `unix:/PATH`; `refused` continues a sentence
 * after the key's name.
 */
export function parsePeerAddress(text: string): PeerAddress | { refused: string } {
  if (text.startsWith('unix:')) return parseSocketPath(text);
  const [, v6, name, portText] = httpsForm.exec(text) ?? [];
  const host = v6 ?? name;
  const port = Number(portText);
  if (host !== undefined && port >= 1 && port <= 65_535) return { host, port, tls: true };
  const plain = parseListenAddress(text.replace(/^http:\/\/([^/]*)\/?$/, '$1'));
  if (text.startsWith('http://') && 'host' in plain && isLoopback(plain)) return { ...plain, tls: false };
  return {
    refused: `is "${text}", but must be https://HOST:PORT, http://127.0.0.1:PORT, http://[::1]:PORT or unix:/PATH`,
  };
}

/** The address as the configuration writes it. */
export function peerAddressText(address: PeerAddress): string {
  if ('path' in address) return `unix:${address.path}`;
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  return `${address.tls ? 'https' : 'http'}://${host}:${address.port}`;
}
