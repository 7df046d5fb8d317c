/** Whose a frame on the untagged network without NAT is, worked out from its bytes in the plainest way. */
import { addressBytes, macBytes } from '../../src/policy/address.ts';
import { linkLocalAddress } from '../../src/policy/router.ts';
import { LINK_MACS } from '../bpf/data-plane.ts';
import { contoso, fabrikam } from '../bpf/two-domains.ts';
import { ownerOfDestination } from './external-owner.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const both = [contoso, fabrikam];
const macs = new Map(both.map(({ handle, station }) => [hex(macBytes(station.mac)), handle]));
const addresses = new Map(
  both.flatMap(({ handle, station }) =>
    [...station.addresses, linkLocalAddress(station.mac)].map((address): [string, number] => [
      hex(addressBytes(address)),
      handle,
    ]),
  ),
);
const ICMPV6 = 58;
const SOLICITATION = 135;

/** The domain whose context has the MAC that the frame is to; 0 for none. */
export function stationOf(frame: Buffer): number {
  return macs.get(hex(frame.subarray(0, 6))) ?? 0;
}

/** What the frame asks for the MAC of; undefined when it is no such question. */
function askedFor(frame: Buffer): string | undefined {
  const type = frame.readUInt16BE(12);
  if (type === 0x0806) return `00000000000000000000ffff${hex(frame.subarray(38, 42))}`;
  if (type !== 0x86dd) return undefined;
  const hasOptions = frame[20] === 0 && frame[55] === 0;
  const at = hasOptions ? 62 : 54;
  if (frame[hasOptions ? 54 : 20] !== ICMPV6 || frame[at] !== SOLICITATION) return undefined;
  return hex(frame.subarray(at + 8, at + 24));
}

function ownerOfQuestion(frame: Buffer): number {
  const target = askedFor(frame);
  return target === undefined ? 0 : (addresses.get(target) ?? 0);
}

/** The domain whose context gets a frame from the network; 0 for none. */
export function ownerFromNetwork(frame: Buffer): number {
  return ((frame[0] ?? 0) & 1) === 1 ? ownerOfQuestion(frame) : stationOf(frame);
}

/**
 * The other domain that gets a frame which the context of `domain` sends: a neighbour, or the owner of a public address behind
 * the NIC's own MAC. 0 for none.
 */
export function ownerOfNeighbour(frame: Buffer, domain: number): number {
  const neighbour = [ownerOfQuestion(frame), stationOf(frame)].find((each) => each !== 0 && each !== domain);
  if (neighbour !== undefined) return neighbour;
  return frame.subarray(0, 6).equals(macBytes(LINK_MACS.uplink)) ? ownerOfDestination(frame) : 0;
}
