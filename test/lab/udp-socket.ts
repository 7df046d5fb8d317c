/** A UDP socket of a namespace's own stack, on one or all of its addresses of one family: what a VM would send and be given. */
import ipaddr from 'ipaddr.js';
import { familyOf } from './address.ts';
import type { Namespace } from './namespace.ts';
import { int, NativeSocket } from './native-socket.ts';

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_DGRAM = 2;
const SOL_SOCKET = 1;
const SO_BROADCAST = 6;
const IPPROTO_IP = 0;
const IP_MULTICAST_IF = 32;
const IP_MULTICAST_LOOP = 34;
const IP_ADD_MEMBERSHIP = 35;
const IPPROTO_IPV6 = 41;
const IPV6_MULTICAST_IF = 17;
const IPV6_MULTICAST_LOOP = 19;
const IPV6_JOIN_GROUP = 20;
const IPV6_V6ONLY = 26;

const bytesOf = (address: string): Buffer => Buffer.from(ipaddr.parse(address).toByteArray());

/** struct sockaddr_in or sockaddr_in6. */
function socketAddress(address: string, port: number, scope: number): Buffer {
  const isIpv4 = familyOf(address) === 4;
  const bytes = Buffer.alloc(isIpv4 ? 16 : 28);
  bytes.writeUInt16LE(isIpv4 ? AF_INET : AF_INET6, 0);
  bytes.writeUInt16BE(port, 2);
  bytesOf(address).copy(bytes, isIpv4 ? 4 : 8);
  if (!isIpv4) bytes.writeUInt32LE(scope, 24);
  return bytes;
}

export class UdpSocket {
  readonly #socket: NativeSocket;
  #ifindex = 0;

  /** What it sends to groups goes out of `nic`, where it is a member of the multicast groups `groups`. All addresses, without `address`. */
  constructor(
    namespace: Namespace,
    nic: string,
    family: 4 | 6,
    port: number,
    groups: readonly string[] = [],
    address = family === 4 ? '0.0.0.0' : '::',
  ) {
    const domain = family === 4 ? AF_INET : AF_INET6;
    this.#socket = NativeSocket.open(namespace, nic, [domain, SOCK_DGRAM, 0], (opened, ifindex) => {
      this.#ifindex = ifindex;
      const index = int(ifindex);
      opened.setOption(SOL_SOCKET, SO_BROADCAST, int(1));
      if (family === 4) {
        // struct ip_mreqn: group, address, index.
        opened.setOption(IPPROTO_IP, IP_MULTICAST_IF, Buffer.concat([Buffer.alloc(8), index]));
        opened.setOption(IPPROTO_IP, IP_MULTICAST_LOOP, int(0));
        for (const group of groups)
          opened.setOption(
            IPPROTO_IP,
            IP_ADD_MEMBERSHIP,
            Buffer.concat([bytesOf(group), Buffer.alloc(4), index]),
          );
      } else {
        opened.setOption(IPPROTO_IPV6, IPV6_V6ONLY, int(1));
        opened.setOption(IPPROTO_IPV6, IPV6_MULTICAST_IF, index);
        opened.setOption(IPPROTO_IPV6, IPV6_MULTICAST_LOOP, int(0));
        for (const group of groups)
          opened.setOption(IPPROTO_IPV6, IPV6_JOIN_GROUP, Buffer.concat([bytesOf(group), index]));
      }
      opened.bind(socketAddress(address, port, 0));
    });
  }

  send(data: string | Uint8Array, address: string, port: number): void {
    this.#socket.send(Buffer.from(data), socketAddress(address, port, this.#ifindex));
  }

  /** The text of the datagrams that have arrived since the last call. */
  take(): string[] {
    return this.#socket.take().map((datagram) => datagram.toString());
  }
}
