/** One TCP stream between two namespaces, by iperf3, upwards (from the VM to the internet) and downwards. */
import type { Namespace } from '../test/lab/namespace.ts';
import { INTERNET_ADDRESS } from './bench-tenant.ts';
import type { Contender } from './contest.ts';

const SECONDS = 2;

export type Direction = 'up' | 'down';

interface IperfReport {
  error?: string;
  end: { sum_received: { bits_per_second: number } };
}

/** Starts the server on the internet's side; the contender's figure is Gbit/s as received. */
export async function tcpContender(
  vm: Namespace,
  internet: Namespace,
): Promise<(direction: Direction) => Contender> {
  const server = await internet.spawn(['iperf3', '--server', '--bind', INTERNET_ADDRESS, '--forceflush']);
  await server.waitFor(/Server listening/);
  return (direction) => async () => {
    const reverse = direction === 'down' ? ['--reverse'] : [];
    const client = ['iperf3', '--client', INTERNET_ADDRESS, '--time', `${SECONDS}`, '--json', ...reverse];
    const { stdout } = await vm.run(client);
    const report = JSON.parse(stdout) as IperfReport;
    if (report.error !== undefined) throw new Error(`iperf3: ${report.error}`);
    return report.end.sum_received.bits_per_second / 1e9;
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
