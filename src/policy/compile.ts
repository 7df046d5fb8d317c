/**
 * From the desired state of one routing domain to what this node's data plane must have for it. Pure and
 * deterministic: the order in which resources were written does not show in the result.
 */
import { addressOrder, contains, firstUsable } from './address.ts';
import type {
  ContextPlan,
  DomainPlan,
  NatPlan,
  PortMappingPlan,
  RecordPlan,
  RoutePlan,
  WildcardPlan,
} from './plan.ts';
import type { CustomerRoute, Gateway, Nat, ProviderAddress } from './resources.ts';
import { effectiveGatewayMac } from './router.ts';
import { UNSPECIFIED } from './rules/field.ts';
import { hasCustomerAddress } from './rules/lookup-record.ts';
import type { DomainState } from './state.ts';

/** What compiling a domain needs to know about this node. */
export interface CompileNode {
  /** This node's own provider addresses. */
  readonly providerAddresses: ReadonlyMap<string, ProviderAddress>;
}

/** The plan of a domain whose resources keep the rules of `rules.ts`. */
export function compileDomain(domain: DomainState, node: CompileNode): DomainPlan {
  const pending: string[] = [];
  const routes = compileRoutes(domain);
  const plan: DomainPlan = {
    rdid: domain.rdid,
    handle: domain.handle,
    vsids: [...domain.virtualSubnets.keys()].sort((a, b) => a - b),
    sources: compileSources(domain, node),
    records: compileRecords(domain),
    wildcards: compileWildcards(domain),
    routes,
    pending,
  };
  if (domain.gateway !== undefined) {
    const context = compileContext(domain, domain.gateway, node, routes);
    if (typeof context === 'string') pending.push(context);
    else plan.context = context;
  }
  if (domain.nat !== undefined) {
    if (plan.context !== undefined) plan.nat = compileNat(domain.nat);
    else if (domain.gateway !== undefined) pending.push('NAT waits for the gateway of the routing domain.');
    else pending.push('NAT waits for a gateway: the routing domain has none on this node.');
  }
  return plan;
}

function compileRecords(domain: DomainState): RecordPlan[] {
  const records: RecordPlan[] = [];
  for (const record of domain.lookupRecords.values()) {
    if (!hasCustomerAddress(record.type)) continue;
    records.push({
      address: record.customerAddress,
      vsid: record.virtualSubnetId,
      mac: record.macAddress,
      providerAddress: record.providerAddress,
    });
  }
  return sorted(records, (record) => addressOrder(record.address));
}

function compileWildcards(domain: DomainState): WildcardPlan[] {
  const wildcards = new Map<string, WildcardPlan>();
  for (const { type, macAddress: mac, providerAddress } of domain.lookupRecords.values()) {
    if (type === 'gatewayWildcard') wildcards.set(`${mac} ${providerAddress}`, { mac, providerAddress });
  }
  return sorted([...wildcards.values()], ({ mac, providerAddress }) => mac + addressOrder(providerAddress));
}

function compileSources(domain: DomainState, node: CompileNode): string[] {
  const sources = new Set<string>();
  for (const { providerAddress } of domain.lookupRecords.values()) {
    if (!node.providerAddresses.has(providerAddress)) sources.add(providerAddress);
  }
  return sorted([...sources], addressOrder);
}

/**
 * Every subnet on-link, and for each other destination its best customer route. The best is chosen before those that
 * lead to this node's own gateway are left out: what the tenant's hosts send here must not be sent back to the
 * tenant by a worse route to the same destination.
 */
function compileRoutes(domain: DomainState): RoutePlan[] {
  const best = new Map<string, CustomerRoute>();
  for (const route of domain.customerRoutes.values()) {
    const other = best.get(route.destinationPrefix);
    if (other === undefined || preference(route) < preference(other))
      best.set(route.destinationPrefix, route);
  }
  const routes = new Map<string, RoutePlan>();
  for (const [vsid, subnet] of domain.virtualSubnets) {
    for (const prefix of subnet.addressPrefixes) routes.set(prefix, { prefix, vsid });
  }
  for (const { destinationPrefix: prefix, virtualSubnetId: vsid, nextHop } of best.values()) {
    if (domain.gateway?.customerAddresses.includes(nextHop)) continue;
    routes.set(prefix, nextHop === UNSPECIFIED ? { prefix, vsid } : { prefix, vsid, nextHop });
  }
  return sorted([...routes.values()], (route) => addressOrder(route.prefix));
}

/** Lowest wins: metric, then next hop, then VSID. */
function preference(route: CustomerRoute): string {
  const metric = String(route.metric).padStart(5, '0');
  return `${metric} ${addressOrder(route.nextHop)} ${String(route.virtualSubnetId).padStart(8, '0')}`;
}

/** The context, or the sentence that says what it waits for. */
function compileContext(
  domain: DomainState,
  gateway: Gateway,
  node: CompileNode,
  routes: readonly RoutePlan[],
): ContextPlan | string {
  const vsid = gateway.virtualSubnetId;
  const prefixes = domain.virtualSubnets.get(vsid)?.addressPrefixes ?? [];
  for (const address of gateway.customerAddresses) {
    const prefix = prefixes.find((candidate) => contains(candidate, address));
    if (prefix === undefined) continue;
    const providerAddress = gatewayProviderAddress(domain, address, node);
    if (providerAddress === undefined) {
      return 'The gateway waits for a provider address: this node has none.';
    }
    return {
      vsid,
      address,
      mac: effectiveGatewayMac(domain.rdid, gateway),
      routerAddress: firstUsable(prefix),
      providerAddress,
      tenantPrefixes: routes.map((route) => route.prefix),
    };
  }
  return `The gateway waits for virtual subnet ${vsid} with a prefix around its address.`;
}

/** The one that tenant hosts are told to send to, when it is this node's; else this node's lowest. */
function gatewayProviderAddress(domain: DomainState, address: string, node: CompileNode): string | undefined {
  const id = domain.recordByAddress.get(address);
  const announced = id === undefined ? undefined : domain.lookupRecords.get(id)?.providerAddress;
  if (announced !== undefined && node.providerAddresses.has(announced)) return announced;
  return sorted([...node.providerAddresses.keys()], addressOrder)[0];
}

function compileNat(nat: Nat): NatPlan {
  const externalAddresses = nat.externalAddresses.map(({ ipAddress, ...ports }) => ({
    address: ipAddress,
    ...ports,
  }));
  const portMappings = nat.staticMappings.map((mapping): PortMappingPlan => {
    const plan: PortMappingPlan = {
      protocol: mapping.protocol,
      externalAddress: mapping.externalIpAddress,
      externalPort: mapping.externalPort,
      internalAddress: mapping.internalIpAddress,
      internalPort: mapping.internalPort,
    };
    const remotePrefix = mapping.remoteExternalIpAddressPrefix;
    if (remotePrefix !== undefined && remotePrefix !== '0.0.0.0/0') plan.remotePrefix = remotePrefix;
    return plan;
  });
  return {
    externalAddresses: sorted(externalAddresses, (external) => addressOrder(external.address)),
    portMappings: sorted(portMappings, portMappingOrder),
  };
}

function portMappingOrder(mapping: PortMappingPlan): string {
  const port = String(mapping.externalPort).padStart(5, '0');
  const remote = mapping.remotePrefix === undefined ? '' : addressOrder(mapping.remotePrefix);
  return [addressOrder(mapping.externalAddress), mapping.protocol, port, remote].join(' ');
}

/** A new array in ascending order of keys, each worked out once. */
function sorted<T>(items: readonly T[], key: (item: T) => string): T[] {
  return items
    .map((item) => ({ item, key: key(item) }))
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
    .map(({ item }) => item);
}
