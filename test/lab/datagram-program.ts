/**
 * A program for a lab's namespaces: UDP datagrams of any size, sent as a guest with offloads sends them. `receive ADDRESS
 * PORT` says `listening`, and then of each datagram one line of JSON (Datagram). `send ADDRESS PORT BYTES SEGMENT` sends
 * so many random bytes; with SEGMENT above 0 the kernel is to cut them into datagrams of that size (udp(7), UDP_SEGMENT),
 * as late as it can. IPv4 may be fragmented on its way. Says what each datagram is, as the receiver does.
 */
import { createHash, randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';
import koffi from 'koffi';
import type { Datagram } from './datagram.ts';

const IPPROTO_IP = 0;
const IP_MTU_DISCOVER = 10;
const IP_PMTUDISC_DONT = 0;
const SOL_UDP = 17;
const UDP_SEGMENT = 103;

const [mode, address = '', port = '', bytes = '', segment = ''] = process.argv.slice(2);
const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');

function tell(datagram: Buffer): void {
  const told: Datagram = {
    bytes: datagram.length,
    sha256: createHash('sha256').update(datagram).digest('hex'),
  };
  process.stdout.write(`${JSON.stringify(told)}\n`);
}

/** Sets an option that Node does not know. */
function setOption(level: number, option: number, value: number): void {
  const setsockopt = koffi
    .load('libc.so.6')
    .func('int setsockopt(int fd, int level, int option, const void *value, uint32_t length)');
  // The descriptor has no public name.
  const { fd } = (socket as unknown as { _handle: { fd: number } })._handle;
  const text = Buffer.from(new Int32Array([value]).buffer);
  if (setsockopt(fd, level, option, text, text.length) !== 0)
    throw new Error(`setsockopt: errno ${koffi.errno()}`);
}

if (mode === 'receive') {
  socket.on('message', tell);
  socket.bind(Number(port), address);
  await once(socket, 'listening');
  process.stdout.write('listening\n');
} else {
  socket.bind(0);
  await once(socket, 'listening');
  if (!isIPv6(address)) setOption(IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
  const size = Number(segment) || Number(bytes);
  if (size < Number(bytes)) setOption(SOL_UDP, UDP_SEGMENT, size);
  const message = randomBytes(Number(bytes));
  await new Promise<void>((resolve, reject) => {
    socket.send(message, Number(port), address, (error) => (error ? reject(error) : resolve()));
  });
  for (let at = 0; at < message.length; at += size) tell(message.subarray(at, at + size));
  socket.close();
}
