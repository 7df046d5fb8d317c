/**
 * Host to host as the kernel's own devices do it: on each host a VXLAN device and a bridge with the VM's veth in it. Made
 * as fast as they are: no learning anywhere, static entries in both forwarding tables, no outer checksum, no multicast
 * snooping, bridge netfilter off (a kernel that has it built in calls its hooks all the same, some 7 % of the packet
 * rate). GRO stays on, as NICs need it. There are no checks of what a VM sends.
 */
import type { Lab } from '../test/lab/lab.ts';
import type { Namespace } from '../test/lab/namespace.ts';
import { PROVIDER_NIC } from '../test/lab/node-process.ts';
import { Vm } from '../test/lab/vm.ts';
import { type BenchVm, type HostPair, joinHosts, PROVIDER_ADDRESSES, VMS } from './bench-hosts.ts';
import { VXLAN_PORT } from './frames.ts';

const DEVICE = 'vx0';
const BRIDGE = 'br0';
const ALL_OTHERS = '00:00:00:00:00:00';

/** Builds them; they forward when this resolves. */
export async function buildVxlanHosts(lab: Lab): Promise<HostPair> {
  const near = await lab.namespace('vxnear');
  const far = await lab.namespace('vxfar');
  await joinHosts(lab, near, far);
  const [sender, receiver] = [named(VMS.sender), named(VMS.receiver)];
  const vms = {
    sender: (await Vm.create(lab, sender, near)).namespace,
    receiver: (await Vm.create(lab, receiver, far)).namespace,
  };
  await bridge(near, sender, receiver);
  await bridge(far, receiver, sender);
  return { near, far, vms };
}

/** Namespaces of a lab have names of their own. */
function named(vm: BenchVm): BenchVm {
  return { ...vm, name: `vx${vm.name}` };
}

async function bridge(host: Namespace, local: BenchVm, remote: BenchVm): Promise<void> {
  const [from, to] = [PROVIDER_ADDRESSES[local.host], PROVIDER_ADDRESSES[remote.host]];
  await host.ipBatch([
    `link add ${DEVICE} up type vxlan id ${local.vsid} dstport ${VXLAN_PORT} local ${from} dev ${PROVIDER_NIC} nolearning noudpcsum`,
    `link add ${BRIDGE} up type bridge mcast_snooping 0`,
    ...[DEVICE, local.name].flatMap((port) => [
      `link set ${port} master ${BRIDGE}`,
      `link set ${port} type bridge_slave learning off`,
    ]),
  ]);
  for (const entry of [
    [remote.mac, 'dev', DEVICE, 'self', 'static', 'dst', to],
    [ALL_OTHERS, 'dev', DEVICE, 'self', 'static', 'dst', to],
    [remote.mac, 'dev', DEVICE, 'master', 'static'],
    [local.mac, 'dev', local.name, 'master', 'static'],
  ])
    await host.runChecked(['bridge', 'fdb', 'append', ...entry]);
  // There only where bridge netfilter is.
  await host.run(['sysctl', '-qw', 'net.bridge.bridge-nf-call-iptables=0']);
}
