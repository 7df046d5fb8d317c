/** The one setting of a NIC that rtnetlink does not have and the fast path needs (ethtool(8), SIOCETHTOOL). */
import { closeSync } from 'node:fs';
import koffi from 'koffi';
import { HnvError } from '../errors.ts';
import { errnoText } from './libbpf.ts';
import { NETLINK_ROUTE, netlinkSocket } from './netlink.ts';

koffi.struct('hnv_ifreq', {
  name: koffi.array('char', 16),
  data: 'void *',
  rest: koffi.array('uint8_t', 16),
});
interface Request {
  name: string;
  data: Uint8Array;
  rest: Uint8Array;
}
const ioctl = koffi
  .load('libc.so.6')
  .func('int ioctl(int fd, unsigned long code, hnv_ifreq *request)') as unknown as (
  fd: number,
  code: number,
  request: Request,
) => number;

const SIOCETHTOOL = 0x8946;
const ETHTOOL_GFLAGS = 0x25;
const ETHTOOL_SFLAGS = 0x26;
const ETH_FLAG_RXVLAN = 1 << 8;

/**
 * Whether the NIC takes VLAN tags off what it receives (`rx-vlan-offload`): XDP then does not see them. HNV_INTERNAL when
 * there is no such interface.
 */
export function takesTagsOff(name: string): boolean {
  return (flags(name, ETHTOOL_GFLAGS, 0) & ETH_FLAG_RXVLAN) !== 0;
}

/** Lets the NIC take tags off, or leave them in the frame; HNV_INTERNAL when its driver knows only one of both. */
export function letTakeTagsOff(name: string, isOn: boolean): void {
  const others = flags(name, ETHTOOL_GFLAGS, 0) & ~ETH_FLAG_RXVLAN;
  flags(name, ETHTOOL_SFLAGS, isOn ? others | ETH_FLAG_RXVLAN : others);
}

/** struct ethtool_value: a command and, to it or from it, the old kind of feature flags. */
function flags(name: string, command: number, value: number): number {
  const data = Buffer.alloc(8);
  data.writeUInt32LE(command, 0);
  data.writeUInt32LE(value >>> 0, 4);
  const fd = netlinkSocket(NETLINK_ROUTE, 0, false);
  try {
    if (ioctl(fd, SIOCETHTOOL, { name, data, rest: new Uint8Array(16) }) < 0)
      throw new HnvError('HNV_INTERNAL', `ethtool of ${name}: ${errnoText(koffi.errno())}`);
  } finally {
    closeSync(fd);
  }
  return data.readUInt32LE(4);
}
