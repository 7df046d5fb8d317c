/** Where a routing domain sends its packets by itself: its virtual subnets, and what customer routes lead to behind them. */
import { addressOrder } from './address.ts';
import { sorted } from './order.ts';
import type { RoutePlan } from './plan.ts';
import type { CustomerRoute } from './resources.ts';
import { isUnspecified } from './rules/field.ts';
import type { DomainState } from './state.ts';

/**
 * Ascending by prefix: every subnet on-link, and for each other destination its best customer route. The best is chosen before those
 * that lead to this node's own gateway are left out: what the tenant's hosts send here must not be sent back to the
 * tenant by a worse route to the same destination.
 */
export function tenantRoutes(
  domain: Pick<DomainState, 'virtualSubnets' | 'customerRoutes' | 'gateway'>,
): RoutePlan[] {
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
    routes.set(prefix, isUnspecified(nextHop) ? { prefix, vsid } : { prefix, vsid, nextHop });
  }
  return sorted(routes.values(), (route) => addressOrder(route.prefix));
}

/** Lowest wins: metric, then next hop, then VSID. */
function preference(route: CustomerRoute): string {
  const metric = String(route.metric).padStart(5, '0');
  return `${metric} ${addressOrder(route.nextHop)} ${String(route.virtualSubnetId).padStart(8, '0')}`;
}
