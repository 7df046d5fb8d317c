/** Policy documents for `hnvgw apply`: what the gateway is told of tenants. */
import { writeFile } from 'node:fs/promises';
import { stringify } from 'yaml';
import { type GatewayNode, PROVIDER_NIC } from '../../../test/lab/gateway-node.ts';
import {
  GATEWAY_ADDRESS,
  gatewayRecord,
  HOST_ADDRESSES,
  MAPPED_PORT,
  type Tenant,
  tenantPolicy,
} from '../../../test/lab/topology.ts';
import { fileOf } from './client.ts';

export const PROVIDER_ADDRESS = { address: GATEWAY_ADDRESS, interface: PROVIDER_NIC, prefixLength: 24 };

/** A routing domain of a document; what it leaves out is a resource that is not there. */
export interface DomainDocument {
  rdid: string;
  name: string;
  virtualSubnets: object[];
  lookupRecords: RecordDocument[];
  customerRoutes?: object[];
  gateway?: object;
  nat?: object;
}

export interface PolicyDocument {
  providerAddresses?: object[];
  routingDomains: DomainDocument[];
}

/** A tenant with all that it needs to reach the internet, and to be reached at its mapped port. */
export function tenantDomain(tenant: Tenant): DomainDocument {
  const { subnets, records, routes } = tenantPolicy(tenant);
  const router = gatewayRecord(tenant);
  const [, mapped] = tenant.vms;
  return {
    rdid: tenant.rdid,
    name: tenant.name,
    virtualSubnets: subnets.map(({ vsid, prefix }) => ({
      vsid,
      addressPrefixes: [prefix],
      ...(vsid === tenant.gatewayVsid ? { isGatewaySubnet: true } : {}),
    })),
    lookupRecords: records.map(({ ip, mac, vsid, pa }) => recordOf(ip, mac, vsid, pa)),
    customerRoutes: routes.map(({ prefix, nextHop }) => ({
      ...{ id: 'default', virtualSubnetId: tenant.gatewayVsid, destinationPrefix: prefix, nextHop },
    })),
    gateway: {
      virtualSubnetId: tenant.gatewayVsid,
      customerAddresses: [router.ip],
      macAddress: router.mac,
    },
    nat: {
      externalAddresses: [{ ipAddress: tenant.externalAddress }],
      staticMappings: (mapped ? [mapped] : []).map(({ ip }) => ({
        protocol: 'tcp',
        externalIpAddress: tenant.externalAddress,
        externalPort: MAPPED_PORT,
        internalIpAddress: ip,
        internalPort: 80,
      })),
    },
  };
}

/** `count` routing domains of one subnet with ten VMs each, all with the same addresses, and no gateway. */
export function manyDomains(count: number): DomainDocument[] {
  return Array.from({ length: count }, (_, index) => {
    const vsid = 100_000 + index;
    const digits = index.toString(16).padStart(4, '0');
    return {
      rdid: `40000000-0000-0000-0000-00000000${digits}`,
      name: `many-${index}`,
      virtualSubnets: [{ vsid, addressPrefixes: ['10.1.1.0/24'] }],
      lookupRecords: Array.from({ length: 10 }, (_, vm) => {
        const mac = `02:01:${digits.slice(0, 2)}:${digits.slice(2)}:00:${(16 + vm).toString(16)}`;
        return recordOf(`10.1.1.${20 + vm}`, mac, vsid, HOST_ADDRESSES[vm % 2] ?? '');
      }),
    };
  });
}

export interface RecordDocument {
  id: string;
  customerAddress: string;
  virtualSubnetId: number;
  macAddress: string;
  providerAddress: string;
}

export function recordOf(ip: string, mac: string, vsid: number, pa: string): RecordDocument {
  return { id: ip, customerAddress: ip, virtualSubnetId: vsid, macAddress: mac, providerAddress: pa };
}

/** Writes a document into the folder that `hnvgw` runs in; answers its text. */
export async function writeDocument(gateway: GatewayNode, name: string, document: object): Promise<string> {
  const text = name.endsWith('.json') ? JSON.stringify(document) : stringify(document);
  await writeFile(fileOf(gateway, name), text);
  return text;
}
