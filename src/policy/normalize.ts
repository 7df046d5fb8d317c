/**
 * The way of a resource into the store: addresses, prefixes and MACs in canonical form, defaults filled in, and the
 * rules that one resource can break by itself. What comes out is what `checkPut`, the store and the compiler expect.
 */
import type { ResourceKind, ResourceTypes } from './resources.ts';
import { normalizeBgp } from './rules/bgp.ts';
import { normalizeCustomerRoute } from './rules/customer-route.ts';
import { normalizeExternalAddressPool } from './rules/external-address-pool.ts';
import { normalizeForwarding } from './rules/forwarding.ts';
import { normalizeGateway } from './rules/gateway.ts';
import { normalizeLookupRecord } from './rules/lookup-record.ts';
import { normalizeNat } from './rules/nat.ts';
import { normalizePort } from './rules/port.ts';
import { normalizeProviderAddress } from './rules/provider-address.ts';
import { normalizeProviderRoute } from './rules/provider-route.ts';
import { normalizeSiteConnection } from './rules/site-connection.ts';
import { normalizeVirtualSubnet } from './rules/virtual-subnet.ts';

const normalizers: { [K in ResourceKind]: (value: ResourceTypes[K]) => ResourceTypes[K] } = {
  routingDomain: (value) => value,
  virtualSubnet: normalizeVirtualSubnet,
  lookupRecord: normalizeLookupRecord,
  customerRoute: normalizeCustomerRoute,
  gateway: normalizeGateway,
  nat: normalizeNat,
  forwarding: normalizeForwarding,
  bgp: normalizeBgp,
  siteConnection: normalizeSiteConnection,
  providerAddress: normalizeProviderAddress,
  providerRoute: normalizeProviderRoute,
  externalAddressPool: normalizeExternalAddressPool,
  port: normalizePort,
};

/**
 * The canonical form of a value that its schema accepts. Throws HNV_INVALID_FIELD with the JSON pointer of the field
 * and the rule. Idempotent; the argument is not changed.
 */
export function normalize<K extends ResourceKind>(kind: K, value: ResourceTypes[K]): ResourceTypes[K] {
  return normalizers[kind](value);
}
