/** A packet socket (packet(7)) on an interface of a namespace: sends and hears whole frames. */
import type { Namespace } from './namespace.ts';
import { int, NativeSocket } from './native-socket.ts';

const AF_PACKET = 17;
const SOCK_RAW = 3;
const ETH_P_ALL_NETWORK_ORDER = 0x0300;
const SOL_PACKET = 263;
const PACKET_IGNORE_OUTGOING = 23;

export class PacketSocket {
  readonly #socket: NativeSocket;

  /** Hears every frame that arrives at the interface from then on, none that is sent from it. */
  constructor(namespace: Namespace, nic: string) {
    // Protocol 0 until it is bound: a packet socket hears every interface before.
    this.#socket = NativeSocket.open(namespace, nic, [AF_PACKET, SOCK_RAW, 0], (opened, ifindex) => {
      opened.setOption(SOL_PACKET, PACKET_IGNORE_OUTGOING, int(1));
      const address = Buffer.alloc(20);
      address.writeUInt16LE(AF_PACKET, 0);
      address.writeUInt16LE(ETH_P_ALL_NETWORK_ORDER, 2);
      address.writeInt32LE(ifindex, 4);
      opened.bind(address);
    });
  }

  /** Sends one frame, without frame check sequence. The kernel's own part of the way is done when this returns. */
  send(frame: Uint8Array): void {
    this.#socket.send(frame);
  }

  /** The frames that have arrived since the last call. */
  take(): Buffer[] {
    return this.#socket.take();
  }
}
