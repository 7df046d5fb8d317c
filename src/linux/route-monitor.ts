/**
 * Tells when packets may take another way than before, in the namespace of the calling thread or in one that it knows by a
 * number: routes, rules of which table is looked into, next hops and neighbours (rtnetlink(7)). What has changed is not told:
 * there may be ten thousand changes at a time.
 */
import { NeighbourMemory } from './neighbour-memory.ts';
import { attributes, MESSAGE_HEADER, NETLINK_ROUTE } from './netlink.ts';
import { NetlinkEvents } from './netlink-events.ts';
import { Readable } from './readable.ts';
import { RouteNetlink } from './rtnetlink.ts';
import { AF_INET6 } from './rtnetlink-messages.ts';

/** RTNLGRP_NEIGH, _IPV4_ROUTE, _IPV4_RULE, _IPV6_ROUTE, _IPV6_RULE and _NEXTHOP: the bit of group n is n - 1. */
const GROUPS = [3, 7, 8, 11, 19, 32].reduce((bits, group) => bits + 2 ** (group - 1), 0);
const RTM_NEWROUTE = 24;
const RTM_DELROUTE = 25;
const RTM_NEWNEIGH = 28;
const RTM_DELNEIGH = 29;
const RTA_DST = 1;
const ROUTE_BODY = 12;

/** A change of a route takes about 1,000 bytes of it. */
const BUFFER_BYTES = 8 << 20;
/** Of 128 messages, in one turn of the event loop. */
const READS = 16;
const NEIGHBOURS = 65_536;

export interface RouteNews {
  /** Whether anybody wants to hear of the namespace of that number. */
  concerns: (nsid: number) => boolean;
  /** In the namespace of that number, undefined: the thread's own, something has changed. */
  onChange: (nsid: number | undefined) => void;
  /** There was more to tell than was listened to: anything may have changed anywhere. */
  onOverrun: () => void;
}

export class RouteMonitor {
  readonly #news: RouteNews;
  readonly #events: NetlinkEvents;
  readonly #readable: Readable;
  readonly #neighbours = new NeighbourMemory(NEIGHBOURS);
  /** Something was lost. The kernel says so once, and may lose more until all is read that there is. */
  #isBehind = false;

  /** Tells from now on. */
  constructor(news: RouteNews) {
    this.#news = news;
    this.#events = new NetlinkEvents(NETLINK_ROUTE, GROUPS, BUFFER_BYTES);
    this.#begin();
    this.#readable = new Readable(this.#events.fd, () => this.#read());
    this.#readable.unref();
  }

  close(): void {
    this.#readable.close();
    this.#events.close();
  }

  #begin(): void {
    this.#neighbours.begin(RouteNetlink.use((reading) => reading.neighbours()));
  }

  #read(): void {
    for (let reads = 0; reads < READS; reads++) {
      const state = this.#events.read((nsid, data, at, end) => {
        if (nsid !== undefined && !this.#news.concerns(nsid)) return;
        if (this.#isChange(nsid, data, at, end)) this.#news.onChange(nsid);
      });
      if (state === 'overrun') {
        this.#isBehind = true;
        this.#news.onOverrun();
      }
      if (state !== 'empty') continue;
      if (this.#isBehind || this.#neighbours.isFull) {
        this.#isBehind = false;
        this.#begin();
        this.#news.onOverrun();
      }
      return;
    }
  }

  #isChange(nsid: number | undefined, data: Buffer, at: number, end: number): boolean {
    const type = data.readUInt16LE(at + 4);
    const body = at + MESSAGE_HEADER;
    if (type === RTM_NEWNEIGH || type === RTM_DELNEIGH)
      return this.#neighbours.hasChanged(nsid, type === RTM_DELNEIGH, data, body, end);
    if (type === RTM_NEWROUTE || type === RTM_DELROUTE) return !isOfLinkAlone(data, body, end);
    return true;
  }
}

/** Each link that is set up brings IPv6 routes to what is on it alone, which nothing that is forwarded takes. */
function isOfLinkAlone(data: Buffer, at: number, end: number): boolean {
  if (data[at] !== AF_INET6) return false;
  let isLocal = false;
  attributes(data, at + ROUTE_BODY, end, (type, from) => {
    const first = data.readUInt16BE(from);
    if (type === RTA_DST) isLocal = first >= 0xff00 || (first & 0xffc0) === 0xfe80;
  });
  return isLocal;
}
