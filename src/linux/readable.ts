/**
 * Tells when a netlink socket has something to read. When the kernel had more to tell than there was room for, an error is pending
 * at the socket (ENOBUFS), and libuv stops to poll what has one: then it is begun with anew.
 */
import koffi from 'koffi';

const WHAT = { readable: true } as const;

export class Readable {
  readonly #poll: ReturnType<typeof koffi.node.poll>;
  readonly #take: () => void;
  #isClosed = false;

  /** Calls `take` as long as there is something that it leaves unread, or an error. */
  constructor(fd: number, take: () => void) {
    this.#take = take;
    this.#poll = koffi.node.poll(fd, WHAT, this.#told);
  }

  /** Does not keep the process alive. */
  unref(): void {
    this.#poll.unref();
  }

  close(): void {
    this.#isClosed = true;
    this.#poll.close();
  }

  // koffi's types lack the first argument, libuv's status: 0, or less when it has stopped.
  readonly #told = (...[status]: unknown[]): void => {
    try {
      this.#take();
    } finally {
      if (status !== 0 && !this.#isClosed) this.#poll.start(WHAT, this.#told);
    }
  };
}
