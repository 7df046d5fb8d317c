/**
 * Beginnings and ends of tracked sessions, as the kernel tells them (ctnetlink, NFNLGRP_CONNTRACK_NEW and _DESTROY), of all
 * network namespaces that the calling thread's knows by a number.
 *
 * Nothing is lost when the socket is full. The kernel is asked to note what it could not tell: it keeps an ended session until
 * its end is told, and tells a beginning with the session's next packet, or with its end.
 */
import { readSession, type Session } from './conntrack-messages.ts';
import { MESSAGE_HEADER, NETLINK_NETFILTER } from './netlink.ts';
import { NetlinkEvents } from './netlink-events.ts';

/** Bits of groups NFNLGRP_CONNTRACK_NEW (1) and NFNLGRP_CONNTRACK_DESTROY (3). */
const GROUPS = 0b101;
/** Low byte of a message's type. */
const IPCTNL_MSG_CT_DELETE = 2;

/** A session has begun or ended in the namespace of that number; it is valid until the callback returns. */
export type TakeEvent = (nsid: number, isEnd: boolean, session: Session) => void;

export class ConntrackEvents {
  readonly #events: NetlinkEvents;

  /** Listens from now on. `bufferBytes`: of what the kernel may keep until it is read; an event takes about 1,000. */
  constructor(bufferBytes: number) {
    this.#events = new NetlinkEvents(NETLINK_NETFILTER, GROUPS, bufferBytes, true);
  }

  get fd(): number {
    return this.#events.fd;
  }

  /**
   * Hands over some of what there is. `empty`: that was all. `overrun`: the kernel had more to tell than there was room for, and
   * does so later. Throws HNV_INTERNAL.
   */
  read(take: TakeEvent): 'more' | 'empty' | 'overrun' {
    return this.#events.read((nsid, data, at, end) => {
      if (nsid === undefined) return;
      take(nsid, data[at + 4] === IPCTNL_MSG_CT_DELETE, readSession(data, at + MESSAGE_HEADER, end));
    });
  }

  close(): void {
    this.#events.close();
  }
}
