/**
 * The far end of a NIC, held by a test: sends and hears whole frames. Frames are heard as they were on the wire: a VLAN tag,
 * which the kernel has taken off, is put back (packet(7), PACKET_AUXDATA).
 */
import { closeSync } from 'node:fs';
import koffi from 'koffi';
import type { Namespace } from './namespace.ts';
import { int, NativeSocket } from './native-socket.ts';

const [AF_PACKET, SOCK_RAW, SOL_PACKET] = [17, 3, 263];
const ETH_P_ALL_NETWORK_ORDER = 0x0300;
const [PACKET_AUXDATA, PACKET_IGNORE_OUTGOING] = [8, 23];
const MSG_DONTWAIT = 0x40;
const EAGAIN = 11;
/** struct tpacket_auxdata behind a control message's header: its status, and the tag's two halves. */
const STATUS_AT = 16;
const TCI_AT = 32;
const TP_STATUS_CSUMNOTREADY = 1 << 3;
const TP_STATUS_VLAN_VALID = 1 << 4;
const MACS = 12;

koffi.struct('wire_iovec', { base: 'void *', length: 'size_t' });
koffi.struct('wire_msghdr', {
  ...{ name: 'void *', nameLength: 'uint32_t', iov: 'wire_iovec *', iovLength: 'size_t' },
  ...{ control: 'void *', controlLength: 'size_t', flags: 'int' },
});
const libc = koffi.load('libc.so.6');
const recvmsg = libc.func('int64_t recvmsg(int fd, wire_msghdr *message, int flags)');
const write = libc.func('int64_t write(int fd, const void *data, size_t size)');

const data = Buffer.alloc(128 * 1024);
const control = Buffer.alloc(64);
const message = {
  ...{ name: null, nameLength: 0, iov: { base: data, length: data.length }, iovLength: 1 },
  ...{ control, controlLength: control.length, flags: 0 },
};

export class WireEnd {
  readonly #fd: number;

  constructor(namespace: Namespace, nic: string) {
    const opened = NativeSocket.open(namespace, nic, [AF_PACKET, SOCK_RAW, 0], (made, ifindex) => {
      made.setOption(SOL_PACKET, PACKET_IGNORE_OUTGOING, int(1));
      made.setOption(SOL_PACKET, PACKET_AUXDATA, int(1));
      const address = Buffer.alloc(20);
      address.writeUInt16LE(AF_PACKET, 0);
      address.writeUInt16LE(ETH_P_ALL_NETWORK_ORDER, 2);
      address.writeInt32LE(ifindex, 4);
      made.bind(address);
    });
    this.#fd = opened.release();
    namespace.lab.onClose(() => closeSync(this.#fd));
  }

  /** Sends one frame, without frame check sequence. */
  send(frame: Uint8Array): void {
    const sent = Number(write(this.#fd, frame, frame.length));
    if (sent !== frame.length) throw new Error(`a frame of ${frame.length} bytes: errno ${koffi.errno()}`);
  }

  /** The frames that have arrived since the last call. Throws when one has a checksum that is left to the NIC. */
  take(): Buffer[] {
    const frames: Buffer[] = [];
    for (;;) {
      const length = Number(recvmsg(this.#fd, message, MSG_DONTWAIT));
      if (length >= 0) frames.push(asOnWire(data.subarray(0, length)));
      else if (koffi.errno() === EAGAIN) return frames;
      else throw new Error(`recvmsg: errno ${koffi.errno()}`);
    }
  }
}

function asOnWire(bytes: Buffer): Buffer {
  const status = control.readUInt32LE(STATUS_AT);
  if (status & TP_STATUS_CSUMNOTREADY) throw new Error('a frame whose checksum is left to the NIC');
  if (!(status & TP_STATUS_VLAN_VALID)) return Buffer.from(bytes);
  const tag = Buffer.alloc(4);
  tag.writeUInt16BE(control.readUInt16LE(TCI_AT + 2), 0);
  tag.writeUInt16BE(control.readUInt16LE(TCI_AT), 2);
  return Buffer.concat([bytes.subarray(0, MACS), tag, bytes.subarray(MACS)]);
}
