/**
 * VM networks (RDIDs) as data: their virtual subnets, the VMs that they have on three hosts, and what policy says of them,
 * both as resources of the REST API and as an independent host has it.
 */
import { addressAt, prefixLengthOf, routerAddress } from './address.ts';
import type { PolicyRecord, TenantPolicy } from './hnv-flows.ts';
import { innerMtu, type VmSpec } from './vm.ts';

export interface SubnetSpec {
  vsid: number;
  /** IPv4, at most /24. */
  prefix: string;
  /** IPv6, its lowest 8 bits are zero. */
  prefix6: string;
  isGatewaySubnet?: boolean;
}

/** One VM network. */
export interface VmNetwork {
  /** At most 9 characters: VMs are called `NAME-s1h1`. */
  name: string;
  rdid: string;
  subnets: readonly SubnetSpec[];
  /** Beside those of the VMs, as of a gateway or of a VM that a test adds. */
  records?: readonly PolicyRecord[];
  /** Customer routes; `nextHop` has a record, whose VSID is the route's. */
  routes?: readonly { prefix: string; nextHop: string }[];
}

/** A VM that is to be on a host. */
export interface Machine {
  network: VmNetwork;
  /** Index of the host, 0 to 2. */
  host: number;
  spec: VmSpec & { ip6: string };
}

/** A resource to PUT. */
export type Put = readonly [path: string, body: object];

const PROVIDER_PREFIX = { 4: '192.168.1.0/24', 6: 'fd00:a::/64' } as const;
const HOSTS = 3;

/** The VM network that demo and tests use: three virtual subnets of both families. */
export const THREE_SUBNETS: VmNetwork = vmNetwork('contoso', '11111111-1111-1111-1111-111111111111', 5001);

/** A VM network with virtual subnets 10.1.1.0/24 fd00:1:1::/64 to 10.1.3.0/24 fd00:1:3::/64, always the same ones. */
export function vmNetwork(name: string, rdid: string, firstVsid: number): VmNetwork {
  const subnets = [1, 2, 3].map((number, index) => {
    return { vsid: firstVsid + index, prefix: `10.1.${number}.0/24`, prefix6: `fd00:1:${number}::/64` };
  });
  return { name, rdid, subnets };
}

/** Three VM networks that have everything in common but RDID and VSIDs: subnets, addresses and MACs. */
export function equalNetworks(): VmNetwork[] {
  return ['red', 'green', 'blue'].map((name, index) => {
    const digit = `${index + 1}`;
    const rdid = [8, 4, 4, 4, 12].map((length) => digit.repeat(length)).join('-');
    return vmNetwork(name, rdid, 5001 + index * 1000);
  });
}

/** Address of host 0 to 2 on the provider network, `.11` or `::11` and up. */
export function providerAddress(family: 4 | 6, host: number): string {
  return addressAt(PROVIDER_PREFIX[family], (family === 4 ? 11 : 0x11) + host);
}

/** Length of the provider network's prefix. */
export function providerPrefixLength(family: 4 | 6): number {
  return prefixLengthOf(PROVIDER_PREFIX[family]);
}

/** The VMs of a VM network, one of each virtual subnet on each host; MACs are equal in all VM networks. */
export function machinesOf(network: VmNetwork, family: 4 | 6): Machine[] {
  const subnets = network.subnets.filter((subnet) => !subnet.isGatewaySubnet);
  return subnets.flatMap(({ vsid, prefix, prefix6 }, index) =>
    Array.from({ length: HOSTS }, (_, host) => ({
      network,
      host,
      spec: {
        name: `${network.name}-s${index + 1}h${host + 1}`,
        vsid,
        mac: `02:00:00:01:0${index + 1}:1${host + 1}`,
        ip: addressAt(prefix, 11 + host),
        prefixLength: prefixLengthOf(prefix),
        gateway: routerAddress(prefix),
        ip6: addressAt(prefix6, 0x11 + host),
        prefixLength6: prefixLengthOf(prefix6),
        gateway6: routerAddress(prefix6),
        mtu: innerMtu(family),
      },
    })),
  );
}

/** Lookup records of a VM network, of both families, where its VMs are started. */
export function recordsOf(network: VmNetwork, family: 4 | 6): PolicyRecord[] {
  const records = machinesOf(network, family).flatMap(({ host, spec: { ip, ip6, mac, vsid } }) =>
    [ip, ip6].map((address) => ({ ip: address, mac, vsid, pa: providerAddress(family, host) })),
  );
  return [...records, ...(network.records ?? [])];
}

/** What an independent host knows about a VM network. */
export function tenantPolicyOf(network: VmNetwork, family: 4 | 6): TenantPolicy {
  return {
    subnets: network.subnets.flatMap(({ vsid, prefix, prefix6 }) =>
      [prefix, prefix6].map((each) => ({ vsid, prefix: each })),
    ),
    records: recordsOf(network, family),
    routes: [...(network.routes ?? [])],
  };
}

/** What every node is told about a VM network, in an order that can be sent. */
export function policyPuts(network: VmNetwork, family: 4 | 6): Put[] {
  const base = `/v1/routing-domains/${network.rdid}`;
  const records = recordsOf(network, family);
  return [
    [base, { name: network.name }],
    ...network.subnets.map(({ vsid, prefix, prefix6, isGatewaySubnet }): Put => {
      const body = { addressPrefixes: [prefix, prefix6], ...(isGatewaySubnet ? { isGatewaySubnet } : {}) };
      return [`${base}/virtual-subnets/${vsid}`, body];
    }),
    ...records.map((record): Put => [recordPath(network.rdid, record.ip), recordResource(record)]),
    ...(network.routes ?? []).map(({ prefix, nextHop }, index): Put => {
      const vsid = records.find((record) => record.ip === nextHop)?.vsid;
      const body = { virtualSubnetId: vsid, destinationPrefix: prefix, nextHop, metric: 0 };
      return [`${base}/customer-routes/route${index + 1}`, body];
    }),
  ];
}

/** Path of the lookup record of a customer address. */
export function recordPath(rdid: string, customerAddress: string): string {
  return `/v1/routing-domains/${rdid}/lookup-records/${customerAddress}`;
}

/** Body of the lookup record. */
export function recordResource(record: PolicyRecord): object {
  return {
    customerAddress: record.ip,
    virtualSubnetId: record.vsid,
    macAddress: record.mac,
    providerAddress: record.pa,
    type: 'static',
  };
}
