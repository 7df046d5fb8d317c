/** By which number (nsid) the calling thread's network namespace knows another: messages that come from there carry it. */
import { closeSync, openSync } from 'node:fs';
import { attributes, NETLINK_ROUTE, Netlink } from './netlink.ts';
import { netnsPath } from './netns.ts';

/** Numbers of linux/rtnetlink.h and linux/net_namespace.h. */
const RTM_GETNSID = 90;
const NETNSA_NSID = 1;
const NETNSA_FD = 3;
/** struct rtgenmsg, padded. */
const HEADER_BYTES = 4;

/**
 * Undefined while it has none: the kernel gives one when a link between the two is made. The number is another namespace's
 * as soon as this one is removed. Throws HNV_NETNS.
 */
export function netnsId(name: string): number | undefined {
  const fd = openSync(netnsPath(name), 'r');
  const netlink = new Netlink(NETLINK_ROUTE);
  try {
    const body = Buffer.alloc(HEADER_BYTES + 8);
    body.writeUInt16LE(8, HEADER_BYTES);
    body.writeUInt16LE(NETNSA_FD, HEADER_BYTES + 2);
    body.writeInt32LE(fd, HEADER_BYTES + 4);
    let id = -1;
    netlink.ask(RTM_GETNSID, body, (_type, data, at, end) =>
      attributes(data, at + HEADER_BYTES, end, (type, value) => {
        if (type === NETNSA_NSID) id = data.readInt32LE(value);
      }),
    );
    return id < 0 ? undefined : id;
  } finally {
    netlink.close();
    closeSync(fd);
  }
}
