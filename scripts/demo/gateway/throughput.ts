/** TCP from a VM through the gateway to the internet, both ways, measured by iperf3; and how much of it was fast. */
import type { DomainCounters } from '../../../src/api/operations.ts';
import { FAR_ADDRESS } from '../../../test/lab/internet.ts';
import type { Row } from '../table.ts';
import type { Stage } from './stage.ts';

export const IPERF_PORT = 5201;
const SECONDS = 2;
/** Of the packets: all but the first ones, and one now and then. */
const FAST_SHARE = 0.9;

interface IperfReport {
  error?: string;
  end?: { sum_received?: { bits_per_second: number } };
}

export async function measureThroughput({ tenants: [contoso], internet, gateway }: Stage): Promise<Row[]> {
  const counters = (): Promise<DomainCounters> =>
    gateway.api.get(`/v1/routing-domains/${contoso.rdid}/counters`) as Promise<DomainCounters>;
  const before = await counters();
  const server = await internet.namespace.spawn(['iperf3', '-s', '-p', `${IPERF_PORT}`, '--forceflush']);
  await server.waitFor(/Server listening/);
  const [vm] = contoso.machines;
  const rows: Row[] = [];
  for (const [direction, options] of [
    ['VM to internet', []],
    ['internet to VM', ['-R']],
  ] as const) {
    const args = [
      '-c',
      FAR_ADDRESS,
      '-p',
      `${IPERF_PORT}`,
      '-t',
      `${SECONDS}`,
      '--connect-timeout',
      '3000',
      '-J',
    ];
    const { stdout } = await vm.namespace.run(['iperf3', ...args, ...options]);
    const report: IperfReport = JSON.parse(stdout);
    const rate = report.end?.sum_received?.bits_per_second ?? 0;
    rows.push({
      what: `One TCP stream, ${direction}`,
      seen: report.error ?? `${(rate / 1e6).toFixed(0)} Mbit/s (limit: Open vSwitch in userspace)`,
      ok: rate > 0,
    });
  }
  await server.end();
  const after = await counters();
  const all = packetsOf(after) - packetsOf(before);
  const fast = after.fast.packets - before.fast.packets;
  rows.push({
    what: 'Established connections take the fast path',
    seen: `${fast} of ${all} packets of these streams`,
    ok: fast > all * FAST_SHARE,
  });
  return rows;
}

const packetsOf = ({ decapsulated, encapsulated }: DomainCounters): number =>
  decapsulated.packets + encapsulated.packets;
