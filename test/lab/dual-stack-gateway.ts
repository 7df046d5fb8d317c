/**
 * Two tenants with equal addresses of both families on three hosts (two nodes of `hnvgw host`, one of Open vSwitch), and a
 * gateway for them with an uplink of both families, over provider addresses of one family.
 */
import { addressAt } from './address.ts';
import type { ApiClient } from './api-client.ts';
import { GatewayNode, PROVIDER_NIC, UPLINK_NIC } from './gateway-node.ts';
import { Internet } from './internet.ts';
import type { Lab } from './lab.ts';
import { putReady, ThreeHosts } from './three-hosts.ts';
import type { Vm } from './vm.ts';
import { policyPuts, providerAddress, providerPrefixLength, type VmNetwork } from './vm-network.ts';

/** The gateway's `.2` of each family. */
export const GATEWAY_CUSTOMER_ADDRESSES = ['10.254.254.2', 'fd00:fe::2'] as const;
/** The `.1` of the tenants' subnets. */
export const ROUTER_ADDRESSES = { 4: '10.1.1.1', 6: 'fd00:1:1::1' } as const;

export interface DualStackTenant {
  network: VmNetwork;
  gatewayVsid: number;
  gatewayMac: string;
  /** Public addresses on the uplink's shared link. */
  external: Readonly<Record<4 | 6, string>>;
}

/** Address of the gateway on the provider network, `.20` or `::1a`. */
export function gatewayProviderAddress(family: 4 | 6): string {
  return providerAddress(family, 9);
}

function tenant(name: string, digit: number, providerFamily: 4 | 6): DualStackTenant {
  const vsid = 4001 + 1000 * digit;
  const gatewayVsid = vsid + 1;
  const gatewayMac = `02:00:00:0${digit}:fe:02`;
  const network: VmNetwork = {
    name,
    rdid: [8, 4, 4, 4, 12].map((length) => `${digit}`.repeat(length)).join('-'),
    subnets: [
      { vsid, prefix: '10.1.1.0/24', prefix6: 'fd00:1:1::/64' },
      { vsid: gatewayVsid, prefix: '10.254.254.0/29', prefix6: 'fd00:fe::/64', isGatewaySubnet: true },
    ],
    records: GATEWAY_CUSTOMER_ADDRESSES.map((ip) => {
      return { ip, mac: gatewayMac, vsid: gatewayVsid, pa: gatewayProviderAddress(providerFamily) };
    }),
    routes: ['0.0.0.0/0', '::/0'].map((prefix, index) => {
      return { prefix, nextHop: GATEWAY_CUSTOMER_ADDRESSES[index] ?? '' };
    }),
  };
  const external = {
    4: addressAt('198.51.100.0/24', 100 + digit),
    6: addressAt('2001:db8:100::/64', 0x10 + digit),
  };
  return { network, gatewayVsid, gatewayMac, external };
}

export class DualStackGateway {
  readonly providerFamily: 4 | 6;
  readonly tenants: readonly [DualStackTenant, DualStackTenant];
  readonly hosts: ThreeHosts;
  readonly gateway: GatewayNode;
  readonly internet: Internet;

  private constructor(
    providerFamily: 4 | 6,
    tenants: readonly [DualStackTenant, DualStackTenant],
    hosts: ThreeHosts,
    gateway: GatewayNode,
    internet: Internet,
  ) {
    this.providerFamily = providerFamily;
    this.tenants = tenants;
    this.hosts = hosts;
    this.gateway = gateway;
    this.internet = internet;
  }

  /** Builds everything; no program under test is started. */
  static async build(lab: Lab, providerFamily: 4 | 6): Promise<DualStackGateway> {
    const tenants = [tenant('contoso', 1, providerFamily), tenant('fabrikam', 2, providerFamily)] as const;
    const networks = tenants.map(({ network }) => network);
    const hosts = await ThreeHosts.build(lab, { providerFamily, networks });
    const address = `${gatewayProviderAddress(providerFamily)}/${providerPrefixLength(providerFamily)}`;
    const gateway = await GatewayNode.create(hosts.fabric, 'gw', address);
    const options = { dualStack: true, filtersMulticast: true };
    const internet = await Internet.create(lab, gateway.namespace, UPLINK_NIC, options);
    return new DualStackGateway(providerFamily, tenants, hosts, gateway, internet);
  }

  /** Starts hosts and gateway and tells them everything; they forward when this resolves. */
  async start(): Promise<void> {
    await Promise.all([this.hosts.start(), this.#startGateway()]);
  }

  /** A tenant's VM on host 1 to 3. */
  vm({ network }: DualStackTenant, host: number): Vm {
    return this.hosts.vm(1, host, network);
  }

  /** Gives a tenant these external addresses and port mappings; they are in force when this resolves. */
  putNat(
    { network }: DualStackTenant,
    externalAddresses: readonly string[],
    staticMappings: readonly object[] = [],
  ): Promise<void> {
    return putReady(this.gateway.api, `/v1/routing-domains/${network.rdid}/nat`, {
      externalAddresses: externalAddresses.map((ipAddress) => ({ ipAddress })),
      staticMappings,
    });
  }

  async #startGateway(): Promise<void> {
    await this.gateway.start();
    const { api } = this.gateway;
    const provider = { interface: PROVIDER_NIC, prefixLength: providerPrefixLength(this.providerFamily) };
    await api.put(`/v1/provider-addresses/${gatewayProviderAddress(this.providerFamily)}`, provider);
    for (const each of this.tenants) await this.#provision(api, each);
  }

  async #provision(api: ApiClient, each: DualStackTenant): Promise<void> {
    for (const [path, body] of policyPuts(each.network, this.providerFamily)) await api.put(path, body);
    await api.put(`/v1/routing-domains/${each.network.rdid}/gateway`, {
      virtualSubnetId: each.gatewayVsid,
      customerAddresses: GATEWAY_CUSTOMER_ADDRESSES,
      macAddress: each.gatewayMac,
    });
    await this.putNat(each, Object.values(each.external));
  }
}
