/**
 * A program for a lab's namespaces: joins its standard input and output to an interface through a packet socket
 * (packet(7)). Each line in is one Ethernet frame to send, each line out one that arrived, in hexadecimal. Says
 * `listening` when it hears, `sent` after each frame, `error TEXT` when one could not be sent; ends with its input.
 */
import { read, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import koffi from 'koffi';

const AF_PACKET = 17;
const SOCK_RAW = 3;
const ETH_P_ALL_NETWORK_ORDER = 0x0300;
const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;
const SOL_PACKET = 263;
const PACKET_IGNORE_OUTGOING = 23;
/** A super-packet with room for its headers. */
const LARGEST_FRAME = 128 * 1024;

const libc = koffi.load('libc.so.6');
const socket = libc.func('int socket(int domain, int type, int protocol)');
const bind = libc.func('int bind(int fd, const void *address, uint32_t length)');
const interfaceIndex = libc.func('unsigned int if_nametoindex(const char *name)');
const setsockopt = libc.func(
  'int setsockopt(int fd, int level, int option, const void *value, uint32_t length)',
);

function checked(call: string, result: number): number {
  if (result < 0) throw new Error(`${call}: errno ${koffi.errno()}`);
  return result;
}

function openPacketSocket(nic: string): number {
  // Not from /sys, which shows the interfaces of the namespace that it was mounted in.
  const index = Number(interfaceIndex(nic));
  if (index === 0) throw new Error(`there is no interface ${nic}`);
  // Protocol 0 until it is bound: a packet socket hears every interface before.
  const fd = checked('socket', socket(AF_PACKET, SOCK_RAW, 0));
  const on = Buffer.from(new Int32Array([1]).buffer);
  checked('setsockopt', setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, on, on.length));
  // Reads come back now and then, so that the end of the input is noticed.
  const timeout = Buffer.from(new BigInt64Array([0n, 200_000n]).buffer);
  checked('setsockopt', setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, timeout, timeout.length));
  const address = Buffer.alloc(20);
  address.writeUInt16LE(AF_PACKET, 0);
  address.writeUInt16LE(ETH_P_ALL_NETWORK_ORDER, 2);
  address.writeInt32LE(index, 4);
  checked('bind', bind(fd, address, address.length));
  return fd;
}

const [nic = ''] = process.argv.slice(2);
const fd = openPacketSocket(nic);
const state = { open: true };

const input = createInterface({ input: process.stdin });
input.on('line', (line) => {
  try {
    writeSync(fd, Buffer.from(line, 'hex'));
    process.stdout.write('sent\n');
  } catch (error) {
    process.stdout.write(`error ${error instanceof Error ? error.message : error}\n`);
  }
});
input.on('close', () => {
  state.open = false;
});

const buffer = Buffer.alloc(LARGEST_FRAME);
function receive(): void {
  read(fd, buffer, 0, buffer.length, null, (error, length) => {
    if (!error) process.stdout.write(`${buffer.toString('hex', 0, length)}\n`);
    else if (error.code !== 'EAGAIN' && error.code !== 'ENETDOWN') throw error;
    if (state.open) receive();
  });
}
receive();
process.stdout.write('listening\n');
