/**
 * Rules of virtual subnets: the prefixes of a routing domain are its address plan, and what was placed in it must
 * stay inside.
 */
import { addressFamily, contains, containsPrefix, networkAddress, overlaps } from '../address.ts';
import type { VirtualSubnet } from '../resources.ts';
import type { DesiredState, DomainState } from '../state.ts';
import { isUnspecified, multicastField, prefixField, requireUnicastPrefix } from './field.ts';
import { hasCustomerAddress, maxProviderAddresses } from './lookup-record.ts';
import { prefixWithoutInside } from './nat-prefixes.ts';
import { changeInUse, conflict, deleteInUse, invalid, nameConflict } from './refusal.ts';
import { requireRouting, requireRoutingWithout } from './routing-in-use.ts';
import { checkSubnetOfSites } from './site-prefixes.ts';
import { hostAddressProblem } from './subnet-address.ts';

/** Of a subnet's prefix, by family. The shortest IPv6 subnets have room for a host beside anycast address and `.1`. */
const LENGTHS = { 4: { min: 8, max: 30 }, 6: { min: 16, max: 126 } } as const;

export function normalizeVirtualSubnet(value: VirtualSubnet): VirtualSubnet {
  const addressPrefixes: string[] = [];
  for (const [index, text] of value.addressPrefixes.entries()) {
    const pointer = `/addressPrefixes/${index}`;
    const prefix = prefixField(pointer, text);
    const length = Number(prefix.slice(prefix.indexOf('/') + 1));
    const family = addressFamily(networkAddress(prefix));
    const { min, max } = LENGTHS[family];
    if (length < min || length > max) {
      const why = `has a length outside ${min} to ${max}, which a subnet's IPv${family} prefix must have`;
      throw invalid('prefix-length', pointer, prefix, why);
    }
    requireUnicastPrefix(pointer, prefix);
    const other = addressPrefixes.find((candidate) => overlaps(candidate, prefix));
    if (other !== undefined) {
      const why = `overlaps ${other}: prefixes must not overlap inside a virtual subnet`;
      throw invalid('prefix-overlap', pointer, prefix, why);
    }
    addressPrefixes.push(prefix);
  }
  const isGatewaySubnet = value.isGatewaySubnet ?? false;
  if (value.providerMulticastAddress === undefined) return { addressPrefixes, isGatewaySubnet };
  const group = multicastField('/providerMulticastAddress', value.providerMulticastAddress);
  return { addressPrefixes, isGatewaySubnet, providerMulticastAddress: group };
}

export function checkVirtualSubnet(
  state: DesiredState,
  domain: DomainState,
  vsid: number,
  value: VirtualSubnet,
): void {
  checkVsidOwner(state, domain, vsid);
  for (const [otherVsid, other] of domain.virtualSubnets) {
    if (otherVsid === vsid) continue;
    for (const [index, prefix] of value.addressPrefixes.entries()) {
      const overlap = other.addressPrefixes.find((candidate) => overlaps(candidate, prefix));
      if (overlap !== undefined) {
        const why = `overlaps ${overlap} of virtual subnet ${otherVsid}: prefixes must not overlap inside a routing domain`;
        throw conflict('prefix-overlap', `/addressPrefixes/${index}`, prefix, why);
      }
    }
    if (value.isGatewaySubnet && other.isGatewaySubnet) {
      const why = `is refused: a routing domain has at most one gateway subnet, and virtual subnet ${otherVsid} is it`;
      throw conflict('one-gateway-subnet', '/isGatewaySubnet', true, why);
    }
  }
  checkSubnetOfSites(domain, value);
  const virtualSubnets = new Map(domain.virtualSubnets).set(vsid, value);
  requireRouting({ ...domain, virtualSubnets }, '/addressPrefixes', value.addressPrefixes);
  const before = domain.virtualSubnets.get(vsid);
  if (before === undefined) return;
  checkStillInside(state, domain, vsid, before, value);
  checkCopies(domain, vsid, value);
}

export function checkVirtualSubnetDelete(
  state: DesiredState,
  domain: DomainState,
  vsid: number,
  subnet: VirtualSubnet,
): void {
  const what = `Virtual subnet ${vsid}`;
  const rule = 'virtual-subnet-in-use';
  if (domain.gateway?.virtualSubnetId === vsid) throw deleteInUse(rule, what, 'the gateway');
  for (const [id, record] of domain.lookupRecords) {
    if (record.virtualSubnetId === vsid) throw deleteInUse(rule, what, `lookup record ${id}`);
  }
  for (const [id, route] of domain.customerRoutes) {
    if (route.virtualSubnetId === vsid) throw deleteInUse(rule, what, `customer route ${id}`);
  }
  const [port] = state.portsByVsid.get(vsid) ?? [];
  if (port !== undefined) throw deleteInUse(rule, what, `port ${port}`);
  const [mapped] = mappedAddresses(domain, subnet);
  if (mapped !== undefined) throw deleteInUse(rule, what, `the static mapping or oneToOne to ${mapped}`);
  const external = prefixWithoutInside(domain.nat, prefixesWith(domain, vsid, []));
  if (external !== undefined) throw deleteInUse(rule, what, `external prefix ${external}`);
  const virtualSubnets = new Map(domain.virtualSubnets);
  virtualSubnets.delete(vsid);
  requireRoutingWithout({ ...domain, virtualSubnets }, what);
}

function checkVsidOwner(state: DesiredState, domain: DomainState, vsid: number): void {
  const owner = state.vsidOwners.get(vsid);
  if (owner === undefined || owner === domain.rdid) return;
  const why = 'is not available to this routing domain: a VSID is unique in the datacenter';
  const forOperators = `It belongs to routing domain ${owner}.`;
  throw nameConflict('vsid-unique', 'VSID', vsid, why, { forOperators });
}

/** Everything that was placed by the old value must be where the new one allows it. */
function checkStillInside(
  state: DesiredState,
  domain: DomainState,
  vsid: number,
  before: VirtualSubnet,
  value: VirtualSubnet,
): void {
  const prefixes = value.addressPrefixes;
  const refuse = (user: string, why: string) =>
    changeInUse(
      'virtual-subnet-in-use',
      '/addressPrefixes',
      prefixes.join(', '),
      `is in use: ${user} ${why}`,
    );

  if (domain.gateway?.virtualSubnetId === vsid) {
    if (!value.isGatewaySubnet) {
      const why = 'is refused: the gateway is in this virtual subnet, which must stay the gateway subnet';
      throw changeInUse('gateway-subnet-in-use', '/isGatewaySubnet', false, why);
    }
    for (const address of domain.gateway.customerAddresses) {
      const problem = hostAddressProblem(prefixes, address);
      if (problem !== undefined) throw refuse(`the gateway's address ${address}`, problem.why);
    }
  }
  for (const [id, record] of domain.lookupRecords) {
    if (record.virtualSubnetId !== vsid || !hasCustomerAddress(record.type)) continue;
    const problem = hostAddressProblem(prefixes, record.customerAddress);
    if (problem !== undefined) {
      throw refuse(`customerAddress ${record.customerAddress} of lookup record ${id}`, problem.why);
    }
  }
  for (const [id, route] of domain.customerRoutes) {
    if (route.virtualSubnetId !== vsid) continue;
    if (isUnspecified(route.nextHop)) {
      if (!prefixes.some((prefix) => containsPrefix(prefix, route.destinationPrefix))) {
        const why = 'must be inside the prefixes of its virtual subnet';
        throw refuse(`the on-link destinationPrefix ${route.destinationPrefix} of customer route ${id}`, why);
      }
      continue;
    }
    const problem = hostAddressProblem(prefixes, route.nextHop);
    if (problem !== undefined) throw refuse(`nextHop ${route.nextHop} of customer route ${id}`, problem.why);
  }
  for (const name of state.portsByVsid.get(vsid) ?? []) {
    for (const address of state.ports.get(name)?.customerAddresses ?? []) {
      const problem = hostAddressProblem(prefixes, address);
      if (problem !== undefined) throw refuse(`customer address ${address} of port ${name}`, problem.why);
    }
  }
  for (const address of mappedAddresses(domain, before)) {
    const problem = hostAddressProblem(prefixes, address);
    if (problem !== undefined)
      throw refuse(`internalIpAddress ${address} of a static mapping or of oneToOne`, problem.why);
  }
  const external = prefixWithoutInside(domain.nat, prefixesWith(domain, vsid, prefixes));
  if (external !== undefined) {
    throw refuse(`external prefix ${external}`, 'must be within, or around, a prefix of a virtual subnet');
  }
}

/** A group can be taken away only while its subnet has few enough provider addresses for copies. */
function checkCopies(domain: DomainState, vsid: number, value: VirtualSubnet): void {
  if (value.providerMulticastAddress !== undefined) return;
  const count = domain.providerAddressUse.get(vsid)?.size ?? 0;
  if (count <= maxProviderAddresses) return;
  const why = `must stay: the lookup records of virtual subnet ${vsid} have ${count} provider addresses, of which a virtual subnet without it has at most ${maxProviderAddresses}`;
  throw changeInUse('subnet-provider-addresses', '/providerMulticastAddress', undefined, why);
}

/** All prefixes of the domain when the subnet's are these. */
function prefixesWith(domain: DomainState, vsid: number, prefixes: readonly string[]): string[] {
  const others = [...domain.virtualSubnets].filter(([other]) => other !== vsid);
  return [...prefixes, ...others.flatMap(([, { addressPrefixes }]) => addressPrefixes)];
}

/** Inside addresses of the domain's static mappings and one-to-one NAT that are in the subnet. */
function mappedAddresses(domain: DomainState, subnet: VirtualSubnet): string[] {
  const { staticMappings = [], oneToOne = [] } = domain.nat ?? {};
  const addresses = [...staticMappings, ...oneToOne].map(({ internalIpAddress }) => internalIpAddress);
  return addresses.filter((address) => subnet.addressPrefixes.some((prefix) => contains(prefix, address)));
}
