/** An NVGRE frame as tshark decodes it: what is outside and what is inside, in all four combinations of families. */

/** One end of the way, and what the packet says at this layer. */
export interface TunnelLayer {
  sourceMac: string;
  destinationMac: string;
  /** Undefined inside when the inner frame is no IP packet (ARP). */
  source?: string;
  destination?: string;
  /** TTL or hop limit. */
  ttl?: number;
  family?: 4 | 6;
}

export interface TunnelFrame {
  outer: TunnelLayer;
  inner: TunnelLayer;
  /** First 16 bits of the GRE header; RFC 7637 wants 0x2000. */
  flags: number;
  /** 0x6558 is right. */
  protocol: number;
  vsid: number;
  flowId: number;
  /** What the inner frame is, in Wireshark's words: `arp`, `icmp`, `icmpv6`, `tcp`, … */
  protocols: string[];
}

export const TUNNEL_FIELDS = [
  'frame.protocols',
  'eth.src',
  'eth.dst',
  'ip.src',
  'ip.dst',
  'ip.ttl',
  'ipv6.src',
  'ipv6.dst',
  'ipv6.hlim',
  'gre.flags_and_version',
  'gre.proto',
  'gre.key',
] as const;

/** Reads what Capture.frames answers for TUNNEL_FIELDS. */
export function readTunnel(fields: Record<(typeof TUNNEL_FIELDS)[number], string[]>): TunnelFrame {
  const names = (fields['frame.protocols'][0] ?? '').split(':');
  // The families in the order of the headers; a packet that an ICMP error quotes comes third.
  const families = names.flatMap((name) =>
    name === 'ip' ? [4 as const] : name === 'ipv6' ? [6 as const] : [],
  );
  const taken = { 4: 0, 6: 0 };
  const layers = families.map((family) => {
    const index = taken[family]++;
    const [source, destination, ttl] = (
      family === 4
        ? [fields['ip.src'], fields['ip.dst'], fields['ip.ttl']]
        : [fields['ipv6.src'], fields['ipv6.dst'], fields['ipv6.hlim']]
    ).map((values) => values[index] ?? '');
    return { source: source ?? '', destination: destination ?? '', ttl: Number(ttl), family };
  });
  const innerNames = names.slice(names.indexOf('gre') + 1);
  const innerIsIp = innerNames.includes('ip') || innerNames.includes('ipv6');
  const layer = (index: 0 | 1): TunnelLayer => ({
    sourceMac: fields['eth.src'][index] ?? '',
    destinationMac: fields['eth.dst'][index] ?? '',
    ...(index === 0 || innerIsIp ? layers[index] : {}),
  });
  return {
    outer: layer(0),
    inner: layer(1),
    flags: Number(fields['gre.flags_and_version'][0]),
    protocol: Number(fields['gre.proto'][0]),
    ...keyParts(fields['gre.key'][0] ?? ''),
    protocols: innerNames.filter((name) => !['eth', 'ethertype', 'ip', 'ipv6'].includes(name)),
  };
}

/** VSID and FlowID of a `gre.key` as tshark prints it. */
export function keyParts(key: string): { vsid: number; flowId: number } {
  const value = Number(key);
  return { vsid: Math.floor(value / 256), flowId: value % 256 };
}
