/**
 * A program of its own: asks an API for lists and single resources over connections that it keeps open, each with one
 * request under way. `SECONDS CONNECTIONS LISTS_IN_100 PER_SECOND TARGET [TOKEN]`; PER_SECOND is how many requests it makes at
 * most (`Infinity`: one as soon as the one before is answered), TARGET a socket's path or HOST:PORT, TOKEN that of a bearer. Says `asking`, and at the end one line of JSON (Load). Its own HTTP client, small enough not to be
 * what is measured.
 */
import { connect, type Socket } from 'node:net';
import { domains, RECORDS, recordPath } from './control-plane-policy.ts';
import { quantile } from './quantile.ts';

/** What came of it. Times are in milliseconds. */
export interface Load {
  requests: number;
  perSecond: number;
  p50: number;
  p99: number;
  max: number;
  /** Answers with another status than 200. */
  wrong: number;
}

const END_OF_HEAD = Buffer.from('\r\n\r\n');
const LENGTH = /^content-length: (\d+)/im;

const [seconds = '', connections = '', lists = '', perSecondAtMost = '', target = '', token] =
  process.argv.slice(2);
const authorization = token === undefined ? '' : `Authorization: Bearer ${token}\r\n`;
const times: number[] = [];
let wrong = 0;
let next = 0;

/** Milliseconds between two requests of a connection. */
const INTERVAL_MS = (Number(connections) * 1000) / Number(perSecondAtMost);

/** Spread over all domains and records, in an order that no cache likes. */
function path(): string {
  const number = next++;
  const domain = domains[(number * 367) % domains.length];
  if (domain === undefined) throw new Error('no domain');
  if (number % 100 < Number(lists)) return `/v1/routing-domains/${domain.rdid}/lookup-records?limit=100`;
  return recordPath(domain, (number * 31) % RECORDS);
}

function open(): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const [host = '', port] = target.split(':');
    const socket = target.startsWith('/') ? connect(target) : connect(Number(port), host);
    socket.setNoDelay(true);
    socket.once('connect', () => resolve(socket)).once('error', reject);
  });
}

async function ask(socket: Socket, end: number): Promise<void> {
  let due = performance.now() + Math.random() * INTERVAL_MS;
  let began = 0;
  let got: Buffer[] = [];
  let size = 0;
  /** Bytes of the answer with its head; 0 while the head is not whole. */
  let expected = 0;
  return new Promise((resolve, reject) => {
    const send = (): void => {
      if (performance.now() >= end) {
        socket.destroy();
        resolve();
        return;
      }
      got = [];
      size = 0;
      expected = 0;
      began = performance.now();
      socket.write(`GET ${path()} HTTP/1.1\r\nHost: localhost\r\n${authorization}\r\n`);
    };
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('the node has closed a connection')));
    socket.on('data', (chunk) => {
      got.push(chunk);
      size += chunk.length;
      if (expected === 0) {
        const all = got.length === 1 ? chunk : Buffer.concat(got);
        const head = all.indexOf(END_OF_HEAD);
        if (head < 0) return;
        const text = all.toString('latin1', 0, head);
        if (!text.startsWith('HTTP/1.1 200')) wrong++;
        expected = head + END_OF_HEAD.length + Number(LENGTH.exec(text)?.[1]);
      }
      if (size < expected) return;
      const now = performance.now();
      times.push(now - began);
      due = Math.max(due + INTERVAL_MS, now);
      if (due > now) setTimeout(send, due - now);
      else send();
    });
    send();
  });
}

const sockets = await Promise.all(Array.from({ length: Number(connections) }, open));
console.log('asking');
const began = performance.now();
await Promise.all(sockets.map((socket) => ask(socket, began + Number(seconds) * 1000)));
const perSecond = times.length / ((performance.now() - began) / 1000);
times.sort((a, b) => a - b);
const load: Load = {
  requests: times.length,
  perSecond,
  p50: quantile(times, 0.5),
  p99: quantile(times, 0.99),
  max: times.at(-1) ?? 0,
  wrong,
};
console.log(JSON.stringify(load));
