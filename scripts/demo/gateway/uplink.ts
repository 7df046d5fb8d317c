/** The watch on the uplink: not one packet with an address of a tenant or its site may be seen there, whatever happens. */
import { Capture } from '../../../test/lab/capture.ts';
import { Internet } from '../../../test/lab/internet.ts';
import type { Row } from '../table.ts';
import { IPERF_PORT } from './throughput.ts';

/** Of VMs, and of sites. */
const INSIDE = ['10.0.0.0/8', '192.168.0.0/16'];
const INSIDE_ADDRESS = /(^|,)(10|192\.168)\./;
/** Room for the headers, and for those that an ICMP error quotes. */
const HEAD_BYTES = 256;

/** Begins to record at the far end of the uplink's wire: everything but the mass of iperf3's translated packets. */
export function watchUplink(internet: Internet): Promise<Capture> {
  const inside = INSIDE.map((prefix) => `net ${prefix}`).join(' or ');
  return Capture.start(internet.namespace, Internet.nic, `${inside} or not port ${IPERF_PORT}`, HEAD_BYTES);
}

/** Ends the watch and counts. */
export async function reportUplink(capture: Capture): Promise<Row[]> {
  await capture.stop();
  const frames = await capture.decode('frame', ['ip.addr', 'arp.src.proto_ipv4', 'arp.dst.proto_ipv4']);
  const leaks = frames.filter((values) => values.some((value) => INSIDE_ADDRESS.test(value)));
  return [
    {
      what: 'No address of a tenant or its site ever on the uplink',
      seen: `${leaks.length} of ${frames.length} recorded frames have one${capture.dropped > 0 ? `, ${capture.dropped} not recorded` : ''}`,
      ok: leaks.length === 0 && frames.length > 0 && capture.dropped === 0,
    },
  ];
}

/** What was between VMs and sites, in a watch that has ended. */
export async function reportTunnels(capture: Capture): Promise<Row[]> {
  const frames = await capture.decode('esp', ['esp.spi']);
  const keys = new Set(frames.map(([spi]) => spi));
  return [
    {
      what: 'What goes between VMs and sites is ESP there',
      seen: `${frames.length} frames, of ${keys.size} SAs`,
      ok: frames.length > 0,
    },
  ];
}
