/**
 * An independent NVGRE host with one VM: the kernel's own GRE device (`gretap`) in a namespace of its own. tc joins it to the VM:
 * what the VM sends gets a key, and what comes is the VM's, whatever its key.
 */
import type { Fabric } from '../lab/fabric.ts';
import { VM_NIC, Vm, type VmSpec } from '../lab/vm.ts';

/** The host's NIC on the provider network. */
const PROVIDER_NIC = 'pa';
const TUNNEL = 'gre1';
/** FlowID of all that such a host sends; what it hears may have any. */
export const FLOW_ID = 0x5a;

/** Who a host sends to: all that leaves it goes to one router. */
export interface Router {
  mac: string;
  vsid: number;
  providerAddress: string;
}

/**
 * Makes a host on the provider network, whose own address is `192.168.1.10/24`, and starts its VM. The VM knows the router by the
 * address `gateway` of its specification.
 */
export async function startGretapVm(
  fabric: Fabric,
  providerAddress: string,
  spec: VmSpec,
  router: Router,
): Promise<Vm> {
  const namespace = await fabric.lab.namespace('host1');
  await fabric.attach(namespace, PROVIDER_NIC, { wireFrames: false });
  await namespace.ipBatch([
    `addr add ${providerAddress} dev ${PROVIDER_NIC}`,
    `link add ${TUNNEL} type gretap external`,
    `link set ${TUNNEL} up addrgenmode none`,
  ]);
  const vm = await Vm.create(fabric.lab, spec, namespace);
  await vm.namespace.ip('neigh', 'replace', spec.gateway, 'lladdr', router.mac, 'dev', VM_NIC);
  const ends = `src_ip ${providerAddress.split('/')[0]} dst_ip ${router.providerAddress}`;
  // The key is as RFC 7637 section 3.2 has it. Without `nocsum`, the header would have a checksum, which NVGRE has not.
  const key = `tunnel_key set ${ends} id ${router.vsid * 256 + FLOW_ID} nocsum`;
  const lines = [
    `qdisc add dev ${vm.name} clsact`,
    `qdisc add dev ${TUNNEL} clsact`,
    `filter add dev ${vm.name} ingress matchall action ${key} action mirred egress redirect dev ${TUNNEL}`,
    `filter add dev ${TUNNEL} ingress matchall action mirred egress redirect dev ${vm.name}`,
  ];
  await namespace.runChecked(['tc', '-batch', '-'], { input: lines.map((line) => `${line}\n`).join('') });
  return vm;
}
