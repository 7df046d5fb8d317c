/** A VM takes an address and tells all its neighbours, as failover clusters do. */
import { familyOf } from './address.ts';
import { VM_NIC, type Vm } from './vm.ts';

/**
 * Gives a VM an address at its NIC, or at another interface of it, and announces it: by a gratuitous ARP, by an
 * unsolicited neighbour advertisement (RFC 4861 section 7.2.6). Resolves to the time before the announcement, in
 * milliseconds since the epoch.
 */
export async function announce(vm: Vm, address: string, nic = VM_NIC): Promise<number> {
  const { namespace } = vm;
  if (familyOf(address) === 4) {
    await namespace.ip('addr', 'add', `${address}/24`, 'dev', nic);
    const begin = Date.now();
    await namespace.runChecked(['arping', '-U', '-c', '1', '-w', '1', '-I', nic, address]);
    return begin;
  }
  // The kernel announces an address at the end of its duplicate address detection, which has no length then.
  await namespace.runChecked([
    ...['sysctl', '-qw', `net.ipv6.conf.${nic}.ndisc_notify=1`],
    ...['all', nic].map((each) => `net.ipv6.conf.${each}.accept_dad=0`),
  ]);
  const begin = Date.now();
  await namespace.ip('addr', 'add', `${address}/64`, 'dev', nic);
  return begin;
}
