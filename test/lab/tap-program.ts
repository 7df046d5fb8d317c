/**
 * A program for a lab: joins a tap in one network namespace to a tap in another, as a hypervisor joins a host's tap to
 * the NIC of its guest. Frames go over with their virtio-net headers, so that super-packets and checksums that are not
 * filled in pass as they are (Linux, tuntap.rst). Arguments: namespace’s path and tap of the host, the same of the guest.
 * Says `joined` when both are there; they are gone when it ends.
 */
import { constants, openSync, read, writeSync } from 'node:fs';
import koffi from 'koffi';

const CLONE_NEWNET = 0x40000000;
const TUNSETIFF = 0x400454ca;
const TUNSETOFFLOAD = 0x400454d0;
const TUNSETVNETHDRSZ = 0x400454d8;
const IFF_TAP = 0x0002;
const IFF_NO_PI = 0x1000;
const IFF_VNET_HDR = 0x4000;
const TUN_F_CSUM = 0x01;
const TUN_F_TSO4 = 0x02;
const TUN_F_TSO6 = 0x04;
const TUN_F_USO4 = 0x20;
const TUN_F_USO6 = 0x40;
const OFFLOADS = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_USO4 | TUN_F_USO6;
const VNET_HEADER = 12;
/** A super-packet with room for its headers. */
const LARGEST_FRAME = 128 * 1024;

const libc = koffi.load('libc.so.6');
const setns = libc.func('int setns(int fd, int nstype)');
const ioctlPointer = libc.func('ioctl', 'int', ['int', 'unsigned long', 'void *']);
const ioctlNumber = libc.func('ioctl', 'int', ['int', 'unsigned long', 'unsigned long']);

function checked(call: string, result: number): number {
  if (result < 0) throw new Error(`${call}: errno ${koffi.errno()}`);
  return result;
}

/** Makes a tap in a namespace; its other side is the descriptor. */
function openTap(namespace: string, name: string): number {
  checked('setns', setns(openSync(namespace, 'r'), CLONE_NEWNET));
  const fd = openSync('/dev/net/tun', constants.O_RDWR);
  const request = Buffer.alloc(40);
  request.write(name, 'latin1');
  request.writeUInt16LE(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR, 16);
  checked('TUNSETIFF', ioctlPointer(fd, TUNSETIFF, request));
  const size = Buffer.from(new Int32Array([VNET_HEADER]).buffer);
  checked('TUNSETVNETHDRSZ', ioctlPointer(fd, TUNSETVNETHDRSZ, size));
  checked('TUNSETOFFLOAD', ioctlNumber(fd, TUNSETOFFLOAD, OFFLOADS));
  return fd;
}

/** Passes on whatever comes out of one tap to the other. */
function pass(from: number, to: number): void {
  const buffer = Buffer.allocUnsafe(LARGEST_FRAME);
  const next = (): void =>
    read(from, buffer, 0, buffer.length, null, (error, length) => {
      if (error) throw error;
      try {
        writeSync(to, buffer, 0, length);
      } catch {
        // An interface that is down takes nothing, as an unplugged cable does.
      }
      next();
    });
  next();
}

const [hostNamespace = '', hostTap = '', guestNamespace = '', guestTap = ''] = process.argv.slice(2);
const host = openTap(hostNamespace, hostTap);
const guest = openTap(guestNamespace, guestTap);
pass(host, guest);
pass(guest, host);
process.stdout.write('joined\n');
