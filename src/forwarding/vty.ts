/**
 * A connection to the vty socket of one of FRR's daemons, as vtysh has it: a command and a zero byte; the answer's text, three zero
 * bytes and a status. What is said here comes into no file and no argument. Commands go one after the other; a daemon that does not
 * go on with its answer in time loses the connection: what came later would be taken for another command's.
 */
import { createConnection, type Socket } from 'node:net';
import { basename } from 'node:path';
import { Readable } from 'node:stream';
import { HnvError } from '../errors.ts';

export interface VtyAnswer {
  text: string;
  /** 0 (CMD_SUCCESS), or another of lib/command.h: 1 (CMD_WARNING), 2 (CMD_ERR_NO_MATCH), 13 (CMD_WARNING_CONFIG_FAILED), … */
  status: number;
}

/** What ends the text of an answer, before its status. */
const MARK = Buffer.alloc(3);
/** A daemon answers between two pieces of its own work, such as taking in a whole table of routes. */
const TIME_LIMIT_MS = 15_000;
/** FRR's buffer of a line is no larger before 10 (VTY_BUFSIZ). */
const LONGEST_LINE = 4095;

interface Request {
  line: string;
  /** Answers whether there is room for more. */
  take(piece: Buffer): boolean;
  done(status: number): void;
  fail(error: HnvError): void;
}

export class Vty {
  /** Resolves when the connection has ended, for whatever reason; when the daemon ends, at once. */
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  readonly #daemon: string;
  /** The first is under way. */
  readonly #requests: Request[] = [];
  readonly #timer: NodeJS.Timeout;
  /** Of what ends the answer, what has come so far. */
  #end = Buffer.alloc(0);
  #ended: HnvError | undefined;

  /** Resolves to a connection with the rights to configure. Rejects with HNV_BGP when nobody listens there. */
  static async connect(path: string): Promise<Vty> {
    const daemon = basename(path, '.vty');
    const vty = await new Promise<Vty>((resolve, reject) => {
      const socket = createConnection(path);
      socket.once('error', (cause) =>
        reject(new HnvError('HNV_BGP', `No ${daemon} listens on ${path}.`, { cause })),
      );
      socket.once('connect', () => resolve(new Vty(socket, daemon)));
    });
    await vty.show('enable');
    return vty;
  }

  private constructor(socket: Socket, daemon: string) {
    this.#socket = socket;
    this.#daemon = daemon;
    this.#timer = setTimeout(() => this.#silent(), TIME_LIMIT_MS);
    this.#timer.unref();
    socket.on('data', (bytes) => this.#take(bytes));
    socket.on('error', (cause) => this.#close(`The connection to ${daemon} is broken.`, cause));
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.#close(`${daemon} has ended the connection.`);
        resolve();
      });
    });
  }

  /**
   * Resolves to the answer, whatever its status. Rejects with HNV_BGP when the connection has ended, or nothing comes for 15 s,
   * or the line is none; the line is in no message, as it may have a password.
   */
  command(line: string): Promise<VtyAnswer> {
    return new Promise((resolve, reject) => {
      const pieces: Buffer[] = [];
      this.#ask({
        line,
        take: (piece) => pieces.push(piece) > 0,
        done: (status) => resolve({ text: Buffer.concat(pieces).toString(), status }),
        fail: reject,
      });
    });
  }

  /** Resolves to the answer's text. Rejects with HNV_BGP, with the daemon's own words, also when it refuses. */
  async show(line: string): Promise<string> {
    const { text, status } = await this.command(line);
    if (status === 0) return text;
    throw new HnvError('HNV_BGP', refusal(this.#daemon, line, text, status));
  }

  /**
   * As show(), in pieces of text as they come, for what may be long: at the reader's pace, while other commands wait. A reader that
   * leaves off gets no more.
   */
  async *stream(line: string): AsyncGenerator<string, void> {
    const stream = new Readable({ encoding: 'utf8', read: () => void this.#socket.resume() });
    // Left off: what is still to come passes by.
    stream.once('close', () => this.#socket.resume());
    let first: Buffer | undefined;
    this.#ask({
      line,
      take: (piece) => {
        first ??= piece;
        return stream.destroyed || stream.push(piece);
      },
      done: (status) => {
        if (status === 0) stream.push(null);
        else
          stream.destroy(new HnvError('HNV_BGP', refusal(this.#daemon, line, String(first ?? ''), status)));
      },
      fail: (error) => stream.destroy(error),
    });
    yield* stream;
  }

  get isClosed(): boolean {
    return this.#ended !== undefined;
  }

  close(): void {
    this.#close(`The connection to ${this.#daemon} was closed.`);
  }

  #ask(request: Request): void {
    if (this.#ended !== undefined) request.fail(this.#ended);
    else if (/\p{Cc}/u.test(request.line) || Buffer.byteLength(request.line) > LONGEST_LINE)
      request.fail(
        new HnvError('HNV_BGP', `A command for ${this.#daemon} is not one line of ${LONGEST_LINE} bytes.`),
      );
    else if (this.#requests.push(request) === 1) this.#send(request);
  }

  #send({ line }: Request): void {
    this.#timer.refresh();
    this.#socket.write(`${line}\0`);
  }

  #take(bytes: Buffer): void {
    this.#timer.refresh();
    const [request] = this.#requests;
    if (request === undefined) {
      this.#close(`${this.#daemon} has said what nobody has asked for.`);
      return;
    }
    // No text has a zero byte.
    const zero = this.#end.length > 0 ? 0 : bytes.indexOf(0);
    const text = zero < 0 ? bytes : bytes.subarray(0, zero);
    if (text.length > 0 && !request.take(text)) this.#socket.pause();
    if (zero < 0) return;
    this.#end = Buffer.concat([this.#end, bytes.subarray(zero)]);
    const status = this.#end[MARK.length];
    if (status === undefined) return;
    if (this.#end.length > MARK.length + 1 || !this.#end.subarray(0, MARK.length).equals(MARK)) {
      this.#close(`${this.#daemon} has given an answer without an end.`);
      return;
    }
    this.#end = Buffer.alloc(0);
    this.#socket.resume();
    this.#requests.shift();
    request.done(status);
    const [next] = this.#requests;
    if (next !== undefined) this.#send(next);
  }

  /** The reader may be who makes it wait. */
  #silent(): void {
    if (this.#socket.isPaused()) this.#timer.refresh();
    else if (this.#requests.length > 0)
      this.#close(`${this.#daemon} has said nothing to a command for ${TIME_LIMIT_MS / 1000} s.`);
  }

  #close(message: string, cause?: unknown): void {
    if (this.#ended !== undefined) return;
    this.#ended = new HnvError('HNV_BGP', message, { cause });
    clearTimeout(this.#timer);
    this.#socket.destroy();
    for (const request of this.#requests.splice(0)) request.fail(this.#ended);
  }
}

function refusal(daemon: string, line: string, text: string, status: number): string {
  const words = text.trim().replace(/\s+/g, ' ');
  return `${daemon} refuses '${line}': ${words === '' ? `status ${status}` : words}`;
}
