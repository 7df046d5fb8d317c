/** One TCP stream between two namespaces, by iperf3, upwards (from client to server) and downwards. */
import type { Namespace } from '../test/lab/namespace.ts';
import type { Contender } from './contest.ts';
import { CORE } from './core-time.ts';

const SECONDS = 2;
/** iperf3's own, and the one after it for a second server at the same address. */
const PORTS = { free: 5201, oneCore: 5202 };

export type Direction = 'up' | 'down';

export interface TcpOptions {
  /**
   * Both ends, and so all softirqs between them, on the core that packet rates are measured on; the figure is then that
   * of the core's time that they got, for what others do there meanwhile is none of the stream's.
   */
  oneCore?: boolean;
}

interface IperfReport {
  error?: string;
  end: {
    sum_received: { bits_per_second: number };
    cpu_utilization_percent: { host_total: number; remote_total: number };
  };
}

/** Starts the server, at an address of its namespace; the contender's figure is Gbit/s as received, from the client (`up`) or by it. */
export async function tcpContender(
  client: Namespace,
  server: Namespace,
  address: string,
  { oneCore = false }: TcpOptions = {},
): Promise<(direction: Direction) => Contender> {
  const pin = oneCore ? ['taskset', '-c', `${CORE}`] : [];
  const port = ['--port', `${oneCore ? PORTS.oneCore : PORTS.free}`];
  const serve = ['iperf3', '--server', '--bind', address, ...port, '--forceflush'];
  const started = await server.spawn([...pin, ...serve]);
  await started.waitFor(/Server listening/);
  return (direction) => async () => {
    const reverse = direction === 'down' ? ['--reverse'] : [];
    const ask = ['iperf3', '--client', address, ...port, '--time', `${SECONDS}`, '--json', ...reverse];
    const { stdout } = await client.run([...pin, ...ask]);
    const report = JSON.parse(stdout) as IperfReport;
    if (report.error !== undefined) throw new Error(`iperf3: ${report.error}`);
    const { sum_received: received, cpu_utilization_percent: cpu } = report.end;
    const share = oneCore ? (cpu.host_total + cpu.remote_total) / 100 : 1;
    return received.bits_per_second / share / 1e9;
  };
}

interface IpLink {
  stats64: Record<'rx' | 'tx', { packets: number; bytes: number }>;
}

/**
 * Wraps a contender to count what it moves over an interface, in which a super-packet is one packet: its average size
 * tells whether they stay whole.
 */
export function countSuperPackets(
  namespace: Namespace,
  nic: string,
  way: 'received' | 'sent',
  contender: Contender,
): { contender: Contender; bytesPerPacket: () => number } {
  const total = { packets: 0, bytes: 0 };
  const read = async () => {
    const [link] = JSON.parse(await namespace.ip('-json', '-statistics', 'link', 'show', nic)) as IpLink[];
    if (link === undefined) throw new Error(`${namespace.name} has no interface ${nic}`);
    return link.stats64[way === 'received' ? 'rx' : 'tx'];
  };
  return {
    contender: async () => {
      const before = await read();
      const figure = await contender();
      const after = await read();
      total.packets += after.packets - before.packets;
      total.bytes += after.bytes - before.bytes;
      return figure;
    },
    bytesPerPacket: () => total.bytes / total.packets,
  };
}
