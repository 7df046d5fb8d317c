/** An ear at the NIC of each of many VMs, which hears every frame that comes to it; and their mouth for frames of any kind. */
import { setTimeout as delay } from 'node:timers/promises';
import { familyOf } from './address.ts';
import { PacketSocket } from './packet-socket.ts';
import { VM_NIC, type Vm } from './vm.ts';
import { BROADCAST_MAC, type Datagram, readUdp, udpFrame } from './vm-frame.ts';

/** Where the listeners' own datagrams go to. */
const MARK_PORT = 6665;
const LIMIT_MS = 10_000;
const POLL_MS = 2;
const REPEAT_ROUNDS = 50;

/** A frame that has come to a VM. */
export interface Arrival {
  to: Vm;
  frame: Buffer;
}

/** A UDP datagram that has come to a VM. */
export interface ArrivedDatagram extends Datagram {
  to: Vm;
}

export class Listeners {
  readonly #sockets: ReadonlyMap<Vm, PacketSocket>;
  readonly #arrivals: Arrival[] = [];
  #round = 0;

  constructor(vms: readonly Vm[]) {
    this.#sockets = new Map(vms.map((vm) => [vm, new PacketSocket(vm.namespace, VM_NIC)]));
  }

  get vms(): Vm[] {
    return [...this.#sockets.keys()];
  }

  /** Sends a frame out of a VM. */
  send(from: Vm, frame: Uint8Array): void {
    const socket = this.#sockets.get(from);
    if (socket === undefined) throw new Error(`nobody listens at ${from.name}`);
    socket.send(frame);
  }

  /**
   * What has arrived since the last call, after everything that was sent before has gone its way: each VM broadcasts, and
   * all others of its virtual subnet have heard that. Not to be called after more than some hundred frames: a switch
   * has only so much room for those that wait.
   */
  async collect(): Promise<Arrival[]> {
    const round = `${this.#round++}`;
    const awaited = new Set(
      this.vms.flatMap((to) =>
        this.vms
          .filter((from) => from !== to && from.spec.vsid === to.spec.vsid)
          .map((from) => `${to.name} ${from.name} ${round}`),
      ),
    );
    const broadcast = () => {
      for (const from of this.vms)
        this.send(
          from,
          udpFrame({
            ...{ sourceMac: from.spec.mac, destinationMac: BROADCAST_MAC },
            ...{ source: from.ip, destination: '255.255.255.255' },
            ...{ port: MARK_PORT, data: `${from.name} ${round}` },
          }),
        );
    };
    const start = performance.now();
    for (let rounds = 0; awaited.size > 0; rounds++) {
      if (performance.now() - start > LIMIT_MS)
        throw new Error(`broadcasts have not arrived: ${[...awaited].join(', ')}`);
      // Again and again: a switch may lose them in a burst.
      if (rounds % REPEAT_ROUNDS === 0) broadcast();
      await delay(POLL_MS);
      for (const { to, frame } of this.#take()) {
        const mark = readUdp(frame, MARK_PORT);
        if (mark === undefined) this.#arrivals.push({ to, frame });
        else awaited.delete(`${to.name} ${mark.data}`);
      }
    }
    return this.#arrivals.splice(0);
  }

  /** The datagrams to a port among what collect() answers. */
  async datagrams(port: number): Promise<ArrivedDatagram[]> {
    return (await this.collect()).flatMap(({ to, frame }) => {
      const datagram = readUdp(frame, port);
      return datagram === undefined ? [] : [{ to, ...datagram }];
    });
  }

  #take(): Arrival[] {
    return [...this.#sockets].flatMap(([to, socket]) => socket.take().map((frame) => ({ to, frame })));
  }
}

/** A VM's own address of a family. */
export function addressOf(vm: Vm, family: 4 | 6): string {
  const address = vm.addresses.find((each) => familyOf(each) === family);
  if (address === undefined) throw new Error(`${vm.name} has no IPv${family} address`);
  return address;
}
