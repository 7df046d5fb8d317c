/** The policy of the growth bench: routing domains that are alike inside, with a gateway, a public address and many lookup records each. */
import { PROVIDER_NIC } from '../test/lab/gateway-node.ts';
import { GATEWAY, GATEWAY_PROVIDER_ADDRESS, HOST_PROVIDER_ADDRESS, VM } from './bench-tenant.ts';

export const FIRST_VSIDS = { vm: 100_000, gateway: 100_001 } as const;
/** 24 bits long: all domains' public addresses, one each, begin here. */
export const FIRST_EXTERNAL = '100.64.0.0';

const external = (tenant: number): string => `100.64.${tenant >> 8}.${tenant & 255}`;

function domain(tenant: number, records: number) {
  const [vsid, gatewayVsid] = [FIRST_VSIDS.vm + 2 * tenant, FIRST_VSIDS.gateway + 2 * tenant];
  const hex = (number: number): string => number.toString(16).padStart(2, '0');
  const record = (number: number) => ({
    id: `v${number}`,
    customerAddress: number === 0 ? VM.address : `10.1.${2 + (number >> 8)}.${number & 255}`,
    virtualSubnetId: vsid,
    macAddress: number === 0 ? VM.mac : `02:00:01:00:${hex(number >> 8)}:${hex(number & 255)}`,
    providerAddress: HOST_PROVIDER_ADDRESS,
    type: 'static',
  });
  return {
    rdid: `00000000-0000-4000-8000-${tenant.toString(16).padStart(12, '0')}`,
    name: `tenant ${tenant}`,
    virtualSubnets: [
      { vsid, addressPrefixes: ['10.1.0.0/16'] },
      { vsid: gatewayVsid, addressPrefixes: [GATEWAY.prefix], isGatewaySubnet: true },
    ],
    lookupRecords: Array.from({ length: records }, (_, number) => record(number)),
    gateway: {
      virtualSubnetId: gatewayVsid,
      customerAddresses: [GATEWAY.address],
      macAddress: GATEWAY.mac,
    },
    nat: { externalAddresses: [{ ipAddress: external(tenant) }] },
  };
}

/** A document with some of the domains; what others have stays. */
export function scalePolicy(first: number, count: number, records: number) {
  return {
    providerAddresses: [{ address: GATEWAY_PROVIDER_ADDRESS, interface: PROVIDER_NIC, prefixLength: 24 }],
    routingDomains: Array.from({ length: count }, (_, index) => domain(first + index, records)),
  };
}
