/**
 * A program for a lab's namespaces: both sides of a small conversation over UDP and TCP. `serve NAME ENDPOINT …`
 * answers whatever is said with its own name, whom it sees and what was said, and says `listening` when all are open.
 * `ask ENDPOINT WORD COUNT FROM FROMPORT MILLISECONDS` says the word from so many sockets at once (`-` and 0:
 * any) and prints the answers as one line of JSON, null for each that did not come in time. Connections speak when all of
 * them stand, so that none has ended before another begins. `flood ADDRESS PORT` never
 * stops asking, by UDP from a socket that stays and from new ones, and by new TCP connections.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer, isIPv6 } from 'node:net';
import { setInterval } from 'node:timers/promises';
import { readEndpoint } from './endpoint.ts';

const [mode, ...words] = process.argv.slice(2);

const udpSocket = (address: string) => createSocket(isIPv6(address) ? 'udp6' : 'udp4');

async function serve(name: string, endpoints: string[]): Promise<void> {
  const answer = (address: string | undefined, port: number | undefined, said: Buffer): string =>
    `${JSON.stringify({ server: name, address, port, said: said.toString().trim() })}\n`;
  for (const endpoint of endpoints) {
    const { protocol, address, port } = readEndpoint(endpoint);
    if (protocol === 'udp') {
      const socket = udpSocket(address);
      socket.on('message', (said, from) => {
        // A reply that the network refuses is none; the asker notices.
        socket.send(answer(from.address, from.port, said), from.port, from.address, () => undefined);
      });
      socket.bind(port, address);
      await once(socket, 'listening');
    } else {
      const server = createServer((socket) => {
        socket.on('error', () => socket.destroy());
        socket.once('data', (said) => socket.end(answer(socket.remoteAddress, socket.remotePort, said)));
      });
      server.listen(port, address);
      await once(server, 'listening');
    }
  }
  process.stdout.write('listening\n');
}

interface Question {
  address: string;
  port: number;
  word: string;
  from: string | undefined;
  fromPort: number;
}

async function askUdp(question: Question, signal: AbortSignal): Promise<string | null> {
  const socket = udpSocket(question.address);
  try {
    socket.bind(question.fromPort, question.from);
    await once(socket, 'listening');
    socket.send(question.word, question.port, question.address, () => undefined);
    const [answer] = await once(socket, 'message', { signal });
    return String(answer);
  } catch {
    return null;
  } finally {
    socket.close();
  }
}

/** `standing` is called when the connection stands; what it answers is waited for before a word is said. */
async function askTcp(
  question: Question,
  signal: AbortSignal,
  standing: () => Promise<void>,
): Promise<string | null> {
  const { address: host, port, from, fromPort } = question;
  const local = { ...(from && { localAddress: from }), ...(fromPort > 0 && { localPort: fromPort }) };
  const socket = connect({ host, port, ...local });
  try {
    await once(socket, 'connect', { signal });
    await standing();
    socket.write(`${question.word}\n`);
    const [answer] = await once(socket, 'data', { signal });
    return String(answer);
  } catch {
    return null;
  } finally {
    socket.destroy();
  }
}

async function ask(endpoint: string, args: string[]): Promise<void> {
  const { protocol, address, port } = readEndpoint(endpoint);
  const [word = '', count, from = '-', fromPort, milliseconds] = args;
  const signal = AbortSignal.timeout(Number(milliseconds));
  const question = {
    address,
    port,
    word,
    from: from === '-' ? undefined : from,
    fromPort: Number(fromPort),
  };
  const asker = protocol === 'udp' ? askUdp : askTcp;
  const all = Promise.withResolvers<void>();
  signal.addEventListener('abort', () => all.resolve());
  let missing = Number(count);
  const standing = (): Promise<void> => {
    if (--missing === 0) all.resolve();
    return all.promise;
  };
  const answers = await Promise.all(
    Array.from({ length: Number(count) }, () => asker(question, signal, standing)),
  );
  const values: unknown[] = answers.map((answer) => (answer === null ? null : JSON.parse(answer)));
  process.stdout.write(`${JSON.stringify(values)}\n`, () => process.exit());
}

/** Turns of the flood: each is a datagram of the socket that stays, a new socket's, and a connection. */
const FLOOD_MS = 4;
const FLOOD_CONNECTION_MS = 500;

async function flood(address: string, port: number): Promise<void> {
  const lasting = udpSocket(address).on('error', () => undefined);
  for await (const _ of setInterval(FLOOD_MS)) {
    lasting.send('flood', port, address, () => undefined);
    const passing = udpSocket(address);
    passing.send('flood', port, address, () => passing.close());
    const connection = connect({ host: address, port });
    connection.on('error', () => undefined).on('connect', () => connection.write('flood\n'));
    connection.setTimeout(FLOOD_CONNECTION_MS, () => connection.destroy());
  }
}

const [first = '', ...rest] = words;
if (mode === 'serve') await serve(first, rest);
else if (mode === 'ask') await ask(first, rest);
else await flood(first, Number(rest[0]));
