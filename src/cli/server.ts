/** Which API a command talks to, and as whom: options, environment, or the one node of this machine. */
import { readdirSync, readFileSync } from 'node:fs';
import { isIPv4 } from 'node:net';
import { HnvError } from '../errors.ts';
import type { Options } from './command.ts';
import { UsageError } from './failures.ts';

/** Where nodes put their sockets, `INSTANCE.sock`. */
const socketFolder = '/run/hnvgw';

/** The options of every command that talks to an API. */
export const connectionOptions = {
  server: {
    type: 'string',
    value: 'URL',
    group: 'connection',
    summary:
      'the API: https://HOST:PORT, http://127.0.0.1:PORT or unix:/PATH; HNVGW_SERVER by default, else the node of this machine',
  },
  'token-file': {
    type: 'string',
    value: 'FILE',
    group: 'connection',
    complete: 'file',
    summary: 'file with the token; HNVGW_TOKEN by default; the unix socket needs none',
  },
  'ca-file': {
    type: 'string',
    value: 'FILE',
    group: 'connection',
    complete: 'file',
    summary: 'certificates (PEM) to trust instead of the well-known ones; HNVGW_CA_FILE by default',
  },
} as const satisfies Options;

/** Their values. */
export interface ConnectionValues {
  readonly server?: string | undefined;
  readonly 'token-file'?: string | undefined;
  readonly 'ca-file'?: string | undefined;
}

export interface Server {
  /** For people. */
  readonly name: string;
  /** A socket path, or where to and whether with TLS. */
  readonly address: { socketPath: string } | { host: string; port: number; tls: boolean };
  readonly token: string | undefined;
  /** PEM. */
  readonly ca: string | undefined;
}

/** Throws UsageError for a wrong option, and HNV_NO_ANSWER when no node is named and none is here. */
export function chooseServer(
  values: ConnectionValues,
  environment: NodeJS.ProcessEnv = process.env,
  sockets = socketFolder,
): Server {
  const given = values.server ?? nonEmpty(environment.HNVGW_SERVER);
  const name = given ?? localSocket(sockets);
  const address = readAddress(name);
  const tokenFile = values['token-file'];
  const token = tokenFile === undefined ? nonEmpty(environment.HNVGW_TOKEN) : readToken(tokenFile);
  const caFile = values['ca-file'] ?? nonEmpty(environment.HNVGW_CA_FILE);
  if (token !== undefined && 'host' in address && !address.tls && !isLoopback(address.host))
    throw new UsageError(
      `the token would go readable for all over http:// to ${address.host}; use https://, or a loopback address`,
    );
  return {
    name,
    address,
    token,
    ca: caFile === undefined ? undefined : readText(caFile, 'certificates'),
  };
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}

function readAddress(text: string): Server['address'] {
  if (text.startsWith('unix:/')) return { socketPath: text.slice('unix:'.length) };
  const url = /^https?:\/\//.test(text) ? URL.parse(text) : null;
  if (url === null || url.pathname !== '/' || url.search !== '' || url.username !== '' || url.hash !== '')
    throw new UsageError(
      `the server is ${text}, but must be https://HOST:PORT, http://HOST:PORT or unix:/PATH`,
    );
  const tls = url.protocol === 'https:';
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  return { host, tls, port: url.port === '' ? (tls ? 443 : 80) : Number(url.port) };
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}

function localSocket(folder: string): string {
  const sockets = localSockets(folder);
  const [first] = sockets;
  if (first !== undefined && sockets.length === 1) return first;
  if (sockets.length > 1)
    throw new UsageError(
      `there are several nodes on this machine; say which with --server: ${sockets.join(', ')}`,
    );
  throw new HnvError(
    'HNV_NO_ANSWER',
    `No node runs on this machine: there is no socket in ${folder}. Start one (hnvgw gateway, hnvgw host), or name ` +
      'another machine with --server https://HOST:PORT.',
  );
}

/** The sockets in the folder, `unix:/run/hnvgw/hg.sock`. */
function localSockets(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((file) => file.endsWith('.sock'))
      .map((file) => `unix:${folder}/${file}`)
      .sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw new HnvError(
      'HNV_NO_ANSWER',
      `${folder} cannot be read (${(error as NodeJS.ErrnoException).code}): be root, or name an API with --server.`,
      { cause: error },
    );
  }
}

function readToken(file: string): string {
  const token = readText(file, 'token').trim();
  if (/^[!-~]+$/.test(token)) return token;
  throw new HnvError('HNV_INPUT', `${file} must have one token in one line, and nothing else.`);
}

function readText(file: string, what: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new HnvError('HNV_INPUT', `The file with the ${what} cannot be read: ${reason}.`, { cause: error });
  }
}
