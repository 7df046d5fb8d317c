/** What all hosts have in common, whoever made them: VMs are started on them, plugged in and moved away. */
import type { Lab } from './lab.ts';
import type { Namespace } from './namespace.ts';
import { hostSideUp, Vm, type VmSpec } from './vm.ts';

export interface VmHost {
  readonly namespace: Namespace;
  /** The host's own addresses on the provider network. */
  readonly providerAddresses: readonly string[];
  readonly vms: readonly Vm[];
  /** Takes VMs in whose NICs are in the host's namespace. */
  plug(vms: readonly Vm[]): Promise<void>;
  /** Lets a VM go; its NIC stays in the namespace. */
  unplug(vm: Vm): Promise<void>;
}

/** Starts VMs on a host; resolves when their addresses can be used. */
export async function startVms(lab: Lab, host: VmHost, specs: readonly VmSpec[]): Promise<Vm[]> {
  const vms: Vm[] = [];
  for (const spec of specs) vms.push(await Vm.create(lab, spec, host.namespace));
  await host.plug(vms);
  await Promise.all(vms.filter((vm) => vm.spec.ip6 !== undefined).map((vm) => vm.settled()));
  return vms;
}

/**
 * Moves a running VM to another host: its NIC is unplugged here and plugged in there, as at the end of a live migration.
 * Telling policy is the caller's, in `whileDown` when it is to be done before the VM can speak again.
 */
export async function moveVm(
  vm: Vm,
  from: VmHost,
  to: VmHost,
  whileDown: () => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  await from.unplug(vm);
  await from.namespace.ip('link', 'set', vm.name, 'netns', to.namespace.name);
  await whileDown();
  await to.namespace.ip(...hostSideUp(vm.name));
  await to.plug([vm]);
}
