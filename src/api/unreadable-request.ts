/** Answers what is no request, or does not become one in time, with a problem too: there the app is not asked. */
import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { HttpRefusal, problemOf, problemType } from './problem.ts';

/** Refusals that HTTP has a status of its own for, by the code of node's error. */
const refusals = new Map<string | undefined, HttpRefusal>([
  ['HPE_HEADER_OVERFLOW', new HttpRefusal(431, 'The headers are longer than this node takes')],
  ['ERR_HTTP_REQUEST_TIMEOUT', new HttpRefusal(408, 'The request did not arrive in time')],
]);
const unreadable = new HttpRefusal(400, 'What arrived is no HTTP request');

/** For the event `clientError` of a server. */
export function refuseUnreadable(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const problem = problemOf(refusals.get(error.code) ?? unreadable, undefined);
  const body = JSON.stringify(problem);
  const head = [
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}`,
    'Connection: close',
    `Content-Type: ${problemType}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
}
