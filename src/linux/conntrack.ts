/**
 * Ends tracked conversations in the network namespace that the calling thread is in, through ctnetlink
 * (linux/netfilter/nfnetlink_conntrack.h). Synchronous, so that it can be used inside inNetns().
 */
import koffi from 'koffi';
import { HnvError } from '../errors.ts';
import { errnoText } from './libbpf.ts';

const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 0o2000003;
const NETLINK_NETFILTER = 12;
/** Subsystem ctnetlink, message IPCTNL_MSG_CT_DELETE: without a tuple, all that the attributes select. */
const CT_DELETE = (1 << 8) | 2;
/** NLM_F_REQUEST | NLM_F_ACK */
const REQUEST_WITH_ANSWER = 5;
const CTA_MARK = 8;
const CTA_MARK_MASK = 21;
/** struct nlmsghdr and struct nfgenmsg, then two attributes of 4 bytes. */
const HEADER_BYTES = 20;
const ATTRIBUTE_BYTES = 8;
const ANSWER_BYTES = 4096;

const libc = koffi.load('libc.so.6');
function bind<F>(prototype: string): F {
  return libc.func(prototype) as unknown as F;
}
const socket = bind<(domain: number, type: number, protocol: number) => number>(
  'int socket(int domain, int type, int protocol)',
);
const send = bind<(fd: number, bytes: Uint8Array, length: number, flags: number) => number>(
  'intptr_t send(int fd, const void *bytes, size_t length, int flags)',
);
const recv = bind<(fd: number, bytes: Uint8Array, length: number, flags: number) => number>(
  'intptr_t recv(int fd, void *bytes, size_t length, int flags)',
);
const close = bind<(fd: number) => number>('int close(int fd)');

/** Headers are in the machine's byte order, which is little endian (see encap/layout.generated.ts), marks in the network's. */
function deleteMessage(mark: number | undefined): Buffer {
  const message = Buffer.alloc(mark === undefined ? HEADER_BYTES : HEADER_BYTES + 2 * ATTRIBUTE_BYTES);
  message.writeUInt32LE(message.length, 0);
  message.writeUInt16LE(CT_DELETE, 4);
  message.writeUInt16LE(REQUEST_WITH_ANSWER, 6);
  const attribute = (at: number, type: number, value: number): void => {
    message.writeUInt16LE(ATTRIBUTE_BYTES, at);
    message.writeUInt16LE(type, at + 2);
    message.writeUInt32BE(value, at + 4);
  };
  if (mark !== undefined) {
    attribute(HEADER_BYTES, CTA_MARK, mark);
    attribute(HEADER_BYTES + ATTRIBUTE_BYTES, CTA_MARK_MASK, 0xffffffff);
  }
  return message;
}

function failed(reason: string): HnvError {
  return new HnvError('HNV_NETNS', `Cannot end tracked conversations: ${reason}.`);
}

/**
 * Makes the kernel forget the conversations that carry the connection mark, all of them when `mark` is undefined. Throws
 * HNV_NETNS.
 */
export function forgetConversations(mark: number | undefined): void {
  const fd = socket(AF_NETLINK, SOCK_RAW_CLOEXEC, NETLINK_NETFILTER);
  if (fd < 0) throw failed(errnoText(koffi.errno()));
  try {
    const message = deleteMessage(mark);
    const answer = Buffer.alloc(ANSWER_BYTES);
    if (send(fd, message, message.length, 0) < 0 || recv(fd, answer, answer.length, 0) < 0)
      throw failed(errnoText(koffi.errno()));
    // struct nlmsgerr behind the header: 0 is the acknowledgement.
    const error = answer.readInt32LE(16);
    if (error !== 0) throw failed(errnoText(-error));
  } finally {
    close(fd);
  }
}
