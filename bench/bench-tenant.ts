/** The one tenant of the gateway's bench: the same addresses, as far as a path has them, on every path that is compared. */
import { type Put, recordPath, recordResource } from '../test/lab/vm-network.ts';

export const RDID = '33333333-3333-3333-3333-333333333333';
export const VM = {
  address: '10.1.1.11',
  mac: '02:00:00:70:01:11',
  vsid: 7001,
  prefix: '10.1.1.0/24',
} as const;
/** The gateway's `.2` in the gateway subnet. */
export const GATEWAY = {
  address: '10.254.254.2',
  mac: '02:00:00:70:02:02',
  vsid: 7002,
  prefix: '10.254.254.0/29',
} as const;
/** `.1` of the VM's subnet: the distributed router, or whoever stands in for it on a path without HNV. */
export const ROUTER_ADDRESS = '10.1.1.1';

/** The VM's host and the gateway node in provider space. */
export const HOST_PROVIDER_ADDRESS = '192.168.1.10';
export const GATEWAY_PROVIDER_ADDRESS = '192.168.1.20';

/** What the tenant's packets carry behind NAT. */
export const EXTERNAL_ADDRESS = '198.51.100.101';
/** The machine on the far side of the uplink, and the uplink's own address. */
export const INTERNET_ADDRESS = '198.51.100.1';
export const UPLINK_ADDRESS = '198.51.100.2';

/** Beyond it: whom the tenant talks to when rates are measured; with very many flows, the next addresses too. */
export const FAR_ADDRESS = '203.0.113.1';

export const FLOWS = 1024;

/** What every node is told about the tenant, in an order that can be sent. */
export function tenantPuts(): Put[] {
  const base = `/v1/routing-domains/${RDID}`;
  const records = [
    { ip: VM.address, mac: VM.mac, vsid: VM.vsid, pa: HOST_PROVIDER_ADDRESS },
    { ip: GATEWAY.address, mac: GATEWAY.mac, vsid: GATEWAY.vsid, pa: GATEWAY_PROVIDER_ADDRESS },
  ];
  const defaultRoute = {
    virtualSubnetId: GATEWAY.vsid,
    destinationPrefix: '0.0.0.0/0',
    nextHop: GATEWAY.address,
    metric: 0,
  };
  return [
    [base, { name: 'bench' }],
    [`${base}/virtual-subnets/${VM.vsid}`, { addressPrefixes: [VM.prefix] }],
    [`${base}/virtual-subnets/${GATEWAY.vsid}`, { addressPrefixes: [GATEWAY.prefix], isGatewaySubnet: true }],
    ...records.map((record): Put => [recordPath(RDID, record.ip), recordResource(record)]),
    [`${base}/customer-routes/default`, defaultRoute],
  ];
}
