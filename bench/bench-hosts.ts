/** Two hosts and their VMs, as both contenders of the host bench have them: the same addresses, MACs and MTU. */
import type { Lab } from '../test/lab/lab.ts';
import type { Namespace } from '../test/lab/namespace.ts';
import { PROVIDER_NIC } from '../test/lab/node-process.ts';
import type { VmSpec } from '../test/lab/vm.ts';
import { type Put, recordPath, recordResource } from '../test/lab/vm-network.ts';
import type { Inner } from './frames.ts';

const RDID = '44444444-4444-4444-4444-444444444444';
/** On a provider network of 1500 there is room for 1458 in NVGRE and for 1450 in VXLAN. */
const MTU = 1450;
/** Of provider addresses and of virtual subnets. */
export const PREFIX_LENGTH = 24;

/** Of the sending host and the receiving one. */
export const PROVIDER_ADDRESSES = { near: '192.168.1.11', far: '192.168.1.12' } as const;
export const SUBNETS = [
  { vsid: 7101, prefix: '10.1.1.0/24', router: '10.1.1.1' },
  { vsid: 7102, prefix: '10.1.2.0/24', router: '10.1.2.1' },
] as const;

export type BenchVm = VmSpec & { host: keyof typeof PROVIDER_ADDRESSES };

/** The VM that sends, one in its subnet on the other host, and one in the other subnet there. */
export const VMS = {
  sender: vm('sender', 'near', 0, 11),
  receiver: vm('receiver', 'far', 0, 12),
  routed: vm('routed', 'far', 1, 12),
} as const;

function vm(name: string, host: BenchVm['host'], subnet: 0 | 1, number: number): BenchVm {
  const { vsid, prefix, router } = SUBNETS[subnet];
  return {
    name,
    host,
    vsid,
    ip: prefix.replace('0/24', `${number}`),
    prefixLength: PREFIX_LENGTH,
    mac: `02:00:00:71:0${subnet + 1}:${number}`,
    gateway: router,
    mtu: MTU,
  };
}

/** One contender: both hosts and the VMs, ready to talk. */
export interface HostPair {
  near: Namespace;
  far: Namespace;
  /** The VMs' namespaces; each has its NIC at a veth that is called after the VM on its host. */
  vms: Record<'sender' | 'receiver', Namespace>;
}

/** What a VM's frames say when they go to that MAC. */
export function innerOf(source: BenchVm, destination: BenchVm, mac: string): Inner {
  return { source: { mac: source.mac, address: source.ip }, destination: { mac, address: destination.ip } };
}

/** Policy, for both nodes alike, in an order that can be sent. */
export function policyOfHosts(): Put[] {
  const base = `/v1/routing-domains/${RDID}`;
  return [
    [base, { name: 'bench' }],
    ...SUBNETS.map(
      ({ vsid, prefix }): Put => [`${base}/virtual-subnets/${vsid}`, { addressPrefixes: [prefix] }],
    ),
    ...Object.values(VMS).map(
      ({ ip, mac, vsid, host }): Put => [
        recordPath(RDID, ip),
        recordResource({ ip, mac, vsid, pa: PROVIDER_ADDRESSES[host] }),
      ],
    ),
  ];
}

/** The provider network: a cable between two hosts, so that no bridge is measured that only one of them has. */
export async function joinHosts(lab: Lab, near: Namespace, far: Namespace): Promise<void> {
  await lab.veth(near, PROVIDER_NIC, far, PROVIDER_NIC);
  const addresses = [
    [near, PROVIDER_ADDRESSES.near],
    [far, PROVIDER_ADDRESSES.far],
  ] as const;
  for (const [host, address] of addresses)
    await host.ip('addr', 'add', `${address}/${PREFIX_LENGTH}`, 'dev', PROVIDER_NIC);
}
