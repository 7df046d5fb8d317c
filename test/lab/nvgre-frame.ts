/**
 * NVGRE frames built byte by byte from RFC 7637, independently of the product's own code, with any field wrong on
 * demand: what a hostile or broken host could send.
 */

export interface FrameFields {
  /** Outer Ethernet: destination is the gateway's NIC. */
  destinationMac: string;
  sourceMac: string;
  /** Outer addresses. */
  from: string;
  to: string;
  /** First 16 bits of the GRE header; 0x2000 is right. */
  greFlags?: number;
  greProtocol?: number;
  vsid: number;
  flowId?: number;
  /** Outer flags and fragment offset; 0x4000 (DF) is usual. */
  fragment?: number;
  innerDestinationMac: string;
  innerSourceMac: string;
  /** VLAN tag of the inner frame, absent normally. */
  innerVlan?: number;
  /** Inner IPv4 packet, complete. */
  inner: Buffer;
}

const mac = (text: string): Buffer => Buffer.from(text.replaceAll(':', ''), 'hex');
const ip = (text: string): Buffer => Buffer.from(text.split('.').map(Number));
const word = (value: number): Buffer => {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
};

/** Internet checksum (RFC 1071). */
export function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i] ?? 0) * 256 + (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** An IPv4 packet with a right header. */
export function ipv4(
  source: string,
  destination: string,
  protocol: number,
  payload: Buffer,
  fragment = 0,
): Buffer {
  const head = Buffer.concat([
    Buffer.from([0x45, 0]),
    word(20 + payload.length),
    Buffer.from([0x12, 0x34]),
    word(fragment),
    Buffer.from([64, protocol, 0, 0]),
    ip(source),
    ip(destination),
  ]);
  head.writeUInt16BE(checksum(head), 10);
  return Buffer.concat([head, payload]);
}

/** An ICMP echo request with `data` behind its header. */
export function echoRequest(
  source: string,
  destination: string,
  id: number,
  sequence: number,
  data = '',
): Buffer {
  const message = Buffer.concat([Buffer.from([8, 0, 0, 0]), word(id), word(sequence), Buffer.from(data)]);
  message.writeUInt16BE(checksum(message), 2);
  return ipv4(source, destination, 1, message);
}

/** A UDP datagram without checksum. */
export function udp(
  source: string,
  destination: string,
  sourcePort: number,
  port: number,
  data: string,
): Buffer {
  const payload = Buffer.from(data);
  const head = Buffer.concat([word(sourcePort), word(port), word(8 + payload.length), word(0)]);
  return ipv4(source, destination, 17, Buffer.concat([head, payload]));
}

/** The whole Ethernet frame, without frame check sequence. */
export function nvgreFrame(fields: FrameFields): Buffer {
  const key = Buffer.alloc(4);
  key.writeUInt32BE(fields.vsid * 256 + (fields.flowId ?? 0));
  const tag = fields.innerVlan === undefined ? [] : [word(0x8100), word(fields.innerVlan)];
  const gre = Buffer.concat([
    word(fields.greFlags ?? 0x2000),
    word(fields.greProtocol ?? 0x6558),
    key,
    mac(fields.innerDestinationMac),
    mac(fields.innerSourceMac),
    ...tag,
    word(0x0800),
    fields.inner,
  ]);
  const outer = ipv4(fields.from, fields.to, 47, gre, fields.fragment ?? 0x4000);
  return Buffer.concat([mac(fields.destinationMac), mac(fields.sourceMac), word(0x0800), outer]);
}

/** What the test reads of a received NVGRE frame; undefined when it is none. */
export function readNvgre(
  frame: Buffer,
): { vsid: number; flowId: number; innerDestinationMac: string; inner: Buffer } | undefined {
  if (frame.readUInt16BE(12) !== 0x0800 || frame[23] !== 47 || frame.readUInt32BE(34) !== 0x20006558)
    return undefined;
  const key = frame.readUInt32BE(38);
  const innerDestinationMac = (frame.toString('hex', 42, 48).match(/../g) ?? []).join(':');
  return { vsid: key >>> 8, flowId: key & 255, innerDestinationMac, inner: frame.subarray(56) };
}
