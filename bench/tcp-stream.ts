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
export async function tcpContender(vm: Namespace, internet: Namespace): Promise<(direction: Direction) => Contender> {
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

/** Packets and bytes that an interface has received and sent so far; a super-packet is one packet. */
export interface LinkCount {
  received: { packets: number; bytes: number };
  sent: { packets: number; bytes: number };
}

interface IpLink {
  stats64: { rx: { packets: number; bytes: number }; tx: { packets: number; bytes: number } };
}

export async function linkCount(namespace: Namespace, nic: string): Promise<LinkCount> {
  const [link] = JSON.parse(await namespace.ip('-json', '-statistics', 'link', 'show', nic)) as IpLink[];
  if (link === undefined) throw new Error(`${namespace.name} has no interface ${nic}`);
  const { rx, tx } = link.stats64;
  return {
    received: { packets: rx.packets, bytes: rx.bytes },
    sent: { packets: tx.packets, bytes: tx.bytes },
  };
}
