/**
 * Random policy of some tenants who are all alike inside, for a gateway on wires of the test's own: NAT of each kind, prefixes,
 * networks without NAT. Which tenant has what of it follows from the seed; of each kind there is one.
 */
import type { RandomNumbers } from './random-nat.ts';
import { HOSTS, NICS, type Station } from './wired-gateway.ts';

export interface FastVm {
  mac: string;
  host: Station;
  addresses: Readonly<Record<4 | 6, string>>;
}

/** Where a VM is reached from outside; without port: at each one, and by ping. */
export interface Service {
  family: 4 | 6;
  protocol?: 'tcp' | 'udp';
  address: string;
  port?: number;
  vm: FastVm;
  /** Port of the VM. */
  insidePort?: number;
}

/** A network without NAT. */
export interface FastNetwork {
  /** 0: untagged. */
  vlan: number;
  router: Station;
  /** What is behind the router. */
  prefixes: Readonly<Record<4 | 6, string>>;
}

/** How many ports of a family a tenant has outside, all of one address; a block has a first and a last one. */
type Ports = 'all' | 'none' | readonly [first: number, last: number];

export interface FastTenant {
  name: string;
  rdid: string;
  vsid: number;
  gatewayVsid: number;
  gatewayMac: string;
  /** Of its provider addresses. */
  providerFamily: 4 | 6;
  vms: [FastVm, FastVm];
  ports: Readonly<Record<4 | 6, Ports>>;
  /** Its IPv6 prefix is another one outside, without state. */
  hasNptv6: boolean;
  services: Service[];
  network: FastNetwork | undefined;
  /** Requests that make it, in order. */
  puts: [path: string, body: object][];
}

const KINDS = {
  4: ['whole', 'block', 'port', 'pair', 'none'],
  6: ['whole', 'block', 'pair', 'routed', 'npt'],
};
const PROVIDERS = [4, 6, 4, 6, 4] as const;
const NETWORKS = ['vlan', 'vlan', 'untagged', 'none', 'none'] as const;
export const TENANTS = NETWORKS.length;
const FILTERING = ['endpointIndependent', 'addressDependent', 'addressAndPortDependent'] as const;

const SHARED = { 4: '203.0.113.100', 6: '2001:db8:200::100' };
const INSIDE6 = 'fd00:1:1::';
const ROUTED6 = '2001:db8:210::';
const NPT6 = '2001:db8:220::';
const GATEWAY = { 4: '10.254.254.2', 6: 'fd00:fe::2' };
const BLOCK: Ports = [20_000, 23_999];
const PORT: Ports = [1024, 1024];
const hex = (value: number): string => value.toString(16).padStart(2, '0');

/** External addresses of a tenant, and what else NAT says, for one family. */
interface Share {
  ports: Ports;
  externalAddresses: object[];
  oneToOne: { externalIpAddress: string; internalIpAddress: string }[];
  externalPrefixes: object[];
  services: Service[];
}

function shareOf(kind: string, family: 4 | 6, index: number, vms: readonly FastVm[], numbers: RandomNumbers) {
  const [first, second] = vms as [FastVm, FastVm];
  const net = family === 4 ? '203.0.113.' : '2001:db8:200::';
  const own = family === 4 && numbers.chance(50) ? `198.51.100.${110 + index}` : `${net}${10 + index}`;
  const share: Share = {
    ...{ ports: 'all', externalAddresses: [], oneToOne: [], externalPrefixes: [], services: [] },
  };
  const block = ([portStart, portEnd]: readonly [number, number]) => {
    return { ipAddress: SHARED[family], portStart, portEnd };
  };
  if (kind === 'none') return { ...share, ports: 'none' as const };
  if (kind === 'port') return { ...share, ports: PORT, externalAddresses: [block([1024, 1024])] };
  if (kind === 'block')
    return {
      ...{ ...share, ports: BLOCK, externalAddresses: [block([20_000, 23_999])] },
      services: mapped(family, SHARED[family], second, numbers.between(23_000, 23_500)),
    };
  if (kind === 'whole')
    return {
      ...{ ...share, externalAddresses: [{ ipAddress: own }] },
      services: mapped(family, own, first, numbers.between(1, 1000)),
    };
  const outside = `${net}${30 + index}`;
  if (kind === 'pair') {
    share.externalAddresses.push({ ipAddress: own }, { ipAddress: outside });
    share.oneToOne.push({ externalIpAddress: outside, internalIpAddress: first.addresses[family] });
    share.services.push({ family, address: outside, vm: first });
  } else if (kind === 'routed') {
    share.externalPrefixes.push({ prefix: `${ROUTED6}/64` });
    share.services.push(...vms.map((vm) => ({ family, address: vm.addresses[6], vm })));
  } else {
    share.externalPrefixes.push({ prefix: `${NPT6}/64`, internalPrefix: `${INSIDE6}/64` });
  }
  return share;
}

/** A port of either protocol that leads to another one. */
function mapped(family: 4 | 6, address: string, vm: FastVm, port: number): Service[] {
  return (['tcp', 'udp'] as const).map((protocol) => {
    return { family, protocol, address, port, vm, insidePort: 8080 };
  });
}

function networkOf(kind: string, index: number): FastNetwork | undefined {
  if (kind === 'none') return undefined;
  const prefixes = { 4: '172.20.0.0/16', 6: '2001:db8:f00::/48' };
  const mac = `02:9a:00:02:00:${hex(index)}`;
  if (kind === 'untagged')
    return {
      ...{ vlan: 0, prefixes },
      router: { mac, addresses: { 4: '198.51.100.50', 6: '2001:db8:100::50' } },
    };
  // Alike on all VLANs, addresses and MAC too.
  const router = { mac: '02:9a:00:02:00:ff', addresses: { 4: '172.31.0.1', 6: 'fd00:31::1' } };
  return { vlan: 100 + index, prefixes, router };
}

function forwardingBody({ vlan, prefixes, router }: FastNetwork, advertise: readonly string[]): object {
  const common = { nextHops: Object.values(router.addresses), destinationPrefixes: Object.values(prefixes) };
  return vlan === 0
    ? { ...common, addresses: ['198.51.100.60/24', '2001:db8:100::60/64'], advertise }
    : { ...common, vlanId: vlan, addresses: ['172.31.0.2/24', 'fd00:31::2/64'] };
}

function tenantOf(
  index: number,
  kinds: { provider: 4 | 6; 4: string; 6: string; network: string },
  numbers: RandomNumbers,
): FastTenant {
  const providerFamily = kinds.provider;
  const base = 4096 + numbers.below(1_000_000) * TENANTS + index;
  const [vsid, gatewayVsid] = [base * 2, base * 2 + 1];
  const rdid = [8, 4, 4, 4, 12].map((length) => `${index + 1}`.repeat(length)).join('-');
  const gatewayMac = `02:9a:${hex(index + 1)}:00:fe:02`;
  const inside6 = kinds[6] === 'routed' ? ROUTED6 : INSIDE6;
  const vm = (number: number): FastVm => ({
    mac: `02:9a:${hex(index + 1)}:00:01:${hex(number)}`,
    host: numbers.pick(HOSTS),
    addresses: { 4: `10.1.1.${number}`, 6: `${inside6}${hex(number)}` },
  });
  const vms: [FastVm, FastVm] = [vm(11), vm(12)];
  const shares = ([4, 6] as const).map((family) => shareOf(kinds[family], family, index, vms, numbers));
  const [share4, share6] = shares as [Share, Share];
  const services = shares.flatMap((share) => share.services);
  const network = networkOf(kinds.network, index);
  const at = `/v1/routing-domains/${rdid}`;
  const record = (address: string, virtualSubnetId: number, macAddress: string, host: Station) =>
    [
      `${at}/lookup-records/${address}`,
      {
        ...{ customerAddress: address, virtualSubnetId, macAddress, type: 'static' },
        providerAddress: host.addresses[providerFamily],
      },
    ] as [string, object];
  const route = (name: string, destinationPrefix: string, nextHop: string) =>
    [
      `${at}/customer-routes/${name}`,
      { virtualSubnetId: gatewayVsid, destinationPrefix, nextHop, metric: 0 },
    ] as [string, object];
  const prefixes = ['10.1.1.0/24', `${inside6}/64`];
  // Of IPv4 alone; and where a port is one host's, there must be one for each.
  const open = { tcp: numbers.pick(FILTERING), udp: numbers.pick(FILTERING) };
  const isOpen = share6.externalAddresses.length === 0 && kinds[4] !== 'port';
  const filtering = isOpen ? { filtering: open } : {};
  const puts: [string, object][] = [
    [at, { name: `tenant${index}` }],
    [`${at}/virtual-subnets/${vsid}`, { addressPrefixes: prefixes }],
    [
      `${at}/virtual-subnets/${gatewayVsid}`,
      { addressPrefixes: ['10.254.254.0/29', 'fd00:fe::/64'], isGatewaySubnet: true },
    ],
    ...vms.flatMap(({ addresses, mac, host }) =>
      Object.values(addresses).map((address) => record(address, vsid, mac, host)),
    ),
    ...Object.values(GATEWAY).map((address) => record(address, gatewayVsid, gatewayMac, NICS.provider)),
    route('default4', '0.0.0.0/0', GATEWAY[4]),
    route('default6', '::/0', GATEWAY[6]),
    [
      `${at}/gateway`,
      { virtualSubnetId: gatewayVsid, customerAddresses: Object.values(GATEWAY), macAddress: gatewayMac },
    ],
    ...(network === undefined
      ? []
      : [[`${at}/forwarding`, forwardingBody(network, prefixes)] as [string, object]]),
    [
      `${at}/nat`,
      {
        externalAddresses: shares.flatMap((share) => share.externalAddresses),
        oneToOne: shares.flatMap((share) => share.oneToOne),
        externalPrefixes: share6.externalPrefixes,
        staticMappings: services.flatMap(({ protocol, address, port, vm, family, insidePort }) =>
          protocol === undefined
            ? []
            : {
                ...{ protocol, externalIpAddress: address, externalPort: port },
                ...{ internalIpAddress: vm.addresses[family], internalPort: insidePort },
              },
        ),
        ...filtering,
      },
    ],
  ];
  return {
    ...{ name: `tenant${index}`, rdid, vsid, gatewayVsid, gatewayMac, providerFamily, vms, services },
    ...{ ports: { 4: share4.ports, 6: share6.ports }, hasNptv6: kinds[6] === 'npt', network, puts },
  };
}

/** The tenants of a seed. */
export function fastTenants(numbers: RandomNumbers): FastTenant[] {
  const deal = <T>(from: readonly T[]): T[] => numbers.some(from, from.length);
  const [four, six, networks] = [deal(KINDS[4]), deal(KINDS[6]), deal(NETWORKS)];
  return deal(PROVIDERS).map((provider, index) => {
    const kinds = { provider, 4: four[index] ?? '', 6: six[index] ?? '', network: networks[index] ?? '' };
    return tenantOf(index, kinds, numbers);
  });
}
