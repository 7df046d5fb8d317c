/** The policy of the control plane's bench: a thousand routing domains with a hundred lookup records each. */
import { PROVIDER_NIC } from '../test/lab/gateway-node.ts';

export const DOMAINS = 1000;
export const RECORDS = 100;
export const GATEWAY_ADDRESS = '192.168.1.20';
export const GATEWAY_MAC = '02:00:00:00:fe:02';
/** Provider addresses of hosts: the first of them is where the bench is. */
export const HOSTS = Array.from({ length: 32 }, (_, i) => `192.168.1.${100 + i}`);

export interface BenchDomain {
  readonly rdid: string;
  readonly vsid: number;
  readonly gatewayVsid: number;
  readonly external: string;
}

export const domains: readonly BenchDomain[] = Array.from({ length: DOMAINS }, (_, i) => ({
  rdid: `00000000-0000-4000-8000-${i.toString(16).padStart(12, '0')}`,
  vsid: 10_000 + 2 * i,
  gatewayVsid: 10_001 + 2 * i,
  external: `100.64.${i >> 8}.${i & 255}`,
}));

const hex = (number: number): string => number.toString(16).padStart(2, '0');

export const recordId = (record: number): string => `vm${record}`;
export const vmAddress = (record: number): string => `10.1.1.${10 + record}`;
/** `version` tells the values of a record that is written again apart. */
export const vmMac = (record: number, version = 0): string =>
  `02:00:${hex((version >> 8) & 255)}:${hex(version & 255)}:01:${hex(10 + record)}`;

export function recordValue(domain: BenchDomain, record: number, version = 0) {
  return {
    customerAddress: vmAddress(record),
    virtualSubnetId: domain.vsid,
    macAddress: vmMac(record, version),
    // The first of each domain is where the bench is, and can be talked to.
    providerAddress: record === 0 ? HOSTS[0] : HOSTS[(record + domain.vsid) % HOSTS.length],
    type: 'static',
  };
}

/** Path of a record in the API. */
export function recordPath(domain: BenchDomain, record: number): string {
  return `/v1/routing-domains/${domain.rdid}/lookup-records/${recordId(record)}`;
}

/** The whole document; with `gateways`, every domain has a gateway subnet, a gateway and NAT. */
export function policyDocument(gateways: boolean) {
  return {
    providerAddresses: [{ address: GATEWAY_ADDRESS, interface: PROVIDER_NIC, prefixLength: 24 }],
    routingDomains: domains.map((domain) => ({
      rdid: domain.rdid,
      name: `tenant ${domain.vsid}`,
      virtualSubnets: [
        { vsid: domain.vsid, addressPrefixes: ['10.1.1.0/24'] },
        ...(gateways
          ? [{ vsid: domain.gatewayVsid, addressPrefixes: ['10.254.254.0/29'], isGatewaySubnet: true }]
          : []),
      ],
      lookupRecords: Array.from({ length: RECORDS }, (_, record) => ({
        id: recordId(record),
        ...recordValue(domain, record),
      })),
      ...(gateways
        ? {
            gateway: {
              virtualSubnetId: domain.gatewayVsid,
              customerAddresses: ['10.254.254.2'],
              macAddress: GATEWAY_MAC,
            },
            nat: { externalAddresses: [{ ipAddress: domain.external }] },
          }
        : {}),
    })),
  };
}
