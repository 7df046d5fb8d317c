/** Looks at frames as they come out of a packet-rate path: every header, every checksum, every byte of the payload. */
import { checksum } from '../test/lab/nvgre-frame.ts';
import {
  bytesOfAddress,
  DISCARD_PORT,
  FIRST_FLOW_PORT,
  type Form,
  type Mix,
  outerBytes,
  PAYLOAD_BYTE,
  PROTOCOL,
  pseudoHeader,
  VXLAN_PORT,
} from './frames.ts';

/** As what the frames of a way must arrive. */
export interface Arriving {
  tunnel: { form: 'nvgre' | 'vxlan'; source: string; destination: string; id: number } | undefined;
  /** Of the inner frame. */
  destinationMac: string;
  /** Of the first flow; the internet's side differs among flows. */
  source: string;
  destination: string;
  fromOutside: boolean;
  /** How often the inner TTL was taken one off. */
  hops: number;
}

const ETHERNET = 14;
const IPV4 = 20;
const TTL = 64;
/** Flows that differ in the port alone, before an address differs too. */
const PORTS = 1 << 15;

/** What is wrong with frames that were received; also when there are none, or all are of one flow. */
export function problemsOf(
  frames: readonly Buffer[],
  arriving: Arriving,
  job: { mix: Mix; flows: number },
): string[] {
  const problems = new Set<string>();
  const ports = new Set<number>();
  for (const frame of frames) {
    try {
      ports.add(portOf(frame, arriving, job));
    } catch (error) {
      problems.add(`${error instanceof Error ? error.message : error} (${frame.toString('hex', 0, 128)})`);
    }
  }
  if (ports.size < Math.min(job.flows, frames.length) || frames.length === 0)
    problems.add(`${frames.length} frames of ${ports.size} flows`);
  return [...problems];
}

/** The port that tells the flow. Throws what is wrong. */
function portOf(frame: Buffer, arriving: Arriving, { mix, flows }: { mix: Mix; flows: number }): number {
  const form: Form = arriving.tunnel?.form ?? 'plain';
  if (arriving.tunnel !== undefined) checkTunnel(frame, arriving.tunnel);
  const inner = frame.subarray(outerBytes(form));
  same('frame size', mix.sizes.includes(inner.length), true);
  same('inner destination MAC', inner.toString('hex', 0, 6), arriving.destinationMac.replaceAll(':', ''));
  const ip = inner.subarray(ETHERNET);
  checkIpv4(ip, PROTOCOL.udp, ip.length);
  same('TTL', ip[8], TTL - arriving.hops);
  const addresses = [ip.subarray(12, 16), ip.subarray(16, 20)] as const;
  const far = arriving.fromOutside ? 0 : 1;
  const wanted = [bytesOfAddress(arriving.source), bytesOfAddress(arriving.destination)] as const;
  same('address', addresses[1 - far]?.toString('hex'), wanted[1 - far]?.toString('hex'));
  const beyond = (addresses[far]?.readUInt32BE() ?? 0) - (wanted[far]?.readUInt32BE() ?? 0);
  same('far address', beyond >= 0 && beyond <= Math.floor((flows - 1) / PORTS), true);
  const udp = ip.subarray(IPV4);
  same('UDP length', udp.readUInt16BE(4), udp.length);
  same('UDP checksum', checksum(Buffer.concat([pseudoHeader(...addresses, udp.length), udp])), 0);
  same('far port', udp.readUInt16BE(2 * far), DISCARD_PORT);
  same(
    'payload',
    udp.subarray(8).every((byte) => byte === PAYLOAD_BYTE),
    true,
  );
  const port = udp.readUInt16BE(2 * (1 - far));
  same('port', port >= FIRST_FLOW_PORT && port < FIRST_FLOW_PORT + Math.min(flows, PORTS), true);
  return port;
}

function checkTunnel(frame: Buffer, tunnel: NonNullable<Arriving['tunnel']>): void {
  const ip = frame.subarray(ETHERNET);
  const isNvgre = tunnel.form === 'nvgre';
  checkIpv4(ip, isNvgre ? PROTOCOL.gre : PROTOCOL.udp, ip.length);
  same('outer source', ip.toString('hex', 12, 16), bytesOfAddress(tunnel.source).toString('hex'));
  same('outer destination', ip.toString('hex', 16, 20), bytesOfAddress(tunnel.destination).toString('hex'));
  const header = ip.subarray(IPV4);
  if (isNvgre) same('GRE header', header.readUInt32BE(), 0x20006558);
  else same('VXLAN port', header.readUInt16BE(2), VXLAN_PORT);
  same('VSID or VNI', header.readUIntBE(isNvgre ? 4 : 12, 3), tunnel.id);
}

function checkIpv4(ip: Buffer, protocol: number, length: number): void {
  same('IP version and header', ip[0], 0x45);
  same('IP length', ip.readUInt16BE(2), length);
  same('IP protocol', ip[9], protocol);
  same('IP checksum', checksum(ip.subarray(0, IPV4)), 0);
}

function same<T>(what: string, found: T, wanted: T): void {
  if (found !== wanted) throw new Error(`${what} is ${found} instead of ${wanted}`);
}
