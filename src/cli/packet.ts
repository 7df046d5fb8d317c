/** The beginning of a packet in words, as far as it goes: for people who look at dropped ones. */

const ETHERNET = 14;
const IPV4 = 0x0800;
const IPV6 = 0x86dd;
const ARP = 0x0806;
const VLAN_TAGS = [0x8100, 0x88a8];
const TRANSPARENT_BRIDGING = 0x6558;
const [ICMP, TCP, UDP, GRE, ICMPV6] = [1, 6, 17, 47, 58];
const protocolNames: Record<number, string> = {
  2: 'IGMP',
  50: 'ESP',
  51: 'AH',
  89: 'OSPF',
  112: 'VRRP',
  132: 'SCTP',
};
const icmpNames: Record<number, string> = {
  0: 'echo reply',
  3: 'unreachable',
  5: 'redirect',
  8: 'echo request',
  11: 'time exceeded',
};
const icmpv6Names: Record<number, string> = {
  1: 'unreachable',
  2: 'packet too big',
  3: 'time exceeded',
  128: 'echo request',
  129: 'echo reply',
  133: 'router solicitation',
  134: 'router advertisement',
  135: 'neighbour solicitation',
  136: 'neighbour advertisement',
};
/** Extension headers of IPv6 that are passed over: hop-by-hop, routing, destination options. */
const EXTENSIONS = [0, 43, 60];
const FRAGMENT_HEADER = 44;

const cut = 'cut short';

/** `head` is hexadecimal, from the Ethernet header on. */
export function describePacket(head: string): string {
  return describeFrame(Buffer.from(head, 'hex'));
}

function describeFrame(frame: Buffer): string {
  if (frame.length < ETHERNET) return cut;
  let type = frame.readUInt16BE(12);
  let at = ETHERNET;
  let tag = '';
  while (VLAN_TAGS.includes(type) && frame.length >= at + 4) {
    tag += `VLAN ${frame.readUInt16BE(at) & 0xfff}: `;
    type = frame.readUInt16BE(at + 2);
    at += 4;
  }
  const rest = frame.subarray(at);
  if (type === IPV4) return tag + describeIpv4(rest);
  if (type === IPV6) return tag + describeIpv6(rest);
  if (type === ARP) return tag + describeArp(rest);
  return `${tag}${mac(frame, 6)} > ${mac(frame, 0)} type 0x${type.toString(16).padStart(4, '0')}`;
}

function describeIpv4(packet: Buffer): string {
  if (packet.length < 20) return `IPv4, ${cut}`;
  const header = (packet.readUInt8(0) & 0xf) * 4;
  const isFirst = (packet.readUInt16BE(6) & 0x1fff) === 0;
  const [from, to] = [ipv4(packet, 12), ipv4(packet, 16)];
  return describeTransport(packet.readUInt8(9), from, to, isFirst ? packet.subarray(header) : undefined);
}

function describeIpv6(packet: Buffer): string {
  if (packet.length < 40) return `IPv6, ${cut}`;
  const [from, to] = [ipv6(packet, 8), ipv6(packet, 24)];
  let next = packet.readUInt8(6);
  let rest = packet.subarray(40);
  while (rest.length >= 8 && (EXTENSIONS.includes(next) || next === FRAGMENT_HEADER)) {
    if (next === FRAGMENT_HEADER && (rest.readUInt16BE(2) & 0xfff8) !== 0)
      return describeTransport(rest.readUInt8(0), from, to, undefined);
    const length = next === FRAGMENT_HEADER ? 8 : (rest.readUInt8(1) + 1) * 8;
    next = rest.readUInt8(0);
    rest = rest.subarray(length);
  }
  return describeTransport(next, from, to, rest);
}

/** `payload` is undefined for a fragment that is not the first. */
function describeTransport(protocol: number, from: string, to: string, payload: Buffer | undefined): string {
  const name = { [ICMP]: 'ICMP', [TCP]: 'TCP', [UDP]: 'UDP', [GRE]: 'GRE', [ICMPV6]: 'ICMPv6' }[protocol];
  const shown = name ?? protocolNames[protocol] ?? `IP protocol ${protocol}`;
  if (payload === undefined) return `${shown} ${from} > ${to}, a fragment`;
  if ((protocol === TCP || protocol === UDP) && payload.length >= 4)
    return `${shown} ${endpoint(from, payload.readUInt16BE(0))} > ${endpoint(to, payload.readUInt16BE(2))}`;
  if ((protocol === ICMP || protocol === ICMPV6) && payload.length >= 2) {
    const type = payload.readUInt8(0);
    const names = protocol === ICMP ? icmpNames : icmpv6Names;
    return `${shown} ${names[type] ?? `type ${type}`} ${from} > ${to}`;
  }
  if (protocol === GRE && payload.length >= 8 && payload.readUInt16BE(2) === TRANSPARENT_BRIDGING) {
    const vsid = payload.readUInt32BE(4) >>> 8;
    return `NVGRE ${from} > ${to} VSID ${vsid}: ${describeFrame(payload.subarray(8))}`;
  }
  return `${shown} ${from} > ${to}`;
}

function describeArp(packet: Buffer): string {
  if (packet.length < 28) return `ARP, ${cut}`;
  const [sender, target] = [ipv4(packet, 14), ipv4(packet, 24)];
  if (packet.readUInt16BE(6) === 1) return `ARP who has ${target}, asked by ${sender} (${mac(packet, 8)})`;
  return `ARP ${sender} is at ${mac(packet, 8)}`;
}

function mac(bytes: Buffer, at: number): string {
  return [...bytes.subarray(at, at + 6)].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

function ipv4(bytes: Buffer, at: number): string {
  return bytes.subarray(at, at + 4).join('.');
}

function ipv6(bytes: Buffer, at: number): string {
  const groups = Array.from({ length: 8 }, (_, group) => bytes.readUInt16BE(at + 2 * group).toString(16));
  // A URL writes the shortest form (RFC 5952).
  return new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1);
}

function endpoint(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
