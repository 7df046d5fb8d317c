/**
 * Many tenants on one gateway, all alike inside: the same subnets, customer addresses and MACs, one VM on each of the two
 * Open vSwitch hosts. Only RDID and VSIDs tell them apart.
 */
import { join } from 'node:path';
import { addressAt, familyOf, routerAddress } from './address.ts';
import { Fabric } from './fabric.ts';
import { GatewayNode, PROVIDER_NIC, UPLINK_NIC } from './gateway-node.ts';
import type { TenantPolicy } from './hnv-flows.ts';
import { INTERNET_ADDRESS, Internet } from './internet.ts';
import type { Lab } from './lab.ts';
import { OvsHost } from './ovs-host.ts';
import {
  CONTOSO,
  GATEWAY_ADDRESS,
  GATEWAY_CUSTOMER_ADDRESS,
  HOST_ADDRESSES,
  provisionDomain,
  type Tenant,
  tenantPolicy,
} from './topology.ts';
import type { Vm } from './vm.ts';

/** Beside INTERNET_ADDRESS, on the uplink, the outside answers at these, which are further away. */
export const FAR_SERVERS = ['192.0.2.1', '192.0.2.2'] as const;
export const SERVERS = [INTERNET_ADDRESS, ...FAR_SERVERS] as const;

export interface ManyDomains {
  gateway: GatewayNode;
  internet: Internet;
  domains: { tenant: Tenant; vms: Vm[] }[];
}

/** Tenant number `index`, from 0. */
function tenantAt(index: number): Tenant {
  const number = (index + 1).toString(16).padStart(4, '0');
  return {
    ...CONTOSO,
    name: `d${index}`,
    rdid: `${number}${number}-${number}-4000-8000-${number}${number}${number}`,
    vsid: 5001 + 10 * index,
    gatewayVsid: 5002 + 10 * index,
  };
}

/** The tenant's VMs have IPv6 too, in this prefix, at `::11` and `::12`; undefined: they have not. */
export type Ipv6Prefixes = (index: number) => string | undefined;

const GATEWAY_SUBNET6 = 'fd00:fe::/64';
const GATEWAY_CUSTOMER_ADDRESS6 = addressAt(GATEWAY_SUBNET6, 2);

/** What the hosts know of a tenant. */
function policyOf(tenant: Tenant, prefix6: string | undefined): TenantPolicy {
  const policy = tenantPolicy(tenant);
  if (prefix6 === undefined) return policy;
  const { vsid, gatewayVsid, gatewayMac } = tenant;
  return {
    subnets: [...policy.subnets, { vsid, prefix: prefix6 }, { vsid: gatewayVsid, prefix: GATEWAY_SUBNET6 }],
    records: [
      ...policy.records,
      ...tenant.vms.map(({ mac }, index) => {
        return { ip: addressAt(prefix6, 0x11 + index), mac, vsid, pa: HOST_ADDRESSES[index] ?? '' };
      }),
      { ip: GATEWAY_CUSTOMER_ADDRESS6, mac: gatewayMac, vsid: gatewayVsid, pa: GATEWAY_ADDRESS },
    ],
    routes: [...policy.routes, { prefix: '::/0', nextHop: GATEWAY_CUSTOMER_ADDRESS6 }],
  };
}

/** Tells the gateway of a tenant's IPv6 beside what it knows already. */
async function provisionIpv6({ api }: GatewayNode, tenant: Tenant, prefix6: string): Promise<void> {
  const base = `/v1/routing-domains/${tenant.rdid}`;
  const { subnets, records } = policyOf(tenant, prefix6);
  for (const [vsid, isGatewaySubnet] of [
    [tenant.vsid, false],
    [tenant.gatewayVsid, true],
  ] as const) {
    const addressPrefixes = subnets.filter((subnet) => subnet.vsid === vsid).map(({ prefix }) => prefix);
    await api.put(`${base}/virtual-subnets/${vsid}`, { addressPrefixes, isGatewaySubnet });
  }
  for (const { ip, vsid, mac, pa } of records.filter(({ ip }) => familyOf(ip) === 6))
    await api.put(`${base}/lookup-records/${ip}`, {
      ...{ customerAddress: ip, virtualSubnetId: vsid, macAddress: mac, providerAddress: pa },
      type: 'static',
    });
  await api.put(`${base}/customer-routes/default6`, {
    ...{ virtualSubnetId: tenant.gatewayVsid, destinationPrefix: '::/0' },
    nextHop: GATEWAY_CUSTOMER_ADDRESS6,
  });
  await api.put(`${base}/gateway`, {
    virtualSubnetId: tenant.gatewayVsid,
    customerAddresses: [GATEWAY_CUSTOMER_ADDRESS, GATEWAY_CUSTOMER_ADDRESS6],
    macAddress: tenant.gatewayMac,
  });
}

/** Where the gateway records who had which external address. */
export const natLogOf = (lab: Lab): string => join(lab.dir, 'nat-log.jsonl');

/** Builds `count` tenants and starts the gateway, which knows all of them; none has NAT yet. */
export async function buildManyDomains(
  lab: Lab,
  count: number,
  prefixes: Ipv6Prefixes = () => undefined,
): Promise<ManyDomains> {
  const tenants = Array.from({ length: count }, (_, index) => tenantAt(index));
  const fabric = await Fabric.create(lab);
  const makeHost = async (index: 0 | 1): Promise<Vm[]> => {
    const host = await OvsHost.create(fabric, `host${index + 1}`, `${HOST_ADDRESSES[index]}/24`);
    await host.setPolicy(tenants.map((tenant, number) => policyOf(tenant, prefixes(number))));
    return host.addVms(
      tenants.map(({ name, vsid, vms }, number) => {
        const { ip = '', mac = '' } = vms[index] ?? {};
        const prefix6 = prefixes(number);
        const ipv6 = prefix6 && { ip6: addressAt(prefix6, 0x11 + index), gateway6: routerAddress(prefix6) };
        const subnet = { prefixLength: 24, gateway: '10.1.1.1' };
        return { name: `${name}v${index + 1}`, ip, mac, vsid, ...subnet, ...ipv6 };
      }),
    );
  };
  const makeGateway = async () => {
    const gateway = await GatewayNode.create(fabric, 'gw', `${GATEWAY_ADDRESS}/24`);
    const internet = await Internet.create(lab, gateway.namespace, UPLINK_NIC, {
      dualStack: prefixes(0) !== undefined,
    });
    await internet.namespace.ipBatch(FAR_SERVERS.map((address) => `addr add ${address}/32 dev lo`));
    await gateway.configure({ natLog: { path: natLogOf(lab), records: ['sessions', 'blocks'] } });
    await gateway.start();
    const put = (path: string, body: unknown) => gateway.api.put(path, body);
    await put(`/v1/provider-addresses/${GATEWAY_ADDRESS}`, { interface: PROVIDER_NIC, prefixLength: 24 });
    for (const [number, tenant] of tenants.entries()) {
      await provisionDomain(tenant, put);
      const prefix6 = prefixes(number);
      if (prefix6 !== undefined) await provisionIpv6(gateway, tenant, prefix6);
    }
    return { gateway, internet };
  };
  const [first, second, made] = await Promise.all([makeHost(0), makeHost(1), makeGateway()]);
  const domains = tenants.map((tenant, index) => {
    return { tenant, vms: [first[index], second[index]].filter((vm) => vm !== undefined) };
  });
  return { ...made, domains };
}
