/**
 * The standard lab: two Open vSwitch hosts, the gateway and the internet, with two tenants, Contoso and Fabrikam, that
 * use the same addresses. `buildTopology` makes it; `provisionTenants` tells the gateway through its REST API what
 * the hosts know already.
 */
import { routerAddress } from './address.ts';
import type { ApiClient } from './api-client.ts';
import { Fabric } from './fabric.ts';
import { GatewayNode, PROVIDER_NIC, UPLINK_NIC } from './gateway-node.ts';
import type { PolicyRecord, TenantPolicy } from './hnv-flows.ts';
import { Internet } from './internet.ts';
import type { Lab } from './lab.ts';
import { OvsHost } from './ovs-host.ts';
import type { Vm } from './vm.ts';

export const HOST_ADDRESSES = ['192.168.1.10', '192.168.1.11'] as const;
export const GATEWAY_ADDRESS = '192.168.1.20';
const PROVIDER_PREFIX_LENGTH = 24;

const SUBNET = '10.1.1.0/24';
const GATEWAY_SUBNET = '10.254.254.0/29';
/** The gateway's `.2`. */
export const GATEWAY_CUSTOMER_ADDRESS = '10.254.254.2';

export interface Tenant {
  name: string;
  rdid: string;
  /** The VMs' virtual subnet, 10.1.1.0/24. */
  vsid: number;
  /** The gateway subnet's, 10.254.254.0/29. */
  gatewayVsid: number;
  /** Inner MAC of the gateway's `.2`. */
  gatewayMac: string;
  /** Public address, for what goes out and for the port mapping. */
  externalAddress: string;
  /** One VM a host. */
  vms: { ip: string; mac: string }[];
}

/** Port of the external address that leads to port 80 of the second VM. */
export const MAPPED_PORT = 8080;

export const CONTOSO: Tenant = {
  name: 'contoso',
  rdid: '11111111-1111-1111-1111-111111111111',
  vsid: 5001,
  gatewayVsid: 5002,
  gatewayMac: '02:00:00:50:02:02',
  externalAddress: '198.51.100.101',
  vms: [
    { ip: '10.1.1.11', mac: '02:00:00:50:01:11' },
    { ip: '10.1.1.12', mac: '02:00:00:50:01:12' },
  ],
};

export const FABRIKAM: Tenant = {
  name: 'fabrikam',
  rdid: '22222222-2222-2222-2222-222222222222',
  vsid: 6001,
  gatewayVsid: 6002,
  gatewayMac: '02:00:00:60:02:02',
  externalAddress: '198.51.100.102',
  vms: [
    { ip: '10.1.1.11', mac: '02:00:00:60:01:11' },
    { ip: '10.1.1.12', mac: '02:00:00:60:01:12' },
  ],
};

export const TENANTS: readonly Tenant[] = [CONTOSO, FABRIKAM];

export interface Hosts {
  fabric: Fabric;
  /** Host 1 and host 2. */
  hosts: [OvsHost, OvsHost];
  /** VM 1 (10.1.1.11 on host 1) and VM 2 (10.1.1.12 on host 2) of each tenant. */
  contoso: [Vm, Vm];
  fabrikam: [Vm, Vm];
}

export interface Topology extends Hosts {
  gateway: GatewayNode;
  internet: Internet;
}

/** Builds the hosts with the tenants' VMs, without gateway and internet. */
export async function buildHosts(lab: Lab): Promise<Hosts> {
  const fabric = await Fabric.create(lab);
  const makeHost = (index: 0 | 1) =>
    OvsHost.create(fabric, `host${index + 1}`, `${HOST_ADDRESSES[index]}/${PROVIDER_PREFIX_LENGTH}`);
  const hosts: [OvsHost, OvsHost] = [await makeHost(0), await makeHost(1)];
  const makeVm = (tenant: Tenant, index: 0 | 1) => {
    const vm = tenant.vms[index];
    if (!vm) throw new Error(`${tenant.name} has no VM for host ${index + 1}`);
    return hosts[index].addVm({
      name: `${tenant.name}${index + 1}`,
      ip: vm.ip,
      prefixLength: 24,
      mac: vm.mac,
      vsid: tenant.vsid,
      gateway: routerAddress(SUBNET),
    });
  };
  const contoso: [Vm, Vm] = [await makeVm(CONTOSO, 0), await makeVm(CONTOSO, 1)];
  const fabrikam: [Vm, Vm] = [await makeVm(FABRIKAM, 0), await makeVm(FABRIKAM, 1)];
  for (const host of hosts) await host.setPolicy(TENANTS.map(tenantPolicy));
  return { fabric, hosts, contoso, fabrikam };
}

/** Builds the whole lab. The gateway's program is not started yet. */
export async function buildTopology(lab: Lab): Promise<Topology> {
  return joinGateway(lab, await buildHosts(lab));
}

/** Adds the gateway, whose program is not started yet, and the internet to the hosts. */
export async function joinGateway(lab: Lab, hosts: Hosts): Promise<Topology> {
  const gateway = await GatewayNode.create(
    hosts.fabric,
    'gw',
    `${GATEWAY_ADDRESS}/${PROVIDER_PREFIX_LENGTH}`,
  );
  const internet = await Internet.create(lab, gateway.namespace, UPLINK_NIC);
  return { ...hosts, gateway, internet };
}

/** The records of a tenant: its VMs, and the gateway's `.2`. */
export function tenantRecords(tenant: Tenant): PolicyRecord[] {
  return [
    ...tenant.vms.map((vm, index) => ({ ...vm, vsid: tenant.vsid, pa: HOST_ADDRESSES[index] ?? '' })),
    gatewayRecord(tenant),
  ];
}

/** What the hosts know about a tenant. */
export function tenantPolicy(tenant: Tenant): TenantPolicy {
  return {
    subnets: [
      { vsid: tenant.vsid, prefix: SUBNET },
      { vsid: tenant.gatewayVsid, prefix: GATEWAY_SUBNET },
    ],
    records: tenantRecords(tenant),
    routes: [{ prefix: '0.0.0.0/0', nextHop: GATEWAY_CUSTOMER_ADDRESS }],
  };
}

/**
 * Tells the gateway everything through REST, the last step of each tenant with `?wait=` so that it forwards when this
 * resolves. `onStep` hears the path of each PUT before it is sent.
 */
export async function provisionTenants(
  api: Pick<ApiClient, 'put'>,
  onStep: (path: string) => void = () => undefined,
): Promise<void> {
  const put = async (path: string, body: unknown) => {
    onStep(path);
    await api.put(path, body);
  };
  await put(`/v1/provider-addresses/${GATEWAY_ADDRESS}`, {
    interface: PROVIDER_NIC,
    prefixLength: PROVIDER_PREFIX_LENGTH,
  });
  for (const tenant of TENANTS) await provisionTenant(tenant, put);
}

type Put = (path: string, body: unknown) => Promise<unknown>;

/** A tenant's routing domain and its gateway, without NAT. */
export async function provisionDomain(tenant: Tenant, put: Put): Promise<void> {
  const base = `/v1/routing-domains/${tenant.rdid}`;
  await put(base, { name: tenant.name });
  await put(`${base}/virtual-subnets/${tenant.vsid}`, { addressPrefixes: [SUBNET] });
  await put(`${base}/virtual-subnets/${tenant.gatewayVsid}`, {
    addressPrefixes: [GATEWAY_SUBNET],
    isGatewaySubnet: true,
  });
  for (const record of tenantRecords(tenant)) {
    await put(`${base}/lookup-records/${record.ip}`, {
      customerAddress: record.ip,
      virtualSubnetId: record.vsid,
      macAddress: record.mac,
      providerAddress: record.pa,
      type: 'static',
    });
  }
  await put(`${base}/customer-routes/default`, {
    virtualSubnetId: tenant.gatewayVsid,
    destinationPrefix: '0.0.0.0/0',
    nextHop: GATEWAY_CUSTOMER_ADDRESS,
    metric: 0,
  });
  await put(`${base}/gateway`, {
    virtualSubnetId: tenant.gatewayVsid,
    customerAddresses: [GATEWAY_CUSTOMER_ADDRESS],
    macAddress: tenant.gatewayMac,
  });
}

async function provisionTenant(tenant: Tenant, put: Put): Promise<void> {
  await provisionDomain(tenant, put);
  const base = `/v1/routing-domains/${tenant.rdid}`;
  const mapped = tenant.vms[1];
  await put(`${base}/nat?wait=10s`, {
    externalAddresses: [{ ipAddress: tenant.externalAddress }],
    staticMappings: mapped
      ? [
          {
            protocol: 'tcp',
            externalIpAddress: tenant.externalAddress,
            externalPort: MAPPED_PORT,
            internalIpAddress: mapped.ip,
            internalPort: 80,
          },
        ]
      : [],
  });
}

/** The gateway's `.2`. */
export function gatewayRecord(tenant: Tenant): PolicyRecord {
  return {
    ip: GATEWAY_CUSTOMER_ADDRESS,
    mac: tenant.gatewayMac,
    vsid: tenant.gatewayVsid,
    pa: GATEWAY_ADDRESS,
  };
}
