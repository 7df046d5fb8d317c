/** What act two is played on: the lab's three hosts, and a router VM with a site behind it. */
import { Capture } from '../../../test/lab/capture.ts';
import { HostNode } from '../../../test/lab/host-node.ts';
import type { Lab } from '../../../test/lab/lab.ts';
import type { Namespace } from '../../../test/lab/namespace.ts';
import { PROVIDER_NIC as NODE_NIC } from '../../../test/lab/node-process.ts';
import { PROVIDER_NIC as OVS_NIC } from '../../../test/lab/ovs-host.ts';
import { ThreeHosts } from '../../../test/lab/three-hosts.ts';
import { ping, type Vm, type VmSpec } from '../../../test/lab/vm.ts';
import {
  type Machine,
  providerAddress,
  THREE_SUBNETS,
  type VmNetwork,
} from '../../../test/lab/vm-network.ts';
import type { Narration } from '../narration.ts';

/** The router VM, in a subnet of its own; it runs on node 2. */
export const ROUTER = {
  name: 'contoso-router',
  vsid: 5004,
  mac: '02:00:00:01:04:fa',
  ip: '10.1.4.250',
  prefixLength: 24,
  gateway: '10.1.4.1',
  ip6: 'fd00:1:4::250',
  prefixLength6: 64,
  gateway6: 'fd00:1:4::1',
} as const satisfies VmSpec;

/** The network behind the router VM, and its one machine. */
export const SITE = {
  prefixes: ['172.16.9.0/24', 'fd00:9::/64'],
  routerAddresses: ['172.16.9.1', 'fd00:9::1'],
  addresses: ['172.16.9.9', 'fd00:9::9'],
} as const;

/** The router VM's NIC to the site. */
export const SITE_NIC = 'eth1';

const ROUTER_PA = providerAddress(4, 1);

/** The lab's VM network, with the router VM's subnet and the routes to the site. */
const CONTOSO: VmNetwork = {
  ...THREE_SUBNETS,
  subnets: [
    ...THREE_SUBNETS.subnets,
    { vsid: ROUTER.vsid, prefix: '10.1.4.0/24', prefix6: 'fd00:1:4::/64', isGatewaySubnet: true },
  ],
  records: [ROUTER.ip, ROUTER.ip6].map((ip) => ({ ip, mac: ROUTER.mac, vsid: ROUTER.vsid, pa: ROUTER_PA })),
  routes: [
    { prefix: SITE.prefixes[0], nextHop: ROUTER.ip },
    { prefix: SITE.prefixes[1], nextHop: ROUTER.ip6 },
  ],
};

/** A running VM, and where it is; host and subnet count from 1. */
export interface PlacedVm {
  vm: Vm;
  machine: Machine;
  host: number;
  subnet: number;
}

export interface HostsStage {
  all: ThreeHosts;
  /** One of each subnet on each host. */
  vms: readonly PlacedVm[];
  router: Vm;
  site: Namespace;
}

/** Builds hosts and VMs, starts the nodes, and tells them everything. */
export async function buildHostsStage(lab: Lab, narration: Narration): Promise<HostsStage> {
  const all = await narration.step('Three hosts (one of them Open vSwitch) with nine VMs', () =>
    ThreeHosts.build(lab, { networks: [CONTOSO], learning: {} }),
  );
  const { router, site } = await narration.step('A router VM, and a site behind it', async () => {
    const router = await all.nodes[1].addVm(ROUTER);
    return { router, site: await buildSite(lab, router) };
  });
  await narration.step('Two nodes (dist/cli/main.js host), told everything by PUTs', () => startAndMeet(all));
  return { all, vms: placedVms(all), router, site };
}

async function buildSite(lab: Lab, router: Vm): Promise<Namespace> {
  const site = await lab.namespace('site');
  await lab.veth(router.namespace, SITE_NIC, site, 'eth0');
  const lengths = SITE.prefixes.map((prefix) => prefix.split('/')[1]);
  await router.namespace.ipBatch(
    SITE.routerAddresses.map((ip, i) => `addr add ${ip}/${lengths[i]} dev ${SITE_NIC} nodad`),
  );
  await site.ipBatch([
    ...SITE.addresses.map((ip, i) => `addr add ${ip}/${lengths[i]} dev eth0 nodad`),
    ...SITE.routerAddresses.map((ip) => `route add default via ${ip}`),
  ]);
  const forwarding = ['net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1'];
  await router.namespace.runChecked(['sysctl', '-qw', ...forwarding]);
  return site;
}

/**
 * Starts the nodes, tells them everything, and lets all hosts find each other on the provider network: Open vSwitch drops
 * a tunnel's first packet while it asks for the MAC of the other end.
 */
export async function startAndMeet(all: ThreeHosts): Promise<void> {
  await all.start();
  for (const { providerAddress } of all.nodes) await ping(all.ovs.namespace, providerAddress, 1);
}

/** The VMs of the first VM network. */
export function placedVms(all: ThreeHosts): PlacedVm[] {
  return all.machines.map((machine) => {
    const host = machine.host + 1;
    const subnet = machine.network.subnets.findIndex(({ vsid }) => vsid === machine.spec.vsid) + 1;
    return { vm: all.vm(subnet, host, machine.network), machine, host, subnet };
  });
}

/** Begins to record the tunnels at the provider NIC of each host, in the order of the hosts. */
export function captureTunnels(all: ThreeHosts): Promise<Capture[]> {
  return Promise.all(
    all.hosts.map((host) =>
      Capture.start(host.namespace, host instanceof HostNode ? NODE_NIC : OVS_NIC, 'proto 47'),
    ),
  );
}
