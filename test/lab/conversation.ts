/**
 * Who heard what from whom. Peers are namespaces with servers that answer every word with their name, whom they see, and
 * the word itself; each word is said once in a test, so that one that arrives anywhere tells whence it came.
 */
import type { Socket as DatagramSocket } from 'node:dgram';
import type { Socket } from 'node:net';
import type { Namespace } from './namespace.ts';
import { IcmpSocket, tcpConnection, tcpServer, udpSocket } from './stack-socket.ts';

export interface Endpoint {
  address: string;
  /** Or identifier of a ping. */
  port: number;
}

/** A word that arrived at a server. */
export interface Heard {
  /** The peer and its port; of a ping its identifier. */
  peer: string;
  port: number;
  /** The one who said it, as the server sees him. */
  from: Endpoint;
}

/** The answer to a word. */
export interface Answer {
  /** The peer that it came to. */
  to: string;
  /** Who gave it, and whom he saw; of a ping, the answering address and the identifier. */
  by: string;
  seen: Endpoint;
}

const ECHO_REPLY = 0;
const ECHO_REQUEST = 8;
/** Begins an answer; no word does. */
const ANSWER = 're ';

export class Conversation {
  readonly peers: Peer[] = [];
  readonly #heard = new Map<string, Heard[]>();
  readonly #answers = new Map<string, Answer[]>();

  /** Everything that has arrived of a word, wherever. */
  heard(word: string): readonly Heard[] {
    return this.#heard.get(word) ?? [];
  }

  answers(word: string): readonly Answer[] {
    return this.#answers.get(word) ?? [];
  }

  /** A namespace whose addresses are `addresses`; it answers at `ports`. */
  peer(name: string, namespace: Namespace, addresses: readonly string[], ports: readonly number[]): Peer {
    const peer = new Peer(this, name, namespace, addresses, ports);
    this.peers.push(peer);
    return peer;
  }

  /** Takes in the ICMP messages that wait in the peers' sockets. */
  readPings(): void {
    for (const peer of this.peers) peer.readPings();
  }

  noteHeard(word: string, heard: Heard): void {
    this.#heard.set(word, [...this.heard(word), heard]);
  }

  noteAnswer(word: string, answer: Answer): void {
    this.#answers.set(word, [...this.answers(word), answer]);
  }
}

export class Peer {
  readonly name: string;
  readonly namespace: Namespace;
  readonly #conversation: Conversation;
  readonly #addresses: readonly string[];
  readonly #udp = new Map<string, DatagramSocket>();
  readonly #icmp: IcmpSocket;

  constructor(
    conversation: Conversation,
    name: string,
    namespace: Namespace,
    addresses: readonly string[],
    ports: readonly number[],
  ) {
    this.#conversation = conversation;
    this.name = name;
    this.namespace = namespace;
    this.#addresses = addresses;
    this.#icmp = new IcmpSocket(namespace);
    for (const port of ports) {
      for (const address of addresses) this.#udpAt(address, port);
      tcpServer(namespace, port, (socket) => this.#serveTcp(socket, port));
    }
  }

  /** Says a word from a UDP port, of the first address unless told. */
  sayUdp(word: string, fromPort: number, to: Endpoint, from = this.#addresses[0] ?? ''): void {
    this.#udpAt(from, fromPort).send(word, to.port, to.address, () => undefined);
  }

  /** Says a word over a new connection, which the server ends. */
  sayTcp(word: string, fromPort: number, to: Endpoint, from = this.#addresses[0] ?? ''): Socket {
    const socket = tcpConnection(this.namespace, { address: from, port: fromPort }, to);
    let text = '';
    socket.on('data', (data) => {
      text += data.toString();
      for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
        this.#takeAnswer(text.slice(0, end));
        text = text.slice(end + 1);
      }
    });
    socket.write(`${word}\n`);
    return socket;
  }

  /** Says a word by an echo request. */
  ping(word: string, id: number, to: string): void {
    this.#icmp.send(to, id, 1, word);
  }

  /** No more is heard at a UDP port. */
  closeUdp(port: number, address = this.#addresses[0] ?? ''): void {
    this.#udp.get(`${address}:${port}`)?.close();
    this.#udp.delete(`${address}:${port}`);
  }

  readPings(): void {
    for (const { source, type, id, data } of this.#icmp.take()) {
      const word = data.toString();
      const seen = { address: source, port: id };
      if (type === ECHO_REPLY) this.#conversation.noteAnswer(word, { to: this.name, by: source, seen });
      else if (type === ECHO_REQUEST)
        this.#conversation.noteHeard(word, { peer: this.name, port: id, from: seen });
    }
  }

  #udpAt(address: string, port: number): DatagramSocket {
    const key = `${address}:${port}`;
    const known = this.#udp.get(key);
    if (known) return known;
    const socket = udpSocket(this.namespace, address, port);
    this.#udp.set(key, socket);
    socket.on('message', (data, from) => {
      const text = data.toString();
      if (text.startsWith(ANSWER)) this.#takeAnswer(text);
      else socket.send(this.#answerTo(text, port, from), from.port, from.address, () => undefined);
    });
    return socket;
  }

  #serveTcp(socket: Socket, port: number): void {
    const { remoteAddress = '', remotePort = 0 } = socket;
    const from = { address: remoteAddress.replace('::ffff:', ''), port: remotePort };
    let text = '';
    socket.on('data', (data) => {
      text += data.toString();
      for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
        socket.write(`${this.#answerTo(text.slice(0, end), port, from)}\n`);
        text = text.slice(end + 1);
      }
    });
  }

  #answerTo(word: string, port: number, from: Endpoint): string {
    const { address, port: fromPort } = from;
    this.#conversation.noteHeard(word, { peer: this.name, port, from: { address, port: fromPort } });
    return `${ANSWER}${this.name} ${address} ${fromPort} ${word}`;
  }

  #takeAnswer(text: string): void {
    const [, by = '', address = '', port, word = ''] = text.split(' ');
    this.#conversation.noteAnswer(word, { to: this.name, by, seen: { address, port: Number(port) } });
  }
}
