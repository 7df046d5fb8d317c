/** Broadcast and multicast: to every other VM of the subnet on all hosts, once; to nobody else. */
import { UdpSocket } from '../../../test/lab/udp-socket.ts';
import { until } from '../../../test/lab/until.ts';
import { VM_NIC } from '../../../test/lab/vm.ts';
import type { Row } from '../table.ts';
import type { HostsStage } from './stage.ts';

const PORT = 7777;
/** Sent behind what is counted, by the same way: when it is there, nothing of that is still to come. */
const LAST = 'last';

const KINDS = [
  { what: 'A broadcast reaches each VM of the subnet once', family: 4, group: '10.1.1.255' },
  { what: 'So does an IPv6 multicast to all nodes', family: 6, group: 'ff02::1' },
] as const;

export async function replicate({ vms }: HostsStage): Promise<Row[]> {
  const rows: Row[] = [];
  for (const { what, family, group } of KINDS) {
    const ends = vms.map(({ vm, subnet }) => {
      const heard: string[] = [];
      return { vm, subnet, heard, socket: new UdpSocket(vm.namespace, VM_NIC, family, PORT) };
    });
    // One on each host. What a sender hears of itself comes from its own stack.
    const senders = ends.filter(({ subnet }) => subnet === 1);
    let wanted = 0;
    let right = 0;
    for (const sender of senders) {
      for (const text of [sender.vm.name, LAST]) sender.socket.send(text, group, PORT);
      const others = senders.filter((end) => end !== sender);
      await until(`${group} reaches all VMs of subnet 1`, 5_000, () => {
        for (const { heard, socket } of ends) heard.push(...socket.take());
        return others.every(({ heard }) => heard.includes(LAST));
      });
      wanted += others.length;
      const once = others.filter(({ heard }) => heard.filter((text) => text === sender.vm.name).length === 1);
      right += once.length;
      for (const { heard } of senders) heard.length = 0;
    }
    const elsewhere = ends.reduce((sum, { heard }) => sum + heard.length, 0);
    rows.push({
      what,
      seen: `sent on each host: ${right} of ${wanted} got one copy, ${elsewhere} copies in other subnets`,
      ok: right === wanted && elsewhere === 0,
    });
  }
  return rows;
}
