/** A VM with too large an MTU: the distributed router tells it what fits into a tunnel. */
import { VM_MTU, VM_NIC } from '../../../test/lab/vm.ts';
import type { Row } from '../table.ts';
import type { HostsStage } from './stage.ts';

const WRONG_MTU = 1500;

export async function sendTooBig({ all }: HostsStage): Promise<Row[]> {
  const from = all.vm(3, 1);
  const to = all.vm(2, 2);
  await from.namespace.ip('link', 'set', VM_NIC, 'mtu', `${WRONG_MTU}`);
  const rows: Row[] = [];
  for (const { address, router, headers } of [
    { address: to.ip, router: from.spec.gateway, headers: 28 },
    { address: to.ip6, router: from.spec.gateway6, headers: 48 },
  ]) {
    const args = ['-n', '-c', '1', '-W', '1', '-M', 'do', '-s', `${WRONG_MTU - headers}`, address];
    const { stdout, stderr } = await from.namespace.run(['ping', ...args]);
    const [, said = '', mtu] = /^From (\S+) icmp_seq=1 .*mtu *= *(\d+)/im.exec(stdout) ?? [];
    const told = said.replace(/:$/, '');
    rows.push({
      what: `A packet of ${WRONG_MTU} bytes to ${address}: the .1 answers`,
      seen: mtu === undefined ? `${stdout}${stderr}`.trim() : `${told} says that ${mtu} fit`,
      ok: told === router && Number(mtu) === VM_MTU,
    });
  }
  await from.namespace.ip('link', 'set', VM_NIC, 'mtu', `${VM_MTU}`);
  return rows;
}
