/** The watch on the uplink: not one packet with a tenant's address may be seen there, whatever happens. */
import { Capture } from '../../../test/lab/capture.ts';
import { Internet } from '../../../test/lab/internet.ts';
import type { Row } from '../table.ts';
import { IPERF_PORT } from './throughput.ts';

const TENANT_ADDRESSES = '10.0.0.0/8';

/** Begins to record at the far end of the uplink's wire: everything but the mass of iperf3's translated packets. */
export function watchUplink(internet: Internet): Promise<Capture> {
  return Capture.start(internet.namespace, Internet.nic, `net ${TENANT_ADDRESSES} or not port ${IPERF_PORT}`);
}

/** Ends the watch and counts. */
export async function reportUplink(capture: Capture): Promise<Row[]> {
  await capture.stop();
  const frames = await capture.decode('frame', ['ip.addr', 'arp.src.proto_ipv4', 'arp.dst.proto_ipv4']);
  const leaks = frames.filter((values) => values.some((value) => /(^|,)10\./.test(value)));
  return [
    {
      what: 'No tenant address ever on the uplink',
      seen: `${leaks.length} of ${frames.length} recorded frames have one`,
      ok: leaks.length === 0 && frames.length > 0 && capture.dropped === 0,
    },
  ];
}
