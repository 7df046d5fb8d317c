/**
 * Three hosts of one datacenter: two nodes of `hnvgw host` and an independent one, Open vSwitch. Each VM network has a VM
 * of each of its virtual subnets on every host. What the nodes are told through REST and what the Open vSwitch host has
 * as flows comes from the same data (see VmNetwork).
 */
import type { ApiClient } from './api-client.ts';
import { Fabric } from './fabric.ts';
import type { PolicyRecord, TenantPolicy } from './hnv-flows.ts';
import { HostNode, type LearningConfig, portPath, portResource } from './host-node.ts';
import type { Lab } from './lab.ts';
import { learnedAt } from './learned.ts';
import { apiSocket, PROVIDER_NIC } from './node-process.ts';
import { OvsHost } from './ovs-host.ts';
import type { Vm, VmSpec } from './vm.ts';
import { moveVm } from './vm-host.ts';
import {
  type Machine,
  machinesOf,
  type Put,
  policyPuts,
  providerAddress,
  providerPrefixLength,
  recordPath,
  recordResource,
  THREE_SUBNETS,
  tenantPolicyOf,
  type VmNetwork,
} from './vm-network.ts';

export interface ThreeHostsOptions {
  /** Family of all provider addresses; default 4. */
  providerFamily?: 4 | 6;
  /** Default THREE_SUBNETS alone. */
  networks?: readonly VmNetwork[];
  /** Of both nodes, which tell each other what they learn. */
  learning?: LearningConfig;
}

export class ThreeHosts {
  readonly fabric: Fabric;
  readonly providerFamily: 4 | 6;
  readonly networks: readonly VmNetwork[];
  /** Host 1 and 2. */
  readonly nodes: readonly [HostNode, HostNode];
  /** Host 3. */
  readonly ovs: OvsHost;
  readonly machines: readonly Machine[];
  /** What place() has told. */
  readonly #placed = new Map<string, { rdid: string; record: PolicyRecord }>();

  private constructor(
    fabric: Fabric,
    options: Required<Omit<ThreeHostsOptions, 'learning'>>,
    nodes: readonly [HostNode, HostNode],
    ovs: OvsHost,
  ) {
    this.fabric = fabric;
    this.providerFamily = options.providerFamily;
    this.networks = options.networks;
    this.nodes = nodes;
    this.ovs = ovs;
    this.machines = this.networks.flatMap((network) => machinesOf(network, this.providerFamily));
  }

  /** Builds the hosts with their VMs. The nodes' programs are not started, and the Open vSwitch host has its policy. */
  static async build(lab: Lab, options: ThreeHostsOptions = {}): Promise<ThreeHosts> {
    const { providerFamily = 4, networks = [THREE_SUBNETS], learning } = options;
    const fabric = await Fabric.create(lab);
    const address = (host: number) =>
      `${providerAddress(providerFamily, host)}/${providerPrefixLength(providerFamily)}`;
    const publishTo = (peer: string) =>
      learning === undefined ? {} : { ...learning, publish: [`unix:${apiSocket(lab, peer)}`] };
    const nodes = [
      await HostNode.create(fabric, 'h1', [address(0)], publishTo('h2')),
      await HostNode.create(fabric, 'h2', [address(1)], publishTo('h1')),
    ] as const;
    const ovs = await OvsHost.create(fabric, 'h3', address(2));
    const all = new ThreeHosts(fabric, { providerFamily, networks }, nodes, ovs);
    await Promise.all(
      all.hosts.map((host, index) =>
        host.addVms(all.machines.filter((machine) => machine.host === index).map(({ spec }) => spec)),
      ),
    );
    await ovs.setPolicy(networks.map((network) => tenantPolicyOf(network, providerFamily)));
    return all;
  }

  get hosts(): readonly [HostNode, HostNode, OvsHost] {
    return [...this.nodes, this.ovs];
  }

  /** All VMs that run now, on whatever host. */
  get vms(): Vm[] {
    return this.hosts.flatMap((host) => host.vms);
  }

  /** A running VM: of a virtual subnet (1 to 3) that was started on a host (1 to 3). */
  vm(subnet: number, host: number, network: VmNetwork | undefined = this.networks[0]): Vm {
    const name = `${network?.name}-s${subnet}h${host}`;
    const found = this.vms.find((vm) => vm.name === name);
    if (found === undefined) throw new Error(`there is no VM ${name}`);
    return found;
  }

  /** What only this node knows: its provider addresses before everything else, its ports at the end. */
  nodePuts(node: HostNode): { first: Put[]; last: Put[] } {
    const provider = {
      interface: PROVIDER_NIC,
      prefixLength: providerPrefixLength(this.providerFamily),
    };
    return {
      first: node.providerAddresses.map((address): Put => [`/v1/provider-addresses/${address}`, provider]),
      last: node.vms.map((vm): Put => [portPath(vm), portResource(vm)]),
    };
  }

  /** Tells a node everything; it forwards when this resolves. `onStep` hears the path of each PUT before it is sent. */
  async provision(node: HostNode, onStep: (path: string) => void = () => undefined): Promise<void> {
    const { first, last } = this.nodePuts(node);
    const policy = this.networks.flatMap((network) => policyPuts(network, this.providerFamily));
    for (const [path, body] of [...first, ...policy]) {
      onStep(path);
      await node.api.put(path, body);
    }
    for (const [path, body] of last) {
      onStep(path);
      await putReady(node.api, path, body);
    }
  }

  /** Starts both nodes and tells them everything. */
  async start(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.start()));
    await Promise.all(this.nodes.map((node) => this.provision(node)));
  }

  /** Starts one more VM on a running host (1 to 3): all hosts are told of its addresses, and its own of its port. */
  async addVm(host: number, spec: VmSpec, network: VmNetwork | undefined = this.networks[0]): Promise<Vm> {
    const on = this.hosts[host - 1];
    if (network === undefined || on === undefined) throw new Error(`there is no host ${host}`);
    const vm = await on.addVm(spec);
    const addresses = portResource(vm).customerAddresses;
    await this.place(
      network.rdid,
      addresses.map((ip) => ({ ip, mac: spec.mac, vsid: spec.vsid, pa: on.providerAddress })),
    );
    if (on instanceof HostNode) await putReady(on.api, portPath(vm), portResource(vm));
    return vm;
  }

  /** Tells all three hosts where addresses of a VM network are, which it may have told otherwise before. */
  async place(rdid: string, records: readonly PolicyRecord[]): Promise<void> {
    for (const record of records) {
      this.#placed.set(`${rdid} ${record.ip}`, { rdid, record });
      const path = recordPath(rdid, record.ip);
      await Promise.all(this.nodes.map((node) => node.api.put(path, recordResource(record))));
    }
    await this.ovs.setPolicy(this.networks.map((network) => this.#tenantPolicy(network)));
  }

  /** Tells the Open vSwitch host, which has no agent, what the nodes have learned. */
  async tellOvs(): Promise<void> {
    const [node] = this.nodes;
    await this.ovs.setPolicy(
      await Promise.all(
        this.networks.map(async (network) => {
          const policy = this.#tenantPolicy(network);
          const learned = (await learnedAt(node, network.rdid)).map((record) => ({
            ip: record.customerAddress,
            mac: record.macAddress,
            vsid: record.virtualSubnetId,
            pa: record.providerAddress,
          }));
          return { ...policy, records: [...policy.records, ...learned] };
        }),
      ),
    );
  }

  /**
   * Moves a running VM to another host (1 to 3) as a live migration does: its new host is told of the port before, all
   * hosts that its addresses are there now, and its old host that the port has gone. Resolves when it is at work there.
   */
  async migrate(vm: Vm, host: number, network: VmNetwork | undefined = this.networks[0]): Promise<void> {
    const from = this.hosts.find((each) => each.vms.includes(vm));
    const to = this.hosts[host - 1];
    if (network === undefined || from === undefined || to === undefined)
      throw new Error(`${vm.name} cannot move to host ${host}`);
    if (to instanceof HostNode) await to.api.put(portPath(vm), portResource(vm));
    await moveVm(vm, from, to, async () => {
      await this.#moveRecords(network, vm, to.providerAddress);
      if (to instanceof HostNode) await putReady(to.api, portPath(vm), portResource(vm));
    });
    if (from instanceof HostNode) await from.api.delete(portPath(vm));
  }

  async #moveRecords({ rdid }: VmNetwork, { spec, addresses }: Vm, pa: string): Promise<void> {
    for (const ip of addresses)
      this.#placed.set(`${rdid} ${ip}`, { rdid, record: { ip, mac: spec.mac, vsid: spec.vsid, pa } });
    const told = addresses.flatMap((ip) =>
      this.nodes.map((node) => node.api.patch(recordPath(rdid, ip), { providerAddress: pa })),
    );
    const ovs = this.ovs.setPolicy(this.networks.map((network) => this.#tenantPolicy(network)));
    await Promise.all([...told, ovs]);
  }

  #tenantPolicy(network: VmNetwork): TenantPolicy {
    const policy = tenantPolicyOf(network, this.providerFamily);
    const placed = [...this.#placed.values()].filter(({ rdid }) => rdid === network.rdid);
    const records = new Map(policy.records.map((record) => [record.ip, record]));
    for (const { record } of placed) records.set(record.ip, record);
    return { ...policy, records: [...records.values()] };
  }
}

/** Creates or replaces a resource and waits until the node has it in force; throws when that fails. */
export async function putReady(api: ApiClient, path: string, body: object): Promise<void> {
  const answer = (await api.put(`${path}?wait=10s`, body)) as { status?: { state: string; reason?: string } };
  if (answer.status?.state !== 'ready')
    throw new Error(`PUT ${path}: ${answer.status?.state} ${answer.status?.reason ?? ''}`);
}
