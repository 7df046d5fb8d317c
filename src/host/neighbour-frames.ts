/**
 * The frames of address resolution that a host says of itself. Announcements tell neighbours which MAC address an address
 * has now: gratuitous ARP (RFC 5227, ARP Announcement) and unsolicited neighbour advertisement (RFC 4861, 7.2.6).
 * Probes ask whether it is still there, without disturbing others: ARP (RFC 1122, 2.3.2.1, unicast poll) and neighbour
 * solicitation to the neighbour alone (RFC 4861, 7.3.3).
 */
import { addressBytes, addressFamily, macBytes } from '../policy/address.ts';

const BROADCAST_MAC = 'ff:ff:ff:ff:ff:ff';
/** RFC 2464: 33:33 and the last four bytes of ff02::1. */
const ALL_NODES_MAC = '33:33:00:00:00:01';
const ALL_NODES = 'ff02::1';

const ETHERTYPE_ARP = 0x0806;
const ETHERTYPE_IPV6 = 0x86dd;
const PROTOCOL_ICMPV6 = 58;
const NEIGHBOUR_SOLICITATION = 135;
const NEIGHBOUR_ADVERTISEMENT = 136;
const OVERRIDE_FLAG = 0x20;
const SOURCE_LINK_LAYER_ADDRESS = 1;
const TARGET_LINK_LAYER_ADDRESS = 2;
/** Receivers refuse neighbour messages that a router has forwarded. */
const HOP_LIMIT = 255;

/** The Ethernet frame that announces that `mac` has `address`, to everybody on the link. */
export function announcementFrame(address: string, mac: string): Uint8Array {
  const self = { address, mac };
  if (addressFamily(address) === 4) return arpRequest(self, address, BROADCAST_MAC);
  const message = [Buffer.from([NEIGHBOUR_ADVERTISEMENT, 0, 0, 0, OVERRIDE_FLAG, 0, 0, 0])];
  return icmpv6Frame(self, { address: ALL_NODES, mac: ALL_NODES_MAC }, [
    ...[...message, addressBytes(address)],
    ...[Buffer.from([TARGET_LINK_LAYER_ADDRESS, 1]), macBytes(mac)],
  ]);
}

/** An address and the MAC address that goes with it. */
export interface Neighbour {
  address: string;
  mac: string;
}

/** The Ethernet frame by which `asker`, of the same family, asks `asked` whether it is there. */
export function probeFrame(asker: Neighbour, asked: Neighbour): Uint8Array {
  if (addressFamily(asked.address) === 4) return arpRequest(asker, asked.address, asked.mac);
  return icmpv6Frame(asker, asked, [
    ...[Buffer.from([NEIGHBOUR_SOLICITATION, 0, 0, 0, 0, 0, 0, 0]), addressBytes(asked.address)],
    ...[Buffer.from([SOURCE_LINK_LAYER_ADDRESS, 1]), macBytes(asker.mac)],
  ]);
}

function ethernet(destination: string, source: string, type: number): Buffer {
  return Buffer.concat([macBytes(destination), macBytes(source), uint16(type)]);
}

function arpRequest(sender: Neighbour, target: string, destination: string): Uint8Array {
  const ipv4 = (address: string): Uint8Array => addressBytes(address).subarray(12);
  return Buffer.concat([
    ethernet(destination, sender.mac, ETHERTYPE_ARP),
    // Ethernet, IPv4, 6 and 4 bytes, request.
    Buffer.from('0001080006040001', 'hex'),
    ...[macBytes(sender.mac), ipv4(sender.address), Buffer.alloc(6), ipv4(target)],
  ]);
}

/** `parts` of the message have the checksum's place, bytes 2 and 3, empty. */
function icmpv6Frame(from: Neighbour, to: Neighbour, parts: Uint8Array[]): Uint8Array {
  const message = Buffer.concat(parts);
  const addresses = Buffer.concat([addressBytes(from.address), addressBytes(to.address)]);
  // RFC 8200, 8.1: the checksum covers a pseudo-header too.
  const pseudoHeader = [addresses, uint32(message.length), uint32(PROTOCOL_ICMPV6)];
  message.writeUInt16BE(internetChecksum(Buffer.concat([...pseudoHeader, message])), 2);
  return Buffer.concat([
    ethernet(to.mac, from.mac, ETHERTYPE_IPV6),
    ...[uint32(0x60000000), uint16(message.length), Buffer.from([PROTOCOL_ICMPV6, HOP_LIMIT])],
    ...[addresses, message],
  ]);
}

/** RFC 1071. `data` has an even length. */
function internetChecksum(data: Buffer): number {
  let sum = 0;
  for (let at = 0; at < data.length; at += 2) sum += data.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
