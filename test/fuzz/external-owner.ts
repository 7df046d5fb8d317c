/** Whose a packet to a public address is, worked out from the frame's bytes in the plainest way, to judge the data plane by. */
import { addressBytes, addressFromBytes, contains } from '../../src/policy/address.ts';
import { contoso, fabrikam, SHARED, SHARED6 } from '../bpf/two-domains.ts';

const both = [contoso, fabrikam];
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const pairKey = (local: Uint8Array, remote: Uint8Array): string => hex(local) + hex(remote);
const whole = new Map(
  both.flatMap(({ handle, external, external6 }) =>
    [external, external6].map((address): [string, number] => [hex(addressBytes(address)), handle]),
  ),
);
const shared = new Set([SHARED, SHARED6].map((address) => hex(addressBytes(address))));
const peers = new Map(
  both.flatMap(({ handle, peers: own }) =>
    own.map((remote): [string, number] => [
      pairKey(addressBytes(remote.includes(':') ? SHARED6 : SHARED), addressBytes(remote)),
      handle,
    ]),
  ),
);
const PROTOCOL = { icmp: 1, tcp: 6, udp: 17, fragment: 44, esp: 50, icmpv6: 58 } as const;
const IKE_PORTS = [500, 4500];

/** An IP header and where what it carries begins; undefined when the frame ends before. */
interface Header {
  source: Buffer;
  destination: Buffer;
  protocol: number;
  isLater: boolean;
  transport: number;
}

function headerAt(frame: Buffer, at: number, isIpv6: boolean): Header | undefined {
  if (frame.length < at + (isIpv6 ? 40 : 20)) return undefined;
  if (isIpv6) {
    const [source, destination] = [frame.subarray(at + 8, at + 24), frame.subarray(at + 24, at + 40)];
    const next = frame[at + 6] ?? 0;
    const isFragment = next === PROTOCOL.fragment && frame.length >= at + 48;
    return {
      ...{ source, destination },
      protocol: isFragment ? (frame[at + 40] ?? 0) : next,
      isLater: isFragment && (frame.readUInt16BE(at + 42) & 0xfff8) !== 0,
      transport: at + (isFragment ? 48 : 40),
    };
  }
  const mapped = (offset: number): Buffer =>
    Buffer.concat([Buffer.from('00000000000000000000ffff', 'hex'), frame.subarray(offset, offset + 4)]);
  return {
    ...{ source: mapped(at + 12), destination: mapped(at + 16) },
    protocol: frame[at + 9] ?? 0,
    isLater: (frame.readUInt16BE(at + 6) & 0x1fff) !== 0,
    transport: at + ((frame[at] ?? 0) & 15) * 4,
  };
}

const isIpv6Frame = (frame: Buffer): boolean => frame.readUInt16BE(12) === 0x86dd;

export function isLaterFragment(frame: Buffer): boolean {
  return headerAt(frame, 14, isIpv6Frame(frame))?.isLater ?? false;
}

function ownerOfPort(frame: Buffer, at: number): number {
  if (frame.length < at + 2) return 0;
  const port = frame.readUInt16BE(at);
  return both.find(({ block }) => block[0] <= port && port <= block[1])?.handle ?? 0;
}

/** What tells whose a packet is: where our port is in the frame, and both addresses. */
interface Conversation {
  protocol: number;
  local: Buffer;
  remote: Buffer;
  port: number;
}

/** 0 when it is nobody's. */
function ownerOf(frame: Buffer, { protocol, local, remote, port }: Conversation): number {
  const peer = peers.get(pairKey(local, remote));
  if (protocol === PROTOCOL.esp) return peer ?? 0;
  const isIke =
    protocol === PROTOCOL.udp && frame.length >= port + 2 && IKE_PORTS.includes(frame.readUInt16BE(port));
  return (isIke ? peer : undefined) ?? ownerOfPort(frame, port);
}

/** The domain that a packet to a shared address is for: 0 when it is nobody's. */
function ownerOfSession(frame: Buffer, header: Header): number {
  const { protocol, source, destination: local, transport, isLater } = header;
  if (isLater) return 0;
  if (protocol === PROTOCOL.tcp || protocol === PROTOCOL.udp || protocol === PROTOCOL.esp)
    return ownerOf(frame, { protocol, local, remote: source, port: transport + 2 });
  const isIpv6 = isIpv6Frame(frame);
  const type = frame[transport] ?? 255;
  if (isIpv6 ? type === 129 : type === 0 || type === 14) return ownerOfPort(frame, transport + 4);
  if (isIpv6 ? type < 1 || type > 4 : ![3, 11, 12].includes(type)) return 0;
  const quoted = headerAt(frame, transport + 8, isIpv6);
  if (quoted === undefined) return 0;
  const isIcmp = quoted.protocol === PROTOCOL.icmp || quoted.protocol === PROTOCOL.icmpv6;
  const port = quoted.transport + (isIcmp ? 4 : 0);
  return ownerOf(frame, { protocol: quoted.protocol, local, remote: quoted.destination, port });
}

/** The domain whose context the frame's packet is for; 0 when it is nobody's. */
export function ownerOfDestination(frame: Buffer): number {
  const isIpv6 = isIpv6Frame(frame);
  const header = headerAt(frame, 14, isIpv6);
  if (header === undefined) return 0;
  const key = hex(header.destination);
  const owner = whole.get(key);
  if (owner !== undefined) return owner;
  if (shared.has(key)) return ownerOfSession(frame, header);
  if (!isIpv6) return 0;
  const address = addressFromBytes(header.destination);
  if (address.includes('.')) return 0;
  const has = (prefix: string): boolean => contains(prefix, address);
  return both.find(({ prefix, routed }) => has(prefix.external) || has(routed))?.handle ?? 0;
}
