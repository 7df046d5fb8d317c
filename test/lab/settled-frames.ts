/**
 * Frames as text that can be compared with what another kernel has made of the same: identifications that a kernel draws by
 * itself are numbered in the order in which they appear, so that it still shows which are alike. They are of two kinds: those of
 * ICMP errors of the kernel's own, which alone have no DF, and those of IPv6 fragments.
 */
import { PROTOCOL } from './crafted-packet.ts';
import { checksum } from './nvgre-frame.ts';
import type { WireName } from './wired-gateway.ts';

export interface WireFrame {
  wire: WireName;
  bytes: Buffer;
}

const VLAN = 0x8100;
const IPV4 = 0x0800;
const IPV6 = 0x86dd;
const FRAGMENT = 44;
const ERRORS = [3, 11, 12];
/** Tunnel headers from the outer IP header to the inner one. */
const TUNNEL = { [IPV4]: 42, [IPV6]: 62 };

/** The wire and the frame in hexadecimal, of each. */
export function settledFrames(frames: readonly WireFrame[]): string[] {
  const drawn: string[] = [];
  const numberOf = (id: Buffer): number => {
    const text = id.toString('hex');
    if (!drawn.includes(text)) drawn.push(text);
    return drawn.indexOf(text) + 1;
  };
  return frames.map(({ wire, bytes }) => `${wire} ${settled(Buffer.from(bytes), numberOf).toString('hex')}`);
}

function settled(frame: Buffer, numberOf: (id: Buffer) => number): Buffer {
  const { at, type } = innermost(frame);
  if (type === IPV6 && frame.length >= at + 48 && frame[at + 6] === FRAGMENT)
    frame.writeUInt32BE(numberOf(frame.subarray(at + 44, at + 48)), at + 44);
  const header = frame.subarray(at, at + 20);
  const isError = type === IPV4 && header[0] === 0x45 && header[9] === PROTOCOL.icmp;
  if (
    !isError ||
    !ERRORS.includes(frame[at + 20] ?? 0) ||
    header.readUInt16BE(6) !== 0 ||
    checksum(header) !== 0
  )
    return frame;
  header.writeUInt16BE(numberOf(header.subarray(4, 6)), 4);
  header.writeUInt16BE(0, 10);
  header.writeUInt16BE(checksum(header), 10);
  return frame;
}

/** Where the IP header is that is not a tunnel's, and the EtherType in front of it. */
function innermost(frame: Buffer): { at: number; type: number } {
  const at = frame.readUInt16BE(12) === VLAN ? 18 : 14;
  const type = frame.readUInt16BE(at - 2);
  const next = type === IPV4 ? frame[at + 9] : type === IPV6 ? frame[at + 6] : undefined;
  if (next !== PROTOCOL.gre || (type !== IPV4 && type !== IPV6)) return { at, type };
  const inner = at + TUNNEL[type];
  return { at: inner, type: frame.readUInt16BE(inner - 2) };
}
