/**
 * The rules between resources, checked by the store before every write against the state at that moment. Each costs at
 * most one pass over the domain it concerns, never over other domains; a lookup record's cost nothing that grows.
 * Messages go to tenants: they may name what is in the same domain, and give no sign of others, but in `forOperators`.
 */
import { Check } from 'typebox/value';
import type { ResourceKey } from '../store/store.ts';
import {
  type Forwarding,
  Guid,
  type Nat,
  ResourceId,
  type ResourceKind,
  type ResourceTypes,
  VirtualSubnetId,
} from './resources.ts';
import { checkBgp } from './rules/bgp.ts';
import { checkCustomerRoute, checkCustomerRouteDelete } from './rules/customer-route.ts';
import { checkExternalAddressPool, checkExternalAddressPoolDelete } from './rules/external-address-pool.ts';
import { checkForwarding, checkForwardingDelete } from './rules/forwarding.ts';
import { checkGateway, checkGatewayDelete } from './rules/gateway.ts';
import { checkLookupRecord } from './rules/lookup-record.ts';
import { checkNat, checkNatDelete } from './rules/nat.ts';
import { checkPort } from './rules/port.ts';
import { checkProviderAddress } from './rules/provider-address.ts';
import { checkProviderRoute, checkRoutesOfProviderAddress } from './rules/provider-route.ts';
import { deleteInUse, invalidName, notFound } from './rules/refusal.ts';
import { checkSiteConnection, checkSiteConnectionDelete } from './rules/site-connection.ts';
import { checkTenantForwarding, checkTenantNat } from './rules/tenant.ts';
import { checkVirtualSubnet, checkVirtualSubnetDelete } from './rules/virtual-subnet.ts';
import type { DesiredState, DomainState } from './state.ts';

const RESOURCE_ID_FORM = 'word of 1 to 64 of A-Z a-z 0-9 . _ : -, beginning with a letter or digit';

type Checks = {
  [K in ResourceKind]: (state: DesiredState, key: ResourceKey<K>, value: ResourceTypes[K]) => void;
};

const checks: Checks = {
  routingDomain: (_state, key) => {
    if (!Check(Guid, key.rdid))
      throw invalidName('rdid-guid', 'routing domain', key.rdid, 'GUID in lower case');
  },
  virtualSubnet: (state, key, value) => checkVirtualSubnet(state, domainOf(state, key), vsidOf(key), value),
  lookupRecord: (state, key, value) => checkLookupRecord(domainOf(state, key), resourceId(key), value),
  customerRoute: (state, key, value) => checkCustomerRoute(domainOf(state, key), resourceId(key), value),
  gateway: (state, key, value) => checkGateway(state, domainOf(state, key), value),
  nat: (state, key, value) => checkNat(state, domainOf(state, key), value),
  forwarding: (state, key, value) => checkForwarding(state, domainOf(state, key), value),
  bgp: (state, key, value) => checkBgp(domainOf(state, key), value),
  siteConnection: (state, key, value) =>
    checkSiteConnection(state, domainOf(state, key), resourceId(key), value),
  providerAddress: (state, key, value) => checkProviderAddress(state, key.id ?? '', value),
  providerRoute: (state, key, value) => checkProviderRoute(state, resourceId(key), value),
  externalAddressPool: (state, key, value) => checkExternalAddressPool(state, resourceId(key), value),
  port: (state, key, value) => checkPort(state, key.id ?? '', value),
};

/**
 * Throws when `value`, as `normalize` returned it, must not be written at `key`: HNV_INVALID_FIELD, HNV_CONFLICT,
 * HNV_IN_USE (the new value would leave something that depends on the old one without it) or HNV_NOT_FOUND (no such
 * routing domain).
 */
export function checkPut<K extends ResourceKind>(
  state: DesiredState,
  key: ResourceKey<K>,
  value: ResourceTypes[K],
): void {
  checks[key.kind](state, key, value);
}

/** As checkPut(), of what only operators give and a tenant's token may not write; to be asked before that. */
export function checkTenantPut<K extends ResourceKind>(
  state: DesiredState,
  key: ResourceKey<K>,
  value: ResourceTypes[K],
): void {
  if (key.kind === 'nat') checkTenantNat(domainOf(state, key), value as Nat);
  if (key.kind === 'forwarding') checkTenantForwarding(domainOf(state, key), value as Forwarding);
}

/**
 * Throws HNV_NOT_FOUND when there is nothing at `key`, and HNV_IN_USE when something depends on it. A routing domain
 * goes with all that belongs to it, but not with the ports of VMs; without a provider address, domains are pending.
 */
export function checkDelete(state: DesiredState, key: ResourceKey): void {
  const id = key.id ?? '';
  switch (key.kind) {
    case 'providerAddress':
      if (!state.providerAddresses.has(id)) throw notFound(`provider address ${id}`);
      checkRoutesOfProviderAddress(state, id, undefined);
      return;
    case 'providerRoute':
      if (!state.providerRoutes.has(id)) throw notFound(`provider route ${id}`);
      return;
    case 'externalAddressPool':
      if (!state.externalAddressPools.has(id)) throw notFound(`external address pool ${id}`);
      checkExternalAddressPoolDelete(state, id);
      return;
    case 'port':
      if (!state.ports.has(id)) throw notFound(`port ${id}`);
      return;
  }
  const domain = domainOf(state, key);
  switch (key.kind) {
    case 'routingDomain':
      checkRoutingDomainDelete(state, domain);
      return;
    case 'virtualSubnet': {
      const vsid = Number(id);
      const subnet = domain.virtualSubnets.get(vsid);
      if (subnet === undefined) throw notFound(`virtual subnet ${id}`);
      checkVirtualSubnetDelete(state, domain, vsid, subnet);
      return;
    }
    case 'lookupRecord':
      if (!domain.lookupRecords.has(id)) throw notFound(`lookup record ${id}`);
      return;
    case 'customerRoute': {
      const route = domain.customerRoutes.get(id);
      if (route === undefined) throw notFound(`customer route ${id}`);
      checkCustomerRouteDelete(domain, id, route);
      return;
    }
    case 'gateway':
      if (domain.gateway === undefined) throw notFound('gateway');
      checkGatewayDelete(domain);
      return;
    case 'nat':
      if (domain.nat === undefined) throw notFound('nat');
      checkNatDelete(domain);
      return;
    case 'forwarding':
      if (domain.forwarding === undefined) throw notFound('forwarding');
      checkForwardingDelete(domain);
      return;
    case 'bgp':
      if (domain.bgp === undefined) throw notFound('bgp');
      return;
    case 'siteConnection':
      if (!domain.siteConnections.has(id)) throw notFound(`site connection ${id}`);
      checkSiteConnectionDelete(domain, id);
      return;
  }
}

function checkRoutingDomainDelete(state: DesiredState, domain: DomainState): void {
  for (const vsid of domain.virtualSubnets.keys()) {
    const [port] = state.portsByVsid.get(vsid) ?? [];
    if (port === undefined) continue;
    throw deleteInUse('routing-domain-in-use', `Routing domain ${domain.rdid}`, `port ${port}`);
  }
}

function domainOf(state: DesiredState, key: ResourceKey): DomainState {
  const domain = state.domains.get(key.rdid ?? '');
  if (domain === undefined) throw notFound(`routing domain ${key.rdid}`);
  return domain;
}

function vsidOf(key: ResourceKey): number {
  const vsid = Number(key.id);
  if (String(vsid) !== key.id || !Check(VirtualSubnetId, vsid)) {
    throw invalidName('vsid-range', 'virtual subnet', key.id, 'Virtual Subnet ID, 4096 to 16777214');
  }
  return vsid;
}

function resourceId(key: ResourceKey): string {
  if (!Check(ResourceId, key.id)) {
    throw invalidName('resource-id', 'resource', key.id, RESOURCE_ID_FORM);
  }
  return key.id;
}
