/**
 * A connection to the VICI socket of an IKE daemon. Replies come in the order of the requests; events come at any time. A daemon
 * that does not answer in time loses the connection: its next reply would be taken for another request's.
 */
import { createConnection, type Socket } from 'node:net';
import { HnvError } from '../errors.ts';
import {
  decodeMessage,
  encodeMessage,
  encodeName,
  type ViciInput,
  type ViciMessage,
} from './vici-message.ts';

const COMMAND = 0;
const COMMAND_RESPONSE = 1;
const COMMAND_UNKNOWN = 2;
const EVENT_REGISTER = 3;
const EVENT_CONFIRM = 5;
const EVENT_UNKNOWN = 6;
const EVENT = 7;

/** strongSwan's own bound. */
const LONGEST_PACKET = 512 * 1024;
const LENGTH = 4;
/** A command that waits for the peer must be given a timeout of its own that is shorter. */
const TIME_LIMIT_MS = 10_000;

interface Request {
  /** What was asked for, as errors call it. */
  what: string;
  /** Event by which the answer comes in pieces. */
  streamedBy: string | undefined;
  pieces: ViciMessage[];
  timer: NodeJS.Timeout;
  resolve(message: ViciMessage): void;
  reject(error: HnvError): void;
}

export class ViciClient {
  /** Resolves when the connection has ended, for whatever reason. */
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  readonly #requests: Request[] = [];
  readonly #listeners = new Map<string, ((message: ViciMessage) => void)[]>();
  /** Events that answers of list() come by; the daemon sends them to nobody else. */
  readonly #streams = new Map<string, Promise<unknown>>();
  #received: Buffer = Buffer.alloc(0);
  #ended: HnvError | undefined;

  /** Rejects with HNV_SITE when nobody listens there. */
  static connect(path: string): Promise<ViciClient> {
    return new Promise((resolve, reject) => {
      const socket = createConnection(path);
      socket.once('error', (cause) =>
        reject(new HnvError('HNV_SITE', `No IKE daemon listens on ${path}.`, { cause })),
      );
      socket.once('connect', () => resolve(new ViciClient(socket)));
    });
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (bytes) => this.#take(bytes));
    socket.on('error', (cause) =>
      this.#end(new HnvError('HNV_SITE', 'The connection to the IKE daemon is broken.', { cause })),
    );
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.#end(new HnvError('HNV_SITE', 'The IKE daemon has ended the connection.'));
        resolve();
      });
    });
  }

  /**
   * Resolves to the answer. Rejects with HNV_SITE, with the daemon's own words, when it says that it has not succeeded, and when
   * the connection has ended or there is no answer within 10 s.
   */
  async command(name: string, message: ViciInput = {}): Promise<ViciMessage> {
    return succeeded(name, await this.#request(COMMAND, name, message));
  }

  /** Resolves to the messages of the event that the command is answered by. */
  async list(command: string, event: string, message: ViciInput = {}): Promise<ViciMessage[]> {
    let registered = this.#streams.get(event);
    if (registered === undefined) {
      registered = this.#request(EVENT_REGISTER, event);
      this.#streams.set(event, registered);
    }
    await registered;
    const pieces: ViciMessage[] = [];
    succeeded(command, await this.#request(COMMAND, command, message, event, pieces));
    return pieces;
  }

  /** From when this resolves on, `listener` gets every such event. */
  async subscribe(event: string, listener: (message: ViciMessage) => void): Promise<void> {
    const listeners = this.#listeners.get(event);
    if (listeners !== undefined) listeners.push(listener);
    else this.#listeners.set(event, [listener]);
    await this.#request(EVENT_REGISTER, event);
  }

  get isClosed(): boolean {
    return this.#ended !== undefined;
  }

  close(): void {
    this.#end(new HnvError('HNV_SITE', 'The connection to the IKE daemon was closed.'));
  }

  #request(
    type: number,
    name: string,
    message: ViciInput = {},
    streamedBy?: string,
    pieces: ViciMessage[] = [],
  ): Promise<ViciMessage> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) throw this.#ended;
      const packet = Buffer.concat([Buffer.of(type), encodeName(name), encodeMessage(message)]);
      if (packet.length > LONGEST_PACKET)
        throw new HnvError(
          'HNV_SITE',
          `${name} has ${packet.length} bytes; the IKE daemon takes ${LONGEST_PACKET}.`,
        );
      const timer = setTimeout(
        () =>
          this.#end(
            new HnvError(
              'HNV_SITE',
              `The IKE daemon has not answered ${name} within ${TIME_LIMIT_MS / 1000} s.`,
            ),
          ),
        TIME_LIMIT_MS,
      );
      this.#requests.push({ what: name, streamedBy, pieces, timer, resolve, reject });
      const length = Buffer.alloc(LENGTH);
      length.writeUInt32BE(packet.length);
      this.#socket.write(Buffer.concat([length, packet]));
    });
  }

  #take(bytes: Buffer): void {
    let rest = this.#received.length === 0 ? bytes : Buffer.concat([this.#received, bytes]);
    try {
      while (rest.length >= LENGTH && this.#ended === undefined) {
        const length = rest.readUInt32BE();
        if (length === 0 || length > LONGEST_PACKET)
          throw new HnvError('HNV_SITE', `The IKE daemon has sent a packet of ${length} bytes.`);
        if (rest.length < LENGTH + length) break;
        this.#dispatch(rest.subarray(LENGTH, LENGTH + length));
        rest = rest.subarray(LENGTH + length);
      }
    } catch (error) {
      if (!(error instanceof HnvError)) throw error;
      this.#end(error);
    }
    this.#received = rest;
  }

  #dispatch(packet: Buffer): void {
    const type = packet.readUInt8();
    if (type === EVENT) {
      const end = 2 + (packet[1] ?? 0);
      this.#event(packet.toString('utf8', 2, end), decodeMessage(packet.subarray(end)));
      return;
    }
    const request = this.#requests.shift();
    if (request === undefined)
      throw new HnvError('HNV_SITE', 'The IKE daemon has sent a reply that nobody waits for.');
    clearTimeout(request.timer);
    if (type === COMMAND_RESPONSE || type === EVENT_CONFIRM)
      try {
        request.resolve(decodeMessage(packet.subarray(1)));
      } catch (error) {
        request.reject(error as HnvError);
        throw error;
      }
    else if (type === COMMAND_UNKNOWN || type === EVENT_UNKNOWN)
      request.reject(new HnvError('HNV_SITE', `The IKE daemon does not know ${request.what}.`));
    else {
      const error = new HnvError('HNV_SITE', `The IKE daemon has sent a packet of type ${type}.`);
      request.reject(error);
      throw error;
    }
  }

  #event(name: string, message: ViciMessage): void {
    // What a command is answered by comes between the command and its reply, and the oldest is the one being answered.
    const [oldest] = this.#requests;
    if (oldest?.streamedBy === name) oldest.pieces.push(message);
    for (const listener of this.#listeners.get(name) ?? []) listener(message);
  }

  #end(error: HnvError): void {
    if (this.#ended !== undefined) return;
    this.#ended = error;
    this.#socket.destroy();
    for (const request of this.#requests.splice(0)) {
      clearTimeout(request.timer);
      request.reject(error);
    }
  }
}

function succeeded(command: string, reply: ViciMessage): ViciMessage {
  if (reply.success !== 'no') return reply;
  const said = typeof reply.errmsg === 'string' && reply.errmsg !== '' ? reply.errmsg : 'no reason';
  throw new HnvError('HNV_SITE', `The IKE daemon refuses ${command}: ${said}`);
}
