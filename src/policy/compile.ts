/**
 * From the desired state of one routing domain to what this node's data plane must have for it. Pure and
 * deterministic: the order in which resources were written does not show in the result.
 */
import { addressOrder, firstUsable } from './address.ts';
import { compileBgp } from './compile/bgp.ts';
import { compileContext } from './compile/context.ts';
import { compileForwarding } from './compile/forwarding.ts';
import { compileNat, withheldOf } from './compile/nat.ts';
import type { CompileNode } from './compile/node.ts';
import { compilePorts, implicitRecords } from './compile/ports.ts';
import { RecordIndex } from './compile/record-index.ts';
import { compileNatOfSites, compileSiteConnections } from './compile/site-connections.ts';
import { spreadAddress } from './compile/tunnel-address.ts';
import { sorted } from './order.ts';
import type { DomainPlan, PortPlan, RecordPlan, SubnetPlan, WildcardPlan } from './plan.ts';
import { routerMac } from './router.ts';
import { hasCustomerAddress } from './rules/lookup-record.ts';
import type { DomainState } from './state.ts';
import { tenantRoutes } from './tenant-routes.ts';

/** The plan of a domain whose resources keep the rules of `rules.ts`. */
export function compileDomain(domain: DomainState, node: CompileNode): DomainPlan {
  const pending: string[] = [];
  const own = node.providerAddresses;
  const index = new RecordIndex(domain, own);
  const spread = spreadAddress(domain.rdid, index.remoteFamily, own);
  const routes = tenantRoutes(domain);
  const ports = compilePorts(domain, node, index, spread, pending);
  const plan: DomainPlan = {
    rdid: domain.rdid,
    handle: domain.handle,
    subnets: compileSubnets(domain, index),
    sources: sorted(index.sources, addressOrder),
    records: compileRecords(domain, node, ports),
    wildcards: compileWildcards(domain),
    routes,
    ports,
    siteConnections: [],
    pending,
  };
  if (domain.gateway !== undefined) {
    const context = compileContext(domain, domain.gateway, own, spread, routes);
    if (typeof context === 'string') pending.push(context);
    else plan.context = context;
  }
  const { uplinkAddresses = new Map() } = node;
  if (domain.nat !== undefined) {
    const withheld = withheldOf(domain.nat, uplinkAddresses);
    if (withheld.length > 0) plan.withheld = withheld;
  }
  if (plan.context === undefined) {
    const waiting = waitingForGateway(domain);
    if (waiting !== undefined) pending.push(waiting);
    return plan;
  }
  if (domain.nat !== undefined) {
    plan.siteConnections = compileSiteConnections(domain, domain.nat, node, pending);
    const ofSites = compileNatOfSites(domain, plan.siteConnections);
    plan.nat = { ...compileNat(domain.nat, uplinkAddresses), ...ofSites };
  }
  if (domain.forwarding !== undefined) {
    const forwarding = compileForwarding(domain, domain.forwarding, plan.context, node, pending);
    if (forwarding !== undefined) plan.forwarding = forwarding;
  }
  if (domain.bgp !== undefined) {
    const bgp = compileBgp(domain, domain.bgp, plan.context, plan, pending);
    if (bgp !== undefined) plan.bgp = bgp;
  }
  return plan;
}

/** What of the domain waits for its gateway, as a sentence. */
function waitingForGateway(domain: DomainState): string | undefined {
  const waiting = [
    ...(domain.nat === undefined ? [] : ['NAT']),
    ...(domain.siteConnections.size === 0 ? [] : ['site connections']),
    ...(domain.forwarding === undefined ? [] : ['forwarding']),
    ...(domain.bgp === undefined ? [] : ['BGP']),
  ];
  const [first] = waiting;
  if (first === undefined) return undefined;
  const list = [waiting.slice(0, -1).join(', '), ...waiting.slice(-1)]
    .filter((part) => part !== '')
    .join(' and ');
  const verb = waiting.length > 1 || first === 'site connections' ? 'wait' : 'waits';
  const subject = `${list.charAt(0).toUpperCase()}${list.slice(1)} ${verb}`;
  if (domain.gateway !== undefined) return `${subject} for the gateway of the routing domain.`;
  return `${subject} for a gateway: the routing domain has none on this node.`;
}

function compileSubnets(domain: DomainState, index: RecordIndex): SubnetPlan[] {
  const ascending = [...domain.virtualSubnets].sort(([a], [b]) => a - b);
  return ascending.map(([vsid, { addressPrefixes, providerMulticastAddress }]) => {
    const routerAddresses = addressPrefixes.map(firstUsable);
    // With a group nobody gets a copy of their own, and there may be more nodes than copies are made for.
    if (providerMulticastAddress !== undefined)
      return { vsid, routerAddresses, remotes: [], providerMulticastAddress };
    return { vsid, routerAddresses, remotes: sorted(index.remotes.get(vsid) ?? [], addressOrder) };
  });
}

function compileRecords(domain: DomainState, node: CompileNode, ports: readonly PortPlan[]): RecordPlan[] {
  const records = implicitRecords(domain, ports);
  for (const record of domain.lookupRecords.values()) {
    if (!hasCustomerAddress(record.type)) continue;
    records.push({
      address: record.customerAddress,
      vsid: record.virtualSubnetId,
      mac: record.macAddress,
      providerAddress: record.providerAddress,
      isLocal: node.providerAddresses.has(record.providerAddress),
      isDynamic: record.type === 'dynamic',
    });
  }
  return sorted(records, (record) => addressOrder(record.address));
}

/**
 * One for each pair of MAC and provider address: the widest scope, then the lowest VSID. What a gateway VM has forwarded
 * comes from its host with the distributed router's MAC when it goes to another subnet.
 */
function compileWildcards(domain: DomainState): WildcardPlan[] {
  const wildcards = new Map<string, WildcardPlan>();
  const add = (wildcard: WildcardPlan): void => {
    const pair = `${wildcard.mac} ${wildcard.providerAddress}`;
    const before = wildcards.get(pair);
    if (before === undefined || wildcardRank(wildcard) < wildcardRank(before)) wildcards.set(pair, wildcard);
  };
  for (const {
    type,
    macAddress: mac,
    providerAddress,
    virtualSubnetId: vsid,
  } of domain.lookupRecords.values()) {
    if (type === 'gatewayWildcard') {
      add({ mac, providerAddress, scope: 'outside', vsid });
      add({ mac: routerMac, providerAddress, scope: 'outside', vsid });
    } else if (type === 'l2only') {
      add({ mac, providerAddress, scope: 'subnet', vsid });
    }
  }
  return sorted(wildcards.values(), ({ mac, providerAddress }) => mac + addressOrder(providerAddress));
}

function wildcardRank({ scope, vsid }: WildcardPlan): number {
  return scope === 'outside' ? vsid : vsid + 0x1000000;
}
