/**
 * Rules of customer routes: a next hop is a neighbour in the route's own virtual subnet.
 */
import { addressFamily, containsPrefix, networkAddress } from '../address.ts';
import type { CustomerRoute } from '../resources.ts';
import type { DomainState } from '../state.ts';
import { addressField, isUnspecified, prefixField } from './field.ts';
import { conflict, invalid } from './refusal.ts';
import { concernsRouting, requireRouting, requireRoutingWithout } from './routing-in-use.ts';
import { requireHostAddress, requireSubnet } from './subnet-address.ts';

export function normalizeCustomerRoute(value: CustomerRoute): CustomerRoute {
  const destinationPrefix = prefixField('/destinationPrefix', value.destinationPrefix);
  const nextHop = addressField('/nextHop', value.nextHop);
  requireRouteFamily(destinationPrefix, nextHop);
  return { ...value, destinationPrefix, nextHop, metric: value.metric ?? 0 };
}

/** Throws HNV_INVALID_FIELD unless destination and next hop are both IPv4 or both IPv6. */
export function requireRouteFamily(destinationPrefix: string, nextHop: string): void {
  const family = addressFamily(networkAddress(destinationPrefix));
  if (addressFamily(nextHop) === family) return;
  const why = `must be IPv${family}, the family of destinationPrefix ${destinationPrefix}`;
  throw invalid('route-family', '/nextHop', nextHop, why);
}

export function checkCustomerRoute(domain: DomainState, id: string, value: CustomerRoute): void {
  const { addressPrefixes } = requireSubnet(domain, '/virtualSubnetId', value.virtualSubnetId);
  if (isUnspecified(value.nextHop)) {
    if (!addressPrefixes.some((prefix) => containsPrefix(prefix, value.destinationPrefix))) {
      const where = addressPrefixes.join(', ');
      const why = `is on-link (next hop ${value.nextHop}), so it must be inside the prefixes of its virtual subnet: ${where}`;
      throw invalid('on-link-in-subnet', '/destinationPrefix', value.destinationPrefix, why);
    }
  } else {
    requireHostAddress('/nextHop', addressPrefixes, value.nextHop);
  }
  const other = domain.routeByDestination.get(destinationKey(value));
  if (other !== undefined && other !== id) {
    const why = `with metric ${value.metric} is the destination of customer route ${other}: a destination prefix and metric are unique inside a routing domain`;
    throw conflict('route-unique', '/destinationPrefix', value.destinationPrefix, why);
  }
  const before = domain.customerRoutes.get(id) ?? value;
  const prefixes = [before.destinationPrefix, value.destinationPrefix];
  if (!concernsRouting(domain, prefixes)) return;
  const customerRoutes = new Map(domain.customerRoutes).set(id, value);
  requireRouting({ ...domain, customerRoutes }, '/destinationPrefix', [value.destinationPrefix]);
}

export function checkCustomerRouteDelete(domain: DomainState, id: string, value: CustomerRoute): void {
  if (!concernsRouting(domain, [value.destinationPrefix])) return;
  const customerRoutes = new Map(domain.customerRoutes);
  customerRoutes.delete(id);
  requireRoutingWithout({ ...domain, customerRoutes }, `Customer route ${id}`);
}

/** What tells the routes of a domain apart. */
export function destinationKey(route: Pick<CustomerRoute, 'destinationPrefix' | 'metric'>): string {
  return `${route.destinationPrefix} ${route.metric}`;
}
