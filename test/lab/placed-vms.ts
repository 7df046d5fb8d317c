/**
 * VMs of a few VM networks on `hnvgw host` nodes, each behind the provider address that the test says: for what depends on
 * provider addresses, which nodes of ThreeHosts have one of.
 */
import { type HostNode, portPath, portResource } from './host-node.ts';
import { putReady } from './three-hosts.ts';
import type { Vm, VmSpec } from './vm.ts';
import { type Put, recordPath, recordResource, type VmNetwork } from './vm-network.ts';

export interface Placement {
  network: VmNetwork;
  node: HostNode;
  /** Of the node. */
  providerAddress: string;
  spec: VmSpec & { ip6: string };
}

/** The VM of a VM network that has the number 11 to 99 in one of its virtual subnets (1 to 3). */
export function placedSpec(
  network: VmNetwork,
  subnet: number,
  number: number,
  mtu: number,
): Placement['spec'] {
  const { vsid = 0 } = network.subnets[subnet - 1] ?? {};
  return {
    ...{ name: `${network.name}-s${subnet}n${number}`, vsid, mtu, mac: `02:00:00:02:0${subnet}:${number}` },
    ...{ ip: `10.1.${subnet}.${number}`, prefixLength: 24, gateway: `10.1.${subnet}.1` },
    ...{ ip6: `fd00:1:${subnet}::${number}`, prefixLength6: 64, gateway6: `fd00:1:${subnet}::1` },
  };
}

/**
 * Starts the VMs and the nodes, and tells every node everything: what `nodePuts` has for it first. The VMs come in the order
 * of the placements.
 */
export async function placeVms(
  placements: readonly Placement[],
  nodePuts: ReadonlyMap<HostNode, readonly Put[]>,
): Promise<Vm[]> {
  const vms: Vm[] = [];
  for (const { node, spec } of placements) vms.push(await node.addVm(spec));
  const nodes = [...nodePuts.keys()];
  await Promise.all(nodes.map((node) => node.start()));
  const networks = new Set(placements.map(({ network }) => network));
  const policy = [...networks].flatMap(({ name, rdid, subnets }): Put[] => [
    [`/v1/routing-domains/${rdid}`, { name }],
    ...subnets.map(
      ({ vsid, prefix, prefix6 }): Put => [
        `/v1/routing-domains/${rdid}/virtual-subnets/${vsid}`,
        { addressPrefixes: [prefix, prefix6] },
      ],
    ),
  ]);
  const records = placements.flatMap(({ network, providerAddress: pa, spec: { ip, ip6, mac, vsid } }) =>
    [ip, ip6].map(
      (each): Put => [recordPath(network.rdid, each), recordResource({ ip: each, mac, vsid, pa })],
    ),
  );
  await Promise.all(
    nodes.map(async (node) => {
      for (const [path, body] of nodePuts.get(node) ?? []) await putReady(node.api, path, body);
      for (const [path, body] of [...policy, ...records]) await node.api.put(path, body);
      for (const vm of node.vms) await putReady(node.api, portPath(vm), portResource(vm));
    }),
  );
  return vms;
}
