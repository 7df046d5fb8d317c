/**
 * Tells when network interfaces of the process's namespace come, go or change (rtnetlink, RTMGRP_LINK), by name. What
 * else has become of them is for the caller to read.
 */
import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import { HnvError } from '../errors.ts';
import { errnoText } from './libbpf.ts';
import { MESSAGE_HEADER, NETLINK_ROUTE, netlinkReceive, netlinkSocket } from './netlink.ts';
import { Readable } from './readable.ts';

const { EAGAIN, ENOBUFS } = constants.errno;

const AF_UNSPEC = 0;
const RTMGRP_LINK = 1;
const RTM_NEWLINK = 16;
const RTM_DELLINK = 17;
const IFLA_IFNAME = 3;
const LINK_HEADER = 16;
/** Of ifi_flags, from the beginning of a message. */
const FLAGS_OFFSET = MESSAGE_HEADER + 8;
const IFF_UP = 1;
const ATTRIBUTE_HEADER = 4;
/** The kernel makes no larger message about one interface. */
const BUFFER_BYTES = 64 * 1024;

const aligned = (length: number): number => (length + 3) & ~3;

/** An interface that has come, gone or changed. */
export interface LinkNews {
  name: string;
  /** It is set up. One that was down for a moment is told twice. */
  isUp: boolean;
}

/** What the rtnetlink messages in `data` tell of interfaces; those about bridge ports are left out. */
export function linkNews(data: Buffer): LinkNews[] {
  const news: LinkNews[] = [];
  for (let at = 0; at + MESSAGE_HEADER + LINK_HEADER <= data.length; ) {
    const length = data.readUInt32LE(at);
    const type = data.readUInt16LE(at + 4);
    if (length < MESSAGE_HEADER) break;
    const isLink = type === RTM_NEWLINK || type === RTM_DELLINK;
    if (isLink && data[at + MESSAGE_HEADER] === AF_UNSPEC) {
      const attributes = data.subarray(at + MESSAGE_HEADER + LINK_HEADER, at + length);
      const name = attribute(attributes, IFLA_IFNAME);
      const isUp = type === RTM_NEWLINK && (data.readUInt32LE(at + FLAGS_OFFSET) & IFF_UP) !== 0;
      if (name !== undefined) news.push({ name: name.toString('utf8').replace(/\0.*$/, ''), isUp });
    }
    at += aligned(length);
  }
  return news;
}

function attribute(attributes: Buffer, wanted: number): Buffer | undefined {
  for (let at = 0; at + ATTRIBUTE_HEADER <= attributes.length; ) {
    const length = attributes.readUInt16LE(at);
    if (length < ATTRIBUTE_HEADER) return undefined;
    if (attributes.readUInt16LE(at + 2) === wanted)
      return attributes.subarray(at + ATTRIBUTE_HEADER, at + length);
    at += aligned(length);
  }
  return undefined;
}

export class LinkMonitor {
  readonly #fd: number;
  readonly #buffer = Buffer.alloc(BUFFER_BYTES);
  readonly #readable: Readable;

  /** Calls back from now on; with undefined when the kernel had more to tell than was listened to: any may have changed. */
  constructor(onChange: (news: LinkNews[] | undefined) => void) {
    this.#fd = netlinkSocket(NETLINK_ROUTE, RTMGRP_LINK, false);
    this.#readable = new Readable(this.#fd, () => {
      const news = this.#read();
      if (news === undefined || news.length > 0) onChange(news);
    });
    this.#readable.unref();
  }

  close(): void {
    this.#readable.close();
    closeSync(this.#fd);
  }

  #read(): LinkNews[] | undefined {
    const news: LinkNews[] = [];
    let isOverrun = false;
    for (;;) {
      const length = netlinkReceive(this.#fd, this.#buffer);
      if (length >= 0) news.push(...linkNews(this.#buffer.subarray(0, length)));
      else if (length === -EAGAIN) return isOverrun ? undefined : news;
      else if (length === -ENOBUFS) isOverrun = true;
      else throw new HnvError('HNV_INTERNAL', `recv(AF_NETLINK): ${errnoText(length)}`);
    }
  }
}
